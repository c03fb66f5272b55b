//! Bundles: exported in every format, checked on another machine, and any change of them found.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Installation, Server, is_soak};
use crate::strongroom::{call_often, check, said};

const FORMATS: [&str; 4] = ["jsonl", "cef", "csv", "ecs"];

struct Exported {
    installation: Installation,
    server: Server,
    bundles: Vec<PathBuf>,
    vkey: String,
}

/// A log with more than a tile, exported in all formats; the first one discloses what is personal.
fn exported() -> Exported {
    let installation = Installation::new();
    let server = installation.serve();
    server.call("search_documents", json!({"query": 7}));
    call_often(&server, 270);
    let folder = installation.folder("bundles");
    let mut bundles = Vec::new();
    let mut vkey = String::new();
    for format in FORMATS {
        let path = folder.join(format!("{format}.tar"));
        let mut arguments = vec!["audit", "export", path.to_str().unwrap(), "--format", format];
        if format == "jsonl" {
            arguments.push("--personal");
        }
        let made = installation.json(&arguments);
        assert!(made["entries"].as_u64().unwrap() > 270, "{made}");
        assert_eq!(made["disclosed"].as_u64().unwrap() > 0, format == "jsonl", "{made}");
        made["verifying_keys"][0].as_str().unwrap().clone_into(&mut vkey);
        bundles.push(path);
    }
    Exported { installation, server, bundles, vkey }
}

/// Checks on a machine that has nothing but the bundle.
fn verify(bundle: &Path, rest: &[&str]) -> std::process::Output {
    Installation::bare().run(&[&["--json", "audit", "verify", bundle.to_str().unwrap()], rest].concat())
}

#[test]
fn a_bundle_of_every_format_proves_itself_elsewhere() {
    let Exported { installation, server, bundles, vkey } = exported();
    let outside = installation.data().join("checkpoints.log");
    for bundle in &bundles {
        let output = verify(bundle, &["--vkey", &vkey, "--checkpoint", outside.to_str().unwrap()]);
        check(&output, 0, &["\"verdict\":\"sound\"", "\"pinned\":true"]);
    }
    check(&verify(&bundles[0], &[]), 0, &["sound", "\"pinned\":false"]);
    let said = installation.run(&["audit", "export", bundles[0].to_str().unwrap()]);
    check(&said, 73, &["exists already"]);
    // A part of the log, from its middle.
    let part = installation.folder("bundles").join("part.tar");
    let made = installation.json(&["audit", "export", part.to_str().unwrap(), "--from", "1h", "--to", "2099-01-01"]);
    assert_eq!(made["first"], 0);
    check(&verify(&part, &["--vkey", &vkey]), 0, &["sound"]);
    let none = installation.folder("bundles").join("none.tar");
    check(&installation.run(&["audit", "export", none.to_str().unwrap(), "--to", "2001-01-01"]), 64, &["no entry"]);
    assert!(!none.exists());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_bundle_under_another_key_or_against_another_log_is_not_proved() {
    let Exported { installation: _kept, bundles, vkey, .. } = exported();
    let foreign = Installation::new();
    let checkpoint: Value = foreign.json(&["audit", "checkpoint"]);
    let other = checkpoint["verifying_keys"][0].as_str().unwrap();
    check(&verify(&bundles[0], &["--vkey", other]), 2, &["not signed by a key that was given"]);
    check(&verify(&bundles[0], &["--vkey", other, "--vkey", &vkey]), 0, &["sound"]);
    let theirs = foreign.data().join("checkpoints.log");
    check(&verify(&bundles[0], &["--checkpoint", theirs.to_str().unwrap()]), 2, &["incomplete"]);
}

#[test]
fn any_change_of_a_bundle_is_found_and_a_cut_one_is_incomplete() {
    let Exported { installation, bundles, vkey, .. } = exported();
    let scratch = installation.folder("bundles").join("changed.tar");
    let keys = [sekisho::crypto::sign::VerifyingKey::parse(&vkey).unwrap()];
    for bundle in &bundles {
        let whole = std::fs::read(bundle).unwrap();
        let mut changed = whole.clone();
        let middle = whole.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&scratch, &changed).unwrap();
        check(&verify(&scratch, &["--vkey", &vkey]), 1, &["\"verdict\":\"tampered\""]);
        for length in [whole.len() - 512, middle, 512, 100] {
            std::fs::write(&scratch, &whole[..length]).unwrap();
            let output = verify(&scratch, &["--vkey", &vkey]);
            assert_eq!(output.status.code(), Some(2), "cut to {length} bytes: {}", said(&output));
        }
        // Many more places, without a process each.
        let rounds: usize = if is_soak() { 400 } else { 12 };
        for round in 0..rounds {
            let at = round.wrapping_mul(2_654_435_761) % whole.len();
            changed.clone_from(&whole);
            changed[at] ^= 0x20;
            let verdict = sekisho::audit::bundle::verify(&mut changed.as_slice(), &keys, &[]).unwrap();
            let sound = matches!(verdict, sekisho::audit::bundle::Verdict::Sound(_));
            assert!(!sound, "{}: a bit of byte {at}: {verdict:?}", bundle.display());
        }
    }
}

#[test]
fn a_bundle_of_other_members_is_found() {
    let Exported { installation, bundles, vkey, .. } = exported();
    let first = std::fs::read(&bundles[0]).unwrap();
    let second = std::fs::read(&bundles[1]).unwrap();
    let scratch = installation.folder("bundles").join("mixed.tar");
    let cases: [(&str, Vec<u8>); 3] = [
        ("two archives one after the other", [first.as_slice(), second.as_slice()].concat()),
        ("bytes after the end", [first.as_slice(), b"more"].concat()),
        ("the head of one and the body of another", [&first[..first.len() / 2], &second[first.len() / 2..]].concat()),
    ];
    for (what, bytes) in cases {
        std::fs::write(&scratch, bytes).unwrap();
        let output = verify(&scratch, &["--vkey", &vkey]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", said(&output));
    }
}
