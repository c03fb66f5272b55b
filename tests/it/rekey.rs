//! New keys: killed at any moment every credential still opens, and what the old keys were opens nothing new.

use std::process::{Child, Stdio};

use sekisho::store::Snapshot;
use sekisho::vault::credential;
use sekisho::vault::{Open, VaultError};
use serde_json::Value;

use crate::harness::{Installation, is_soak, text, write};
use crate::strongroom::{check, database, moment, opened, recovery_in, said, time_of, told, until};

const CREDENTIALS: usize = 60;

/// 50 with `tests/run --soak`.
fn rounds() -> u32 {
    if is_soak() { 50 } else { 5 }
}

/// With credentials, some of which have older versions, and an entry or two; and its recovery key.
fn with_credentials() -> (Installation, String) {
    let installation = Installation::bare();
    let recovery = recovery_in(&installation.run(&["--json", "init"]));
    let file = installation.folder("import").join("file.env");
    let lines = |generation: &str, count: usize| -> String {
        (0..count).map(|number| format!("NAME_{number}={}\n", value(number, generation))).collect()
    };
    write(&file, &lines("old", 10));
    check(&installation.run(&["credential", "import", file.to_str().unwrap()]), 0, &["In the vault: 10"]);
    write(&file, &lines("new", CREDENTIALS));
    check(&installation.run(&["credential", "import", file.to_str().unwrap(), "--replace"]), 0, &[]);
    (installation, recovery)
}

fn value(number: usize, generation: &str) -> String {
    format!("{generation}-value-of-{number}-{}", "x".repeat(number % 7 * 100))
}

fn key_secret(installation: &Installation) -> String {
    std::fs::read_to_string(installation.data().join("vault-key")).unwrap()
}

/// Opens every credential with the key file's secret, and looks at each older version.
fn assert_all_open(installation: &Installation) {
    let (store, open) = opened(&database(installation), &key_secret(installation));
    store
        .read(|snapshot| {
            for number in 0..CREDENTIALS {
                let name = credential::CredentialName::parse(&format!("NAME_{number}")).unwrap();
                let opened = credential::value(&open, snapshot, &name).unwrap();
                assert_eq!(text(opened.expose_secret()), value(number, "new"));
                let history = credential::history(snapshot, &name).unwrap();
                assert_eq!(history.len(), usize::from(number < 10), "{name:?}");
            }
            assert_history_opens(&open, snapshot);
            Ok::<_, VaultError>(())
        })
        .unwrap();
    store.close().unwrap();
}

