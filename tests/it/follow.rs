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

#[test]
fn a_folder_in_the_place_of_another_and_libraries_within_each_other_are_followed() {
    let mut installation = Installation::new();
    let folder = installation.add_library("docs", &[("a.md", "# A\n\nzebra\n"), ("inner/one.md", "# One\n\nquokka\n")]);
    let file = folder.join("inner/one.md");
    installation.json(&["library", "add", "one", file.to_str().unwrap()]);
    installation.set("LIBRARY_FOLLOW", "true");
    let server = installation.serve();
    write(&folder.join("b.md"), "# B\n\nlemur\n");
    until(&server, "lemur", |found| found.contains("b.md"));
    // Within the folder that both watch, a new one goes deeper.
    write(&folder.join("inner/deep/c.md"), "# C\n\nokapi\n");
    until(&server, "okapi", |found| found.contains("inner/deep/c.md"));
    write(&folder.join("inner/deep/d.md"), "# D\n\ngnuhorn\n");
    until(&server, "gnuhorn", |found| found.contains("inner/deep/d.md"));
    // The smaller one goes, and takes nothing of the larger one's along.
    installation.json(&["library", "remove", "one"]);
    write(&folder.join("late.md"), "# Late\n\naardvark\n");
    until(&server, "aardvark", |found| found.contains("late.md"));
    write(&file, "# One\n\nnumbat\n");
    until(&server, "numbat", |found| found.contains("inner/one.md"));
    // As a checkout or a mount does: another folder has the name now.
    fs::rename(&folder, folder.with_file_name("docs-before")).unwrap();
    write(&folder.join("e.md"), "# E\n\ntapir\n");
    until(&server, "tapir", |found| found.contains("e.md"));
    write(&folder.join("f.md"), "# F\n\nkinkajou\n");
    until(&server, "kinkajou", |found| found.contains("f.md"));
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}
