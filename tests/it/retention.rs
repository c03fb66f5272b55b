//! What is kept, and what is forgotten: old entries in whole tiles, subjects by their keys, also after a restore.

use std::path::Path;

use serde_json::{Value, json};
use tlog_tiles::tlog;

use crate::harness::{Installation, text};
use crate::strongroom::{call_often, check, copied, database, recovery_in, rows, said, tell, told};

const CALLS: usize = 560;

#[test]
fn a_pruned_log_stays_sound_provable_and_usable() {
    let original = Installation::new();
    let server = original.serve();
    call_often(&server, CALLS);
    assert_eq!(server.terminate(), Some(0));
    let ways: [&[&str]; 3] = [&["--keep-bytes", "1"], &["--keep-days", "0"], &["--before", "0s", "--keep-days", "900"]];
    for way in ways {
        let installation = copied(&original);
        let pruned = installation.json(&[&["audit", "prune"], way].concat());
        assert_eq!((pruned["pruned"].as_u64(), pruned["first"].as_u64()), (Some(512), Some(512)), "{way:?}: {pruned}");
        check(&installation.run(&["audit", "verify"]), 0, &["sound", "the first 512 are not among them", "agree"]);
        assert_eq!(
            rows(&database(&installation), "audit_entries").first_key_value().unwrap().0[..],
            512_u64.to_be_bytes()
        );
        // A report of a time whose beginning is gone says so.
        let report = installation.json(&["report", "--format", "json"]);
        assert_eq!((&report["period"]["first"], report["period"]["kept_since"].is_string()), (&json!(512), true));
        let since = report["period"]["to"].as_str().unwrap().to_owned();
        let report = installation.json(&["report", "--format", "json", "--from", &since]);
        assert!(report["period"]["kept_since"].is_null(), "nothing of that time is gone: {}", report["period"]);
        let entry = installation
            .entries()
            .into_iter()
            .find(|entry| entry["operation"] == "audit.prune" && entry["event"] == "audit");
        assert_eq!(entry.unwrap()["target"], "entries 0 to 511");

        let server = installation.serve();
        call_often(&server, 3);
        prove(&installation, 520);
        let gone = installation.run(&["audit", "prove", "5"]);
        assert!(!gone.status.success() && said(&gone).contains("pruned"), "{}", said(&gone));
        let bundle = installation.folder("bundles").join("rest.tar");
        let made = installation.json(&["audit", "export", bundle.to_str().unwrap(), "--format", "csv"]);
        assert_eq!(made["first"], 512);
        let vkey = made["verifying_keys"][0].as_str().unwrap();
        check(&installation.run(&["audit", "verify", bundle.to_str().unwrap(), "--vkey", vkey]), 0, &["sound"]);
        let again = installation.json(&[&["audit", "prune"], way].concat());
        assert_eq!(again["pruned"], 0, "whole tiles only: {again}");
        check(&installation.run(&["audit", "prune", "--keep-days", "9000"]), 0, &["0 entries were pruned"]);
        assert_eq!(server.terminate(), Some(0));
        installation.verify();
    }
    check(&original.run(&["audit", "prune"]), 64, &["--keep-days"]);
}

