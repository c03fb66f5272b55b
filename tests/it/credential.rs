//! Credentials: kept and listed, never shown, sealed anew when keys rotate, and at home in one place only.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Installation, Server, text, write};
use crate::strongroom::{
    change, check, copied, database, files_below, get, opened, recovery_in, rows, said, tell, told, until,
};

/// Found nowhere, whatever is done with it.
const MARK: &str = "kumquat-9f2c-value-that-is-nowhere";

fn set(installation: &Installation, name: &str, value: &str) -> Output {
    told(installation, &["credential", "set", name], &format!("{value}\n"))
}

fn value(installation: &Installation, name: &str) -> Result<String, String> {
    let secret = std::fs::read_to_string(installation.data().join("vault-key")).unwrap();
    let (store, open) = opened(&database(installation), &secret);
    let name = sekisho::vault::credential::CredentialName::parse(name).unwrap();
    let value = store.read(|snapshot| sekisho::vault::credential::value(&open, snapshot, &name));
    store.close().unwrap();
    value.map(|value| text(value.expose_secret())).map_err(|error| error.to_string())
}

#[test]
fn credentials_are_kept_listed_replaced_and_removed() {
    let installation = Installation::new();
    let server = installation.serve();
    check(&installation.run(&["credential", "list"]), 0, &["No credentials are kept"]);
    check(
        &told(&installation, &["credential", "set", "door", "--note", "to the garden"], MARK),
        0,
        &["version 1 is kept"],
    );
    check(&set(&installation, "door", "another"), 0, &["version 2 is kept"]);
    check(&set(&installation, "bad name", MARK), 64, &["letters, digits"]);
    check(&set(&installation, "door", ""), 64, &["found nothing"]);
    let listed = installation.json(&["credential", "list"]);
    assert_eq!((listed["items"][0]["name"].as_str(), listed["items"][0]["version"].as_u64()), (Some("door"), Some(2)));
    let shown = installation.json(&["credential", "show", "door"]);
    assert_eq!(shown["version"], 2);
    let history = installation.json(&["credential", "history", "door"]);
    let versions = history["versions"].as_array().unwrap();
    assert_eq!((versions.len(), versions[0]["note"].as_str()), (1, Some("to the garden")), "{history}");
    check(&installation.run(&["credential", "history", "door"]), 0, &["version 1", "kept"]);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(value(&installation, "door").unwrap(), "another");

    let server = installation.serve();
    check(&installation.run(&["credential", "remove", "door"]), 0, &["its values are destroyed"]);
    check(&installation.run(&["credential", "show", "door"]), 66, &["no credential door"]);
    check(&installation.run(&["credential", "remove", "door"]), 66, &["no credential door"]);
    check(&installation.run(&["credential", "history", "door"]), 0, &["version 1", "version 2", "destroyed"]);
    check(&set(&installation, "door", "third"), 0, &["version 3 is kept"]);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn plaintext_secrets_are_imported_so_that_they_can_be_retired() {
    let installation = Installation::new();
    let server = installation.serve();
    let file = installation.folder("plain").join("app.env");
    write(&file, "# comment\nexport ONE=first\nTWO=\"second \\\"quoted\\\"\"\nTHREE='third # no comment'\n\n");
    let import = ["credential", "import", file.to_str().unwrap()];
    check(&installation.run(&import), 0, &["ONE", "TWO", "THREE", "In the vault: 3", "Delete them from"]);
    check(&installation.run(&import), 73, &["there are credentials ONE, TWO, THREE already", "--replace"]);
    check(&installation.run(&[&import[..], &["--replace"]].concat()), 0, &["In the vault: 3"]);
    let from_env = ["credential", "import", "--from-env", "KUMQUAT", "--from-env", "MEDLAR"];
    let output = tell(installation.command(&from_env).env("KUMQUAT", MARK).env("MEDLAR", "fifth"), "");
    check(&output, 0, &["KUMQUAT", "MEDLAR", "In the vault: 2"]);
    check(&installation.run(&["credential", "import", "--from-env", "QUINCE"]), 66, &["no variable QUINCE"]);
    write(&file, "A=1\nthis is no line\n");
    let output = installation.run(&import);
    check(&output, 64, &["line 2"]);
    assert!(!said(&output).contains("this is no line"), "{}", said(&output));
    check(&installation.run(&["credential", "import", "/nowhere/at/all.env"]), 66, &["/nowhere/at/all.env"]);
    assert_eq!(server.terminate(), Some(0));
    for (name, expect) in [
        ("ONE", "first"),
        ("TWO", "second \"quoted\""),
        ("THREE", "third # no comment"),
        ("KUMQUAT", MARK),
        ("MEDLAR", "fifth"),
    ] {
        assert_eq!(value(&installation, name).unwrap(), expect);
    }
}

fn assert_absent(what: &str, bytes: &[u8]) {
    for mark in [MARK.as_bytes(), &MARK.as_bytes()[..16]] {
        assert!(!bytes.windows(mark.len()).any(|window| window == mark), "the value is in {what}");
    }
}

#[test]
fn a_value_is_in_no_output_log_entry_database_index_backup_or_bundle() {
    let mut installation = Installation::bare();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.set("AUDIT_LEVEL", "all");
    installation.set("LOG_LEVEL", "debug");
    let recovery = recovery_in(&installation.run(&["--json", "init"]));
    let server = installation.serve();
    let backups = installation.folder("backups");
    let (backup, bundle) = (backups.join("backup"), backups.join("bundle.tar"));
    let env = installation.folder("elsewhere").join("app.env");
    write(&env, &format!("IMPORTED={MARK}\nOTHER={MARK}2\n"));
    let tool = server.call("search_documents", serde_json::json!({"query": "vault"}));
    let commands: [(&[&str], &str); 13] = [
        (&["credential", "set", "door"], MARK),
        (&["credential", "set", "door"], MARK),
        (&["credential", "set", "bad name"], MARK),
        (&["credential", "import", env.to_str().unwrap()], ""),
        (&["credential", "import", env.to_str().unwrap()], ""),
        (&["credential", "list"], ""),
        (&["--json", "credential", "show", "door"], ""),
        (&["--json", "credential", "history", "door"], ""),
        (&["--json", "audit", "tail", "-n", "1000"], ""),
        (&["key", "rotate"], ""),
        (&["backup", backup.to_str().unwrap()], ""),
        (&["audit", "export", bundle.to_str().unwrap(), "--personal"], ""),
        (&["--json", "doctor"], ""),
    ];
    for (command, input) in commands {
        let output = told(&installation, command, input);
        assert_absent(&format!("{command:?}"), &[output.stdout, output.stderr].concat());
    }
    assert_absent("a tool's answer", tool.to_string().as_bytes());
    until("values are sealed anew", || (key_versions(&installation).len() == 1).then_some(()));
    check(&installation.run(&["credential", "remove", "OTHER"]), 0, &[]);
    assert_eq!(server.terminate(), Some(0));
    let command = installation.run(&["credential", "list"]);
    assert_absent("a command that works by itself", said(&command).as_bytes());
    check(&tell(installation.command(&["credential", "set", "alone"]).env("RUST_LOG", "trace"), MARK), 0, &[]);
    let files: Vec<_> = [installation.data(), backups].iter().flat_map(|folder| files_below(folder)).collect();
    for wanted in ["sekisho.redb", "backup", "bundle.tar", "checkpoints.log", "meta.json"] {
        assert!(files.iter().any(|path| path.ends_with(wanted)), "{wanted} is not among {files:?}");
    }
    assert!(files.iter().any(|path| path.to_string_lossy().contains("logs/sekisho")), "{files:?}");
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        assert_absent(&path.display().to_string(), &bytes);
        assert!(!bytes.windows(recovery.len()).any(|window| window == recovery.as_bytes()), "{}", path.display());
    }
    assert_eq!(value(&installation, "door").unwrap(), MARK, "it is there all the same");
    assert_eq!(value(&installation, "IMPORTED").unwrap(), MARK);
}

