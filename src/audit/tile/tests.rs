//! Tiles against the definition of the tree, loading after a prune, and places that no tree has.
#![allow(clippy::cast_possible_truncation, reason = "the trees of tests are small")]

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::audit::tests_tree::{Rows, leaves, tree_hash};

fn load(size: u64, rows: &Rows, last_leaves: &[Hash]) -> Option<Edge> {
    let read = |id| Ok::<_, Infallible>(rows.tiles.get(&id).cloned());
    let Ok(edge) = Edge::load(size, read, last_leaves);
    edge
}

#[test]
fn tiles_have_the_hashes_of_the_definition() {
    let rows = Rows::of(1100);
    let keys: Vec<TileId> = rows.tiles.keys().copied().collect();
    let expected = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)].map(|(level, index)| TileId { level, index });
    assert_eq!(keys, expected);
    for index in 0..4 {
        let tile = &rows.tiles[&TileId { level: 0, index }];
        assert_eq!(tile.len(), 8192);
        assert_eq!(*tile, rows.leaves[256 * index as usize..][..256].concat());
    }
    let roots: Vec<Hash> = rows.leaves[..1024].chunks(256).map(tree_hash).collect();
    assert_eq!(rows.tiles[&TileId { level: 1, index: 0 }], roots.concat());
}

#[test]
fn a_leaf_gives_the_tiles_that_it_fills_and_the_grown_one_above() {
    let mut edge = Edge::default();
    let mut seen = Vec::new();
    for (number, leaf) in leaves(65_536 + 256).into_iter().enumerate() {
        let tiles = edge.append(leaf);
        if [254, 255, 256, 511, 65_535, 65_791].contains(&number) {
            seen.push(tiles.iter().map(|(id, bytes)| (id.level, id.index, bytes.len() / 32)).collect::<Vec<_>>());
        }
    }
    let expected = [
        vec![],
        vec![(0, 0, 256), (1, 0, 1)],
        vec![],
        vec![(0, 1, 256), (1, 0, 2)],
        vec![(0, 255, 256), (1, 0, 256), (2, 0, 1)],
        vec![(0, 256, 256), (1, 1, 1)],
    ];
    assert_eq!(seen, expected);
}

#[test]
fn an_edge_loads_at_each_size_also_after_a_prune() {
    let mut rows = Rows::default();
    let mut frontier = Frontier::default();
    for leaf in leaves(66_700) {
        let size = rows.edge.size();
        if size < 1100 || size % 256 < 2 && size % 4096 < 512 || size > 66_690 {
            assert_eq!(load(size, &rows, rows.last_leaves()).as_ref(), Some(&rows.edge), "{size}");
            assert!(rows.edge.agrees_with(&frontier), "{size}");
            rows.prune(size / 256 * 256);
        }
        rows.append(leaf);
        frontier.append(leaf);
    }
    let mut grown = load(66_700, &rows, rows.last_leaves()).unwrap();
    assert_eq!(grown.append([7; 32]), rows.edge.append([7; 32]), "what was loaded goes on like what was not");
    assert_eq!(grown, rows.edge);
}

#[test]
fn a_tile_that_has_grown_since_serves_an_older_size() {
    let rows = Rows::of(1100);
    let old = Rows::of(600);
    assert_eq!(load(600, &rows, old.last_leaves()), Some(old.edge));
}

#[test]
fn an_edge_does_not_load_from_less_than_it_needs() {
    let above = TileId { level: 1, index: 0 };
    let mut rows = Rows::of(600);
    let last = rows.last_leaves().to_vec();
    assert!(load(600, &rows, &last).is_some());
    for other in [&last[1..], &[last.clone(), vec![[0; 32]]].concat(), &[]] {
        assert_eq!(load(600, &rows, other), None);
    }
    assert_eq!(load(0, &rows, &last), None);
    assert_eq!(load(601, &rows, &last), None);
    assert_eq!(load(u64::MAX, &rows, &[[0; 32]; 255]), None);
    for bytes in [vec![], vec![0; 32], vec![0; 63], vec![0; 65], vec![0; 8224]] {
        rows.tiles.insert(above, bytes);
        assert_eq!(load(600, &rows, &last), None);
    }
    rows.tiles.remove(&above);
    assert_eq!(load(600, &rows, &last), None);
    let failed = Edge::load(600, |_| Err("disk"), &last);
    assert_eq!(failed, Err("disk"));
}

#[test]
fn an_edge_is_made_of_as_many_hashes_as_its_size_says() {
    let hashes = |count| vec![[1; 32]; count];
    let good = Edge::new(600, vec![hashes(88), hashes(2)]);
    assert!(good.is_some());
    assert_eq!(Edge::new(0, vec![]), Some(Edge::default()));
    for partial in [vec![], vec![hashes(88)], vec![hashes(87), hashes(2)], vec![hashes(88), hashes(2), vec![]]] {
        assert_eq!(Edge::new(600, partial), None);
    }
    assert_eq!(Edge::new(u64::MAX, vec![hashes(255); 8]), None);
}

#[test]
fn an_edge_agrees_with_the_frontier_of_its_tree_only() {
    let rows = Rows::of(700);
    let mut frontier = Frontier::default();
    for leaf in &rows.leaves {
        frontier.append(*leaf);
    }
    assert!(rows.edge.agrees_with(&frontier));
    for level in 0..2 {
        let mut edge = rows.edge.clone();
        edge.levels[level][0][5] ^= 1;
        assert!(!edge.agrees_with(&frontier));
    }
    frontier.append([0; 32]);
    assert!(!rows.edge.agrees_with(&frontier));
    assert!(!rows.edge.agrees_with(&Frontier::default()));
}

