//! Folds refusals from before authentication, so that nobody fills the disk from outside.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::network::Network;

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

/// A reason without what it tells of others: what refusals are grouped by.
pub fn alone(reason: &str) -> &str {
    if others(reason) == 0 { reason } else { reason.rsplit_once(BEFORE).map_or(reason, |(alone, _)| alone) }
}

/// Whose refusals are counted together: one who is known is not counted with whoever shares the address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Principal(String),
    /// What one subscriber holds: whoever has an IPv6 network is one caller, as everywhere else.
    Address(String),
    /// Those for whom there was no room.
    Others,
}

impl Caller {
    pub(super) fn of_peer(peer: &str) -> Self {
        let subscriber = peer.parse().map(|address| Network::of_subscriber(address).to_string());
        Self::Address(subscriber.unwrap_or_else(|_| peer.to_owned()))
    }
}

/// Per caller: the second of the last entry, and how many refusals were not written since.
#[derive(Debug, Default)]
pub struct Folded {
    /// Held for a map look-up, never across an await.
    callers: Mutex<Callers>,
}

#[derive(Debug, Default)]
struct Callers {
    known: HashMap<Caller, Counted>,
    /// The second in which strangers were written last, and how many of them.
    strangers: (u64, usize),
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
        let counted = callers.known.drain().map(|(caller, known)| (caller, known.unwritten));
        counted.filter(|(_, unwritten)| *unwritten > 0).collect()
    }

    /// `Some(n)`: write an entry, which also stands for `n` earlier ones. `None`: this one was counted.
    pub(super) fn admit(&self, caller: Caller, now: Timestamp) -> Option<u64> {
        let second = now.0 / 1000;
        let mut guard = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = &mut *guard;
        if callers.strangers.0 != second {
            callers.strangers = (second, 0);
        }
        let is_stranger = matches!(caller, Caller::Address(_));
        let is_crowded = is_stranger && callers.strangers.1 >= bound::STRANGERS_PER_SECOND_MAX;
        let is_new = callers.known.get(&caller).is_none_or(|known| known.second != second);
        if is_crowded && is_new {
            // A flood from everywhere is one caller.
            drop(guard);
            return self.admit(Caller::Others, now);
        }
        if is_stranger && is_new {
            callers.strangers.1 += 1;
        }
        let callers = &mut callers.known;
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
                drop(guard);
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
            let reason = with_others("too_many_requests: (and so on)", count);
            assert_eq!((others(&reason), alone(&reason)), (count, "too_many_requests: (and so on)"));
        }
    }

    #[test]
    fn a_flood_of_callers_shares_one_place() {
        let folded = Folded::default();
        let flood = |named: fn(String) -> Caller| {
            let callers = (0..3 * bound::FOLDED_CALLERS_MAX).map(|number| named(number.to_string()));
            callers.filter(|caller| folded.admit(caller.clone(), Timestamp(0)).is_some()).count()
        };
        assert_eq!(flood(Caller::Address), bound::STRANGERS_PER_SECOND_MAX + 1);
        let left = bound::FOLDED_CALLERS_MAX - bound::STRANGERS_PER_SECOND_MAX - 1;
        assert_eq!(flood(Caller::Principal), left, "and the rest shares the place of the others");
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_caller_whatever_address_it_takes() {
        let folded = Folded::default();
        let at = |peer: &str| folded.admit(Caller::of_peer(peer), Timestamp(0));
        assert_eq!(at("2001:db8:1:2::1"), Some(0));
        assert_eq!(at("2001:db8:1:2:ffff::9"), None);
        assert_eq!(at("2001:db8:1:3::1"), Some(0), "another subscriber");
        assert_eq!(at("uid 1000"), Some(0));
    }
}
