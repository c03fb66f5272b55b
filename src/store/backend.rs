//! What redb reads and writes through: it remembers the first error, which redb itself only latches.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use redb::{BackendError, StorageBackend};

use super::disk::is_no_room;

/// The first error since the database was opened. From then on redb answers everything with "previous I/O error",
/// also to a commit after a failed read, so the cause has to be kept here.
#[derive(Debug, Default)]
pub(super) struct Fault(OnceLock<(io::ErrorKind, String)>);

impl Fault {
    /// What happened, if anything did.
    pub(super) fn reason(&self) -> Option<&str> {
        self.0.get().map(|(_, text)| text.as_str())
    }

    pub(super) fn is_no_room(&self) -> bool {
        self.0.get().is_some_and(|(kind, _)| is_no_room(*kind))
    }

    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.0.get_or_init(|| (error.kind(), error.to_string()));
        }
        result
    }
}

/// A backend whose errors are remembered in its [`Fault`].
#[derive(Debug)]
pub(super) struct Traced {
    inner: Box<dyn StorageBackend>,
    fault: Arc<Fault>,
}

impl Traced {
    pub(super) fn over(inner: Box<dyn StorageBackend>) -> (Self, Arc<Fault>) {
        let fault = Arc::new(Fault::default());
        (Self { inner, fault: Arc::clone(&fault) }, fault)
    }
}

/// Locks are passed on as they are: that another process has one is no fault of the disk.
impl StorageBackend for Traced {
    fn len(&self) -> io::Result<u64> {
        self.fault.note(self.inner.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fault.note(self.inner.read(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fault.note(self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fault.note(self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fault.note(self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
