//! Tampering with the log: whatever is done to the file, or to what left it, is found and named.

use std::path::Path;

use sekisho::app;
use sekisho::audit::checkpoint::Checkpoint;
use sekisho::audit::tree::{Frontier, leaf_hash};
use sekisho::audit::verify::{Against, Verdict};
use sekisho::base::secret::Secret;
use sekisho::crypto::sign::SigningKey;

use crate::harness::{Installation, is_soak};
use crate::strongroom::{Rows, Table, call_often, change, check, copied, database, get, rows, said};

pub(crate) const ENTRIES: &str = "audit_entries";
const TILES: &str = "audit_tiles";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
pub(crate) const META: &str = "meta";
pub(crate) const FRONTIER: &[u8] = b"audit/frontier";
pub(crate) const KEYS: &[u8] = b"audit/keys";
/// A full tile, and some entries after it.
const CALLS: usize = 300;

pub(crate) fn long_log() -> Installation {
    let installation = Installation::new();
    let server = installation.serve();
    call_often(&server, CALLS);
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
    installation
}

pub(crate) fn key(sequence: u64) -> Vec<u8> {
    sequence.to_be_bytes().to_vec()
}

pub(crate) fn put(table: &mut Table<'_>, key: &[u8], value: &[u8]) {
    table.insert(key, value).unwrap();
}

fn size(file: &Path) -> u64 {
    rows(file, ENTRIES).len() as u64
}

/// The frontier of leaves, as whoever rewrites the log would make it.
fn frontier<'a>(leaves: impl Iterator<Item = &'a Vec<u8>>) -> Frontier {
    let mut frontier = Frontier::default();
    leaves.for_each(|leaf| frontier.append(leaf_hash(leaf)));
    frontier
}

/// Makes the frontier fit the entries that are there now.
pub(crate) fn refit(file: &Path) {
    let bytes = frontier(rows(file, ENTRIES).values()).to_bytes();
    change(file, META, |table| put(table, FRONTIER, &bytes));
}

pub(crate) fn forget_checkpoints_from(file: &Path, size: u64) {
    change(file, CHECKPOINTS, |table| {
        table.retain(|key, _| u64::from_be_bytes(key.try_into().unwrap()) < size).unwrap();
    });
}

pub(crate) fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}

/// Changes something that is stored.
pub(crate) fn edit(file: &Path, table: &str, key: &[u8], edit: impl FnOnce(&mut Vec<u8>)) {
    change(file, table, |table| {
        let mut value = get(table, key);
        edit(&mut value);
        put(table, key, &value);
    });
}

fn drop_row(file: &Path, table: &str, key: &[u8]) {
    change(file, table, |table| drop(table.remove(key).unwrap().unwrap()));
}

fn last_checkpoint(file: &Path) -> (Vec<u8>, String) {
    let (key, note) = rows(file, CHECKPOINTS).pop_last().unwrap();
    (key, String::from_utf8(note).unwrap())
}

/// Replaces one line of the newest checkpoint.
fn forge_line(file: &Path, line: usize, with: &str) {
    let (key, note) = last_checkpoint(file);
    let mut lines: Vec<&str> = note.lines().collect();
    lines[line] = with;
    let forged = format!("{}\n", lines.join("\n"));
    assert_ne!(forged, note);
    change(file, CHECKPOINTS, |table| put(table, &key, forged.as_bytes()));
}

/// A stranger's signing key under the log's own name.
pub(crate) fn stranger(file: &Path) -> SigningKey {
    let (_, note) = last_checkpoint(file);
    SigningKey::new(note.lines().next().unwrap(), &Secret::new([7; 32])).unwrap()
}

