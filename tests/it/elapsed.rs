//! What time changes, over a real socket and by a clock in the test's hand: ids, rates, sessions, bans, tokens.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, behind_a_proxy, reasons};
use crate::harness::{Installation, Reply};
use crate::identify::{bearer, is_known, issue};
use crate::timed::{Timed, clock};

const MINUTE: Duration = Duration::from_mins(1);

fn own(installation: &Installation) -> Client {
    Client::with(&installation.token())
}

/// The short ids of a principal's sessions.
fn shorts(installation: &Installation, principal: &str) -> Vec<String> {
    let listed = installation.json(&["session", "list"])["items"].as_array().unwrap().clone();
    let of = |item: &Value| item["session"].as_str().unwrap().to_owned();
    listed.iter().filter(|item| item["principal"] == principal).map(of).collect()
}

fn wait_of(reply: &Reply) -> Duration {
    assert_eq!(reply.status, 429, "{}", reply.body);
    Duration::from_secs(reply.header("retry-after").unwrap().parse().unwrap())
}

#[test]
fn a_session_changes_its_id_at_each_interval_while_its_handle_goes_on_and_a_restart_keeps_that() {
    let mut installation = Installation::new();
    installation.set("SESSION_ROTATION_MINUTES", "20");
    let (ann, clock) = (own(&installation), clock());
    let timed = Timed::start(&installation, &clock);
    let session = ann.begin(&timed.server);
    assert_eq!(ann.list(&timed.server, &session).status, 200);
    let first = shorts(&installation, "token:quickstart");
    timed.pass(14 * MINUTE);
    assert_eq!(ann.list(&timed.server, &session).status, 200);
    assert_eq!(shorts(&installation, "token:quickstart"), first, "not yet");
    timed.pass(7 * MINUTE);
    assert_eq!(ann.list(&timed.server, &session).status, 200, "under the same Mcp-Session-Id");
    let second = shorts(&installation, "token:quickstart");
    assert_eq!(second.len(), 1);
    assert_ne!(second, first);
    assert_eq!(reasons(&installation, &format!("rotated; it was {}", first[0])), 1);
    timed.stop();

    let timed = Timed::start(&installation, &clock);
    assert_eq!(ann.list(&timed.server, &session).status, 200);
    assert_eq!(shorts(&installation, "token:quickstart"), second, "a restart neither forgets nor repeats it");
    timed.pass(14 * MINUTE);
    assert_eq!(ann.list(&timed.server, &session).status, 200);
    timed.pass(6 * MINUTE);
    assert_eq!(ann.list(&timed.server, &session).status, 200);
    let third = shorts(&installation, "token:quickstart");
    assert_ne!(third, second);
    // Whoever listed it before the rotation means this session.
    assert_eq!(installation.json(&["session", "end", &second[0]])["ended"].as_array().unwrap().len(), 1);
    assert_eq!(shorts(&installation, "token:quickstart"), [""; 0]);
    timed.stop();
    installation.verify();
}

#[test]
fn a_ban_on_the_id_from_before_a_rotation_holds() {
    let mut installation = Installation::new();
    installation.set("SESSION_ROTATION_MINUTES", "5");
    let (ann, clock) = (own(&installation), clock());
    let timed = Timed::start(&installation, &clock);
    assert_eq!(ann.call(&timed.server, "list_libraries").status, 200);
    let first = shorts(&installation, "token:quickstart");
    timed.pass(6 * MINUTE);
    assert_eq!(ann.call(&timed.server, "list_libraries").status, 200);
    assert_ne!(shorts(&installation, "token:quickstart"), first);
    installation.json(&["ban", "add", "session", &first[0]]);
    let refused = ann.call(&timed.server, "list_libraries");
    assert_eq!(refused.message()["error"]["data"]["code"], "forbidden", "{}", refused.body);
    installation.json(&["ban", "lift", "session", &first[0]]);
    assert_eq!(ann.call(&timed.server, "list_libraries").status, 200);
    timed.stop();
}

#[test]
fn a_session_that_is_idle_or_too_old_ends_and_its_client_begins_anew() {
    let installation = Installation::new();
    let (ann, clock) = (own(&installation), clock());
    let timed = Timed::start(&installation, &clock);
    let idle = ann.begin(&timed.server);
    timed.pass(16 * MINUTE);
    assert_eq!(ann.list(&timed.server, &idle).status, 404);
    let old = ann.begin(&timed.server);
    for _ in 0..6 {
        assert_eq!(ann.list(&timed.server, &old).status, 200);
        timed.pass(10 * MINUTE);
    }
    timed.pass(Duration::from_secs(1));
    assert_eq!(ann.list(&timed.server, &old).status, 404, "its time is over, though it was in use");
    let again = ann.begin(&timed.server);
    assert_eq!(ann.list(&timed.server, &again).status, 200);
    assert_eq!(reasons(&installation, "ended: idle for too long"), 1);
    timed.stop();
}