/// An older version is sealed anew as the present one is: to do that is to open it.
fn assert_history_opens(open: &Open, snapshot: &Snapshot) {
    let renewed =
        open.rotate(&[sekisho::vault::purpose::Purpose::Credentials], sekisho::base::clock::Timestamp(1)).unwrap().next;
    let pair = sekisho::vault::reseal::Pair { from: open, to: &renewed };
    let (mut after, mut resealed) = (None, 0);
    loop {
        let page = sekisho::vault::reseal::reseal_page(pair, snapshot, after.as_ref(), 256).unwrap();
        let sealed = [sekisho::store::table::Table::Credentials, sekisho::store::table::Table::CredentialHistory];
        resealed += page.rows.iter().filter(|row| sealed.contains(&row.table)).count();
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(resealed, CREDENTIALS + 10);
}

fn begin(installation: &Installation, arguments: &[&str]) -> Child {
    let mut command = installation.command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn kill(mut child: Child) {
    // It may be done already.
    child.kill().ok();
    child.wait().unwrap();
}

/// The versions of the keys for a purpose.
fn versions(status: &Value, purpose: &str) -> Vec<u64> {
    let keys = status["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == purpose);
    keys.map(|key| key["version"].as_u64().unwrap()).collect()
}

/// Until the keys of before are destroyed, which they are when nothing needs them any more.
fn until_sealed_anew(installation: &Installation) -> Value {
    until("old keys are gone", || {
        let status = installation.json(&["key", "status"]);
        let gone = ["credentials", "audit-personal"].iter().all(|purpose| versions(&status, purpose).len() == 1);
        gone.then_some(status)
    })
}

#[test]
fn a_rotation_killed_at_any_moment_loses_no_credential_and_goes_on_later() {
    let (installation, _) = with_credentials();
    let server = installation.serve();
    let span = time_of(|| {
        check(&installation.run(&["key", "rotate"]), 0, &["sealed again in the background"]);
        until_sealed_anew(&installation);
    });
    assert_eq!(server.terminate(), Some(0));
    for round in 0..rounds() {
        let server = installation.serve();
        let rotating = begin(&installation, &["key", "rotate"]);
        std::thread::sleep(moment(round, span));
        server.kill();
        kill(rotating);
        installation.verify();
        assert_all_open(&installation);
    }
    let server = installation.serve();
    check(&installation.run(&["key", "rotate"]), 0, &[]);
    check(&installation.run(&["key", "rotate", "pseudonyms", "signing"]), 0, &["the new verifying key"]);
    let status = until_sealed_anew(&installation);
    assert!(versions(&status, "credentials")[0] > 1, "{status}");
    assert!(versions(&status, "pseudonyms").len() > 1, "old entries need them: {status}");
    let entries = installation.entries();
    let resealed: Vec<&Value> = entries.iter().filter(|entry| entry["operation"] == "key.reseal").collect();
    assert!(resealed.iter().any(|entry| entry["outcome"] == "done"), "{resealed:?}");
    assert!(resealed.iter().all(|entry| entry["outcome"] != "failed"), "{resealed:?}");
    // What was sealed under keys that are gone since, is read: entries keep their names.
    let first = entries.iter().find(|entry| entry["operation"] == "credential.set").unwrap();
    assert!(first["principal"].as_str().unwrap().starts_with("local:"), "{first}");
    assert_eq!(server.terminate(), Some(0));
    assert_all_open(&installation);
    installation.verify();
}

#[test]
fn a_rekey_killed_at_any_moment_leaves_the_old_database_or_the_new_one_whole() {
    let (installation, _) = with_credentials();
    let span = time_of(|| check(&installation.run(&["key", "rekey", "--full"]), 0, &["written anew under new keys"]));
    for round in 0..rounds() {
        let rekeying = begin(&installation, &["key", "rekey", "--full"]);
        std::thread::sleep(moment(round, span));
        kill(rekeying);
        installation.verify();
        assert_all_open(&installation);
        let doctor = installation.json(&["doctor"]);
        assert_eq!(doctor["status"]["alarm"], Value::Null, "round {round}: {doctor}");
        assert_eq!(doctor["status"]["vault"]["standing"], "open", "{doctor}");
    }
    check(&installation.run(&["key", "rekey", "--full"]), 0, &["written anew under new keys"]);
    assert_all_open(&installation);
    let left: Vec<_> = crate::strongroom::files_below(&installation.data());
    assert!(!left.iter().any(|path| path.to_string_lossy().contains(".rekeying")), "{left:?}");
    installation.verify();
}

#[test]
fn after_a_rekey_nothing_of_the_old_keys_opens() {
    let (installation, recovery) = with_credentials();
    let server = installation.serve();
    check(&installation.run(&["key", "rekey", "--full"]), 75, &["process"]);
    assert_eq!(server.terminate(), Some(0));
    // What a thief has: the file of before, and the secret.
    let stolen = installation.folder("stolen").join("sekisho.redb");
    std::fs::copy(database(&installation), &stolen).unwrap();
    let (store, old) = opened(&stolen, &key_secret(&installation));
    store.close().unwrap();

    let output = installation.run(&["--json", "key", "rekey", "--full"]);
    check(&output, 0, &[]);
    let new_recovery = recovery_in(&output);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(result["resealed"].as_u64().unwrap() >= CREDENTIALS as u64 + 10, "{result}");

    let (store, _) = opened(&database(&installation), &key_secret(&installation));
    store
        .read(|snapshot| {
            for name in credential::list(snapshot).unwrap() {
                let name = credential::CredentialName::parse(&name.name).unwrap();
                assert!(credential::value(&old, snapshot, &name).is_err(), "the old keys open {name:?}");
            }
            Ok::<_, VaultError>(())
        })
        .unwrap();
    store.close().unwrap();
    assert_all_open(&installation);

    // Entries of before are read as before, and the log goes on from the old root.
    let key_file = installation.data().join("vault-key");
    std::fs::remove_file(&key_file).unwrap();
    let server = installation.serve();
    let wrong = told(&installation, &["vault", "unseal", "--recovery"], &recovery);
    check(&wrong, 77, &["not this vault's"]);
    until("the vault is open", || {
        let output = told(&installation, &["vault", "unseal", "--recovery"], &new_recovery);
        assert!(matches!(output.status.code(), Some(0 | 75)), "{}", said(&output));
        output.status.success().then_some(())
    });
    let entries = installation.entries();
    let set = entries.iter().find(|entry| entry["operation"] == "credential.set").unwrap();
    assert!(set["principal"].as_str().unwrap().starts_with("local:"), "{set}");
    assert!(entries.iter().any(|entry| entry["operation"] == "key.rekey"));
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}
