//! The audit log: one entry for every call and refusal, none for what is only counted, and tampering found.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;

use redb::{Database, ReadableTable as _, TableDefinition};
use serde_json::json;

use crate::harness::{Installation, text};
use crate::strongroom::until;

#[test]
fn every_call_has_one_entry_and_every_refusal_its_reason() {
    let installation = Installation::new();
    let server = installation.serve();
    let before = installation.entries().len();
    server.call("list_libraries", json!({}));
    server.call("search_documents", json!({"query": 7}));
    server.modern("tools/call", json!({"name": "nope", "arguments": {}}));
    server.modern("resources/read", json!({"uri": "sekisho://manual/nope.md"}));
    server.modern("nonsense/method", json!({}));
    server.modern("tools/list", json!({}));
    let entries = installation.entries();
    // The look itself is an entry of the control socket.
    let seen: Vec<(String, String, String)> = entries[before..]
        .iter()
        .filter(|entry| entry["transport"] == "http" && entry["event"] == "call")
        .map(|entry| {
            let field = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            (field("operation"), field("outcome"), field("reason").split(':').next().unwrap_or_default().to_owned())
        })
        .collect();
    let expect = [
        ("list_libraries", "done", ""),
        ("search_documents", "refused", "invalid"),
        ("nope", "refused", "not_found"),
        ("resources/read", "refused", "not_found"),
        ("nonsense/method", "refused", "not_found"),
    ];
    let expect: Vec<(String, String, String)> = expect.map(|(a, b, c)| (a.into(), b.into(), c.into())).into();
    assert_eq!(seen, expect, "a list is counted, everything else recorded");
    let call = entries.iter().find(|entry| entry["operation"] == "list_libraries").unwrap();
    assert_eq!(call["principal"], "token:quickstart");
    assert_eq!(call["role"], "reader");
    assert_eq!(call["peer"], "127.0.0.1");
    assert!(call["subject"].as_str().unwrap().starts_with("p1-"), "{call}");
    assert_eq!(call["argument_digest"].as_str().unwrap().len(), "d1-".len() + 64);
}

#[test]
fn lists_are_recorded_where_the_operator_wants_all() {
    let mut installation = Installation::new();
    installation.set("AUDIT_LEVEL", "all");
    let server = installation.serve();
    server.modern("tools/list", json!({}));
    assert!(installation.entries().iter().any(|entry| entry["operation"] == "tools/list"));
}

#[test]
fn administration_is_recorded_with_its_intent() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\ntext\n")]);
    let entries = installation.entries();
    let of_add: Vec<_> = entries.iter().filter(|entry| entry["operation"] == "library.add").collect();
    assert_eq!(of_add.len(), 2);
    assert_eq!((of_add[0]["outcome"].as_str(), of_add[1]["outcome"].as_str()), (Some("intent"), Some("done")));
    assert_eq!(of_add[1]["intent"], of_add[0]["sequence"]);
    assert!(of_add[1]["principal"].as_str().unwrap().starts_with("local:"));
}

#[test]
fn a_token_is_in_no_file_of_the_installation_but_its_own() {
    let installation = Installation::new();
    let server = installation.serve();
    server.call("search_documents", json!({"query": installation.token()}));
    assert_eq!(server.terminate(), Some(0));
    let token = installation.token().into_bytes();
    let mut folders = vec![installation.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "http-token" {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!bytes.windows(token.len()).any(|window| window == token), "{}", path.display());
            }
        }
    }
}

const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("audit_entries");

type Change = fn(&mut redb::Table<&'static [u8], &'static [u8]>);

/// Each reads the whole log: whoever asks again and again must not make the disk read it as often at once.
#[test]
fn a_second_verification_is_refused_while_one_runs_and_told_when_to_come_again() {
    let installation = Installation::new();
    let server = installation.serve();
    let socket = installation.data().join("control.sock");
    let verify = || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close";
        write!(stream, "POST /admin/operations/audit.verify HTTP/1.1\r\n{head}\r\n\r\n{{}}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let refused = until("two verifications meet", || {
        let together = Barrier::new(4);
        let answers: Vec<String> = std::thread::scope(|scope| {
            let ask = || {
                together.wait();
                verify()
            };
            let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let (sound, other): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.contains("\"verdict\":\"sound\""));
        assert!(!sound.is_empty(), "nobody was served: {other:?}");
        (!other.is_empty()).then_some(other)
    });
    for answer in refused {
        let way_out = "The log is being verified for somebody else. Ask again when that is done.";
        assert!(answer.contains("\"code\":\"busy\"") && answer.contains(way_out), "{answer}");
        assert!(answer.contains("retry_after"), "{answer}");
    }
    assert!(verify().contains("\"verdict\":\"sound\""), "the place is free again");
    assert_eq!(server.terminate(), Some(0));
}

/// What somebody with access to the file could do.
fn tamper(installation: &Installation, change: impl FnOnce(&mut redb::Table<&'static [u8], &'static [u8]>)) {
    let database = Database::open(installation.data().join("sekisho.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(ENTRIES).unwrap());
    transaction.commit().unwrap();
}

#[test]
fn changed_deleted_swapped_and_added_entries_are_found() {
    let cases: [(&str, Change); 4] = [
        ("changed", |table| {
            let mut leaf = table.get(1_u64.to_be_bytes().as_slice()).unwrap().unwrap().value().to_vec();
            *leaf.last_mut().unwrap() ^= 1;
            table.insert(1_u64.to_be_bytes().as_slice(), leaf.as_slice()).unwrap();
        }),
        ("deleted", |table| {
            table.remove(1_u64.to_be_bytes().as_slice()).unwrap();
        }),
        ("swapped", |table| {
            let leaf = |table: &redb::Table<&'static [u8], &'static [u8]>, n: u64| {
                table.get(n.to_be_bytes().as_slice()).unwrap().unwrap().value().to_vec()
            };
            let (one, two) = (leaf(table, 1), leaf(table, 2));
            table.insert(1_u64.to_be_bytes().as_slice(), two.as_slice()).unwrap();
            table.insert(2_u64.to_be_bytes().as_slice(), one.as_slice()).unwrap();
        }),
        ("added", |table| {
            let leaf = table.get(1_u64.to_be_bytes().as_slice()).unwrap().unwrap().value().to_vec();
            table.insert(1000_u64.to_be_bytes().as_slice(), leaf.as_slice()).unwrap();
        }),
    ];
    for (what, change) in cases {
        let installation = Installation::new();
        installation.json(&["library", "list"]);
        installation.verify();
        tamper(&installation, change);
        let output = installation.run(&["--json", "audit", "verify"]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}{}", text(&output.stdout), text(&output.stderr));
        assert!(text(&output.stdout).contains("\"verdict\":\"tampered\""), "{what}: {}", text(&output.stdout));
    }
}
