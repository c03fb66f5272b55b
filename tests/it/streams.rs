//! Streams outlive the request that opened them, but neither its credential nor its principal.

use std::thread::JoinHandle;

use serde_json::json;

use crate::client::behind_a_proxy;
use crate::harness::{Installation, MODERN, Reply, Server, base_headers, request};
use crate::identify::{PASSWORD, add, basic, bearer, issue};

/// Opens a stream of news, and waits until it is recorded that it is open.
fn listen(installation: &Installation, server: &Server, authorization: &str) -> JoinHandle<Reply> {
    let count = || {
        let open =
            |entry: &serde_json::Value| entry["operation"] == "subscriptions/listen" && entry["outcome"] == "done";
        installation.entries().iter().filter(|entry| open(entry)).count()
    };
    let before = count();
    let (authorization, address) = (authorization.to_owned(), server.address);
    let listening = std::thread::spawn(move || {
        let mut headers = base_headers(&authorization);
        headers.extend([("MCP-Protocol-Version", MODERN), ("Mcp-Method", "subscriptions/listen")]);
        headers.push(("X-Forwarded-For", "127.0.0.1"));
        let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"notifications": {"resourcesListChanged": true}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}).to_string();
        request(address, "POST", "/mcp", &headers, &body)
    });
    while count() == before {
        assert!(!listening.is_finished(), "{:?}", listening.join());
        std::thread::yield_now();
    }
    listening
}

#[test]
fn a_stream_ends_when_its_credential_or_principal_holds_no_more() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    add(&installation, "ann", "operator");
    add(&installation, "ben", "reader");
    let server = installation.serve();
    let key = issue(&installation, &["ci"]).0;
    let (jwt, jwt_id) = issue(&installation, &["robot", "--role", "reader", "--jwt"]);
    let of_account = issue(&installation, &["ben", "--jwt"]).0;
    let banned = issue(&installation, &["worm"]).0;
    let streams = [
        listen(&installation, &server, &bearer(&key)),
        listen(&installation, &server, &bearer(&jwt)),
        listen(&installation, &server, &bearer(&of_account)),
        listen(&installation, &server, &basic("ann", PASSWORD)),
        listen(&installation, &server, &bearer(&banned)),
    ];
    let stays = listen(&installation, &server, &bearer(&installation.token()));
    installation.json(&["token", "revoke", "ci"]);
    installation.json(&["token", "revoke", &jwt_id]);
    installation.json(&["account", "disable", "ben"]);
    installation.json(&["account", "role", "ann", "reader"]);
    installation.json(&["ban", "add", "principal", "token:worm"]);
    for stream in streams {
        assert_eq!(stream.join().unwrap().status, 200, "it was open, and ended");
    }
    assert!(!stays.is_finished(), "nothing happened to that one");
    assert_eq!(server.terminate(), Some(0));
    stays.join().unwrap();
}
