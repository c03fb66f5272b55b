//! The program's log over the real binary: security lines, no secrets, rolling, sealed files, reading it back.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Installation, Server, base_headers, request, text};
use crate::strongroom::{check, files_below, told, until, with_passphrase};

fn files(installation: &Installation) -> Vec<PathBuf> {
    let mut files = files_below(&installation.data().join("logs"));
    files.sort();
    files
}

/// All bytes of the log's folder.
fn clear_text(installation: &Installation) -> String {
    files(installation).iter().map(|file| text(&fs::read(file).unwrap())).collect()
}

fn show_wrong_token(server: &Server, agent: &str) {
    let mut headers = base_headers("Bearer sks_wrong");
    headers.push(("User-Agent", agent));
    assert_eq!(server.raw("POST", "/mcp", &headers, "{}").status, 401);
}

/// The text of `log cat`, until it has this.
fn cat_until(installation: &Installation, words: &str) -> String {
    until(words, || {
        let output = installation.run(&["log", "cat"]);
        check(&output, 0, &[]);
        Some(text(&output.stdout)).filter(|shown| shown.contains(words))
    })
}

#[test]
fn a_wrong_token_is_a_security_line_and_a_violation() {
    let mut installation = Installation::new();
    installation.set("METRICS_LISTEN", "127.0.0.1:0");
    let server = installation.serve();
    show_wrong_token(&server, "probe/1.0 (host.example)");
    let line = until("a security line", || {
        let all = clear_text(&installation);
        all.lines().find(|line| line.contains("\"SECURITY\"")).map(str::to_owned)
    });
    let mut line: Value = serde_json::from_str(&line).unwrap();
    let timestamp = line["timestamp"].take();
    assert!(timestamp.as_str().is_some_and(|at| at.starts_with("20") && at.ends_with('Z')), "{timestamp}");
    assert_eq!(
        line,
        json!({
            "timestamp": null,
            "level": "SECURITY",
            "event_type": "authentication_failure",
            "severity": "medium",
            "session_id": null,
            "user_agent": "probe/1.0 (***)",
            "ip_address": "127.0.0.***",
            "details": {"violation_type": "unauthenticated", "blocked": true, "payload": "***SANITIZED***"},
        })
    );
    let metrics = server.said.iter().find_map(|line| line.strip_prefix("Metrics at http://")).unwrap();
    let address = metrics.trim_end_matches("/metrics").parse().unwrap();
    let figures = request(address, "GET", "/metrics", &[("Host", "localhost")], "").body;
    let sample = "sekisho_security_violations_total{type=\"authentication_failure\",severity=\"medium\"} 1";
    assert!(figures.contains(sample), "{figures}");
}

#[test]
fn a_call_over_the_rate_is_a_security_line_with_its_address_where_that_is_wanted() {
    let mut installation = Installation::new();
    installation.set("RATE_PER_MINUTE", "1");
    installation.set("RATE_BURST_LIMIT", "1");
    installation.set("LOG_MASK_ADDRESSES", "false");
    installation.set("LOG_FORMAT", "text");
    let server = installation.serve();
    for _ in 0..3 {
        server.modern("tools/call", json!({"name": "list_libraries", "arguments": {}}));
    }
    let line = until("a security line", || {
        clear_text(&installation).lines().find(|line| line.contains(" SECURITY ")).map(str::to_owned)
    });
    assert!(line.contains("SECURITY rate_limit_exceeded severity=medium"), "{line}");
    assert!(line.contains("ip_address=\"127.0.0.1\"") && line.contains("payload=***SANITIZED***"), "{line}");
}

