//! What left the file vouches for it: checkpoints and keys kept elsewhere find what agrees with itself.

use std::path::Path;

use sekisho::audit::checkpoint::Checkpoint;
use sekisho::audit::tree::Frontier;
use serde_json::Value;

use crate::harness::Installation;
use crate::strongroom::{call_often, change, check, copied, database, rows, said};
use crate::tamper::{
    CHECKPOINTS, Case, ENTRIES, FRONTIER, KEYS, META, check_each, edit, flip, forget_checkpoints_from, key, long_log,
    put, refit, stranger,
};

#[test]
fn a_rewritten_log_that_agrees_with_itself_is_found_by_what_was_signed() {
    let original = long_log();
    let rewrite = |file: &Path| {
        edit(file, ENTRIES, &key(290), |leaf| flip(leaf, 20));
        refit(file);
    };
    let cut = |file: &Path| {
        change(file, ENTRIES, |table| table.retain(|key, _| key < 280_u64.to_be_bytes().as_slice()).unwrap());
        refit(file);
    };
    let cases: &[Case] = &[
        ("rewritten", rewrite, 1, &["as signed", "the change lies in entries"]),
        (
            "rewritten without checkpoints",
            |file| {
                edit(file, ENTRIES, &key(290), |leaf| flip(leaf, 20));
                refit(file);
                forget_checkpoints_from(file, 0);
            },
            1,
            &["as signed"],
        ),
        ("cut", cut, 1, &["at least", "as signed", "or was cut"]),
        (
            "cut with its checkpoints",
            |file| {
                change(file, ENTRIES, |table| table.retain(|key, _| key < 280_u64.to_be_bytes().as_slice()).unwrap());
                refit(file);
                forget_checkpoints_from(file, 281);
            },
            1,
            &["as signed", "or was cut"],
        ),
        (
            "signed by a stranger",
            |file| {
                edit(file, ENTRIES, &key(290), |leaf| flip(leaf, 20));
                refit(file);
                sign_as_stranger(file);
            },
            2,
            &["none of the exported checkpoints is signed by a key of this log"],
        ),
    ];
    check_each(&original, cases);

    // The keys and checkpoints that somebody has from before find what the file's own keys would hide.
    let vkey = String::from_utf8(rows(&database(&original), META)[KEYS].clone()).unwrap();
    let installation = copied(&original);
    let file = database(&installation);
    rewrite(&file);
    sign_as_stranger(&file);
    let checkpoints = installation.data().join("checkpoints.log");
    let (file, checkpoints) = (file.to_str().unwrap(), checkpoints.to_str().unwrap());
    let verify = |rest: &[&str]| installation.run(&[&["audit", "verify", file], rest].concat());
    check(&verify(&[]), 0, &["sound"]);
    check(&verify(&["--vkey", vkey.trim()]), 2, &["no checkpoint by the key"]);
    check(&verify(&["--vkey", vkey.trim(), "--checkpoint", checkpoints]), 1, &["as signed"]);
}

/// Names a stranger's key as the log's own, and has it sign the log as it is.
fn sign_as_stranger(file: &Path) {
    let signer = stranger(file);
    let frontier = Frontier::from_bytes(&rows(file, META)[FRONTIER]).unwrap();
    let checkpoint = Checkpoint::new(signer.verifying_key().name(), frontier.size(), frontier.root()).unwrap();
    let note = checkpoint.sign(&signer).unwrap();
    forget_checkpoints_from(file, 0);
    change(file, CHECKPOINTS, |table| put(table, &key(frontier.size()), note.as_bytes()));
    let line = format!("{}\n", signer.verifying_key());
    change(file, META, |table| put(table, KEYS, line.as_bytes()));
}