/// Checks the proof that a command gives, with the independent implementation of RFC 6962.
fn prove(installation: &Installation, sequence: u64) {
    let proof: Value = {
        let output = installation.run(&["audit", "prove", &sequence.to_string(), "--old-size", "515"]);
        check(&output, 0, &[]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let hash = |text: &Value| -> [u8; 32] {
        let bytes = sekisho::base::id::unhex(text.as_str().unwrap()).unwrap();
        bytes.try_into().unwrap()
    };
    let hashes = |list: &Value| list.as_array().unwrap().iter().map(hash).collect::<Vec<_>>();
    let size = proof["size"].as_u64().unwrap();
    let root = tlog::Hash(hash(&proof["root"]));
    let inclusion: Vec<_> = hashes(&proof["inclusion"]).into_iter().map(tlog::Hash).collect();
    let leaf = tlog::Hash(hash(&proof["leaf_hash"]));
    tlog::check_record(&inclusion, size, root, sequence, leaf).unwrap();
    let consistency: Vec<_> = hashes(&proof["consistency"]).into_iter().map(tlog::Hash).collect();
    tlog::check_tree(&consistency, size, root, 515, tlog::Hash(hash(&proof["old_root"]))).unwrap();
}

const SUBJECT: &str = "token:quickstart";

fn calls_of(entries: &[Value]) -> Vec<&Value> {
    entries.iter().filter(|entry| entry["operation"] == "list_libraries").collect()
}

/// Entries about a subject: its calls, and one for each session that they began.
fn found(installation: &Installation, subject: &str) -> usize {
    let output = installation.run(&["--json", "audit", "search", "--principal", subject]);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", said(&output));
    let count = text(&output.stdout).lines().count();
    assert_eq!(count == 0, output.status.code() == Some(1), "{}", said(&output));
    count
}

#[test]
fn an_erased_subject_is_found_no_more_and_the_log_stays_sound() {
    let mut installation = Installation::bare();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    check(&installation.run(&["init"]), 0, &[]);
    let server = installation.serve();
    call_often(&server, 3);
    assert_eq!(found(&installation, SUBJECT), 4);
    let pseudonym = calls_of(&installation.entries())[0]["subject"].as_str().unwrap().to_owned();
    assert_eq!(found(&installation, &pseudonym), 4);
    check(&installation.run(&["audit", "erase", "token:nobody"]), 64, &["nothing was ever sealed for it"]);

    check(&installation.run(&["audit", "erase", SUBJECT]), 0, &["nobody can read any more"]);
    let entries = installation.entries();
    let calls = calls_of(&entries);
    assert_eq!(calls.len(), 3);
    for call in calls {
        assert_eq!((call["subject"].as_str(), call["personal"].as_str()), (Some(&*pseudonym), Some("erased")));
        for field in ["principal", "peer", "user_agent", "arguments"] {
            assert!(call[field].is_null(), "{call}");
        }
    }
    // What an operator typed into a search is the operator's, and sealed with that key; the rest names nobody.
    let rest: Vec<&Value> = entries.iter().filter(|entry| entry["operation"] != "audit.search").collect();
    assert!(!json!(rest).to_string().contains(SUBJECT), "{rest:?}");
    let erase = entries.iter().find(|entry| entry["operation"] == "audit.erase" && entry["event"] == "audit").unwrap();
    assert!(erase["target"].as_str().unwrap().contains(&pseudonym), "{erase}");
    let tail = text(&installation.run(&["audit", "tail", "-n", "50"]).stdout);
    assert!(tail.contains(&pseudonym) && !tail.contains(SUBJECT), "{tail}");
    assert_eq!(found(&installation, SUBJECT), 0);
    assert_eq!(found(&installation, &pseudonym), 4, "the pseudonym stays");
    let bundle = installation.folder("bundles").join("one.tar");
    installation.json(&["audit", "export", bundle.to_str().unwrap(), "--personal"]);
    let disclosed = text(&std::fs::read(&bundle).unwrap());
    let named = |name: &str| disclosed.contains(&format!("\"principal\":\"{name}"));
    assert!(named("local:") && !named(SUBJECT));
    check(&installation.run(&["audit", "erase", SUBJECT]), 64, &["erased before"]);

    // Whoever was forgotten may come back, as somebody new.
    call_often(&server, 2);
    assert_eq!(found(&installation, SUBJECT), 2);
    check(&installation.run(&["audit", "verify"]), 0, &["sound"]);
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
    let server = installation.serve();
    assert_eq!(found(&installation, SUBJECT), 2);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn an_erasure_survives_the_restore_of_a_backup_from_before_it() {
    let installation = Installation::bare();
    let recovery = recovery_in(&installation.run(&["--json", "init"]));
    let server = installation.serve();
    call_often(&server, 2);
    let backup = installation.folder("backups").join("before");
    installation.json(&["backup", backup.to_str().unwrap()]);
    check(&installation.run(&["audit", "erase", SUBJECT]), 0, &[]);
    assert_eq!(server.terminate(), Some(0));

    let over = installation.json(&["restore", backup.to_str().unwrap(), "--overwrite"]);
    assert_eq!(over["erased"], 1, "{over}");
    assert_forgotten(&installation);

    // Another machine has the backup, the recovery key, and the list of who was erased.
    let elsewhere = Installation::bare();
    std::fs::create_dir_all(elsewhere.data()).unwrap();
    std::fs::copy(installation.data().join("erasures.log"), elsewhere.data().join("erasures.log")).unwrap();
    let output = told(&elsewhere, &["--json", "restore", backup.to_str().unwrap(), "--recovery"], &recovery);
    check(&output, 0, &["\"erased\":1"]);
    assert_forgotten(&elsewhere);

    // Without that list it cannot know, and the same backup still has the name: so the check above can fail.
    let without = Installation::bare();
    let output = told(&without, &["--json", "restore", backup.to_str().unwrap(), "--recovery"], &recovery);
    check(&output, 0, &["\"erased\":0"]);
    assert_eq!(found(&without, SUBJECT), 3);
}

fn assert_forgotten(installation: &Installation) {
    assert_eq!(found(installation, SUBJECT), 0);
    let entries = installation.entries();
    let calls = calls_of(&entries);
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call["personal"] == "erased"), "{calls:?}");
    installation.verify();
    assert!(!rows(&database(installation), "subjects").is_empty(), "others are kept");
}

/// The list of the erased is as good as the file that it is in: what cannot be told there is told to the operator.
#[test]
fn an_erasure_that_cannot_be_noted_outside_says_so() {
    let installation = Installation::new();
    let server = installation.serve();
    call_often(&server, 1);
    let list: &Path = &installation.data().join("erasures.log");
    std::fs::create_dir(list).unwrap();
    let output = tell(&mut installation.command(&["audit", "erase", SUBJECT]), "");
    check(&output, 69, &["The keys are destroyed", "erasures.log"]);
    assert_eq!(found(&installation, SUBJECT), 0);
    assert_eq!(server.terminate(), Some(0));
}
