//! Holds the structure: floors, who knows which crate, one sentence of purpose per file, small files, no globs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is surprised")]

use std::collections::{BTreeMap, BTreeSet};
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

/// Files of one room that import each other, and why they stay so.
const CIRCLES: &[&[&str]] = &[
    // An edition hashes the key that the schema writes, and the schema writes editions: a file for that one key would
    // be one too many.
    &["search/edition.rs", "search/schema.rs"],
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
    let without_tests = text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at]);
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

/// The paths of a `use` tree: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expanded(tree: &str) -> Vec<String> {
    let Some((before, inner)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let inner = inner.trim_end().strip_suffix('}').unwrap();
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, char) in inner.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[from..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(expanded).map(|part| format!("{}{part}", before.trim_start())).collect()
}

/// The paths in code that begin with `crate` or `super`, in `use` trees and elsewhere.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_name = |char: char| char.is_alphanumeric() || char == '_';
            if code[..at].ends_with(|char| is_name(char) || char == ':') {
                continue;
            }
            let is_use = code[..at].ends_with("use ");
            let end = if is_use { code[at..].find(';') } else { code[at..].find(|char| !is_name(char) && char != ':') };
            let path = &code[at..at + end.unwrap_or(code.len() - at)];
            found.extend(if is_use { expanded(path) } else { vec![path.to_owned()] });
        }
    }
    found
}

/// The names of a module from the root of the crate: of `src/store/write.rs`, `store` and `write`.
fn module_of(path: &Path) -> Vec<String> {
    let below = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let names = below.components().map(|name| name.as_os_str().to_str().unwrap().to_owned());
    names.filter(|name| name != "mod").collect()
}

/// The file that a path in `module` leads to: of what it names, the innermost that is a file.
fn led_to<'a, T>(
    path: &str,
    module: &[String],
    files: &'a BTreeMap<Vec<String>, T>,
) -> Option<(&'a Vec<String>, &'a T)> {
    let mut names = module.to_vec();
    for name in path.split("::") {
        match name {
            "crate" => names.clear(),
            "super" => drop(names.pop()),
            "self" | "" => {}
            name => names.push(name.to_owned()),
        }
    }
    (1..=names.len()).rev().find_map(|length| files.get_key_value(&names[..length]))
}

#[test]
fn paths_of_use_trees_are_all_seen() {
    let code = "use super::{a::{B, c::D as E}, self};\nuse crate::x::y;\nlet z = super::super::v::w(crate::u::T);";
    let expected = ["crate::x::y", "crate::u::T", "super::a::B", "super::a::c::D", "super::self", "super::super::v::w"];
    assert_eq!(paths(code), expected);
}

/// A folder and the files below it are one thing here: a child may use its parent's words.
#[test]
fn files_of_a_room_do_not_import_each_other_in_a_circle() {
    let is_of_tests = |path: &Path| path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("tests"));
    let sources: Vec<_> = sources("src").into_iter().filter(|(path, _)| !is_of_tests(path)).collect();
    let files: BTreeMap<_, _> = (0..).zip(&sources).map(|(number, (path, _))| (module_of(path), number)).collect();
    // Between rooms there are no circles: imports go down.
    let is_beside =
        |one: &[String], two: &[String]| one.first() == two.first() && !one.starts_with(two) && !two.starts_with(one);
    let mut leads: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); sources.len()];
    for (module, number) in &files {
        let lines: Vec<&str> = code(&sources[*number].1).map(|(_, line)| line).collect();
        let to = paths(&lines.join("\n"));
        let to = to.iter().filter_map(|path| led_to(path, module, &files));
        leads[*number] = to.filter(|(to, _)| is_beside(module, to)).map(|(_, number)| *number).collect();
    }
    let reached = |from: usize| {
        let (mut seen, mut queue) = (BTreeSet::new(), vec![from]);
        while let Some(file) = queue.pop() {
            queue.extend(leads[file].iter().filter(|next| seen.insert(**next)));
        }
        seen
    };
    let reach: Vec<BTreeSet<usize>> = (0..sources.len()).map(reached).collect();
    let name = |file: &usize| sources[*file].0.strip_prefix(root().join("src")).unwrap().display().to_string();
    let mut circles = BTreeSet::new();
    for (file, seen) in reach.iter().enumerate().filter(|(file, seen)| seen.contains(file)) {
        circles.insert(seen.iter().filter(|other| reach[**other].contains(&file)).map(name).collect::<BTreeSet<_>>());
    }
    let known = CIRCLES.iter().map(|circle| circle.iter().map(|file| (*file).to_owned()).collect());
    assert_eq!(circles, known.collect(), "these import each other: move what both use to where it belongs");
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
