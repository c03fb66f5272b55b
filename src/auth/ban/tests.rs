//! Who is banned, for how long, and who never is.

use super::*;
use crate::base::clock::ManualClock;
use crate::base::principal::Role;
use crate::config::Config;
use crate::config::raw::Raw;

const MINUTE: Duration = Duration::from_secs(60);

fn bans() -> (Arc<ManualClock>, Bans) {
    let clock = Arc::new(ManualClock::at(Timestamp(1_790_000_000_000)));
    let settings = Config::of(Raw::default()).unwrap().ban;
    (clock.clone(), Bans::new(settings, vec![Network::parse("10.0.0.0/8").unwrap()], clock))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ban(bans: &Bans, kind: &str, name: &str, length: Option<Duration>) -> Result<(), BanError> {
    let target = Target::parse(kind, name)?;
    let (record, _) = bans.add(&target, "a test", length, "local:1")?;
    bans.added(target, record);
    Ok(())
}

/// Failures until there is a ban, and its length.
fn strike(bans: &Bans, address: &str) -> Option<(usize, Duration)> {
    (1..20).find_map(|count| bans.failed(ip(address)).map(|struck| (count, struck.length)))
}

#[test]
fn the_fifth_failure_within_a_quarter_of_an_hour_bans_the_address() {
    let (clock, bans) = bans();
    for _ in 0..4 {
        assert!(bans.failed(ip("203.0.113.7")).is_none());
        clock.advance(MINUTE);
    }
    assert!(bans.of_address(ip("203.0.113.7")).is_none());
    let struck = bans.failed(ip("203.0.113.7")).unwrap();
    assert_eq!((struck.failures, struck.length, struck.rows.len()), (5, 15 * MINUTE, 1));
    assert_eq!(bans.of_address(ip("203.0.113.7")).unwrap().wait, Some(15 * MINUTE));
    assert!(bans.of_address(ip("203.0.113.8")).is_none());
    clock.advance(15 * MINUTE);
    assert!(bans.of_address(ip("203.0.113.7")).is_none());
}

#[test]
fn failures_that_are_far_apart_ban_nobody() {
    let (clock, bans) = bans();
    for _ in 0..50 {
        assert!(bans.failed(ip("203.0.113.7")).is_none());
        clock.advance(4 * MINUTE);
    }
}

#[test]
fn each_further_ban_is_twice_as_long_up_to_the_bound_and_a_quiet_day_is_forgiven() {
    let (clock, bans) = bans();
    let mut lengths = Vec::new();
    for _ in 0..9 {
        let (count, length) = strike(&bans, "203.0.113.7").unwrap();
        assert_eq!(count, 5);
        lengths.push(length.as_secs() / 60);
        clock.advance(length);
    }
    assert_eq!(lengths, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
    clock.advance(Duration::from_secs(bound::BAN_MEMORY_SECONDS));
    assert_eq!(bans.sweep().len(), 1);
    assert_eq!(strike(&bans, "203.0.113.7"), Some((5, 15 * MINUTE)));
}

#[test]
fn loopback_and_trusted_proxies_are_never_banned_for_failures() {
    let (_, bans) = bans();
    for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "10.3.4.5"] {
        assert_eq!(strike(&bans, address), None, "{address}");
    }
}

#[test]
fn a_subscriber_of_ipv6_is_banned_with_all_addresses() {
    let (_, bans) = bans();
    for host in 1..5 {
        assert!(bans.failed(ip(&format!("2001:db8::{host}"))).is_none());
    }
    assert_eq!(bans.failed(ip("2001:db8::ffff")).unwrap().network.to_string(), "2001:db8::/64");
    assert!(bans.of_address(ip("2001:db8::1234")).is_some());
    assert!(bans.of_address(ip("2001:db8:0:1::1")).is_none());
}

#[test]
fn an_operator_bans_and_lifts_all_kinds() {
    let (clock, bans) = bans();
    let ann = Principal::token("ann", Role::Reader);
    let is_banned = |kind: &str| match kind {
        "address" => bans.of_address(ip("203.0.113.99")).is_some(),
        "session" => bans.of_session("0123456789ab").is_some(),
        _ => bans.of_principal(&ann).is_some(),
    };
    let targets = [
        ("address", "203.0.113.0/24"),
        ("address", "203.0.113.99"),
        ("principal", "token:ann"),
        ("session", "0123456789AB"),
        ("credential", "token:ann"),
    ];
    for (kind, name) in targets {
        assert!(!is_banned(kind), "{kind} {name}");
        ban(&bans, kind, name, Some(MINUTE)).unwrap();
        assert!(is_banned(kind), "{kind} {name}");
        clock.advance(MINUTE);
        assert!(!is_banned(kind), "{kind} {name} is over");
        ban(&bans, kind, name, None).unwrap();
        clock.advance(10_000 * MINUTE);
        assert!(is_banned(kind), "{kind} {name} has no end");
        let target = Target::parse(kind, name).unwrap();
        assert_eq!(bans.list().0[0].0, target);
        assert!(bans.lift(&target).is_some());
        bans.lifted(&target);
        assert!(!is_banned(kind), "{kind} {name} was lifted");
        assert!(bans.lift(&target).is_none());
    }
    assert_eq!(bans.list().1, 0);
}

#[test]
fn what_cannot_be_banned_is_refused() {
    let (_, bans) = bans();
    let check = |kind: &str, name: &str, expect: &str| {
        let error = ban(&bans, kind, name, None).unwrap_err().to_string();
        assert!(error.contains(expect), "{kind} {name}: {error}");
    };
    check("address", "127.0.0.1", "never banned");
    check("address", "::1", "never banned");
    check("address", "127.0.0.0/9", "never banned");
    check("address", "0.0.0.0/0", "wider");
    check("address", "2001::/15", "wider");
    check("address", "example.org", "no address");
    check("principal", "local:0", "never banned");
    check("principal", "", "no name");
    check("planet", "mars", "can be banned");
}

#[test]
fn loopback_passes_a_ban_that_covers_everybody() {
    let (_, bans) = bans();
    let target = Target::Address(Network::parse("0.0.0.0/0").unwrap());
    let record = BanRecord { reason: String::new(), made: Timestamp(0), until: None, by: None, strikes: 0 };
    bans.added(target, record);
    assert!(bans.of_address(ip("127.0.0.1")).is_none());
    assert!(bans.of_address(ip("192.0.2.1")).is_some());
}

#[test]
fn every_target_is_read_from_its_row() {
    for (kind, name) in [("address", "203.0.113.0/24"), ("address", "2001:db8::1"), ("principal", "jwt:a/b")] {
        let target = Target::parse(kind, name).unwrap();
        assert_eq!(Target::of_row(target.row().as_bytes()), Some(target));
    }
}

#[test]
fn a_flood_of_addresses_is_bounded() {
    let (_, bans) = bans();
    for number in 0..u32::try_from(bound::BAN_SUSPECTS_MAX).unwrap() + 10 {
        bans.failed(IpAddr::V4((0xcb00_0000 + number).into()));
    }
    assert!(bans.sweep().is_empty());
}
