//! Databases of earlier schemas: a start brings them up to date after a checked copy, and what they held is there.

use std::path::Path;

use sekisho::base::clock::{ManualClock, Timestamp};
use sekisho::store::migrate::SCHEMA;
use serde_json::Value;

use crate::client::Client;
use crate::harness::Installation;
use crate::identify::{basic, bearer, is_known};
use crate::strongroom::{check, database, rows, said, tell};
use crate::timed::Timed;

/// Schema 1: no vault, entries with clear names, a library `harbour` with the document ferry.md.
fn with_schema_1() -> Installation {
    let installation = Installation::bare();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/schema-1.redb");
    std::fs::create_dir_all(installation.data()).unwrap();
    std::fs::copy(golden, database(&installation)).unwrap();
    installation
}

#[test]
fn a_database_of_schema_1_is_migrated_after_a_copy_and_gets_a_vault() {
    let installation = with_schema_1();
    let before = rows(&database(&installation), "audit_entries");
    assert!(before.len() >= 16);
    let found = tell(&mut installation.command(&["--json", "search", "ferry", "--library", "harbour"]), "");
    check(&found, 0, &["ferry.md", "This database had no vault; one was made", "sekisho key recovery"]);
    let key_file = installation.data().join("vault-key");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key_file).unwrap().permissions()) & 0o777,
        0o400
    );
    let copy = installation.data().join("sekisho.redb.schema-1.copy");
    assert!(rows(&copy, "audit_entries") == before, "the copy is as it was");

    // Leaves are never rewritten, and names that were clear are shown.
    let after = rows(&database(&installation), "audit_entries");
    assert!(before.iter().all(|(key, leaf)| after[key] == *leaf));
    let entries = installation.entries();
    let old: Vec<&Value> = entries.iter().take(before.len()).collect();
    assert!(
        old.iter().any(|entry| entry["principal"].as_str().is_some_and(|name| name.starts_with("local:"))),
        "{old:?}"
    );
    assert!(old.iter().all(|entry| entry["subject"].is_null() && entry["personal"].is_null()), "{old:?}");
    let new =
        entries.iter().skip(before.len()).find(|entry| entry["event"] == "call" || entry["event"] == "administration");
    assert!(new.unwrap()["subject"].is_string(), "{new:?}");
    check(&installation.run(&["audit", "verify"]), 0, &["sound", "signed checkpoints agree"]);

    // It works on: a second start is told nothing, a credential is kept, a recovery key made, documents synced.
    check(&installation.run(&["init"]), 0, &["HTTP token"]);
    let again = installation.run(&["key", "status"]);
    check(&again, 0, &["credentials"]);
    assert!(!said(&again).contains("had no vault"), "{}", said(&again));
    check(&tell(&mut installation.command(&["credential", "set", "door"]), "value"), 0, &["version 1"]);
    check(&installation.run(&["key", "recovery"]), 0, &["Recovery key"]);
    let bundle = installation.folder("bundles").join("all.tar");
    let made = installation.json(&["audit", "export", bundle.to_str().unwrap()]);
    assert_eq!(made["first"], 0);
    check(&installation.run(&["audit", "verify", bundle.to_str().unwrap()]), 0, &["sound"]);
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    installation.verify();
}

#[test]
fn an_old_entry_that_was_changed_before_the_migration_is_found_after_it() {
    let installation = with_schema_1();
    crate::strongroom::change(&database(&installation), "audit_entries", |table| {
        let key = 3_u64.to_be_bytes();
        let mut leaf = crate::strongroom::get(table, &key);
        *leaf.last_mut().unwrap() ^= 1;
        table.insert(&key[..], leaf.as_slice()).unwrap();
    });
    check(&installation.run(&["audit", "verify"]), 1, &["tampered with"]);
}

#[test]
fn a_newer_database_is_refused_with_both_versions() {
    let installation = Installation::new();
    crate::strongroom::change(&database(&installation), "meta", |table| {
        table.insert(&b"schema"[..], &99_u32.to_le_bytes()[..]).unwrap();
    });
    for command in [&["serve"][..], &["library", "list"], &["audit", "verify"]] {
        let output = installation.run(command);
        assert!(!output.status.success(), "{command:?}");
        let said = said(&output);
        assert!(said.contains("99") && said.contains(&SCHEMA.to_string()), "{command:?}: {said}");
    }
}

