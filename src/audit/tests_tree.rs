//! Trees for the tests of this room: the definitions of RFC 6962 word for word, and a log of rows in memory.
#![allow(clippy::cast_possible_truncation, reason = "the trees of tests are small")]

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::tile::{Edge, Nodes, TileId, TileNodes};
use super::tree::{leaf_hash, node_hash};
use crate::crypto::digest::{Hash, sha256};

/// Hashes of that many leaves, no two alike.
pub(super) fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_le_bytes())).collect()
}

/// MTH(D[n]) of section 2.1.
pub(super) fn tree_hash(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves));
            node_hash(&tree_hash(left), &tree_hash(right))
        }
    }
}

/// PATH(m, D[n]) of section 2.1.1.
pub(super) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if index < k { (path(index, left), right) } else { (path(index - k, right), left) };
    path.push(tree_hash(sibling));
    path
}

/// PROOF(m, D[n]) of section 2.1.2.
pub(super) fn consistency(old: usize, leaves: &[Hash]) -> Vec<Hash> {
    subproof(old, leaves, true)
}

fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![tree_hash(leaves)] };
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) =
        if old <= k { (subproof(old, left, whole), right) } else { (subproof(old - k, right, false), left) };
    proof.push(tree_hash(sibling));
    proof
}

/// The largest power of two smaller than the number of leaves.
fn split(leaves: &[Hash]) -> usize {
    leaves.len().next_power_of_two() / 2
}

/// A log as its rows: leaf hashes and tiles.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) edge: Edge,
    pub(super) leaves: Vec<Hash>,
    pub(super) tiles: BTreeMap<TileId, Vec<u8>>,
    /// How many leaves are gone.
    pub(super) pruned: u64,
}

impl Rows {
    pub(super) fn of(size: u64) -> Self {
        let mut rows = Self::default();
        for leaf in leaves(size) {
            rows.append(leaf);
        }
        rows
    }

    pub(super) fn append(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
        self.tiles.extend(self.edge.append(leaf));
    }

    /// Takes the leaves before this multiple of 256 away, and their tiles of level 0.
    pub(super) fn prune(&mut self, pruned: u64) {
        self.pruned = pruned;
        self.tiles.retain(|id, _| id.level > 0 || id.index >= pruned / 256);
    }

    /// The leaf hashes of the incomplete tile of level 0.
    pub(super) fn last_leaves(&self) -> &[Hash] {
        &self.leaves[self.leaves.len() / 256 * 256..]
    }

    pub(super) fn nodes(&self) -> impl Nodes<Error = Infallible> {
        let tile = |id| Ok(self.tiles.get(&id).cloned());
        let leaves = |range: std::ops::Range<u64>| {
            if range.start < self.pruned {
                return Ok(Vec::new());
            }
            let end = (range.end as usize).min(self.leaves.len());
            Ok(self.leaves.get(range.start as usize..end).unwrap_or_default().to_vec())
        };
        TileNodes::new(tile, leaves)
    }
}
