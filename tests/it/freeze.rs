//! A frozen installation over the real binary: what goes on, what does not, over a restart, and who lifts it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Installation, Server, text};
use crate::strongroom::{check, told};

const PASSWORD: &str = "correct horse battery staple";

fn is_refused_as_frozen(server: &Server) -> bool {
    let reply = server.modern("tools/call", json!({"name": "list_libraries", "arguments": {}}));
    reply.body.contains("frozen") && !reply.body.contains("\"structuredContent\"")
}

#[test]
fn frozen_only_health_the_log_reports_and_incidents_are_served() {
    let installation = Installation::new();
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    let frozen = installation.json(&["freeze", "--reason", "incident 1"]);
    assert_eq!((&frozen["frozen"], &frozen["reason"]), (&json!(true), &json!("incident 1")));
    assert!(is_refused_as_frozen(&server));
    // Nobody is exempt, not even at this machine.
    for command in [&["library", "list"][..], &["token", "list"], &["credential", "list"], &["backup", "/tmp/never"]] {
        check(&installation.run(command), 75, &["frozen", "unfreeze"]);
    }
    let headers = [("Host", "localhost")];
    assert_eq!(server.raw("GET", "/health", &headers, "").status, 200);
    let ready = server.raw("GET", "/ready", &headers, "");
    assert!(ready.status == 503 && ready.body.contains("frozen"), "{}", ready.body);
    installation.verify();
    installation.entries();
    installation.json(&["report", "--format", "json"]);
    installation.json(&["incident", "open", "it", "--severity", "low"]);
    installation.json(&["incident", "list"]);
    installation.json(&["alert", "list"]);
    installation.json(&["contain", "--principal", "token:somebody", "--anyway"]);

    let lifted = installation.json(&["unfreeze"]);
    assert_eq!((&lifted["frozen"], &lifted["reason"]), (&json!(false), &json!("incident 1")));
    server.call("list_libraries", json!({}));
    installation.json(&["library", "list"]);
    let entries = installation.entries();
    let done =
        |operation: &str| entries.iter().any(|entry| entry["operation"] == operation && entry["outcome"] == "done");
    assert!(done("freeze") && done("unfreeze"));
    let refused = |entry: &&Value| entry["outcome"] == "refused" && entry["operation"] == "library.list";
    assert!(entries.iter().any(|entry| refused(&entry) && entry["reason"].as_str().unwrap().contains("frozen since")));
}

#[test]
fn a_freeze_outlasts_a_kill_and_is_made_where_no_server_runs() {
    let installation = Installation::new();
    let server = installation.serve();
    installation.json(&["freeze"]);
    server.kill();
    let server = installation.serve();
    assert!(is_refused_as_frozen(&server));
    installation.json(&["unfreeze"]);
    server.kill();
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    assert_eq!(server.terminate(), Some(0));
    // In the command's own process it holds for the server that starts next.
    installation.json(&["freeze"]);
    check(&installation.run(&["doctor"]), 1, &["everything is frozen", "sekisho unfreeze"]);
    let server = installation.serve();
    assert!(is_refused_as_frozen(&server));
    let status = installation.run(&["unfreeze"]);
    check(&status, 0, &["served again"]);
    check(&installation.run(&["unfreeze"]), 0, &["was not frozen"]);
    drop(server);
}

#[test]
fn a_server_that_starts_frozen_says_so_before_it_says_that_it_serves() {
    let installation = Installation::new();
    installation.json(&["freeze"]);
    let mut command = installation.command(&["serve"]);
    command.stdin(std::process::Stdio::null());
    // Both on one stream: what is said first comes first.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let server = Server::started(&installation, shell);
    assert!(server.said.iter().any(|line| line.contains("Warning: frozen since")), "{:?}", server.said);
}

#[test]
fn an_agent_over_stdio_meets_the_freeze_too() {
    let installation = Installation::new();
    let mut client = installation.stdio();
    assert!(client.call("list_libraries", json!({}))["result"].is_object());
    installation.json(&["freeze"]);
    let answer = client.call("list_libraries", json!({}));
    assert!(answer.to_string().contains("frozen"), "{answer}");
    installation.json(&["unfreeze"]);
    assert!(!client.call("list_libraries", json!({})).to_string().contains("frozen"));
}

#[test]
fn an_account_may_freeze_from_elsewhere_and_not_lift_it() {
    let installation = Installation::new();
    let server = installation.serve();
    check(
        &told(&installation, &["account", "add", "root", "--role", "admin"], &format!("{PASSWORD}\n")),
        0,
        &["admin"],
    );
    let authorization = format!("Basic {}", STANDARD.encode(format!("root:{PASSWORD}")));
    let headers =
        [("Host", "localhost"), ("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let ask = |operation: &str| server.raw("POST", &format!("/admin/operations/{operation}"), &headers, "{}");
    let frozen = ask("freeze");
    assert!(frozen.status == 200 && frozen.body.contains("true"), "{}", frozen.body);
    let lifted = ask("unfreeze");
    assert!(lifted.body.contains("forbidden"), "{}", lifted.body);
    assert!(is_refused_as_frozen(&server));
    let output = installation.run(&["unfreeze"]);
    assert!(text(&output.stdout).contains("served again"));
}
