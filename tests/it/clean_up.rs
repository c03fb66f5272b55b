//! Cleaning up: what is good for nothing any more goes, the database becomes smaller, and a short disk is told.

use serde_json::{Value, json};

use crate::harness::{Installation, text, write};
use crate::strongroom::{check, until};
use crate::timed::{Timed, clock};

fn kinds(pruned: &Value) -> Vec<String> {
    let items = pruned["items"].as_array().unwrap();
    items.iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn prune_says_what_would_go_and_then_takes_it_away_and_nothing_else() {
    let installation = Installation::new();
    let data = installation.data();
    installation.json(&["token", "issue", "old"]);
    installation.json(&["token", "revoke", "old"]);
    installation.json(&["token", "issue", "new"]);
    // A log that begins removes old files itself, so one that runs is looked at.
    let server = installation.serve();
    write(&data.join("logs/sekisho.2020-01-01.log"), "old");
    write(&data.join("logs/notes.txt"), "mine");
    write(&data.join("web/gone/index.md"), "a page");
    write(&data.join("sekisho.redb.restoring"), "half");
    write(&data.join("sekisho.redb.backup-copy"), "a backup that was killed");
    write(&data.join("sekisho.redb.vacuum-copy.ballast"), "of a copy");
    write(&data.join("vault-key.draft"), "it may open the vault");
    write(&data.join("sekisho.redb.before-restore-0"), "before");
    std::os::unix::fs::symlink(data.join("http-token"), data.join("advisories.new")).unwrap();
    let dry = installation.json(&["prune", "--dry-run"]);
    let mut found = kinds(&dry);
    found.sort();
    assert_eq!(
        found,
        [
            "interrupted work",
            "interrupted work",
            "interrupted work",
            "mirror of a removed library",
            "old log",
            "revoked or expired tokens"
        ],
        "{dry}"
    );
    for path in
        ["logs/sekisho.2020-01-01.log", "web/gone/index.md", "sekisho.redb.restoring", "sekisho.redb.backup-copy"]
    {
        assert!(data.join(path).exists(), "{path} went in a dry run");
    }
    assert_eq!(installation.json(&["token", "list"])["items"].as_array().unwrap().len(), 3);
    let pruned = installation.json(&["prune"]);
    assert_eq!((pruned["items"].clone(), pruned["dry_run"].clone()), (dry["items"].clone(), json!(false)));
    for path in [
        "logs/sekisho.2020-01-01.log",
        "web/gone",
        "sekisho.redb.restoring",
        "sekisho.redb.backup-copy",
        "sekisho.redb.vacuum-copy.ballast",
    ] {
        assert!(!data.join(path).exists(), "{path} stayed");
    }
    for path in ["logs/notes.txt", "vault-key.draft", "sekisho.redb.before-restore-0", "http-token", "advisories.new"] {
        assert!(data.join(path).symlink_metadata().is_ok(), "{path} went");
    }
    assert_eq!(installation.json(&["token", "list"])["items"].as_array().unwrap().len(), 2);
    check(&installation.run(&["prune"]), 0, &["nothing to prune"]);
    assert_eq!(kinds(&installation.json(&["prune", "--copies"])), ["copy of an older database"]);
    assert!(!data.join("sekisho.redb.before-restore-0").exists());
    let entries = installation.entries();
    assert!(entries.iter().any(|entry| entry["operation"] == "prune" && entry["outcome"] == "done"), "it is recorded");
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn vacuum_makes_the_database_smaller_under_a_server_and_loses_nothing() {
    let installation = Installation::new();
    let words: String = (0..40_000).map(|number| format!("word{} ", number * 7919 % 100_003)).collect();
    let documents: Vec<(String, String)> =
        (0..12).map(|number| (format!("{number}.md"), format!("# Page {number}\n\n{number} {words}"))).collect();
    let documents: Vec<(&str, &str)> = documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    installation.add_library("large", &documents);
    installation.add_library("small", &[("a.md", "# A\n\nzebra\n")]);
    installation.json(&["library", "remove", "large"]);
    let server = installation.serve();
    // The file itself grows again with the entries that follow, in steps of the database's own.
    let result = installation.json(&["vacuum"]);
    assert!(result["after_bytes"].as_u64().unwrap() < result["before_bytes"].as_u64().unwrap(), "{result}");
    let left: Vec<String> = std::fs::read_dir(installation.data())
        .unwrap()
        .map(|entry| text(entry.unwrap().file_name().as_encoded_bytes()))
        .filter(|name| name.contains("vacuum"))
        .collect();
    assert_eq!(left, [""; 0], "the safety copy is gone");
    let hits = server.call("search_documents", json!({"query": "zebra"}));
    assert!(hits.to_string().contains("a.md"), "{hits}");
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn the_copy_of_a_compaction_that_did_not_end_is_nobodys_to_delete_but_the_operators() {
    let installation = Installation::new();
    let copy = installation.data().join("sekisho.redb.vacuum-copy");
    write(&copy, "all that is left");
    let refused = installation.run(&["vacuum"]);
    assert!(!refused.status.success());
    check(&refused, refused.status.code().unwrap(), &["sekisho.redb.vacuum-copy", "sekisho prune --copies"]);
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "all that is left");
    installation.json(&["prune"]);
    assert!(copy.exists(), "only whoever asks for it takes it away");
    installation.json(&["prune", "--copies"]);
    assert!(!copy.exists());
    installation.json(&["vacuum"]);
    assert!(!copy.exists());
}

#[test]
fn a_short_disk_is_told_once_and_its_end_too() {
    let mut installation = Installation::new();
    installation.set("UPKEEP_DISK_FREE_PERCENT_MIN", "99");
    let clock = clock();
    let entries = |outcome: &str| {
        let entries = installation.entries();
        entries.iter().filter(|entry| entry["operation"] == "disk.space" && entry["outcome"] == outcome).count()
    };
    let timed = Timed::start(&installation, &clock);
    timed.look_after();
    timed.look_after();
    assert_eq!(entries("failed"), 1);
    let ready = until("the warning is in the answer", || {
        let ready = timed.server.raw("GET", "/ready", &[("Host", "localhost")], "");
        (ready.message()["warnings"] == json!(["disk"])).then_some(ready)
    });
    assert_eq!(ready.status, 200, "it still works");
    until("there is an alert", || {
        let listed = installation.json(&["alert", "list"]);
        listed["alerts"].as_array().unwrap().iter().any(|alert| alert["event"] == "disk_short").then_some(())
    });
    check(&installation.run(&["doctor"]), 1, &["% are free", "sekisho prune"]);
    timed.stop();
    installation.set("UPKEEP_DISK_FREE_PERCENT_MIN", "0");
    installation.set("UPKEEP_DISK_FREE_BYTES_MIN", "0");
    let timed = Timed::start(&installation, &clock);
    timed.look_after();
    let entries = |outcome: &str| {
        let entries = installation.entries();
        entries.iter().filter(|entry| entry["operation"] == "disk.space" && entry["outcome"] == outcome).count()
    };
    assert_eq!(entries("done"), 1);
    timed.stop();
}

#[test]
fn doctor_tells_sizes_and_growth() {
    let installation = Installation::new();
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    timed.look_after();
    clock.advance(std::time::Duration::from_hours(3 * 24));
    timed.look_after();
    let doctor = installation.run(&["--json", "doctor"]);
    let told: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert_eq!(told["status"]["history"].as_array().unwrap().len(), 2, "{told}");
    let line = told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|finding| finding["what"].as_str().filter(|what| what.starts_with("sizes:")).map(str::to_owned));
    let line = line.unwrap();
    assert!(line.contains("MiB within 3 days") && line.contains("database "), "{line}");
    assert!(told["status"]["sizes"]["database_bytes"].as_u64().unwrap() > 0);
    timed.stop();
}
