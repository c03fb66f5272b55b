//! What is remembered of a mirror, in a file beside its pages: so a crawl that was interrupted goes on.
//!
//! All parts of it are bounded in bytes, so that what is written is never more than what is read back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::Site;
use crate::base::bound::web as bound;

/// Hidden: it is no document.
const FILE: &str = ".state.json";

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// By URL.
    pub(super) pages: BTreeMap<String, Page>,
    /// The crawl that is under way.
    pub(super) crawl: Option<Crawl>,
    /// Where the start led when a crawl ended last.
    #[serde(default)]
    pub(super) led_to: Option<String>,
    /// What the operator allowed of the site then.
    #[serde(default)]
    site: Option<Site>,
    /// Why what was known before could not be read, until a crawl came to its end and said so.
    #[serde(default)]
    pub(super) lost: Option<String>,
    /// What the pages take here, about.
    #[serde(skip)]
    bytes: usize,
}

impl State {
    /// The page as it can be remembered: whole, or without its links. Of those it is then asked for each time, because
    /// what is not sent cannot be followed. `None` where there is no room even so.
    pub(super) fn fit(&self, url: &str, page: Page, site: &Site) -> Option<Page> {
        // Those that are no more are dropped at the end of a crawl, so there may be as many of them as of new ones.
        if !self.pages.contains_key(url) && self.pages.len() >= 2 * site.pages_max as usize {
            return None;
        }
        let others = self.bytes - self.pages.get(url).map_or(0, |known| known.weight(url));
        let fits = |page: &Page| others + page.weight(url) <= bound::WEB_STATE_PAGES_BYTES_MAX;
        if fits(&page) {
            return Some(page);
        }
        let cut = Page { etag: None, last_modified: None, links: Vec::new(), is_cut: true, ..page };
        fits(&cut).then_some(cut)
    }

    pub(super) fn put(&mut self, url: String, page: Page) {
        self.remove(&url);
        self.bytes += page.weight(&url);
        self.pages.insert(url, page);
    }

    pub(super) fn remove(&mut self, url: &str) {
        if let Some(page) = self.pages.remove(url) {
            self.bytes -= page.weight(url);
        }
    }
}

/// A page that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// Below the mirror's folder.
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// Where it leads, within the site: a page that did not change is not sent again.
    pub(super) links: Vec<String>,
    /// The links found no room.
    #[serde(default)]
    pub(super) is_cut: bool,
}

impl Page {
    /// About what it takes as JSON; quotes in a header's value are two bytes.
    fn weight(&self, url: &str) -> usize {
        let of_header = |value: &Option<String>| value.as_ref().map_or(4, |value| 2 * value.len() + 2);
        let links: usize = self.links.iter().map(|link| link.len() + 3).sum();
        128 + url.len() + self.file.len() + of_header(&self.etag) + of_header(&self.last_modified) + links
    }
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Crawl {
    pub(super) queue: VecDeque<(String, u32)>,
    /// In the queue, or looked at.
    pub(super) known: BTreeSet<String>,
    /// That are to be kept.
    pub(super) alive: BTreeSet<String>,
    pub(super) looked_at: u32,
    /// Where the start leads, within the site.
    #[serde(default)]
    pub(super) led_to: Option<String>,
    /// Bytes of what is known.
    #[serde(default)]
    known_bytes: usize,
    /// Something that leads to pages could not be read: what was not met may be there all the same.
    #[serde(default)]
    pub(super) is_partial: bool,
}

impl Crawl {
    /// Has a URL read, if it is new and there is room.
    pub(super) fn add(&mut self, url: &Url, depth: u32) {
        let url = url.as_str();
        if self.known.contains(url) {
            return;
        }
        if self.known.len() >= bound::WEB_QUEUE_MAX || self.known_bytes + url.len() > bound::WEB_QUEUE_BYTES_MAX {
            self.is_partial = true;
            return;
        }
        self.known_bytes += url.len();
        self.known.insert(url.to_owned());
        self.queue.push_back((url.to_owned(), depth));
    }
}

/// URLs by the files that their pages are kept in, as somebody else has them.
pub(super) type Known<'a> = dyn Fn() -> HashMap<String, String> + Sync + 'a;

/// The folder of a mirror.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    /// What is remembered; where the file is not there or cannot be read, the pages that `known` still has by their
    /// files, and all is fetched again: one that cannot be had just then stays, under its URL. What is of another site is
    /// deleted: an `add` that was interrupted may have left it under this name.
    pub(super) fn state(&self, site: &Site, known: &Known<'_>) -> io::Result<State> {
        let mut state = self.read().unwrap_or_else(|error| {
            let mut lost = None;
            if error.kind() != io::ErrorKind::NotFound {
                let mirror = self.0.display();
                tracing::warn!(%error, %mirror, "what is known of a web site cannot be read: all its pages are asked for");
                lost = Some(format!("what was known of the site could not be read ({error}): all of it was asked for again"));
            }
            // Their links are not known.
            let page = |file| Page { file, is_cut: true, ..Page::default() };
            let pages = known().into_iter().map(|(file, url)| (url, page(file))).collect();
            State { pages, lost, ..State::default() }
        });
        if state.site.as_ref().is_some_and(|known| !known.is_like(site)) {
            state = State::default();
            self.sweep(&state)?;
        }
        // A page whose file somebody removed is fetched again.
        state.pages.retain(|_, page| is_name(&page.file) && self.0.join(&page.file).is_file());
        state.bytes = state.pages.iter().map(|(url, page)| page.weight(url)).sum();
        state.site = Some(site.clone());
        Ok(state)
    }

