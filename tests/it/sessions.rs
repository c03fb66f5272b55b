//! Sessions over a real socket: whose they are, how many, how they end, and that a restart changes none of it.

use serde_json::{Value, json};

use crate::client::{Client, behind_a_proxy, issue, reasons};
use crate::harness::{Installation, MODERN, base_headers, request};

fn own(installation: &Installation) -> Client {
    Client::with(&installation.token())
}

/// The sessions of a principal, as the operator sees them.
fn listed(installation: &Installation, principal: &str) -> Vec<Value> {
    let result = installation.json(&["session", "list"]);
    result["items"].as_array().unwrap().iter().filter(|item| item["principal"] == principal).cloned().collect()
}

#[test]
fn a_stolen_session_id_is_answered_like_none_and_recorded_each_time() {
    let installation = Installation::new();
    let (ann, thief) = (own(&installation), issue(&installation, "thief"));
    let server = installation.serve();
    let session = ann.begin(&server);
    assert_eq!(ann.list(&server, &session).status, 200);
    let none = thief.list(&server, &"0".repeat(64));
    for _ in 0..2 {
        let stolen = thief.list(&server, &session);
        assert_eq!((stolen.status, none.status), (404, 404));
    }
    assert_eq!(thief.leave(&server, &session).status, 404);
    assert_eq!(reasons(&installation, "session of another principal"), 3);
    assert_eq!(ann.list(&server, &session).status, 200);
    installation.verify();
}

#[test]
fn a_stolen_session_id_is_refused_after_a_restart_too() {
    let installation = Installation::new();
    let (ann, thief) = (own(&installation), issue(&installation, "thief"));
    let server = installation.serve();
    let session = ann.begin(&server);
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    assert_eq!(thief.list(&server, &session).status, 404);
    assert_eq!(reasons(&installation, "session of another principal"), 1);
    assert_eq!(ann.list(&server, &session).status, 200);
}

#[test]
fn a_session_of_an_older_protocol_goes_on_after_a_restart_until_it_is_left() {
    let installation = Installation::new();
    let ann = own(&installation);
    let server = installation.serve();
    let (session, left) = (ann.begin(&server), ann.begin(&server));
    assert!(ann.leave(&server, &left).status < 300);
    let short = listed(&installation, "token:quickstart")[0]["session"].clone();
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    assert_eq!(ann.list(&server, &left).status, 404);
    let reply = ann.list(&server, &session);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.message()["result"]["tools"].is_array());
    assert_eq!(listed(&installation, "token:quickstart")[0]["session"], short);
    assert!(ann.leave(&server, &session).status < 300);
    assert_eq!(ann.list(&server, &session).status, 404);
}

#[test]
fn the_session_of_a_credential_goes_on_after_a_restart() {
    let installation = Installation::new();
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    let before = listed(&installation, "token:quickstart");
    assert_eq!((before.len(), &before[0]["transport"]), (1, &json!("http")));
    assert_eq!(before[0]["session"].as_str().unwrap().len(), 12, "never the whole id");
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    let after = listed(&installation, "token:quickstart");
    assert_eq!((after.len(), &after[0]["session"]), (1, &before[0]["session"]));
    assert_eq!(after[0]["calls"], 2);
}

#[test]
fn a_credential_whose_session_was_ended_holds_no_more_also_after_a_restart() {
    let installation = Installation::new();
    let (ann, bob) = (own(&installation), issue(&installation, "bob"));
    let server = installation.serve();
    assert_eq!(ann.call(&server, "list_libraries").status, 200);
    let old = ann.begin(&server);
    let sessions = listed(&installation, "token:quickstart");
    let of_credential = sessions.iter().find(|item| item["calls"] == 1 && item["in_flight"] == 0).unwrap();
    assert_eq!(sessions.len(), 2);
    let ended = installation.json(&["session", "end", "--principal", "token:quickstart"]);
    assert_eq!(ended["ended"].as_array().unwrap().len(), 2, "{of_credential}");
    assert_eq!(ended["denied"], json!(["token:quickstart"]));
    let check = |server: &_| {
        let refused = ann.call(server, "list_libraries");
        assert_eq!(refused.status, 401, "{}", refused.body);
        let message = refused.message()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("issued again"), "{message}");
        assert_eq!(ann.list(server, &old).status, 401);
        assert_eq!(ann.initialize(server).status, 401);
        assert_eq!(bob.call(server, "list_libraries").status, 200);
    };
    check(&server);
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    check(&server);
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_file(installation.data().join("http-token")).unwrap();
    assert!(installation.run(&["init"]).status.success());
    let server = installation.serve();
    assert_eq!(own(&installation).call(&server, "list_libraries").status, 200, "it was issued again");
    assert_eq!(ann.call(&server, "list_libraries").status, 401, "the old one is not");
    assert_eq!(reasons(&installation, "its credential holds no more until it is issued again"), 1);
    assert_eq!(installation.run(&["session", "end", "000000000000"]).status.code(), Some(66));
    installation.verify();
}

