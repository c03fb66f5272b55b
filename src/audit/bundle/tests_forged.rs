//! Bundles as somebody who knows the format makes them: with digests and headers that fit, and still not sound.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{ORIGIN, Part, Sample, key, leaf, members, verdict};
use super::*;
use crate::archive::Writer;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::render::text::is_hostile;
use crate::audit::tests_samples::bare;
use crate::base::id::hex;
use crate::crypto::digest::sha256;
use crate::store::codec;

/// Somebody who knows the format: changes members, and makes all digests and headers fit again.
struct Forger {
    members: Vec<(String, Vec<u8>)>,
}

impl Forger {
    fn of(bundle: &[u8]) -> Self {
        Self { members: members(bundle) }
    }

    /// A log of 9 entries of which 2 to 6 are in the bundle.
    fn new() -> Self {
        Self::of(&sample().bundle(PART))
    }

    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.members.iter_mut().find(|(other, _)| other == name).unwrap().1
    }

    fn edit(mut self, name: &str, from: &str, to: &str) -> Self {
        let member = self.member(name);
        let text = String::from_utf8(member.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        *member = text.replacen(from, to, 1).into_bytes();
        self
    }

    fn lines(mut self, name: &str, edit: impl FnOnce(&mut Vec<String>)) -> Self {
        let member = self.member(name);
        let mut lines = String::from_utf8(member.clone()).unwrap().lines().map(|line| format!("{line}\n")).collect();
        edit(&mut lines);
        *member = lines.concat().into_bytes();
        self
    }

    fn manifest(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        let member = self.member(MANIFEST);
        let mut manifest = serde_json::from_slice(member).unwrap();
        edit(&mut manifest);
        *member = [serde_json::to_vec_pretty(&manifest).unwrap(), b"\n".to_vec()].concat();
        self
    }

    /// The archive, with the digests of what is in it now.
    fn bundle(self) -> Vec<u8> {
        let digests: Vec<_> =
            self.members.iter().map(|(name, content)| (name.clone(), hex(&sha256(&[content])))).collect();
        self.manifest(|manifest| {
            for file in manifest["files"].as_array_mut().unwrap() {
                if let Some((_, digest)) = digests.iter().find(|(name, _)| file["name"] == *name) {
                    file["sha256"] = json!(digest);
                }
            }
        })
        .with_its_digests()
    }

    fn with_its_digests(self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        for (name, content) in &self.members {
            writer.member(name, content.len() as u64, content.as_slice()).unwrap();
        }
        writer.end().unwrap();
        out
    }
}

/// A change of the manifest.
type Edit<'a> = &'a dyn Fn(&mut Value);

const PART: Part = Part { first: 2, count: 5, size: 9, format: Format::Jsonl, disclose: true };

fn sample() -> Sample {
    Sample::new(9)
}

