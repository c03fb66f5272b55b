//! What a sync tells: how far it is, and what it did.

use serde::Serialize;

use crate::base::bound;

/// How far a sync is.
#[derive(Clone, Debug)]
pub struct SyncProgress {
    pub done: usize,
    pub total: usize,
    pub path: String,
}

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    pub library: String,
    /// The Git commit that the folder stands at.
    pub revision: Option<String>,
    pub documents: u64,
    pub sections: u64,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub unchanged: usize,
    /// Files that are no document, each with the reason. Where there was an older version, it stays.
    pub failed: Vec<Failure>,
    /// How many more than `failed` can hold.
    pub failed_more: usize,
    /// What else there is to say of a source: pages of a web site that are gone, and how many it has more than are read.
    pub noted: Vec<Failure>,
    /// Documents that were read with reservations.
    pub warned: Vec<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub path: String,
    pub reason: String,
}

impl SyncReport {
    pub(super) fn fail(&mut self, path: &str, reason: impl ToString) {
        if self.failed.len() < bound::SYNC_FAILURES_LISTED_MAX {
            self.failed.push(Failure { path: path.to_owned(), reason: reason.to_string() });
        } else {
            self.failed_more += 1;
        }
    }
}
