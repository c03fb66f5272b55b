//! Reading the log back: whole, cut, with lines that were changed, taken out, swapped.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::telemetry::sealed::{self, FileKey, LineSealer};

const PLAIN: &str = "sekisho.2026-11-22.log";
const SEALED: &str = "sekisho.2026-11-22.log.sealed";

/// A sealed file with these lines: the header, then each line with its end.
fn seal(texts: &[String]) -> (Vec<String>, Secret) {
    let (id, secret) = sealed::fresh().unwrap();
    let key = FileKey { header: Header { id, key_version: 3, wrapped: vec![1; 61] }, secret: secret.clone() };
    let mut sealer = LineSealer::new(&key).unwrap();
    let mut lines = vec![format!("{}\n", key.header)];
    for text in texts {
        lines.push(String::from_utf8(sealer.seal(text.as_bytes()).unwrap()).unwrap());
        sealer.advance();
    }
    (lines, secret)
}

fn read(name: &str, content: &[u8], key: &Secret) -> Result<Vec<Placed>, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    let name = LogName::parse(name).unwrap();
    let mut reader = LogReader::open(folder.path(), name, |header| {
        assert_eq!(header.key_version, 3);
        Ok(key.clone())
    })?;
    let mut all = Vec::new();
    loop {
        let page = reader.page()?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn texts(pieces: &[Placed]) -> Vec<String> {
    let text = |placed: &Placed| match &placed.piece {
        Piece::Line { text } => Some(text.clone()),
        _ => None,
    };
    pieces.iter().filter_map(text).collect()
}

fn damaged(pieces: &[Placed]) -> usize {
    pieces.iter().filter(|placed| matches!(placed.piece, Piece::Damaged { .. })).count()
}

fn some_texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[^\n]{0,60}", 2..12)
}

proptest! {
    #[test]
    fn what_was_sealed_reads_back_and_a_cut_file_to_its_last_whole_line(texts_in in some_texts(), cut: u16) {
        let (lines, key) = seal(&texts_in);
        let whole = lines.concat();
        let read_whole = read(SEALED, whole.as_bytes(), &key).unwrap();
        prop_assert_eq!(texts(&read_whole), texts_in.clone());
        prop_assert_eq!(damaged(&read_whole), 0);

        let end = lines[0].len() + usize::from(cut) % (whole.len() - lines[0].len());
        let pieces = read(SEALED, &whole.as_bytes()[..end], &key).unwrap();
        let lines_whole = whole[..end].matches('\n').count() - 1;
        prop_assert_eq!(texts(&pieces), texts_in[..lines_whole].to_vec());
        prop_assert_eq!(damaged(&pieces), 0);
        let is_cut = pieces.last().is_some_and(|placed| placed.piece == Piece::Cut);
        prop_assert_eq!(is_cut, !whole[..end].ends_with('\n'));
    }

    #[test]
    fn a_changed_line_is_told_with_its_place_and_the_rest_goes_on(texts_in in some_texts(), at: usize, byte: usize) {
        let (mut lines, key) = seal(&texts_in);
        let at = 1 + at % texts_in.len();
        let mut bytes = lines[at].clone().into_bytes();
        // Not its end.
        let byte = byte % (bytes.len() - 1);
        bytes[byte] = if bytes[byte] == b'A' { b'B' } else { b'A' };
        lines[at] = String::from_utf8(bytes).unwrap();
        let pieces = read(SEALED, lines.concat().as_bytes(), &key).unwrap();
        let mut expected = texts_in.clone();
        expected.remove(at - 1);
        prop_assert_eq!(texts(&pieces), expected);
        prop_assert_eq!(damaged(&pieces), 1);
        let damage = pieces.iter().find(|placed| matches!(placed.piece, Piece::Damaged { .. }));
        prop_assert_eq!(damage.unwrap().place, at as u64 + 1);
    }

    #[test]
    fn lines_that_were_taken_out_or_swapped_do_not_go_unnoticed(texts_in in some_texts(), at: usize, swap: bool) {
        let (mut lines, key) = seal(&texts_in);
        // What is taken out at the very end cannot be noticed.
        let at = 1 + at % (texts_in.len() - 1);
        let mut expected = texts_in.clone();
        if swap {
            lines.swap(at, at + 1);
            expected.swap(at - 1, at);
        } else {
            lines.remove(at);
            expected.remove(at - 1);
        }
        let pieces = read(SEALED, lines.concat().as_bytes(), &key).unwrap();
        prop_assert!(damaged(&pieces) > 0);
        prop_assert_eq!(texts(&pieces), expected);
    }

    #[test]
    fn a_hostile_file_is_never_a_panic(content: Vec<u8>, rest: Vec<u8>) {
        let (lines, key) = seal(&[]);
        read(PLAIN, &content, &key).unwrap();
        read(SEALED, &content, &key).unwrap_err();
        let with_header = [lines[0].as_bytes(), &rest].concat();
        prop_assert!(texts(&read(SEALED, &with_header, &key).unwrap()).is_empty());
    }
}

