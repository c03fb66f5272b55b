//! Credentials over their life: set, set anew, sealed anew, removed.

use proptest::prelude::*;

use super::change::Change;
use super::credential::*;
use super::reseal::{Page, Pair, ResealError, reseal_page, versions_in_use};
use super::tests::{Rig, created, secret};
use super::*;
use crate::base::bound;
use crate::base::classification::Classification;
use crate::store::Batch;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn named(name: &str) -> CredentialName {
    CredentialName::parse(name).unwrap()
}

fn put(rig: &Rig, open: &Open, name: &str, value: &str, at: u64) -> Result<(), CredentialError> {
    let (name, value) = (named(name), Secret::new(value));
    let note = Some(format!("noted at {at}"));
    let new =
        NewCredential { name: &name, value: &value, note, source: CredentialSource::Prompt, classification: None };
    let rows = rig.read(|snapshot| set(open, snapshot, new, Timestamp(at)))?;
    let counts = count::counts_in(&rows);
    rig.commit(rows);
    open.confirm(&counts);
    Ok(())
}

fn get(rig: &Rig, open: &Open, name: &str) -> Result<String, CredentialError> {
    let secret = rig.read(|snapshot| value(open, snapshot, &named(name)))?;
    Ok(String::from_utf8(secret.expose_secret().to_vec()).unwrap())
}

fn old_versions(rig: &Rig, name: &str) -> Vec<(u32, bool)> {
    let old = rig.read(|snapshot| history(snapshot, &named(name))).unwrap();
    old.into_iter().map(|old| (old.version, old.sealed.is_some())).collect()
}

/// The value of an old version, as it would be given back.
fn old_value(rig: &Rig, open: &Open, name: &str, version: u32) -> Secret {
    let key = [name.as_bytes(), &[0], &version.to_be_bytes()].concat();
    let row = rig.read(|snapshot| snapshot.get(Table::CredentialHistory, &key)).unwrap().unwrap();
    let record: HistoryRecord = codec::decode(&row).unwrap();
    open.unseal(Purpose::Credentials, Table::CredentialHistory, &key, &record.sealed.unwrap()).unwrap()
}

fn rig() -> (Rig, Open) {
    let made = created();
    (Rig::new(&made.rows), made.open)
}

/// A whole pass; how many rows each page sealed anew.
fn reseal(rig: &Rig, pair: Pair<'_>, rows_max: usize) -> Result<Vec<usize>, ResealError> {
    let (mut after, mut sizes) = (None, Vec::new());
    loop {
        let Page { rows, next } = rig.read(|snapshot| reseal_page(pair, snapshot, after.as_ref(), rows_max))?;
        assert!(Batch::puts(rows.clone()).bytes() <= bound::COMMIT_BYTES_MAX);
        let counts = count::counts_in(&rows);
        sizes.push(rows.len() - counts.len());
        rig.commit(rows);
        pair.to.confirm(&counts);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(sizes),
        }
    }
}

#[test]
fn a_credential_is_set_shown_and_read() {
    let (rig, open) = rig();
    put(&rig, &open, "github", "token 1", 10).unwrap();
    put(&rig, &open, "a", "x", 11).unwrap();
    assert_eq!(get(&rig, &open, "github").unwrap(), "token 1");
    let shown = rig.read(|snapshot| show(snapshot, &named("github"))).unwrap();
    let expect = CredentialRecord {
        name: "github".into(),
        version: 1,
        created: Timestamp(10),
        updated: Timestamp(10),
        note: Some("noted at 10".into()),
        source: CredentialSource::Prompt,
        sealed: Vec::new(),
        classification: Classification::Internal,
    };
    assert_eq!(shown, expect);
    let names: Vec<_> = rig.read(list).unwrap().into_iter().map(|record| (record.name, record.sealed)).collect();
    assert_eq!(names, [("a".into(), vec![]), ("github".into(), vec![])]);
    assert!(matches!(get(&rig, &open, "gitlab"), Err(CredentialError::Unknown(_))));
    assert!(matches!(rig.read(|snapshot| show(snapshot, &named("b"))), Err(CredentialError::Unknown(_))));
}

#[test]
fn a_classification_belongs_to_the_name_until_it_is_removed_or_said_anew() {
    let (rig, open) = rig();
    let level = |name: &str| rig.read(|snapshot| show(snapshot, &named(name))).unwrap().classification;
    put(&rig, &open, "a", "one", 1).unwrap();
    assert_eq!(level("a"), Classification::Internal);
    let (before, rows) = rig.read(|snapshot| classify(snapshot, &named("a"), Classification::Restricted)).unwrap();
    rig.commit(rows);
    assert_eq!((before, level("a")), (Classification::Internal, Classification::Restricted));
    assert_eq!(get(&rig, &open, "a").unwrap(), "one", "its value opens as before");
    put(&rig, &open, "a", "two", 2).unwrap();
    assert_eq!(level("a"), Classification::Restricted, "a new value is as confidential");
    rig.commit(rig.read(|snapshot| remove(snapshot, &named("a"), NOW)).unwrap());
    put(&rig, &open, "a", "three", 3).unwrap();
    assert_eq!(level("a"), Classification::Internal, "another credential of that name");
    let unknown = rig.read(|snapshot| classify(snapshot, &named("b"), Classification::Public)).unwrap_err();
    assert!(matches!(unknown, CredentialError::Unknown(_)));
}

