//! Backups: made while calls run, restored whole or not at all, by the secret or by the recovery key.

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Installation, is_soak, text, write};
use crate::strongroom::{
    call_often, check, copied, database, moment, opened, recovery_in, rows, said, tell, time_of, told, until,
};
use crate::timed::{Timed, clock};

const VALUE: &str = "the value of this credential";

fn backup(installation: &Installation, path: &Path) -> Value {
    installation.json(&["backup", path.to_str().unwrap()])
}

fn restore(installation: &Installation, backup: &Path, rest: &[&str]) -> Output {
    told(installation, &[&["restore", backup.to_str().unwrap()], rest].concat(), "")
}

fn keep_credential(installation: &Installation, name: &str) {
    check(&told(installation, &["credential", "set", name], VALUE), 0, &["version 1 is kept"]);
}

/// The value, as whoever holds the key file of this installation reads it.
fn value(installation: &Installation, name: &str) -> String {
    let secret = std::fs::read_to_string(installation.data().join("vault-key")).unwrap();
    let (store, open) = opened(&database(installation), &secret);
    let name = sekisho::vault::credential::CredentialName::parse(name).unwrap();
    let value = store.read(|snapshot| sekisho::vault::credential::value(&open, snapshot, &name)).unwrap();
    store.close().unwrap();
    text(value.expose_secret())
}

