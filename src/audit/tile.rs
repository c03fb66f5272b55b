//! Tiles of 256 hashes (<https://c2sp.org/tlog-tiles>): the tree as rows that are written once a tile, and read back.
//!
//! A tile of level L, index i holds the roots of the perfect subtrees of 2^(8L) leaves at the positions 256i to
//! 256i + 255, 32 bytes each. Level 0 is stored only when full, for until then its hashes are those of the last leaves.
//! From level 1 on a tile is written again, one hash longer, each time that a tile below it becomes full: at most 8 KiB
//! in 256 leaves, and nothing at all in most commits. Storing the [`Edge`] itself would cost some kilobytes in each
//! commit; storing full tiles only would lose, when level 0 is pruned, the hashes of the incomplete tile of level 1.
//! So there is one row per tile, and its length says how full it is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use super::tree::{Frontier, node_hash};
use crate::base::bound;
use crate::crypto::digest::Hash;

/// Hashes of a full tile.
pub const TILE_HASHES: usize = 256;
/// Levels of tiles: eight of eight bits each hold any size.
const LEVELS: u8 = 8;

/// Where a tile is in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 to 7; a tile of level L has the roots of subtrees of 256^L leaves.
    pub level: u8,
    /// How many tiles of its level are left of it.
    pub index: u64,
}

impl TileId {
    /// Level, then index u64 BE: tiles are sorted by level, and from left to right.
    pub fn to_key(self) -> [u8; 9] {
        let mut key = [self.level; 9];
        key[1..].copy_from_slice(&self.index.to_be_bytes());
        key
    }

    /// What [`Self::to_key`] wrote; `None` for anything else, and for places that no tree of 2^64 leaves has.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (&level, index) = key.split_first()?;
        let index = u64::from_be_bytes(index.try_into().ok()?);
        let bits = 8 * u32::from((LEVELS - 1).checked_sub(level)?);
        (index >> bits == 0).then_some(Self { level, index })
    }

    /// The tile of this level that has the hash at `position`.
    fn at(level: u8, position: u64) -> Self {
        Self { level, index: position / TILE_HASHES as u64 }
    }
}

/// The incomplete tiles at the right-hand side of a tree: at most 8 levels of 255 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// From level 0 up; as many as the size has bytes, each with as many hashes as its byte says.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of `size` leaves with these incomplete tiles, level 0 first. `None` if there are not as many
    /// levels and hashes as the size says, or more leaves than [`bound::TREE_LEAVES_MAX`].
    pub fn new(size: u64, partial: Vec<Vec<Hash>>) -> Option<Self> {
        let good = size <= bound::TREE_LEAVES_MAX
            && partial.len() == usize::from(levels_of(size))
            && (0..LEVELS).zip(&partial).all(|(level, hashes)| hashes.len() == hashes_of(size, level));
        good.then_some(Self { size, levels: partial })
    }

    /// Reads the edge of a tree of `size` leaves: a tile for each level from 1 on, and the leaf hashes of the incomplete
    /// tile of level 0 (leaves `size - size % 256` to `size - 1`). A tile that has grown since serves too.
    ///
    /// It needs no tile of level 0, so a pruned log loads. `None` when a tile is missing, too short or malformed, or
    /// when these are not the last leaves; then compare with nothing and build a new edge from all leaves, if there are
    /// all. Whether the hashes are right, [`Self::agrees_with`] says.
    pub fn load<E>(
        size: u64,
        mut read_tile: impl FnMut(TileId) -> Result<Option<Vec<u8>>, E>,
        last_leaves: &[Hash],
    ) -> Result<Option<Self>, E> {
        if last_leaves.len() != hashes_of(size, 0) {
            return Ok(None);
        }
        let mut levels = Vec::new();
        for level in 0..levels_of(size) {
            let wanted = hashes_of(size, level);
            let hashes = match (level, wanted) {
                (0, _) => Some(last_leaves.to_vec()),
                (_, 0) => Some(Vec::new()),
                _ => {
                    let bytes = read_tile(TileId::at(level, positions_of(size, level)))?;
                    bytes.and_then(|bytes| Some(hashes_in(&bytes)?.get(..wanted)?.to_vec()))
                }
            };
            let Some(hashes) = hashes else { return Ok(None) };
            levels.push(hashes);
        }
        Ok(Self::new(size, levels))
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf and gives the tiles to store with it, in order: none most of the time; when the leaf fills a tile
    /// of level 0, that tile (8192 bytes), and the one above it, one hash longer; and so on as far as tiles become full.
    /// A tile of a key that was stored before replaces it.
    pub fn append(&mut self, leaf: Hash) -> Vec<(TileId, Vec<u8>)> {
        let last = self.size;
        self.size += 1;
        let mut tiles = Vec::new();
        let mut hash = leaf;
        for level in 0..LEVELS {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::with_capacity(TILE_HASHES));
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { break };
            hashes.push(hash);
            let full = hashes.len() == TILE_HASHES;
            if full || level > 0 {
                tiles.push((TileId::at(level, positions_of(last, level)), hashes.concat()));
            }
            if !full {
                break;
            }
            hash = root_of(hashes);
            hashes.clear();
        }
        tiles
    }

    /// Whether this is the edge of the tree that has this frontier. Two separate records of one tree: ask after loading.
    pub fn agrees_with(&self, frontier: &Frontier) -> bool {
        let peaks = self.levels.iter().rev().flat_map(|hashes| frontier_of(hashes).peaks().to_vec()).collect();
        Frontier::of_peaks(self.size, peaks).as_ref() == Some(frontier)
    }
}

