//! What a document's own abbreviations may add to it: each is short, and may still be written out a million times.

use std::cell::Cell;

use crate::base::bound::parse::ABBREVIATED_BYTES_MAX;

/// How many more bytes may be put in place of names. Once one was refused, all are: half of them would be odder to read.
#[derive(Debug)]
pub(super) struct Allowance(Cell<usize>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Cell::new(ABBREVIATED_BYTES_MAX))
    }
}

impl Allowance {
    /// Whether a text of so many bytes may be put in place of its name.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes.max(1));
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }

    /// For the operator, once names were left as they are.
    pub(super) fn warning(&self) -> Option<String> {
        let is_spent = self.0.get() == 0;
        is_spent.then(|| {
            let most = ABBREVIATED_BYTES_MAX;
            format!(
                "some names left in place: expected what they stand for to be at most {most} bytes in all, found more"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spent_once_and_for_all() {
        let allowance = Allowance::default();
        assert!(allowance.take(ABBREVIATED_BYTES_MAX - 10) && allowance.take(5) && allowance.warning().is_none());
        assert!(!allowance.take(6) && !allowance.take(1));
        assert!(allowance.warning().is_some());
    }
}
