//! The power goes at any moment, also while the store recovers from that: what was acknowledged is there.
//!
//! So that these tests are worth something, they also run against three mutants, which must not pass.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use sekisho::store::{Store, StoreError};

use crate::dice::Dice;
use crate::disk::{Lie, SimulatedDisk, Tear};
use crate::harness::{Installation, is_soak, text};
use crate::workload::{Acknowledge, Rig, Told, formatted};

/// Each is two commits, of one caller and of eight.
const ROUNDS: usize = 6;

/// Ways in which a disk can be found, tried for each power loss.
const REMAINS: usize = 4;

/// Seeds of each mode. More with `tests/run --soak`.
fn seeds() -> std::ops::Range<u64> {
    if is_soak() { 0..600 } else { 0..20 }
}

#[derive(Clone, Copy)]
struct Trial {
    tear: Tear,
    lie: Lie,
    acknowledge: Acknowledge,
}

const HONEST: Trial = Trial { tear: Tear::Whole, lie: Lie::None, acknowledge: Acknowledge::WhenDurable };

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

impl Trial {
    /// Works until the power goes, and gives what was said until then.
    fn until_power_loss(self, disk: &SimulatedDisk, dice: &mut Dice) -> Told {
        disk.lie(self.lie, dice.clone().below(5));
        let started = Store::open_on(Arc::new(disk.clone())).and_then(|opened| Rig::start(opened, self.acknowledge));
        // It may have gone before there was a store.
        let Ok(mut rig) = started else { return Told::default() };
        block_on(async {
            for round in 0..ROUNDS {
                if !rig.round(round, dice).await {
                    break;
                }
            }
        });
        disk.power_off();
        rig.told
    }

    /// One power loss, and several ways in which the disk can be found after it.
    fn run(self, formatted: &SimulatedDisk, seed: u64) -> Result<(), String> {
        let mut dice = Dice::of(seed);
        let changes = {
            let disk = formatted.twin();
            self.until_power_loss(&disk, &mut dice.clone());
            disk.changes()
        };
        let disk = formatted.twin();
        disk.power_off_at(Dice::of(!seed).below(changes + 1));
        let told = self.until_power_loss(&disk, &mut dice);
        (0..REMAINS).try_for_each(|_| {
            let found = disk.after_power_loss(&mut dice, self.tear);
            let found = self.through_recovery(found, &mut dice);
            told.check(Arc::new(found))
        })
    }

    /// The power goes up to twice more, while the store recovers.
    fn through_recovery(self, mut found: SimulatedDisk, dice: &mut Dice) -> SimulatedDisk {
        for _ in 0..dice.below(3) {
            let changes = {
                let twin = found.twin();
                drop(Store::open_on(Arc::new(twin.clone())));
                twin.changes()
            };
            found.power_off_at(dice.below(changes));
            drop(Store::open_on(Arc::new(found.clone())));
            found.power_off();
            found = found.after_power_loss(dice, self.tear);
        }
        found
    }

    /// The seeds that found something wrong, with what they found. A panic is something wrong too.
    fn caught(self, seeds: impl Iterator<Item = u64>) -> Vec<(u64, String)> {
        let formatted = formatted();
        let found = seeds.map(|seed| {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.run(&formatted, seed)));
            (seed, outcome.unwrap_or_else(|_| Err("a panic".into())))
        });
        found.filter_map(|(seed, outcome)| outcome.err().map(|what| (seed, what))).collect()
    }
}

#[test]
fn a_power_loss_costs_nothing_that_was_acknowledged() {
    let caught = HONEST.caught(seeds());
    assert!(caught.is_empty(), "{caught:#?}");
}

#[test]
fn a_power_loss_that_tears_writes_costs_nothing_that_was_acknowledged() {
    let caught = Trial { tear: Tear::Torn, ..HONEST }.caught(seeds());
    assert!(caught.is_empty(), "{caught:#?}");
}

