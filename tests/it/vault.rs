//! The vault over the real binary: how it is made, opened, kept shut, and given other secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Installation, Server, text};
use crate::strongroom::{check, database, recovery_in, rows, said, tell, told, until, with_passphrase};

const PASSPHRASE: &str = "four walls and one door";
const OTHER: &str = "a gate that is somewhere else";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn ready(server: &Server) -> (u16, Value) {
    let reply = server.raw("GET", "/ready", &[("Host", "localhost")], "");
    (reply.status, reply.message()["missing"].clone())
}

/// The answer is kept for a second.
fn until_ready(server: &Server) {
    until("the server is ready", || (ready(server).0 == 200).then_some(()));
}

fn standing(installation: &Installation) -> String {
    installation.json(&["vault", "status"])["standing"].as_str().unwrap().to_owned()
}

fn unseal(installation: &Installation, with: &[&str], secret: &str) -> std::process::Output {
    told(installation, &[&["vault", "unseal"], with].concat(), secret)
}

/// Tries a secret that is right, as often as the patience with wrong ones before makes it wait.
fn unseal_in_time(installation: &Installation, with: &[&str], secret: &str) {
    until("the vault is open", || {
        let output = unseal(installation, with, secret);
        assert!(matches!(output.status.code(), Some(0 | 75)), "{}", said(&output));
        output.status.success().then_some(())
    });
}

/// Tries a wrong secret until one try was looked at.
fn assert_wrong(installation: &Installation, with: &[&str], secret: &str) {
    let code = until("a try was looked at", || {
        let output = unseal(installation, with, secret);
        output.status.code().filter(|code| *code != 75)
    });
    assert_eq!(code, 77);
    assert_eq!(standing(installation), "sealed");
}

#[test]
fn init_makes_a_key_file_and_shows_a_recovery_key_once() {
    let installation = Installation::bare();
    let output = installation.run(&["init"]);
    check(&output, 0, &["vault-key", "Recovery key (shown this once"]);
    let shown = text(&output.stdout);
    let recovery = shown.lines().map(str::trim).find(|line| line.len() > 60 && line.contains('-')).unwrap().to_owned();
    let key_file = installation.data().join("vault-key");
    assert_eq!(mode(&key_file), 0o400);
    let again = installation.run(&["init"]);
    check(&again, 0, &["nothing was changed"]);
    assert!(!said(&again).contains("ecovery key"), "{}", said(&again));

    // Whoever lost the key file has it.
    std::fs::remove_file(&key_file).unwrap();
    let server = installation.serve();
    assert_eq!(ready(&server), (503, json!(["vault"])));
    check(&unseal(&installation, &["--recovery"], &format!("{recovery}\n")), 0, &["The vault is open"]);
    until_ready(&server);
    // And no file or output of before has the recovery key.
    for said in [said(&again), text(&installation.run(&["key", "status"]).stdout)] {
        assert!(!said.contains(&recovery[..20]), "{said}");
    }
}

