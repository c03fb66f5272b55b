//! The command line: help, exit codes, JSON, and a closed pipe.

use crate::harness::{Installation, text};

#[test]
fn a_wrong_command_line_ends_with_64_and_help_with_0() {
    let installation = Installation::bare();
    for arguments in [
        &["nonsense"][..],
        &["search"],
        &["library", "add", "x"],
        &["search", "a", "--limit", "0"],
        &["search", "a", "--facet", "b"],
    ] {
        let output = installation.run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", text(&output.stderr));
    }
    let help = installation.run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("Exit codes"));
}

#[test]
fn failures_are_json_where_json_is_asked_for() {
    let installation = Installation::new();
    let output = installation.run(&["--json", "library", "show", "nope"]);
    assert_eq!(output.status.code(), Some(66));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "not_found");
    assert_eq!(error["exit_code"], 66);
}

#[test]
fn colours_and_controls_stay_out_of_a_pipe() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra \u{1b}[31mred\u{7} words\n")]);
    for arguments in
        [&["search", "zebra"][..], &["read", "demo", "a.md"], &["audit", "tail"], &["library", "list"], &["doctor"]]
    {
        let output = installation.run(arguments);
        assert!(
            !output.stdout.contains(&0x1b) && !output.stdout.contains(&7),
            "{arguments:?}: {}",
            text(&output.stdout)
        );
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn nothing_found_is_a_no() {
    let installation = Installation::new();
    assert_eq!(installation.run(&["search", "xyzzyqqq"]).status.code(), Some(1));
    assert_eq!(installation.run(&["search", "audit log"]).status.code(), Some(0));
}

#[test]
fn completions_and_the_manual_page_are_made() {
    let installation = Installation::bare();
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&installation.run(&["completions", shell]).stdout).contains("quickstart"), "{shell}");
    }
    assert!(text(&installation.run(&["man"]).stdout).contains(".TH sekisho"));
    let schema: serde_json::Value = serde_json::from_slice(&installation.run(&["config", "schema"]).stdout).unwrap();
    assert!(schema["properties"]["http"].is_object());
}

#[test]
fn config_show_says_where_values_come_from() {
    let mut installation = Installation::new();
    installation.set("LOG_LEVEL", "debug");
    let shown = text(&installation.run(&["config", "show"]).stdout);
    assert!(shown.contains("level = \"debug\"  # from SEKISHO_LOG_LEVEL"), "{shown}");
    assert!(shown.contains("allowed_hosts = []"), "{shown}");
}
