//! Leaves an API alone that fails again and again: after some failures in a row calls are refused at once, until one
//! trial after a while shows that it is back.
//!
//! That nobody answers is true for all. That an answer is an error may lie in what was asked: such failures count for
//! whoever asked, or one agent could shut an API for all others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::bound::connector as bound;
use crate::base::clock::Clock;

/// The breakers of all connectors.
#[derive(Debug)]
pub struct Breakers {
    clock: Arc<dyn Clock>,
    /// Held for a look-up, never across an await. Only what failed is in it.
    failing: Mutex<HashMap<Key, Failing>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    connector: String,
    /// None: for all.
    principal: Option<Arc<str>>,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody was reached.
    Unreached,
    /// It was reached, and gave no answer or an error.
    Unanswered,
}

#[derive(Debug, Default)]
struct Failing {
    in_a_row: u32,
    /// By the monotonic clock: when it opened, or when the trial began.
    open_since: Option<Duration>,
    trying: bool,
}

/// How a connector's API stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Calls go through; so many failed in a row.
    Closed { failures: u32 },
    /// Calls are refused for as long as this.
    Open { left: Duration },
    /// The next call, or one that is under way, is the trial.
    Trial,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::Trial => "half-open",
        }
    }

    /// The worst first.
    fn rank(self) -> (u8, Duration, u32) {
        match self {
            Self::Open { left } => (2, left, 0),
            Self::Trial => (1, Duration::ZERO, 0),
            Self::Closed { failures } => (0, Duration::ZERO, failures),
        }
    }
}

/// A call that may go through. Dropped without a word, as when its caller withdraws it, it says nothing of the API.
#[derive(Debug)]
pub struct Pass<'a> {
    breakers: &'a Breakers,
    /// For all, and for whoever calls.
    keys: [Key; 2],
    /// Which of them are on trial by this call.
    trials: [bool; 2],
}

impl Breakers {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, failing: Mutex::default() }
    }

    /// How it stands for whoever it stands worst for.
    pub fn standing(&self, connector: &str) -> Standing {
        let now = self.clock.monotonic();
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let of_connector = failing.iter().filter(|(key, _)| key.connector == connector);
        let worst = of_connector.map(|(_, failing)| failing.standing(now)).max_by_key(|standing| standing.rank());
        worst.unwrap_or(Standing::Closed { failures: 0 })
    }

    /// Lets a call through, or says how long it is to wait.
    pub fn enter(&self, connector: &str, principal: &Arc<str>) -> Result<Pass<'_>, Duration> {
        let now = self.clock.monotonic();
        let key = |principal| Key { connector: connector.to_owned(), principal };
        let keys = [key(None), key(Some(Arc::clone(principal)))];
        let mut all = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &keys {
            let Some(failing) = all.get(key) else { continue };
            match failing.standing(now) {
                Standing::Open { left } => return Err(left),
                Standing::Trial if failing.trying => return Err(Duration::from_millis(bound::CALL_RETRY_MS)),
                Standing::Closed { .. } | Standing::Trial => {}
            }
        }
        let mut trials = [false; 2];
        for (key, is_trial) in keys.iter().zip(&mut trials) {
            if let Some(failing) = all.get_mut(key).filter(|failing| failing.standing(now) == Standing::Trial) {
                failing.trying = true;
                *is_trial = true;
            }
        }
        Ok(Pass { breakers: self, keys, trials })
    }

    /// Another connector may get its name.
    pub fn forget(&self, connector: &str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| key.connector != connector);
    }
}

impl Failing {
    fn standing(&self, now: Duration) -> Standing {
        let Some(since) = self.open_since else { return Standing::Closed { failures: self.in_a_row } };
        let left = Duration::from_millis(bound::BREAKER_OPEN_MS).saturating_sub(now.saturating_sub(since));
        if left.is_zero() { Standing::Trial } else { Standing::Open { left } }
    }
}

