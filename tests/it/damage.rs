//! Files that are no database any more: opening one ends, with an error or with a store that holds what it held.

use std::fs;
use std::path::Path;
use std::sync::mpsc;

use sekisho::store::Store;

use crate::dice::Dice;
use crate::harness::{PATIENCE, is_soak};
use crate::workload::{Acknowledge, Rig, Told};

/// 300 with `tests/run --soak`.
fn cases() -> u64 {
    if is_soak() { 300 } else { 40 }
}

/// A database with some entries, closed as it should be or left as by a kill.
fn healthy(path: &Path, is_closed: bool) -> (Vec<u8>, Told) {
    Store::create(path, &[]).unwrap();
    let mut rig = Rig::start(Store::open(path).unwrap(), Acknowledge::WhenDurable).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut dice = Dice::of(4);
    runtime.block_on(async {
        for round in 0..5 {
            assert!(rig.round(round, &mut dice).await);
        }
        if !is_closed {
            // All is durable and nothing is under way: what is read now is what a kill leaves.
            return (fs::read(path).unwrap(), rig.told);
        }
        rig.store.close().await;
        (fs::read(path).unwrap(), rig.told)
    })
}

/// One way in which a file can suffer.
fn damaged(healthy: &[u8], case: u64) -> (&'static str, Vec<u8>) {
    let mut dice = Dice::of(case);
    let mut bytes = healthy.to_vec();
    let kind = match case % 10 {
        0 => {
            bytes.truncate(dice.index(healthy.len()));
            "truncated"
        }
        1 => {
            bytes.truncate(dice.index(healthy.len()) / 4096 * 4096);
            "truncated at a page"
        }
        2 => {
            let bit = 1 << dice.below(8);
            *pick(&mut bytes, &mut dice) ^= bit;
            "one bit"
        }
        3 => {
            // The header: magic number, god byte, layout and the two commit slots.
            let bit = 1 << dice.below(8);
            *pick(&mut bytes[..320], &mut dice) ^= bit;
            "one bit of the header"
        }
        4 => {
            let page = dice.index(healthy.len() / 4096) * 4096;
            bytes[page..page + 4096].fill(0);
            "a page of zeros"
        }
        5 => {
            for _ in 0..100 {
                let byte = u8::try_from(dice.below(256)).unwrap();
                *pick(&mut bytes, &mut dice) = byte;
            }
            "a hundred bytes"
        }
        6 => {
            let (from, to) = (dice.index(healthy.len() / 4096) * 4096, dice.index(healthy.len() / 4096) * 4096);
            bytes.copy_within(from..from + 4096, to);
            "a page in the place of another"
        }
        7 => {
            let length = dice.index(64 << 10);
            bytes = (0..length).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            "garbage"
        }
        8 => {
            let kept = dice.index(512);
            bytes.iter_mut().skip(kept).for_each(|byte| *byte = u8::try_from(dice.below(256)).unwrap());
            "garbage behind the beginning of a header"
        }
        _ => {
            bytes.clear();
            "empty"
        }
    };
    (kind, bytes)
}

fn pick<'a>(bytes: &'a mut [u8], dice: &mut Dice) -> &'a mut u8 {
    let at = dice.index(bytes.len());
    &mut bytes[at]
}

/// What became of a damaged file.
#[derive(Debug)]
enum Found {
    Refused,
    /// The damage lay where nothing lies.
    Whole,
    /// It opens, and the check of the content tells what is wrong.
    Told(String),
}

#[test]
fn a_damaged_file_is_refused_or_told_and_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let sources = [true, false].map(|is_closed| {
        let (content, told) = healthy(&directory.path().join(format!("closed-{is_closed}.redb")), is_closed);
        (content, std::sync::Arc::new(told))
    });
    let (mut refused, mut whole) = (0, 0);
    for case in 0..cases() {
        let (content, told) = &sources[usize::try_from(case / 10 % 2).unwrap()];
        let (kind, bytes) = damaged(content, case);
        let path = directory.path().join(format!("{case}.redb"));
        fs::write(&path, bytes).unwrap();
        let (send, found) = mpsc::channel();
        let (told, at) = (std::sync::Arc::clone(told), path.clone());
        std::thread::spawn(move || {
            let found = match Store::open(&at) {
                Err(error) => {
                    // It says which file it is about.
                    assert!(error.to_string().contains(&*at.to_string_lossy()), "{error}");
                    Found::Refused
                }
                Ok(opened) => match told.check_opened(opened) {
                    Ok(()) => Found::Whole,
                    Err(what) => Found::Told(what),
                },
            };
            send.send(found).unwrap();
        });
        match found.recv_timeout(PATIENCE) {
            Ok(Found::Refused) => refused += 1,
            Ok(Found::Whole) => whole += 1,
            Ok(Found::Told(what)) => eprintln!("case {case} ({kind}) opens, and the check says: {what}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("case {case} ({kind}): a panic"),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("case {case} ({kind}): it hangs"),
        }
        fs::remove_file(&path).unwrap();
    }
    assert!(refused > 0 && whole > 0, "{refused} refused, {whole} whole");
}
