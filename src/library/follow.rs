//! Notices that files of libraries changed: told by the kernel, gathered until they rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::{Config, Event, EventHandler, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::record::{LibraryRecord, Source};
use super::source::is_hidden_name;
use crate::base::bound::follow as bound;

/// Watches the files of libraries. What it says is a hint: the sync looks itself.
pub struct Follower {
    /// What changes below it is our own work: a library may hold the data directory.
    data: PathBuf,
    /// Makes a watcher that tells what it sees: the kernel's.
    make: Make,
    /// `None` where the kernel gives none.
    watcher: Option<Box<dyn Watcher + Send>>,
    tell: mpsc::Sender<PathBuf>,
    changed: mpsc::Receiver<PathBuf>,
    troubles: Arc<Troubles>,
    /// By library.
    watched: BTreeMap<String, Place>,
    /// Libraries that are not followed, and were named for it.
    told: BTreeSet<String>,
    /// When what failed was tried the last time.
    tried: Instant,
    unrest: Unrest,
}

type Make = Arc<dyn Fn(Ear) -> notify::Result<Box<dyn Watcher + Send>> + Send + Sync>;

fn of_the_kernel(ear: Ear) -> notify::Result<Box<dyn Watcher + Send>> {
    let watcher = RecommendedWatcher::new(ear, Config::default().with_follow_symlinks(false))?;
    Ok(Box::new(watcher))
}

/// Hears what a watcher sees, on its thread.
struct Ear {
    data: PathBuf,
    tell: mpsc::Sender<PathBuf>,
    troubles: Arc<Troubles>,
}

impl EventHandler for Ear {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        let Ok(event) = event else { return self.troubles.rescan() };
        // Reading files is no change; a sync would follow itself.
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        if event.need_rescan() {
            self.troubles.rescan();
        }
        let mut paths = event.paths.into_iter().filter(|path| !path.starts_with(&self.data));
        if paths.any(|path| self.tell.try_send(path).is_err()) {
            self.troubles.overflowed.store(true, Ordering::Relaxed);
        }
    }
}

/// What the watcher's thread has to say beside paths.
#[derive(Debug, Default)]
struct Troubles {
    /// More changed than there was room to say: every library may have.
    overflowed: AtomicBool,
    /// New folders may not be watched.
    broken: AtomicBool,
}

impl Troubles {
    /// The kernel dropped something: every library may have changed, and folders that were made meanwhile have no watch.
    fn rescan(&self) {
        self.broken.store(true, Ordering::Relaxed);
        self.overflowed.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("watched", &self.watched).finish_non_exhaustive()
    }
}

/// What is watched for a library.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// A folder with all below it, or one file; behind links, as the kernel names it.
    path: PathBuf,
    is_folder: bool,
    /// Device and inode of the folder: one of the same name that took its place is another one, and not watched.
    identity: Option<(u64, u64)>,
}

impl Place {
    fn of(library: &LibraryRecord) -> Option<Self> {
        let (path, is_folder) = match &library.source {
            Source::Folder { root, .. } => (root, true),
            Source::File { path } | Source::Archive { path, .. } => (path, false),
            Source::Web(_) | Source::Bundle(_) | Source::Builtin => return None,
        };
        Some(Self::at(Path::new(path), is_folder))
    }

    fn at(path: &Path, is_folder: bool) -> Self {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let path = match (is_folder, path.parent(), path.file_name()) {
            // The file may be a link; its name in its folder is what gets replaced.
            (false, Some(folder), Some(name)) => real(folder).join(name),
            _ => real(path),
        };
        let mut place = Self { path, is_folder, identity: None };
        let folder = place.folder().and_then(|folder| fs::metadata(folder).ok());
        place.identity = folder.map(|folder| (folder.dev(), folder.ino()));
        place
    }

    /// A file is often replaced by another of its name: its folder is what has to be watched.
    fn folder(&self) -> Option<&Path> {
        if self.is_folder { Some(&self.path) } else { self.path.parent() }
    }

    /// Whether the watches of both are on one folder: they are not independent then.
    fn overlaps(&self, other: &Self) -> bool {
        let (Some(one), Some(another)) = (self.folder(), other.folder()) else { return false };
        one.starts_with(another) || another.starts_with(one)
    }

    /// Whether a change at `path` may be one of its documents.
    fn holds(&self, path: &Path) -> bool {
        if !self.is_folder {
            return path == self.path;
        }
        let Ok(below) = path.strip_prefix(&self.path) else { return false };
        !below.components().any(|part| is_hidden_name(&part.as_os_str().to_string_lossy()))
    }
}

impl Follower {
    /// `data` is the data directory.
    pub fn new(data: &Path) -> Self {
        let (tell, changed) = mpsc::channel(bound::FOLLOW_EVENTS_MAX);
        Self {
            data: fs::canonicalize(data).unwrap_or_else(|_| data.to_owned()),
            make: Arc::new(of_the_kernel),
            watcher: None,
            tell,
            changed,
            troubles: Arc::default(),
            watched: BTreeMap::new(),
            told: BTreeSet::new(),
            tried: Instant::now(),
            unrest: Unrest::default(),
        }
    }

