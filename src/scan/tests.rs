//! A fault for each check, and nothing found where there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::advisory::{Advisory, Crate, Database, Kind};
use super::facts::{
    Account, Advisories, Backups, Checkpoints, Disk, Facts, FileFact, Inside, KeyAge, Machine, Token, Unit,
    Verification, What,
};
use super::*;
use crate::base::clock::Timestamp;
use crate::config::env::Environment;
use crate::config::file;
use crate::config::place::Places;
use crate::crypto::tls::certificate::{Certificate, KeyKind};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn days_ago(days: u64) -> Timestamp {
    Timestamp(NOW.0 - days * 86_400_000)
}

/// A well-kept installation with this configuration.
pub(super) fn facts_with(configuration: &str) -> Facts {
    let environment = Environment::default();
    let config = file::parse(configuration, Path::new("/data/sekisho.toml"), &environment).unwrap();
    let places = Places::find(Some(Path::new("/data")), None, &environment).unwrap();
    let own = FileFact { what: What::Database, path: places.database(), mode: 0o600, owner: 1000, is_directory: false };
    let verified = || Some(Verification { at: days_ago(1), what: "/mnt/backup/a".into(), fault: None });
    let unit = "NoNewPrivileges ProtectHome PrivateTmp PrivateDevices ProtectKernelTunables ProtectKernelModules \
                ProtectControlGroups MemoryDenyWriteExecute LockPersonality";
    let mut directives: Vec<(String, String)> =
        unit.split(' ').map(|name| (name.to_owned(), "yes".to_owned())).collect();
    for (name, value) in [
        ("ProtectSystem", "strict"),
        ("RestrictAddressFamilies", "AF_UNIX"),
        ("SystemCallFilter", "@a"),
        ("User", "sekisho"),
    ] {
        directives.push((name.into(), value.into()));
    }
    let machine = Machine {
        user: 1000,
        files: vec![own],
        has_systemd: true,
        units: vec![Unit { path: "/etc/systemd/system/sekisho.service".into(), directives, is_of_user: false }],
        backups: Some(Backups {
            directory: "/mnt/backup".into(),
            error: None,
            newest: Some((NOW, PathBuf::from("/mnt/backup/sekisho-1.backup"))),
            future: None,
            is_on_same_disk: false,
            disk: Some(Disk { free_bytes: 50 << 30, total_bytes: 100 << 30 }),
        }),
        checkpoints: Checkpoints { file: "/mnt/checkpoints.log".into(), is_on_same_disk: false },
        disk: Some(Disk { free_bytes: 50 << 30, total_bytes: 100 << 30 }),
        advisories: Advisories::There(Arc::new(Database {
            made: days_ago(1),
            advisories: Vec::new(),
            signers: Vec::new(),
        })),
        crates: vec![Crate { name: "redb".into(), version: "4.5.0".parse().unwrap() }],
        ..Machine::default()
    };
    let inside = Inside { keys: Some(Vec::new()), audit: verified(), backup: verified(), ..Inside::default() };
    Facts { now: NOW, places, config: Arc::new(config), machine, inside }
}

fn file_fact(what: What, mode: u32) -> FileFact {
    FileFact { what, path: "/data/it".into(), mode, owner: 1000, is_directory: false }
}

fn token(name: &str, role: &str) -> Token {
    Token {
        kind: "api_key",
        id: "sks_01234567".into(),
        name: name.into(),
        role: role.into(),
        made: days_ago(1),
        expires: Some(Timestamp(NOW.0 + 1)),
        last_used: Some(NOW),
        is_revoked: false,
        is_of_file: false,
    }
}

fn certificate() -> Certificate {
    Certificate {
        subject: "CN=localhost".into(),
        names: vec!["dns:localhost".into()],
        not_before: days_ago(10),
        not_after: Timestamp(NOW.0 + 300 * 86_400_000),
        fingerprint: [0; 32],
        is_authority: false,
        key: KeyKind::Elliptic(256),
        is_signed_weakly: false,
    }
}

const TLS: &str = "[http]\ntls_certificate = \"/tls/chain.pem\"\ntls_key = \"/tls/key.pem\"\n";

