//! Folds refusals from before authentication, so that nobody fills the disk from outside.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::bound;
use crate::base::clock::Timestamp;

const BEFORE: &str = " (and ";
const AFTER: &str = " earlier refusals of this caller without an entry)";

/// A reason that also tells how many refusals had no entry of their own.
pub(crate) fn with_others(reason: &str, others: u64) -> String {
    if others == 0 { reason.to_owned() } else { format!("{reason}{BEFORE}{others}{AFTER}") }
}

/// For how many refusals without an entry a reason stands.
pub fn others(reason: &str) -> u64 {
    let told = reason.strip_suffix(AFTER).and_then(|rest| rest.rsplit_once(BEFORE));
    told.and_then(|(_, others)| others.parse().ok()).unwrap_or(0)
}

/// Whose refusals are counted together: one who is known is not counted with whoever shares the address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Principal(String),
    Address(String),
    /// Those for whom there was no room.
    Others,
}

/// Per caller: the second of the last entry, and how many refusals were not written since.
#[derive(Debug, Default)]
pub struct Folded {
    /// Held for a map look-up, never across an await.
    callers: Mutex<HashMap<Caller, Counted>>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    second: u64,
    unwritten: u64,
}

impl Folded {
    /// What was counted and not written yet, by caller; for the end.
    pub(super) fn drain(&self) -> Vec<(Caller, u64)> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = callers.drain().map(|(caller, known)| (caller, known.unwritten));
        counted.filter(|(_, unwritten)| *unwritten > 0).collect()
    }

    /// `Some(n)`: write an entry, which also stands for `n` earlier ones. `None`: this one was counted.
    pub(super) fn admit(&self, caller: Caller, now: Timestamp) -> Option<u64> {
        let second = now.0 / 1000;
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get_mut(&caller) {
            if known.second == second {
                known.unwritten += 1;
                return None;
            }
            let unwritten = std::mem::take(&mut known.unwritten);
            known.second = second;
            return Some(unwritten);
        }
        if callers.len() >= bound::FOLDED_CALLERS_MAX {
            // Quiet callers make room; if none is quiet, all the rest share one place.
            callers.retain(|_, known| known.unwritten > 0 || known.second == second);
            if callers.len() >= bound::FOLDED_CALLERS_MAX && caller != Caller::Others {
                drop(callers);
                return self.admit(Caller::Others, now);
            }
        }
        callers.insert(caller, Counted { second, unwritten: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_per_caller_and_second() {
        let folded = Folded::default();
        let at = |second: u64| Timestamp(second * 1000);
        let named = |name: &str| Caller::Address(name.to_owned());
        assert_eq!(folded.admit(named("a"), at(1)), Some(0));
        assert_eq!(folded.admit(named("a"), at(1)), None);
        assert_eq!(folded.admit(named("a"), at(1)), None);
        assert_eq!(folded.admit(named("b"), at(1)), Some(0));
        assert_eq!(folded.admit(named("a"), at(2)), Some(2));
        assert_eq!(folded.admit(named("a"), at(3)), Some(0));
        assert_eq!(folded.admit(Caller::Principal("a".into()), at(3)), Some(0), "who is known is counted alone");
    }

    #[test]
    fn how_many_had_no_entry_is_read_back() {
        for count in [0, 1, 4711] {
            assert_eq!(others(&with_others("too_many_requests: (and so on)", count)), count);
        }
    }

    #[test]
    fn a_flood_of_callers_shares_one_place() {
        let folded = Folded::default();
        let written = (0..3 * bound::FOLDED_CALLERS_MAX)
            .filter(|number| folded.admit(Caller::Address(number.to_string()), Timestamp(0)).is_some())
            .count();
        assert_eq!(written, bound::FOLDED_CALLERS_MAX + 1);
    }
}