fn key_versions(installation: &Installation) -> Vec<u64> {
    let status = installation.json(&["key", "status"]);
    let keys = status["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "credentials");
    keys.map(|key| key["version"].as_u64().unwrap()).collect()
}

#[test]
fn a_rotation_seals_every_value_anew_and_destroys_the_old_key() {
    let installation = Installation::new();
    let server = installation.serve();
    for number in 0..5 {
        check(&set(&installation, &format!("name-{number}"), &format!("value {number}")), 0, &[]);
    }
    check(&set(&installation, "name-0", "value anew"), 0, &["version 2"]);
    assert_eq!(key_versions(&installation), [1]);
    check(&installation.run(&["key", "rotate", "nonsense"]), 64, &["credentials", "signing"]);
    check(&installation.run(&["key", "rotate", "credentials"]), 0, &["New keys for credentials"]);
    until("the old key is gone", || (key_versions(&installation) == [2]).then_some(()));
    let entry = installation.entries().into_iter().find(|entry| entry["operation"] == "key.reseal").unwrap();
    assert!(entry["reason"].as_str().unwrap().contains("1 old keys destroyed"), "{entry}");
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(value(&installation, "name-0").unwrap(), "value anew");
    for number in 1..5 {
        assert_eq!(value(&installation, &format!("name-{number}")).unwrap(), format!("value {number}"));
    }
    installation.verify();
}

type Move = fn(&Path, &Path);

/// What is opened today is opened to be sealed anew: a rotation says which credential does not open, keeps the key that
/// sealed it, and the value itself is refused to whoever asks.
#[test]
fn a_ciphertext_in_another_row_table_or_file_does_not_open() {
    let original = Installation::new();
    let server = original.serve();
    check(&set(&original, "one", "value one"), 0, &[]);
    check(&set(&original, "one", "value one anew"), 0, &[]);
    check(&set(&original, "two", "value two"), 0, &[]);
    assert_eq!(server.terminate(), Some(0));
    let foreign = Installation::new();
    check(&set(&foreign, "one", "value of others"), 0, &[]);

    let cases: [(&str, Move); 4] = [
        ("another row", |file, _| move_sealed(file, ("credentials", b"two"), "credentials")),
        ("another table", |file, _| move_sealed(file, ("credential_history", b"one\0\0\0\0\x01"), "credentials")),
        ("another file", |file, foreign| {
            let stranger = rows(foreign, "credentials")[&b"one"[..]].clone();
            change(file, "credentials", |table| drop(table.insert(&b"one"[..], stranger.as_slice()).unwrap()));
        }),
        ("a changed one", |file, _| {
            change(file, "credentials", |table| {
                let mut record = get(table, b"one");
                *record.last_mut().unwrap() ^= 1;
                table.insert(&b"one"[..], record.as_slice()).unwrap();
            });
        }),
    ];
    for (what, displace) in cases {
        let installation = copied(&original);
        displace(&database(&installation), &database(&foreign));
        let error = value(&installation, "one").unwrap_err();
        assert!(error.contains("does not open with version 1 of the key for credentials"), "{what}: {error}");
        let server = installation.serve();
        assert_rotation_stops_at(&installation, "one", what);
        // The way out that it names: set it anew.
        check(&installation.run(&["credential", "remove", "one"]), 0, &[]);
        check(&set(&installation, "one", "mended"), 0, &[]);
        check(&installation.run(&["key", "rotate", "credentials"]), 0, &[]);
        until("all is sealed anew", || (key_versions(&installation) == [3]).then_some(()));
        stop(server);
        assert_eq!(value(&installation, "one").unwrap(), "mended");
        assert_eq!(value(&installation, "two").unwrap(), "value two");
    }
}

/// The sealed value of a row, put into the record of "one".
fn move_sealed(file: &Path, from: (&str, &[u8]), into: &str) {
    use sekisho::store::codec;
    use sekisho::vault::credential::{CredentialRecord, HistoryRecord};
    let bytes = rows(file, from.0)[from.1].clone();
    let sealed = match from.0 {
        "credentials" => codec::decode::<CredentialRecord>(&bytes).unwrap().sealed,
        _ => codec::decode::<HistoryRecord>(&bytes).unwrap().sealed.unwrap(),
    };
    change(file, into, |table| {
        let record: CredentialRecord = codec::decode(&get(table, b"one")).unwrap();
        let moved = codec::encode(&CredentialRecord { sealed, ..record }).unwrap();
        table.insert(&b"one"[..], moved.as_slice()).unwrap();
    });
}

fn assert_rotation_stops_at(installation: &Installation, name: &str, what: &str) {
    check(&installation.run(&["key", "rotate", "credentials"]), 0, &[]);
    let entry = until("the failure is in the log", || {
        installation.entries().into_iter().find(|entry| entry["operation"] == "key.reseal")
    });
    assert_eq!(entry["outcome"], "failed", "{what}: {entry}");
    let reason = entry["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("credential {name} could not be sealed anew")), "{what}: {reason}");
    let versions = key_versions(installation);
    assert_eq!(versions.len(), 2, "{what}: the key that sealed it is kept: {versions:?}");
    let logs = files_below(&installation.data().join("logs"));
    let logged = || logs.iter().any(|path| text(&std::fs::read(path).unwrap()).contains("sealing anew stopped"));
    until("it is in the program's log", || logged().then_some(()));
}

fn stop(server: Server) {
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_listing_names_no_sealed_bytes() {
    let installation = Installation::new();
    check(&set(&installation, "door", MARK), 0, &[]);
    let item: Value = installation.json(&["credential", "show", "door"]);
    let keys: Vec<&String> = item.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["name", "version", "note", "source", "classification", "created", "updated"]);
}

#[test]
fn a_credential_is_as_confidential_as_said_and_policies_decide_by_it() {
    let installation = Installation::new();
    let server = installation.serve();
    check(
        &told(&installation, &["credential", "add", "door", "--classification", "confidential"], MARK),
        0,
        &["version 1"],
    );
    check(&set(&installation, "gate", MARK), 0, &["version 1"]);
    let level = |name: &str| installation.json(&["credential", "show", name])["classification"].clone();
    assert_eq!((level("door"), level("gate")), ("confidential".into(), "internal".into()));
    check(&installation.run(&["credential", "list"]), 0, &["confidential", "internal"]);
    check(&set(&installation, "door", "another"), 0, &["version 2"]);
    assert_eq!(level("door"), "confidential", "a new value is as confidential");
    check(&installation.run(&["credential", "classify", "gate", "restricted"]), 0, &["restricted; it was internal"]);
    check(&installation.run(&["credential", "classify", "gate", "cosmic"]), 64, &["restricted"]);
    check(&installation.run(&["credential", "classify", "none", "public"]), 66, &["no credential none"]);
    let entries = installation.entries();
    let touched = |operation: &str, level: &str| {
        let of = |entry: &&serde_json::Value| {
            entry["operation"] == operation
                && entry["outcome"] == "done"
                && entry["reason"].as_str().is_some_and(|reason| reason.contains(&format!("classification {level}")))
        };
        entries.iter().find(of).is_some()
    };
    assert!(touched("credential.set", "confidential") && touched("credential.classify", "restricted"), "{entries:?}");

    // A policy hides what is restricted, also from whoever may do everything else.
    let policies = installation.data().join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    let rule =
        "forbid(principal, action, resource is Sekisho::Credential)\nwhen { resource.classification_rank >= 3 };\n";
    std::fs::write(policies.join("a.cedar"), rule).unwrap();
    installation.json(&["policy", "reload"]);
    check(&installation.run(&["credential", "show", "gate"]), 66, &["no credential gate"]);
    check(&installation.run(&["credential", "remove", "gate"]), 66, &["no credential gate"]);
    assert!(!set(&installation, "gate", "stolen").status.success());
    let listed = installation.json(&["credential", "list"])["items"].clone();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["name"]), (1, &"door".into()));
    check(&installation.run(&["credential", "classify", "door", "restricted"]), 77, &[]);
    let explained = installation.run(&["policy", "explain", "role:admin", "credential.show", "credential:gate"]);
    check(&explained, 1, &["restricted"]);
    assert_eq!(server.terminate(), Some(0));
}
