//! A query is never an error, identifiers match whole and split, and Japanese, Chinese and Korean match at all.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Installation, Server};

fn first_paths(server: &Server, library: &str, query: &str) -> Vec<String> {
    let found = server.call("search_documents", json!({"query": query, "libraries": [library]}));
    let hits = found["structuredContent"]["hits"].as_array().unwrap_or_else(|| panic!("{query}: {found}")).clone();
    hits.iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_query_is_an_error_and_words_in_it_are_found() {
    let installation = Installation::new();
    let folder = [
        ("error.md", "# Errors\n\nTypeError: undefined is not an object (evaluating 'a.b')\n"),
        ("server.md", "# Server\n\nOpen http://localhost:8081 in a browser.\n"),
        ("camera.md", "# Camera\n\nInstall `expo-camera` and call `useCameraPermissions()`.\n"),
        ("cpp.md", "# Native\n\nWrite it in C++ and call foo_bar.baz().\n"),
        ("c.md", "# Plain\n\nWrite it in C.\n"),
        ("ja.md", "# 副作用\n\n副作用のクリーンアップは return で行う。React と日本語が混ざる。\n"),
        ("zh.md", "# 摄像头\n\n请求摄像头权限。\n"),
        ("ko.md", "# 카메라\n\n카메라 권한을 요청합니다.\n"),
    ];
    installation.add_library("demo", &folder);
    let server = installation.serve();
    let check = |query: &str, expect: &str| {
        let paths = first_paths(&server, "demo", query);
        assert_eq!(paths.first().map(String::as_str), Some(expect), "{query:?} gave {paths:?}");
    };
    check("TypeError: undefined is not an object", "error.md");
    check("http://localhost:8081", "server.md");
    check("expo-camera", "camera.md");
    check("useCameraPermissions", "camera.md");
    check("camera permissions", "camera.md");
    check("C++", "cpp.md");
    check("foo_bar.baz()", "cpp.md");
    check("副作用", "ja.md");
    check("クリーンアップ react", "ja.md");
    check("摄像头权限", "zh.md");
    check("카메라 권한", "ko.md");
    let emoji = "🎉".repeat(200);
    let noise: String = (0..100).map(|n| format!("w{n} ")).collect();
    for query in [
        "",
        " ",
        "?!",
        "a AND (b OR",
        "\"",
        "*",
        "field:value^2~",
        "[1 TO 2]",
        "\u{0}\u{202e}x",
        emoji.as_str(),
        noise.as_str(),
    ] {
        let found = server.call("search_documents", json!({"query": query}));
        assert!(found["structuredContent"]["hits"].is_array(), "{query:?} gave {found}");
    }
    let long = server.call("search_documents", json!({"query": "noise ".repeat(1700)}));
    assert_eq!(long["isError"], true);
    assert!(long["content"][0]["text"].as_str().unwrap().contains("/query"), "{long}");
}

/// The real documents, where they are.
fn corpus(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SEKISHO_CORPORA").map_or_else(|| PathBuf::from("../shared/corpora"), PathBuf::from);
    let folder = root.join(name);
    if folder.exists() {
        return Some(folder);
    }
    eprintln!("{} is absent: this test says nothing here", folder.display());
    None
}

#[test]
fn real_documents_answer_real_questions() {
    let (Some(expo), Some(react)) = (corpus("expo-docs/md"), corpus("react-docs-ja")) else { return };
    let installation = Installation::new();
    let added: Value = installation.json(&["library", "add", "expo", expo.to_str().unwrap()]);
    assert_eq!(added["report"]["documents"], 785);
    installation.json(&["library", "add", "react-ja", react.to_str().unwrap()]);
    let server = installation.serve();
    let camera = first_paths(&server, "expo", "ask for camera permission");
    assert!(camera[..3].iter().any(|path| path.contains("camera")), "{camera:?}");
    // Whoever writes a whole identifier wants that one, not the words in it.
    let found =
        server.call("search_documents", json!({"query": "useCameraPermissions", "libraries": ["expo"], "limit": 1}));
    let snippet = found["structuredContent"]["hits"][0]["snippet"].as_str().unwrap().to_owned();
    assert!(snippet.contains("useCameraPermissions"), "{snippet}");
    let effects = first_paths(&server, "react-ja", "副作用のクリーンアップ");
    assert!(effects.iter().any(|path| path.to_lowercase().contains("effect")), "{effects:?}");
}

#[test]
fn the_command_says_what_a_score_is_made_of() {
    let installation = Installation::new();
    installation
        .add_library("demo", &[("numbat.md", "# Numbat\n\nA numbat eats termites.\n"), ("b.md", "# B\n\nTermites.\n")]);
    let found = installation.json(&["search", "numbat termites", "--library", "demo", "--explain"]);
    let hit = &found["hits"][0];
    let parts = hit["explanation"].as_array().unwrap();
    let sum: f64 = parts.iter().map(|part| part["score"].as_f64().unwrap()).sum();
    assert!((sum - hit["score"].as_f64().unwrap()).abs() < 0.01, "{hit}");
    assert!(parts.iter().any(|part| part["word"] == "numbat" && part["field"] == "title"), "{hit}");
    let told = crate::harness::text(
        &installation.run(&["search", "numbat termites", "--library", "demo", "--explain"]).stdout,
    );
    assert!(told.contains("numbat") && told.contains("title"), "{told}");
    let plain = installation.json(&["search", "numbat termites", "--library", "demo"]);
    assert!(plain["hits"][0].get("explanation").is_none(), "{plain}");
}
