//! Rows that the store did not take, kept in memory: on a full disk, what was done counts as done all the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// By key: the row's bytes, or that it is to be gone. The keys are those of upkeep, so there are a handful.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// Held for a moment.
    rows: Mutex<BTreeMap<&'static [u8], Option<Vec<u8>>>>,
}

impl Unwritten {
    /// The row as it would be in the store; `read` where the store itself says it.
    pub(super) fn row(&self, key: &[u8], read: impl FnOnce() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let unwritten = self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        unwritten.unwrap_or_else(read)
    }

    pub(super) fn keep(&self, key: &'static [u8], row: Option<Vec<u8>>) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).insert(key, row);
    }

    /// The store has it now.
    pub(super) fn forget(&self, key: &[u8]) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_is_said_until_it_is_written() {
        let rows = Unwritten::default();
        let stored = || Some(vec![0]);
        assert_eq!(rows.row(b"a", stored), Some(vec![0]));
        rows.keep(b"a", Some(vec![1]));
        rows.keep(b"b", None);
        assert_eq!((rows.row(b"a", stored), rows.row(b"b", stored)), (Some(vec![1]), None));
        rows.forget(b"a");
        assert_eq!(rows.row(b"a", stored), Some(vec![0]));
    }
}
