//! Libraries in bundles: carried whole to another site, only with a trusted key, brought up to date and taken back.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Installation, is_soak, text, write};
use crate::strongroom::check;

const KETTLE: &str =
    "---\ntitle: Kettle\nplatforms: [ios]\n---\n# Kettle\n\nBoils zebra water.\n\n## Steeping\n\nThree minutes.\n";

/// A profile of one's own, which no other Sekisho has.
const TEA: &str = r#"name = "tea"
title = "Tea"
about = "Tea and what it is made with."
languages = ["en"]

[[sites]]
path = '^(.*)\.md$'
address = "https://tea.example/$1"
read = '^https://tea\.example/(.*)$'
files = ["{}.md"]

[[facets]]
name = "platform"
about = "Where it runs."
values = ["ios", "web", "any"]
default = ["any"]
rules = [{ front = "platforms", is = '^(ios|web)$', values = ["$1"] }]

[tools.search]
name = "search_pages"
title = "Search tea"
about = "Searches pages about tea."
"#;

/// A bundle of `name`, its key and what the export said.
fn export(installation: &Installation, name: &str, file: &str) -> (PathBuf, String, Value) {
    let path = installation.folder("bundles").join(file);
    let made = installation.json(&["library", "export", name, path.to_str().unwrap()]);
    let key = made["verifying_key"].as_str().unwrap().to_owned();
    (path, key, made)
}

fn import(installation: &Installation, path: &std::path::Path, key: &str, more: &[&str]) -> Value {
    installation.json(&[&["library", "import", path.to_str().unwrap(), "--vkey", key], more].concat())
}

fn try_import(installation: &Installation, path: &std::path::Path, key: &str, more: &[&str]) -> std::process::Output {
    installation.run(&[&["library", "import", path.to_str().unwrap(), "--vkey", key], more].concat())
}

fn counts(report: &Value) -> [u64; 4] {
    ["added", "changed", "removed", "unchanged"].map(|key| report["report"][key].as_u64().unwrap())
}