    fn read(&self) -> io::Result<State> {
        let file = File::open(self.0.join(FILE))?;
        let found = file.metadata()?.len();
        if found > bound::WEB_STATE_BYTES_MAX {
            return Err(io::Error::other(format!("it has {found} bytes, more than {}", bound::WEB_STATE_BYTES_MAX)));
        }
        let mut bytes = Vec::new();
        file.take(bound::WEB_STATE_BYTES_MAX).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    /// URLs by the files that their pages are kept in.
    pub(super) fn addresses(&self) -> io::Result<HashMap<String, String>> {
        Ok(self.read()?.pages.into_iter().map(|(url, page)| (page.file, url)).collect())
    }

    pub(super) fn save(&self, state: &State) -> io::Result<()> {
        self.write(FILE, &serde_json::to_vec(state).map_err(io::Error::other)?)
    }

    /// Deletes all files that are kept for no page of `state`, and folders that are empty then.
    pub(super) fn sweep(&self, state: &State) -> io::Result<()> {
        let kept: HashSet<PathBuf> = state.pages.values().map(|page| self.0.join(&page.file)).collect();
        for entry in walkdir::WalkDir::new(&self.0).min_depth(1).contents_first(true) {
            let entry = entry?;
            if entry.file_type().is_dir() {
                // It stays where something is in it.
                fs::remove_dir(entry.path()).ok();
            } else if !kept.contains(entry.path()) && entry.path() != self.0.join(FILE) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Whole or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let draft = self.0.join(".draft");
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(draft, path)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether a page could not be written because of its name: another page has what it needs as a folder, or is one.
pub(super) fn is_of_the_name(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, InvalidFilename, IsADirectory, NotADirectory};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | InvalidFilename | IsADirectory | NotADirectory)
}

/// Whether a name from the file leads below the folder.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site { start: "https://docs.example/docs/".into(), ..Site::default() }.checked().unwrap()
    }

    fn nothing() -> HashMap<String, String> {
        HashMap::new()
    }

    fn page(file: &str) -> Page {
        Page { file: file.into(), ..Page::default() }
    }

