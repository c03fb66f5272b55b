//! The open database behind a lock, and what is known of its health: opened, closed and opened again.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redb::Database;
use tokio::sync::watch;

use super::StoreError;
use super::backend::{Fault, Traced};
use super::disk::{Disk, is_no_room};
use crate::base::bound;

/// Whether the store takes commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// An ordinary commit works.
    Writable,
    /// The disk is full: reads work, and only urgent batches are committed.
    Full,
    /// The disk fails, or the writer broke off: nothing works until the database could be opened again.
    Failing,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Full => "full",
            Self::Failing => "failing",
        }
    }
}

/// An open database and the first error that its disk had since.
pub(super) struct Live {
    pub(super) database: Database,
    pub(super) fault: Arc<Fault>,
}

pub(super) fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(bound::STORE_CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Opens what is there, and reads all of it: redb without this check panics on a damaged page.
pub(super) fn open(disk: &dyn Disk) -> Result<Live, StoreError> {
    let path = disk.path();
    let backend = disk.open().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
        _ => StoreError::file(path, error),
    })?;
    // redb would silently make a new database of an empty file.
    if backend.len().map_err(|error| StoreError::file(path, error))? == 0 {
        return Err(StoreError::Damaged { path: path.to_owned(), reason: "the file is empty".into() });
    }
    let (backend, fault) = Traced::over(backend);
    match builder().create_with_backend(backend) {
        Ok(database) => Ok(Live { database, fault }),
        Err(_) if fault.is_no_room() => Err(StoreError::Full { path: path.to_owned() }),
        Err(error) => Err(StoreError::opening(path, error)),
    }
}

/// Sees to the ballast. `false` if there is no room for it and the margin beyond: then the disk counts as full.
pub(super) fn has_room(disk: &dyn Disk) -> bool {
    let seen_to = disk.has_ballast().and_then(|there| match there {
        true => Ok(true),
        false if disk.free_bytes()? < bound::BALLAST_BYTES + bound::BALLAST_MARGIN_BYTES => Ok(false),
        false => disk.make_ballast().map(|()| true),
    });
    match seen_to {
        Ok(has_room) => has_room,
        Err(error) if is_no_room(error.kind()) => false,
        Err(error) => {
            // Not a reason to refuse work: only a full disk needs the ballast.
            tracing::warn!(%error, path = %disk.path().display(), "no blocks could be kept aside for a full disk");
            true
        }
    }
}

/// What all handles of a store share.
pub(super) struct Engine {
    disk: Arc<dyn Disk>,
    /// Read to begin a look and for the length of a commit, written to swap the database; never across an await.
    state: RwLock<State>,
    health: watch::Sender<Health>,
    commits: AtomicU64,
    commit_nanoseconds: AtomicU64,
}

/// What was committed since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    pub count: u64,
    /// How long all of them took.
    pub time: Duration,
}

enum State {
    Open(Live),
    /// Closed after a failure. Whoever comes while it `is_opening` is told so at once instead of waiting.
    Gap {
        reason: String,
        is_opening: bool,
    },
    /// For good.
    Closed,
}

impl Engine {
    pub(super) fn new(disk: Arc<dyn Disk>, live: Live, health: Health) -> Self {
        Self {
            disk,
            state: RwLock::new(State::Open(live)),
            health: watch::Sender::new(health),
            commits: AtomicU64::new(0),
            commit_nanoseconds: AtomicU64::new(0),
        }
    }

    pub(super) fn count_commit(&self, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn commits(&self) -> Commits {
        Commits {
            count: self.commits.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.commit_nanoseconds.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(live) => match live.fault.reason() {
                None => work(&live.database),
                Some(reason) => Err(self.unavailable(reason)),
            },
            State::Gap { reason, .. } => Err(self.unavailable(reason)),
            State::Closed => Err(StoreError::Closed),
        }
    }

    pub(super) fn unavailable(&self, reason: &str) -> StoreError {
        StoreError::Unavailable { path: self.disk.path().to_owned(), reason: reason.to_owned() }
    }

    pub(super) fn full(&self) -> StoreError {
        StoreError::Full { path: self.disk.path().to_owned() }
    }

    /// Shrinks the file by the pages that nothing uses, if there are any. Reads wait; one that is under way makes it
    /// fail, and it can be tried again.
    pub(super) fn compact(&self) -> Result<bool, StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let State::Open(live) = &mut *state else { return Err(StoreError::Closed) };
        live.database.compact().map_err(|error| match error {
            redb::CompactionError::TransactionInProgress => StoreError::Reading,
            other => StoreError::Engine(other.to_string()),
        })
    }

    /// Why nothing can be committed now; `None` if nothing is known against it.
    pub(super) fn trouble(&self) -> Option<String> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(live) => live.fault.reason().map(str::to_owned),
            State::Gap { reason, .. } => Some(reason.clone()),
            State::Closed => Some("it is closed".into()),
        }
    }

    /// The reason, while the database is being opened again.
    pub(super) fn reopening(&self) -> Option<String> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Gap { reason, is_opening: true } => Some(reason.clone()),
            _ => None,
        }
    }

    /// Whether the open database met a full disk.
    pub(super) fn met_no_room(&self) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        matches!(&*state, State::Open(live) if live.fault.is_no_room())
    }

    pub(super) fn set_live(&self, live: Live) {
        self.swap(State::Open(live));
    }

    pub(super) fn set_gap(&self, reason: String, is_opening: bool) {
        self.swap(State::Gap { reason, is_opening });
    }

    pub(super) fn close(&self) {
        self.swap(State::Closed);
    }

    /// A database that goes is closed outside of the lock: closing writes to the disk, and readers need not wait.
    fn swap(&self, next: State) {
        let before = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, next)
        };
        drop(before);
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.disk.path()
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whoever watches wakes up only where something changed.
    pub(super) fn set_health(&self, health: Health) {
        self.health.send_if_modified(|known| std::mem::replace(known, health) != health);
    }
}