/// Everything in a data directory, to be compared.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = crate::strongroom::files_below(folder);
    // Each command that looked writes its own process, and its log.
    files.retain(|path| path.file_name().unwrap() != "sekisho.lock" && !path.starts_with(folder.join("logs")));
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_backup_made_under_load_holds_all_that_was_acknowledged_before_it() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    keep_credential(&installation, "door");
    let server = installation.serve();
    let path = installation.folder("backups").join("one");
    let (stop, address) = (AtomicBool::new(false), server.address);
    let (made, before) = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    call_often(&server, 1);
                }
            });
        }
        let before = installation.entries().last().unwrap()["sequence"].as_u64().unwrap();
        let made = backup(&installation, &path);
        stop.store(true, Ordering::Relaxed);
        (made, before)
    });
    assert_eq!(address, server.address);
    assert!(made["audit_entries"].as_u64().unwrap() > before, "{made} after {before}");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
        0o600
    );
    check(&installation.run(&["backup", path.to_str().unwrap()]), 73, &["exists already"]);
    check(&installation.run(&["restore", path.to_str().unwrap(), "--overwrite"]), 75, &["process"]);
    check(&installation.run(&["audit", "verify", path.to_str().unwrap()]), 2, &["it is a backup"]);
    assert_eq!(server.terminate(), Some(0));
    // What came after the backup goes with the database that is put aside.
    installation.json(&["library", "remove", "demo"]);

    check(&restore(&installation, &path, &[]), 73, &["a database", "--overwrite"]);
    let output = restore(&installation, &path, &["--json", "--overwrite"]);
    check(&output, 0, &[]);
    let restored: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(restored["audit_entries"], made["audit_entries"]);
    assert!(Path::new(restored["put_aside"].as_str().unwrap()).exists());
    installation.verify();
    assert_eq!(value(&installation, "door"), VALUE);
    let server = installation.serve();
    let found = installation.json(&["search", "zebra", "--library", "demo"]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
    server.call("list_libraries", json!({}));
    let said = installation.json(&["doctor"]);
    assert_eq!((said["well"].as_bool(), said["status"]["alarm"].as_str()), (Some(true), None), "{said}");
    assert!(installation.entries().iter().any(|entry| entry["operation"] == "restore"));
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn a_backup_opens_elsewhere_with_its_key_or_its_recovery_key_only() {
    let installation = Installation::bare();
    let recovery = recovery_in(&installation.run(&["--json", "init"]));
    keep_credential(&installation, "door");
    let path = installation.folder("backups").join("one");
    backup(&installation, &path);

    let elsewhere = Installation::bare();
    check(&restore(&elsewhere, &path, &[]), 77, &["--recovery"]);
    check(&told(&elsewhere, &["restore", path.to_str().unwrap(), "--recovery"], "nonsense"), 64, &["recovery key"]);
    let other = recovery_in(&Installation::bare().run(&["--json", "init"]));
    let output = told(&elsewhere, &["restore", path.to_str().unwrap(), "--recovery"], &other);
    check(&output, 77, &["not this vault's", "nothing was changed"]);
    let wrong =
        tell(elsewhere.command(&["restore", path.to_str().unwrap()]).env("SEKISHO_VAULT_SECRET", "another secret"), "");
    check(&wrong, 77, &["does not open"]);
    assert!(!database(&elsewhere).exists());

    let output = told(&elsewhere, &["restore", path.to_str().unwrap(), "--recovery"], &recovery);
    check(&output, 0, &["new secret, in the key file"]);
    assert_eq!(value(&elsewhere, "door"), VALUE);
    assert_ne!(
        std::fs::read(elsewhere.data().join("vault-key")).unwrap(),
        std::fs::read(installation.data().join("vault-key")).unwrap()
    );
    elsewhere.verify();
    // A configuration and a token are not in a backup.
    check(&elsewhere.run(&["init"]), 0, &["HTTP token"]);
    let server = elsewhere.serve();
    let ready = server.raw("GET", "/ready", &[("Host", "localhost")], "");
    assert_eq!(ready.status, 200, "{}", ready.body);
    server.call("list_libraries", json!({}));
    assert_eq!(server.terminate(), Some(0));
    elsewhere.verify();
}

#[test]
fn a_damaged_backup_is_refused_and_nothing_is_changed() {
    let installation = Installation::new();
    let path = installation.folder("backups").join("one");
    backup(&installation, &path);
    let whole = std::fs::read(&path).unwrap();
    let damaged = path.with_file_name("damaged");
    let before = contents(&installation.data());
    let mut cases: Vec<(String, Vec<u8>)> = [0, 10, 300, whole.len() / 2, whole.len() - 1]
        .into_iter()
        .map(|length| (format!("cut to {length} bytes"), whole[..length].to_vec()))
        .collect();
    for at in [3, 18, 60, 400, whole.len() / 3, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 4;
        cases.push((format!("byte {at} changed"), changed));
    }
    cases.push(("longer".into(), [whole.as_slice(), b"x"].concat()));
    for (what, bytes) in cases {
        std::fs::write(&damaged, bytes).unwrap();
        let output = restore(&installation, &damaged, &["--overwrite"]);
        let code = output.status.code();
        assert!(code.is_some_and(|code| [1, 64, 70, 77].contains(&code)), "{what}: {code:?} {}", said(&output));
        // What its owner can see in the file is no fault of the program.
        let is_inside =
            what.starts_with("cut to") || what == "longer" || what == format!("byte {} changed", whole.len() / 3);
        assert!(!is_inside || code != Some(70), "{what}: {}", said(&output));
        let after = contents(&installation.data());
        let names: Vec<_> = after.iter().map(|(path, _)| path).collect();
        assert!(before == after, "{what}: {names:?}");
    }
    check(&restore(&installation, &path.with_file_name("none"), &["--overwrite"]), 66, &["none"]);
    check(&restore(&installation, &path, &["--overwrite"]), 0, &["Restored"]);
}

#[test]
fn a_check_of_a_backup_says_whether_it_is_damaged_or_of_another_key() {
    let installation = Installation::new();
    let path = installation.folder("backups").join("one");
    backup(&installation, &path);
    let verify = |path: &Path| installation.run(&["backup", "--verify", path.to_str().unwrap()]);
    check(&verify(&path), 0, &["is good"]);
    check(&verify(&path.with_file_name("none")), 66, &["There is no", "none"]);
    let nowhere = path.with_file_name("nowhere").join("one");
    check(&installation.run(&["backup", nowhere.to_str().unwrap()]), 66, &["nowhere", "make it"]);
    let damaged = path.with_file_name("damaged");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&damaged, &whole[..whole.len() - 1000]).unwrap();
    check(&verify(&damaged), 1, &["is damaged"]);
    check(&restore(&installation, &damaged, &["--overwrite"]), 1, &["is damaged"]);
    // A good one from before a rotation is not called damaged.
    installation.run(&["key", "rotate", "backup"]);
    let output = verify(&path);
    assert!([0, 2].contains(&output.status.code().unwrap()), "{}", said(&output));
    check(&restore(&installation, &path, &["--overwrite"]), 0, &["Restored"]);
    check(&verify(&path), 2, &["restore into another folder"]);
}

#[test]
fn scheduled_backups_are_made_and_the_oldest_go() {
    let mut installation = Installation::bare();
    let folder = installation.folder("backups");
    installation.set("BACKUP_DIRECTORY", folder.to_str().unwrap());
    installation.set("BACKUP_KEEP", "2");
    check(&installation.run(&["init"]), 0, &[]);
    for name in ["sekisho-1000.backup", "sekisho-2000.backup", "sekisho-3000.backup", "mine", "sekisho-x.backup"] {
        write(&folder.join(name), "old");
    }
    let server = installation.serve();
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| text(entry.unwrap().file_name().as_encoded_bytes()))
            .collect();
        names.sort();
        names
    };
    // Half a minute after the start, so that a server that is restarted often still comes to it.
    let left = until("a backup was made and the oldest went", || {
        Some(names()).filter(|left| !left.contains(&"sekisho-2000.backup".into()))
    });
    let made = left.iter().find(|name| name.len() == "sekisho-1700000000000.backup".len()).unwrap();
    assert_eq!(left, ["mine", made, "sekisho-3000.backup", "sekisho-x.backup"]);
    assert_eq!(server.terminate(), Some(0));
    check(&restore(&installation, &folder.join(made), &["--overwrite"]), 0, &["Restored"]);
    installation.verify();
}