/// What was done, how, with which code `audit verify` ends, and what it says.
pub(crate) type Case = (&'static str, fn(&Path), i32, &'static [&'static str]);

/// `original` is left as it is.
pub(crate) fn check_each(original: &Installation, cases: &[Case]) {
    for (what, tamper, code, words) in cases {
        let installation = copied(original);
        tamper(&database(&installation));
        let output = installation.run(&["audit", "verify"]);
        assert_eq!(output.status.code(), Some(*code), "{what}: {}", said(&output));
        for word in *words {
            assert!(said(&output).contains(word), "{what}: {word:?} is missing in: {}", said(&output));
        }
    }
}

#[test]
fn every_change_of_an_entry_is_found_and_named_where_a_full_tile_allows_it() {
    let original = long_log();
    let cases: &[Case] = &[
        ("nothing", |_| {}, 0, &["sound:", "signed checkpoints agree"]),
        (
            "changed",
            |file| edit(file, ENTRIES, &key(100), |leaf| flip(leaf, 20)),
            1,
            &["at entry 100 ", "expected leaf hash"],
        ),
        ("deleted", |file| drop_row(file, ENTRIES, &key(100)), 1, &["at entry 100 ", "found entry 101"]),
        ("swapped", |file| reorder(file, &[100, 101]), 1, &["at entry 100 "]),
        ("reordered", |file| reorder(file, &[17, 11, 14, 19, 12]), 1, &["at entry 11 "]),
        ("emptied", |file| edit(file, ENTRIES, &key(0), Vec::clear), 1, &["at entry 0 "]),
        ("made longer", |file| edit(file, ENTRIES, &key(255), |leaf| leaf.push(0)), 1, &["at entry 255 "]),
        (
            "changed after the last full tile",
            |file| edit(file, ENTRIES, &key(290), |leaf| flip(leaf, 20)),
            1,
            &["the change lies in entries"],
        ),
        ("deleted after the last full tile", |file| drop_row(file, ENTRIES, &key(290)), 1, &["at entry 290 "]),
        (
            "added at the end",
            |file| {
                let size = size(file);
                change(file, ENTRIES, |table| {
                    let leaf = get(table, &key(5));
                    put(table, &key(size), &leaf);
                });
            },
            1,
            &["expected no more entries"],
        ),
        (
            "added far beyond",
            |file| change(file, ENTRIES, |table| put(table, &[u8::MAX; 8], b"x")),
            1,
            &["expected no more entries"],
        ),
        (
            "added under a malformed key",
            |file| change(file, ENTRIES, |table| put(table, b"\0\0\0\0\0\0\0\x05x", b"x")),
            1,
            &["at entry 6 ", "a malformed key"],
        ),
        (
            "the last one gone",
            |file| {
                let last = size(file) - 1;
                drop_row(file, ENTRIES, &key(last));
            },
            1,
            &["found none"],
        ),
        ("all gone", |file| change(file, ENTRIES, |table| table.retain(|_, _| false).unwrap()), 1, &["at entry 0 "]),
    ];
    check_each(&original, cases);
}

/// The entries at these places, in another order.
fn reorder(file: &Path, places: &[u64]) {
    change(file, ENTRIES, |table| {
        let leaves: Vec<Vec<u8>> = places.iter().map(|place| get(table, &key(*place))).collect();
        for (place, leaf) in places.iter().zip(leaves.iter().cycle().skip(1)) {
            put(table, &key(*place), leaf);
        }
    });
}

#[test]
fn changed_tiles_and_frontiers_are_found() {
    let original = long_log();
    let cases: &[Case] = &[
        ("a hash of a full tile", |file| edit(file, TILES, &tile(0), |tile| flip(tile, 32 * 7)), 1, &["at entry 7 "]),
        ("a tile cut", |file| edit(file, TILES, &tile(0), |tile| tile.truncate(32 * 9)), 1, &["tile 0 of level 0"]),
        ("a tile gone", |file| drop_row(file, TILES, &tile(0)), 1, &["the tile of entries 0 to 255"]),
        ("a hash of a tile above", |file| edit(file, TILES, &tile(1), |tile| flip(tile, 3)), 1, &["tile 0 of level 1"]),
        ("a tile above gone", |file| drop_row(file, TILES, &tile(1)), 1, &["tile 0 of level 1"]),
        (
            "the frontier",
            |file| {
                edit(file, META, FRONTIER, |bytes| {
                    let at = bytes.len() - 1;
                    flip(bytes, at);
                });
            },
            1,
            &["expected root"],
        ),
        (
            "a cut frontier",
            |file| edit(file, META, FRONTIER, |bytes| bytes.truncate(9)),
            1,
            &["expected a frontier", "malformed"],
        ),
        ("no frontier", |file| drop_row(file, META, FRONTIER), 1, &["as signed"]),
        (
            "a false mark of what was pruned",
            |file| {
                let mut false_one = Frontier::default();
                (0..256).for_each(|_| false_one.append([9; 32]));
                change(file, META, |table| put(table, b"audit/pruned", &false_one.to_bytes()));
            },
            1,
            &["the tiles of what was pruned"],
        ),
        (
            "a malformed mark of what was pruned",
            |file| change(file, META, |table| put(table, b"audit/pruned", b"\xff")),
            1,
            &["a mark of what was pruned"],
        ),
    ];
    check_each(&original, cases);
}

#[test]
fn forged_and_malformed_checkpoints_and_keys_are_found() {
    let original = Installation::new();
    original.json(&["library", "list"]);
    let cases: &[Case] = &[
        (
            "another root",
            |file| forge_line(file, 2, "IwX6nHdAhutqlTF4EOyWSERs+uZKT3WyltXgdlQr0Dw="),
            1,
            &["a checkpoint whose signature holds"],
        ),
        ("another size", |file| forge_line(file, 1, "1"), 1, &["a checkpoint whose signature holds"]),
        ("another origin", |file| forge_line(file, 0, "sekisho.local/0"), 1, &["a checkpoint whose signature holds"]),
        ("no signature", |file| forge_line(file, 4, ""), 1, &["a checkpoint whose signature holds"]),
        (
            "a false signature",
            |file| {
                let (key, _) = last_checkpoint(file);
                edit(file, CHECKPOINTS, &key, |note| {
                    let at = note.len() - 20;
                    note[at] = if note[at] == b'A' { b'B' } else { b'A' };
                });
            },
            1,
            &["a checkpoint whose signature holds"],
        ),
        (
            "a checkpoint by a stranger",
            |file| {
                let signer = stranger(file);
                let note = Checkpoint::new(signer.verifying_key().name(), 9, [1; 32]).unwrap().sign(&signer).unwrap();
                change(file, CHECKPOINTS, |table| put(table, &key(9), note.as_bytes()));
            },
            1,
            &["a checkpoint whose signature holds"],
        ),
        (
            "a malformed checkpoint",
            |file| change(file, CHECKPOINTS, |table| put(table, &key(9), b"\xff\0\n\n\xe2\x80\x94 x")),
            1,
            &["a checkpoint whose signature holds"],
        ),
        (
            "an empty checkpoint",
            |file| change(file, CHECKPOINTS, |table| put(table, &key(9), b"")),
            1,
            &["a checkpoint whose signature holds"],
        ),
        (
            "a stranger's key",
            |file| {
                let line = format!("{}\n", stranger(file).verifying_key());
                change(file, META, |table| put(table, KEYS, line.as_bytes()));
            },
            1,
            &["a checkpoint whose signature holds"],
        ),
        (
            "keys that are none",
            |file| change(file, META, |table| put(table, KEYS, b"not a key\n")),
            1,
            &["readable verifying key"],
        ),
        (
            "keys that are no text",
            |file| change(file, META, |table| put(table, KEYS, b"\xff\xfe")),
            1,
            &["readable verifying key"],
        ),
        ("no keys", |file| drop_row(file, META, KEYS), 1, &["a checkpoint whose signature holds"]),
    ];
    check_each(&original, cases);
}

/// The first tile of a level.
fn tile(level: u8) -> Vec<u8> {
    [&[level][..], &[0; 8]].concat()
}

/// Every row that the log consists of, one bit at a time, at places that differ from run to run of the loop only.
#[test]
fn a_flipped_bit_anywhere_in_the_log_is_found() {
    let original = long_log();
    let scratch = original.folder("scratch");
    let outside = sekisho::audit::export::checkpoints_in(&original.data().join("checkpoints.log")).unwrap();
    let against = Against { keys: Vec::new(), checkpoints: outside };
    let parts: Vec<(&str, Rows)> = [ENTRIES, TILES, CHECKPOINTS, META]
        .map(|table| (table, rows(&database(&original), table)))
        .into_iter()
        .map(|(table, rows)| {
            // Where checkpoints are exported to is no part of the log.
            let is_of_log = |key: &[u8]| table != META || key.starts_with(b"audit/") && key != b"audit/outside";
            (table, rows.into_iter().filter(|(key, _)| is_of_log(key)).collect())
        })
        .collect();
    let verify = || app::verify::file(&database(&original), &scratch, &against).unwrap();
    assert!(verify().is_sound(), "{:?}", verify());
    let rounds: usize = if is_soak() { 2000 } else { 120 };
    for round in 0..rounds {
        let (table, rows) = &parts[round % parts.len()];
        // A multiplicative walk: spread over rows and bytes, and the same each time.
        let pick = round.wrapping_mul(2_654_435_761);
        let (key, value) = rows.iter().nth((pick >> 5) % rows.len()).unwrap();
        let mut changed = value.clone();
        changed[(pick >> 11) % value.len()] ^= 1 << (pick % 8);
        change(&database(&original), table, |table| put(table, key, &changed));
        let verdict = verify();
        assert!(!verdict.is_sound(), "round {round}: {table} {key:?}: {verdict:?}");
        assert!(matches!(verdict, Verdict::Tampered { .. }), "round {round}: {table} {key:?}: {verdict:?}");
        change(&database(&original), table, |table| put(table, key, value));
    }
    assert!(verify().is_sound());
}

#[test]
fn a_truncated_or_foreign_file_cannot_be_checked_and_says_so() {
    let original = long_log();
    let whole = std::fs::read(database(&original)).unwrap();
    for length in [0, 3, 4096, whole.len() / 2, whole.len() - 4096] {
        let installation = copied(&original);
        std::fs::write(database(&installation), &whole[..length]).unwrap();
        let output = installation.run(&["audit", "verify"]);
        check(&output, 2, &["incomplete:", "sekisho.redb"]);
    }
    for garbage in [&b"hello"[..], &[0; 8192]] {
        let installation = copied(&original);
        std::fs::write(database(&installation), garbage).unwrap();
        check(&installation.run(&["audit", "verify"]), 2, &["incomplete:"]);
    }
}
