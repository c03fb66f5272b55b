//! Bans over a real socket: made by failures and by the operator, lifted, and that a restart lifts none.

use serde_json::{Value, json};

use crate::client::{Client, behind_a_proxy, issue, reasons};
use crate::harness::{Installation, Reply, Server, text};

fn own(installation: &Installation) -> Client {
    Client::with(&installation.token())
}

fn check_banned(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 403, "{}", reply.body);
    let message = reply.message()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("This {what} is banned")), "{message}");
}

fn list(installation: &Installation) -> Vec<Value> {
    installation.json(&["ban", "list"])["items"].as_array().unwrap().clone()
}

#[test]
fn failed_authentications_ban_the_address_and_a_restart_does_not_lift_it() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    installation.set("BAN_AUTHENTICATION_FAILURES", "3");
    let ann = own(&installation);
    let wrong = Client::with(&format!("sks_{}", "0".repeat(64)));
    let server = installation.serve();
    let from = |server: &Server, client: &Client, host: &str| client.from(host).call(server, "list_libraries");
    for _ in 0..2 {
        assert_eq!(from(&server, &wrong, "203.0.113.7").status, 401);
    }
    assert_eq!(from(&server, &ann, "203.0.113.7").status, 200, "not yet");
    assert_eq!(from(&server, &wrong, "203.0.113.7").status, 401);
    let check = |server: &Server| {
        let banned = from(server, &ann, "203.0.113.7");
        check_banned(&banned, "address");
        let seconds: u64 = banned.header("retry-after").unwrap().parse().unwrap();
        assert!((800..=901).contains(&seconds), "{seconds}");
        assert_eq!(from(server, &ann, "203.0.113.8").status, 200);
    };
    check(&server);
    assert_eq!(reasons(&installation, "the address is banned for 15 min after 3 failed authentications"), 1);
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    check(&server);
    let bans = list(&installation);
    assert_eq!((bans.len(), &bans[0]["name"], &bans[0]["by"]), (1, &json!("203.0.113.7"), &json!("sekisho")));
    installation.json(&["ban", "lift", "address", "203.0.113.7"]);
    assert_eq!(from(&server, &ann, "203.0.113.7").status, 200);
    assert_eq!(list(&installation).len(), 0);
    assert_eq!(installation.run(&["ban", "lift", "address", "203.0.113.7"]).status.code(), Some(66));
    installation.verify();
}

#[test]
fn whoever_shows_nothing_and_whoever_is_at_this_machine_is_not_banned() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    installation.set("BAN_AUTHENTICATION_FAILURES", "1");
    let server = installation.serve();
    let nothing = [("Host", "localhost"), ("X-Forwarded-For", "203.0.113.7")];
    for _ in 0..3 {
        assert_eq!(server.raw("POST", "/mcp", &nothing, "{}").status, 401);
    }
    let wrong = Client::with("nonsense");
    for _ in 0..10 {
        assert_eq!(wrong.call(&server, "list_libraries").status, 401, "from loopback");
    }
    assert_eq!(own(&installation).from("203.0.113.7").call(&server, "list_libraries").status, 200);
    assert_eq!(list(&installation).len(), 0);
}

#[test]
fn an_address_that_nobody_trusted_names_is_ignored() {
    let mut installation = Installation::new();
    installation.set("BAN_AUTHENTICATION_FAILURES", "1");
    let server = installation.serve();
    let wrong = Client::with("nonsense").from("203.0.113.7");
    for _ in 0..3 {
        assert_eq!(wrong.call(&server, "list_libraries").status, 401);
    }
    assert_eq!(list(&installation).len(), 0);
}

#[test]
fn an_operator_bans_and_lifts_everything_that_can_be_banned() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    let (ann, bob) = (own(&installation).from("203.0.113.7"), issue(&installation, "bob").from("198.51.100.1"));
    let mut server = installation.serve();
    assert_eq!(ann.call(&server, "list_libraries").status, 200);
    let session = installation.json(&["session", "list"])["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["principal"] == "token:quickstart")
        .map(|item| item["session"].as_str().unwrap().to_owned())
        .unwrap();
    let targets = [
        ("address", "203.0.113.7"),
        ("address", "203.0.113.0/24"),
        ("principal", "token:quickstart"),
        ("credential", "token:quickstart"),
        ("session", session.as_str()),
    ];
    for (kind, name) in targets {
        let made = installation.json(&["ban", "add", kind, name, "--minutes", "60", "--reason", "it misbehaves"]);
        assert_eq!((&made["kind"], &made["reason"]), (&json!(kind), &json!("it misbehaves")));
        for restarted in [false, true] {
            if restarted {
                assert_eq!(server.terminate(), Some(0));
                server = installation.serve();
            }
            let refused = ann.call(&server, "list_libraries");
            let message = refused.message()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(&format!("This {kind} is banned")), "{kind} {name}: {message}");
            assert_eq!(refused.status, 403, "{kind} {name}");
            assert_eq!(bob.call(&server, "list_libraries").status, 200, "{kind} {name}");
        }
        installation.json(&["ban", "lift", kind, name]);
        assert!(ann.call(&server, "list_libraries").message()["result"].is_object(), "{kind} {name} was lifted");
    }
    // Refusals at the door are folded.
    assert!(reasons(&installation, "is banned: it misbehaves") >= targets.len());
    installation.verify();
}

#[test]
fn a_banned_agent_over_stdio_is_refused_and_the_operator_never() {
    let installation = Installation::new();
    let server = installation.serve();
    let mut client = installation.stdio();
    let sessions = installation.json(&["session", "list"]);
    let principals: Vec<&str> =
        sessions["items"].as_array().unwrap().iter().filter_map(|item| item["principal"].as_str()).collect();
    let agent = principals.iter().find(|principal| principal.starts_with("stdio:")).unwrap();
    let person = principals.iter().find(|principal| principal.starts_with("local:")).unwrap();
    assert!(client.call("list_libraries", json!({}))["result"].is_object());
    installation.json(&["ban", "add", "principal", agent]);
    let refused = client.call("list_libraries", json!({}));
    assert_eq!(refused["error"]["data"]["code"], "forbidden", "{refused}");
    for (kind, name) in [("principal", *person), ("address", "127.0.0.1"), ("address", "::1")] {
        let output = installation.run(&["ban", "add", kind, name]);
        assert_eq!(output.status.code(), Some(77), "{kind} {name}: {}", text(&output.stderr));
    }
    assert_eq!(installation.run(&["ban", "add", "address", "example.org"]).status.code(), Some(64));
    installation.json(&["ban", "lift", "principal", agent]);
    assert!(client.call("list_libraries", json!({}))["result"].is_object());
    drop(server);
}
