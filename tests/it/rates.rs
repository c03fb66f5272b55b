//! Rates over a real socket: by principal, session, tool and address, and that a restart gives none of it back.

use serde_json::json;

use crate::client::{Client, behind_a_proxy, issue};
use crate::harness::{Installation, Reply, Server};

fn own(installation: &Installation) -> Client {
    Client::with(&installation.token())
}

/// It is refused, and says when to come back.
fn check_over(reply: &Reply, limit: &str, quota: u64, window: u64) {
    assert_eq!(reply.status, 429, "{}", reply.body);
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=window + 61).contains(&seconds), "{seconds}");
    assert_eq!(reply.header("ratelimit-policy"), Some(format!("\"{limit}\";q={quota};w={window}").as_str()));
    assert_eq!(reply.header("ratelimit"), Some(format!("\"{limit}\";r=0;t={seconds}").as_str()));
    let data = &reply.message()["error"]["data"];
    assert_eq!((&data["code"], &data["limit"]), (&json!("too_many_requests"), &json!(limit)));
    assert_eq!((&data["quota"], &data["windowSeconds"]), (&json!(quota), &json!(window)));
    let wait_ms = data["retryAfterMs"].as_u64().unwrap();
    assert!(wait_ms > 0 && wait_ms <= seconds * 1000, "{data}");
    let text = reply.message()["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains(&format!("Come back in {seconds} s; the limit is {limit} ({quota} ")), "{text}");
}

fn passes(client: &Client, server: &Server, times: usize) {
    for _ in 0..times {
        let reply = client.call(server, "list_libraries");
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

#[test]
fn a_minute_of_a_principal_is_bounded_and_a_restart_gives_nothing_back() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_MINUTE", "4");
    let (ann, bob) = (own(&installation), issue(&installation, "bob"));
    let server = installation.serve();
    passes(&ann, &server, 4);
    check_over(&ann.call(&server, "list_libraries"), "rate.per_minute", 4, 60);
    passes(&bob, &server, 1);
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    check_over(&ann.call(&server, "list_libraries"), "rate.per_minute", 4, 60);
    passes(&bob, &server, 3);
    check_over(&bob.call(&server, "list_libraries"), "rate.per_minute", 4, 60);
}

#[test]
fn calls_at_once_are_bounded() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_MINUTE", "10");
    installation.set("RATE_BURST_LIMIT", "3");
    let ann = own(&installation);
    let server = installation.serve();
    passes(&ann, &server, 3);
    let refused = ann.call(&server, "list_libraries");
    check_over(&refused, "rate.burst_limit", 3, 18);
    let text = refused.message()["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Too many calls at once of this principal."), "{text}");
    assert!(text.ends_with("(3 at once, then one every 6 s)."), "{text}");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 6, "one comes back, not the minute");
}

/// What a new installation has: 20 at once, and not a word of the 100 of a minute.
#[test]
fn the_default_burst_is_named_as_it_is() {
    let mut installation = Installation::new();
    for (name, value) in [("PER_MINUTE", "100"), ("BURST_LIMIT", "20"), ("PER_SESSION", "2000")] {
        installation.set(&format!("RATE_{name}"), value);
    }
    let ann = own(&installation);
    let server = installation.serve();
    let refused = std::iter::repeat_with(|| ann.call(&server, "list_libraries")).find(|reply| reply.status == 429);
    let refused = refused.unwrap();
    check_over(&refused, "rate.burst_limit", 20, 12);
    assert!(refused.body.contains("20 at once, then one every 0.6 s"), "{}", refused.body);
    assert!(!refused.body.contains("100"), "{}", refused.body);
}

#[test]
fn an_hour_of_a_session_is_bounded_and_a_restart_gives_nothing_back() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_SESSION", "3");
    let ann = own(&installation);
    let server = installation.serve();
    passes(&ann, &server, 3);
    check_over(&ann.call(&server, "list_libraries"), "rate.per_session", 3, 3600);
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    check_over(&ann.call(&server, "list_libraries"), "rate.per_session", 3, 3600);
    // The session of an older protocol is another one.
    let session = ann.begin(&server);
    assert_eq!(ann.list(&server, &session).status, 200);
    check_over(&ann.list(&server, &session), "rate.per_session", 3, 3600);
}

#[test]
fn a_tool_may_have_a_rate_of_its_own() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_TOOL", "[\"list_libraries=2\"]");
    let ann = own(&installation);
    let check = |server: &Server| {
        let refused = ann.call(server, "list_libraries");
        let data = refused.message()["error"]["data"].clone();
        assert_eq!((&data["code"], &data["limit"]), (&json!("too_many_requests"), &json!("rate.per_tool")));
        assert!(refused.body.contains("Too many calls of this tool. Come back in"), "{}", refused.body);
        assert!(refused.body.contains("(2 within 60 s)"), "{}", refused.body);
        assert!((1..=61_000).contains(&data["retryAfterMs"].as_u64().unwrap()), "{data}");
        let other = ann.modern(server, "tools/call", json!({"name": "search_documents", "arguments": {"query": "a"}}));
        assert!(other.message()["result"].is_object(), "{}", other.body);
    };
    let server = installation.serve();
    passes(&ann, &server, 2);
    check(&server);
    assert_eq!(server.terminate(), Some(0));
    check(&installation.serve());
}

#[test]
fn an_address_is_bounded_before_anybody_is_recognised() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    installation.set("RATE_PER_ADDRESS", "2");
    let (ann, nobody) = (own(&installation), Client::with("nonsense"));
    let server = installation.serve();
    let from = |client: &Client, host: u8| client.from(&format!("203.0.113.{host}")).call(&server, "list_libraries");
    assert_eq!(from(&nobody, 7).status, 401);
    assert_eq!(from(&ann, 7).status, 200);
    check_over(&from(&ann, 7), "rate.per_address", 2, 60);
    assert_eq!(from(&ann, 8).status, 200);
    // Loopback is counted generously, and whoever is at this machine not at all.
    passes(&ann, &server, 20);
    check_over(&ann.call(&server, "list_libraries"), "rate.per_address", 20, 60);
    let mut client = installation.stdio();
    for _ in 0..30 {
        assert!(client.call("list_libraries", json!({}))["result"].is_object());
    }
}

#[test]
fn an_agent_over_stdio_is_counted_and_the_operator_is_not() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_MINUTE", "3");
    let server = installation.serve();
    let mut client = installation.stdio();
    for _ in 0..2 {
        assert!(client.call("list_libraries", json!({}))["result"].is_object());
    }
    let refused = client.call("list_libraries", json!({}));
    let data = &refused["error"]["data"];
    assert_eq!((&data["code"], &data["limit"]), (&json!("too_many_requests"), &json!("rate.per_minute")), "{refused}");
    assert!(data["retryAfterMs"].as_u64().unwrap() > 0);
    for _ in 0..10 {
        installation.json(&["session", "list"]);
    }
    drop(server);
}
