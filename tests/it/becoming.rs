//! Controls that change their mind under way: what was let in a moment ago is refused, and the other way round.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::json;

use crate::client::Client;
use crate::harness::{Installation, Server, base_headers, write};
use crate::identify::{add, issue};
use crate::strongroom::{check, until};

#[test]
fn a_host_and_an_origin_count_only_while_they_are_in_their_lists() {
    let status = |server: &Server, host: &str, origin: Option<&str>| {
        let mut headers = base_headers("Bearer none");
        headers[0] = ("Host", host);
        headers.extend(origin.map(|origin| ("Origin", origin)));
        server.raw("GET", "/health", &headers, "").status
    };
    let ask = |listed: bool| {
        let mut installation = Installation::new();
        if listed {
            installation.set("HTTP_ALLOWED_HOSTS", "[\"docs.example.org\"]");
            installation.set("HTTP_ALLOWED_ORIGINS", "[\"https://app.example.org\"]");
        }
        let server = installation.serve();
        let of_host = status(&server, "docs.example.org", None);
        let of_origin = status(&server, "localhost", Some("https://app.example.org"));
        assert_eq!(status(&server, "docs.example.org.evil.example", None), 403);
        assert_eq!(status(&server, "localhost", Some("https://app.example.org.evil.example")), 403);
        (of_host, of_origin)
    };
    assert_eq!(ask(true), (200, 200));
    assert_eq!(ask(false), (403, 403));
}

#[test]
fn the_longest_uri_of_a_resource_is_what_the_setting_says() {
    let check = |setting: Option<&str>, most: usize| {
        let mut installation = Installation::new();
        if let Some(value) = setting {
            installation.set("INSPECT_MAX_RESOURCE_URI_LENGTH", value);
        }
        let server = installation.serve();
        let message = |length: usize| {
            let uri = format!("sekisho://manual/{}", "a".repeat(length - "sekisho://manual/".len()));
            let error = server.modern("resources/read", json!({"uri": uri})).message()["error"].clone();
            error["message"].as_str().unwrap().to_owned()
        };
        assert!(message(most).contains("no document"), "{}", message(most));
        assert!(message(most + 1).contains("/uri"), "{}", message(most + 1));
    };
    check(None, 512);
    check(Some("100"), 100);
}

const CLOSED: &str = "forbid(principal, action == Sekisho::Action::\"list_libraries\", resource);\n";

#[test]
fn a_policy_that_denies_and_one_that_goes_count_in_the_middle_of_a_session() {
    let installation = Installation::new();
    let policy = installation.data().join("policies").join("closed.cedar");
    let server = installation.serve();
    let ann = Client::with(&installation.token());
    let session = ann.begin(&server);
    let call = || {
        let params = json!({"name": "list_libraries", "arguments": {}});
        let message = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params});
        ann.legacy(&server, Some(&session), &message).message()["result"].is_object()
    };
    assert!(call());
    write(&policy, CLOSED);
    installation.json(&["policy", "reload"]);
    assert!(!call(), "the session is the same, the policy is not");
    std::fs::remove_file(&policy).unwrap();
    installation.json(&["policy", "reload"]);
    assert!(call());
}

#[test]
fn an_account_that_is_disabled_and_a_token_that_is_revoked_are_out_in_the_middle_of_their_session() {
    let installation = Installation::new();
    add(&installation, "ann", "reader");
    let server = installation.serve();
    let of_account = Client::with(&issue(&installation, &["ann", "--jwt"]).0);
    let of_key = Client::with(&issue(&installation, &["ci"]).0);
    let (one, other) = (of_account.begin(&server), of_key.begin(&server));
    assert_eq!((of_account.list(&server, &one).status, of_key.list(&server, &other).status), (200, 200));
    installation.json(&["account", "disable", "ann"]);
    assert_eq!((of_account.list(&server, &one).status, of_key.list(&server, &other).status), (401, 200));
    installation.json(&["token", "revoke", "ci"]);
    assert_eq!(of_key.list(&server, &other).status, 401);
    installation.json(&["account", "enable", "ann"]);
    assert_eq!(of_account.list(&server, &one).status, 200, "the session was its own all the time");
}

/// An operator's command that goes on until it is killed: its call is under way as long.
/// Whoever closes its output ends it.
struct Follower {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Follower {
    fn start(installation: &Installation) -> Self {
        let mut command = installation.command(&["audit", "tail", "--follow"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it is under way");
        Self { child, _output: lines }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn calls_under_way_are_bounded_in_all_and_a_place_comes_back_when_one_ends() {
    let mut installation = Installation::new();
    installation.set("LIMITS_IN_FLIGHT_MAX", "1");
    let server = installation.serve();
    let ann = Client::with(&installation.token());
    assert_eq!(ann.call(&server, "list_libraries").status, 200);
    let follower = Follower::start(&installation);
    let refused = ann.call(&server, "list_libraries").message()["error"].clone();
    assert_eq!(refused["data"]["code"], "busy", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("1 calls under way"), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("limits.in_flight_max"), "{refused}");
    assert!(refused["data"]["retryAfterMs"].as_u64().unwrap() > 0, "{refused}");
    drop(follower);
    until("the place is free", || ann.call(&server, "list_libraries").message()["result"].is_object().then_some(()));
}

#[test]
fn calls_under_way_in_one_session_are_bounded_and_others_have_their_own() {
    let mut installation = Installation::new();
    installation.set("LIMITS_IN_FLIGHT_PER_SESSION_MAX", "1");
    let server = installation.serve();
    let ann = Client::with(&installation.token());
    let follower = Follower::start(&installation);
    check(&installation.run(&["library", "list"]), 75, &["limits.in_flight_per_session_max"]);
    assert!(ann.call(&server, "list_libraries").message()["result"].is_object(), "another session is not concerned");
    drop(follower);
    until("the place is free", || installation.run(&["library", "list"]).status.success().then_some(()));
}

#[test]
fn a_key_reaches_what_its_scopes_name_and_a_new_one_of_its_name_what_its_own_do() {
    let installation = Installation::new();
    installation.add_library("docs", &[("a.md", "# A\n\nzebra\n")]);
    let server = installation.serve();
    let reads = |token: &str, library: &str, path: &str| {
        let arguments = json!({"name": "read_document", "arguments": {"library": library, "path": path}});
        let message = Client::with(token).modern(&server, "tools/call", arguments).message();
        message["result"]["isError"] != true && message["error"].is_null()
    };
    let (manual, _) = issue(&installation, &["ci", "--role", "reader", "--scope", "library:manual"]);
    assert!(reads(&manual, "manual", "index.md") && !reads(&manual, "docs", "a.md"));
    check(&installation.run(&["token", "revoke", "ci"]), 0, &[]);
    let (docs, _) = issue(&installation, &["ci", "--role", "reader", "--scope", "library:docs"]);
    assert!(reads(&docs, "docs", "a.md") && !reads(&docs, "manual", "index.md"));
    assert!(!reads(&manual, "manual", "index.md"));
}
