//! Bundles as they are written, and as another machine finds them.

use std::convert::Infallible;

use super::*;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::entry::of_leaf;
use crate::audit::proof;
use crate::audit::render::{FORMATS, Renderer, Shown};
use crate::audit::tests_samples::{bare, entry, personal};
use crate::audit::tests_tree::Rows;
use crate::audit::tile::Nodes;
use crate::audit::tree::leaf_hash;
use crate::base::clock::Timestamp;
use crate::base::id::hex;
use crate::base::secret::Secret;
use crate::crypto::digest::sha256;
use crate::crypto::sign::SigningKey;
use crate::store::codec;

pub(super) const ORIGIN: &str = "sekisho.local/0a1b";

pub(super) fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::new(name, &Secret::new([seed; 32])).unwrap()
}

/// A leaf that says which it is.
pub(super) fn leaf(sequence: u64) -> Vec<u8> {
    let entry = Entry { at: Timestamp(1_790_000_000_000 + sequence), duration_ms: sequence, ..entry() };
    let entry = if sequence.is_multiple_of(3) { bare() } else { entry };
    codec::encode(&Entry { target: Some(format!("document {sequence}")), ..entry }).unwrap()
}

/// A log in memory.
pub(super) struct Sample {
    pub(super) leaves: Vec<Vec<u8>>,
    log: Rows,
    pub(super) key: SigningKey,
}

impl Sample {
    pub(super) fn new(size: u64) -> Self {
        Self::of((0..size).map(leaf).collect())
    }

    pub(super) fn of(leaves: Vec<Vec<u8>>) -> Self {
        let mut log = Rows::default();
        for leaf in &leaves {
            log.append(leaf_hash(leaf));
        }
        Self { leaves, log, key: key(ORIGIN, 7) }
    }

    pub(super) fn keys(&self) -> [VerifyingKey; 1] {
        [self.key.verifying_key().clone()]
    }

    pub(super) fn nodes(&self) -> impl Nodes<Error = Infallible> {
        self.log.nodes()
    }

    /// The log's signed checkpoint of this size.
    pub(super) fn note(&self, size: u64) -> String {
        let root = proof::root(&self.log.nodes(), size).unwrap();
        Checkpoint::new(ORIGIN, size, root).unwrap().sign(&self.key).unwrap()
    }

    pub(super) fn write(&self, part: Part) -> Result<(Written, Vec<u8>), BundleError<Infallible>> {
        let nodes = self.log.nodes();
        let Part { first, count, size, format, disclose } = part;
        let before = proof::frontier(&nodes, first).unwrap();
        let consistency = match first + count {
            0 => Vec::new(),
            end if end > size => Vec::new(),
            end => proof::consistency(&nodes, end, size).unwrap(),
        };
        let scratch = tempfile::tempdir().unwrap();
        let mut open = |sequence: u64, _: &Entry| {
            Ok((sequence % 2 == 1).then(|| Personal { arguments: Some(format!("of {sequence}")), ..personal() }))
        };
        let contents = Contents {
            before: &before,
            checkpoint: &self.note(size),
            keys: &self.keys(),
            consistency: &consistency,
            format,
            disclose: disclose.then_some(&mut open),
            scratch: scratch.path(),
        };
        let wanted =
            self.leaves.iter().zip(0..).skip_while(|(_, at)| *at < first).take_while(|(_, at)| *at < first + count);
        let mut out = Vec::new();
        let written = write(contents, wanted.map(|(leaf, sequence)| Ok((sequence, leaf.clone()))), &mut out)?;
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
        Ok((written, out))
    }

    pub(super) fn bundle(&self, part: Part) -> Vec<u8> {
        self.write(part).unwrap().1
    }
}

/// What of a log goes into a bundle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) size: u64,
    pub(super) format: Format,
    pub(super) disclose: bool,
}

impl Part {
    pub(super) fn new(first: u64, count: u64, size: u64) -> Self {
        Self { first, count, size, format: Format::Jsonl, disclose: false }
    }
}

pub(super) fn verdict(mut bundle: &[u8], keys: &[VerifyingKey], checkpoints: &[String]) -> Verdict {
    verify(&mut bundle, keys, checkpoints).unwrap()
}

/// The members of an archive, as the tar crate reads them.
pub(super) fn members(bundle: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bundle);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), content)
        })
        .collect()
}

