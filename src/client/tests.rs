//! Connecting and disconnecting, on configuration files as their clients write them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const TOKEN: &str = "sks_0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqr";

fn fixture(client: Client) -> &'static str {
    match client {
        Client::ClaudeDesktop => include_str!("../../tests/fixtures/clients/claude_desktop_config.json"),
        Client::ClaudeCode => include_str!("../../tests/fixtures/clients/claude.json"),
        Client::Cursor => include_str!("../../tests/fixtures/clients/cursor-mcp.json"),
        Client::VsCode => include_str!("../../tests/fixtures/clients/vscode-mcp.json"),
        Client::Zed => include_str!("../../tests/fixtures/clients/zed-settings.json"),
    }
}

fn ways(client: Client) -> Vec<Way> {
    let stdio = Way::Stdio { program: "/usr/bin/sekisho".into(), arguments: vec!["stdio".into()] };
    let http = Way::Http { url: "http://127.0.0.1:3000/mcp".into(), token: Secret::new(TOKEN) };
    if client == Client::ClaudeDesktop { vec![stdio] } else { vec![stdio, http] }
}

/// All forms in which a file may lie there.
fn forms(client: Client) -> Vec<Option<String>> {
    let text = fixture(client).to_owned();
    vec![
        None,
        Some(String::new()),
        Some("  \n".into()),
        Some("{}".into()),
        Some("{ }\n".into()),
        Some(format!("\u{feff}{text}")),
        Some(text.replace('\n', "\r\n")),
        Some(text),
    ]
}

#[test]
fn disconnecting_gives_back_each_byte() {
    for client in Client::ALL {
        for way in ways(client) {
            for form in forms(client) {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("config.json");
                if let Some(text) = &form {
                    fs::write(&path, text).unwrap();
                }
                let change = client.connect(&path, &way).unwrap();
                change.apply().unwrap();
                let connected = fs::read_to_string(&path).unwrap();
                assert!(connected.contains("/usr/bin/sekisho") || connected.contains("http://127.0.0.1:3000/mcp"));
                let again = client.connect(&path, &way).unwrap();
                assert!(!again.is_one(), "{client:?}: connecting twice changes something:\n{connected}");
                client.disconnect(&path).unwrap().apply().unwrap();
                assert_eq!(fs::read_to_string(&path).ok(), form, "{client:?} {way:?}");
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), usize::from(form.is_some()), "{client:?}");
            }
        }
    }
}

#[test]
fn everything_else_stays_also_when_the_file_was_changed_in_between() {
    for client in Client::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, fixture(client)).unwrap();
        for way in ways(client) {
            client.connect(&path, &way).unwrap().apply().unwrap();
        }
        let later = format!("{}\n// later\n", fs::read_to_string(&path).unwrap());
        fs::write(&path, later).unwrap();
        client.disconnect(&path).unwrap().apply().unwrap();
        let left = fs::read_to_string(&path).unwrap();
        let expect = format!("{}\n// later\n", fixture(client));
        // A table that we made stays, empty.
        let empty = format!("\n  \"{}\": {{}},", client.slot().table);
        let left = if matches!(client, Client::ClaudeCode | Client::Zed) { left.replacen(&empty, "", 1) } else { left };
        assert_eq!(left, expect, "{client:?}");
        assert!(
            folder.path().join("config.json.before-sekisho").exists(),
            "the copy is kept when it is not the answer"
        );
    }
}

#[test]
fn the_token_stands_in_no_file_that_others_read_and_in_nothing_that_is_shown() {
    let masker = Masker::of_logs().unwrap();
    for client in Client::ALL {
        let Some(way) = ways(client).into_iter().nth(1) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, fixture(client)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let change = client.connect(&path, &way).unwrap();
        assert!(!change.diff(&masker).contains(TOKEN) && !format!("{change:?}").contains(TOKEN), "{client:?}");
        change.apply().unwrap();
        let holds = fs::read_to_string(&path).unwrap().contains(TOKEN);
        assert_eq!((holds, change.holds_token), (client != Client::VsCode, client != Client::VsCode), "{client:?}");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if holds { 0o600 } else { 0o644 }, "{client:?}");
        // Whoever opened it again since is not told that all is as it should be.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let again = client.connect(&path, &way).unwrap();
        assert_eq!(again.is_one(), holds, "{client:?}");
        again.apply().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if holds { 0o600 } else { 0o644 }, "{client:?}");
    }
}

#[test]
fn secrets_of_other_servers_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let text = "{\n  \"mcpServers\": {\n    \"x\": {\"env\": {\"API_KEY\": \"hunter2hunter2\"}},\n    \"y\": \"ghp_0123456789abcdefghijklmnopqrstuvwxyz\"\n  }\n}\n";
    fs::write(&path, text).unwrap();
    let change = Client::Cursor.connect(&path, &ways(Client::Cursor)[0]).unwrap();
    let diff = change.diff(&Masker::of_logs().unwrap());
    assert!(diff.contains("+    \"sekisho\": {"), "{diff}");
    assert!(!diff.contains("hunter2") && !diff.contains("ghp_0123"), "{diff}");
}

#[test]
fn claude_desktop_is_told_the_way_that_it_has() {
    let way = Way::Http { url: "http://127.0.0.1:3000/mcp".into(), token: Secret::new(TOKEN) };
    let error = Client::ClaudeDesktop.connect(Path::new("/nowhere"), &way).unwrap_err();
    assert!(error.to_string().contains("--stdio"), "{error}");
}

#[test]
fn files_lie_where_their_clients_look() {
    let mut environment = Environment { home: Some("/home/ann".into()), ..Environment::default() };
    assert_eq!(Client::ClaudeCode.file(&environment), Some("/home/ann/.claude.json".into()));
    assert_eq!(Client::Cursor.file(&environment), Some("/home/ann/.cursor/mcp.json".into()));
    environment.xdg_config_home = Some("/xdg".into());
    assert_eq!(Client::Zed.file(&environment), Some("/xdg/zed/settings.json".into()));
    assert_eq!(Client::Zed.file(&Environment::default()), None);
}