    fn watcher(&self) -> notify::Result<Box<dyn Watcher + Send>> {
        let (tell, troubles, data) = (self.tell.clone(), Arc::clone(&self.troubles), self.data.clone());
        (self.make)(Ear { data, tell, troubles })
    }

    /// Watches these libraries and no others. One that is new, or whose folder is another one now, counts as changed:
    /// what happened before is not known.
    pub fn watch(&mut self, libraries: &[LibraryRecord]) {
        let wanted: BTreeMap<String, Place> =
            libraries.iter().filter_map(|library| Some((library.name.clone(), Place::of(library)?))).collect();
        let has_left = self.watched.iter().any(|(name, place)| wanted.get(name) != Some(place));
        let added: Vec<(String, Place)> = wanted
            .iter()
            .filter(|(name, _)| !self.watched.contains_key(*name))
            .map(|(name, place)| (name.clone(), place.clone()))
            .collect();
        let overlaps = |(name, place): &(String, Place)| {
            wanted.iter().any(|(other, there)| other != name && place.overlaps(there))
        };
        let may_retry = self.tried.elapsed() >= Duration::from_millis(bound::FOLLOW_RETRY_MS);
        let is_broken = self.watcher.is_none() || self.troubles.broken.load(Ordering::Relaxed);
        // Taking one watch away takes those with it that others share; and a folder's watch makes one of its parent
        // forget that it goes deeper.
        if has_left
            || added.iter().any(overlaps)
            || (is_broken && !wanted.is_empty() && (may_retry || self.watched.is_empty()))
        {
            self.watch_anew(wanted);
        } else {
            for (name, place) in added {
                self.begin(name, place);
            }
            if may_retry {
                self.retry();
            }
        }
    }

    /// Gives all watches back and begins again: what goes deep last, see [`Follower::watch`].
    fn watch_anew(&mut self, wanted: BTreeMap<String, Place>) {
        self.tried = Instant::now();
        self.watcher = None;
        self.troubles.broken.store(false, Ordering::Relaxed);
        match self.watcher() {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => tracing::error!(%error, "files of libraries cannot be followed at the moment"),
        }
        for name in std::mem::take(&mut self.watched).into_keys() {
            if !wanted.contains_key(&name) {
                self.unrest.forget(&name);
                self.told.remove(&name);
            }
        }
        let mut wanted: Vec<(String, Place)> = wanted.into_iter().collect();
        wanted.sort_by_key(|(_, place)| place.is_folder);
        for (name, place) in wanted {
            self.begin(name, place);
        }
    }

    fn begin(&mut self, name: String, place: Place) {
        match self.try_begin(&place) {
            Ok(()) => {
                self.told.remove(&name);
            }
            Err(reason) => {
                if self.told.insert(name.clone()) {
                    tracing::error!(library = name, %reason, "its files are not followed; sync it by hand");
                }
            }
        }
        self.unrest.stir(&name, Instant::now());
        self.watched.insert(name, place);
    }

    /// What could not be watched may be possible by now.
    fn retry(&mut self) {
        self.tried = Instant::now();
        for name in self.told.clone() {
            let Some(place) = self.watched.get(&name).cloned() else { continue };
            if self.try_begin(&place).is_ok() {
                self.told.remove(&name);
                self.unrest.stir(&name, Instant::now());
            }
        }
    }

    fn try_begin(&mut self, place: &Place) -> Result<(), String> {
        let Some(folder) = place.folder() else { return Err("it lies in no folder".into()) };
        let mode = if place.is_folder { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        if place.is_folder && folders_below(folder) > bound::FOLLOW_FOLDERS_MAX {
            return Err(format!("it has more than {} folders", bound::FOLLOW_FOLDERS_MAX));
        }
        let Some(watcher) = &mut self.watcher else { return Err("the kernel gives no watcher".into()) };
        watcher.watch(folder, mode).map_err(|error| match error.kind {
            notify::ErrorKind::MaxFilesWatch => {
                "the kernel's watches are used up (sysctl fs.inotify.max_user_watches)".to_owned()
            }
            _ => error.to_string(),
        })
    }

    /// Waits until files of libraries changed and rest, or until `until`. Gives the libraries' names.
    pub async fn rested(&mut self, until: Instant) -> Vec<String> {
        loop {
            if self.troubles.overflowed.swap(false, Ordering::Relaxed) {
                for name in self.watched.keys() {
                    self.unrest.stir(name, Instant::now());
                }
            }
            let now = Instant::now();
            let rested = self.unrest.rested(now);
            if !rested.is_empty() || now >= until {
                return rested;
            }
            let next = self.unrest.next().unwrap_or(until).min(until);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                path = self.changed.recv() => match path {
                    Some(path) => self.stir(&path),
                    // We hold the other end ourselves.
                    None => tokio::time::sleep_until(until).await,
                },
            }
        }
    }