#[test]
fn every_range_of_a_log_makes_a_sound_bundle() {
    let sample = Sample::new(20);
    for size in [1, 2, 7, 8, 16, 20] {
        for first in 0..size {
            for end in first + 1..=size {
                let (written, bundle) = sample.write(Part::new(first, end - first, size)).unwrap();
                let Verdict::Sound(sound) = verdict(&bundle, &sample.keys(), &[]) else {
                    panic!("{first} to {end} of {size}")
                };
                assert_eq!((sound.first, sound.count, sound.size), (first, end - first, size));
                assert_eq!((written.first, written.count, written.root), (first, end - first, sound.root));
                assert!(sound.pinned);
            }
        }
    }
}

#[test]
fn every_format_makes_a_sound_bundle_with_and_without_personal_data() {
    let sample = Sample::new(9);
    for format in FORMATS {
        for disclose in [false, true] {
            let part = Part { format, disclose, ..Part::new(2, 5, 9) };
            let (written, bundle) = sample.write(part).unwrap();
            assert_eq!(written.bytes, bundle.len() as u64);
            assert_eq!(written.disclosed, if disclose { 2 } else { 0 });
            assert!(matches!(verdict(&bundle, &sample.keys(), &[]), Verdict::Sound(_)), "{format}");
        }
    }
}

#[test]
fn a_bundle_has_its_members_in_order_and_says_what_it_holds() {
    let sample = Sample::new(9);
    let bundle = sample.bundle(Part { disclose: true, ..Part::new(2, 5, 9) });
    let members = members(&bundle);
    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["README.txt", "manifest.json", "checkpoint.txt", "leaves.jsonl", "entries.jsonl", "personal.jsonl"];
    assert_eq!(names, expected);
    let manifest: serde_json::Value = serde_json::from_slice(&members[1].1).unwrap();
    assert_eq!((&manifest["first"], &manifest["count"], &manifest["size"]), (&2.into(), &5.into(), &9.into()));
    assert_eq!(manifest["keys"][0], sample.keys()[0].to_string());
    for file in manifest["files"].as_array().unwrap() {
        let (_, content) = members.iter().find(|(name, _)| file["name"] == *name).unwrap();
        assert_eq!(file["sha256"], hex(&sha256(&[content])));
    }
    assert_eq!(String::from_utf8_lossy(&members[2].1), sample.note(9));
    let personal = String::from_utf8(members[5].1.clone()).unwrap();
    let first = personal.lines().next().unwrap();
    let expected =
        r#"{"sequence":3,"principal":"token:ci","peer":"192.0.2.7","user_agent":"curl/8","arguments":"of 3"}"#;
    assert_eq!(first, expected);
}

#[test]
fn the_readable_file_is_made_of_the_leaves_alone() {
    let sample = Sample::new(9);
    for format in FORMATS {
        let bundle = sample.bundle(Part { format, disclose: true, ..Part::new(2, 5, 9) });
        let renderer = Renderer::new(format);
        let mut expected = Vec::new();
        renderer.heading(&mut expected).unwrap();
        for sequence in 2..7 {
            let (entry, _) = of_leaf(&leaf(sequence)).unwrap();
            renderer.entry(&Shown { sequence, entry: &entry, personal: None }, &mut expected).unwrap();
        }
        assert_eq!(members(&bundle)[4].1, expected);
    }
}

#[test]
fn the_same_contents_make_the_same_bytes() {
    let part = Part { format: Format::Cef, disclose: true, ..Part::new(2, 5, 9) };
    assert_eq!(Sample::new(9).bundle(part), Sample::new(9).bundle(part));
}

