//! How often each key sealed: nonces are random 96-bit numbers, so a key's uses are bounded (NIST SP 800-38D, 8.3).
//!
//! Uses are counted ahead in blocks of [`bound::NONCE_RESERVATION`]. A use beyond what is durable gives the row that
//! covers it, and that row must be in the commit that carries the sealed value (or be durable before the value leaves
//! the process). So a commit that fails takes its count with it, and a crash counts a block too many, never too few.
//!
//! Rows of the table `vault`: key `count/`, purpose, `/`, version as 8 hexadecimal digits, `/`, slot as 2; value: uses,
//! u64 BE, no format byte. A key's count is the greatest of its rows. Blocks take their slot in turn, so that commits
//! may come in any order: a late one could only lower a count if [`bound::NONCE_COUNT_ROWS_MAX`] blocks went by since.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::VaultError;
use super::purpose::Purpose;
use crate::base::bound;
use crate::store::table::Table;
use crate::store::{Put, Snapshot, after_prefix};

const PREFIX: &str = "count/";

/// Durable uses by purpose and version.
pub(super) type Counts = BTreeMap<(Purpose, u32), u64>;

/// The rows among `rows` that count uses: kept aside before a commit, given to [`super::Open::confirm`] after it.
pub fn counts_in(rows: &[Put]) -> Vec<Put> {
    rows.iter().filter(|row| parse(row).is_some()).cloned().collect()
}

/// Uses of one version of one key. Shared by all handles onto it, before and after a rotation.
#[derive(Debug)]
pub(super) struct Counter {
    /// Uses so far, counted by whoever is about to seal.
    used: AtomicU64,
    /// Uses that durable rows cover. Raised late it costs a row, never a use.
    durable: AtomicU64,
}

/// What becomes of one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A durable row covers it.
    Covered,
    /// This count must become durable with it.
    Reserves(u64),
    /// The key was used [`bound::KEY_USES_MAX`] times.
    Refused,
}

impl Counter {
    pub(super) fn new(durable: u64) -> Self {
        Self { used: AtomicU64::new(durable), durable: AtomicU64::new(durable) }
    }