#[test]
fn no_secret_is_in_the_log_at_its_most_talkative() {
    const VALUE: &str = "a-value-that-nobody-may-see-0123456789";
    let mut installation = Installation::new();
    installation.set("LOG_LEVEL", "debug");
    check(&told(&installation, &["credential", "set", "upstream"], &format!("{VALUE}\n")), 0, &[]);
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    let foreign = format!("sks_{}", "ab".repeat(32));
    let authorization = format!("Bearer {foreign}");
    let mut headers = base_headers(&authorization);
    headers.push(("User-Agent", &foreign));
    assert_eq!(server.raw("POST", "/mcp", &headers, "{}").status, 401);
    check(&told(&installation, &["credential", "set", "upstream"], &format!("{VALUE}2\n")), 0, &[]);
    check(&installation.run(&["key", "rotate"]), 0, &[]);
    assert_eq!(server.terminate(), Some(0));
    let all = clear_text(&installation);
    assert!(all.contains("\"SECURITY\"") && all.contains("serving"), "{all}");
    let key = fs::read_to_string(installation.data().join("vault-key")).unwrap();
    for secret in [VALUE, &foreign, &installation.token(), key.trim()] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[test]
fn a_full_file_is_followed_by_another_and_the_oldest_go() {
    let mut installation = Installation::new();
    installation.set("LOG_BYTES_MAX", "4096");
    installation.set("LOG_TOTAL_BYTES_MAX", "16384");
    let server = installation.serve();
    let name = |number: usize| format!(".{number}.log");
    until("the tenth file of the day", || {
        show_wrong_token(&server, "probe");
        files(&installation).iter().any(|file| file.to_string_lossy().ends_with(&name(10))).then_some(())
    });
    assert_eq!(server.terminate(), Some(0));
    let left = files(&installation);
    let bytes: u64 = left.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= 16384 + 4096, "{bytes}");
    assert!(!left.iter().any(|file| file.to_string_lossy().ends_with(&name(1))), "{left:?}");
    // In the order of writing, which is not that of the names.
    let shown = text(&installation.run(&["log", "cat"]).stdout);
    let times: Vec<String> = shown
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["timestamp"].as_str().map(str::to_owned))
        .filter(|at| at.len() == "2026-11-22T00:00:00.000Z".len())
        .collect();
    assert!(times.len() > 20 && times.is_sorted(), "{times:?}");
}

#[test]
fn sealed_files_have_nothing_in_clear_and_are_read_through_the_server_and_without_one() {
    let mut installation = Installation::new();
    installation.set("LOG_ENCRYPT", "true");
    // What `init` and the like said before is in clear, where it was said.
    fs::remove_dir_all(installation.data().join("logs")).ok();
    let server = installation.serve();
    show_wrong_token(&server, "probe");
    let shown = cat_until(&installation, "authentication_failure");
    assert!(shown.contains("\"serving\""), "{shown}");
    let entries = installation.entries();
    assert!(entries.iter().any(|entry| entry["operation"] == "log.read" && entry["outcome"] == "done"), "{entries:?}");
    assert_eq!(server.terminate(), Some(0));

    let listed = installation.json(&["log", "list"]);
    assert!(listed["files"].as_array().unwrap().iter().all(|file| file["sealed"] == true), "{listed}");
    let all = clear_text(&installation);
    for words in ["SECURITY", "serving", "timestamp", "level"] {
        assert!(!all.contains(words), "{words}: {all}");
    }
    let shown = text(&installation.run(&["log", "cat", "--level", "security"]).stdout);
    assert!(shown.contains("authentication_failure") && !shown.contains("\"serving\""), "{shown}");
    let later = text(&installation.run(&["log", "cat", "--since", "2126-01-01"]).stdout);
    assert_eq!(later, "");
    check(&installation.run(&["log", "cat", "sekisho.2020-01-01.log"]), 66, &["log list"]);
    check(&installation.run(&["log", "cat", "--date", "tomorrow"]), 64, &["2026-11-22"]);
}

#[test]
fn a_changed_line_of_a_sealed_file_is_told_and_the_rest_goes_on() {
    let mut installation = Installation::new();
    installation.set("LOG_ENCRYPT", "true");
    let server = installation.serve();
    for agent in ["first", "second", "third"] {
        show_wrong_token(&server, agent);
    }
    cat_until(&installation, "third");
    server.kill();
    let file = files(&installation).into_iter().find(|file| file.to_string_lossy().ends_with(".sealed")).unwrap();
    let content = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<&str> = content.lines().collect();
    let name = file.file_name().unwrap().to_str().unwrap();
    lines.remove(lines.len() - 2);
    fs::write(&file, format!("{}\n12 cut off he", lines.join("\n"))).unwrap();
    let output = installation.run(&["log", "cat", name]);
    check(&output, 1, &["damaged:", "missing before it", "first", "cut:"]);
    fs::write(&file, content.replacen("\n2 ", "\n3 ", 1)).unwrap();
    let output = installation.run(&["log", "cat", name]);
    check(&output, 1, &["damaged:", "line 3: it does not open", "third"]);
}

