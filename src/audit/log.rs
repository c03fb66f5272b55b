//! How leaves get into the log: the Merkle tree's frontier and tiles in the transaction of the entries.

use super::entry::{self, Outcome};
use super::tile::{Edge, TileId};
use super::tree::{Frontier, leaf_hash};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::crypto::digest::Hash;
use crate::store::table::Table;
use crate::store::{CommitHook, Opened, Put, Sealed, Snapshot, Store, StoreError};

const KEY_FRONTIER: &[u8] = b"audit/frontier";
/// The frontier of what was pruned: entries below its size are gone, and it stands for them.
const KEY_PRUNED: &[u8] = b"audit/pruned";
const KEY_KEYS: &[u8] = b"audit/keys";
/// Where checkpoints were last written outside of the file: that place should have them.
const KEY_OUTSIDE: &[u8] = b"audit/outside";

/// A key after every sequence.
pub(crate) const AFTER_ALL: [u8; 9] = [u8::MAX; 9];

/// The frontier as it is stored.
pub fn frontier(snapshot: &Snapshot) -> Result<Frontier, StoreError> {
    stored(snapshot, KEY_FRONTIER)
}

/// What was pruned, as it is stored.
pub fn pruned(snapshot: &Snapshot) -> Result<Frontier, StoreError> {
    stored(snapshot, KEY_PRUNED)
}

/// The row that says that the entries below `pruned` are gone.
pub(super) fn pruned_row(pruned: &Frontier) -> Put {
    Put::new(Table::Meta, KEY_PRUNED, pruned.to_bytes())
}

fn stored(snapshot: &Snapshot, key: &[u8]) -> Result<Frontier, StoreError> {
    match snapshot.get(Table::Meta, key)? {
        None => Ok(Frontier::default()),
        Some(bytes) => Frontier::from_bytes(&bytes).ok_or_else(|| StoreError::Record {
            table: Table::Meta.name(),
            reason: "a frontier of the audit log is malformed".into(),
        }),
    }
}

/// The verifying keys that ever signed a checkpoint of this log, one on a line, oldest first.
pub fn keys(snapshot: &Snapshot) -> Result<String, StoreError> {
    let bytes = snapshot.get(Table::Meta, KEY_KEYS)?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| StoreError::Record {
        table: Table::Meta.name(),
        reason: "the list of verifying keys is no text".into(),
    })
}

/// The path to which checkpoints were last exported.
pub fn outside(snapshot: &Snapshot) -> Result<Option<String>, StoreError> {
    let bytes = snapshot.get(Table::Meta, KEY_OUTSIDE)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The row that names that path.
pub(super) fn outside_row(path: &str) -> Put {
    Put::new(Table::Meta, KEY_OUTSIDE, path.as_bytes().to_vec())
}

/// The row that names `keys`.
pub(super) fn keys_row(keys: &str) -> Put {
    Put::new(Table::Meta, KEY_KEYS, keys.as_bytes().to_vec())
}

/// A full tile as it is stored.
pub fn tile(snapshot: &Snapshot, id: TileId) -> Result<Option<Vec<u8>>, StoreError> {
    snapshot.get(Table::AuditTiles, &id.to_key())
}

/// Whatever shows consistent snapshots: the store at work, or one that was only opened.
pub trait Look {
    fn look<T>(&self, look: impl FnOnce(&Snapshot) -> Result<T, StoreError>) -> Result<T, StoreError>;
}

impl Look for Store {
    fn look<T>(&self, look: impl FnOnce(&Snapshot) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.read(look)
    }
}

/// A store until nobody waits for what is read in it.
pub(super) struct Until<'a> {
    pub(super) store: &'a Store,
    pub(super) is_over: &'a dyn Fn() -> bool,
}

impl Look for Until<'_> {
    fn look<T>(&self, look: impl FnOnce(&Snapshot) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if (self.is_over)() { Err(StoreError::Closed) } else { self.store.read(look) }
    }
}

