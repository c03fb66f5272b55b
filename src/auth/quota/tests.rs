//! Who is counted how, over time and over a restart.

use super::*;
use crate::base::clock::ManualClock;
use crate::base::id::SessionId;
use crate::base::principal::Role;
use crate::config::Config;
use crate::config::raw::Raw;

fn rate(per_minute: u32, burst_limit: u32, per_session: u32) -> config::Rate {
    let rate = Config::of(Raw::default()).unwrap().rate;
    config::Rate { per_minute, burst_limit, per_session, ..rate }
}

fn start() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp(1_790_000_000_000)))
}

fn principal(name: &str) -> Principal {
    Principal::token(name, Role::Reader)
}

#[test]
fn a_burst_then_the_pace_and_each_principal_for_itself() {
    let clock = start();
    let quota = Quota::new(rate(60, 3, 1000), clock.clone());
    let (ann, bob) = (principal("ann"), principal("bob"));
    for _ in 0..3 {
        quota.take(&ann, &Handle::Credential).unwrap();
    }
    let over = quota.take(&ann, &Handle::Credential).unwrap_err();
    assert_eq!((over.limit, over.wait), ("rate.burst_limit", Duration::from_secs(1)));
    assert_eq!((over.quota, over.window, over.every), (3, Duration::from_secs(3), Some(Duration::from_secs(1))));
    quota.take(&bob, &Handle::Credential).unwrap();
    clock.advance(over.wait);
    quota.take(&ann, &Handle::Credential).unwrap();
    quota.take(&ann, &Handle::Credential).unwrap_err();
}

/// What a bucket alone would let through: the burst, and then a minute's worth behind it.
#[test]
fn a_burst_and_a_steady_stream_together_stay_below_the_minute() {
    let clock = start();
    let quota = Quota::new(rate(100, 20, 100_000), clock.clone());
    let ann = principal("ann");
    let mut taken = 0;
    for _ in 0..59_000 / 50 {
        taken += u32::from(quota.take(&ann, &Handle::Credential).is_ok());
        clock.advance(Duration::from_millis(50));
    }
    assert_eq!(taken, 100);
    let over = quota.take(&ann, &Handle::Credential).unwrap_err();
    assert_eq!((over.limit, over.quota, over.window), ("rate.per_minute", 100, MINUTE));
    clock.advance(over.wait);
    quota.take(&ann, &Handle::Credential).unwrap();
}

#[test]
fn a_session_has_its_hour_whatever_the_minutes_allow() {
    let clock = start();
    let quota = Quota::new(rate(1_000, 1_000, 5), clock.clone());
    let (ann, connection) = (principal("ann"), Handle::Connection(SessionId::random().unwrap()));
    for _ in 0..5 {
        quota.take(&ann, &connection).unwrap();
        clock.advance(Duration::from_secs(60));
    }
    let over = quota.take(&ann, &connection).unwrap_err();
    assert_eq!((over.limit, over.quota, over.window), ("rate.per_session", 5, HOUR));
    quota.take(&ann, &Handle::Credential).unwrap();
    clock.advance(over.wait);
    quota.take(&ann, &connection).unwrap();
}

#[test]
fn a_refused_call_takes_nothing() {
    let clock = start();
    let quota = Quota::new(rate(10, 10, 3), clock.clone());
    let ann = principal("ann");
    for _ in 0..3 {
        quota.take(&ann, &Handle::Credential).unwrap();
    }
    for _ in 0..100 {
        assert_eq!(quota.take(&ann, &Handle::Credential).unwrap_err().limit, "rate.per_session");
    }
    let other = Handle::Connection(SessionId::random().unwrap());
    for _ in 0..3 {
        quota.take(&ann, &other).unwrap();
    }
}

#[test]
fn of_several_limits_the_one_that_holds_longest_is_told() {
    let clock = start();
    let quota = Quota::new(rate(3, 3, 3), clock.clone());
    let ann = principal("ann");
    for _ in 0..3 {
        quota.take(&ann, &Handle::Credential).unwrap();
    }
    let over = quota.take(&ann, &Handle::Credential).unwrap_err();
    assert_eq!((over.limit, over.quota, over.window, over.every), ("rate.per_session", 3, HOUR, None));
    clock.advance(over.wait);
    quota.take(&ann, &Handle::Credential).unwrap();
}

#[test]
fn tools_with_a_rate_are_counted_by_themselves_and_others_are_not() {
    let mut limits = rate(1_000, 1_000, 1_000);
    limits.per_tool = vec![("search_documents".into(), 2)];
    let quota = Quota::new(limits, start());
    let ann = principal("ann");
    for _ in 0..2 {
        quota.take_tool(&ann, "search_documents").unwrap();
    }
    assert_eq!(quota.take_tool(&ann, "search_documents").unwrap_err().limit, "rate.per_tool");
    quota.take_tool(&principal("bob"), "search_documents").unwrap();
    for _ in 0..100 {
        quota.take_tool(&ann, "read_document").unwrap();
    }
}

#[test]
fn addresses_are_counted_by_subscriber_and_loopback_generously() {
    let mut limits = rate(1_000, 1_000, 1_000);
    limits.per_address = 2;
    let quota = Quota::new(limits, start());
    let take = |address: &str| quota.take_address(address.parse().unwrap());
    take("203.0.113.7").unwrap();
    take("::ffff:203.0.113.7").unwrap();
    assert_eq!(take("203.0.113.7").unwrap_err().limit, "rate.per_address");
    take("203.0.113.8").unwrap();
    take("2001:db8::1").unwrap();
    take("2001:db8::ffff").unwrap();
    take("2001:db8::2:3").unwrap_err();
    take("2001:db8:0:1::1").unwrap();
    for _ in 0..2 * bound::LOOPBACK_RATE_FACTOR {
        take("127.0.0.1").unwrap();
    }
    take("127.0.0.1").unwrap_err();
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_back() {
    /// Its wall time is what the test says.
    #[derive(Debug)]
    struct Wound(Mutex<u64>);
    impl Clock for Wound {
        fn now(&self) -> Timestamp {
            Timestamp(*self.0.lock().unwrap())
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(5)
        }
    }
    let clock = Arc::new(Wound(Mutex::new(1_790_000_000_000)));
    let quota = Quota::new(rate(2, 2, 100), clock.clone());
    let ann = principal("ann");
    quota.take(&ann, &Handle::Credential).unwrap();
    quota.take(&ann, &Handle::Credential).unwrap();
    *clock.0.lock().unwrap() += 3_600_000;
    quota.take(&ann, &Handle::Credential).unwrap_err();
}

#[test]
fn counts_that_are_as_good_as_none_are_dropped() {
    let clock = start();
    let quota = Quota::new(rate(10, 10, 10), clock.clone());
    quota.take(&principal("ann"), &Handle::Credential).unwrap();
    clock.advance(2 * MINUTE);
    quota.sweep();
    assert_eq!(quota.lock().take_dirty(10).len(), 1, "the session's hour is not over");
    clock.advance(2 * HOUR);
    quota.sweep();
    assert_eq!(quota.lock().take_dirty(10).len(), 1, "a deletion");
}
