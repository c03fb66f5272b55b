//! The command line: help, exit codes, JSON, and a closed pipe.

use crate::harness::{Installation, text, write};

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

#[test]
fn config_check_tells_what_stands_in_the_file_to_no_effect() {
    let mut installation = Installation::new();
    write(
        &installation.data().join("sekisho.toml"),
        "[backup]\ndirectory = \"/srv/backup\"\n[log]\nlevel = \"warn\"\n",
    );
    let notes = |installation: &Installation| installation.json(&["config", "check"])["notes"].clone();
    assert_eq!(notes(&installation), serde_json::json!([]));
    installation.set("LOG_LEVEL", "debug");
    let output = installation.run(&["config", "check"]);
    let said = text(&output.stderr);
    assert!(output.status.success());
    assert!(said.contains("Note: log.level is \"warn\" in ") && said.contains("SEKISHO_LOG_LEVEL"), "{said}");
    let shown = text(&installation.run(&["config", "show"]).stdout);
    assert!(shown.contains("level = \"debug\"  # from SEKISHO_LOG_LEVEL; the file has \"warn\""), "{shown}");
    assert_eq!(notes(&installation).as_array().unwrap().len(), 1);
    // What the packaged unit sets is in no operator's environment.
    let units = installation.folder("units");
    let of_unit = |data: &std::path::Path| {
        let unit = "[Service]\nEnvironment=SEKISHO_DATA_DIR=";
        let variable = "Environment=SEKISHO_BACKUP_DIRECTORY=/var/backups/sekisho";
        write(&units.join("sekisho.service"), &format!("{unit}{}\n{variable}\n", data.display()));
        let mut command = installation.command(&["config", "check"]);
        text(&command.env("SYSTEMD_UNIT_PATH", &units).output().unwrap().stderr)
    };
    let said = of_unit(&installation.data());
    let told = format!("SEKISHO_BACKUP_DIRECTORY of {}: the variable counts", units.join("sekisho.service").display());
    assert!(said.contains("backup.directory is \"/srv/backup\" in") && said.contains(&told), "{said}");
    assert!(
        !of_unit(std::path::Path::new("/elsewhere")).contains("backup.directory"),
        "the unit of another installation"
    );
    let mut command = installation.command(&["doctor"]);
    let doctor = text(&command.env("SYSTEMD_UNIT_PATH", &units).output().unwrap().stdout);
    assert!(doctor.contains("log.level is") && !doctor.contains("SEKISHO_BACKUP_DIRECTORY"), "{doctor}");
}

#[test]
fn an_old_configuration_is_imported_and_what_has_no_place_is_named() {
    let installation = Installation::bare();
    let folder = installation.folder("old");
    let old = folder.join("old.yaml");
    let yaml = "security:\n  session_timeout_minutes: 30\n  jwt_secret: do-not-copy-me\nredis:\n  url: redis://x\n";
    write(&old, yaml);
    let new = folder.join("sekisho.toml");
    let arguments = ["config", "import", old.to_str().unwrap(), "--output", new.to_str().unwrap()];
    let output = installation.run(&arguments);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("/security/session_timeout_minutes is now session.timeout_minutes = 30"), "{said}");
    assert!(said.contains("/security/jwt_secret is not mapped") && said.contains("/redis is not mapped"), "{said}");
    assert!(!said.contains("do-not-copy-me") && !std::fs::read_to_string(&new).unwrap().contains("do-not-copy-me"));
    let check = installation.run(&["--config", new.to_str().unwrap(), "--json", "config", "show"]);
    assert!(text(&check.stdout).contains("\"timeout_minutes\":30"), "{check:?}");
    assert!(!installation.run(&arguments).status.success(), "a file that is there is not overwritten");
}

#[test]
fn the_production_preset_is_in_force_and_only_for_a_new_installation() {
    let installation = Installation::bare();
    let output = installation.run(&["init", "--preset", "production"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(installation.data().join("sekisho.toml")).unwrap();
    for line in
        ["timeout_minutes = 30", "max_concurrent_sessions = 3", "per_session = 1000", "authentication = \"required\""]
    {
        assert!(written.lines().any(|found| found == line), "{line} is not in force in {written}");
    }
    assert!(installation.run(&["config", "check"]).status.success());
    let again = installation.run(&["init", "--preset", "production"]);
    assert!(!again.status.success());
    assert!(text(&again.stderr).contains("rate.per_session = 1000"));
}