    #[test]
    fn what_is_saved_is_remembered_and_lost_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(&directory.path().join("site")).unwrap();
        let fresh = State { site: Some(site()), ..State::default() };
        assert_eq!(folder.state(&site(), &nothing).unwrap(), fresh);
        folder.write("a/b.html", b"x").unwrap();
        let mut state = folder.state(&site(), &nothing).unwrap();
        for (url, file) in [("u1", "a/b.html"), ("u2", "gone.html"), ("u3", "../../etc/passwd")] {
            state.put(url.to_owned(), page(file));
        }
        state.crawl = Some(Crawl { queue: VecDeque::from([("u9".to_owned(), 2)]), ..Crawl::default() });
        folder.save(&state).unwrap();
        let state = folder.state(&site(), &nothing).unwrap();
        assert_eq!(state.pages.keys().collect::<Vec<_>>(), ["u1"]);
        assert_eq!(state.bytes, page("a/b.html").weight("u1"));
        assert_eq!(state.crawl.unwrap().queue.len(), 1);
        assert_eq!(folder.addresses().unwrap()["a/b.html"], "u1");
        folder.remove("a/b.html").unwrap();
        folder.remove("a/b.html").unwrap();
        fs::write(directory.path().join("site").join(FILE), "{").unwrap();
        let damaged = folder.state(&site(), &nothing).unwrap();
        assert!(damaged.lost.is_some() && damaged.pages.is_empty() && damaged.crawl.is_none());
    }

    #[test]
    fn what_was_kept_of_another_site_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        folder.write("docs/a.html", b"x").unwrap();
        let mut state = folder.state(&site(), &nothing).unwrap();
        state.put("u1".to_owned(), page("docs/a.html"));
        folder.save(&state).unwrap();
        let more_often = Site { refresh_hours: 1, pages_max: 7, ..site() };
        assert_eq!(folder.state(&more_often, &nothing).unwrap().pages.len(), 1);
        let other = Site { prefix: "/docs/b/".into(), start: "https://docs.example/docs/b/".into(), ..site() };
        assert!(folder.state(&other, &nothing).unwrap().pages.is_empty());
        assert!(!directory.path().join("docs").exists());
    }

    #[test]
    fn files_of_no_page_are_swept() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        for file in ["a/kept.html", "a/old.html", "b/c/old.html", ".draft"] {
            folder.write(file, b"x").unwrap();
        }
        let mut state = folder.state(&site(), &nothing).unwrap();
        state.put("u1".to_owned(), page("a/kept.html"));
        folder.save(&state).unwrap();
        folder.sweep(&state).unwrap();
        let left = walkdir::WalkDir::new(directory.path()).min_depth(1).sort_by_file_name();
        let left: Vec<String> = left.into_iter().map(|it| it.unwrap().file_name().display().to_string()).collect();
        assert_eq!(left, [FILE, "a", "kept.html"]);
    }

    /// A state of 200 MiB was written, and cut where it was read: all that it said was forgotten without a word.
    #[test]
    fn what_finds_no_room_is_asked_for_each_time() {
        let mut state = State { bytes: bound::WEB_STATE_PAGES_BYTES_MAX - 1_000, ..State::default() };
        let full = |links| Page { etag: Some("e".into()), links: vec!["l".repeat(500); links], ..page("a.html") };
        assert_eq!(state.fit("u", full(1), &site()), Some(full(1)));
        let cut = state.fit("u", full(2), &site()).unwrap();
        assert!(cut.is_cut && cut.links.is_empty() && cut.etag.is_none() && cut.file == "a.html");
        state.put("u".into(), full(1));
        assert_eq!(state.fit("v", full(0), &site()).map(|page| page.is_cut), Some(false));
        assert_eq!(state.fit("w", page(&"w".repeat(900)), &site()), None);
        let small = Site { pages_max: 1, ..site() };
        state.put("v".into(), page("b.html"));
        assert_eq!(
            (state.fit("w", page("c.html"), &small), state.fit("v", page("b.html"), &small).is_some()),
            (None, true)
        );
    }

    #[test]
    fn a_queue_that_is_full_says_that_not_all_is_read() {
        let mut crawl = Crawl { known_bytes: bound::WEB_QUEUE_BYTES_MAX - 30, ..Crawl::default() };
        let url = |path: &str| Url::parse(&format!("https://docs.example/{path}")).unwrap();
        crawl.add(&url("a"), 1);
        crawl.add(&url("a"), 1);
        assert!((crawl.queue.len(), crawl.is_partial) == (1, false));
        crawl.add(&url("b"), 1);
        assert!((crawl.queue.len(), crawl.is_partial) == (1, true));
    }
}