/// The check finds this fault, with this severity, and no other check finds it.
fn check_fault(id: &str, severity: Severity, configuration: &str, fault: impl FnOnce(&mut Facts)) {
    let mut facts = facts_with(configuration);
    fault(&mut facts);
    let found = run(&facts);
    let ours: Vec<&Finding> = found.iter().filter(|finding| finding.check == id).collect();
    assert_eq!(ours.iter().map(|finding| finding.severity).max(), Some(severity), "{id}: {found:?}");
    for finding in ours {
        assert!(!finding.place.is_empty() && !finding.why.is_empty() && !finding.mend.is_empty(), "{finding:?}");
    }
    let others: Vec<&Finding> = found.iter().filter(|finding| finding.check != id).collect();
    assert!(others.iter().all(|finding| finding.severity <= Severity::Low), "{id} set off others: {others:?}");
}

#[test]
fn a_well_kept_installation_has_no_finding() {
    assert_eq!(run(&facts_with("")), []);
}

#[test]
fn ids_are_unique_and_the_manual_lists_exactly_these_checks() {
    let ids: std::collections::BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), CHECKS.len());
    let manual = include_str!("../../assets/manual/scan.md");
    let rows: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `") && line.contains('.')).collect();
    for check in CHECKS {
        let row = format!("| `{}` | {} |", check.id, check.about);
        assert!(rows.contains(&row.as_str()), "the manual's page scan lacks: {row}");
    }
}

#[test]
fn faults_of_files_are_found() {
    let files = |file: FileFact| move |facts: &mut Facts| facts.machine.files.push(file);
    let check = |id, severity, what, mode| check_fault(id, severity, "", files(file_fact(what, mode)));
    check("files.data_directory", Severity::High, What::DataDirectory, 0o750);
    check("files.secrets", Severity::Critical, What::VaultKey, 0o440);
    check("files.secrets", Severity::Critical, What::TlsKey, 0o644);
    check("files.secrets", Severity::High, What::Token, 0o644);
    check("files.secrets", Severity::High, What::Database, 0o660);
    check("files.configuration", Severity::High, What::Configuration, 0o664);
    check("files.configuration", Severity::High, What::Policies, 0o666);
    check("files.configuration", Severity::High, What::Certificate, 0o646);
    check("files.logs", Severity::Medium, What::Logs, 0o640);
    check("files.sockets", Severity::High, What::ControlSocket, 0o777);
    check("files.sockets", Severity::Medium, What::HttpSocket, 0o666);
    check("files.kept", Severity::Medium, What::Backups, 0o664);
    check("files.kept", Severity::Low, What::Backups, 0o644);
    check("files.kept", Severity::Medium, What::Checkpoints, 0o622);
    let foreign = FileFact { owner: 1001, ..file_fact(What::Database, 0o600) };
    check_fault("files.owner", Severity::Medium, "", files(foreign));
}

#[test]
fn the_mode_that_mends_takes_away_only_what_is_too_much() {
    let mut facts = facts_with("");
    facts.machine.files = vec![file_fact(What::TlsKey, 0o644), file_fact(What::Configuration, 0o664)];
    let mends: Vec<String> = run(&facts).into_iter().map(|finding| finding.mend).collect();
    assert_eq!(mends, ["chmod 640 /data/it", "chmod 644 /data/it"]);
}

#[test]
fn faults_of_secrets_and_settings_are_found() {
    check_fault("secrets.configuration", Severity::High, "", |facts| facts.machine.secret_lines = vec![7]);
    let exposed = |name: &str| {
        let environment = Environment { exposed: vec![name.to_owned()], ..Environment::default() };
        let config = file::parse("", Path::new("/data/sekisho.toml"), &environment).unwrap();
        move |facts: &mut Facts| facts.config = Arc::new(config)
    };
    check_fault("secrets.environment", Severity::Medium, "", exposed("SEKISHO_VAULT_SECRET"));
    check_fault("secrets.environment", Severity::Low, "", exposed("AWS_SECRET_ACCESS_KEY"));
    check_fault("settings.loosened", Severity::High, "[inspect]\npaths = \"off\"\n", |_| ());
    let served = format!("{TLS}listen = \"192.0.2.1:3000\"\n");
    check_fault("settings.preset", Severity::Low, &served, |facts| facts.machine.certificate = Some(Ok(certificate())));
}

#[test]
fn faults_of_tls_and_listeners_are_found() {
    let with = |certificate: Certificate| move |facts: &mut Facts| facts.machine.certificate = Some(Ok(certificate));
    check_fault("tls.files", Severity::High, TLS, |facts| {
        facts.machine.certificate = Some(Err("they do not belong together".into()));
    });
    let expiring = Certificate { not_after: Timestamp(NOW.0 + 86_400_000), ..certificate() };
    check_fault("tls.expiry", Severity::Medium, TLS, with(expiring));
    check_fault("tls.expiry", Severity::High, TLS, with(Certificate { not_after: days_ago(1), ..certificate() }));
    let early = Certificate { not_before: Timestamp(NOW.0 + 1), ..certificate() };
    check_fault("tls.expiry", Severity::High, TLS, with(early));
    check_fault("tls.strength", Severity::High, TLS, with(Certificate { key: KeyKind::Rsa(1024), ..certificate() }));
    check_fault(
        "tls.strength",
        Severity::High,
        TLS,
        with(Certificate { key: KeyKind::Elliptic(192), ..certificate() }),
    );
    check_fault("tls.strength", Severity::High, TLS, with(Certificate { is_signed_weakly: true, ..certificate() }));
    check_fault("listeners.cleartext", Severity::High, "[http]\nlisten = \"192.0.2.1:3000\"\n", |_| ());
    let open = format!("{TLS}listen = \"0.0.0.0:3000\"\n");
    check_fault("listeners.exposed", Severity::Low, &open, |facts| facts.machine.certificate = Some(Ok(certificate())));
    check_fault("listeners.metrics", Severity::Medium, "[metrics]\nlisten = \"0.0.0.0:9090\"\n", |_| ());
}

#[test]
fn faults_of_tokens_accounts_and_keys_are_found() {
    let tokens = |token: Token| move |facts: &mut Facts| facts.inside.tokens.push(token);
    let endless = |role| Token { expires: None, ..token("ci", role) };
    check_fault("tokens.endless", Severity::Low, "", tokens(endless("reader")));
    check_fault("tokens.endless", Severity::Medium, "", tokens(endless("operator")));
    check_fault(
        "tokens.unused",
        Severity::Medium,
        "",
        tokens(Token { last_used: Some(days_ago(91)), ..token("ci", "reader") }),
    );
    check_fault(
        "tokens.unused",
        Severity::Medium,
        "",
        tokens(Token { made: days_ago(31), last_used: None, ..token("ci", "reader") }),
    );
    check_fault("tokens.spent", Severity::Info, "", tokens(Token { is_revoked: true, ..token("ci", "reader") }));
    check_fault("tokens.spent", Severity::Info, "", tokens(Token { expires: Some(NOW), ..token("ci", "reader") }));
    let account = Account {
        name: "ann".into(),
        role: "operator".into(),
        is_disabled: false,
        made: days_ago(200),
        last_used: Some(days_ago(100)),
    };
    let disabled = Account { is_disabled: true, ..account.clone() };
    check_fault("accounts.unused", Severity::Medium, "", |facts| facts.inside.accounts = vec![account]);
    let mut facts = facts_with("");
    facts.inside.accounts = vec![disabled];
    assert_eq!(run(&facts), []);
    let key = |days, keeps_versions| {
        let key = KeyAge { purpose: "credentials".into(), version: 3, made: days_ago(days), keeps_versions };
        move |facts: &mut Facts| facts.inside.keys = Some(vec![key])
    };
    check_fault("keys.age", Severity::Medium, "", key(93, false));
    check_fault("keys.age", Severity::Low, "", key(400, true));
    check_fault("keys.age", Severity::Info, "", |facts| facts.inside.keys = None);
}

#[test]
fn faults_of_what_is_kept_are_found() {
    check_fault("vault.secret", Severity::Low, "", |facts| facts.machine.keys_beside = vec!["/data/vault-key".into()]);
    check_fault("backups.made", Severity::Low, "", |facts| facts.machine.backups = None);
    let backups = |change: fn(&mut Backups)| move |facts: &mut Facts| change(facts.machine.backups.as_mut().unwrap());
    check_fault("backups.made", Severity::High, "", backups(|backups| backups.error = Some("gone".into())));
    check_fault("backups.made", Severity::Medium, "", backups(|backups| backups.newest = None));
    check_fault("backups.made", Severity::Low, "", |facts| {
        facts.machine.backups.as_mut().unwrap().newest = None;
        facts.machine.since = Some(Timestamp(NOW.0 - 3_600_000));
    });
    check_fault("backups.made", Severity::Medium, "", |facts| {
        facts.machine.backups.as_mut().unwrap().newest = None;
        facts.machine.since = Some(days_ago(2));
    });
    check_fault(
        "backups.made",
        Severity::Medium,
        "",
        backups(|backups| backups.newest.as_mut().unwrap().0 = days_ago(4)),
    );
    check_fault("backups.made", Severity::Low, "", backups(|backups| backups.is_on_same_disk = true));
    check_fault("backups.verified", Severity::High, "", |facts| {
        facts.inside.backup.as_mut().unwrap().fault = Some("it does not open".into());
    });
    check_fault("backups.made", Severity::Medium, "", backups(|backups| backups.future = Some("/mnt/backup/x".into())));
    // A new backup is none that was verified.
    check_fault("backups.verified", Severity::Medium, "", |facts| {
        facts.inside.backup.as_mut().unwrap().at = days_ago(40);
    });
    let never = |facts: &mut Facts| facts.inside.backup = None;
    check_fault("backups.verified", Severity::Info, "", never);
    check_fault("backups.verified", Severity::Low, "[upkeep]\nbackup_verify_hours = 0\n", never);
    check_fault("backups.verified", Severity::Low, "[backup]\nevery_hours = 8760\n", |facts| {
        facts.machine.backups.as_mut().unwrap().newest.as_mut().unwrap().0 = days_ago(8);
        facts.inside.backup = None;
    });
    check_fault("backups.verified", Severity::Info, "", |facts| facts.machine.backups = None);
    check_fault("audit.checkpoints", Severity::Low, "", |facts| facts.machine.checkpoints.is_on_same_disk = true);
    check_fault("audit.sound", Severity::Critical, "", |facts| facts.inside.alarm = Some("it is older".into()));
    check_fault("audit.sound", Severity::Critical, "", |facts| {
        facts.inside.audit.as_mut().unwrap().fault = Some("entry 7 was changed".into());
    });
    check_fault("audit.sound", Severity::Low, "", |facts| facts.inside.audit.as_mut().unwrap().at = days_ago(40));
    check_fault("audit.sound", Severity::Info, "", |facts| facts.inside.audit = None);
    check_fault("policy.loaded", Severity::Medium, "", |facts| facts.inside.policy_error = Some("line 3".into()));
    check_fault("disk.space", Severity::Medium, "", |facts| facts.machine.disk.as_mut().unwrap().free_bytes = 1 << 20);
    check_fault(
        "disk.space",
        Severity::Medium,
        "",
        backups(|backups| backups.disk.as_mut().unwrap().free_bytes = 1 << 20),
    );
}

/// What the mend of the first finding of this check does.
fn mend_of(facts: &Facts, check: &str) -> String {
    let found = run(facts);
    found.into_iter().find(|finding| finding.check == check).unwrap_or_else(|| panic!("{check} finds nothing")).mend
}

#[test]
fn what_a_mend_makes_belongs_to_whoever_runs_the_service() {
    let mut facts = facts_with("");
    facts.machine.owner = (990, 991);
    facts.machine.keys_beside = vec!["/data/vault-key".into(), "/data/vault-key.derived".into()];
    facts.machine.backups = None;
    let secret = mend_of(&facts, "vault.secret");
    assert!(secret.contains("install -o 990 -g 991 -m 400 /data/vault-key /etc/sekisho/vault-key"), "{secret}");
    assert!(!secret.contains("install -d"), "a folder that is there would be taken from others: {secret}");
    assert!(secret.ends_with("rm -f /data/vault-key /data/vault-key.derived"), "{secret}");
    let backups = mend_of(&facts, "backups.made");
    assert!(backups.starts_with("install -d -m 700 -o 990 -g 991 /srv/backup/sekisho && "), "{backups}");
}

#[test]
fn another_certificate_is_made_where_the_old_one_is_and_for_the_same_names() {
    let configuration = "[http]\ntls_certificate = \"/srv/tls/server.pem\"\ntls_key = \"/srv/tls/server-key.pem\"\n";
    let mut facts = facts_with(configuration);
    let names = ["dns:docs.example.org", "dns:localhost", "ip:127.0.0.1", "ip:192.0.2.7"].map(String::from).into();
    facts.machine.certificate = Some(Ok(Certificate { not_after: days_ago(1), names, ..certificate() }));
    facts.machine.tls_directory = Some("/srv/tls".into());
    let expect = "tls init --replace --directory /srv/tls --name docs.example.org --name 192.0.2.7";
    assert!(mend_of(&facts, "tls.expiry").ends_with(expect), "{}", mend_of(&facts, "tls.expiry"));
    // One of another authority is not replaced by one of our own.
    facts.machine.tls_directory = None;
    let mend = mend_of(&facts, "tls.expiry");
    assert!(!mend.contains("tls init") && mend.contains("RENEWED-CERTIFICATE /srv/tls/server.pem"), "{mend}");
}

#[test]
fn what_was_kept_beside_a_secret_that_went_elsewhere_is_found_and_only_removed() {
    let mut facts = facts_with("[vault]\nkey_file = \"/etc/sekisho/vault-key\"\n");
    facts.machine.keys_beside = vec!["/data/vault-key.derived".into()];
    assert_eq!(mend_of(&facts, "vault.secret"), "rm -f /data/vault-key.derived");
}

#[test]
fn the_mend_of_a_token_without_an_end_leaves_a_token_in_its_file() {
    let mut facts = facts_with("");
    facts.inside.tokens = vec![Token { expires: None, is_of_file: true, ..token("quickstart", "reader") }];
    let mend = mend_of(&facts, "tokens.endless");
    assert!(mend.contains("token revoke quickstart && token=$(") && mend.contains("> /data/http-token"), "{mend}");
    facts.inside.tokens[0].is_of_file = false;
    assert!(!mend_of(&facts, "tokens.endless").contains("http-token"));
}

#[test]
fn faults_of_units_and_the_process_are_found() {
    let unit = |change: fn(&mut Unit)| move |facts: &mut Facts| change(&mut facts.machine.units[0]);
    let without = |name: &'static str| {
        move |facts: &mut Facts| facts.machine.units[0].directives.retain(|(known, _)| known != name)
    };
    check_fault("unit.hardening", Severity::Medium, "", without("NoNewPrivileges"));
    check_fault("unit.hardening", Severity::Low, "", without("SystemCallFilter"));
    check_fault(
        "unit.hardening",
        Severity::Medium,
        "",
        unit(|unit| unit.directives.push(("ProtectSystem".into(), "full".into()))),
    );
    check_fault("unit.hardening", Severity::Info, "", |facts| facts.machine.units.clear());
    check_fault("unit.user", Severity::High, "", without("User"));
    // What a person's own service needs to see is not hidden from it.
    let mut facts = facts_with("");
    without("ProtectHome")(&mut facts);
    assert_eq!(run(&facts).len(), 1);
    facts.places.data = "/home/ann/.local/share/sekisho".into();
    facts.machine.files.clear();
    assert_eq!(run(&facts), []);
    check_fault("unit.user", Severity::Low, "", |facts| {
        facts.machine.user = 0;
        // What root runs is root's.
        facts.machine.files.iter_mut().for_each(|file| file.owner = 0);
    });
    check_fault("process.cores", Severity::Medium, "", |facts| facts.machine.are_core_dumps_possible = true);
    let mut facts = facts_with("");
    without("User")(&mut facts);
    facts.machine.units[0].directives.push(("DynamicUser".into(), "yes".into()));
    assert_eq!(run(&facts), []);
}

#[test]
fn the_units_that_we_ship_lack_nothing() {
    for (text, is_of_user) in [
        (include_str!("../../packaging/systemd/sekisho.service"), false),
        (include_str!("../../packaging/systemd/sekisho-backup.service"), false),
        (include_str!("../../packaging/systemd/sekisho-audit-verify.service"), false),
        (include_str!("../../packaging/systemd/user/sekisho.service"), true),
    ] {
        let mut facts = facts_with("");
        let directives = super::gather::service_section(text);
        facts.machine.units = vec![Unit { path: "/x/sekisho.service".into(), directives, is_of_user }];
        assert_eq!(run(&facts), [], "{text}");
    }
}

#[test]
fn two_mends_of_one_unit_do_not_undo_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut facts = facts_with("");
    facts.machine.units[0].path = folder.path().join("sekisho.service");
    facts.machine.units[0].directives.retain(|(name, _)| !["User", "PrivateTmp", "ProtectSystem"].contains(&&**name));
    for finding in run(&facts) {
        let command = finding.mend.replace(" && systemctl daemon-reload", "");
        assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }
    let text = std::fs::read_to_string(folder.path().join("sekisho.service.d/hardening.conf")).unwrap();
    facts.machine.units[0].directives.extend(super::gather::service_section(&text));
    assert_eq!(run(&facts), [], "{text}");
    assert!(text.contains("ReadWritePaths=/data\n"), "{text}");
}

#[test]
fn lines_with_secrets_are_mended_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sekisho.toml");
    std::fs::write(&file, "a\nsecret\nb\nsecret\nc\n").unwrap();
    let mut facts = facts_with("");
    facts.config = Arc::new(file::parse("", &file, &Environment::default()).unwrap());
    facts.machine.secret_lines = vec![2, 4];
    for finding in run(&facts) {
        let (_, command) = finding.mend.split_once(" && ").unwrap();
        assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\n\nb\n\nc\n");
}

#[test]
fn advisories_about_our_crates_are_found_and_their_age_is_told() {
    let database = |made, kind, patched: &str| {
        let advisory = Advisory {
            id: "RUSTSEC-2026-0001".into(),
            package: "redb".into(),
            date: "2026-01-02".into(),
            title: "It forgets".into(),
            kind,
            patched: vec![patched.into()],
            unaffected: Vec::new(),
            os: Vec::new(),
            arch: Vec::new(),
        };
        let database = Database { made, advisories: vec![advisory], signers: Vec::new() };
        move |facts: &mut Facts| facts.machine.advisories = Advisories::There(Arc::new(database))
    };
    let id = "dependencies.advisories";
    check_fault(id, Severity::High, "", database(NOW, Kind::Vulnerability, ">= 5.0.0"));
    check_fault(id, Severity::Medium, "", database(NOW, Kind::Unsound, ">= 5.0.0"));
    check_fault(id, Severity::Low, "", database(NOW, Kind::Unmaintained, ">= 5.0.0"));
    check_fault(id, Severity::Low, "", database(days_ago(31), Kind::Notice, ">= 4.0.0"));
    check_fault(id, Severity::Medium, "", database(days_ago(121), Kind::Notice, ">= 4.0.0"));
    check_fault(id, Severity::Info, "", |facts| facts.machine.advisories = Advisories::Missing);
    check_fault(id, Severity::Medium, "", |facts| facts.machine.advisories = Advisories::Broken("forged".into()));
}

#[test]
fn the_gravest_come_first() {
    let mut facts = facts_with("");
    facts.machine.advisories = Advisories::Missing;
    facts.inside.alarm = Some("it is older".into());
    facts.machine.are_core_dumps_possible = true;
    let found: Vec<Severity> = run(&facts).iter().map(|finding| finding.severity).collect();
    assert_eq!(found, [Severity::Critical, Severity::Medium, Severity::Info]);
    assert_eq!(worst(&run(&facts)), Some(Severity::Critical));
    // A day has no more than its length.
    assert_eq!(facts.age(days_ago(1)), Duration::from_hours(24));
}
