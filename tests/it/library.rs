//! Libraries: only what changed is read, what is gone vanishes, a bad file spoils nothing, a lost index comes back.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Installation, signal, text, write};
use crate::strongroom::check;

fn paths(installation: &Installation, query: &str) -> Vec<String> {
    let output = installation.run(&["--json", "search", query, "--library", "demo"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    found["hits"].as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect()
}

fn counts(report: &Value) -> [u64; 4] {
    ["added", "changed", "removed", "unchanged"].map(|key| report["report"][key].as_u64().unwrap())
}

#[test]
fn a_sync_reads_what_changed_and_drops_what_is_gone() {
    let installation = Installation::new();
    let folder = installation
        .add_library("demo", &[("a.md", "# A\n\nzebra\n"), ("b.md", "# B\n\nyak\n"), ("c.md", "# C\n\nibis\n")]);
    assert_eq!(counts(&installation.json(&["library", "sync", "demo"])), [0, 0, 0, 3]);
    write(&folder.join("a.md"), "# A\n\nquokka\n");
    fs::remove_file(folder.join("b.md")).unwrap();
    write(&folder.join("d.md"), "# D\n\nwombat\n");
    assert_eq!(counts(&installation.json(&["library", "sync", "demo"])), [1, 1, 1, 1]);
    assert_eq!(paths(&installation, "quokka"), ["a.md"]);
    assert_eq!(paths(&installation, "wombat"), ["d.md"]);
    assert!(paths(&installation, "zebra").is_empty());
    assert!(paths(&installation, "yak").is_empty());
    let output = installation.run(&["read", "demo", "b.md"]);
    assert_eq!(output.status.code(), Some(66));
    assert_eq!(counts(&installation.json(&["library", "sync", "demo"])), [0, 0, 0, 3]);
}

#[test]
fn a_touched_file_with_the_same_content_is_unchanged() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(folder.join("a.md")).unwrap().set_modified(later).unwrap();
    assert_eq!(counts(&installation.json(&["library", "sync", "demo"])), [0, 0, 0, 1]);
}

#[test]
fn a_bad_file_is_named_and_spoils_nothing() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n"), ("b.md", "# B\n\nyak\n")]);
    fs::write(folder.join("a.md"), b"# A\n\n\xff\xfe broken").unwrap();
    fs::write(folder.join("nul.md"), b"a\0b").unwrap();
    fs::write(folder.join("huge.txt"), vec![b'x'; (16 << 20) + 1]).unwrap();
    let report = installation.json(&["library", "sync", "demo"]);
    let failed: Vec<&str> =
        report["report"]["failed"].as_array().unwrap().iter().filter_map(|it| it["path"].as_str()).collect();
    assert_eq!(failed, ["a.md", "huge.txt", "nul.md"], "{report}");
    assert_eq!(paths(&installation, "zebra"), ["a.md"], "the older version stays");
    assert_eq!(paths(&installation, "yak"), ["b.md"]);
}

/// A name with a line feed wrote a line of its own into the report, and the advice about endings stood above it.
#[test]
fn a_file_name_writes_no_line_of_the_report() {
    let installation = Installation::new();
    let folder = installation.folder("demo");
    fs::write(folder.join("b\nx: 99 documents, all is well.md"), b"a \xff broken").unwrap();
    let output = installation.run(&["library", "add", "demo", folder.to_str().unwrap()]);
    let told = text(&output.stdout);
    assert!(told.contains("  not read b x: 99 documents, all is well.md: "), "{told}");
    assert!(told.lines().skip(1).all(|line| line.starts_with("  ")), "{told}");
    assert!(!told.contains("known endings"), "there is a file of a known ending: {told}");
}

#[test]
fn links_that_lead_outside_are_not_read() {
    let installation = Installation::new();
    let secret = installation.folder("secret");
    write(&secret.join("s.md"), "# S\n\nsecretword\n");
    let folder = installation.folder("demo");
    write(&folder.join("a.md"), "# A\n\nzebra\n");
    std::os::unix::fs::symlink(secret.join("s.md"), folder.join("link.md")).unwrap();
    std::os::unix::fs::symlink(&secret, folder.join("linked")).unwrap();
    installation.json(&["library", "add", "demo", folder.to_str().unwrap()]);
    assert!(paths(&installation, "secretword").is_empty());
}

