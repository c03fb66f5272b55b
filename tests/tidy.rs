//! Holds the structure: floors, who knows which crate, one sentence of purpose per file, small files, no globs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is surprised")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms and their floors. A module imports only from strictly lower floors, or from itself.
const FLOORS: &[(&str, u32)] = &[
    ("base", 0),
    ("config", 1),
    ("plot", 1),
    ("client", 2),
    ("crypto", 2),
    ("guardrail", 2),
    ("archive", 3),
    ("openapi", 3),
    ("schema", 2),
    ("egress", 3),
    ("sandbox", 3),
    ("scan", 3),
    ("search", 3),
    ("store", 3),
    ("telemetry", 3),
    ("vault", 4),
    ("audit", 5),
    ("auth", 6),
    ("custody", 6),
    ("incident", 6),
    ("connector", 7),
    ("library", 7),
    ("profile", 7),
    ("report", 7),
    ("operation", 8),
    ("tool", 9),
    ("admin", 9),
    ("watch", 9),
    ("fixture", 9),
    ("pipeline", 10),
    ("mcp", 11),
    ("web", 11),
    ("http", 12),
    ("app", 13),
    ("cli", 14),
];

/// Crates that only some rooms may know.
const KNOWN_BY: &[(&str, &[&str])] = &[
    ("prometheus_client", &["telemetry"]),
    ("procfs", &["telemetry"]),
    ("redb", &["store"]),
    ("tantivy", &["search"]),
    ("rmcp", &["mcp"]),
    ("warp", &["http", "web"]),
    ("hyper", &["http", "cli", "egress"]),
    ("aes_gcm", &["crypto"]),
    ("sha2", &["crypto"]),
    ("hmac", &["crypto"]),
    ("hkdf", &["crypto"]),
    ("pbkdf2", &["crypto"]),
    ("ed25519_dalek", &["crypto"]),
    ("jsonwebtoken", &["auth"]),
    ("rustls", &["crypto", "egress", "http"]),
    ("rustls_native_certs", &["crypto"]),
    ("hickory_proto", &["egress"]),
    ("lettre", &["watch"]),
    ("landlock", &["sandbox"]),
    ("seccompiler", &["sandbox"]),
    ("libc", &["sandbox"]),
    ("tar", &["archive", "audit", "library"]),
    ("zip", &["library"]),
    ("pdf_extract", &["library"]),
    ("rcgen", &["crypto"]),
    ("x509_parser", &["crypto"]),
    ("listenfd", &["config"]),
    ("bincode", &["store"]),
    ("semver", &["scan"]),
    ("aho_corasick", &["config", "guardrail"]),
    ("regex", &["guardrail", "profile"]),
    ("ammonia", &["pipeline"]),
    ("askama", &["report", "web"]),
    ("cedar_policy", &["auth"]),
    ("miette", &["auth"]),
    ("jsonc_parser", &["client"]),
    ("similar", &["client"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What a fuzz target's build leaves is not ours.
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// `src/store/mod.rs` is in the room `store`, `src/app.rs` in `app`.
fn room_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(root().join("src")).ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned()).filter(|room| room != "lib" && room != "main")
}

/// The lines of code, without comments and without the tests at the end of the file.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let without_tests = text.find("#[cfg(test)]\nmod ").map_or(text, |at| &text[..at]);
    (1..).zip(without_tests.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn every_room_has_a_floor() {
    let floors: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    for (path, _) in sources("src") {
        if let Some(room) = room_of(&path) {
            assert!(
                floors.contains_key(room.as_str()),
                "{} is on no floor: add it to FLOORS and lib.rs",
                path.display()
            );
        }
    }
}

#[test]
fn imports_go_down() {
    let floors: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let Some(room) = room_of(&path) else { continue };
        for (number, line) in code(&text) {
            for (at, _) in line.match_indices("crate::") {
                let name: String =
                    line[at + 7..].chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
                let Some(other) = floors.get(name.as_str()) else { continue };
                // The fixtures stand in for tools, and use what tools are made of.
                let fixture = room == "fixture" && name == "tool";
                if name != room && *other >= floors[room.as_str()] && !fixture {
                    wrong.push(format!("{}:{number}: {room} imports {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these imports do not go down:\n{}", wrong.join("\n"));
}

#[test]
fn crates_are_known_by_their_rooms_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let Some(room) = room_of(&path) else { continue };
        for (number, line) in code(&text) {
            for (name, rooms) in KNOWN_BY {
                let used = line.match_indices(&format!("{name}::")).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|char| char.is_alphanumeric() || char == '_' || char == ':')
                });
                if used && !rooms.contains(&room.as_str()) {
                    wrong.push(format!("{}:{number}: {room} knows {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Behind its one door nothing leads out, if there is no other. Unix sockets and listeners lead nowhere else.
#[test]
fn sockets_to_other_machines_are_opened_in_one_file() {
    let opening =
        ["TcpStream::connect", "TcpSocket", "UdpSocket::bind", "lookup_host", "to_socket_addrs", "ToSocketAddrs"];
    let mut found = Vec::new();
    for (path, text) in sources("src") {
        // Tests are servers, too.
        if path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("tests")) {
            continue;
        }
        for (number, line) in code(&text) {
            let other_ways = line.contains("socket(") && line.contains("rustix") || line.contains("connect_timeout");
            if (opening.iter().any(|call| line.contains(call)) || other_ways) && !path.ends_with("egress/door.rs") {
                found.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "sockets beside egress/door.rs:\n{}", found.join("\n"));
}

#[test]
fn every_file_opens_with_its_purpose() {
    for folder in ["src", "migrations", "tests", "benches"] {
        for (path, text) in sources(folder) {
            let first = text.lines().next().unwrap_or_default();
            assert!(first.starts_with("//! ") && first.len() > 20, "{} does not open with a sentence", path.display());
        }
    }
}

#[test]
fn files_are_small() {
    for (path, text) in sources("src") {
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines; cut it by its ideas", path.display());
    }
}

#[test]
fn there_are_no_globs_and_no_junk_drawers() {
    for (path, text) in sources("src") {
        // A file of tests sees all of the module that it tests.
        let of_tests = path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("tests"));
        for (number, line) in code(&text) {
            let glob = line.trim_start().starts_with("use ") && line.contains("::*") && !of_tests;
            assert!(!glob, "{}:{number}: a glob import", path.display());
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(!["util", "utils", "helper", "helpers", "common", "misc"].contains(&name), "{}", path.display());
    }
}

#[test]
fn every_bound_has_its_reason() {
    let parts = fs::read_dir(root().join("src/base/bound")).unwrap().map(|part| part.unwrap().path());
    for path in parts.chain([root().join("src/base/bound.rs")]) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            if pair[1].starts_with("pub const") {
                assert!(pair[0].starts_with("///"), "no reason stands above: {}", pair[1]);
            }
        }
    }
}

#[test]
fn results_of_the_protocol_are_built_in_one_place() {
    for (path, text) in sources("src/mcp") {
        if path.ends_with("reply.rs") {
            continue;
        }
        for (number, line) in code(&text) {
            for built in ["CallToolResult::", "ReadResourceResult::", "GetPromptResult::", "CompleteResult::new"] {
                assert!(!line.contains(built), "{}:{number}: {built} outside of reply.rs", path.display());
            }
        }
    }
}