    /// It could not be synced now: once more.
    pub fn again(&mut self, name: &str) {
        self.unrest.stir(name, Instant::now());
    }

    fn stir(&mut self, path: &Path) {
        for (name, place) in &self.watched {
            if place.holds(path) {
                self.unrest.stir(name, Instant::now());
            }
        }
    }
}

fn folders_below(path: &Path) -> usize {
    let entries = walkdir::WalkDir::new(path).into_iter().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_dir()).take(bound::FOLLOW_FOLDERS_MAX + 1).count()
}

/// Which libraries changed and since when. A save, a checkout or an unpacking is many changes, and one sync.
#[derive(Debug, Default)]
struct Unrest {
    /// The first change that no sync has seen, and the last.
    by_library: BTreeMap<String, (Instant, Instant)>,
}

impl Unrest {
    fn stir(&mut self, name: &str, now: Instant) {
        match self.by_library.get_mut(name) {
            Some((_, last)) => *last = now,
            None => {
                self.by_library.insert(name.to_owned(), (now, now));
            }
        }
    }

    fn forget(&mut self, name: &str) {
        self.by_library.remove(name);
    }

    fn due((first, last): (Instant, Instant)) -> Instant {
        let (quiet, patience) =
            (Duration::from_millis(bound::FOLLOW_QUIET_MS), Duration::from_millis(bound::FOLLOW_WAIT_MS_MAX));
        (last + quiet).min(first + patience)
    }

    /// Takes those whose time has come.
    fn rested(&mut self, now: Instant) -> Vec<String> {
        let is_due = |times: &(Instant, Instant)| Self::due(*times) <= now;
        let rested: Vec<String> =
            self.by_library.iter().filter(|(_, times)| is_due(times)).map(|(name, _)| name.clone()).collect();
        self.by_library.retain(|_, times| !is_due(times));
        rested
    }

    fn next(&self) -> Option<Instant> {
        self.by_library.values().map(|times| Self::due(*times)).min()
    }
}

#[cfg(test)]
mod tests_watcher;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_and_what_is_our_own_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(folder.path(), true);
        let root = place.path.clone();
        for path in ["a.md", "deep/b.md", ""] {
            assert!(place.holds(&root.join(path)), "{path}");
        }
        for path in [".git/index", "deep/.cache/x", "node_modules/a/b.md", "../other.md"] {
            assert!(!place.holds(&root.join(path)), "{path}");
        }
        let file = Place::at(&folder.path().join("a.md"), false);
        assert!(file.holds(&root.join("a.md")) && !file.holds(&root.join("b.md")));
        assert!(file.overlaps(&place) && place.overlaps(&file));
        let beside = Place::at(&root.with_file_name("beside"), true);
        assert!(!beside.overlaps(&place) && beside.identity.is_none());
    }

    #[test]
    fn a_folder_in_the_place_of_another_is_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs");
        fs::create_dir(&path).unwrap();
        let before = Place::at(&path, true);
        assert_eq!(Place::at(&path, true), before);
        fs::rename(&path, folder.path().join("old")).unwrap();
        fs::create_dir(&path).unwrap();
        assert_ne!(Place::at(&path, true), before);
        // The same folder by another name is watched once, under the kernel's name.
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(Place::at(&folder.path().join("link"), true), Place::at(&path, true));
    }

    /// Everything that the kernel tells is there when the last of it is.
    #[tokio::test]
    async fn commits_below_the_data_directory_wake_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("data")).unwrap();
        let mut follower = Follower::new(&root.join("data"));
        follower.watch_anew(BTreeMap::from([("all".to_owned(), Place::at(&root, true))]));
        fs::write(root.join("data/sekisho.redb"), "a commit").unwrap();
        fs::write(root.join("last.md"), "a change").unwrap();
        let first = follower.changed.recv().await.unwrap();
        assert_eq!(first, root.join("last.md"));
    }

    #[test]
    fn many_changes_are_one_and_endless_ones_do_not_wait_for_ever() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let quiet = bound::FOLLOW_QUIET_MS;
        let mut unrest = Unrest::default();
        for ms in 0..10 {
            unrest.stir("docs", at(ms));
        }
        assert!(unrest.rested(at(quiet)).is_empty(), "the last change is too young");
        assert_eq!(unrest.next(), Some(at(9 + quiet)));
        assert_eq!(unrest.rested(at(9 + quiet)), ["docs"]);
        assert!(unrest.rested(at(99 + quiet)).is_empty() && unrest.next().is_none(), "once");
        for ms in (0..=bound::FOLLOW_WAIT_MS_MAX).step_by(10) {
            unrest.stir("logs", at(ms));
        }
        assert_eq!(unrest.rested(at(bound::FOLLOW_WAIT_MS_MAX)), ["logs"], "it never rests");
        unrest.stir("gone", at(0));
        unrest.forget("gone");
        assert!(unrest.rested(at(1_000_000)).is_empty());
    }
}