#[test]
fn a_server_that_starts_sealed_says_so_and_is_opened_by_an_operator() {
    let (installation, _) = with_passphrase(PASSPHRASE);
    assert!(!installation.data().join("vault-key").exists());
    let server = installation.serve();
    assert_eq!(ready(&server), (503, json!(["vault"])));
    check(&installation.run(&["healthcheck"]), 69, &["vault"]);
    check(&installation.run(&["doctor"]), 1, &["the vault is sealed", "sekisho vault unseal"]);

    // It answers, and what it writes names nobody.
    assert!(server.call("list_libraries", json!({}))["structuredContent"].is_object());
    let sealed = installation.entries();
    assert!(sealed.iter().any(|entry| entry["operation"] == "list_libraries"));
    for entry in &sealed {
        for field in ["principal", "peer", "subject", "user_agent", "arguments", "argument_digest"] {
            assert!(entry[field].is_null(), "{field} in {entry}");
        }
    }
    for refused in
        [&["key", "rotate"][..], &["key", "status"], &["audit", "checkpoint"], &["audit", "erase", "token:x"]]
    {
        check(&installation.run(refused), 69, &["vault"]);
    }
    check(&told(&installation, &["credential", "set", "name"], "value"), 69, &["The vault is sealed"]);

    check(&unseal(&installation, &[], &format!("{PASSPHRASE}\n")), 0, &["The vault is open, by an operator"]);
    until_ready(&server);
    check(&installation.run(&["healthcheck"]), 0, &["ready"]);
    server.call("list_libraries", json!({}));
    let entries = installation.entries();
    let call = entries.iter().rev().find(|entry| entry["operation"] == "list_libraries").unwrap();
    assert_eq!((call["principal"].as_str(), call["peer"].as_str()), (Some("token:quickstart"), Some("127.0.0.1")));
    assert!(call["subject"].is_string(), "{call}");

    check(&installation.run(&["vault", "seal"]), 0, &["The vault is sealed"]);
    until("the server says so", || (ready(&server) == (503, json!(["vault"]))).then_some(()));
    check(&installation.run(&["audit", "verify"]), 0, &["sound"]);
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn a_wrong_secret_is_refused_slowed_down_and_changes_nothing() {
    let (installation, recovery) = with_passphrase(PASSPHRASE);
    let before = rows(&database(&installation), "vault");
    let server = installation.serve();
    let first = unseal(&installation, &[], OTHER);
    check(&first, 77, &["does not open this vault", "nothing was changed"]);
    // At once, so this one is not looked at; a slow machine may need another try.
    until("a try is too soon", || {
        let output = unseal(&installation, &[], OTHER);
        let soon = output.status.code() == Some(75);
        assert!(soon || output.status.code() == Some(77), "{}", said(&output));
        soon.then(|| check(&output, 75, &["try again in", " s;", "not looked at"]))
    });
    check(&unseal(&installation, &["--recovery"], "AAAA-BBBB"), 64, &["no recovery key"]);
    assert_eq!(standing(&installation), "sealed");
    unseal_in_time(&installation, &["--recovery"], &recovery);
    let tries: Vec<Value> =
        installation.entries().into_iter().filter(|entry| entry["operation"] == "vault.unseal").collect();
    let reasons: String = tries.iter().filter_map(|entry| entry["reason"].as_str()).collect();
    assert!(reasons.contains("forbidden") && reasons.contains("too_many_requests"), "{reasons}");
    for secret in [PASSPHRASE, OTHER, &recovery] {
        assert!(!json!(tries).to_string().contains(secret));
    }
    assert_eq!(server.terminate(), Some(0));
    let after = rows(&database(&installation), "vault");
    for row in [&b"slot/passphrase"[..], b"slot/recovery", b"keyring"] {
        assert!(before[row] == after[row], "{row:?}");
    }
}

#[test]
fn another_passphrase_rewraps_one_row_and_the_old_one_opens_no_more() {
    let (installation, recovery) = with_passphrase(PASSPHRASE);
    let with_secret = |arguments: &[&str], input: &str| {
        tell(installation.command(arguments).env("SEKISHO_VAULT_SECRET", PASSPHRASE), input)
    };
    // Once before, so that what a first use of the keys counts ahead is counted.
    check(&with_secret(&["key", "status"], ""), 0, &["600000 iterations"]);
    let before = rows(&database(&installation), "vault");
    check(&with_secret(&["key", "passphrase"], &format!("{OTHER}\n")), 0, &["The vault's secret is changed"]);
    let after = rows(&database(&installation), "vault");
    assert!(before.keys().eq(after.keys()));
    let changed: Vec<String> = after
        .iter()
        .filter(|(key, value)| before[*key] != **value)
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect();
    assert_eq!(changed, ["slot/passphrase"]);

    let server = installation.serve();
    assert_wrong(&installation, &[], PASSPHRASE);
    unseal_in_time(&installation, &[], OTHER);
    check(&told(&installation, &["key", "passphrase"], "too short"), 64, &["at least 12 characters"]);

    // Back to a key file, which then opens at every start.
    check(&installation.run(&["key", "passphrase", "--key-file"]), 0, &["vault-key"]);
    assert_eq!(mode(&installation.data().join("vault-key")), 0o400);
    let new: Value = installation.json(&["key", "recovery"]);
    let new = new["recovery"].as_str().unwrap().to_owned();
    check(&installation.run(&["vault", "seal"]), 0, &[]);
    assert_wrong(&installation, &[], OTHER);
    assert_wrong(&installation, &["--recovery"], &recovery);
    unseal_in_time(&installation, &["--recovery"], &new);
    assert_eq!(server.terminate(), Some(0));

    let server = installation.serve();
    assert_eq!(ready(&server).0, 200);
    // Nothing is tried at an open vault, and it was not this that opened it.
    check(&unseal(&installation, &[], OTHER), 0, &["The vault is open, by the key file"]);
    // A passphrase again: the key file goes, for it opens nothing any more.
    check(&told(&installation, &["key", "passphrase"], PASSPHRASE), 0, &["was removed"]);
    assert!(!installation.data().join("vault-key").exists());
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn few_iterations_need_the_word_for_it() {
    let installation = Installation::bare();
    let init = |rest: &[&str]| told(&installation, &[&["--json", "init", "--passphrase"], rest].concat(), PASSPHRASE);
    check(&init(&["--kdf-iterations", "100000"]), 64, &["600000"]);
    check(&init(&["--kdf-iterations", "99999", "--allow-weak-kdf"]), 64, &["100000"]);
    assert!(!database(&installation).exists(), "nothing was made");
    let made = init(&["--kdf-iterations", "100000", "--allow-weak-kdf"]);
    check(&made, 0, &[]);
    let server = installation.serve();
    unseal_in_time(&installation, &["--recovery"], &recovery_in(&made));
    assert_eq!(installation.json(&["key", "status"])["iterations"], 100_000);
    let weak = ["key", "passphrase", "--kdf-iterations", "100000"];
    check(&told(&installation, &weak, OTHER), 64, &["600000"]);
    check(&told(&installation, &["key", "passphrase"], OTHER), 0, &[]);
    assert_eq!(installation.json(&["key", "status"])["iterations"], 600_000);
    drop(server);
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_way_out() {
    let installation = Installation::new();
    let key_file = installation.data().join("vault-key");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["serve"][..], &["key", "status"], &["library", "list"]] {
        check(&installation.run(command), 77, &["mode 0644", &format!("chmod 0400 {}", key_file.display())]);
    }
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o400)).unwrap();
    check(&installation.run(&["key", "status"]), 0, &["credentials"]);
}