/// The text is compared byte for byte with that of every bundle ever made, so a change of it takes a new version in
/// `manifest.rs`, and this one must still be known.
#[test]
fn the_readme_of_version_1_is_the_one_that_was_shipped() {
    let expected = "338cd3850d5535ba12e930c93782e5e666dc7660fc03398c81331109313d099e";
    assert_eq!(hex(&sha256(&[README_TEXT.as_bytes()])), expected);
    assert!(README_TEXT.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn without_pinned_keys_a_bundle_is_checked_against_its_own() {
    let sample = Sample::new(5);
    let Verdict::Sound(sound) = verdict(&sample.bundle(Part::new(0, 5, 5)), &[], &[]) else { panic!() };
    assert!(!sound.pinned);
    assert_eq!(sound.origin, ORIGIN);
}

#[test]
fn a_bundle_by_another_key_is_not_sound() {
    let sample = Sample::new(5);
    let bundle = sample.bundle(Part::new(0, 5, 5));
    for other in [key(ORIGIN, 8), key("example.com/other", 7)] {
        let found = verdict(&bundle, &[other.verifying_key().clone()], &[]);
        assert!(matches!(found, Verdict::Incomplete { .. }), "{found:?}");
        let both = [other.verifying_key().clone(), sample.keys()[0].clone()];
        assert!(matches!(verdict(&bundle, &both, &[]), Verdict::Sound(_)));
    }
}

#[test]
fn only_keys_that_signed_go_into_a_bundle() {
    let sample = Sample::new(3);
    let scratch = tempfile::tempdir().unwrap();
    let retired = key(ORIGIN, 1);
    let keys = [retired.verifying_key().clone(), sample.keys()[0].clone()];
    let contents = Contents {
        before: &Frontier::default(),
        checkpoint: &sample.note(3),
        keys: &keys,
        consistency: &[],
        format: Format::Csv,
        disclose: None,
        scratch: scratch.path(),
    };
    let mut out = Vec::new();
    let leaves = (0..3).map(|sequence| Ok::<_, Infallible>((sequence, leaf(sequence))));
    write(contents, leaves, &mut out).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&members(&out)[1].1).unwrap();
    assert_eq!(manifest["keys"], serde_json::json!([keys[1].to_string()]));
}

#[test]
fn checkpoints_from_outside_are_compared_where_they_can_be() {
    let sample = Sample::new(20);
    let bundle = sample.bundle(Part::new(5, 8, 18));
    for (sizes, expected) in [(&[5, 9, 13][..], 3), (&[18], 1), (&[4], 0), (&[14, 20], 0), (&[1, 5, 14, 18, 20], 2)] {
        let notes: Vec<_> = sizes.iter().map(|size| sample.note(*size)).collect();
        let Verdict::Sound(sound) = verdict(&bundle, &[], &notes) else { panic!("{sizes:?}") };
        assert_eq!(sound.compared, expected, "{sizes:?}");
    }
}

#[test]
fn checkpoints_of_another_log_are_not_compared() {
    let sample = Sample::new(5);
    let bundle = sample.bundle(Part::new(0, 5, 5));
    let other = key("example.com/other", 9);
    let foreign = Checkpoint::new("example.com/other", 5, [0; 32]).unwrap().sign(&other).unwrap();
    let found = verdict(&bundle, &[], std::slice::from_ref(&foreign));
    assert!(matches!(found, Verdict::Incomplete { .. }), "{found:?}");
    assert!(matches!(verdict(&bundle, &[], &[foreign, sample.note(4)]), Verdict::Sound(Sound { compared: 1, .. })));
    let found = verdict(&bundle, &[], &["no note".to_owned()]);
    assert!(matches!(found, Verdict::Incomplete { .. }), "{found:?}");
}

#[test]
fn entries_that_do_not_fit_are_not_written() {
    let sample = Sample::new(9);
    let failed = |part| sample.write(part).unwrap_err();
    assert!(matches!(failed(Part::new(2, 0, 9)), BundleError::Empty));
    assert!(matches!(failed(Part::new(2, 7, 8)), BundleError::Beyond { end: 9, size: 8 }));
    let scratch = tempfile::tempdir().unwrap();
    let note = sample.note(3);
    let keys = sample.keys();
    let write = |before: &Frontier, keys: &[VerifyingKey], consistency: &[Hash], leaves: Vec<(u64, Vec<u8>)>| {
        let (checkpoint, format, scratch) = (note.as_str(), Format::Jsonl, scratch.path());
        let contents = Contents { before, checkpoint, keys, consistency, format, disclose: None, scratch };
        let mut out = Vec::new();
        let error = super::write(contents, leaves.into_iter().map(Ok::<_, Infallible>), &mut out).unwrap_err();
        assert!(out.is_empty(), "nothing was written");
        error
    };
    let good: Vec<_> = (0..3).map(|sequence| (sequence, leaf(sequence))).collect();
    let none = Frontier::default();
    let gap = vec![(0, leaf(0)), (2, leaf(2))];
    assert!(matches!(write(&none, &keys, &[], gap), BundleError::Sequence { expected: 1, found: 2 }));
    let changed = vec![(0, leaf(0)), (1, leaf(1)), (2, leaf(5))];
    assert!(matches!(write(&none, &keys, &[], changed), BundleError::Proof(_)));
    assert!(matches!(write(&none, &keys, &[[0; 32]], good.clone()), BundleError::Proof(_)));
    assert!(matches!(write(&none, &keys, &[], good[..2].to_vec()), BundleError::Proof(_)));
    let stranger = [key(ORIGIN, 9).verifying_key().clone()];
    assert!(matches!(write(&none, &stranger, &[], good.clone()), BundleError::Checkpoint(_)));
    let garbage = vec![(0, vec![9; 40])];
    assert!(matches!(write(&none, &keys, &[], garbage), BundleError::Leaf { sequence: 0, .. }));
    let long = vec![(0, vec![2; bound::RECORD_BYTES_MAX + 1])];
    assert!(matches!(write(&none, &keys, &[], long), BundleError::TooLong { sequence: 0, .. }));
}

#[test]
fn an_error_of_the_source_ends_the_bundle() {
    let sample = Sample::new(3);
    let scratch = tempfile::tempdir().unwrap();
    let contents = Contents {
        before: &Frontier::default(),
        checkpoint: &sample.note(3),
        keys: &sample.keys(),
        consistency: &[],
        format: Format::Jsonl,
        disclose: None,
        scratch: scratch.path(),
    };
    let leaves = [Ok((0, leaf(0))), Err("disk")];
    let mut out = Vec::new();
    assert!(matches!(write(contents, leaves.into_iter(), &mut out), Err(BundleError::Source("disk"))));
    assert!(out.is_empty());
}

#[test]
fn a_disk_that_is_full_leaves_no_end_of_an_archive() {
    struct Full(Vec<u8>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() + bytes.len() > 6000 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sample = Sample::new(3);
    let scratch = tempfile::tempdir().unwrap();
    let contents = Contents {
        before: &Frontier::default(),
        checkpoint: &sample.note(3),
        keys: &sample.keys(),
        consistency: &[],
        format: Format::Jsonl,
        disclose: None,
        scratch: scratch.path(),
    };
    let mut out = Full(Vec::new());
    let leaves = (0..3).map(|sequence| Ok::<_, Infallible>((sequence, leaf(sequence))));
    assert!(matches!(write(contents, leaves, &mut out), Err(BundleError::Write(_))));
    assert!(!out.0.is_empty());
    assert!(matches!(verdict(&out.0, &[], &[]), Verdict::Incomplete { .. }));
}

/// A bundle made while the log still held entries of schema 1, whose personal part is in the clear.
#[test]
fn an_entry_of_schema_1_is_disclosed_from_its_leaf() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct ClearEntry {
        at: Timestamp,
        event: crate::audit::entry::Event,
        outcome: crate::audit::entry::Outcome,
        reason: Option<String>,
        transport: String,
        principal: Option<String>,
        role: Option<String>,
        scheme: Option<String>,
        peer: Option<String>,
        texts: [Option<String>; 4],
        numbers: (u64, u64, u64, Option<u64>),
    }
    impl codec::Record for ClearEntry {
        const TABLE: &'static str = "audit_entries";
    }
    let old = codec::encode(&ClearEntry {
        at: Timestamp(7),
        event: crate::audit::entry::Event::Call,
        outcome: crate::audit::entry::Outcome::Done,
        reason: None,
        transport: "http".into(),
        principal: Some("token:old".into()),
        role: None,
        scheme: None,
        peer: Some("192.0.2.9".into()),
        texts: [None, None, None, None],
        numbers: (1, 2, 3, None),
    })
    .unwrap();
    let sample = Sample::of(vec![old, leaf(1)]);
    let bundle = sample.bundle(Part { disclose: true, ..Part::new(0, 2, 2) });
    assert!(matches!(verdict(&bundle, &[], &[]), Verdict::Sound(_)));
    let members = members(&bundle);
    assert!(!String::from_utf8_lossy(&members[4].1).contains("token:old"));
    let personal = String::from_utf8_lossy(&members[5].1).into_owned();
    assert_eq!(personal.lines().next(), Some(r#"{"sequence":0,"principal":"token:old","peer":"192.0.2.9"}"#));
}