/// Checks with the pinned key, and gives the entry that is named.
#[track_caller]
fn tampered(bundle: &[u8]) -> Option<u64> {
    match verdict(bundle, &sample().keys(), &[]) {
        Verdict::Tampered { sequence, expected, found } => {
            assert!(!expected.contains(is_hostile) && !found.contains(is_hostile), "{expected:?} {found:?}");
            sequence
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn incomplete(bundle: &[u8]) -> String {
    match verdict(bundle, &sample().keys(), &[]) {
        Verdict::Incomplete { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn is_sound(bundle: &[u8]) -> bool {
    matches!(verdict(bundle, &sample().keys(), &[]), Verdict::Sound(_))
}

fn line_of(sequence: u64, leaf: &[u8]) -> String {
    let mut line = Vec::new();
    super::leaf::write(sequence, leaf, &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn the_forger_who_changes_nothing_is_not_found() {
    let bundle = Forger::new().bundle();
    assert_eq!(bundle, sample().bundle(PART));
    assert!(is_sound(&bundle));
}

#[test]
fn a_changed_leaf_is_found_and_named() {
    let forged = Forger::new().lines(LEAVES, |lines| lines[1] = line_of(3, &leaf(5)));
    assert_eq!(tampered(&forged.bundle()), Some(3));
    // Together with the readable file nothing tells which it was; the root still does not fit.
    let readable =
        members(&Sample::of((0..9).map(|at| if at == 3 { leaf(5) } else { leaf(at) }).collect()).bundle(PART));
    let mut forged = Forger::new().lines(LEAVES, |lines| lines[1] = line_of(3, &leaf(5)));
    *forged.member("entries.jsonl") = readable[4].1.clone();
    assert_eq!(tampered(&forged.bundle()), None);
}

#[test]
fn leaves_left_out_added_or_moved_are_found() {
    let forge = |edit: fn(&mut Vec<String>)| tampered(&Forger::new().lines(LEAVES, edit).bundle());
    assert_eq!(forge(|lines| drop(lines.remove(1))), Some(3));
    assert_eq!(forge(|lines| drop(lines.pop())), Some(6));
    assert_eq!(forge(|lines| lines.push(line_of(7, &leaf(7)))), Some(7));
    assert_eq!(forge(|lines| lines.swap(1, 2)), Some(3));
    assert_eq!(forge(|lines| lines.insert(0, line_of(1, &leaf(1)))), Some(2));
    assert_eq!(forge(|lines| lines[0] = lines[0].to_uppercase()), Some(2));
    assert_eq!(forge(|lines| lines[0].insert(5, '\u{1b}')), Some(2));
    assert_eq!(forge(|lines| lines.truncate(0)), Some(2));
    let fewer =
        Forger::new().manifest(|manifest| manifest["count"] = json!(4)).lines(LEAVES, |lines| drop(lines.pop()));
    tampered(&fewer.lines("entries.jsonl", |lines| drop(lines.pop())).bundle());
}

#[test]
fn an_edited_readable_file_is_found_and_the_entry_named() {
    let forge = |edit: fn(&mut Vec<String>)| tampered(&Forger::new().lines("entries.jsonl", edit).bundle());
    assert_eq!(forge(|lines| lines[0] = lines[0].replace("refused", "done")), Some(2));
    assert_eq!(forge(|lines| lines[4] = lines[4].replace("document 6", "document 7")), Some(6));
    assert_eq!(forge(|lines| drop(lines.remove(2))), Some(4));
    assert_eq!(forge(|lines| drop(lines.pop())), Some(6));
    assert_eq!(forge(|lines| lines.push("{}\n".into())), None);
    let csv = Forger::of(&sample().bundle(Part { format: Format::Csv, ..PART }));
    assert_eq!(tampered(&csv.edit("entries.csv", "sequence,at", "sequence,AT").bundle()), None);
}

#[test]
fn in_a_long_bundle_the_range_of_the_change_is_named() {
    let leaves = (0..5000).map(|sequence| codec::encode(&Entry { duration_ms: sequence, ..bare() }).unwrap());
    let sample = Sample::of(leaves.collect());
    let bundle = sample.bundle(Part::new(0, 5000, 5000));
    assert!(matches!(verdict(&bundle, &sample.keys(), &[]), Verdict::Sound(_)));
    for changed in [0_u64, 1, 4096, 4999] {
        let from = format!("\"duration_ms\":{changed}}}");
        let forged = Forger::of(&bundle).edit("entries.jsonl", &from, "\"duration_ms\":66666}").bundle();
        let Verdict::Tampered { sequence: Some(sequence), found, .. } = verdict(&forged, &[], &[]) else { panic!() };
        assert!((sequence..sequence + 2).contains(&changed), "{changed}: {found}");
        assert!(found.contains(&format!("entries {sequence} to ")), "{found}");
    }
}

#[test]
fn every_claim_of_the_manifest_is_checked() {
    let forge = |edit: &dyn Fn(&mut Value)| verdict(&Forger::new().manifest(edit).bundle(), &sample().keys(), &[]);
    let wrong: [(&str, Edit<'_>); 21] = [
        ("origin", &|manifest| manifest["origin"] = json!("sekisho.local/other")),
        ("first", &|manifest| manifest["first"] = json!(1)),
        ("first and peaks", &|manifest| {
            manifest["first"] = json!(3);
            manifest["peaks"].as_array_mut().unwrap().push(json!("00".repeat(32)));
        }),
        ("count", &|manifest| manifest["count"] = json!(4)),
        ("no count", &|manifest| manifest["count"] = json!(0)),
        ("endless count", &|manifest| manifest["count"] = json!(u64::MAX)),
        ("size", &|manifest| manifest["size"] = json!(8)),
        ("peaks", &|manifest| manifest["peaks"][0] = json!("00".repeat(32))),
        ("no peaks", &|manifest| manifest["peaks"] = json!([])),
        ("proof", &|manifest| manifest["consistency"][0] = json!("00".repeat(32))),
        ("no proof", &|manifest| manifest["consistency"] = json!([])),
        ("long proof", &|manifest| manifest["consistency"].as_array_mut().unwrap().push(json!("00".repeat(32)))),
        ("no keys", &|manifest| manifest["keys"] = json!([])),
        ("twice a key", &|manifest| {
            let key = manifest["keys"][0].clone();
            manifest["keys"].as_array_mut().unwrap().push(key);
        }),
        ("an idle key", &|manifest| {
            let idle = key(ORIGIN, 9).verifying_key().to_string();
            manifest["keys"].as_array_mut().unwrap().push(json!(idle));
        }),
        ("a hostile key", &|manifest| manifest["keys"][0] = json!("\u{1b}[2J+x")),
        ("another format", &|manifest| manifest["entries"]["format"] = json!("csv")),
        ("an unknown format", &|manifest| manifest["entries"]["format"] = json!("\u{1b}")),
        ("a version that no line names", &|manifest| manifest["entries"]["program_version"] = json!("9")),
        ("another field", &|manifest| manifest["note"] = json!("all is well")),
        ("another file", &|manifest| manifest["files"][0]["name"] = json!("../README.txt")),
    ];
    for (what, edit) in wrong {
        let found = forge(edit);
        assert!(matches!(found, Verdict::Tampered { .. }), "{what}: {found:?}");
    }
    for (what, edit) in [
        ("another version", &(|manifest: &mut Value| manifest["version"] = json!(2)) as Edit<'_>),
        ("another kind", &|manifest| manifest["format"] = json!("a-zoo")),
    ] {
        let found = forge(edit);
        assert!(matches!(found, Verdict::Incomplete { .. }), "{what}: {found:?}");
    }
}

#[test]
fn another_spelling_of_the_manifest_is_found() {
    let manifest = String::from_utf8(members(&sample().bundle(PART))[1].1.clone()).unwrap();
    let digest = hex(&sha256(&[README_TEXT.as_bytes()]));
    for other in [
        manifest.replace("  \"first\"", "\t\"first\""),
        manifest.trim_end().to_owned(),
        manifest.replace(&digest, &digest.to_uppercase()),
        manifest.replace("\"first\": 2", "\"first\": 2.0"),
        manifest.replace("\"first\": 2", "\"first\": 2,\n  \"first\": 2"),
        manifest.replace("sekisho.local", "sekisho\\u002elocal"),
        String::new(),
        "[".repeat(1000),
    ] {
        let mut forged = Forger::new();
        *forged.member(MANIFEST) = other.into_bytes();
        tampered(&forged.with_its_digests());
    }
}

#[test]
fn every_digest_of_the_manifest_is_compared() {
    for number in 0..5 {
        let forged = Forger::new().manifest(|manifest| manifest["files"][number]["sha256"] = json!("00".repeat(32)));
        tampered(&forged.with_its_digests());
    }
}

#[test]
fn the_version_that_lines_of_cef_name_is_compared() {
    let forged = || Forger::of(&sample().bundle(Part { format: Format::Cef, ..PART }));
    assert!(is_sound(&forged().bundle()));
    for version in [json!("0.0.1"), json!("a|b"), json!(""), json!(null), json!("9".repeat(65))] {
        tampered(&forged().manifest(|manifest| manifest["entries"]["program_version"] = version).bundle());
    }
    let older = forged().manifest(|manifest| manifest["entries"]["program_version"] = json!("0.0.1"));
    let older = older.lines("entries.cef", |lines| {
        for line in lines {
            *line = line.replace(crate::audit::render::VERSION, "0.0.1");
        }
    });
    assert!(is_sound(&older.bundle()), "a bundle of an older program is checked as that one wrote it");
}

#[test]
fn a_readme_that_lies_is_found() {
    tampered(&Forger::new().edit(README, "Get it from the people", "It is not needed, says the people").bundle());
}

#[test]
fn a_checkpoint_that_was_changed_or_exchanged_is_found() {
    tampered(&Forger::new().edit(CHECKPOINT, "\n9\n", "\n8\n").bundle());
    let mut exchanged = Forger::new();
    *exchanged.member(CHECKPOINT) = sample().note(8).into_bytes();
    tampered(&exchanged.manifest(|manifest| manifest["size"] = json!(8)).bundle());
    let mut binary = Forger::new();
    *binary.member(CHECKPOINT) = vec![0xff; 100];
    tampered(&binary.bundle());
}

#[test]
fn a_log_signed_by_somebody_else_is_found_only_with_a_pinned_key() {
    let mut forger = Sample::of((0..9).map(|at| if at == 3 { leaf(5) } else { leaf(at) }).collect());
    forger.key = key(ORIGIN, 66);
    let forged = forger.bundle(PART);
    assert!(matches!(verdict(&forged, &[], &[]), Verdict::Sound(Sound { pinned: false, .. })));
    assert!(incomplete(&forged).contains("not signed by a key that was given"));
    // Naming the right key beside it does not help.
    let named = sample().keys()[0].to_string();
    let forged = Forger::of(&forged).manifest(|manifest| manifest["keys"] = json!([named]));
    tampered(&forged.bundle());
}

#[test]
fn a_split_view_is_found_at_the_same_size_and_inside_of_the_bundle() {
    let sample = sample();
    let other = Sample::of((0..9).map(|at| if at == 3 { leaf(5) } else { leaf(at) }).collect());
    let bundle = sample.bundle(PART);
    for (size, is_found) in [(9, true), (7, true), (4, true), (3, false), (2, false), (8, false)] {
        let found = verdict(&bundle, &sample.keys(), &[other.note(size)]);
        assert_eq!(matches!(found, Verdict::Tampered { .. }), is_found, "{size}: {found:?}");
    }
    let forged = Checkpoint::new(ORIGIN, 9, [0; 32]).unwrap().sign(&sample.key).unwrap().replace("\n9\n", "\n7\n");
    assert!(matches!(verdict(&bundle, &sample.keys(), &[forged]), Verdict::Tampered { .. }));
}

#[test]
fn members_missing_exchanged_repeated_or_foreign_are_not_sound() {
    for number in 0..6 {
        let mut forged = Forger::new();
        forged.members.remove(number);
        assert!(matches!(verdict(&forged.with_its_digests(), &[], &[]), Verdict::Incomplete { .. }), "{number}");
        let mut forged = Forger::new();
        forged.members.swap(number, (number + 1) % 6);
        assert!(!is_sound(&forged.with_its_digests()));
        let mut forged = Forger::new();
        let repeated = forged.members[number].clone();
        forged.members.insert(number, repeated);
        assert!(!is_sound(&forged.with_its_digests()));
        let mut forged = Forger::new();
        forged.members.insert(number, ("other.txt".into(), Vec::new()));
        assert!(!is_sound(&forged.with_its_digests()));
        let mut forged = Forger::new();
        forged.members[number].0 = "a/../../etc/passwd".replace("..", "dots");
        assert!(!is_sound(&forged.with_its_digests()));
    }
    let mut forged = Forger::new();
    forged.members.push(("more.txt".into(), Vec::new()));
    assert_eq!(tampered(&forged.with_its_digests()), None);
}

#[test]
fn disclosed_personal_data_has_its_form_and_nothing_proves_it() {
    let forge = |edit: fn(&mut Vec<String>)| Forger::new().lines(PERSONAL, edit).bundle();
    tampered(&forge(|lines| lines.swap(0, 1)));
    tampered(&forge(|lines| lines.insert(0, lines[0].clone())));
    tampered(&forge(|lines| lines[0] = lines[0].replace("\"sequence\":3", "\"sequence\":1")));
    tampered(&forge(|lines| lines[1] = lines[1].replace("\"sequence\":5", "\"sequence\":7")));
    tampered(&forge(|lines| lines[0] = lines[0].replace("{\"seq", "{ \"seq")));
    tampered(&forge(|lines| lines[0] = lines[0].replace("\"peer\"", "\"pear\"")));
    tampered(&forge(|lines| lines[0] = "\n".into()));
    // Whoever changes the digest with it is not found, and the README says so.
    assert!(is_sound(&forge(|lines| lines[0] = lines[0].replace("token:ci", "token:you"))));
    let mut forged = Forger::new();
    forged.members.pop();
    let without = forged.manifest(|manifest| drop(manifest["files"].as_array_mut().unwrap().pop()));
    assert!(is_sound(&without.bundle()));
}

#[test]
fn a_leaf_of_a_later_version_is_incomplete_where_the_tree_holds_it() {
    let mut leaves: Vec<_> = (0..9).map(leaf).collect();
    leaves[4] = vec![9, 1, 2, 3];
    let newer = Sample::of(leaves);
    let mut forged = Forger::new();
    *forged.member(CHECKPOINT) = newer.note(9).into_bytes();
    let proof = crate::audit::proof::consistency(&newer.nodes(), 7, 9).unwrap();
    let proof: Vec<_> = proof.iter().map(|hash| hex(hash)).collect();
    let forged = forged.lines(LEAVES, |lines| lines[2] = line_of(4, &[9, 1, 2, 3]));
    let forged = forged.manifest(|manifest| manifest["consistency"] = json!(proof)).bundle();
    assert!(incomplete(&forged).starts_with("entry 4 is as it was signed"));
    // The tree does not hold it: somebody put it there.
    let forged = Forger::new().lines(LEAVES, |lines| lines[2] = line_of(4, &[9, 1, 2, 3])).bundle();
    assert_eq!(tampered(&forged), Some(4));
}

#[test]
fn members_of_any_length_take_bounded_memory() {
    let mut forged = Forger::new();
    *forged.member(README) = vec![b' '; bound::BUNDLE_README_BYTES_MAX + 1];
    tampered(&forged.with_its_digests());
    let mut forged = Forger::new();
    *forged.member(LEAVES) = vec![b'a'; bound::BUNDLE_LEAF_LINE_BYTES_MAX * 2];
    tampered(&forged.bundle());
    let mut forged = Forger::new();
    *forged.member(PERSONAL) = vec![b'a'; bound::BUNDLE_PERSONAL_LINE_BYTES_MAX + 2];
    tampered(&forged.bundle());
    // A header that promises more than there is.
    let mut bundle = sample().bundle(PART);
    let mut header = tar::Header::from_byte_slice(&bundle[..512]).clone();
    header.set_size(1 << 50);
    header.set_cksum();
    bundle[..512].copy_from_slice(header.as_bytes());
    assert!(!is_sound(&bundle));
}

proptest! {
    #[test]
    fn arbitrary_members_are_not_sound(number in 1..6_usize, content: Vec<u8>) {
        let mut forged = Forger::new();
        forged.members[number].1.clone_from(&content);
        let bundle = if number == 1 { forged.with_its_digests() } else { forged.bundle() };
        // An empty file of personal data says nothing, and nothing that is wrong.
        prop_assert!(!is_sound(&bundle) || (number == 5 && content.is_empty()));
    }
}