#[test]
fn ending_a_session_of_an_older_protocol_ends_that_one_only() {
    let installation = Installation::new();
    let ann = own(&installation);
    let server = installation.serve();
    let session = ann.begin(&server);
    let short = listed(&installation, "token:quickstart")[0]["session"].as_str().unwrap().to_owned();
    assert_eq!(installation.json(&["session", "end", &short])["denied"], json!([]));
    while ann.list(&server, &session).status != 404 {
        std::thread::yield_now();
    }
    let again = ann.begin(&server);
    assert_eq!(ann.list(&server, &again).status, 200);
}

#[test]
fn a_stream_ends_with_its_session() {
    let installation = Installation::new();
    let server = installation.serve();
    let authorization = format!("Bearer {}", installation.token());
    let address = server.address;
    let listening = std::thread::spawn(move || {
        let mut headers = base_headers(&authorization);
        headers.extend([("MCP-Protocol-Version", MODERN), ("Mcp-Method", "subscriptions/listen")]);
        let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"notifications": {"resourcesListChanged": true}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}).to_string();
        request(address, "POST", "/mcp", &headers, &body)
    });
    let ann = own(&installation);
    let session = ann.begin(&server);
    let authorization = format!("Bearer {}", installation.token());
    let of_session = std::thread::spawn(move || {
        let mut headers = base_headers(&authorization);
        headers.extend([("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-06-18")]);
        request(address, "GET", "/mcp", &headers, "")
    });
    let is_listening = |entry: &&Value| entry["operation"] == "subscriptions/listen" && entry["outcome"] == "done";
    while installation.entries().iter().filter(is_listening).count() < 2 {
        std::thread::yield_now();
    }
    installation.json(&["session", "end", "--principal", "token:quickstart"]);
    assert_eq!(listening.join().unwrap().status, 200);
    assert_eq!(of_session.join().unwrap().status, 200);
}

#[test]
fn one_session_too_many_ends_the_quietest_or_is_refused() {
    let mut installation = Installation::new();
    installation.set("SESSION_MAX_CONCURRENT_SESSIONS", "2");
    let ann = own(&installation);
    let server = installation.serve();
    let sessions: Vec<String> = (0..3).map(|_| ann.begin(&server)).collect();
    while ann.list(&server, &sessions[0]).status != 404 {
        std::thread::yield_now();
    }
    for session in &sessions[1..] {
        assert_eq!(ann.list(&server, session).status, 200);
    }
    assert_eq!(reasons(&installation, "its principal began another"), 1);
    assert_eq!(server.terminate(), Some(0));

    installation.set("SESSION_WHEN_FULL", "refuse");
    let server = installation.serve();
    for session in &sessions[1..] {
        assert_eq!(ann.list(&server, session).status, 200, "they outlast the restart");
    }
    let refused = ann.initialize(&server);
    assert_eq!(refused.message()["error"]["data"]["code"], "busy", "{}", refused.body);
    assert!(ann.leave(&server, &sessions[1]).status < 300);
    ann.begin(&server);
    // Agents at this machine are not counted.
    let clients: Vec<_> = (0..4).map(|_| installation.stdio()).collect();
    for client in clients {
        assert_eq!(client.close(), Some(0));
    }
}

#[test]
fn a_session_bound_to_its_address_is_refused_from_another() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    installation.set("SESSION_BIND", "address");
    let ann = own(&installation).from("203.0.113.7");
    let server = installation.serve();
    let session = ann.begin(&server);
    assert_eq!(ann.call(&server, "list_libraries").status, 200);
    let check = |server: &_| {
        assert_eq!(ann.list(server, &session).status, 200);
        let elsewhere = ann.from("203.0.113.8");
        assert_eq!(elsewhere.list(server, &session).status, 404);
        let refused = elsewhere.call(server, "list_libraries");
        assert_eq!(refused.message()["error"]["data"]["code"], "forbidden", "{}", refused.body);
    };
    check(&server);
    assert_eq!(server.terminate(), Some(0));
    check(&installation.serve());
    assert_eq!(reasons(&installation, "session of another principal"), 4);
}