impl Look for Opened {
    fn look<T>(&self, look: impl FnOnce(&Snapshot) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.read(look)
    }
}

/// The end of the tree, where leaves are added.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    pub(super) frontier: Frontier,
    pub(super) edge: Edge,
}

/// The tip of a tree of `frontier.size()` leaves, from stored tiles and the leaves of the incomplete one.
pub(super) fn tip(snapshot: &Snapshot, frontier: Frontier) -> Result<Tip, StoreError> {
    let size = frontier.size();
    let from = size - size % bound::TILE_HASHES as u64;
    let rows = snapshot.scan(Table::AuditEntries, &from.to_be_bytes(), &size.to_be_bytes(), bound::TILE_HASHES)?;
    let leaves: Vec<Hash> = rows.iter().map(|(_, leaf)| leaf_hash(leaf)).collect();
    let edge = Edge::load(size, |id| tile(snapshot, id), &leaves)?;
    let edge = edge.filter(|edge| edge.agrees_with(&frontier)).ok_or_else(|| StoreError::Record {
        table: Table::AuditTiles.name(),
        reason: format!(
            "of {size} entries the last ones, or their tiles, are not all there; `sekisho audit verify` says more"
        ),
    })?;
    Ok(Tip { frontier, edge })
}

/// Puts leaves into the log in the transaction that holds them, with the new frontier.
#[derive(Debug)]
pub struct LogHook {
    durable: Tip,
    candidate: Tip,
}

impl LogHook {
    pub fn of(opened: &Opened) -> Result<Self, StoreError> {
        let durable = opened.read(|snapshot| tip(snapshot, frontier(snapshot)?))?;
        Ok(Self { candidate: durable.clone(), durable })
    }
}

impl CommitHook for LogHook {
    fn seal(&mut self, leaves: Vec<Vec<u8>>) -> Sealed {
        // Start from what is durable: a commit that failed has left nothing behind.
        self.candidate.clone_from(&self.durable);
        let first_sequence = self.candidate.frontier.size();
        let mut puts = Vec::with_capacity(leaves.len() + 2);
        for leaf in leaves {
            let hash = leaf_hash(&leaf);
            puts.push(Put::new(Table::AuditEntries, self.candidate.frontier.size().to_be_bytes(), leaf));
            self.candidate.frontier.append(hash);
            let tiles = self.candidate.edge.append(hash);
            puts.extend(tiles.into_iter().map(|(id, bytes)| Put::new(Table::AuditTiles, id.to_key(), bytes)));
        }
        puts.push(Put::new(Table::Meta, KEY_FRONTIER, self.candidate.frontier.to_bytes()));
        Sealed { first_sequence, puts }
    }

    fn committed(&mut self) {
        std::mem::swap(&mut self.durable, &mut self.candidate);
    }

    fn reload(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.durable = tip(snapshot, frontier(snapshot)?)?;
        Ok(())
    }
}

/// The pseudonyms whose erasure the log holds, and when each was erased.
pub fn erasures(source: &impl Look) -> Result<Vec<(Timestamp, String)>, StoreError> {
    let mut found = Vec::new();
    let mut next = source.look(|snapshot| Ok(pruned(snapshot)?.size()))?;
    loop {
        let rows = source.look(|snapshot| {
            snapshot.scan(Table::AuditEntries, &next.to_be_bytes(), &AFTER_ALL, bound::AUDIT_PAGE_ENTRIES_MAX)
        })?;
        if rows.is_empty() {
            return Ok(found);
        }
        next += rows.len() as u64;
        for (_, leaf) in rows {
            let (entry, _) = entry::of_leaf(&leaf)?;
            if entry.operation.as_deref() == Some(super::ERASE) && entry.outcome == Outcome::Done {
                let pseudonyms = entry.target.unwrap_or_default();
                found.extend(pseudonyms.split(' ').map(|pseudonym| (entry.at, pseudonym.to_owned())));
            }
        }
    }
}
