//! How often a host is asked: never twice within the least time between two requests.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::bound::web as bound;

/// By host, when it may be asked again.
#[derive(Debug, Default)]
pub(in crate::library) struct Pace {
    next: HashMap<String, Duration>,
}

impl Pace {
    /// How long to wait before `host` is asked, at `now` of a clock that never goes back. The place is taken.
    pub(super) fn wait(&mut self, host: &str, delay: Option<Duration>, now: Duration) -> Duration {
        let between = delay.unwrap_or_default().max(Duration::from_millis(bound::WEB_BETWEEN_MS));
        let at = self.next.get(host).copied().unwrap_or_default().max(now);
        self.next.retain(|_, at| *at > now);
        self.next.insert(host.to_owned(), at + between);
        at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock as _, ManualClock, Timestamp};

    #[test]
    fn a_host_is_asked_three_times_in_a_second_and_others_meanwhile() {
        let clock = ManualClock::at(Timestamp(0));
        let mut pace = Pace::default();
        let mut asked = 0;
        while clock.monotonic() < Duration::from_secs(10) {
            clock.advance(pace.wait("a", None, clock.monotonic()));
            asked += 1;
        }
        assert!((30..=31).contains(&asked), "{asked}");
        assert_eq!(pace.wait("b", None, clock.monotonic()), Duration::ZERO);
        assert!(pace.wait("a", None, clock.monotonic()) > Duration::ZERO);
    }

    #[test]
    fn a_host_that_asks_for_more_time_is_given_it() {
        let mut pace = Pace::default();
        let delay = Some(Duration::from_secs(3));
        assert_eq!(pace.wait("a", delay, Duration::ZERO), Duration::ZERO);
        assert_eq!(pace.wait("a", delay, Duration::from_secs(1)), Duration::from_secs(2));
    }
}
