//! How often a principal may call: one token bucket each (GCRA), in memory.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota as GovernorQuota, RateLimiter};

use crate::base::bound;
use crate::base::clock::Clock;
use crate::config::Rate;

type Limiter = RateLimiter<Arc<str>, HashMapStateStore<Arc<str>>, OurClock, NoOpMiddleware<Duration>>;

/// The buckets of all principals.
pub struct Quota {
    limiter: Limiter,
    clock: OurClock,
}

impl std::fmt::Debug for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quota")
    }
}

impl Quota {
    pub fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        let at_least_one = |value: u32| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
        let quota =
            GovernorQuota::per_minute(at_least_one(rate.per_minute)).allow_burst(at_least_one(rate.burst_limit));
        let clock = OurClock(clock);
        Self { limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()), clock }
    }

    /// Takes one call from the bucket of `principal`, or says when there will be one.
    pub fn take(&self, principal: &Arc<str>) -> Result<(), Duration> {
        // Buckets that are full again are as good as none.
        if self.limiter.len() > bound::QUOTA_PRINCIPALS_MAX {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(principal).map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// Our clock as governor wants it.
#[derive(Clone, Debug)]
struct OurClock(Arc<dyn Clock>);

impl GovernorClock for OurClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    #[test]
    fn a_burst_then_the_average_and_each_principal_for_itself() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let quota = Quota::new(Rate { per_minute: 60, burst_limit: 3 }, clock.clone());
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        for _ in 0..3 {
            quota.take(&ann).unwrap();
        }
        let wait = quota.take(&ann).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        quota.take(&bob).unwrap();
        clock.advance(wait);
        quota.take(&ann).unwrap();
        quota.take(&ann).unwrap_err();
    }
}
