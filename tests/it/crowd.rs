//! Many stdio clients on one data directory: one owns it, the others are relayed, and no client notices who.

use serde_json::{Value, json};

use crate::harness::{Installation, StdioClient};

fn search(client: &mut StdioClient) -> Value {
    client.call("search_documents", json!({"query": "zebra"}))
}

fn is_found(answer: &Value) -> bool {
    answer["result"]["structuredContent"]["hits"][0]["path"] == "a.md"
}

/// The client whose process owns the data directory.
fn owner(installation: &Installation, clients: &[StdioClient]) -> usize {
    let id: u32 = std::fs::read_to_string(installation.data().join("sekisho.lock")).unwrap().trim().parse().unwrap();
    clients.iter().position(|client| client.id() == id).unwrap()
}

#[test]
fn ten_clients_search_and_the_owner_is_killed_in_the_middle() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let mut clients: Vec<StdioClient> = (0..10).map(|_| installation.stdio()).collect();
    for client in &mut clients {
        assert!(is_found(&search(client)));
    }
    for _ in 0..2 {
        // Everybody asks; the owner dies with the questions open; everybody else is answered.
        let open: Vec<u64> = clients
            .iter_mut()
            .map(|client| {
                client.begin("tools/call", json!({"name": "search_documents", "arguments": {"query": "zebra"}}))
            })
            .collect();
        let at = owner(&installation, &clients);
        clients[at].kill();
        clients.remove(at);
        let open: Vec<u64> = open.into_iter().enumerate().filter(|(index, _)| *index != at).map(|(_, id)| id).collect();
        for (client, id) in clients.iter_mut().zip(open) {
            let answer = client.answer(id);
            assert!(is_found(&answer), "{answer}");
            assert!(is_found(&search(client)));
        }
    }
    for client in clients {
        assert_eq!(client.close(), Some(0));
    }
    installation.verify();
}

#[test]
fn a_subscription_survives_the_owner() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let mut clients = vec![installation.stdio(), installation.stdio()];
    let owner = owner(&installation, &clients);
    let mut first = clients.remove(owner);
    let mut other = clients.remove(0);
    other.ask("resources/subscribe", json!({"uri": "sekisho://demo/a.md"}));
    first.kill();
    assert!(is_found(&search(&mut other)));
    crate::harness::write(&folder.join("a.md"), "# A\n\nquokka\n");
    installation.json(&["library", "sync", "demo"]);
    assert_eq!(other.hear("notifications/resources/updated")["params"]["uri"], "sekisho://demo/a.md");
}

#[test]
fn a_starting_server_gets_the_directory_from_a_client() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let mut clients = [installation.stdio(), installation.stdio(), installation.stdio()];
    let server = installation.serve();
    for client in &mut clients {
        assert!(is_found(&search(client)));
    }
    let owner = std::fs::read_to_string(installation.data().join("sekisho.lock")).unwrap();
    assert_eq!(owner.trim(), server.id().to_string());
    assert_eq!(server.terminate(), Some(0));
    for client in &mut clients {
        assert!(is_found(&search(client)), "one of the clients owns it again");
    }
    installation.verify();
}

#[test]
fn a_client_that_leaves_stops_nobody_else() {
    // rmcp cancels the token of a session that ends: once it was the token of the whole process.
    let installation = Installation::new();
    let server = installation.serve();
    for _ in 0..3 {
        let mut client = installation.stdio();
        assert!(client.call("list_libraries", json!({}))["result"].is_object());
        assert_eq!(client.close(), Some(0));
        assert!(server.call("list_libraries", json!({}))["structuredContent"].is_object());
        assert!(installation.run(&["healthcheck"]).status.success());
    }
}

#[test]
fn stdio_sets_itself_up_and_stdout_carries_protocol_only() {
    let installation = Installation::bare();
    let mut client = installation.stdio();
    let listed = client.call("list_libraries", json!({}));
    assert_eq!(listed["result"]["structuredContent"]["libraries"][0]["name"], "manual", "{listed}");
    client.send_line("this is no JSON");
    client.send_line("");
    assert!(client.ask("ping", json!({}))["result"].is_object());
    assert_eq!(client.close(), Some(0));
}

#[test]
fn an_answer_that_is_under_way_when_the_client_closes_its_input_still_comes() {
    use std::io::Write as _;
    use std::process::Stdio;
    let installation = Installation::new();
    let mut child = installation.command(&["stdio"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})).unwrap();
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).unwrap();
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(crate::harness::text(&output.stdout).lines().count(), 2);
}
