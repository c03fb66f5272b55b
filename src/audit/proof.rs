//! Merkle proofs: that an entry is in the log, and that one log continues another (RFC 6962, section 2.1).

use serde::{Deserialize, Serialize};

use super::tile::Nodes;
use super::tree::{Frontier, node_hash};
use crate::base::bound;
use crate::crypto::digest::Hash;

/// Why a proof could not be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    #[error("there is no entry {index} in a log of {size} entries; the last one is {size} - 1")]
    Index { index: u64, size: u64 },
    #[error("expected an old size from 1 to the new size {new}, found {old}")]
    Sizes { old: u64, new: u64 },
    #[error("a log of {0} entries is more than any has ({max})", max = bound::TREE_LEAVES_MAX)]
    Size(u64),
    #[error(
        "the tree has no node {index} at height {height}: the log has fewer entries, or these were pruned; ask for \
         younger entries, or take the proof from an export made before"
    )]
    Missing { height: u8, index: u64 },
    #[error("the tree could not be read: {0}")]
    Read(E),
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("expected an index below the size")]
    Index,
    #[error("expected an old size of at least 1 that is not above the new size")]
    Sizes,
    #[error("the proof has too few or too many hashes for these sizes")]
    Length,
    #[error("the proof leads to another root: the entry, its index or the log is not the one that was signed")]
    Root,
    #[error("the proof starts from another old root: the log that was signed then is not a part of this one")]
    OldRoot,
}

/// The root of the first `size` leaves; that of none is the hash of nothing.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, ProofError<N::Error>> {
    Ok(frontier(nodes, size)?.root())
}

/// The frontier of the first `size` leaves.
pub fn frontier<N: Nodes>(nodes: &N, size: u64) -> Result<Frontier, ProofError<N::Error>> {
    if size > bound::TREE_LEAVES_MAX {
        return Err(ProofError::Size(size));
    }
    let peaks = peaks(nodes, Leaves { begin: 0, end: size })?;
    Frontier::of_peaks(size, peaks).ok_or(ProofError::Size(size))
}

/// PATH(index, D\[size\]) of RFC 6962, section 2.1.1: the hashes that lead from the leaf to the root, lowest first; at
/// most 63.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, ProofError<N::Error>> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    if size > bound::TREE_LEAVES_MAX {
        return Err(ProofError::Size(size));
    }
    let mut siblings = Vec::new();
    let mut at = Leaves { begin: 0, end: size };
    while at.end - at.begin > 1 {
        let (left, right) = at.split();
        let (next, sibling) = if index < right.begin { (left, right) } else { (right, left) };
        siblings.push(sibling);
        at = next;
    }
    siblings.into_iter().rev().map(|leaves| subtree(nodes, leaves)).collect()
}

/// PROOF(old, D\[new\]) of RFC 6962, section 2.1.2: the hashes that lead from the old root to both; at most 64.
///
/// The RFC leaves `old == 0` undefined. Every log continues an empty one, so there is nothing to prove, and this
/// refuses to, as [`verify_consistency`] does: what is always true must not look like a check that was passed.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, ProofError<N::Error>> {
    if old == 0 || old > new {
        return Err(ProofError::Sizes { old, new });
    }
    if new > bound::TREE_LEAVES_MAX {
        return Err(ProofError::Size(new));
    }
    let mut parts = Vec::new();
    let mut at = Leaves { begin: 0, end: new };
    while at.end != old {
        let (left, right) = at.split();
        let (next, sibling) = if old <= right.begin { (left, right) } else { (right, left) };
        parts.push(sibling);
        at = next;
    }
    // A subtree that begins the log is the old log itself: its root is known to whoever asks.
    if at.begin > 0 {
        parts.push(at);
    }
    parts.into_iter().rev().map(|leaves| subtree(nodes, leaves)).collect()
}

/// Checks that the leaf with this hash has this index in the log of this size and root (RFC 9162, section 2.1.3.2).
///
/// Size and root belong together: take both from one signed checkpoint. A proof for a wrong size may lead to the root
/// all the same, for a root does not say how many leaves there are.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), Wrong> {
    if index >= size {
        return Err(Wrong::Index);
    }
    let mut climb = Climb { index, last: size - 1 };
    let mut hash = *leaf;
    for sibling in proof {
        hash = match climb.up().ok_or(Wrong::Length)? {
            Side::Left => node_hash(sibling, &hash),
            Side::Right => node_hash(&hash, sibling),
        };
    }
    match climb.last {
        0 if hash == *root => Ok(()),
        0 => Err(Wrong::Root),
        _ => Err(Wrong::Length),
    }
}

/// Checks that the log of the new size and root begins with the one of the old size and root (RFC 9162, section
/// 2.1.4.2). An old size of 0 is refused, see [`consistency`]. Each size belongs to its root, see [`verify_inclusion`].
pub fn verify_consistency(old: u64, new: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> Result<(), Wrong> {
    if old == 0 || old > new {
        return Err(Wrong::Sizes);
    }
    if old == new {
        return match proof {
            [] if old_root == new_root => Ok(()),
            [] => Err(Wrong::Root),
            _ => Err(Wrong::Length),
        };
    }
    // A perfect old tree is a node of the new one, so the proof does not repeat its root.
    let (first, rest) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(Wrong::Length)? };
    let mut climb = Climb { index: old - 1, last: new - 1 };
    climb.rise(climb.index.trailing_ones());
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        match climb.up().ok_or(Wrong::Length)? {
            Side::Left => {
                old_hash = node_hash(sibling, &old_hash);
                new_hash = node_hash(sibling, &new_hash);
            }
            Side::Right => new_hash = node_hash(&new_hash, sibling),
        }
    }
    if climb.last != 0 {
        return Err(Wrong::Length);
    }
    if old_hash != *old_root {
        return Err(Wrong::OldRoot);
    }
    if new_hash == *new_root { Ok(()) } else { Err(Wrong::Root) }
}