/// It wrote an entry and raised an alert every ten minutes, a hundred and forty-four a day.
#[test]
fn a_scheduled_backup_that_fails_is_told_once_a_day_and_when_it_works_again() {
    const ROUND: Duration = Duration::from_mins(10);
    let mut installation = Installation::new();
    let folder = installation.folder("backups");
    let away = folder.with_file_name("away");
    installation.set("BACKUP_DIRECTORY", folder.to_str().unwrap());
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    let told = || {
        let entries = installation.entries();
        let of = |operation: &str, outcome: &str| {
            entries.iter().filter(|entry| entry["operation"] == operation && entry["outcome"] == outcome).count()
        };
        (of("backup.scheduled", "failed"), of("backup.scheduled", "done"), of("backup.resumed", "done"))
    };
    let rounds = |count: u32| {
        for _ in 0..count {
            clock.advance(ROUND);
            timed.keep_house();
        }
        told()
    };
    assert_eq!(rounds(1), (0, 1, 0));
    std::fs::rename(&folder, &away).unwrap();
    assert_eq!(rounds(5), (1, 1, 0), "once when it begins");
    until("there is one alert", || {
        let listed = installation.json(&["alert", "list"]);
        let count =
            listed["alerts"].as_array().unwrap().iter().filter(|alert| alert["event"] == "backup_failed").count();
        (count == 1).then_some(())
    });
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(rounds(2), (1, 1, 1), "it works again, and none is due");
    std::fs::rename(&folder, &away).unwrap();
    assert_eq!(rounds(143), (2, 1, 1));
    assert_eq!(rounds(10), (3, 1, 1), "it still fails after a day");
    write(&folder, "no folder");
    assert_eq!(rounds(3), (4, 1, 1), "another reason is told at once");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(rounds(2), (4, 2, 1), "it was due");
    let entries = installation.entries();
    let last = entries.iter().rfind(|entry| entry["operation"] == "backup.scheduled").unwrap();
    assert!(last["reason"].as_str().unwrap().contains("work again: they had failed since 20"), "{last}");
    timed.stop();
    installation.verify();
}

fn begin(installation: &Installation, arguments: &[&str]) -> Child {
    let mut command = installation.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// 20 with `tests/run --soak`.
fn rounds() -> u32 {
    if is_soak() { 20 } else { 3 }
}

#[test]
fn backups_and_restores_killed_at_any_moment_leave_an_installation_that_works() {
    let installation = Installation::new();
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    keep_credential(&installation, "door");
    let folder = installation.folder("backups");
    let first = folder.join("first");
    let server = installation.serve();
    let backing_up = time_of(|| drop(backup(&installation, &first)));
    assert_eq!(server.terminate(), Some(0));
    let elsewhere = copied(&installation);
    let restoring = time_of(|| check(&restore(&elsewhere, &first, &["--overwrite"]), 0, &["Restored"]));
    let names = rows(&database(&installation), "credentials");
    for round in 0..rounds() {
        let server = installation.serve();
        let path = folder.join(format!("round-{round}"));
        let mut child = begin(&installation, &["backup", path.to_str().unwrap()]);
        let (begun, patience) = (Instant::now(), moment(round, backing_up));
        while begun.elapsed() < patience {
            call_often(&server, 1);
        }
        server.kill();
        child.wait().unwrap();
        // A backup that has its name is whole.
        let newest = if path.exists() { &path } else { &first };
        let elsewhere = copied(&installation);
        let mut child = begin(&elsewhere, &["restore", newest.to_str().unwrap(), "--overwrite"]);
        std::thread::sleep(moment(round, restoring));
        // It may be done already.
        child.kill().ok();
        child.wait().unwrap();
        elsewhere.verify();
        assert_eq!(value(&elsewhere, "door"), VALUE);
        let found = elsewhere.json(&["search", "zebra", "--library", "demo"]);
        assert_eq!(found["hits"].as_array().unwrap().len(), 1, "round {round}: {found}");
        check(&restore(&elsewhere, newest, &["--overwrite"]), 0, &["Restored"]);
        elsewhere.verify();
        assert_eq!(value(&elsewhere, "door"), VALUE);
        installation.verify();
    }
    assert!(rows(&database(&installation), "credentials").keys().eq(names.keys()));
}
