//! The Merkle tree over the entries (RFC 6962, section 2.1): its frontier, and the check of the whole.

use serde_json::{Value, json};

use crate::base::bound;
use crate::base::id::hex;
use crate::crypto::digest::{Hash, sha256};
use crate::store::table::Table;
use crate::store::{CommitHook, Opened, Put, Sealed, Snapshot, Store, StoreError};

const KEY_FRONTIER: &[u8] = b"audit/frontier";

/// Hash of a leaf: SHA-256(0x00 || bytes).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The roots of the perfect subtrees of a tree of `size` leaves, largest first: all that is needed to
/// append and to tell the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // As many subtrees close as the old size ends in one bits.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The Merkle tree hash; that of an empty tree is the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return sha256(&[]) };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Size u64 BE, then the peaks, 32 bytes each.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.peaks.iter().flatten());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = rest.as_chunks::<32>();
        let good = rest.is_empty() && peaks.len() == size.count_ones() as usize;
        good.then(|| Self { size, peaks: peaks.to_vec() })
    }
}

/// The frontier as it is stored.
pub fn frontier(snapshot: &Snapshot) -> Result<Frontier, StoreError> {
    match snapshot.get(Table::Meta, KEY_FRONTIER)? {
        None => Ok(Frontier::default()),
        Some(bytes) => Frontier::from_bytes(&bytes).ok_or_else(|| StoreError::Record {
            table: Table::Meta.name(),
            reason: "the audit frontier is malformed".into(),
        }),
    }
}

/// Puts leaves into the log in the transaction that holds them, with the new frontier.
#[derive(Debug)]
pub struct LogHook {
    durable: Frontier,
    candidate: Frontier,
}

impl LogHook {
    pub fn of(opened: &Opened) -> Result<Self, StoreError> {
        let durable = opened.read(frontier)?;
        Ok(Self { candidate: durable.clone(), durable })
    }
}

impl CommitHook for LogHook {
    fn seal(&mut self, leaves: &[&[u8]]) -> Sealed {
        // Start from what is durable: a commit that failed has left nothing behind.
        self.candidate = self.durable.clone();
        let first_sequence = self.candidate.size;
        let mut puts = Vec::with_capacity(leaves.len() + 1);
        for leaf in leaves {
            puts.push(Put::new(Table::AuditEntries, self.candidate.size.to_be_bytes(), leaf.to_vec()));
            self.candidate.append(leaf_hash(leaf));
        }
        puts.push(Put::new(Table::Meta, KEY_FRONTIER, self.candidate.to_bytes()));
        Sealed { first_sequence, puts }
    }

    fn committed(&mut self) {
        self.durable = self.candidate.clone();
    }
}

/// What a check of the log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sound { size: u64, root: Hash },
    Tampered { sequence: Option<u64>, expected: String, found: String },
}

impl Verdict {
    pub fn is_sound(&self) -> bool {
        matches!(self, Self::Sound { .. })
    }

    pub fn to_json(&self) -> Value {
        match self {
            Self::Sound { size, root } => json!({"sound": true, "entries": size, "root": hex(root)}),
            Self::Tampered { sequence, expected, found } => {
                json!({"sound": false, "sequence": sequence, "expected": expected, "found": found})
            }
        }
    }
}

/// Reads every leaf that was there at the beginning, in order, and compares the tree it makes with the frontier of
/// then. Entries that come meanwhile are for the next check.
pub fn verify(store: &Store) -> Result<Verdict, StoreError> {
    let stored = match store.read(|snapshot| snapshot.get(Table::Meta, KEY_FRONTIER))? {
        None => Frontier::default(),
        Some(bytes) => match Frontier::from_bytes(&bytes) {
            Some(frontier) => frontier,
            None => return Ok(tampered(None, "a frontier", "a malformed one")),
        },
    };
    let mut made = Frontier::default();
    while made.size < stored.size {
        let rows_max =
            bound::AUDIT_PAGE_ENTRIES_MAX.min(usize::try_from(stored.size - made.size).unwrap_or(usize::MAX));
        let from = made.size.to_be_bytes();
        let rows = store.read(|snapshot| snapshot.scan(Table::AuditEntries, &from, &AFTER_ALL, rows_max))?;
        if rows.is_empty() {
            let (expected, found) = (format!("{} entries", stored.size), format!("{} entries", made.size));
            return Ok(tampered(Some(made.size), &expected, &found));
        }
        for (key, leaf) in rows {
            if key != made.size.to_be_bytes() {
                return Ok(tampered(Some(made.size), &format!("entry {}", made.size), &name_of(&key)));
            }
            made.append(leaf_hash(&leaf));
        }
    }
    if made != stored {
        return Ok(tampered(None, &format!("root {}", hex(&stored.root())), &format!("root {}", hex(&made.root()))));
    }
    beyond(store).map(|added| added.unwrap_or(Verdict::Sound { size: made.size, root: made.root() }))
}

const AFTER_ALL: [u8; 9] = [u8::MAX; 9];

/// An entry beyond what the frontier knows of, if there is one.
fn beyond(store: &Store) -> Result<Option<Verdict>, StoreError> {
    store.read(|snapshot| {
        let size = frontier(snapshot)?.size;
        let added = snapshot.scan(Table::AuditEntries, &size.to_be_bytes(), &AFTER_ALL, 1)?;
        Ok(added.first().map(|(key, _)| tampered(Some(size), "no more entries", &name_of(key))))
    })
}

fn tampered(sequence: Option<u64>, expected: &str, found: &str) -> Verdict {
    Verdict::Tampered { sequence, expected: expected.to_owned(), found: found.to_owned() }
}

fn name_of(key: &[u8]) -> String {
    key.try_into().map_or_else(|_| "a malformed key".into(), |key| format!("entry {}", u64::from_be_bytes(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962, section 2.1, word for word.
    fn tree_hash(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&tree_hash(&leaves[..split]), &tree_hash(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_frontier_has_the_root_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_le_bytes().to_vec()).collect();
        let mut frontier = Frontier::default();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), tree_hash(&leaves[..size]), "{size} leaves");
            assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).as_ref(), Some(&frontier));
            frontier.append(leaf_hash(&leaves[size]));
        }
    }

    #[test]
    fn the_root_of_the_rfc_test_vector() {
        // The reference vectors of certificate-transparency: leaves "", 00, 10 and their root.
        let mut frontier = Frontier::default();
        for leaf in [&b""[..], &[0], &[0x10]] {
            frontier.append(leaf_hash(leaf));
        }
        assert_eq!(hex(&frontier.root()), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    }

    #[test]
    fn a_malformed_frontier_does_not_decode() {
        for bytes in [&b""[..], &[0; 7], &[0, 0, 0, 0, 0, 0, 0, 1], &[1; 41]] {
            assert_eq!(Frontier::from_bytes(bytes), None);
        }
    }
}