#[test]
fn a_line_of_another_file_does_not_open() {
    let (mut lines, key) = seal(&["one".to_owned(), "two".to_owned()]);
    let (others, _) = seal(&["one".to_owned(), "forged".to_owned()]);
    lines[2].clone_from(&others[2]);
    let pieces = read(SEALED, lines.concat().as_bytes(), &key).unwrap();
    assert_eq!((texts(&pieces), damaged(&pieces)), (vec!["one".to_owned()], 1));
}

#[test]
fn a_file_that_was_cut_within_its_header_is_told() {
    let (lines, key) = seal(&[]);
    let cut = lines[0].trim_end();
    assert!(matches!(read(SEALED, cut.as_bytes(), &key), Err(ReadError::Header)));
}

#[test]
fn a_plain_file_is_read_as_it_is() {
    let (_, key) = seal(&[]);
    let pieces = read(PLAIN, b"one\n\xff\n\nlast", &key).unwrap();
    assert_eq!(texts(&pieces), ["one", "\u{fffd}", "", "last"]);
}

#[test]
fn a_line_longer_than_any_of_ours_is_one_piece_in_parts_of_pages() {
    let (lines, key) = seal(&["one".to_owned(), "two".to_owned()]);
    let long = "x".repeat(3 * bound::LOG_STORED_LINE_BYTES_MAX);
    let content = format!("{}{}{long}\n{}", lines[0], lines[1], lines[2]);
    let pieces = read(SEALED, content.as_bytes(), &key).unwrap();
    assert_eq!(texts(&pieces), ["one", "two"]);
    assert_eq!(damaged(&pieces), 2, "the line, and that line 2 stands where 3 should be: {pieces:?}");
}

#[test]
fn lines_are_chosen_by_time_and_severity_in_both_formats() {
    let wanted = |since: &str, least: &str| Wanted {
        since: since.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(u64::try_from(at.as_millisecond()).unwrap())),
        severity_min: Severity::parse(least),
    };
    let json = r#"{"timestamp":"2026-11-22T07:00:00.000000Z","level":"WARN","fields":{"message":"m \"q\""}}"#;
    let text = "2026-11-22T07:00:00.000000Z  WARN sekisho: m";
    let security = "2026-11-22T07:00:00.000Z SECURITY access_denied severity=medium";
    for (line, since, least, expected) in [
        (json, "", "", true),
        (json, "2026-11-22T07:00:00Z", "warn", true),
        (json, "2026-11-22T07:00:01Z", "", false),
        (json, "", "error", false),
        (text, "2026-11-22T07:00:00Z", "warn", true),
        (text, "2026-11-22T07:00:01Z", "", false),
        (text, "", "error", false),
        (security, "", "error", true),
        (security, "", "security", true),
        (json, "", "security", false),
        ("what nobody understands", "2026-11-22T07:00:01Z", "error", true),
    ] {
        assert_eq!(wanted(since, least).matches(line), expected, "{line} {since} {least}");
    }
}