#[test]
fn what_is_left_beside_the_database_without_the_secret_opens_nothing() {
    let installation = Installation::new();
    let (key_file, derived) = (installation.data().join("vault-key"), installation.data().join("vault-key.derived"));
    assert_eq!(standing(&installation), "open");
    let kept = std::fs::read(&derived).unwrap();
    std::fs::remove_file(&key_file).unwrap();
    assert_eq!(standing(&installation), "sealed");
    assert!(!derived.exists(), "a start without the secret beside it takes it away");
    // And where somebody copied both before: another secret opens nothing with it.
    for (path, text) in [(&derived, &kept[..]), (&key_file, "0".repeat(64).as_bytes())] {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o400)).unwrap();
    }
    assert_eq!(standing(&installation), "sealed");
}

#[test]
fn a_key_file_and_a_folder_of_backups_that_cannot_be_used_are_found_by_doctor() {
    let installation = Installation::new();
    let doctor = |name: &str, path: &Path| {
        let mut command = installation.command(&["doctor"]);
        tell(command.env(name, path), "")
    };
    let nowhere = installation.data().join("nowhere");
    check(&doctor("SEKISHO_BACKUP_DIRECTORY", &nowhere), 1, &["scheduled backups", "nowhere"]);
    check(&doctor("SEKISHO_VAULT_KEY_FILE", &nowhere), 1, &["vault.key_file", "nowhere"]);
}

#[test]
fn the_secret_comes_from_systemd_first_and_from_the_environment_last_with_a_warning() {
    let (installation, _) = with_passphrase(PASSPHRASE);
    let status = |prepare: &dyn Fn(&mut Command)| {
        let mut command = installation.command(&["vault", "status"]);
        prepare(&mut command);
        tell(&mut command, "")
    };
    check(&status(&|_| ()), 0, &["sealed"]);
    check(
        &status(&|command| {
            command.env("SEKISHO_VAULT_SECRET", PASSPHRASE);
        }),
        0,
        &["The vault is open, by the environment", "Warning:", "other processes of this user can read"],
    );
    // A wrong one does not open, and the commands that need no vault go on.
    check(
        &status(&|command| {
            command.env("SEKISHO_VAULT_SECRET", OTHER);
        }),
        0,
        &["The vault stays sealed", "The vault is sealed"],
    );
    let credentials = installation.folder("credentials");
    std::fs::write(credentials.join("sekisho-vault"), format!("{PASSPHRASE}\n")).unwrap();
    let with_systemd = |command: &mut Command| {
        command.env("CREDENTIALS_DIRECTORY", &credentials).env("SEKISHO_VAULT_SECRET", OTHER);
    };
    let opened = status(&with_systemd);
    check(&opened, 0, &["The vault is open, by a systemd credential"]);
    assert!(!said(&opened).contains("Warning"), "{}", said(&opened));
    // Before a key file, too: whose secret is another one.
    let key_file = installation.data().join("vault-key");
    std::fs::write(&key_file, OTHER).unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o400)).unwrap();
    check(&status(&with_systemd), 0, &["by a systemd credential"]);
    check(&status(&|_| ()), 0, &["The vault stays sealed"]);
}
