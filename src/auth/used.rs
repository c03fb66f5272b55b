//! When accounts and tokens were used: noted in memory, and written down once a minute for all together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::clock::Timestamp;
use crate::crypto::digest::Hash;

/// Something that has a time of last use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Account(Arc<str>),
    Token(Hash),
    Jwt(Arc<str>),
}

/// What was used since the last time it was written down. Only what was found in the store is noted, so there are at
/// most as many as there are rows.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Held for a moment, never across an await.
    pending: Mutex<HashMap<Subject, Timestamp>>,
}

impl Used {
    pub(super) fn note(&self, subject: Subject, now: Timestamp) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(subject, now);
    }

    /// The later of what is stored and what is not yet.
    pub(super) fn last(&self, subject: &Subject, stored: Option<Timestamp>) -> Option<Timestamp> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        stored.max(pending.get(subject).copied())
    }

    /// Takes what is to be written down.
    pub(super) fn take(&self) -> HashMap<Subject, Timestamp> {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_is_known_before_it_is_written_down() {
        let used = Used::default();
        let ann = Subject::Account("ann".into());
        assert_eq!(used.last(&ann, None), None);
        used.note(ann.clone(), Timestamp(5));
        assert_eq!(used.last(&ann, Some(Timestamp(3))), Some(Timestamp(5)));
        assert_eq!(used.take().len(), 1);
        assert_eq!(used.last(&ann, Some(Timestamp(3))), Some(Timestamp(3)));
    }
}
