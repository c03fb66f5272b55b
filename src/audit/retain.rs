//! Retention: entries leave in whole tiles, oldest first; an entry says so, and the tree goes on covering them.

use super::entry::{self, Draft, Event, Outcome};
use super::tree::Frontier;
use super::{Audit, AuditError, keep, log, proof};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::hex;
use crate::config::Retention;
use crate::store::table::Table;
use crate::store::{Batch, Health, Removal, Snapshot, StoreError};

/// What a prune did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Entries that went.
    pub entries: u64,
    /// The first that is left.
    pub first: u64,
}

const TILE: u64 = bound::TILE_HASHES as u64;

impl Audit {
    /// Prunes what `retention` does not keep. The newest tile always stays.
    pub async fn prune(&self, retention: Retention, draft: Draft) -> Result<Pruned, AuditError> {
        let first = self.first()?;
        let mut to = first;
        if let Some(age_max) = retention.age_max {
            let age_max_ms = u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX);
            to = to.max(self.first_since(Timestamp(self.now().0.saturating_sub(age_max_ms)))?);
        }
        if let Some(bytes_max) = retention.bytes_max {
            to = to.max(self.first_within(bytes_max)?);
        }
        self.prune_before(to, draft).await
    }

    /// Prunes the entries before `sequence`, as far as they make whole tiles.
    pub async fn prune_before(&self, sequence: u64, mut draft: Draft) -> Result<Pruned, AuditError> {
        let (first, size) = (self.first()?, self.size()?);
        // The tile that grows is never pruned: the tree's end is made anew from its leaves.
        let to = sequence.min(size.saturating_sub(1)) / TILE * TILE;
        if to <= first {
            self.remove_pruned().await?;
            return Ok(Pruned { entries: 0, first });
        }
        let frontier = self.store.read(|snapshot| frontier_at(snapshot, to))?;
        draft.event = Event::Audit;
        draft.operation = Some(PRUNE.to_owned());
        draft.target = Some(format!("entries {first} to {}", to - 1));
        let reason = format!("the root over the first {to} entries is {}", hex(&frontier.root()));
        let batch = Batch::puts(vec![log::pruned_row(&frontier)]).urgent();
        self.append_with(batch, draft, Outcome::Done, Some(reason)).await?;
        self.remove_pruned().await?;
        Ok(Pruned { entries: to - first, first: to })
    }

    /// Removes the rows of what was pruned; goes on where an interrupted one stopped.
    pub async fn remove_pruned(&self) -> Result<(), AuditError> {
        let to = self.first()?;
        loop {
            let mut batch = Batch::default().urgent();
            batch.removals.push(Removal {
                table: Table::AuditEntries,
                from: Vec::new(),
                to: to.to_be_bytes().to_vec(),
                rows_max: bound::PRUNE_ROWS_MAX,
            });
            let tile = |index: u64| super::tile::TileId { level: 0, index }.to_key().to_vec();
            batch.removals.push(Removal {
                table: Table::AuditTiles,
                from: tile(0),
                to: tile(to / TILE),
                rows_max: bound::PRUNE_ROWS_MAX,
            });
            if self.store.commit(batch).await?.removed_rows == 0 {
                break;
            }
        }
        // The file keeps the pages of what was removed; on a full disk others need them.
        if *self.store.health().borrow() == Health::Full
            && let Err(error) = self.store.compact().await
        {
            tracing::warn!(%error, "the room of pruned entries could not be given back");
        }
        Ok(())
    }

    /// The first entry that is not older than `time`, by halving: entries are in the order of their times, but for
    /// what a clock that was set back did.
    pub fn first_since(&self, time: Timestamp) -> Result<u64, AuditError> {
        let (mut low, mut high) = (self.first()?, self.size()?);
        while low < high {
            let middle = low + (high - low) / 2;
            let leaf = self.leaves(middle, 1)?.pop();
            let Some((_, leaf)) = leaf else { return Ok(low) };
            if entry::of_leaf(&leaf)?.0.at < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The first entry of the newest ones that have `bytes_max` bytes together.
    fn first_within(&self, bytes_max: u64) -> Result<u64, AuditError> {
        let (first, size) = (self.first()?, self.size()?);
        let mut left = bytes_max;
        let mut from = size;
        while from > first {
            // A tile at a time, from the newest back.
            let tile_first = ((from - 1) / TILE * TILE).max(first);
            let bytes: usize = self.leaves(tile_first, bound::TILE_HASHES)?.iter().map(|(_, leaf)| leaf.len()).sum();
            let Some(rest) = left.checked_sub(bytes as u64) else { break };
            left = rest;
            from = tile_first;
        }
        Ok(from)
    }
}

/// The operation of entries that say what was pruned.
pub const PRUNE: &str = "audit.prune";

/// The frontier of the first `size` entries.
pub fn frontier_at(snapshot: &Snapshot, size: u64) -> Result<Frontier, AuditError> {
    proof::frontier(&keep::nodes(snapshot), size).map_err(|error| match error {
        proof::ProofError::Read(error) => AuditError::Store(error),
        other => AuditError::Store(StoreError::Record {
            table: Table::AuditTiles.name(),
            reason: format!("the tree over the first {size} entries cannot be made: {other}"),
        }),
    })
}