/// The tests above must not pass over a fault like this one.
fn is_caught(lie: Lie, acknowledge: Acknowledge, seeds_ordinarily: u64) {
    let seeds = if is_soak() { seeds() } else { 0..seeds_ordinarily };
    let caught = [Tear::Whole, Tear::Torn].map(|tear| {
        let caught = Trial { tear, lie, acknowledge }.caught(seeds.clone());
        eprintln!("{tear:?}: {} of {} seeds caught it, {:?}", caught.len(), seeds.end, caught.first());
        caught.len()
    });
    assert!(caught.iter().sum::<usize>() > 0, "a mutant passes: {lie:?}, acknowledged {acknowledge:?}");
}

/// Measured with schema 1: of 600 seeds in each mode 585 and 584 caught it (whole writes, torn ones).
#[test]
fn a_store_that_acknowledges_early_is_caught() {
    is_caught(Lie::None, Acknowledge::Early, 8);
}

/// Measured with schema 1: of 600 seeds in each mode 566 and 568 caught it.
#[test]
fn a_disk_that_never_syncs_is_caught() {
    is_caught(Lie::NoDurability, Acknowledge::WhenDurable, 8);
}

/// Measured with schema 1: of 600 seeds in each mode 86 and 88 caught it, for the power has to go between the sync that
/// was dropped and the next one. Of the 60 of an ordinary run with schema 2, 7 and 10.
#[test]
fn a_disk_that_drops_every_fifth_sync_is_caught() {
    is_caught(Lie::EveryFifthSync, Acknowledge::WhenDurable, 60);
}

#[test]
fn a_seed_gives_the_same_disk_each_time() {
    let formatted = formatted();
    let found = |seed| {
        let disk = formatted.twin();
        disk.power_off_at(100);
        let mut dice = Dice::of(seed);
        HONEST.until_power_loss(&disk, &mut dice);
        disk.after_power_loss(&mut dice, Tear::Torn).content()
    };
    assert!(found(3) == found(3));
    assert!(found(3) != found(4));
}

/// The first boot: whatever moment it is cut short at, there is a whole database or none, and the next one goes on.
#[test]
fn a_creation_cut_short_anywhere_leaves_nothing_in_the_way() {
    let changes = formatted().changes();
    assert!(changes > 10, "{changes} changes");
    let mut published = 0;
    for moment in 0..changes {
        let disk = SimulatedDisk::empty();
        disk.power_off_at(moment);
        Store::create_on(&disk, &[]).unwrap_err();
        let mut dice = Dice::of(moment);
        // A killed process leaves all that it wrote, a lost power some of it.
        let mut remains = vec![disk.twin()];
        for tear in [Tear::Whole, Tear::Torn].repeat(8) {
            remains.push(disk.after_power_loss(&mut dice, tear));
        }
        for found in remains {
            match Store::create_on(&found, &[]) {
                Ok(()) => {}
                Err(StoreError::Exists(_)) => published += 1,
                Err(error) => panic!("after change {moment}: {error}"),
            }
            Told::default().check(Arc::new(found)).unwrap_or_else(|what| panic!("after change {moment}: {what}"));
        }
    }
    assert!(published > 0, "the power never went between the rename and the end");
}

/// The same with the real binary: killed as soon as the directory looks different for the n-th time.
#[test]
fn an_init_killed_anywhere_is_finished_by_the_next() {
    let mut was_killed = 0;
    for changes_seen in 0..if is_soak() { 40 } else { 6 } {
        let installation = Installation::bare();
        let mut init = installation
            .command(&["init"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut seen = BTreeSet::new();
        let ended = loop {
            if let Some(status) = init.try_wait().unwrap() {
                break Some(status);
            }
            seen.insert(listing(&installation.data()));
            if seen.len() > changes_seen {
                init.kill().unwrap();
                break None;
            }
            std::thread::yield_now();
        };
        init.wait().unwrap();
        match ended {
            Some(status) => assert!(status.success()),
            None => was_killed += 1,
        }
        let output = installation.run(&["init"]);
        assert!(output.status.success(), "change {changes_seen}: {}", text(&output.stderr));
        installation.verify();
        assert!(installation.token().len() > 32);
    }
    assert!(was_killed > 0);
}

/// Names and lengths of all files.
fn listing(folder: &Path) -> Vec<(String, u64)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_string_lossy().into_owned(), entry.metadata().ok()?.len())))
        .collect();
    found.sort();
    found
}