#[test]
fn the_offline_check_names_what_is_missing_and_what_is_wrong() {
    let installation = long_log();
    let foreign = Installation::new();
    foreign.json(&["library", "list"]);
    let vkey = |installation: &Installation| {
        let checkpoint: Value = installation.json(&["audit", "checkpoint"]);
        checkpoint["verifying_keys"][0].as_str().unwrap().to_owned()
    };
    let (own, other) = (vkey(&installation), vkey(&foreign));
    // Far from any data directory.
    let away = installation.folder("away");
    let (file, exported) = (away.join("copy"), away.join("exported"));
    std::fs::copy(database(&installation), &file).unwrap();
    std::fs::copy(installation.data().join("checkpoints.log"), &exported).unwrap();
    let nowhere = Installation::bare();
    let verify = |rest: &[&str]| nowhere.run(&[&["--json", "audit", "verify", file.to_str().unwrap()], rest].concat());
    let exported = exported.to_str().unwrap();
    let sound = verify(&["--vkey", &own, "--checkpoint", exported]);
    check(&sound, 0, &["\"verdict\":\"sound\""]);
    let sound: Value = serde_json::from_slice(&sound.stdout).unwrap();
    assert_eq!(sound["entries"], sound["signed_entries"], "the checkpoint command signed all");
    let theirs = foreign.data().join("checkpoints.log");
    let missing = away.join("missing");
    let cases: [(&[&str], i32, &str); 6] = [
        (&[], 0, "sound"),
        (&["--vkey", &other], 2, "no checkpoint by the key"),
        (&["--vkey", "nonsense"], 2, "key"),
        (&["--checkpoint", missing.to_str().unwrap()], 2, "missing"),
        (&["--checkpoint", theirs.to_str().unwrap()], 2, "none of the exported checkpoints"),
        (&["--vkey", &own, "--vkey", &other], 0, "sound"),
    ];
    for (arguments, code, word) in cases {
        check(&verify(arguments), code, &[word]);
    }
    check(&nowhere.run(&["audit", "verify", missing.to_str().unwrap()]), 2, &["missing"]);
    check(&nowhere.run(&["audit", "verify"]), 2, &["sekisho init"]);
    // A running server is asked, and needs the same keys.
    let server = installation.serve();
    check(&installation.run(&["audit", "verify", "--vkey", &own, "--checkpoint", exported]), 0, &["sound"]);
    check(&installation.run(&["audit", "verify", "--vkey", &other]), 2, &["incomplete"]);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn an_older_file_in_the_place_of_the_newer_one_raises_the_alarm() {
    let installation = Installation::new();
    installation.json(&["library", "list"]);
    let older = std::fs::read(database(&installation)).unwrap();
    let server = installation.serve();
    call_often(&server, 20);
    assert_eq!(server.terminate(), Some(0));
    std::fs::write(database(&installation), older).unwrap();

    check(&installation.run(&["audit", "verify"]), 1, &["older than the checkpoint, or was cut"]);
    let server = installation.serve();
    let status = doctor(&installation);
    let alarm = status["status"]["alarm"].as_str().unwrap();
    assert!(alarm.contains("the database is older than it should be"), "{alarm}");
    assert!(status["findings"].as_array().unwrap().iter().any(|it| it["good"] == false && it["what"] == alarm));
    let entry = installation.entries().into_iter().find(|entry| entry["operation"] == "audit.alarm").unwrap();
    assert_eq!((&entry["outcome"], entry["reason"].as_str()), (&Value::from("failed"), Some(alarm)));
    check(&installation.run(&["audit", "verify"]), 1, &["tampered with"]);
    assert_eq!(server.terminate(), Some(0));
    check(&installation.run(&["audit", "verify"]), 1, &["tampered with"]);
}

fn doctor(installation: &Installation) -> Value {
    let output = installation.run(&["--json", "doctor"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_log_under_other_keys_than_those_that_signed_outside_raises_the_alarm() {
    let original = Installation::new();
    original.json(&["library", "list"]);
    let rewritten = |file: &Path| {
        edit(file, ENTRIES, &key(1), |leaf| flip(leaf, 20));
        refit(file);
        forget_checkpoints_from(file, 0);
    };
    for (tamper, words) in
        [(sign_as_stranger as fn(&Path), "is signed by a key that the database names"), (rewritten, "it was rewritten")]
    {
        let installation = copied(&original);
        tamper(&database(&installation));
        let alarm = doctor(&installation)["status"]["alarm"].as_str().unwrap_or_default().to_owned();
        assert!(alarm.contains(words), "{alarm}");
    }
    assert!(original.json(&["doctor"])["status"]["alarm"].is_null());
}