#[test]
fn nodes_are_those_of_the_definition() {
    for size in [1, 255, 256, 257, 700, 1100] {
        let rows = Rows::of(size);
        let nodes = rows.nodes();
        for height in 0..=11 {
            let width = 1 << height;
            for index in 0..=size / width {
                let Ok(found) = nodes.node(height, index);
                let range = (index * width) as usize..((index + 1) * width) as usize;
                assert_eq!(found, rows.leaves.get(range).map(tree_hash), "{size}: node {index} at {height}");
            }
        }
    }
}

#[test]
fn a_place_that_no_number_of_leaves_has_is_not_taken_for_another() {
    let rows = Rows::of(300);
    let nodes = rows.nodes();
    for (height, index) in [(1, 1 << 63), (7, 1 << 57), (7, (1 << 57) + 1), (8, 1 << 56), (8, 1 << 63), (64, 0)] {
        assert_eq!(nodes.node(height, index), Ok(None), "{index} at {height}");
    }
}

#[test]
fn a_prune_takes_the_nodes_inside_of_its_tiles_only() {
    let mut rows = Rows::of(1100);
    let (whole, young) = (rows.nodes().node(9, 1), rows.nodes().node(3, 1096 / 8));
    rows.prune(512);
    let nodes = rows.nodes();
    assert_eq!(nodes.node(0, 511), Ok(None));
    assert_eq!(nodes.node(7, 3), Ok(None));
    assert!(nodes.node(8, 0).unwrap().is_some());
    assert_eq!((nodes.node(9, 1), nodes.node(3, 1096 / 8)), (whole, young));
    assert!(nodes.node(0, 512).unwrap().is_some());
}

#[test]
fn a_tile_is_read_once_and_few_are_kept() {
    let rows = Rows::of(256 * 20 + 9);
    let reads = std::cell::Cell::new(0);
    let read = |id| {
        reads.set(reads.get() + 1);
        Ok::<_, Infallible>(rows.tiles.get(&id).cloned())
    };
    let nodes = TileNodes::new(read, |range: Range<u64>| Ok(rows.leaves[range.start as usize..].to_vec()));
    for index in 0..256 {
        assert!(nodes.node(0, index).unwrap().is_some());
    }
    assert_eq!(reads.get(), 1);
    for tile in 0..20 {
        nodes.node(8, tile).unwrap();
        nodes.node(3, 32 * tile).unwrap();
        assert!(nodes.cached.borrow().len() <= bound::TILES_CACHED_MAX);
    }
    assert_eq!(nodes.cached.borrow().len(), bound::TILES_CACHED_MAX);
}

#[test]
fn a_malformed_tile_has_no_nodes_and_a_failed_read_is_an_error() {
    for bytes in [vec![0; 31], vec![0; 8193], vec![0; 8224]] {
        let nodes = TileNodes::new(|_| Ok::<_, &str>(Some(bytes.clone())), |_| Err("not asked"));
        assert_eq!(nodes.node(0, 0), Ok(None));
        assert_eq!(nodes.node(8, 0), Ok(None));
    }
    let nodes = TileNodes::new(|_| Err("disk"), |_| Ok(vec![]));
    assert_eq!(nodes.node(0, 0), Err("disk"));
    let nodes = TileNodes::new(|_| Ok(None), |_| Err("disk"));
    assert_eq!(nodes.node(0, 0), Err("disk"));
}

#[test]
fn keys_are_sorted_by_level_and_from_left_to_right() {
    let ids = [(0, 0), (0, 255), (0, 256), (0, (1 << 56) - 1), (1, 0), (1, 3), (7, 0)];
    let keys = ids.map(|(level, index)| TileId { level, index }.to_key());
    assert!(keys.is_sorted());
    for key in keys {
        assert_eq!(TileId::from_key(&key).map(TileId::to_key), Some(key));
    }
}

#[test]
fn what_is_no_place_of_a_tile_does_not_decode() {
    let key = |level, index| TileId { level, index }.to_key();
    for key in [key(0, 1 << 56), key(1, 1 << 48), key(7, 1), key(8, 0), key(255, 0)] {
        assert_eq!(TileId::from_key(&key), None, "{key:?}");
    }
    assert_eq!(TileId::from_key(&key(0, 1)[..8]), None);
    assert_eq!(TileId::from_key(&[]), None);
    assert_eq!(TileId::from_key(&[0; 10]), None);
}

proptest! {
    #[test]
    fn any_place_is_looked_up_without_panic(height: u8, index: u64, shift in 0..64_u32) {
        let rows = Rows::of(5);
        let index = index >> shift;
        let Ok(found) = rows.nodes().node(height, index);
        let inside = height < 3 && (index + 1) << height <= 5;
        prop_assert_eq!(found.is_some(), inside);
    }

    #[test]
    fn any_edge_is_loaded_or_refused_without_panic(size: u64, shift in 0..64_u32, tile: Vec<u8>) {
        let size = size >> shift;
        let last = vec![[0; 32]; (size % 256) as usize];
        let Ok(found) = Edge::load(size, |_| Ok::<_, Infallible>(Some(tile.repeat(32))), &last);
        if let Some(mut edge) = found {
            prop_assert_eq!(edge.size(), size);
            edge.append([0; 32]);
        }
    }
}