/// How many perfect subtrees of 256^level leaves a tree of `size` leaves has.
fn positions_of(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// How many of them are in the incomplete tile of that level.
fn hashes_of(size: u64, level: u8) -> usize {
    usize::from(positions_of(size, level).to_be_bytes()[7])
}

fn levels_of(size: u64) -> u8 {
    (0..LEVELS).take_while(|level| positions_of(size, *level) > 0).fold(0, |levels, _| levels + 1)
}

fn frontier_of(hashes: &[Hash]) -> Frontier {
    let mut frontier = Frontier::default();
    for hash in hashes {
        frontier.append(*hash);
    }
    frontier
}

/// The root over the hashes as if they were leaves: of a power of two of them, the root of their perfect subtree.
fn root_of(hashes: &[Hash]) -> Hash {
    frontier_of(hashes).root()
}

/// The hashes of a stored tile; `None` when no tile looks like this.
fn hashes_in(bytes: &[u8]) -> Option<&[Hash]> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && hashes.len() <= TILE_HASHES).then_some(hashes)
}

/// The nodes of a tree, from which proofs are made.
pub trait Nodes {
    type Error;

    /// The root of the perfect subtree of 2^height leaves that has `index` such subtrees on its left. `None` when it is
    /// not there: it was pruned, or the tree has not as many leaves.
    fn node(&self, height: u8, index: u64) -> Result<Option<Hash>, Self::Error>;
}

/// The nodes of a stored tree: of one snapshot, for what was read is kept.
pub struct TileNodes<F, G> {
    read_tile: F,
    read_leaves: G,
    /// The last few tiles, oldest first; borrowed for a look, never across a read.
    cached: RefCell<VecDeque<(TileId, Rc<Subtree>)>>,
}

/// The nodes inside of a tile by their height above its hashes, 0 to 7. Proofs ask for one of each height, which costs
/// as many hashes as making all.
type Subtree = Vec<Vec<Hash>>;

fn subtree_of(hashes: Vec<Hash>) -> Subtree {
    let pairs =
        |row: &Vec<Hash>| Some(row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect());
    std::iter::successors(Some(hashes), pairs).take(8).collect()
}

impl<F, G> fmt::Debug for TileNodes<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TileNodes")
    }
}

impl<F, G, E> TileNodes<F, G>
where
    F: Fn(TileId) -> Result<Option<Vec<u8>>, E>,
    G: Fn(Range<u64>) -> Result<Vec<Hash>, E>,
{
    /// `read_tile` gives a stored tile. `read_leaves` gives the hashes of the leaves of this range, up to the end of the
    /// log; it is asked for 256 where no tile of level 0 is stored, and gives none if the first of them is pruned.
    pub fn new(read_tile: F, read_leaves: G) -> Self {
        Self { read_tile, read_leaves, cached: RefCell::default() }
    }

    fn tile(&self, id: TileId) -> Result<Rc<Subtree>, E> {
        if let Some((_, subtree)) = self.cached.borrow().iter().find(|(known, _)| *known == id) {
            return Ok(Rc::clone(subtree));
        }
        let stored = (self.read_tile)(id)?;
        let hashes = match stored.as_deref().map(hashes_in) {
            Some(hashes) => hashes.unwrap_or_default().to_vec(),
            None if id.level == 0 => {
                let first = id.index.saturating_mul(TILE_HASHES as u64);
                let mut leaves = (self.read_leaves)(first..first.saturating_add(TILE_HASHES as u64))?;
                leaves.truncate(TILE_HASHES);
                leaves
            }
            None => Vec::new(),
        };
        let subtree = Rc::new(subtree_of(hashes));
        let mut cached = self.cached.borrow_mut();
        if cached.len() >= bound::TILES_CACHED_MAX {
            cached.pop_front();
        }
        cached.push_back((id, Rc::clone(&subtree)));
        Ok(subtree)
    }
}

impl<F, G, E> Nodes for TileNodes<F, G>
where
    F: Fn(TileId) -> Result<Option<Vec<u8>>, E>,
    G: Fn(Range<u64>) -> Result<Vec<Hash>, E>,
{
    type Error = E;

    fn node(&self, height: u8, index: u64) -> Result<Option<Hash>, E> {
        // No tree has a node of which the leaves would be numbered beyond 2^64.
        if u32::from(height) > index.leading_zeros() || height >= 8 * LEVELS {
            return Ok(None);
        }
        // The node stands inside of a tile, at a height of 0 to 7 above its hashes.
        let (level, within) = (height / 8, height % 8);
        let tile = self.tile(TileId::at(level, index << within))?;
        let row = tile.get(usize::from(within));
        let place = usize::from(index.to_be_bytes()[7] & (u8::MAX >> within));
        Ok(row.and_then(|row| row.get(place)).copied())
    }
}

#[cfg(test)]
mod tests;