impl Pass<'_> {
    /// The API answered, whatever it said.
    pub fn answered(mut self) {
        self.trials = [false; 2];
        let mut all = self.breakers.failing.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            all.remove(key);
        }
    }

    /// It did not answer, or answered that it cannot.
    pub fn failed(mut self, failure: Failure) {
        let now = self.breakers.clock.monotonic();
        let mut all = self.breakers.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let [of_all, of_one] = &self.keys;
        let (key, was_trial) = match failure {
            Failure::Unreached => (of_all, self.trials[0]),
            Failure::Unanswered => (of_one, self.trials[1]),
        };
        if !all.contains_key(key) && all.len() >= bound::BREAKERS_MAX {
            all.retain(|_, failing| failing.open_since.is_some());
        }
        if all.contains_key(key) || all.len() < bound::BREAKERS_MAX {
            let failing = all.entry(key.clone()).or_default();
            failing.in_a_row = failing.in_a_row.saturating_add(1);
            if was_trial || failing.in_a_row >= bound::BREAKER_FAILURES_MAX {
                failing.open_since = Some(now);
                failing.trying = false;
            }
        }
        // It was reached after all.
        if failure == Failure::Unanswered && self.trials[0] {
            all.remove(of_all);
            self.trials[0] = false;
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trials == [false; 2] {
            return;
        }
        let mut all = self.breakers.failing.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, is_trial) in self.keys.iter().zip(self.trials) {
            if let Some(failing) = all.get_mut(key).filter(|_| is_trial) {
                failing.trying = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    fn ann() -> Arc<str> {
        "token:ann".into()
    }

    fn fail(breakers: &Breakers, connector: &str, failure: Failure) {
        breakers.enter(connector, &ann()).unwrap().failed(failure);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_trial_closes_it() {
        for failure in [Failure::Unreached, Failure::Unanswered] {
            let clock = Arc::new(ManualClock::at(Timestamp(0)));
            let breakers = Breakers::new(clock.clone());
            for _ in 1..bound::BREAKER_FAILURES_MAX {
                fail(&breakers, "zoo", failure);
            }
            breakers.enter("zoo", &ann()).unwrap().answered();
            for failures in 0..bound::BREAKER_FAILURES_MAX {
                assert_eq!(breakers.standing("zoo"), Standing::Closed { failures });
                fail(&breakers, "zoo", failure);
            }
            let open = Duration::from_millis(bound::BREAKER_OPEN_MS);
            assert_eq!(breakers.enter("zoo", &ann()).unwrap_err(), open);
            breakers.enter("other", &ann()).unwrap().answered();
            clock.advance(open);
            assert_eq!(breakers.standing("zoo"), Standing::Trial);
            let trial = breakers.enter("zoo", &ann()).unwrap();
            breakers.enter("zoo", &ann()).unwrap_err();
            drop(trial);
            fail(&breakers, "zoo", failure);
            assert!(matches!(breakers.standing("zoo"), Standing::Open { .. }));
            clock.advance(open);
            breakers.enter("zoo", &ann()).unwrap().answered();
            assert_eq!(breakers.standing("zoo"), Standing::Closed { failures: 0 });
        }
    }

    /// One agent whose calls made an API fail five times shut it for all others.
    #[test]
    fn what_one_principal_makes_fail_stops_that_one_and_an_api_that_is_gone_stops_all() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let breakers = Breakers::new(clock.clone());
        let bob: Arc<str> = "token:bob".into();
        for _ in 0..bound::BREAKER_FAILURES_MAX {
            fail(&breakers, "zoo", Failure::Unanswered);
        }
        breakers.enter("zoo", &ann()).unwrap_err();
        breakers.enter("zoo", &bob).unwrap().answered();
        breakers.enter("zoo", &ann()).unwrap_err();
        assert!(matches!(breakers.standing("zoo"), Standing::Open { .. }));
        for _ in 0..bound::BREAKER_FAILURES_MAX {
            breakers.enter("zoo", &bob).unwrap().failed(Failure::Unreached);
        }
        breakers.enter("zoo", &bob).unwrap_err();
        clock.advance(Duration::from_millis(bound::BREAKER_OPEN_MS));
        // Reached again, with an error for whoever asked: the others may go on.
        fail(&breakers, "zoo", Failure::Unanswered);
        breakers.enter("zoo", &bob).unwrap().answered();
        breakers.enter("zoo", &ann()).unwrap_err();
        breakers.forget("zoo");
        breakers.enter("zoo", &ann()).unwrap().answered();
    }

    #[test]
    fn many_principals_take_no_more_than_so_much_memory() {
        let breakers = Breakers::new(Arc::new(ManualClock::at(Timestamp(0))));
        for number in 0..2 * bound::BREAKERS_MAX {
            let principal = format!("jwt:{number}").into();
            breakers.enter("zoo", &principal).unwrap().failed(Failure::Unanswered);
        }
        assert!(breakers.failing.lock().unwrap().len() <= bound::BREAKERS_MAX);
    }
}