    /// Takes one use.
    pub(super) fn take(&self) -> Use {
        let taken = self
            .used
            .try_update(Ordering::AcqRel, Ordering::Acquire, |used| (used < bound::KEY_USES_MAX).then(|| used + 1));
        match taken {
            Err(_) => Use::Refused,
            Ok(before) if before < self.durable.load(Ordering::Acquire) => Use::Covered,
            Ok(before) => Use::Reserves((before / bound::NONCE_RESERVATION + 1) * bound::NONCE_RESERVATION),
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    fn confirm(&self, count: u64) {
        self.durable.fetch_max(count, Ordering::AcqRel);
    }
}

/// The row that says that the key was used up to `count` times.
pub(super) fn row(purpose: Purpose, version: u32, count: u64) -> Put {
    Put::new(Table::Vault, row_key(purpose, version, slot_of(count)), count.to_be_bytes().to_vec())
}

/// Removes all rows of a key that is gone.
pub(super) fn removals(purpose: Purpose, version: u32, counter: Option<&Counter>) -> impl Iterator<Item = Put> {
    let blocks = counter.map_or(0, |counter| counter.used().div_ceil(bound::NONCE_RESERVATION));
    (0..=blocks.min(bound::NONCE_COUNT_ROWS_MAX - 1))
        .map(move |slot| Put::delete(Table::Vault, row_key(purpose, version, slot)))
}

/// If `row` counts uses of the key of `purpose` and `version`, they are covered now.
pub(super) fn confirm<'a>(rows: &[Put], counter: impl Fn(Purpose, u32) -> Option<&'a Counter>) {
    for ((purpose, version), count) in rows.iter().filter_map(parse) {
        if let Some(counter) = counter(purpose, version) {
            counter.confirm(count);
        }
    }
}

/// All counts.
pub(super) fn read(snapshot: &Snapshot) -> Result<Counts, VaultError> {
    let end = after_prefix(PREFIX.as_bytes());
    let mut from = PREFIX.as_bytes().to_vec();
    let mut counts = Counts::new();
    loop {
        let rows = snapshot.scan(Table::Vault, &from, &end, bound::SCAN_ROWS_MAX)?;
        let Some((last, _)) = rows.last() else { return Ok(counts) };
        // The key after this one.
        from.clone_from(last);
        from.push(0);
        for (key, value) in rows {
            let (key, count) = parse_parts(&key, &value).ok_or(VaultError::Damaged("a count of uses is malformed"))?;
            let greatest: &mut u64 = counts.entry(key).or_default();
            *greatest = count.max(*greatest);
        }
    }
}

fn slot_of(count: u64) -> u64 {
    (count / bound::NONCE_RESERVATION) % bound::NONCE_COUNT_ROWS_MAX
}

fn row_key(purpose: Purpose, version: u32, slot: u64) -> Vec<u8> {
    format!("{PREFIX}{}/{version:08x}/{slot:02x}", purpose.name()).into_bytes()
}

fn parse(row: &Put) -> Option<((Purpose, u32), u64)> {
    let value = row.value.as_ref().filter(|_| row.table == Table::Vault)?;
    parse_parts(&row.key, value)
}

fn parse_parts(key: &[u8], value: &[u8]) -> Option<((Purpose, u32), u64)> {
    let mut parts = std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?.split('/');
    let purpose = Purpose::named(parts.next()?)?;
    let version = u32::from_str_radix(parts.next()?, 16).ok()?;
    let count = u64::from_be_bytes(value.try_into().ok()?);
    // Written the same again, so that one count has one name.
    let written = parts.next().and_then(|slot| u64::from_str_radix(slot, 16).ok())?;
    (row_key(purpose, version, written) == key).then_some(((purpose, version), count))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const BLOCK: u64 = bound::NONCE_RESERVATION;

    /// Table `vault` as it would be on the disk.
    #[derive(Default)]
    struct Disk(BTreeMap<Vec<u8>, u64>);

    impl Disk {
        fn commit(&mut self, rows: &[Put]) {
            for row in rows {
                self.0.insert(row.key.clone(), parse(row).unwrap().1);
            }
        }

        fn count(&self) -> u64 {
            self.0.values().copied().max().unwrap_or_default()
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Uses the key this often; the last one waits for its commit.
        Seal(u64),
        Commit {
            at: usize,
            confirmed: bool,
        },
        Fail {
            at: usize,
        },
        Crash,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop_oneof![1..4_u64, Just(BLOCK / 3), Just(BLOCK)].prop_map(Step::Seal),
            4 => (any::<usize>(), any::<bool>()).prop_map(|(at, confirmed)| Step::Commit { at, confirmed }),
            2 => any::<usize>().prop_map(|at| Step::Fail { at }),
            1 => Just(Step::Crash),
        ]
    }

    proptest! {
        #[test]
        fn what_is_durable_is_never_counted_too_few(steps in prop::collection::vec(step(), 1..40)) {
            let mut disk = Disk::default();
            let mut counter = Counter::new(0);
            // The number of a use, with the row that its commit carries.
            let mut pending: Vec<(u64, Vec<Put>)> = Vec::new();
            // The highest use in a durable commit, and all that ever were, crashes included.
            let (mut durable_use, mut crashes) = (0, 0);
            for step in steps {
                match step {
                    Step::Seal(uses) => {
                        // All but the last are uses whose commits fail.
                        counter.used.fetch_add(uses - 1, Ordering::Relaxed);
                        let rows = match counter.take() {
                            Use::Covered => Vec::new(),
                            Use::Reserves(count) => vec![row(Purpose::Sessions, 3, count)],
                            Use::Refused => panic!("so often it was not used"),
                        };
                        pending.push((counter.used(), rows));
                    }
                    Step::Commit { at, confirmed } if !pending.is_empty() => {
                        let (number, rows) = pending.swap_remove(at % pending.len());
                        disk.commit(&rows);
                        durable_use = number.max(durable_use);
                        if confirmed {
                            confirm(&counts_in(&rows), |_, _| Some(&counter));
                        }
                    }
                    Step::Fail { at } if !pending.is_empty() => drop(pending.swap_remove(at % pending.len())),
                    Step::Crash => {
                        pending.clear();
                        crashes += 1;
                        counter = Counter::new(disk.count());
                    }
                    Step::Commit { .. } | Step::Fail { .. } => {}
                }
                prop_assert!(disk.count() >= durable_use, "{} uses are durable, {} counted", durable_use, disk.count());
                prop_assert!(disk.count() <= counter.used() + BLOCK, "{} counted after {crashes} crashes", disk.count());
            }
        }

        #[test]
        fn a_row_of_a_count_reads_back(index in 0..Purpose::ALL.len(), version: u32, count: u64) {
            let put = row(Purpose::ALL[index], version, count);
            prop_assert_eq!(parse(&put), Some(((Purpose::ALL[index], version), count)));
            let rows = [put, Put::new(Table::Vault, b"keyring", vec![0; 8]), Put::delete(Table::Vault, b"count/logs/0")];
            prop_assert_eq!(counts_in(&rows).len(), 1);
        }

        #[test]
        fn hostile_rows_are_no_counts_and_never_a_panic(key: String, value: Vec<u8>) {
            for key in [key.clone(), format!("{PREFIX}{key}"), format!("{PREFIX}logs/{key}/00")] {
                let _any = parse_parts(key.as_bytes(), &value);
            }
        }
    }

    #[test]
    fn a_key_that_was_used_to_the_end_gives_no_more() {
        let counter = Counter::new(bound::KEY_USES_MAX - 1);
        assert_eq!(counter.take(), Use::Reserves(bound::KEY_USES_MAX));
        assert_eq!(counter.take(), Use::Refused);
        assert_eq!(Counter::new(u64::MAX).take(), Use::Refused);
    }

    #[test]
    fn a_confirmed_block_needs_no_more_rows_until_it_is_used_up() {
        let counter = Counter::new(0);
        assert_eq!(counter.take(), Use::Reserves(BLOCK));
        assert_eq!(counter.take(), Use::Reserves(BLOCK), "not confirmed yet");
        counter.confirm(BLOCK);
        for _ in 2..BLOCK {
            assert_eq!(counter.take(), Use::Covered);
        }
        assert_eq!(counter.take(), Use::Reserves(2 * BLOCK));
    }

    #[test]
    fn removals_reach_every_row_of_a_key() {
        for used in [0, 1, BLOCK, BLOCK + 1, 63 * BLOCK, 64 * BLOCK, 1000 * BLOCK] {
            let mut rows = BTreeSet::new();
            for count in (BLOCK..=used.next_multiple_of(BLOCK)).step_by(usize::try_from(BLOCK).unwrap()) {
                let put = row(Purpose::Logs, 1, count);
                rows.insert(put.key);
            }
            for put in removals(Purpose::Logs, 1, Some(&Counter::new(used))) {
                rows.remove(&put.key);
            }
            assert!(rows.is_empty(), "{used}: {rows:?}");
        }
    }
}
