//! The Merkle tree of RFC 6962, section 2.1: its two hashes, and the frontier from which it grows.

use crate::base::bound;
use crate::crypto::digest::{Hash, sha256};

/// Hash of a leaf: SHA-256(0x00 || bytes).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// Hash of a node over its two subtrees: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
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
    /// The frontier of a tree whose perfect subtrees have these roots, largest first. `None` if there are not as many
    /// as `size` has one bits, or more leaves than [`bound::TREE_LEAVES_MAX`].
    pub fn of_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        let good = size <= bound::TREE_LEAVES_MAX && peaks.len() == size.count_ones() as usize;
        good.then_some(Self { size, peaks })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first: one for each one bit of the size.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
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
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.peaks.iter().flatten());
        bytes
    }

    /// What [`Self::to_bytes`] wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let (peaks, rest) = rest.as_chunks::<32>();
        if !rest.is_empty() {
            return None;
        }
        Self::of_peaks(u64::from_be_bytes(*size), peaks.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests_tree::{leaves, tree_hash};
    use crate::base::id::hex;

    #[test]
    fn the_frontier_has_the_root_of_the_definition() {
        let leaves = leaves(200);
        let mut frontier = Frontier::default();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), tree_hash(&leaves[..size]), "{size} leaves");
            assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).as_ref(), Some(&frontier));
            assert_eq!(Frontier::of_peaks(size as u64, frontier.peaks().to_vec()).as_ref(), Some(&frontier));
            frontier.append(leaves[size]);
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
        let endless = [&[u8::MAX; 8][..], &[0; 64 * 32]].concat();
        for bytes in [&b""[..], &[0; 7], &[0, 0, 0, 0, 0, 0, 0, 1], &[1; 41], &endless] {
            assert_eq!(Frontier::from_bytes(bytes), None);
        }
        assert_eq!(Frontier::of_peaks(3, leaves(1)), None);
        assert_eq!(Frontier::of_peaks(u64::MAX, leaves(64)), None);
    }
}
