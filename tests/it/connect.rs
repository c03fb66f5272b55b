//! `connect` and `disconnect`: what they write, show, and leave alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::harness::{Installation, text, write};

const CLIENTS: [(&str, &str, &str); 5] = [
    ("claude-desktop", ".config/Claude/claude_desktop_config.json", "claude_desktop_config.json"),
    ("claude-code", ".claude.json", "claude.json"),
    ("cursor", ".cursor/mcp.json", "cursor-mcp.json"),
    ("vscode", ".config/Code/User/mcp.json", "vscode-mcp.json"),
    ("zed", ".config/zed/settings.json", "zed-settings.json"),
];

fn fixture(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clients").join(name)).unwrap()
}

/// With a home directory of its own.
fn command(installation: &Installation, arguments: &[&str]) -> Command {
    let mut command = installation.command(arguments);
    command.env("HOME", installation.folder("home")).env_remove("XDG_CONFIG_HOME");
    command
}

fn run(installation: &Installation, arguments: &[&str]) -> Output {
    command(installation, arguments).output().unwrap()
}

fn succeeds(installation: &Installation, arguments: &[&str]) -> String {
    let output = run(installation, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn each_client_is_connected_where_it_looks_and_what_it_starts_answers() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    for (client, place, name) in CLIENTS {
        let file = installation.folder("home").join(place);
        write(&file, &fixture(name));
        let said = succeeds(&installation, &["connect", client]);
        assert!(said.contains('+') && said.contains("\"sekisho\"") && said.contains("before-sekisho"), "{said}");
        let written = fs::read_to_string(&file).unwrap();
        // What stands there is what the client would run: it must answer.
        let (_, entry) = written.split_once("\"sekisho\": ").unwrap();
        let entry = serde_json::Deserializer::from_str(entry).into_iter::<serde_json::Value>().next().unwrap().unwrap();
        let arguments: Vec<&str> =
            entry["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(arguments.last(), Some(&"stdio"), "{client}");
        assert_eq!(entry["command"], env!("CARGO_BIN_EXE_sekisho"));
        let data = installation.data();
        assert!(arguments.contains(&data.to_str().unwrap()), "{client}: {arguments:?}");
        assert_eq!(succeeds(&installation, &["connect", client]).lines().count(), 1, "nothing to change: {client}");
        succeeds(&installation, &["disconnect", client]);
        assert_eq!(fs::read_to_string(&file).unwrap(), fixture(name), "{client}");
        assert!(
            !file.with_file_name(format!("{}.before-sekisho", file.file_name().unwrap().to_str().unwrap())).exists()
        );
    }
}

#[test]
fn a_dry_run_shows_the_change_and_makes_none() {
    let installation = Installation::new();
    let said = succeeds(&installation, &["connect", "zed", "--dry-run"]);
    assert!(said.contains("+  \"context_servers\": {") && said.contains("--dry-run"), "{said}");
    assert!(fs::read_dir(installation.folder("home")).unwrap().next().is_none());
    let report = succeeds(&installation, &["--json", "connect", "zed", "--dry-run"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["changes"], &report["done"]), (&true.into(), &false.into()), "{report}");
}

#[test]
fn over_http_the_token_goes_into_the_file_alone_and_the_file_is_private() {
    let mut installation = Installation::new();
    installation.set("HTTP_LISTEN", "127.0.0.1:3999");
    let token = installation.token();
    for (client, place, name) in CLIENTS.into_iter().skip(1) {
        let file = installation.folder("home").join(place);
        write(&file, &fixture(name));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let said = succeeds(&installation, &["connect", client, "--http"]);
        assert!(!said.contains(&token), "{client}: {said}");
        let written = fs::read_to_string(&file).unwrap();
        assert!(written.contains("http://127.0.0.1:3999/mcp"), "{written}");
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        if client == "vscode" {
            assert!(!written.contains(&token) && written.contains("${input:sekisho-token}"), "{written}");
            assert!(said.contains("asks for the token once") && mode == 0o644, "{said}");
        } else {
            assert!(written.contains(&token) && said.contains("in the clear") && mode == 0o600, "{client}: {said}");
        }
        succeeds(&installation, &["disconnect", client]);
        assert_eq!(fs::read_to_string(&file).unwrap(), fixture(name), "{client}");
    }
    let refused = run(&installation, &["connect", "claude-desktop", "--http"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(text(&refused.stderr).contains("--stdio"));
}

#[test]
fn a_file_that_is_not_there_is_made_private_and_goes_again() {
    let installation = Installation::new();
    let file = installation.folder("home").join(".cursor/mcp.json");
    succeeds(&installation, &["connect", "cursor"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    serde_json::from_str::<serde_json::Value>(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(succeeds(&installation, &["disconnect", "cursor"]).contains("removed"));
    assert!(!file.exists());
    assert!(succeeds(&installation, &["disconnect", "cursor"]).contains("nothing was changed"));
}

#[test]
fn what_cannot_be_read_is_named_with_its_line_and_left_alone() {
    let installation = Installation::new();
    let file = installation.folder("home").join("mine.json");
    let arguments = ["connect", "cursor", "--file", file.to_str().unwrap()];
    for (content, code, expect) in [
        ("{\n  \"mcpServers\": {\n    \"a\" {}\n  }\n}\n", 78, "line 3"),
        ("[]", 78, "expected an object"),
        ("{\"mcpServers\": 7}", 78, "mcpServers"),
    ] {
        write(&file, content);
        let output = run(&installation, &arguments);
        assert_eq!(output.status.code(), Some(code), "{content}");
        let said = text(&output.stderr);
        assert!(said.contains(expect) && said.contains("mine.json"), "{said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
        assert!(!file.with_file_name("mine.json.before-sekisho").exists());
    }
    fs::remove_file(&file).unwrap();
    symlink("nowhere.json", &file).unwrap();
    let output = run(&installation, &arguments);
    assert_eq!(output.status.code(), Some(66));
    assert!(text(&output.stderr).contains("leads nowhere"), "{}", text(&output.stderr));
}

#[test]
fn a_linked_file_stays_a_link() {
    let installation = Installation::new();
    let real = installation.folder("dotfiles").join("zed.json");
    write(&real, &fixture("zed-settings.json"));
    let link = installation.folder("home").join(".config/zed/settings.json");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(&real, &link).unwrap();
    succeeds(&installation, &["connect", "zed"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("sekisho"));
    succeeds(&installation, &["disconnect", "zed"]);
    assert_eq!(fs::read_to_string(&real).unwrap(), fixture("zed-settings.json"));
}

#[test]
fn quickstart_prints_what_connect_writes() {
    let installation = Installation::bare();
    let server = crate::harness::Server::start(&installation, &["quickstart"]);
    let said = server.said.join("\n");
    for (client, place) in
        [("cursor", ".cursor/mcp.json"), ("vscode", ".config/Code/User/mcp.json"), ("zed", ".config/zed/settings.json")]
    {
        succeeds(&installation, &["connect", client]);
        let written = fs::read_to_string(installation.folder("home").join(place)).unwrap();
        assert!(said.contains(written.trim_end()), "{client}: {written} is not in {said}");
    }
}
