//! kill -9 in the middle of everything: the store opens, the log verifies, and what was acknowledged is there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Installation, base_headers, is_soak, request, write};

/// Agents that call at the same time.
const PRODUCERS: usize = 32;

/// As many as said with `tests/run --soak`.
fn rounds(soak: usize) -> usize {
    if is_soak() { soak } else { 5 }
}

fn call(address: std::net::SocketAddr, token: &str, query: &str) -> Option<Value> {
    let authorization = format!("Bearer {token}");
    let mut headers = base_headers(&authorization);
    headers.extend([
        ("MCP-Protocol-Version", crate::harness::MODERN),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "read_document"),
    ]);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": crate::harness::MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
    // The path is in the audit entry as its target, and so is found again.
    let params = json!({"name": "read_document", "arguments": {"library": "demo", "path": query}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let reply = std::panic::catch_unwind(|| request(address, "POST", "/mcp", &headers, &body)).ok()?;
    (reply.status == 200).then(|| serde_json::from_str(&reply.body).ok()).flatten()
}

#[test]
fn what_was_answered_is_in_the_log_after_a_kill() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for round in 0..rounds(200) {
        for page in 0..40 {
            write(
                &folder.join(format!("p{page}.md")),
                &format!("# P{page}\n\nround {round} {}\n", "words ".repeat(200)),
            );
        }
        let server = installation.serve();
        let (address, token) = (server.address, installation.token());
        let answered = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (answered, stop, token) = (Arc::clone(&answered), Arc::clone(&stop), token.clone());
                std::thread::spawn(move || {
                    for number in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let path = format!("r{round}-{producer}-{number}");
                        match call(address, &token, &path) {
                            Some(_) => answered.lock().unwrap().push(format!("demo/{path}")),
                            None => return,
                        }
                    }
                })
            })
            .collect();
        let mut sync = installation
            .command(&["library", "sync", "demo"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Another moment each round: after that many answers, somewhere in the sync.
        while answered.lock().unwrap().len() < 3 + 7 * (round % 10) {
            std::thread::yield_now();
        }
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for producer in producers {
            producer.join().unwrap();
        }
        // The command loses its server, and says so; that is no failure here.
        sync.wait().unwrap();
        acknowledged.extend(answered.lock().unwrap().drain(..));
        installation.verify();
    }
    let logged = logged_targets(&installation);
    let missing: Vec<_> = acknowledged.difference(&logged).collect();
    assert!(
        missing.is_empty(),
        "{} of {} acknowledged calls are not in the log: {missing:?}",
        missing.len(),
        acknowledged.len()
    );
    let report = installation.json(&["library", "sync", "demo"]);
    assert_eq!(report["report"]["documents"], 41);
    let found = installation.json(&["search", &format!("round {}", rounds(200) - 1), "--library", "demo"]);
    assert!(!found["hits"].as_array().unwrap().is_empty());
}

/// The targets of all entries, read from the file itself.
fn logged_targets(installation: &Installation) -> BTreeSet<String> {
    let database = redb::Database::open(installation.data().join("sekisho.redb")).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let table = transaction.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("audit_entries")).unwrap();
    redb::ReadableTable::iter(&table)
        .unwrap()
        .filter_map(|row| {
            let (_, leaf) = row.unwrap();
            let entry: sekisho::audit::entry::Entry = sekisho::store::codec::decode(leaf.value()).unwrap();
            entry.target
        })
        .collect()
}

#[test]
fn killed_while_a_command_works_by_itself() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    for round in 0..rounds(50) {
        for page in 0..60 {
            write(
                &folder.join(format!("p{page}.md")),
                &format!("# P{page}\n\nround {round} {}\n", "words ".repeat(300)),
            );
        }
        let mut sync = installation
            .command(&["library", "sync", "demo"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It says how far it is; each round is killed at another line.
        let progress = std::io::BufReader::new(sync.stderr.take().unwrap());
        let lines = std::io::BufRead::lines(progress).map_while(Result::ok);
        let seen = lines.take(round % 11).count();
        assert!(seen < 11);
        sync.kill().ok();
        sync.wait().unwrap();
        installation.verify();
        assert!(!installation.json(&["search", "zebra", "--library", "demo"])["hits"].as_array().unwrap().is_empty());
    }
    assert_eq!(installation.json(&["library", "sync", "demo"])["report"]["documents"], 61);
}
