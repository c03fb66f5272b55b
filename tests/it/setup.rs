//! Setting up: what is made, with which modes, and that nothing is changed the second time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::{Installation, Server, text};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_everything_private_and_the_second_changes_nothing() {
    let installation = Installation::new();
    let data = installation.data();
    assert_eq!(mode(&data), 0o700);
    let files = ["sekisho.redb", "sekisho.toml", "http-token"];
    for file in files {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    // The database is opened, to ask whether the token still holds: not each of its bytes stays.
    let read = || ["sekisho.toml", "http-token", "vault-key"].map(|file| fs::read(data.join(file)).unwrap());
    let before = read();
    let output = installation.run(&["init"]);
    assert!(text(&output.stdout).contains("nothing was changed"), "{}", text(&output.stdout));
    assert!(before == read());
}

#[test]
fn two_installations_have_different_tokens() {
    assert_ne!(Installation::new().token(), Installation::new().token());
}

#[test]
fn a_lost_token_is_made_anew_and_works() {
    let installation = Installation::new();
    let old = installation.token();
    fs::remove_file(installation.data().join("http-token")).unwrap();
    assert!(installation.run(&["init"]).status.success());
    assert_ne!(installation.token(), old);
    let server = installation.serve();
    assert!(server.call("list_libraries", serde_json::json!({}))["structuredContent"].is_object());
    let withdrawn = format!("Bearer {old}");
    assert_eq!(server.raw("POST", "/mcp", &crate::harness::base_headers(&withdrawn), "{}").status, 401);
}

#[test]
fn a_token_that_the_database_does_not_know_is_found_by_doctor() {
    let installation = Installation::new();
    fs::write(installation.data().join("http-token"), format!("sks_{}\n", "0".repeat(64))).unwrap();
    let output = installation.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("not one that the database knows"), "{}", text(&output.stdout));
}

#[test]
fn a_token_that_was_revoked_is_told_of_by_init_and_given_to_no_client() {
    let mut installation = Installation::new();
    installation.set("HTTP_LISTEN", "127.0.0.1:3999");
    installation.json(&["token", "revoke", "quickstart"]);
    let output = installation.run(&["init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("was revoked"), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("Everything is in place"), "{}", text(&output.stdout));
    let file = installation.folder("home").join("mcp.json");
    let output = installation.run(&["connect", "cursor", "--http", "--dry-run", "--file", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(77), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("was revoked"), "{}", text(&output.stderr));
    // The way out that it says is one.
    fs::remove_file(installation.data().join("http-token")).unwrap();
    assert!(installation.run(&["init"]).status.success());
    assert!(text(&installation.run(&["init"]).stdout).contains("Everything is in place"));
}

#[test]
fn quickstart_serves_and_says_what_to_paste_without_a_secret() {
    let installation = Installation::bare();
    let server = Server::start(&installation, &["quickstart"]);
    let said = server.said.join("\n");
    for client in ["Claude Desktop", "Cursor", "VS Code", "Claude Code", "\"stdio\"", "http-token"] {
        assert!(said.contains(client), "{client} is missing in:\n{said}");
    }
    assert!(!said.contains(&installation.token()));
    let found = server.call("search_documents", serde_json::json!({"query": "audit log"}));
    let hits = found["structuredContent"]["hits"].as_array().unwrap().clone();
    assert!(hits.iter().any(|hit| hit["library"] == "manual"), "{hits:?}");
    assert_eq!(server.terminate(), Some(0));
    let again = Server::start(&installation, &["quickstart"]);
    assert!(again.said[0].contains("nothing was changed"), "{:?}", again.said);
}

#[test]
fn the_written_configuration_is_valid_and_mistakes_are_told_with_their_line() {
    let installation = Installation::new();
    assert!(installation.run(&["config", "check"]).status.success());
    let config = installation.data().join("sekisho.toml");
    fs::write(&config, "[http]\nlisten = \"127.0.0.1:0\"\nallowed_host = []\n").unwrap();
    let output = installation.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(78));
    let errors = text(&output.stderr);
    assert!(errors.contains("sekisho.toml:3") && errors.contains("did you mean allowed_hosts?"), "{errors}");
    let output = installation.run(&["serve"]);
    assert_eq!(output.status.code(), Some(78), "a server must not start with it");
}

#[test]
fn without_init_there_is_a_way_out() {
    let installation = Installation::bare();
    let output = installation.run(&["library", "list"]);
    assert_eq!(output.status.code(), Some(66));
    assert!(text(&output.stderr).contains("sekisho init"), "{}", text(&output.stderr));
}

#[test]
fn a_second_server_is_told_the_first_ones_process() {
    let installation = Installation::new();
    let server = installation.serve();
    let output = installation.run(&["serve"]);
    assert_eq!(output.status.code(), Some(75));
    let errors = text(&output.stderr);
    assert!(errors.contains(&format!("process {}", server.id())), "{errors}");
}