#[test]
fn a_value_is_nowhere_in_the_rows() {
    let (rig, open) = rig();
    let (name, value) = (named("a"), Secret::new("hunter2hunter2"));
    let new =
        NewCredential { name: &name, value: &value, note: None, source: CredentialSource::File, classification: None };
    let rows = rig.read(|snapshot| set(&open, snapshot, new, NOW)).unwrap();
    for row in rows {
        assert!(!row.value.unwrap().windows(7).any(|window| window == b"hunter2"));
    }
}

#[test]
fn a_replaced_value_becomes_history_up_to_a_bound() {
    let (rig, open) = rig();
    // A name that only begins alike has a history of its own.
    put(&rig, &open, "github.old", "other", 1).unwrap();
    put(&rig, &open, "github.old", "other 2", 2).unwrap();
    for number in 1..=20 {
        put(&rig, &open, "github", &format!("token {number}"), number).unwrap();
    }
    assert_eq!(get(&rig, &open, "github").unwrap(), "token 20");
    assert_eq!(old_versions(&rig, "github"), (4..20).map(|version| (version, true)).collect::<Vec<_>>());
    assert_eq!(old_value(&rig, &open, "github", 7), Secret::new("token 7"));
    let shown = rig.read(|snapshot| show(snapshot, &named("github"))).unwrap();
    assert_eq!((shown.version, shown.created, shown.updated), (20, Timestamp(1), Timestamp(20)));
    let old = rig.read(|snapshot| history(snapshot, &named("github"))).unwrap().pop().unwrap();
    assert_eq!((old.updated, old.ended, old.note.as_deref()), (Timestamp(19), Timestamp(20), Some("noted at 19")));
    assert_eq!(old_versions(&rig, "github.old"), [(1, true)]);
}

#[test]
fn a_removed_credential_leaves_its_history_without_values() {
    let (rig, open) = rig();
    put(&rig, &open, "github", "token 1", 1).unwrap();
    put(&rig, &open, "github", "token 2", 2).unwrap();
    let rows = rig.read(|snapshot| remove(snapshot, &named("github"), Timestamp(3))).unwrap();
    rig.commit(rows);
    assert!(matches!(get(&rig, &open, "github"), Err(CredentialError::Unknown(_))));
    assert_eq!(old_versions(&rig, "github"), [(1, false), (2, false)]);
    assert!(rig.read(versions_in_use).unwrap().is_empty());
    put(&rig, &open, "github", "token 3", 4).unwrap();
    let shown = rig.read(|snapshot| show(snapshot, &named("github"))).unwrap();
    assert_eq!((shown.version, shown.created), (3, Timestamp(4)));
    let unknown = rig.read(|snapshot| remove(snapshot, &named("gitlab"), NOW));
    assert!(matches!(unknown, Err(CredentialError::Unknown(_))));
}

#[test]
fn names_values_and_notes_have_bounds() {
    for good in ["a", "A.b_c-9", "..", &"a".repeat(64)] {
        CredentialName::parse(good).unwrap();
    }
    for bad in ["", "a b", "a/b", "a\0", "é", "a\n", &"a".repeat(65)] {
        assert!(matches!(CredentialName::parse(bad), Err(CredentialError::Name)), "{bad:?}");
    }
    let (rig, open) = rig();
    let name = named("a");
    let check = |bytes: usize, note_chars: usize| {
        let value = Secret::new(vec![b'v'; bytes]);
        let note = Some("é".repeat(note_chars));
        let new =
            NewCredential { name: &name, value: &value, note, source: CredentialSource::Api, classification: None };
        rig.read(|snapshot| set(&open, snapshot, new, NOW)).map(drop)
    };
    check(1, 0).unwrap();
    check(64 << 10, 500).unwrap();
    assert!(matches!(check(0, 0), Err(CredentialError::ValueLength(0))));
    assert!(matches!(check((64 << 10) + 1, 0), Err(CredentialError::ValueLength(65_537))));
    assert!(matches!(check(1, 501), Err(CredentialError::NoteLength(501))));
}

#[test]
fn there_are_at_most_so_many_credentials_and_so_much_history() {
    let (rig, open) = rig();
    put(&rig, &open, "here", "1", 1).unwrap();
    let fill = (1..bound::CREDENTIALS_MAX).map(|number| Put::new(Table::Credentials, format!("n{number}"), vec![0]));
    rig.commit(fill.collect());
    assert!(matches!(put(&rig, &open, "new", "1", 2), Err(CredentialError::TooMany)));
    put(&rig, &open, "here", "2", 3).unwrap();
    let fill = (0..bound::CREDENTIAL_HISTORY_ROWS_MAX - 1)
        .map(|number| Put::new(Table::CredentialHistory, format!("n{number}\0...."), vec![0]));
    rig.commit(fill.collect());
    rig.commit(rig.read(|snapshot| remove(snapshot, &named("here"), NOW)).unwrap());
    assert!(old_versions(&rig, "here").is_empty());
}

