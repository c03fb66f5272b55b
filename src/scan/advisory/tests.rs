//! Databases that are good, and each way in which one is not.

use proptest::prelude::*;

use super::*;
use crate::base::secret::Secret;

fn key(seed: u8) -> SigningKey {
    SigningKey::new("example.org/advisories", &Secret::new([seed; 32])).unwrap()
}

fn advisory(package: &str, patched: &[&str]) -> Advisory {
    Advisory {
        id: "RUSTSEC-2026-0001".into(),
        package: package.into(),
        date: "2026-01-02".into(),
        title: "It reads beyond its end".into(),
        kind: Kind::Vulnerability,
        patched: patched.iter().map(|range| (*range).to_owned()).collect(),
        unaffected: Vec::new(),
        os: Vec::new(),
        arch: Vec::new(),
    }
}

fn own(name: &str, version: &str) -> Crate {
    Crate { name: name.into(), version: version.parse().unwrap() }
}

#[test]
fn a_database_opens_with_the_key_that_signed_it_and_with_no_other() {
    let text = Database::sign(Timestamp(7), &[advisory("redb", &[">= 9.0.0"])], &key(1)).unwrap();
    let opened = Database::open(&text, &[key(1).verifying_key().clone()]).unwrap();
    assert_eq!((opened.made, opened.advisories.len()), (Timestamp(7), 1));
    assert_eq!(opened.signers, ["example.org/advisories"]);
    assert!(matches!(Database::open(&text, &[]), Err(DatabaseError::NoKey)));
    let stranger = key(2).verifying_key().clone();
    assert!(matches!(Database::open(&text, &[stranger]), Err(DatabaseError::Note(NoteError::Unknown { .. }))));
}

#[test]
fn an_empty_database_and_one_with_empty_lines_are_told_apart() {
    let keys = [key(1).verifying_key().clone()];
    let empty = Database::sign(Timestamp(7), &[], &key(1)).unwrap();
    assert_eq!(Database::open(&empty, &keys).unwrap().advisories, []);
    assert!(matches!(Database::open(&format!("{empty}\n"), &keys), Err(DatabaseError::Digest { .. })));
}

#[test]
fn no_byte_of_a_database_can_be_changed() {
    let keys = [key(1).verifying_key().clone()];
    let text = Database::sign(Timestamp(7), &[advisory("redb", &[">= 9.0.0"])], &key(1)).unwrap();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else { continue };
        assert!(Database::open(&changed, &keys).is_err(), "byte {at} was changed");
    }
    for end in 0..text.len() {
        if text.is_char_boundary(end) {
            assert!(Database::open(&text[..end], &keys).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn who_is_affected_is_said_by_the_ranges_and_the_machine() {
    let check = |advisory: &Advisory, version: &str, expect: bool| {
        assert_eq!(advisory.affects(&own("redb", version)), expect, "{version}");
    };
    let patched = advisory("redb", &[">= 2.1.3, < 3.0.0", ">= 3.0.4"]);
    check(&patched, "2.1.2", true);
    check(&patched, "2.1.3", false);
    check(&patched, "3.0.3", true);
    check(&patched, "3.0.4", false);
    check(&patched, "4.0.0-rc.1", false);
    check(&Advisory { unaffected: vec!["< 2.0.0".into()], ..patched.clone() }, "1.9.0", false);
    check(&advisory("redb", &[]), "99.0.0", true);
    check(&Advisory { os: vec!["windows".into()], ..patched.clone() }, "2.1.2", false);
    check(&Advisory { os: vec![std::env::consts::OS.into()], ..patched.clone() }, "2.1.2", true);
    assert!(!patched.affects(&own("red", "2.1.2")));
}

#[test]
fn a_range_that_cannot_be_read_makes_no_database() {
    let error = Database::sign(Timestamp(7), &[advisory("redb", &["newer than 3"])], &key(1)).unwrap_err();
    assert!(error.to_string().contains("newer than 3"), "{error}");
}

proptest! {
    #[test]
    fn hostile_text_is_never_a_panic(text: String) {
        let _any = Database::open(&text, &[key(1).verifying_key().clone()]);
        let _any = parts(&format!("{text}\n\n{text}\n\n"));
    }
}
