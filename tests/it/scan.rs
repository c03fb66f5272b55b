//! The installation's own audit: a fault for each check is found, a fresh installation has none, and what mends it does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Installation, text, write};
use crate::strongroom::{check, said, told};
use crate::timed::{Timed, clock};

const DAY: Duration = Duration::from_hours(24);

/// The command without the loosened settings of the tests, in an environment that this test knows.
fn plain(installation: &Installation, arguments: &[&str]) -> Command {
    let mut command = installation.command(arguments);
    for (name, _) in installation.settings() {
        command.env_remove(format!("SEKISHO_{name}"));
    }
    // Whoever runs the tests may have secrets in the environment.
    for (name, _) in std::env::vars_os() {
        if !["PATH", "TMPDIR", "LLVM_PROFILE_FILE"].contains(&&*name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    let home = installation.data().parent().unwrap().join("home");
    command.env("HOME", &home).env("SYSTEMD_UNIT_PATH", home.join("units"));
    command
}

fn fresh() -> Installation {
    let installation = Installation::bare();
    let output = plain(&installation, &["init"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    installation
}

fn findings_of(output: &Output) -> Vec<Value> {
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", said(output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)));
    result["findings"].as_array().unwrap().clone()
}

fn scan_with(installation: &Installation, environment: &[(&str, &str)]) -> Vec<Value> {
    let mut command = plain(installation, &["--json", "scan"]);
    command.envs(environment.iter().copied());
    findings_of(&command.output().unwrap())
}

fn scan(installation: &Installation) -> Vec<Value> {
    scan_with(installation, &[])
}

/// The gravest severity that a check found.
fn severity<'a>(found: &'a [Value], id: &str) -> Option<&'a str> {
    found.iter().find(|finding| finding["check"] == id).map(|finding| finding["severity"].as_str().unwrap())
}

#[track_caller]
fn assert_found(found: &[Value], id: &str, expect: &str) {
    assert_eq!(severity(found, id), Some(expect), "{id} in {found:#?}");
}

/// Runs what a finding says mends it.
#[track_caller]
fn mend(found: &[Value], id: &str) {
    let finding = found.iter().find(|finding| finding["check"] == id).unwrap();
    let command = finding["mend"].as_str().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_sekisho")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", command]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{command}: {}", said(&output));
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn configure(installation: &Installation, table: &str, lines: &str) {
    let file = installation.data().join("sekisho.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let header = format!("[{table}]\n");
    assert!(before.contains(&header), "{table}");
    std::fs::write(&file, before.replace(&header, &format!("{header}{lines}\n"))).unwrap();
}

fn is_root() -> bool {
    rustix_uid() == 0
}

fn rustix_uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}

#[test]
fn a_fresh_installation_has_nothing_above_low_and_the_scan_changes_nothing() {
    let installation = fresh();
    let configuration = std::fs::read(installation.data().join("sekisho.toml")).unwrap();
    let found = scan(&installation);
    for finding in &found {
        assert!(["low", "info"].contains(&finding["severity"].as_str().unwrap()), "{finding}");
        for key in ["check", "place", "why", "mend"] {
            assert!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{finding}");
        }
    }
    assert_found(&found, "vault.secret", "low");
    assert_found(&found, "backups.made", "low");
    assert_found(&found, "audit.checkpoints", "low");
    assert_found(&found, "dependencies.advisories", "info");
    assert_eq!(scan(&installation), found, "a second scan finds the same");
    assert_eq!(std::fs::read(installation.data().join("sekisho.toml")).unwrap(), configuration);
    installation.verify();
}

#[test]
fn the_exit_code_says_whether_something_is_as_grave_as_asked() {
    let installation = fresh();
    let code = |arguments: &[&str]| plain(&installation, arguments).output().unwrap().status.code();
    assert_eq!(code(&["scan"]), Some(0));
    assert_eq!(code(&["scan", "--fail-on", "low"]), Some(1));
    assert_eq!(code(&["scan", "--fail-on", "dire"]), Some(64), "the command line is wrong");
    chmod(&installation.data().join("http-token"), 0o644);
    assert_eq!(code(&["scan"]), Some(1));
    assert_eq!(code(&["scan", "--fail-on", "critical"]), Some(0));
    let bare = Installation::bare();
    assert_eq!(plain(&bare, &["scan"]).output().unwrap().status.code(), Some(2), "there is nothing to look at");
    let shown = text(&plain(&installation, &["scan"]).output().unwrap().stdout);
    assert!(shown.contains("files.secrets") && shown.contains("chmod 600") && shown.contains("33 checks"), "{shown}");
}

#[test]
fn files_that_others_can_read_or_change_are_found_and_mended() {
    let installation = fresh();
    let data = installation.data();
    std::fs::create_dir_all(data.join("policies")).unwrap();
    // Something is signed, so that there are checkpoints.
    plain(&installation, &["audit", "checkpoint"]).output().unwrap();
    for (path, mode, id, expect) in [
        (data.clone(), 0o750, "files.data_directory", "high"),
        (data.join("http-token"), 0o640, "files.secrets", "high"),
        (data.join("sekisho.toml"), 0o666, "files.configuration", "high"),
        (data.join("policies"), 0o777, "files.configuration", "high"),
        (data.join("logs"), 0o755, "files.logs", "medium"),
        (data.join("checkpoints.log"), 0o622, "files.kept", "medium"),
    ] {
        chmod(&path, mode);
        let found = scan(&installation);
        assert_found(&found, id, expect);
        mend(&found, id);
        assert_eq!(severity(&scan(&installation), id), None, "{} was not mended", path.display());
    }
    if is_root() {
        std::os::unix::fs::chown(data.join("http-token"), Some(4321), None).unwrap();
        let found = scan(&installation);
        assert_found(&found, "files.owner", "medium");
        mend(&found, "files.owner");
        assert_eq!(severity(&scan(&installation), "files.owner"), None);
    }
}

#[test]
fn a_running_server_finds_what_is_open_of_its_own() {
    let installation = Installation::new();
    let server = installation.serve();
    let data = installation.data();
    chmod(&data.join("vault-key"), 0o444);
    let found = scan(&installation);
    assert_found(&found, "files.secrets", "critical");
    mend(&found, "files.secrets");
    chmod(&data.join("control.sock"), 0o777);
    let found = scan(&installation);
    assert_eq!(severity(&found, "files.secrets"), None);
    assert_found(&found, "files.sockets", "high");
    mend(&found, "files.sockets");
    write(&data.join("policies/broken.cedar"), "permit (principal, action");
    assert!(!installation.run(&["policy", "reload"]).status.success());
    let found = scan(&installation);
    assert_eq!(severity(&found, "files.sockets"), None);
    assert_found(&found, "policy.loaded", "medium");
    if is_root() && Command::new("prlimit").arg("--version").output().is_ok() {
        let id = server.id().to_string();
        let raised = Command::new("prlimit").args(["--core=0:1000", "--pid", &id]).output().unwrap();
        if raised.status.success() {
            assert_found(&scan(&installation), "process.cores", "medium");
        }
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn secrets_in_the_configuration_and_the_environment_are_found() {
    let installation = fresh();
    let file = installation.data().join("sekisho.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let own = format!("# ghp_{}\n", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    std::fs::write(&file, format!("{before}\n{own}")).unwrap();
    let found = scan(&installation);
    assert_found(&found, "secrets.configuration", "high");
    let line = before.lines().count() + 2;
    let finding = found.iter().find(|finding| finding["check"] == "secrets.configuration").unwrap();
    assert!(finding["place"].as_str().unwrap().ends_with(&format!(":{line}")), "{finding}");
    assert!(!format!("{found:?}").contains("a1B2c3D4"), "the secret itself is not shown");
    std::fs::write(&file, before).unwrap();
    assert_eq!(severity(&scan(&installation), "secrets.configuration"), None);
    let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzXq3v8Lk2A";
    assert_found(&scan_with(&installation, &[("AWS_SECRET_ACCESS_KEY", key)]), "secrets.environment", "low");
    for (name, value) in [
        ("DB_PASSWORD", "hunter2"),
        ("PGPASSWORD", "hunter2"),
        ("DATABASE_URL", "postgres://ann:hunter2@db.example/a"),
        ("HTTPS_PROXY", "http://bob:hunter2@proxy.example:3128"),
    ] {
        assert_found(&scan_with(&installation, &[(name, value)]), "secrets.environment", "low");
    }
    assert_eq!(severity(&scan_with(&installation, &[("DB_PASSWORD_FILE", "/run/db")]), "secrets.environment"), None);
    let found = scan_with(&installation, &[("MCP_JWT_SECRET", "0123456789012345678901234567890123456789")]);
    assert_found(&found, "secrets.environment", "medium");
    assert!(!format!("{found:?}").contains("01234567890123"), "{found:?}");
}

#[test]
fn loosened_settings_are_found_and_put_back() {
    let installation = fresh();
    configure(&installation, "inspect", "paths = \"off\"");
    configure(&installation, "vault", "rotation_days = 0");
    let found = scan(&installation);
    assert_found(&found, "settings.loosened", "high");
    assert_eq!(found.iter().filter(|finding| finding["check"] == "settings.loosened").count(), 2);
    mend(&found, "settings.loosened");
    let found = scan(&installation);
    assert_found(&found, "settings.loosened", "medium");
    mend(&found, "settings.loosened");
    assert_eq!(severity(&scan(&installation), "settings.loosened"), None);
    let found = scan_with(&installation, &[("SEKISHO_SESSION_ROTATION", "false")]);
    assert_found(&found, "settings.loosened", "medium");
    assert!(found[0]["mend"].as_str().unwrap().starts_with("unset SEKISHO_SESSION_ROTATION"), "{found:?}");
}

#[test]
fn listeners_that_other_machines_reach_are_found() {
    let installation = fresh();
    let found = scan_with(&installation, &[("SEKISHO_HTTP_LISTEN", "0.0.0.0:3000")]);
    assert_found(&found, "listeners.cleartext", "high");
    assert_found(&found, "listeners.exposed", "low");
    assert_found(&found, "settings.preset", "low");
    let open = [("SEKISHO_HTTP_LISTEN", "0.0.0.0:3000"), ("SEKISHO_HTTP_AUTHENTICATION", "none")];
    assert_found(&scan_with(&installation, &open), "listeners.exposed", "critical");
    let found = scan_with(&installation, &[("SEKISHO_METRICS_LISTEN", "0.0.0.0:9090")]);
    assert_found(&found, "listeners.metrics", "medium");
}

#[test]
fn certificates_that_are_missing_ending_or_weak_are_found() {
    let installation = fresh();
    let tls = installation.data().join("tls");
    let pair = |certificate: &Path, key: &Path| {
        let certificate = format!("tls_certificate = \"{}\"\ntls_key = \"{}\"", certificate.display(), key.display());
        move |installation: &Installation| configure(installation, "http", &certificate)
    };
    pair(&tls.join("server.pem"), &tls.join("server-key.pem"))(&installation);
    assert_found(&scan(&installation), "tls.files", "high");
    let init = ["tls", "init", "--days", "1", "--name", "docs.example.org"];
    let init = plain(&installation, &init).output().unwrap();
    assert!(init.status.success(), "{}", said(&init));
    let found = scan(&installation);
    assert_eq!(severity(&found, "tls.files"), None);
    assert_found(&found, "tls.expiry", "medium");
    mend(&found, "tls.expiry");
    assert_eq!(severity(&scan(&installation), "tls.expiry"), None);
    let shown = said(&plain(&installation, &["tls", "show"]).output().unwrap());
    assert!(shown.contains("dns:docs.example.org"), "the name went with the old one: {shown}");
    chmod(&tls.join("server-key.pem"), 0o644);
    let found = scan(&installation);
    assert_found(&found, "files.secrets", "critical");
    mend(&found, "files.secrets");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    for name in ["sha1.pem", "sha1-key.pem"] {
        std::fs::copy(fixtures.join(name), tls.join(name)).unwrap();
        chmod(&tls.join(name), 0o600);
    }
    let weak = fresh();
    pair(&tls.join("sha1.pem"), &tls.join("sha1-key.pem"))(&weak);
    let found = scan(&weak);
    assert_found(&found, "tls.strength", "high");
    assert_eq!((severity(&found, "tls.files"), severity(&found, "tls.expiry")), (None, None), "{found:?}");
}

#[test]
fn tokens_without_an_end_and_spent_ones_are_found_and_mended() {
    let installation = fresh();
    assert_found(&scan(&installation), "tokens.endless", "low");
    let issue = ["token", "issue", "ci", "--role", "operator"];
    assert!(plain(&installation, &issue).output().unwrap().status.success());
    let found = scan(&installation);
    assert_found(&found, "tokens.endless", "medium");
    mend(&found, "tokens.endless");
    let found = scan(&installation);
    assert_found(&found, "tokens.endless", "low");
    assert!(plain(&installation, &["token", "revoke", "ci"]).output().unwrap().status.success());
    let found = scan(&installation);
    assert_found(&found, "tokens.spent", "info");
    mend(&found, "tokens.spent");
    assert_eq!(severity(&scan(&installation), "tokens.spent"), None);
}

#[test]
fn the_mend_of_the_first_token_leaves_one_that_holds_in_its_file() {
    let installation = fresh();
    let file = installation.data().join("http-token");
    let before = std::fs::read_to_string(&file).unwrap();
    mend(&scan(&installation), "tokens.endless");
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(severity(&scan(&installation), "tokens.endless"), None);
    let doctor = plain(&installation, &["doctor"]).output().unwrap();
    assert!(doctor.status.success(), "{}", said(&doctor));
}

#[test]
fn an_installation_that_is_new_waits_for_its_first_backup_without_an_alarm() {
    let installation = Installation::bare();
    let folder = installation.folder("backups");
    let with = [("SEKISHO_BACKUP_DIRECTORY", folder.to_str().unwrap())];
    let run = |arguments: &[&str]| plain(&installation, arguments).envs(with).output().unwrap();
    assert!(run(&["init"]).status.success());
    assert_eq!(run(&["scan"]).status.code(), Some(0));
    assert_found(&scan_with(&installation, &with), "backups.made", "low");
}

#[test]
fn what_nobody_used_for_long_and_old_keys_are_found_when_time_has_passed() {
    let mut installation = Installation::new();
    // What is rotated by itself does not grow old.
    installation.set("VAULT_ROTATION_DAYS", "0");
    check(
        &told(&installation, &["account", "add", "ann", "--role", "operator"], "several words make a good one\n"),
        0,
        &[],
    );
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    let now = findings_of(&installation.run(&["--json", "scan"]));
    for id in ["tokens.unused", "accounts.unused", "keys.age"] {
        assert_eq!(severity(&now, id), None, "{now:?}");
    }
    clock.advance(31 * DAY);
    let later = findings_of(&installation.run(&["--json", "scan"]));
    assert_found(&later, "tokens.unused", "medium");
    assert_found(&later, "accounts.unused", "medium");
    clock.advance(340 * DAY);
    let later = findings_of(&installation.run(&["--json", "scan"]));
    assert_found(&later, "keys.age", "low");
    timed.stop();
}

#[test]
fn backups_that_are_missing_or_no_good_are_found() {
    let installation = fresh();
    let folder = installation.data().parent().unwrap().join("backups");
    let directory = folder.to_str().unwrap();
    let with = [("SEKISHO_BACKUP_DIRECTORY", directory)];
    let found = scan_with(&installation, &with);
    assert_found(&found, "backups.made", "high");
    mend(&found, "backups.made");
    let found = scan_with(&installation, &with);
    let none = |finding: &&Value| finding["why"].as_str().unwrap().contains("no scheduled backup in it yet");
    assert!(found.iter().any(|finding| none(&finding)), "{found:?}");
    mend(&found, "backups.made");
    let found = scan_with(&installation, &with);
    assert!(!found.iter().any(|finding| none(&finding)), "{found:?}");
    assert_found(&found, "backups.verified", "info");
    let path = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let verify = |expect: i32, part: &str| {
        let mut command = plain(&installation, &["backup", "--verify", path.to_str().unwrap()]);
        check(&command.envs(with).output().unwrap(), expect, &[part]);
    };
    verify(0, "is good");
    assert_eq!(severity(&scan_with(&installation, &with), "backups.verified"), None);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    verify(1, "is damaged");
    assert_found(&scan_with(&installation, &with), "backups.verified", "high");
    assert!(!folder.parent().unwrap().join("data/sekisho.redb.backup-copy").exists());
}

#[test]
fn an_audit_log_that_does_not_fit_its_checkpoints_is_found() {
    let installation = fresh();
    plain(&installation, &["audit", "checkpoint"]).output().unwrap();
    assert_ne!(severity(&scan(&installation), "audit.sound"), Some("critical"));
    std::fs::remove_file(installation.data().join("checkpoints.log")).unwrap();
    assert_found(&scan(&installation), "audit.sound", "critical");
}

#[test]
fn a_short_disk_and_a_loose_unit_are_found() {
    let installation = fresh();
    let found = scan_with(&installation, &[("SEKISHO_UPKEEP_DISK_FREE_PERCENT_MIN", "99")]);
    assert_found(&found, "disk.space", "medium");
    let units = installation.data().parent().unwrap().join("home/units");
    assert_found(&scan(&installation), "unit.hardening", "info");
    write(&units.join("sekisho.service"), "[Service]\nExecStart=/usr/bin/sekisho serve\n");
    let found = scan(&installation);
    assert_found(&found, "unit.hardening", "medium");
    assert_found(&found, "unit.user", "high");
    // What mends it is a drop-in; reloading is systemd's, where there is one.
    for id in ["unit.hardening", "unit.user"] {
        let command = found.iter().find(|finding| finding["check"] == id).unwrap()["mend"].as_str().unwrap();
        let command = command.replace(" && systemctl daemon-reload", "");
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }
    let found = scan(&installation);
    assert_eq!(severity(&found, "unit.hardening"), None, "{found:?}");
    assert_ne!(severity(&found, "unit.user"), Some("high"), "{found:?}");
}

/// A checkout of advisories of our own, about a crate that is in the program.
fn advisories(installation: &Installation, patched: &str) -> PathBuf {
    let folder = installation.folder("advisory-db");
    let front = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"redb\"\ndate = \"2026-01-02\"\n[versions]\npatched = [\"{patched}\"]\n```\n\n# It forgets what it was told\n"
    );
    write(&folder.join("crates/redb/RUSTSEC-2026-0001.md"), &front);
    folder
}

fn make(installation: &Installation, name: &str, patched: &str) -> (PathBuf, String) {
    let folder = advisories(installation, patched);
    let file = folder.join(format!("{name}.db"));
    let key = folder.join(format!("{name}.key"));
    let made = installation.json(&[
        "advisories",
        "make",
        folder.to_str().unwrap(),
        file.to_str().unwrap(),
        "--signing-key",
        key.to_str().unwrap(),
    ]);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    (file, made["verifier"].as_str().unwrap().to_owned())
}

#[test]
fn a_signed_database_of_advisories_is_taken_and_speaks_of_our_crates() {
    let installation = fresh();
    let (first, key) = make(&installation, "a", ">= 999.0.0");
    let (other, other_key) = make(&installation, "other", ">= 999.0.0");
    let import = |file: &Path, rest: &[&str]| {
        plain(&installation, &[&["advisories", "import", file.to_str().unwrap()], rest].concat()).output().unwrap()
    };
    check(&import(&first, &[]), 77, &["key is trusted"]);
    check(&import(&first, &["--vkey", "nonsense"]), 64, &["name+hexid+base64"]);
    assert_found(&scan(&installation), "dependencies.advisories", "info");
    check(&import(&first, &["--vkey", &key]), 0, &["1 advisories", "1 speak of"]);
    let found = scan(&installation);
    assert_found(&found, "dependencies.advisories", "high");
    let finding = found.iter().find(|finding| finding["check"] == "dependencies.advisories").unwrap();
    assert!(finding["place"].as_str().unwrap().starts_with("the crate redb "), "{finding}");
    assert!(finding["why"].as_str().unwrap().contains("RUSTSEC-2026-0001: It forgets"), "{finding}");
    // A newer one, by the same key, says that ours is patched.
    let kept = std::fs::read(&first).unwrap();
    let folder = advisories(&installation, ">= 1.0.0");
    let newer = folder.join("newer.db");
    let key_file = folder.join("a.key");
    let arguments = ["advisories", "make", folder.to_str().unwrap(), newer.to_str().unwrap(), "--signing-key"];
    installation.json(&[&arguments[..], &[key_file.to_str().unwrap()]].concat());
    check(&import(&newer, &[]), 0, &["0 speak of"]);
    assert_eq!(severity(&scan(&installation), "dependencies.advisories"), None);
    check(&import(&first, &["--vkey", &key]), 73, &["an older one is not taken"]);
    check(&import(&other, &["--vkey", &other_key]), 73, &["an older one is not taken"]);
    // Changed, and signed by a stranger.
    let forged = folder.join("forged.db");
    std::fs::write(&forged, text(&kept).replace("It forgets", "It recalls")).unwrap();
    check(&import(&forged, &["--vkey", &key]), 77, &["not those that were signed"]);
    let (foreign, _) = make(&installation, "b", ">= 999.0.0");
    check(&import(&foreign, &["--vkey", &key]), 77, &["of the note's signatures"]);
    assert_eq!(severity(&scan(&installation), "dependencies.advisories"), None, "the one in use stayed");
    // Whoever changes the file that is kept is seen.
    let kept = installation.data().join("advisories.db");
    let changed = std::fs::read_to_string(&kept).unwrap().replace("redb", "reqb");
    std::fs::write(&kept, changed).unwrap();
    assert_found(&scan(&installation), "dependencies.advisories", "medium");
}

#[test]
fn checklists_are_ticked_by_the_scan() {
    let installation = fresh();
    for name in ["monthly", "quarterly", "development", "deployment", "runtime", "data"] {
        let output = plain(&installation, &["scan", "--checklist", name, "--format", "md"]).output().unwrap();
        let shown = text(&output.stdout);
        assert!(output.status.success() && shown.starts_with("# ") && shown.contains("- [x] "), "{shown}");
        assert!(shown.contains("by hand: `"), "{shown}");
    }
    let list = |installation: &Installation| {
        let output = plain(installation, &["--json", "scan", "--checklist", "deployment"]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let standing = |list: &Value| {
        let item = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["text"] == "Nobody else reads or changes the files");
        item.unwrap()["standing"].clone()
    };
    assert_eq!(standing(&list(&installation)), "done");
    let statements = ["The vault's secret is not beside the database", "Backups are made to another disk"];
    for statement in statements {
        let list = list(&installation);
        let items = list["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["text"].as_str().unwrap().starts_with(statement)).unwrap();
        assert_eq!(item["standing"], "open", "a new installation has it otherwise: {item}");
    }
    chmod(&installation.data().join("http-token"), 0o644);
    assert_eq!(standing(&list(&installation)), "open");
}

#[test]
fn a_server_scans_by_schedule_and_alerts_once_about_what_is_new() {
    let installation = Installation::new();
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    let alerts = |event: &str| {
        let listed = installation.json(&["alert", "list"]);
        listed["alerts"].as_array().unwrap().iter().filter(|alert| alert["event"] == event).count()
    };
    let entries =
        |operation: &str| installation.entries().iter().filter(|entry| entry["operation"] == operation).count();
    timed.look_after();
    assert_eq!(entries("scan.grave"), 0);
    // The server runs in the process of the test, which may leave core dumps; the program itself may not.
    assert!(entries("scan.finding") <= 1, "{:?}", installation.entries());
    chmod(&installation.data().join("http-token"), 0o644);
    timed.look_after();
    assert_eq!(entries("scan.grave"), 0, "it is not due yet");
    clock.advance(DAY);
    timed.look_after();
    assert_eq!(entries("scan.grave"), 1);
    let entry = installation.entries().into_iter().find(|entry| entry["operation"] == "scan.grave").unwrap();
    assert!(entry["reason"].as_str().unwrap().contains("high files.secrets"), "{entry}");
    crate::strongroom::until("there is an alert", || (alerts("scan_grave") == 1).then_some(()));
    clock.advance(DAY);
    timed.look_after();
    assert_eq!(entries("scan.grave"), 1, "what is known is not told again");
    timed.stop();
    installation.verify();
}

#[test]
fn a_server_verifies_its_log_and_its_newest_backup_by_schedule() {
    let mut installation = Installation::new();
    let folder = installation.folder("backups");
    installation.set("BACKUP_DIRECTORY", folder.to_str().unwrap());
    let clock = clock();
    let path = folder.join("sekisho-1000000000000.backup");
    installation.json(&["backup", path.to_str().unwrap()]);
    let timed = Timed::start(&installation, &clock);
    timed.look_after();
    let found = findings_of(&installation.run(&["--json", "scan"]));
    assert_eq!((severity(&found, "audit.sound"), severity(&found, "backups.verified")), (None, None), "{found:?}");
    let failures = || {
        let entries = installation.entries();
        entries
            .iter()
            .filter(|entry| entry["operation"] == "backup.verify_scheduled" && entry["outcome"] == "failed")
            .count()
    };
    assert_eq!(failures(), 0);
    for operation in ["audit.verify_scheduled", "backup.verify_scheduled"] {
        let entries = installation.entries();
        let of_it: Vec<_> = entries.iter().filter(|entry| entry["operation"] == operation).collect();
        assert_eq!(of_it.len(), 1, "that all is well is recorded once: {of_it:?}");
        assert_eq!(of_it[0]["outcome"], "done");
    }
    let future = folder.join("sekisho-4000000000000.backup");
    std::fs::write(&future, "from another time").unwrap();
    let found = findings_of(&installation.run(&["--json", "scan"]));
    assert_found(&found, "backups.made", "medium");
    std::fs::write(&path, "no backup").unwrap();
    clock.advance(7 * DAY);
    timed.look_after();
    assert_eq!(failures(), 1);
    assert_found(&findings_of(&installation.run(&["--json", "scan"])), "backups.verified", "high");
    timed.stop();
}
