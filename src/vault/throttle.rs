//! Patience with wrong secrets: each makes the next try wait twice as long.

use std::time::Duration;

use super::VaultError;
use crate::base::bound;

/// Counts wrong secrets in a row. Time is the clock's monotonic one, so that setting the clock opens nothing.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Wrong ones since the last right one.
    failures: u32,
    /// When the next try is looked at.
    next: Duration,
}

impl Throttle {
    /// Whether a try is looked at now. If not, nothing may be derived, and the error says how long to wait.
    pub fn admit(&self, now: Duration) -> Result<(), VaultError> {
        match self.next.checked_sub(now) {
            Some(wait) if !wait.is_zero() => Err(VaultError::TooSoon { wait }),
            _ => Ok(()),
        }
    }

    /// The secret was wrong: wait 1 s, 2 s, 4 s, and so on up to [`bound::UNSEAL_WAIT_SECONDS_MAX`].
    pub fn failed(&mut self, now: Duration) {
        let seconds = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX).min(bound::UNSEAL_WAIT_SECONDS_MAX);
        self.failures = self.failures.saturating_add(1).min(u64::BITS - 1);
        self.next = now.saturating_add(Duration::from_secs(seconds));
    }

    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_ms(throttle: &Throttle, now: Duration) -> u128 {
        match throttle.admit(now) {
            Ok(()) => 0,
            Err(VaultError::TooSoon { wait }) => wait.as_millis(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn each_wrong_secret_doubles_the_wait_up_to_a_minute() {
        let mut throttle = Throttle::default();
        let mut now = Duration::from_secs(5);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().chain([60; 100]) {
            assert_eq!(wait_ms(&throttle, now), 0);
            throttle.failed(now);
            assert_eq!(wait_ms(&throttle, now), seconds * 1000);
            now += Duration::from_millis(300);
            assert_eq!(wait_ms(&throttle, now), seconds * 1000 - 300);
            now += Duration::from_secs(60);
        }
    }

    #[test]
    fn a_right_secret_forgets_the_wrong_ones() {
        let mut throttle = Throttle::default();
        throttle.failed(Duration::ZERO);
        throttle.failed(Duration::from_secs(1));
        throttle.succeeded();
        assert_eq!(wait_ms(&throttle, Duration::from_secs(1)), 0);
        throttle.failed(Duration::from_secs(1));
        assert_eq!(wait_ms(&throttle, Duration::from_secs(1)), 1000);
    }

    #[test]
    fn the_wait_is_told_in_whole_seconds_rounded_up() {
        let error = VaultError::TooSoon { wait: Duration::from_millis(1001) };
        assert!(error.to_string().contains("in 2 s"), "{error}");
    }
}