#[test]
fn a_value_that_was_moved_does_not_open_but_can_be_set_anew() {
    let (rig, open) = rig();
    put(&rig, &open, "a", "value of a", 1).unwrap();
    put(&rig, &open, "b", "value of b", 1).unwrap();
    let of_b = rig.read(|snapshot| snapshot.get(Table::Credentials, b"b")).unwrap().unwrap();
    rig.commit(vec![Put::new(Table::Credentials, b"a", of_b)]);
    let error = get(&rig, &open, "a").unwrap_err();
    assert!(matches!(error, CredentialError::Vault(VaultError::DoesNotOpen { .. })), "{error}");
    put(&rig, &open, "a", "again", 2).unwrap();
    assert_eq!(get(&rig, &open, "a").unwrap(), "again");
    assert_eq!(old_versions(&rig, "a"), [(1, false)]);
}

#[test]
fn a_pass_after_a_rotation_seals_everything_anew_once() {
    let (rig, open) = rig();
    for name in ["a", "b", "c"] {
        for number in 1..=3 {
            put(&rig, &open, name, &format!("{name} {number}"), number).unwrap();
        }
    }
    let Change { rows, next } = open.rotate(&[Purpose::Credentials], NOW).unwrap();
    rig.commit(rows);
    let pair = Pair { from: &next, to: &next };
    // Broken off after its first page.
    let Page { rows, .. } = rig.read(|snapshot| reseal_page(pair, snapshot, None, 2)).unwrap();
    rig.commit(rows);
    assert_eq!(rig.read(versions_in_use).unwrap(), [1, 2].into());
    assert_eq!(reseal(&rig, pair, 2).unwrap(), [0, 2, 2, 2, 1, 0]);
    assert_eq!(rig.read(versions_in_use).unwrap(), [2].into());
    assert_eq!(reseal(&rig, pair, 1000).unwrap(), [0, 0]);
    let next = next.retire(Purpose::Credentials, &[1]).unwrap().next;
    assert_eq!(get(&rig, &next, "b").unwrap(), "b 3");
    assert_eq!(old_value(&rig, &next, "c", 2), Secret::new("c 2"));
}

#[test]
fn a_rekeyed_vault_takes_the_credentials_along() {
    let (rig, open) = rig();
    put(&rig, &open, "a", "1", 1).unwrap();
    put(&rig, &open, "a", "2", 2).unwrap();
    let new = open.rekeyed(&secret(), Iterations::stored(1).unwrap(), NOW).unwrap();
    let pair = Pair { from: &open, to: &new.open };
    let page = rig.read(|snapshot| reseal_page(pair, snapshot, None, 100)).unwrap();
    rig.commit([new.rows, page.rows].concat());
    let open = rig.sealed().unseal(&secret()).unwrap();
    assert_eq!(get(&rig, &open, "a").unwrap(), "2");
    assert_eq!(old_value(&rig, &open, "a", 1), Secret::new("1"));
}

#[test]
fn pages_of_large_values_fit_into_a_commit() {
    let (rig, open) = rig();
    let large = "v".repeat(bound::CREDENTIAL_VALUE_BYTES_MAX);
    for number in 0..20 {
        put(&rig, &open, &format!("n{number}"), &large, 1).unwrap();
    }
    let next = open.rotate(&[Purpose::Credentials], NOW).unwrap().next;
    let sizes = reseal(&rig, Pair { from: &next, to: &next }, bound::SCAN_ROWS_MAX).unwrap();
    assert_eq!(sizes, [8, 8, 4, 0]);
    assert_eq!(get(&rig, &next, "n19").unwrap(), large);
}

#[test]
fn a_pass_that_cannot_go_on_names_the_credential() {
    let (rig, open) = rig();
    put(&rig, &open, "a", "1", 1).unwrap();
    let of_a = rig.read(|snapshot| snapshot.get(Table::Credentials, b"a")).unwrap().unwrap();
    rig.commit(vec![Put::new(Table::Credentials, b"broken", of_a)]);
    let next = open.rotate(&[Purpose::Credentials], NOW).unwrap().next;
    let error = reseal(&rig, Pair { from: &next, to: &next }, 10).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
}

proptest! {
    #[test]
    fn hostile_records_never_panic(bytes: Vec<u8>) {
        for hostile in [&bytes, &[&[1], bytes.as_slice()].concat()] {
            let _any = (codec::decode::<CredentialRecord>(hostile).is_ok(), codec::decode::<HistoryRecord>(hostile).is_ok());
        }
    }
}