fn paths(installation: &Installation, query: &str) -> Vec<String> {
    // Nothing found is another exit code.
    let output = installation.run(&["--json", "search", query, "--library", "docs", "--limit", "50"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    found["hits"].as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect()
}

/// The whole of a document.
fn document(installation: &Installation, path: &str) -> String {
    let output = installation.run(&["read", "docs", path]);
    assert!(output.status.success(), "{path}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_library_is_the_same_at_the_other_site() {
    let home = Installation::new();
    let documents = [
        ("kettle.md", KETTLE),
        ("a b/c#?%.md", "# Odd\n\nodd yak\n"),
        ("w\\x.md", "# Backslash\n\nibis\n"),
        ("カメラ/撮影.md", "# 撮影\n\n写真を撮影する方法。\n"),
        ("plain.txt", "plain text with --- and # no heading\n\nnext\n"),
        ("page.html", "<html><body><main><h1>Page</h1><p>quagga</p><h2 id=deep>Deep</h2><p>below</p></main></body>"),
        ("empty.md", ""),
    ];
    home.add_library("docs", &documents);
    let (bundle, key, made) = export(&home, "docs", "docs.bundle");
    assert_eq!(made["documents"], documents.len());
    let away = Installation::new();
    let imported = import(&away, &bundle, &key, &[]);
    assert_eq!(counts(&imported), [documents.len() as u64, 0, 0, 0]);
    assert_eq!(imported["signer"], key.as_str());
    assert_eq!(imported["sha256"], made["sha256"]);
    for (path, _) in documents {
        assert_eq!(document(&away, path), document(&home, path), "{path}");
    }
    for query in ["zebra", "撮影", "quagga", "ibis", "Steeping"] {
        assert_eq!(paths(&away, query), paths(&home, query), "{query}");
        assert!(!paths(&away, query).is_empty(), "{query}");
    }
    // Anchors that agents quote lead to the same place.
    let section = |it: &Installation| text(&it.run(&["read", "docs", "page.html", "--section", "deep"]).stdout);
    assert!(section(&away).contains("below"));
    assert_eq!(section(&away), section(&home));
    let shown = away.json(&["library", "show", "docs"]);
    assert_eq!(shown["library"]["bundle"]["serial"], made["serial"]);
    assert_eq!(shown["library"]["bundle"]["signer"], key.as_str());
    assert_eq!(shown["library"]["bytes"], home.json(&["library", "show", "docs"])["library"]["bytes"]);
    // It goes on from there to a third site, under that one's own key.
    let (onward, other, _) = export(&away, "docs", "onward.bundle");
    assert_ne!(other, key);
    let third = Installation::new();
    assert_eq!(counts(&import(&third, &onward, &other, &["--name", "tea"]))[0], documents.len() as u64);
    let source = third.json(&["library", "show", "tea"])["library"]["source"].as_str().unwrap().to_owned();
    assert_eq!(source, format!("bundle of {}", home.folder("docs").display()));
    for installation in [&home, &away, &third] {
        installation.verify();
    }
}

#[test]
fn a_newer_bundle_changes_only_what_is_new_and_can_be_taken_back() {
    let home = Installation::new();
    let folder =
        home.add_library("docs", &[("a.md", "# A\n\nzebra\n"), ("b.md", "# B\n\nyak\n"), ("c.md", "# C\n\nibis\n")]);
    let (first, key, _) = export(&home, "docs", "1.bundle");
    write(&folder.join("a.md"), "# A\n\nquokka\n");
    fs::remove_file(folder.join("b.md")).unwrap();
    write(&folder.join("d.md"), "# D\n\nwombat\n");
    home.json(&["library", "sync", "docs"]);
    let (second, _, newer) = export(&home, "docs", "2.bundle");

    let away = Installation::new();
    import(&away, &first, &key, &[]);
    check(&away.run(&["library", "rollback", "docs"]), 73, &["no earlier bundle is kept"]);
    let updated = import(&away, &second, &key, &[]);
    assert_eq!(counts(&updated), [1, 1, 1, 1]);
    let found = |installation: &Installation| {
        ["zebra", "yak", "ibis", "quokka", "wombat"].map(|word| !paths(installation, word).is_empty())
    };
    assert_eq!(found(&away), [false, false, true, true, true]);
    // The same, and the one before, are not newer.
    for old in [&first, &second] {
        check(&try_import(&away, old, &key, &[]), 73, &["which is not newer", "--allow-older"]);
    }
    assert_eq!(found(&away), [false, false, true, true, true]);
    // What is kept to go back to is no leftover.
    away.json(&["prune"]);
    let back = away.json(&["library", "rollback", "docs"]);
    assert_eq!(counts(&back), [1, 1, 1, 1]);
    assert_eq!(back["before"], newer["serial"]);
    assert_eq!(found(&away), [true, true, true, false, false]);
    assert_eq!(document(&away, "a.md"), "# A\n\nzebra\n");
    assert_eq!(away.json(&["library", "show", "docs"])["library"]["documents"], 3);
    // Once more leads forward again, and so does the bundle.
    away.json(&["library", "rollback", "docs"]);
    assert_eq!(found(&away), [false, false, true, true, true]);
    away.json(&["library", "rollback", "docs"]);
    assert_eq!(counts(&import(&away, &second, &key, &[])), [1, 1, 1, 1]);
    assert_eq!(counts(&import(&away, &first, &key, &["--allow-older"])), [1, 1, 1, 1]);
    assert_eq!(found(&away), [true, true, true, false, false]);
    // A lost index is made anew from what is visible, though rows of two generations are there.
    fs::remove_dir_all(away.data().join("index")).unwrap();
    assert_eq!(found(&away), [true, true, true, false, false]);
    away.verify();
    away.json(&["library", "remove", "docs"]);
    import(&away, &first, &key, &[]);
    check(&away.run(&["library", "rollback", "docs"]), 73, &["no earlier bundle is kept"]);
}

#[test]
fn only_whoever_is_trusted_is_believed() {
    let home = Installation::new();
    home.add_library("docs", &[("a.md", "# A\n\nzebra\n")]);
    let (bundle, key, _) = export(&home, "docs", "docs.bundle");
    let mut away = Installation::new();
    let stranger = away.json(&["key", "status"])["bundle_key"].as_str().unwrap().to_owned();
    let path = bundle.to_str().unwrap();
    check(&away.run(&["library", "import", path]), 64, &["no key is trusted", "--vkey"]);
    check(&try_import(&away, &bundle, &stranger, &[]), 64, &["not signed by a key that you trust"]);
    check(&try_import(&away, &bundle, "nonsense", &[]), 64, &["is no key of bundles"]);
    // The key of the audit log is another one.
    let log = home.json(&["key", "status"])["verifying_keys"].as_array().unwrap().last().unwrap().clone();
    check(&try_import(&away, &bundle, log.as_str().unwrap(), &[]), 64, &["not signed by a key that you trust"]);
    let mut bytes = fs::read(&bundle).unwrap();
    let middle = bytes.len() - 1100;
    bytes[middle] ^= 1;
    let changed = bundle.with_file_name("changed.bundle");
    fs::write(&changed, &bytes).unwrap();
    check(&try_import(&away, &changed, &key, &[]), 64, &["fetch it again"]);
    fs::write(&changed, &bytes[..bytes.len() / 2]).unwrap();
    check(&try_import(&away, &changed, &key, &[]), 64, &["was cut", "fetch it again"]);
    check(&try_import(&away, &bundle.with_file_name("none"), &key, &[]), 66, &["No such file"]);
    assert_eq!(away.json(&["library", "list"])["libraries"].as_array().unwrap().len(), 1, "only the manual");
    // A key of the configuration counts as well.
    away.set("LIBRARY_TRUSTED_KEYS", &format!("[{key:?}]"));
    away.json(&["library", "import", path]);
    assert_eq!(paths(&away, "zebra"), ["a.md"]);
    let entries = away.entries();
    let noted = entries.iter().find(|entry| entry["reason"].as_str().is_some_and(|reason| reason.contains("SHA-256")));
    let noted = noted.expect("the log says which bundle it was");
    assert_eq!(noted["operation"], "library.import");
    assert!(noted["reason"].as_str().unwrap().contains(&key), "{noted}");
}

#[test]
fn what_stands_in_the_way_is_said() {
    let home = Installation::new();
    home.add_library("docs", &[("a.md", "# A\n\nzebra\n")]);
    home.add_library("other", &[("a.md", "# A\n\nyak\n")]);
    let (bundle, key, _) = export(&home, "docs", "docs.bundle");
    let (other, _, _) = export(&home, "other", "other.bundle");
    check(&home.run(&["library", "export", "docs", bundle.to_str().unwrap()]), 73, &["exists already"]);
    check(&home.run(&["library", "export", "none", "/tmp/x"]), 66, &["there is no library"]);
    check(&try_import(&home, &bundle, &key, &[]), 73, &["does not come from a bundle", "--name"]);
    let away = Installation::new();
    import(&away, &bundle, &key, &[]);
    check(&try_import(&away, &other, &key, &["--name", "docs"]), 73, &["comes from bundles of \"docs\""]);
    check(&try_import(&away, &other, &key, &["--name", "O/x"]), 64, &["is no name for a library"]);
    check(&away.run(&["library", "sync", "docs"]), 64, &["import a newer one"]);
    assert!(away.run(&["library", "sync"]).status.success(), "a sync of all passes it over");
    check(&away.run(&["library", "profile", "use", "docs", "expo"]), 64, &["--profile"]);
    check(&away.run(&["library", "rollback", "manual"]), 73, &["no earlier bundle"]);
    // What is confidential at home is no less so here.
    home.json(&["library", "classify", "docs", "confidential"]);
    let (again, _, _) = export(&home, "docs", "again.bundle");
    let level = |it: &Installation| it.json(&["library", "show", "docs"])["library"]["classification"].clone();
    assert_eq!(level(&away), "internal");
    import(&away, &again, &key, &["--allow-older", "--classification", "public"]);
    assert_eq!(level(&away), "confidential");
}

#[test]
fn a_profile_travels_with_its_library() {
    let mut home = Installation::new();
    let profiles = home.folder("profiles");
    write(&profiles.join("tea/profile.toml"), TEA);
    home.set("PROFILE_DIRECTORY", profiles.to_str().unwrap());
    let folder = home.folder("docs");
    write(&folder.join("kettle.md"), KETTLE);
    home.json(&["library", "add", "docs", folder.to_str().unwrap(), "--profile", "tea"]);
    let (bundle, key, made) = export(&home, "docs", "docs.bundle");
    assert_eq!(made["profile"], "tea");
    let away = Installation::new();
    let server = away.serve();
    // The server runs, and has the tools at once.
    let imported = import(&away, &bundle, &key, &[]);
    assert_eq!(imported["library"]["profile"], "tea");
    let asked = serde_json::json!({"query": "zebra", "filters": {"platform": ["ios"]}});
    let found = server.call("tea_search_pages", asked.clone());
    assert_eq!(found["structuredContent"]["hits"][0]["path"], "kettle.md", "{found}");
    server.stop();
    // And after the next start.
    let server = away.serve();
    let found = server.call("tea_search_pages", asked);
    assert_eq!(found["structuredContent"]["hits"][0]["path"], "kettle.md", "{found}");
    server.stop();
    // Another profile of the same name, from this site, is not replaced.
    let mut own = Installation::new();
    let theirs = own.folder("profiles");
    write(&theirs.join("tea/profile.toml"), &TEA.replace("\"Tea\"", "\"Our tea\""));
    own.set("PROFILE_DIRECTORY", theirs.to_str().unwrap());
    import(&own, &bundle, &key, &[]);
    let titles = own.json(&["library", "profile", "list"]).to_string();
    assert!(titles.contains("Our tea"), "{titles}");
    // One that is not whole keeps the bundle out: forged by whoever holds the key, it would still be checked.
    let none = Installation::new();
    import(&none, &bundle, &key, &["--profile", "react"]);
    assert_eq!(none.json(&["library", "show", "docs"])["library"]["profile"], "react");
}

#[test]
fn an_empty_library_and_a_large_one_travel() {
    let home = Installation::new();
    let folder = home.add_library("docs", &[]);
    let (empty, key, made) = export(&home, "docs", "empty.bundle");
    assert_eq!(made["documents"], 0);
    for number in 0..800 {
        let words = "words about camels ".repeat(20);
        write(
            &folder.join(format!("p{number}.md")),
            &format!("# Page {number}\n\n{words}\n\n## Part\n\nzebra{number}\n"),
        );
    }
    home.json(&["library", "sync", "docs"]);
    let (full, _, _) = export(&home, "docs", "full.bundle");
    let away = Installation::new();
    assert_eq!(counts(&import(&away, &empty, &key, &[])), [0, 0, 0, 0]);
    assert_eq!(counts(&import(&away, &full, &key, &[])), [800, 0, 0, 0]);
    assert_eq!(paths(&away, "zebra799"), ["p799.md"]);
    let back = away.json(&["library", "rollback", "docs"]);
    assert_eq!(counts(&back), [0, 0, 800, 0]);
    assert!(paths(&away, "zebra799").is_empty());
}

/// A kill at another line of its progress each round: there is the old library or the new one.
#[test]
fn an_import_that_is_killed_leaves_what_was_there() {
    let home = Installation::new();
    let folder = home.add_library("docs", &[]);
    let mut bundles = Vec::new();
    for word in ["zebra", "quokka"] {
        for number in 0..60 {
            let words = "words ".repeat(300);
            write(&folder.join(format!("p{number}.md")), &format!("# P{number}\n\n{word} {words}\n"));
        }
        home.json(&["library", "sync", "docs"]);
        bundles.push(export(&home, "docs", &format!("{word}.bundle")));
    }
    let away = Installation::new();
    import(&away, &bundles[0].0, &bundles[0].1, &[]);
    for round in 0..if is_soak() { 60 } else { 6 } {
        let (path, key, _) = &bundles[(round + 1) % 2];
        let mut command = away
            .command(&["library", "import", path.to_str().unwrap(), "--vkey", key, "--allow-older"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let progress = std::io::BufReader::new(command.stderr.take().unwrap());
        let lines = std::io::BufRead::lines(progress).map_while(Result::ok);
        assert!(lines.take(round % 11).count() < 11);
        command.kill().ok();
        command.wait().unwrap();
        away.verify();
        let (zebra, quokka) = (paths(&away, "zebra").len(), paths(&away, "quokka").len());
        assert!((zebra > 0) != (quokka > 0), "round {round}: {zebra} and {quokka}");
        assert_eq!(away.json(&["library", "show", "docs"])["library"]["documents"], 60);
    }
    let (path, key, _) = &bundles[1];
    import(&away, path, key, &["--allow-older"]);
    assert!(paths(&away, "zebra").is_empty());
}
