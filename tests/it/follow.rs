//! Libraries that are synced by themselves as their files change.

use std::fs;

use serde_json::json;

use crate::harness::{Installation, Server, write};

/// Searches until `holds`; a sync by itself begins some seconds after a change.
fn until(server: &Server, query: &str, holds: impl Fn(&str) -> bool) {
    let began = std::time::Instant::now();
    loop {
        let found = server.call("search_documents", json!({"query": query})).to_string();
        if holds(&found) {
            return;
        }
        assert!(began.elapsed() < crate::harness::PATIENCE, "{query}: {found}");
        std::thread::yield_now();
    }
}

#[test]
fn files_that_change_come_and_go_are_found_without_a_word() {
    let mut installation = Installation::new();
    let folder =
        installation.add_library("docs", &[("kept.md", "# Kept\n\nzebra\n"), ("old.md", "# Old\n\ngnuhorn\n")]);
    let file = installation.folder("single").join("one.md");
    write(&file, "# One\n\nquokka\n");
    installation.json(&["library", "add", "one", file.to_str().unwrap()]);
    installation.set("LIBRARY_FOLLOW", "true");
    // While no server runs: found once one does.
    write(&folder.join("before.md"), "# Before\n\nlemur\n");
    let server = installation.serve();
    until(&server, "lemur", |found| found.contains("before.md"));
    write(&folder.join("deep/new.md"), "# New\n\nokapi\n");
    until(&server, "okapi", |found| found.contains("deep/new.md"));
    fs::remove_file(folder.join("old.md")).unwrap();
    until(&server, "gnuhorn", |found| !found.contains("old.md"));
    // As editors save: another file takes its name.
    write(&file.with_file_name("draft"), "# One\n\nnumbat\n");
    fs::rename(file.with_file_name("draft"), &file).unwrap();
    until(&server, "numbat", |found| found.contains("one.md"));
    // A library that is added later is followed, too.
    let later = installation.add_library("later", &[("a.md", "# A\n\ntapir\n")]);
    write(&later.join("b.md"), "# B\n\nkinkajou\n");
    until(&server, "kinkajou", |found| found.contains("b.md"));
    assert_eq!(server.terminate(), Some(0));
    let entries = installation.entries();
    let by_itself = |entry: &&serde_json::Value| {
        entry["operation"] == "library.sync"
            && entry["reason"].as_str().is_some_and(|reason| reason.contains("its files changed"))
    };
    assert!(entries.iter().filter(by_itself).count() >= 5, "{entries:?}");
    installation.verify();
}