/// The way from a node up to the root: `fn` and `sn` of RFC 9162.
struct Climb {
    /// Of the node, among those of its height.
    index: u64,
    /// Of the last node of that height; 0 at the root.
    last: u64,
}

/// On which side of a node its sibling stands.
enum Side {
    Left,
    Right,
}

impl Climb {
    /// One hash of a proof up, past the heights at which the last node has no sibling. `None` at the root: the proof is
    /// too long.
    fn up(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.index & 1 == 1 || self.index == self.last {
            // The last node without a sibling goes up as it is.
            self.rise(self.index.trailing_zeros());
            Side::Left
        } else {
            Side::Right
        };
        self.rise(1);
        Some(side)
    }

    /// Up by so many heights, at most 64.
    fn rise(&mut self, heights: u32) {
        self.index = self.index.checked_shr(heights).unwrap_or(0);
        self.last = self.last.checked_shr(heights).unwrap_or(0);
    }
}

/// The leaves from `begin` up to `end`, for which the RFC writes D\[begin:end\]. `begin` is a multiple of a power of two
/// that is not smaller than their number.
#[derive(Clone, Copy)]
struct Leaves {
    begin: u64,
    end: u64,
}

impl Leaves {
    /// At the largest power of two that is smaller than their number, of which there are at least two.
    fn split(self) -> (Self, Self) {
        let middle = self.begin + (1 << (self.end - self.begin - 1).ilog2());
        (Self { end: middle, ..self }, Self { begin: middle, ..self })
    }
}

/// MTH(D\[begin:end\]) of leaves of which there is at least one.
fn subtree<N: Nodes>(nodes: &N, leaves: Leaves) -> Result<Hash, ProofError<N::Error>> {
    let peaks = peaks(nodes, leaves)?;
    let folded = peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    folded.ok_or(ProofError::Missing { height: 0, index: leaves.begin })
}

/// The roots of their perfect subtrees, largest first.
fn peaks<N: Nodes>(nodes: &N, leaves: Leaves) -> Result<Vec<Hash>, ProofError<N::Error>> {
    let mut peaks = Vec::new();
    let mut at = leaves.begin;
    while let Some(height) = (leaves.end - at).checked_ilog2() {
        let index = at >> height;
        // A height is below 64.
        let height = u8::try_from(height).unwrap_or(u8::MAX);
        let node = nodes.node(height, index).map_err(ProofError::Read)?;
        peaks.push(node.ok_or(ProofError::Missing { height, index })?);
        at += 1 << height;
    }
    Ok(peaks)
}

/// An inclusion proof as a file: JSON, each hash in base64 (RFC 4648, section 4) like the root in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    pub index: u64,
    pub size: u64,
    #[serde(with = "hashes")]
    pub hashes: Vec<Hash>,
}

impl InclusionProof {
    /// See [`verify_inclusion`].
    pub fn verify(&self, leaf: &Hash, root: &Hash) -> Result<(), Wrong> {
        verify_inclusion(leaf, self.index, self.size, &self.hashes, root)
    }
}

/// A consistency proof as a file, in the form of an [`InclusionProof`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    pub old_size: u64,
    pub new_size: u64,
    #[serde(with = "hashes")]
    pub hashes: Vec<Hash>,
}

impl ConsistencyProof {
    /// See [`verify_consistency`].
    pub fn verify(&self, old_root: &Hash, new_root: &Hash) -> Result<(), Wrong> {
        verify_consistency(self.old_size, self.new_size, old_root, new_root, &self.hashes)
    }
}

/// Hashes in JSON: a list of at most [`bound::PROOF_HASHES_MAX`] texts.
mod hashes {
    use std::fmt;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
    use serde::ser::Serializer;

    use crate::base::bound;
    use crate::crypto::digest::Hash;

    pub(super) fn serialize<S: Serializer>(hashes: &[Hash], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(|hash| STANDARD.encode(hash)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hash>, D::Error> {
        deserializer.deserialize_seq(Hashes)
    }

    struct Hashes;

    impl<'de> Visitor<'de> for Hashes {
        type Value = Vec<Hash>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {} hashes of 32 bytes in base64", bound::PROOF_HASHES_MAX)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<Hash>, A::Error> {
            let mut hashes = Vec::new();
            while let Some(text) = texts.next_element::<String>()? {
                if hashes.len() >= bound::PROOF_HASHES_MAX {
                    return Err(A::Error::custom(format!("more than {} hashes", bound::PROOF_HASHES_MAX)));
                }
                let hash = STANDARD.decode(&text).ok().and_then(|bytes| Hash::try_from(bytes).ok());
                hashes.push(hash.ok_or_else(|| A::Error::custom("a hash is not 32 bytes in base64"))?);
            }
            Ok(hashes)
        }
    }
}

#[cfg(test)]
mod tests;