#[test]
fn while_the_vault_is_sealed_nothing_is_written_and_what_waited_comes_after() {
    const PASSPHRASE: &str = "four walls and one door";
    let (mut installation, _) = with_passphrase(PASSPHRASE);
    fs::remove_dir_all(installation.data().join("logs")).ok();
    installation.set("LOG_ENCRYPT", "true");
    let server = installation.serve();
    show_wrong_token(&server, "before");
    assert_eq!(clear_text(&installation), "");
    check(&told(&installation, &["vault", "unseal"], &format!("{PASSPHRASE}\n")), 0, &[]);
    let shown = cat_until(&installation, "before");
    assert!(shown.contains("\"serving\""), "{shown}");

    check(&installation.run(&["vault", "seal"]), 0, &[]);
    let sealed = clear_text(&installation);
    show_wrong_token(&server, "between");
    check(&installation.run(&["log", "cat"]), 1, &["damaged:", "the vault is sealed"]);
    assert_eq!(clear_text(&installation), sealed, "lines were written without the vault");
    check(&told(&installation, &["vault", "unseal"], &format!("{PASSPHRASE}\n")), 0, &[]);
    cat_until(&installation, "between");
    assert_eq!(server.terminate(), Some(0));
    let all = clear_text(&installation);
    assert!(!all.contains("before") && !all.contains("between") && !all.contains("SECURITY"), "{all}");
}

fn log_versions(installation: &Installation) -> Vec<u64> {
    let status = installation.json(&["key", "status"]);
    let keys = status["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "logs");
    keys.map(|key| key["version"].as_u64().unwrap()).collect()
}

#[test]
fn an_old_key_stays_as_long_as_a_file_needs_it() {
    let mut installation = Installation::new();
    installation.set("LOG_ENCRYPT", "true");
    let server = installation.serve();
    show_wrong_token(&server, "under-the-first-key");
    cat_until(&installation, "under-the-first-key");
    let first = files(&installation);
    check(&installation.run(&["key", "rotate", "logs"]), 0, &[]);
    show_wrong_token(&server, "under-the-second-key");
    let shown = cat_until(&installation, "under-the-second-key");
    assert!(shown.contains("under-the-first-key"), "{shown}");
    assert!(files(&installation).len() > first.len(), "a new key has a new file");
    assert_eq!(server.terminate(), Some(0));

    // Each start looks which keys nothing needs any more.
    let server = installation.serve();
    until("the pass over old keys is done", || {
        check(&installation.run(&["key", "rotate", "backup"]), 0, &[]);
        let status = installation.json(&["key", "status"]);
        let backups = status["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "backup").count();
        (backups == 1).then_some(())
    });
    assert_eq!(log_versions(&installation), [1, 2]);
    assert!(text(&installation.run(&["log", "cat"]).stdout).contains("under-the-first-key"));
    for file in first {
        fs::remove_file(file).unwrap();
    }
    until("the first key is destroyed", || {
        check(&installation.run(&["key", "rotate", "backup"]), 0, &[]);
        (log_versions(&installation) == [2]).then_some(())
    });
    cat_until(&installation, "under-the-second-key");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn sealed_files_open_after_every_key_was_made_new() {
    let mut installation = Installation::new();
    installation.set("LOG_ENCRYPT", "true");
    let log = |words: &str| {
        let server = installation.serve();
        show_wrong_token(&server, words);
        cat_until(&installation, words);
        assert_eq!(server.terminate(), Some(0));
    };
    let cat = || text(&installation.run(&["log", "cat"]).stdout);
    log("before-the-first");
    let first: Vec<PathBuf> = files(&installation);
    let kept: Vec<Vec<u8>> = first.iter().map(|file| fs::read(file).unwrap()).collect();
    let rekey = || installation.json(&["key", "rekey", "--full"])["log_files"].as_u64().unwrap();
    assert!(rekey() >= 1);
    assert!(cat().contains("before-the-first"));
    log("before-the-second");
    check(&installation.run(&["key", "rotate", "logs"]), 0, &[]);
    assert!(rekey() >= 2, "what was carried once is carried again");
    let shown = cat();
    assert!(shown.contains("before-the-first") && shown.contains("before-the-second"), "{shown}");
    let now: Vec<Vec<u8>> = first.iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(now, kept, "the files are not touched");
    // The key of a file that is gone is not kept.
    for file in &first {
        fs::remove_file(file).unwrap();
    }
    let carried = || crate::strongroom::rows(&crate::strongroom::database(&installation), "meta");
    let count = || carried().keys().filter(|key| key.starts_with(b"log key/")).count();
    let before = count();
    rekey();
    assert!(count() <= before - first.iter().filter(|file| file.to_string_lossy().ends_with(".sealed")).count());
    assert!(cat().contains("before-the-second"));
}