#[test]
fn each_rate_comes_back_when_it_said_and_not_before() {
    let check = |settings: &[(&str, &str)], allowed: usize, limit: &str| {
        let mut installation = Installation::new();
        for (name, value) in settings {
            installation.set(name, value);
        }
        let (ann, clock) = (own(&installation), clock());
        let timed = Timed::start(&installation, &clock);
        let call = || ann.call(&timed.server, "list_libraries");
        for _ in 0..allowed {
            assert_eq!(call().status, 200);
        }
        let refused = call();
        assert!(refused.header("ratelimit").unwrap().starts_with(&format!("\"{limit}\"")), "{refused:?}");
        let wait = wait_of(&refused);
        timed.clock.advance(wait.saturating_sub(Duration::from_secs(1)));
        assert_eq!(call().status, 429, "{limit}: not yet");
        timed.clock.advance(Duration::from_secs(1));
        assert_eq!(call().status, 200, "{limit}: as it said");
        timed.stop();
    };
    check(&[("RATE_PER_MINUTE", "3")], 3, "rate.per_minute");
    check(&[("RATE_PER_MINUTE", "6"), ("RATE_BURST_LIMIT", "2")], 2, "rate.burst_limit");
    check(&[("RATE_PER_SESSION", "3")], 3, "rate.per_session");
    // Loopback may ask ten times as often.
    check(&[("RATE_PER_ADDRESS", "1")], 10, "rate.per_address");
}

#[test]
fn the_rate_of_a_tool_comes_back() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_TOOL", "[\"list_libraries=1\"]");
    let (ann, clock) = (own(&installation), clock());
    let timed = Timed::start(&installation, &clock);
    let code = || ann.call(&timed.server, "list_libraries").message()["error"]["data"]["code"].clone();
    assert_eq!(code(), Value::Null);
    assert_eq!(code(), "too_many_requests");
    timed.pass(MINUTE + Duration::from_secs(1));
    assert_eq!(code(), Value::Null);
    timed.stop();
}

#[test]
fn a_ban_ends_with_its_time_and_the_next_one_is_twice_as_long() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    installation.set("BAN_AUTHENTICATION_FAILURES", "2");
    let (ann, clock) = (own(&installation).from("203.0.113.7"), clock());
    let wrong = Client::with(&format!("sks_{}", "0".repeat(64))).from("203.0.113.7");
    let timed = Timed::start(&installation, &clock);
    let fail = || (0..2).for_each(|_| assert_eq!(wrong.call(&timed.server, "list_libraries").status, 401));
    let status = || ann.call(&timed.server, "list_libraries").status;
    fail();
    assert_eq!(status(), 403);
    timed.pass(14 * MINUTE);
    assert_eq!(status(), 403);
    timed.pass(2 * MINUTE);
    assert_eq!(status(), 200);
    fail();
    timed.pass(16 * MINUTE);
    assert_eq!(status(), 403);
    timed.pass(15 * MINUTE);
    assert_eq!(status(), 200);
    // Failures that lie too far apart are none.
    assert_eq!(wrong.call(&timed.server, "list_libraries").status, 401);
    timed.pass(16 * MINUTE);
    assert_eq!(wrong.call(&timed.server, "list_libraries").status, 401);
    assert_eq!(status(), 200);
    timed.stop();
}

#[test]
fn a_token_expires_in_the_middle_of_its_use() {
    let installation = Installation::new();
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    let (key, _) = issue(&installation, &["day", "--expires-days", "1"]);
    let (jwt, _) = issue(&installation, &["robot", "--role", "reader", "--jwt"]);
    let client = Client::with(&key);
    let session = client.begin(&timed.server);
    assert!(is_known(&timed.server, &bearer(&jwt)));
    assert_eq!(client.list(&timed.server, &session).status, 200);
    timed.clock.advance(61 * MINUTE);
    assert!(!is_known(&timed.server, &bearer(&jwt)), "an hour, and half a minute for clocks that differ");
    let session = client.begin(&timed.server);
    timed.clock.advance(Duration::from_hours(23));
    assert_eq!(client.list(&timed.server, &session).status, 401);
    assert_eq!(client.initialize(&timed.server).status, 401);
    let expired = installation.json(&["token", "list"]);
    assert!(expired["items"].as_array().unwrap().iter().any(|item| item["expired"] == json!(true)), "{expired}");
    timed.stop();
}
