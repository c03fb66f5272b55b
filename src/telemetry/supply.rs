//! Keys for sealed log files, made ahead: the thread that writes the log can neither wrap a key nor commit its use.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::sealed::FileKey;
use crate::base::bound;

/// Between the holder of the keyring, who fills it, and the writer, who takes from it.
#[derive(Debug, Default)]
pub struct KeySupply {
    /// Held for a moment.
    shelf: Mutex<Shelf>,
    /// Grows when keys that were taken before must not seal any more.
    epoch: AtomicU64,
    taken: Notify,
}

#[derive(Debug, Default)]
struct Shelf {
    ready: Vec<FileKey>,
    /// The version that wraps the key which was taken last: its file may not be there yet.
    last_taken: Option<u32>,
}

impl KeySupply {
    /// How many keys are missing.
    pub fn missing(&self) -> usize {
        bound::LOG_KEYS_READY.saturating_sub(self.shelf().ready.len())
    }

    pub fn put(&self, key: FileKey) {
        self.shelf().ready.push(key);
    }

    /// A key for one file, with the epoch in which it may seal.
    pub(super) fn take(&self) -> Option<(FileKey, u64)> {
        let mut shelf = self.shelf();
        let key = shelf.ready.pop()?;
        shelf.last_taken = Some(key.header.key_version);
        self.taken.notify_one();
        Some((key, self.epoch()))
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The keyring was closed or has another key: what is here is forgotten, and the writer forgets what it has.
    pub(super) fn clear(&self) {
        let mut shelf = self.shelf();
        shelf.ready.clear();
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Versions of the keyring's key that are needed and may be in no file yet.
    pub fn versions(&self) -> BTreeSet<u32> {
        let shelf = self.shelf();
        shelf.ready.iter().map(|key| key.header.key_version).chain(shelf.last_taken).collect()
    }

    /// Until the writer took one.
    pub async fn taken(&self) {
        self.taken.notified().await;
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
