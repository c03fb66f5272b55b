//! The listener: who gets in, what is refused before a message is looked at, and how it stops.

use serde_json::json;

use crate::harness::{Installation, MODERN, base_headers, signal, text};

#[test]
fn health_needs_no_token_and_mcp_does() {
    let installation = Installation::new();
    let server = installation.serve();
    let localhost = [("Host", "localhost")];
    assert_eq!(server.raw("GET", "/health", &localhost, "").status, 200);
    let ready = server.raw("GET", "/ready", &localhost, "");
    assert_eq!((ready.status, ready.message()["ready"].as_bool()), (200, Some(true)));
    assert_eq!(server.raw("GET", "/nothing", &localhost, "").status, 404);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    for authorization in ["", "Bearer", "Bearer x", "Basic YTpi", &format!("Bearer sks_{}", "0".repeat(64))] {
        let reply = server.raw("POST", "/mcp", &base_headers(authorization), &ping);
        assert_eq!(reply.status, 401, "{authorization}");
        assert!(reply.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    }
    let refused = installation.entries();
    let refused: Vec<_> = refused.iter().filter(|entry| entry["event"] == "authentication").collect();
    assert!(!refused.is_empty(), "the first refusal of an address has an entry");
}

#[test]
fn a_foreign_host_or_origin_is_refused_everywhere() {
    let installation = Installation::new();
    let server = installation.serve();
    let authorization = format!("Bearer {}", installation.token());
    for path in ["/mcp", "/health", "/ready"] {
        let check = |host: &str, origin: Option<&str>, expect_refusal: bool| {
            let mut headers = base_headers(&authorization);
            headers[0] = ("Host", host);
            headers.extend(origin.map(|origin| ("Origin", origin)));
            let refused = server.raw("GET", path, &headers, "").status == 403;
            assert_eq!(refused, expect_refusal, "{path} {host} {origin:?}");
        };
        check("evil.example", None, true);
        check("localhost", Some("https://evil.example"), true);
        check("localhost", Some("null"), true);
        check("localhost:9", Some("http://127.0.0.1:8080"), false);
    }
}

#[test]
fn what_is_no_message_is_answered_as_json_rpc_says() {
    let mut installation = Installation::new();
    installation.set("HTTP_BODY_BYTES_MAX", "4096");
    let server = installation.serve();
    let authorization = format!("Bearer {}", installation.token());
    let check = |body: &str, status: u16, code: Option<i64>| {
        let reply = server.raw("POST", "/mcp", &base_headers(&authorization), body);
        assert_eq!(reply.status, status, "{body:.60} {}", reply.body);
        if let Some(code) = code {
            assert_eq!(reply.message()["error"]["code"], code, "{body:.60}");
        }
    };
    check("{", 400, Some(-32700));
    check("", 400, Some(-32700));
    check("[]", 400, Some(-32600));
    check(&format!("\"{}\"", "x".repeat(5000)), 413, None);
}

#[test]
fn too_many_calls_are_told_when_to_come_back() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_MINUTE", "2");
    installation.set("RATE_BURST_LIMIT", "2");
    let server = installation.serve();
    for _ in 0..2 {
        assert_eq!(server.modern("tools/list", json!({})).status, 200);
    }
    let reply = server.modern("tools/list", json!({}));
    assert_eq!(reply.status, 429);
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    assert_eq!(reply.message()["error"]["data"]["code"], "too_many_requests");
}

#[test]
fn beyond_loopback_nothing_is_served_unprotected() {
    let mut installation = Installation::new();
    installation.set("HTTP_LISTEN", "0.0.0.0:0");
    let output = installation.run(&["serve"]);
    assert_eq!(output.status.code(), Some(77));
    let errors = text(&output.stderr);
    assert!(errors.contains("TLS") && errors.contains("--dangerously-serve-unprotected"), "{errors}");
}

#[test]
fn a_taken_port_is_named_and_nothing_is_touched() {
    let installation = Installation::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = installation.run(&["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
}

#[test]
fn a_stop_is_graceful_and_recorded() {
    let installation = Installation::new();
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    // A stream that only waits must not hold the stop up.
    let authorization = format!("Bearer {}", installation.token());
    let address = server.address;
    let listening = std::thread::spawn(move || {
        let mut headers = base_headers(&authorization);
        headers.extend([("MCP-Protocol-Version", MODERN), ("Mcp-Method", "subscriptions/listen")]);
        let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"notifications": {"resourcesListChanged": true}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}).to_string();
        crate::harness::request(address, "POST", "/mcp", &headers, &body)
    });
    while !installation.entries().iter().any(|entry| entry["operation"] == "subscriptions/listen") {
        std::thread::yield_now();
    }
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(listening.join().unwrap().status, 200);
    let entries = installation.entries();
    assert!(entries.iter().any(|entry| entry["reason"].as_str().is_some_and(|reason| reason.starts_with("stopped"))));
    installation.verify();
}

#[test]
fn a_slow_header_does_not_hold_a_connection() {
    use std::io::{Read as _, Write as _};
    let mut installation = Installation::new();
    installation.set("HTTP_HEADER_TIMEOUT_MS", "200");
    let server = installation.serve();
    assert_eq!(server.raw("GET", "/health", &[("Host", "localhost")], "").status, 200, "whoever is quick is answered");
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: loc").unwrap();
    let mut rest = Vec::new();
    // The server closes; how much it says before is its choice.
    stream.read_to_end(&mut rest).ok();
    assert!(!text(&rest).contains("200 OK"));
    signal(server.id(), "TERM");
}
