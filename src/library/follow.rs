//! Notices that files of libraries changed: told by the kernel, gathered until they rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::record::{LibraryRecord, Source};
use crate::base::bound::follow as bound;

/// Watches the files of libraries. What it says is a hint: the sync looks itself.
pub struct Follower {
    watcher: RecommendedWatcher,
    changed: mpsc::Receiver<PathBuf>,
    /// More changed than there was room to say: every library may have.
    overflowed: Arc<AtomicBool>,
    /// By library.
    watched: BTreeMap<String, Place>,
    unrest: Unrest,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("watched", &self.watched).finish_non_exhaustive()
    }
}

/// What is watched for a library.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// A folder with all below it, or one file.
    path: PathBuf,
    is_folder: bool,
    /// Watching it failed once; it is not tried again, and was said.
    is_blind: bool,
}

impl Place {
    fn of(library: &LibraryRecord) -> Option<Self> {
        let (path, is_folder) = match &library.source {
            Source::Folder { root, .. } => (root, true),
            Source::File { path } | Source::Archive { path, .. } => (path, false),
            Source::Web(_) | Source::Bundle(_) | Source::Builtin => return None,
        };
        Some(Self { path: PathBuf::from(path), is_folder, is_blind: false })
    }

    /// A file is often replaced by another of its name: its folder is what has to be watched.
    fn watched(&self) -> Option<(&Path, RecursiveMode)> {
        if self.is_folder {
            Some((&self.path, RecursiveMode::Recursive))
        } else {
            self.path.parent().map(|folder| (folder, RecursiveMode::NonRecursive))
        }
    }
}

impl Follower {
    pub fn new() -> Result<Self, notify::Error> {
        let (tell, changed) = mpsc::channel(bound::FOLLOW_EVENTS_MAX);
        let overflowed = Arc::new(AtomicBool::new(false));
        let full = Arc::clone(&overflowed);
        let told = move |event: notify::Result<Event>| {
            let Ok(event) = event else {
                full.store(true, Ordering::Relaxed);
                return;
            };
            // Reading files is no change; a sync would follow itself.
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            if event.need_rescan() || event.paths.into_iter().any(|path| tell.try_send(path).is_err()) {
                full.store(true, Ordering::Relaxed);
            }
        };
        let watcher = RecommendedWatcher::new(told, Config::default().with_follow_symlinks(false))?;
        Ok(Self { watcher, changed, overflowed, watched: BTreeMap::new(), unrest: Unrest::default() })
    }

    /// Watches these libraries and no others. A new one counts as changed: what happened before is not known.
    pub fn watch(&mut self, libraries: &[LibraryRecord]) {
        let wanted: BTreeMap<&String, Place> =
            libraries.iter().filter_map(|library| Some((&library.name, Place::of(library)?))).collect();
        let is_wanted = |name: &String, place: &Place| {
            wanted.get(name).is_some_and(|wanted| (&wanted.path, wanted.is_folder) == (&place.path, place.is_folder))
        };
        let left: Vec<(String, Place)> = self
            .watched
            .iter()
            .filter(|(name, place)| !is_wanted(name, place))
            .map(|(name, place)| (name.clone(), place.clone()))
            .collect();
        for (name, place) in left {
            self.watched.remove(&name);
            self.unrest.forget(&name);
            let is_shared = self.watched.values().any(|other| other.watched() == place.watched());
            if let Some((path, _)) = place.watched().filter(|_| !is_shared && !place.is_blind) {
                // It may be gone, and its watch with it.
                self.watcher.unwatch(path).ok();
            }
        }
        for (name, mut place) in wanted {
            if self.watched.contains_key(name) {
                continue;
            }
            if let Err(reason) = self.begin(&place) {
                tracing::warn!(library = name, %reason, "its files are not followed; sync it by hand");
                place.is_blind = true;
            }
            self.unrest.stir(name, Instant::now());
            self.watched.insert(name.clone(), place);
        }
    }

    fn begin(&mut self, place: &Place) -> Result<(), String> {
        let Some((path, mode)) = place.watched() else { return Err("it lies in no folder".into()) };
        if mode == RecursiveMode::Recursive && folders_below(path) > bound::FOLLOW_FOLDERS_MAX {
            return Err(format!("it has more than {} folders", bound::FOLLOW_FOLDERS_MAX));
        }
        self.watcher.watch(path, mode).map_err(|error| error.to_string())
    }

    /// Waits until files of libraries changed and rest, or until `until`. Gives the libraries' names.
    pub async fn rested(&mut self, until: Instant) -> Vec<String> {
        loop {
            if self.overflowed.swap(false, Ordering::Relaxed) {
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
                    // The watcher holds the other end as long as we live.
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
            if if place.is_folder { path.starts_with(&place.path) } else { path == place.path } {
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
mod tests {
    use super::*;

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
