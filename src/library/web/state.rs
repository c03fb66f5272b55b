//! What is remembered of a mirror, in a file beside its pages: so a crawl that was interrupted goes on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::bound::web as bound;

/// Hidden: it is no document.
const FILE: &str = ".state.json";

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// By URL.
    pub(super) pages: BTreeMap<String, Page>,
    /// The crawl that is under way.
    pub(super) crawl: Option<Crawl>,
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
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Crawl {
    pub(super) queue: VecDeque<(String, u32)>,
    /// In the queue, or looked at.
    pub(super) known: BTreeSet<String>,
    /// That are to be kept.
    pub(super) alive: BTreeSet<String>,
    pub(super) looked_at: u32,
}

/// The folder of a mirror.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    /// What is remembered; nothing where the file is not there or is not ours: then all is fetched again.
    pub(super) fn state(&self) -> State {
        let read = || -> io::Result<State> {
            let mut bytes = Vec::new();
            File::open(self.0.join(FILE))?.take(bound::WEB_STATE_BYTES_MAX).read_to_end(&mut bytes)?;
            serde_json::from_slice(&bytes).map_err(io::Error::other)
        };
        let mut state = read().unwrap_or_default();
        // A page whose file somebody removed is fetched again.
        state.pages.retain(|_, page| is_name(&page.file) && self.0.join(&page.file).is_file());
        state
    }

    pub(super) fn save(&self, state: &State) -> io::Result<()> {
        self.write(FILE, &serde_json::to_vec(state).map_err(io::Error::other)?)
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

/// Whether a name from the file leads below the folder.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_remembered_and_lost_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(&directory.path().join("site")).unwrap();
        assert_eq!(folder.state(), State::default());
        folder.write("a/b.html", b"x").unwrap();
        let page = |file: &str| Page { file: file.into(), ..Page::default() };
        let pages = [("u1", "a/b.html"), ("u2", "gone.html"), ("u3", "../../etc/passwd")];
        let pages = pages.into_iter().map(|(url, file)| (url.to_owned(), page(file))).collect();
        let crawl = Crawl { queue: VecDeque::from([("u9".to_owned(), 2)]), ..Crawl::default() };
        folder.save(&State { pages, crawl: Some(crawl) }).unwrap();
        let state = folder.state();
        assert_eq!(state.pages.keys().collect::<Vec<_>>(), ["u1"]);
        assert_eq!(state.crawl.unwrap().queue.len(), 1);
        folder.remove("a/b.html").unwrap();
        folder.remove("a/b.html").unwrap();
        fs::write(directory.path().join("site").join(FILE), "{").unwrap();
        assert_eq!(folder.state(), State::default());
    }
}