#[test]
fn a_database_of_schema_2_opens_with_its_key_and_holds_its_credential() {
    let installation = Installation::bare();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    std::fs::create_dir_all(installation.data()).unwrap();
    std::fs::copy(golden.join("schema-2.redb"), database(&installation)).unwrap();
    let key_file = installation.data().join("vault-key");
    std::fs::copy(golden.join("schema-2.vault-key"), &key_file).unwrap();
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    check(&installation.run(&["audit", "verify"]), 0, &["sound"]);
    check(&installation.run(&["vault", "status"]), 0, &["open, by the key file"]);
    check(&installation.run(&["credential", "history", "harbour-master"]), 0, &["version 1", "kept"]);
    // A token of before is an API key, of which only the hash was kept.
    let tokens = installation.json(&["token", "list"])["items"].clone();
    assert_eq!((tokens[0]["name"].as_str(), tokens[0]["role"].as_str()), (Some("quickstart"), Some("reader")));
    assert_eq!((tokens[0]["id"].as_str(), tokens[0]["revoked"].as_bool()), (Some(""), Some(false)));
    // Sealing it anew opens it.
    check(&installation.run(&["key", "rekey", "--full"]), 0, &["written anew"]);
    let entries = installation.entries();
    assert!(entries.iter().any(|entry| entry["principal"] == "local:0" && entry["operation"] == "credential.set"));
}

/// Schema 3: accounts, tokens of each kind, sessions, a denial, bans and rates, as a server of that schema wrote them.
/// What was shown once stands in schema-3.json, with the time at which its sessions were in use.
#[test]
fn a_database_of_schema_3_keeps_its_accounts_tokens_sessions_and_bans() {
    let mut installation = Installation::bare();
    installation.set("RATE_PER_SESSION", "2");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    std::fs::create_dir_all(installation.data()).unwrap();
    std::fs::copy(golden.join("schema-3.redb"), database(&installation)).unwrap();
    let key_file = installation.data().join("vault-key");
    std::fs::copy(golden.join("schema-3.vault-key"), &key_file).unwrap();
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let known: Value = serde_json::from_slice(&std::fs::read(golden.join("schema-3.json")).unwrap()).unwrap();
    let text = |name: &str| known[name].as_str().unwrap();
    std::fs::write(installation.data().join("http-token"), text("quickstart")).unwrap();

    let clock = std::sync::Arc::new(ManualClock::at(Timestamp(known["at_ms"].as_u64().unwrap())));
    let timed = Timed::start(&installation, &clock);
    let own = Client::with(text("quickstart"));
    let reply = own.list(&timed.server, text("session"));
    assert_eq!(reply.status, 200, "its session goes on: {}", reply.body);
    assert_eq!(own.call(&timed.server, "list_libraries").status, 429, "two calls of the hour were used");
    for (name, holds) in [("ci", true), ("jwt", true), ("gone", false), ("ended", false)] {
        assert_eq!(is_known(&timed.server, &bearer(text(name))), holds, "{name}");
    }
    assert!(is_known(&timed.server, &basic("ann", text("password"))));
    assert!(!is_known(&timed.server, &basic("bob", text("password"))), "the account is disabled");
    let bans = installation.json(&["ban", "list"])["items"].clone();
    assert!(bans.as_array().unwrap().iter().any(|ban| ban["name"] == "203.0.113.0/24"), "{bans}");
    let reviewed = installation.json(&["account", "review"])["accounts"].clone();
    let roles: Vec<_> = reviewed.as_array().unwrap().iter().map(|one| (&one["name"], &one["role"])).collect();
    assert_eq!(roles, [(&"ann".into(), &"operator".into()), (&"bob".into(), &"reader".into())]);
    let credential = installation.json(&["credential", "show", "harbour-master"]);
    assert_eq!((&credential["classification"], &credential["note"]), (&"internal".into(), &"the old one".into()));
    timed.stop();
    let copy = installation.data().join("sekisho.redb.schema-3.copy");
    assert!(copy.exists(), "it was copied before the migration");
    check(&installation.run(&["audit", "verify"]), 0, &["sound"]);
    check(&installation.run(&["key", "rekey", "--full"]), 0, &["written anew"]);
}

/// Schema 5: a connector with a credential bound to it and a change that waits, and a library.
#[test]
fn a_database_of_schema_5_keeps_its_connector_and_the_change_that_waits() {
    let installation = Installation::bare();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    std::fs::create_dir_all(installation.data()).unwrap();
    std::fs::copy(golden.join("schema-5.redb"), database(&installation)).unwrap();
    let key_file = installation.data().join("vault-key");
    std::fs::copy(golden.join("schema-5.vault-key"), &key_file).unwrap();
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    check(
        &installation.run(&["connector", "show", "harbour"]),
        0,
        &["harbour-key, as header:x-key", "harbour_addBerth"],
    );
    check(&installation.run(&["connector", "diff", "harbour"]), 1, &["List all berths"]);
    check(&installation.run(&["connector", "approve", "harbour", "--yes"]), 0, &["2 operations"]);
    check(&installation.run(&["connector", "set", "harbour", "--tls-min", "1.3"]), 0, &["1.3"]);
    check(&installation.run(&["connector", "find", "harbour", "berths"]), 0, &["List all berths"]);
    check(&installation.run(&["library", "show", "harbour"]), 0, &["documents  1"]);
    check(&installation.run(&["search", "ferry", "--library", "harbour"]), 0, &["ferry.md"]);
    check(&installation.run(&["audit", "verify"]), 0, &["sound"]);
    check(&installation.run(&["key", "rekey", "--full"]), 0, &["written anew"]);
}