/// A pipe in a checkout was waited for, for ever, with the index held; a library of one file followed a link anywhere.
#[test]
fn pipes_and_links_in_the_place_of_files_are_not_waited_for_or_followed() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    fs::create_dir(folder.join(".git")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    for pipe in [folder.join(".git/HEAD"), folder.join("pipe.md")] {
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    assert_eq!(counts(&installation.json(&["library", "sync", "demo"])), [0, 0, 0, 1]);
    let secret = installation.folder("secret").join("s.md");
    write(&secret, "# S\n\nsecretword\n");
    let note = installation.folder("notes").join("note.md");
    write(&note, "# Note\n\nibis\n");
    installation.json(&["library", "add", "note", note.to_str().unwrap()]);
    fs::remove_file(&note).unwrap();
    std::os::unix::fs::symlink(&secret, &note).unwrap();
    let output = installation.run(&["library", "sync", "note"]);
    assert!(
        !output.status.success() && text(&output.stderr).contains("links are not followed"),
        "{}",
        text(&output.stderr)
    );
    let found = installation.run(&["--json", "search", "secretword", "--library", "note"]);
    assert!(!text(&found.stdout).contains("note.md"), "{}", text(&found.stdout));
}

#[test]
fn a_lost_or_damaged_index_is_made_anew_with_a_message() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let index = installation.data().join("index");
    let damage: [fn(&std::path::Path); 3] = [
        |index| fs::remove_dir_all(index).unwrap(),
        |index| fs::write(index.join("meta.json"), "{").unwrap(),
        |index| {
            for entry in fs::read_dir(index).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "idx" || extension == "store") {
                    let mut bytes = fs::read(&path).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 0xff;
                    fs::write(&path, bytes).unwrap();
                }
            }
        },
    ];
    for (number, damage) in damage.into_iter().enumerate() {
        damage(&index);
        let output = installation.run(&["--json", "search", "zebra"]);
        assert!(text(&output.stderr).contains("indexed again"), "damage {number}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("a.md"), "damage {number}: {}", text(&output.stdout));
        let quiet = installation.run(&["--json", "search", "zebra"]);
        assert!(quiet.stderr.is_empty(), "damage {number}: {}", text(&quiet.stderr));
    }
}

#[test]
fn names_clash_clearly_and_a_removed_library_is_gone() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let folder = folder.to_str().unwrap();
    assert_eq!(installation.run(&["library", "add", "demo", folder]).status.code(), Some(73));
    assert_eq!(installation.run(&["library", "add", "De/mo", folder]).status.code(), Some(64));
    assert_eq!(installation.run(&["library", "add", "other", "/no/such/folder"]).status.code(), Some(66));
    assert_eq!(installation.run(&["library", "remove", "manual"]).status.code(), Some(73));
    installation.json(&["library", "remove", "demo"]);
    assert_eq!(installation.run(&["library", "show", "demo"]).status.code(), Some(66));
    assert_eq!(installation.json(&["library", "add", "demo", folder])["report"]["added"], 1);
    assert_eq!(paths(&installation, "zebra"), ["a.md"]);
}

#[test]
fn commands_go_through_a_running_server() {
    let installation = Installation::new();
    let server = installation.serve();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let found = server.call("search_documents", json!({"query": "zebra"}));
    assert_eq!(found["structuredContent"]["hits"][0]["path"], "a.md");
    assert!(text(&installation.run(&["healthcheck"]).stdout).contains("ready"));
    let doctor = installation.json(&["doctor"]);
    assert_eq!(doctor["well"], true, "{doctor}");
    assert_eq!(doctor["status"]["process"], server.id());
    drop(server);
    assert_eq!(installation.run(&["healthcheck"]).status.code(), Some(69));
}

#[test]
fn a_directory_that_is_owned_and_not_served_is_not_ready_and_a_server_that_is_stopped_neither() {
    let installation = Installation::new();
    let mut client = installation.stdio();
    client.ask("tools/list", json!({}));
    check(&installation.run(&["healthcheck"]), 69, &["serving"]);
    assert_eq!(client.close(), Some(0));
    let server = installation.serve();
    check(&installation.run(&["healthcheck"]), 0, &["ready"]);
    signal(server.id(), "STOP");
    let stopped = installation.run(&["healthcheck"]);
    signal(server.id(), "CONT");
    check(&stopped, 69, &["said nothing for 9 seconds"]);
    assert_eq!(server.terminate(), Some(0));
}
