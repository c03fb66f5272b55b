//! Leaves an API alone that fails again and again: after some failures in a row calls are refused at once, until one
//! trial after a while shows that it is back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::bound::connector as bound;
use crate::base::clock::Clock;

/// The breakers of all connectors, by name.
#[derive(Debug)]
pub struct Breakers {
    clock: Arc<dyn Clock>,
    /// Held for a look-up, never across an await. Only connectors that failed are in it.
    failing: Mutex<HashMap<String, Failing>>,
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
}

/// A call that may go through. Dropped without a word, as when its caller withdraws it, it says nothing of the API.
#[derive(Debug)]
pub struct Pass<'a> {
    breakers: &'a Breakers,
    name: &'a str,
    is_trial: bool,
    is_told: bool,
}

impl Breakers {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, failing: Mutex::default() }
    }

    pub fn standing(&self, name: &str) -> Standing {
        let now = self.clock.monotonic();
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.get(name).map_or(Standing::Closed { failures: 0 }, |failing| failing.standing(now))
    }

    /// Lets a call through, or says how long it is to wait.
    pub fn enter<'a>(&'a self, name: &'a str) -> Result<Pass<'a>, Duration> {
        let now = self.clock.monotonic();
        let mut all = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let pass = |is_trial| Pass { breakers: self, name, is_trial, is_told: false };
        let Some(failing) = all.get_mut(name) else { return Ok(pass(false)) };
        match failing.standing(now) {
            Standing::Closed { .. } => Ok(pass(false)),
            Standing::Open { left } => Err(left),
            Standing::Trial if failing.trying => Err(Duration::from_millis(bound::CALL_RETRY_MS)),
            Standing::Trial => {
                failing.trying = true;
                Ok(pass(true))
            }
        }
    }

    /// Another connector may get its name.
    pub fn forget(&self, name: &str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
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
        self.is_told = true;
        self.breakers.forget(self.name);
    }

    /// It did not answer, or answered that it cannot.
    pub fn failed(mut self) {
        self.is_told = true;
        let now = self.breakers.clock.monotonic();
        let mut all = self.breakers.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = all.entry(self.name.to_owned()).or_default();
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        if self.is_trial || failing.in_a_row >= bound::BREAKER_FAILURES_MAX {
            failing.open_since = Some(now);
            failing.trying = false;
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_trial && !self.is_told {
            let mut all = self.breakers.failing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(failing) = all.get_mut(self.name) {
                failing.trying = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_trial_closes_it() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let breakers = Breakers::new(clock.clone());
        for _ in 1..bound::BREAKER_FAILURES_MAX {
            breakers.enter("zoo").unwrap().failed();
        }
        breakers.enter("zoo").unwrap().answered();
        for failures in 0..bound::BREAKER_FAILURES_MAX {
            assert_eq!(breakers.standing("zoo"), Standing::Closed { failures });
            breakers.enter("zoo").unwrap().failed();
        }
        assert_eq!(breakers.enter("zoo").unwrap_err(), Duration::from_millis(bound::BREAKER_OPEN_MS));
        breakers.enter("other").unwrap().answered();
        clock.advance(Duration::from_millis(bound::BREAKER_OPEN_MS));
        assert_eq!(breakers.standing("zoo"), Standing::Trial);
        let trial = breakers.enter("zoo").unwrap();
        breakers.enter("zoo").unwrap_err();
        drop(trial);
        breakers.enter("zoo").unwrap().failed();
        assert!(matches!(breakers.standing("zoo"), Standing::Open { .. }));
        clock.advance(Duration::from_millis(bound::BREAKER_OPEN_MS));
        breakers.enter("zoo").unwrap().answered();
        assert_eq!(breakers.standing("zoo"), Standing::Closed { failures: 0 });
    }
}
