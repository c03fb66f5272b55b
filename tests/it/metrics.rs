//! The metrics listener: figures of what passed, in both forms, on a port of their own.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Installation, Reply, Server, base_headers, request};

fn scrape(server: &Server, headers: &[(&str, &str)], path: &str) -> Reply {
    let line = server.said.iter().find_map(|line| line.strip_prefix("Metrics at http://"));
    let address = line.unwrap().trim_end_matches("/metrics").parse().unwrap();
    request(address, "GET", path, headers, "")
}

fn value(text: &str, sample: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)).unwrap_or_else(|| panic!("{sample}: {text}"));
    line.trim().parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn what_passed_is_counted_under_the_names_of_the_catalogue() {
    let mut installation = Installation::new();
    installation.set("METRICS_LISTEN", "127.0.0.1:0");
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    server.call("list_libraries", json!({}));
    server.modern("tools/call", json!({"name": "made_up_by_somebody", "arguments": {}}));
    let unknown = server.raw("POST", "/mcp", &base_headers("Bearer x"), "{}");
    assert_eq!(unknown.status, 401);

    let reply = scrape(&server, &[("Host", "localhost")], "/metrics");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = &reply.body;
    assert_eq!(value(text, "sekisho_calls_total{operation=\"list_libraries\",outcome=\"done\"}"), 2);
    assert_eq!(value(text, "sekisho_calls_total{operation=\"unknown\",outcome=\"refused\"}"), 1);
    assert_eq!(value(text, "sekisho_refusals_total{code=\"unauthenticated\"}"), 1);
    assert_eq!(value(text, "sekisho_call_duration_seconds_count{operation=\"list_libraries\"}"), 2);
    assert!(value(text, "sekisho_store_commits_total") >= 3);
    assert!(value(text, "sekisho_audit_entries") >= 4);
    assert!(value(text, "sekisho_disk_bytes{place=\"store\"}") > 100_000);
    assert!(value(text, "sekisho_process_resident_memory_bytes") > 1_000_000);
    assert!(!text.contains("made_up_by_somebody"), "a caller's words are no label");

    let open = scrape(&server, &[("Host", "localhost"), ("Accept", "application/openmetrics-text")], "/metrics");
    assert!(open.body.ends_with("# EOF\n"), "{}", open.body);
}

#[test]
fn the_metrics_port_answers_nothing_else_and_no_foreign_host() {
    let mut installation = Installation::new();
    installation.set("METRICS_LISTEN", "127.0.0.1:0");
    let server = installation.serve();
    assert_eq!(scrape(&server, &[("Host", "localhost")], "/mcp").status, 404);
    assert_eq!(scrape(&server, &[("Host", "evil.example")], "/metrics").status, 403);
    let main = server.raw("GET", "/metrics", &[("Host", "localhost")], "");
    assert_eq!(main.status, 404, "they are not on the port of MCP");
}

#[test]
fn a_taken_port_costs_the_metrics_and_not_the_service() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut installation = Installation::new();
    installation.set("METRICS_LISTEN", &taken.local_addr().unwrap().to_string());
    let server = installation.serve();
    assert!(!server.said.iter().any(|line| line.starts_with("Metrics at")), "{:?}", server.said);
    server.call("list_libraries", json!({}));
}

#[test]
fn a_prefix_of_ones_own_is_used_and_an_impossible_one_is_refused() {
    let mut installation = Installation::new();
    installation.set("METRICS_LISTEN", "127.0.0.1:0");
    installation.set("METRICS_PREFIX", "expo_mcp");
    let server = installation.serve();
    let text = scrape(&server, &[("Host", "localhost")], "/metrics").body;
    assert_eq!(value(&text, "expo_mcp_sessions"), 0);
    assert!(!text.contains("sekisho_"), "{text}");
    drop(server);
    installation.set("METRICS_PREFIX", "9 lives");
    let output = installation.run(&["config", "check"]);
    assert!(!output.status.success());
    assert!(crate::harness::text(&output.stderr).contains("metrics.prefix"));
}
