//! Bundles as a bad disk or a bad network makes them: none of them is sound, and none ends the program.

use proptest::prelude::*;

use super::tests::{Part, Sample, verdict};
use super::*;
use crate::audit::render::FORMATS;

/// Of a log of 9 entries.
const PART: Part = Part { first: 2, count: 2, size: 9, format: Format::Jsonl, disclose: true };

fn sample() -> Sample {
    Sample::new(9)
}

fn is_sound(bundle: &[u8]) -> bool {
    matches!(verdict(bundle, &sample().keys(), &[]), Verdict::Sound(_))
}

#[test]
fn a_flipped_bit_in_any_byte_is_found() {
    // One key, one signature: nothing is in it that only somebody else could check.
    let bundle = sample().bundle(PART);
    let pinned = sample().keys();
    let mut flipped = bundle.clone();
    // The text of the README is compared as a whole: some of its bytes stand for all.
    let readme = 512..512 + README_TEXT.len();
    for at in (0..bundle.len()).filter(|at| !readme.contains(at) || at % 29 == 0) {
        flipped[at] ^= 1 << (at % 8);
        let keys = if at % 3 == 0 { &pinned[..] } else { &[] };
        let found = verdict(&flipped, keys, &[]);
        assert!(!matches!(found, Verdict::Sound(_)), "byte {at}");
        flipped[at] = bundle[at];
    }
}

#[test]
fn a_bundle_that_was_cut_is_incomplete_wherever_it_was_cut() {
    let bundle = sample().bundle(PART);
    // At every end of a block, beside it, and at places in between.
    for length in (0..bundle.len()).filter(|length| (length + 1) % 512 < 3 || length % 23 == 0) {
        let found = verdict(&bundle[..length], &[], &[]);
        assert!(matches!(found, Verdict::Incomplete { .. }), "{length}: {found:?}");
    }
}

#[test]
fn headers_of_other_kinds_are_not_read() {
    for kind in
        [tar::EntryType::Symlink, tar::EntryType::GNULongName, tar::EntryType::XHeader, tar::EntryType::Directory]
    {
        let mut bundle = sample().bundle(PART);
        let mut header = tar::Header::from_byte_slice(&bundle[..512]).clone();
        header.set_entry_type(kind);
        header.set_cksum();
        bundle[..512].copy_from_slice(header.as_bytes());
        assert!(!is_sound(&bundle));
    }
}

#[test]
fn nothing_may_follow_the_archive() {
    let bundle = sample().bundle(PART);
    for more in [vec![0; 512], vec![0; 1], vec![1], bundle.clone()] {
        let found = verdict(&[bundle.clone(), more].concat(), &[], &[]);
        assert!(matches!(found, Verdict::Tampered { .. }), "{found:?}");
    }
}

#[test]
fn an_error_of_reading_is_no_verdict() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let bundle = sample().bundle(PART);
    for length in [0, 100, 4000, bundle.len() - 1] {
        let error = verify(&mut bundle[..length].chain(Broken), &[], &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn a_reader_of_single_bytes_and_signals_finds_the_same() {
    struct Slow<'a>(&'a [u8], bool);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }
    let bundle = sample().bundle(PART);
    assert!(matches!(verify(&mut Slow(&bundle, false), &[], &[]).unwrap(), Verdict::Sound(_)));
}

proptest! {
    #[test]
    fn any_change_of_some_bytes_is_found(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 1..=255_u8), 1..4), format in 0..4_usize
    ) {
        let format = FORMATS[format];
        let bundle = sample().bundle(Part { format, ..PART });
        let mut changed = bundle.clone();
        for (index, mask) in changes {
            changed[index.index(bundle.len())] ^= mask;
        }
        prop_assert!(changed == bundle || !matches!(verdict(&changed, &[], &[]), Verdict::Sound(_)));
    }

    #[test]
    fn a_piece_cut_out_doubled_or_exchanged_is_found(
        from: proptest::sample::Index, to: proptest::sample::Index, piece: Vec<u8>
    ) {
        let bundle = sample().bundle(PART);
        let (from, to) = (from.index(bundle.len()), to.index(bundle.len()));
        let (from, to) = (from.min(to), from.max(to));
        for changed in [
            [&bundle[..from], &bundle[to..]].concat(),
            [&bundle[..to], &bundle[from..]].concat(),
            [&bundle[..from], &piece, &bundle[to..]].concat(),
        ] {
            prop_assert!(changed == bundle || !matches!(verdict(&changed, &[], &[]), Verdict::Sound(_)));
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_bundle(bytes: Vec<u8>) {
        let is_incomplete = matches!(verdict(&bytes, &[], &[]), Verdict::Incomplete { .. });
        prop_assert!(is_incomplete);
    }
}
