//! Proofs against the definitions, and that no changed proof passes.
#![allow(clippy::cast_possible_truncation, reason = "the trees of tests are small")]

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::audit::tests_tree::{self, Rows, leaves, tree_hash};

/// The roots of all logs up to these leaves.
fn roots(leaves: &[Hash]) -> Vec<Hash> {
    let mut frontier = Frontier::default();
    let mut roots = vec![frontier.root()];
    for leaf in leaves {
        frontier.append(*leaf);
        roots.push(frontier.root());
    }
    roots
}

/// Changed copies of a proof: none of them is the proof.
fn changed(proof: &[Hash], bit: usize) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        let mut flipped = proof.to_vec();
        flipped[at][bit / 8 % 32] ^= 1 << (bit % 8);
        let mut dropped = proof.to_vec();
        dropped.remove(at);
        let mut doubled = proof.to_vec();
        doubled.insert(at, proof[at]);
        all.extend([flipped, dropped, doubled]);
        for other in at + 1..proof.len() {
            let mut swapped = proof.to_vec();
            swapped.swap(at, other);
            all.push(swapped);
        }
    }
    for extra in [[0; 32], tree_hash(&[])] {
        all.push([proof, &[extra]].concat());
        all.push([&[extra], proof].concat());
    }
    all
}

/// How many hashes lead up from a leaf, which the RFCs do not say: one for each height at which its node has a sibling.
fn siblings(index: u64, size: u64) -> usize {
    let (mut at, mut last, mut siblings) = (index, size - 1, 0);
    while last > 0 {
        siblings += usize::from(at != last || at & 1 == 1);
        (at, last) = (at / 2, last / 2);
    }
    siblings
}

/// The same for a consistency proof: it starts from the last perfect subtree of the old log, and names its root unless
/// that is the old root.
fn siblings_of_log(old: u64, new: u64) -> usize {
    let height = old.trailing_zeros();
    let start = usize::from(!old.is_power_of_two() && old != new);
    if old == new { 0 } else { start + siblings((old >> height) - 1, ((new - 1) >> height) + 1) }
}

#[test]
fn a_proof_of_a_smaller_log_is_too_short_for_a_larger_one() {
    // Without a check of the length these pass: the root says nothing of the size.
    let leaves = leaves(4);
    let (old, new) = (tree_hash(&leaves[..2]), tree_hash(&leaves));
    let rest = tree_hash(&leaves[2..]);
    assert_eq!(verify_consistency(2, 4, &old, &new, &[rest]), Ok(()));
    assert_eq!(verify_inclusion(&leaves[0], 0, 4, &[leaves[1], rest], &new), Ok(()));
    for size in [5, 8, 1 << 40, u64::MAX] {
        assert_eq!(verify_consistency(2, size, &old, &new, &[rest]), Err(Wrong::Length));
        assert_eq!(verify_inclusion(&leaves[0], 0, size, &[leaves[1], rest], &new), Err(Wrong::Length));
    }
}

#[test]
fn proofs_are_those_of_the_definition_and_verify() {
    let rows = Rows::of(70);
    let nodes = rows.nodes();
    assert_eq!(root(&nodes, 0), Ok(tree_hash(&[])));
    for size in 1..=70 {
        let leaves = &rows.leaves[..size];
        let (top, new) = (tree_hash(leaves), size as u64);
        assert_eq!(root(&nodes, new), Ok(top));
        for index in 0..size {
            let proof = inclusion(&nodes, index as u64, new).unwrap();
            assert_eq!(proof, tests_tree::path(index, leaves), "{index} of {size}");
            assert_eq!(verify_inclusion(&leaves[index], index as u64, new, &proof, &top), Ok(()));
        }
        for old in 1..=size {
            let proof = consistency(&nodes, old as u64, new).unwrap();
            assert_eq!(proof, tests_tree::consistency(old, leaves), "{old} to {size}");
            assert_eq!(verify_consistency(old as u64, new, &tree_hash(&leaves[..old]), &top, &proof), Ok(()));
        }
    }
}

#[test]
fn the_frontier_of_a_size_is_the_one_that_grew() {
    let rows = Rows::of(1100);
    let mut grown = Frontier::default();
    for leaf in &rows.leaves {
        assert_eq!(frontier(&rows.nodes(), grown.size()).as_ref(), Ok(&grown));
        grown.append(*leaf);
    }
}

#[test]
fn what_no_log_has_is_not_proved() {
    let rows = Rows::of(20);
    let nodes = rows.nodes();
    assert_eq!(inclusion(&nodes, 20, 20), Err(ProofError::Index { index: 20, size: 20 }));
    assert_eq!(inclusion(&nodes, 0, 0), Err(ProofError::Index { index: 0, size: 0 }));
    assert_eq!(inclusion(&nodes, u64::MAX, u64::MAX), Err(ProofError::Index { index: u64::MAX, size: u64::MAX }));
    assert_eq!(consistency(&nodes, 0, 20), Err(ProofError::Sizes { old: 0, new: 20 }));
    assert_eq!(consistency(&nodes, 21, 20), Err(ProofError::Sizes { old: 21, new: 20 }));
    for size in [21, 32, 1 << 40, 1 << 63] {
        assert!(matches!(inclusion(&nodes, 3, size), Err(ProofError::Missing { .. })), "{size}");
        assert!(matches!(consistency(&nodes, 3, size), Err(ProofError::Missing { .. })), "{size}");
        assert!(matches!(root(&nodes, size), Err(ProofError::Missing { .. })), "{size}");
    }
    for size in [(1 << 63) + 1, u64::MAX] {
        assert_eq!(inclusion(&nodes, 3, size), Err(ProofError::Size(size)));
        assert_eq!(consistency(&nodes, 3, size), Err(ProofError::Size(size)));
        assert_eq!(root(&nodes, size), Err(ProofError::Size(size)));
    }
}

struct Unreadable;

impl Nodes for Unreadable {
    type Error = &'static str;

    fn node(&self, _: u8, _: u64) -> Result<Option<Hash>, &'static str> {
        Err("disk")
    }
}

#[test]
fn a_failed_read_is_an_error_of_its_own() {
    assert_eq!(inclusion(&Unreadable, 1, 2), Err(ProofError::Read("disk")));
    assert_eq!(root(&Unreadable, 2).unwrap_err().to_string(), "the tree could not be read: disk");
}

#[test]
fn a_pruned_log_proves_what_it_still_has() {
    let mut rows = Rows::of(2000);
    let roots: Vec<Hash> = (0..=2000).map(|size| root(&rows.nodes(), size).unwrap()).collect();
    let cut = 1024;
    rows.prune(cut);
    let nodes = rows.nodes();
    for index in (cut..2000).step_by(41) {
        for size in (index + 1..=2000).step_by(57) {
            let proof = inclusion(&nodes, index, size).unwrap();
            let leaf = &rows.leaves[index as usize];
            assert_eq!(verify_inclusion(leaf, index, size, &proof, &roots[size as usize]), Ok(()));
        }
    }
    for old in (cut..=2000).step_by(41) {
        for new in (old..=2000).step_by(57) {
            let proof = consistency(&nodes, old, new).unwrap();
            let (old_root, new_root) = (&roots[old as usize], &roots[new as usize]);
            assert_eq!(verify_consistency(old, new, old_root, new_root, &proof), Ok(()));
        }
    }
    assert!(matches!(inclusion(&nodes, 1000, 2000), Err(ProofError::Missing { .. })));
    assert!(matches!(consistency(&nodes, 1000, 2000), Err(ProofError::Missing { .. })));
    assert!(matches!(root(&nodes, 1000), Err(ProofError::Missing { .. })));
    assert_eq!(root(&nodes, 2000).as_ref(), Ok(&roots[2000]));
}

#[test]
fn an_empty_or_younger_log_continues_nothing() {
    let top = tree_hash(&leaves(3));
    assert_eq!(verify_consistency(0, 3, &tree_hash(&[]), &top, &[]), Err(Wrong::Sizes));
    assert_eq!(verify_consistency(0, 0, &top, &top, &[]), Err(Wrong::Sizes));
    assert_eq!(verify_consistency(4, 3, &top, &top, &[]), Err(Wrong::Sizes));
    assert_eq!(verify_consistency(3, 3, &top, &top, &[]), Ok(()));
    assert_eq!(verify_consistency(3, 3, &top, &[0; 32], &[]), Err(Wrong::Root));
    assert_eq!(verify_consistency(3, 3, &top, &top, &[top]), Err(Wrong::Length));
    assert_eq!(verify_inclusion(&top, 0, 0, &[], &top), Err(Wrong::Index));
}

proptest! {
    #[test]
    fn a_changed_inclusion_proof_is_refused(size in 1..300_u64, index: prop::sample::Index, bit in 0..256_usize) {
        let rows = Rows::of(size);
        let nodes = rows.nodes();
        let index = index.index(size as usize) as u64;
        let leaf = rows.leaves[index as usize];
        let top = root(&nodes, size).unwrap();
        let proof = inclusion(&nodes, index, size).unwrap();
        prop_assert_eq!(&proof, &tests_tree::path(index as usize, &rows.leaves));
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &top), Ok(()));
        for changed in changed(&proof, bit) {
            prop_assert!(verify_inclusion(&leaf, index, size, &changed, &top).is_err());
        }
        let (mut other_leaf, mut other_top) = (leaf, top);
        other_leaf[bit / 8] ^= 1 << (bit % 8);
        other_top[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(verify_inclusion(&other_leaf, index, size, &proof, &top), Err(Wrong::Root));
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &other_top), Err(Wrong::Root));
        for other in (0..size + 3).filter(|other| *other != index) {
            prop_assert!(verify_inclusion(&leaf, other, size, &proof, &top).is_err(), "at {}", other);
        }
        let roots = roots(&rows.leaves);
        for other in (1..size).chain([size + 1, 2 * size, u64::MAX]) {
            // Another size has another root, which is unknown where the log has not grown so far.
            let other_top = *roots.get(other as usize).unwrap_or(&[0; 32]);
            prop_assert!(verify_inclusion(&leaf, index, other, &proof, &other_top).is_err(), "in {}", other);
        }
    }

    #[test]
    fn a_changed_consistency_proof_is_refused(new in 2..300_u64, old: prop::sample::Index, bit in 0..256_usize) {
        let rows = Rows::of(new);
        let nodes = rows.nodes();
        let old = 1 + old.index(new as usize - 1) as u64;
        let all = roots(&rows.leaves);
        let roots = (all[old as usize], all[new as usize]);
        let proof = consistency(&nodes, old, new).unwrap();
        prop_assert_eq!(&proof, &tests_tree::consistency(old as usize, &rows.leaves));
        prop_assert_eq!(verify_consistency(old, new, &roots.0, &roots.1, &proof), Ok(()));
        for changed in changed(&proof, bit) {
            prop_assert!(verify_consistency(old, new, &roots.0, &roots.1, &changed).is_err());
        }
        let mut flipped = roots;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        flipped.1[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_consistency(old, new, &flipped.0, &roots.1, &proof).is_err());
        prop_assert_eq!(verify_consistency(old, new, &roots.0, &flipped.1, &proof), Err(Wrong::Root));
        prop_assert!(verify_consistency(old, new, &roots.1, &roots.0, &proof).is_err());
        for (other, other_root) in (0..new).zip(&all).filter(|(other, _)| *other != old) {
            prop_assert!(verify_consistency(other, new, other_root, &roots.1, &proof).is_err(), "from {}", other);
            prop_assert!(verify_consistency(old, other, &roots.0, other_root, &proof).is_err(), "to {}", other);
        }
    }

    #[test]
    fn a_log_that_was_rewritten_does_not_continue(new in 2..300_usize, old: prop::sample::Index, at: prop::sample::Index) {
        let old = 1 + old.index(new - 1);
        let before = leaves(new as u64);
        let mut rows = Rows::default();
        let at = at.index(old);
        for (number, leaf) in before.iter().enumerate() {
            rows.append(if number == at { [0; 32] } else { *leaf });
        }
        let nodes = rows.nodes();
        let proof = consistency(&nodes, old as u64, new as u64).unwrap();
        let (old_root, new_root) = (tree_hash(&before[..old]), root(&nodes, new as u64).unwrap());
        prop_assert!(verify_consistency(old as u64, new as u64, &old_root, &new_root, &proof).is_err());
    }

    #[test]
    fn a_hostile_proof_is_refused_without_panic(
        a: u64, b: u64, shift in 0..64_u32, proof in prop::collection::vec(any::<Hash>(), 0..70), leaf: Hash, top: Hash,
    ) {
        for (low, high) in [(a, b), (a >> shift, b), (a >> shift, b >> shift), (0, a), (a, u64::MAX)] {
            prop_assert!(verify_inclusion(&leaf, low, high, &proof, &top).is_err());
            prop_assert!(verify_consistency(low, high, &leaf, &top, &proof).is_err());
        }
    }

    #[test]
    fn one_length_of_proof_fits_each_place(a: u64, b: u64, shift in 0..64_u32) {
        let size = (a >> shift).max(1);
        let index = b % size;
        let (inclusion, consistency) = (siblings(index, size), siblings_of_log(index + 1, size));
        for length in 0..=70 {
            let proof = vec![[0; 32]; length];
            let found = verify_inclusion(&[1; 32], index, size, &proof, &[2; 32]);
            prop_assert_eq!(found, Err(if length == inclusion { Wrong::Root } else { Wrong::Length }));
            let found = verify_consistency(index + 1, size, &[1; 32], &[2; 32], &proof);
            prop_assert_eq!(found == Err(Wrong::Length), length != consistency, "{:?}", found);
        }
    }

    #[test]
    fn a_proof_file_reads_back(index: u64, size: u64, hashes in prop::collection::vec(any::<Hash>(), 0..=65)) {
        let proof = InclusionProof { index, size, hashes: hashes.clone() };
        let text = serde_json::to_string(&proof).unwrap();
        prop_assert_eq!(serde_json::from_str::<InclusionProof>(&text).unwrap(), proof);
        let proof = ConsistencyProof { old_size: index, new_size: size, hashes };
        let text = serde_json::to_string(&proof).unwrap();
        prop_assert_eq!(serde_json::from_str::<ConsistencyProof>(&text).unwrap(), proof);
    }

    #[test]
    fn any_bytes_are_read_as_a_proof_or_refused_without_panic(bytes: Vec<u8>) {
        prop_assert!(serde_json::from_slice::<InclusionProof>(&bytes).is_err());
    }
}

#[test]
fn a_proof_file_looks_like_this() {
    let rows = Rows::of(3);
    let Ok::<_, ProofError<Infallible>>(hashes) = inclusion(&rows.nodes(), 2, 3) else { panic!("no proof") };
    let proof = InclusionProof { index: 2, size: 3, hashes };
    let text = r#"{"index":2,"size":3,"hashes":["#.to_owned();
    let found = serde_json::to_string(&proof).unwrap();
    assert!(found.starts_with(&text) && found.ends_with("=\"]}"), "{found}");
    assert_eq!(proof.verify(&rows.leaves[2], &tree_hash(&rows.leaves)), Ok(()));
    let hashes = consistency(&rows.nodes(), 2, 3).unwrap();
    let proof = ConsistencyProof { old_size: 2, new_size: 3, hashes };
    assert_eq!(proof.verify(&tree_hash(&rows.leaves[..2]), &tree_hash(&rows.leaves)), Ok(()));
}

#[test]
fn malformed_proof_files_are_refused() {
    let hash = r#""AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=""#;
    let file = |hashes: &str| format!(r#"{{"index":1,"size":2,"hashes":[{hashes}]}}"#);
    let read = |text: &str| serde_json::from_str::<InclusionProof>(text);
    assert!(read(&file(hash)).is_ok());
    assert!(read(&file(&[hash; bound::PROOF_HASHES_MAX].join(","))).is_ok());
    let cases = [
        file(&[hash; bound::PROOF_HASHES_MAX + 1].join(",")),
        file("\"\""),
        file("1"),
        file("null"),
        file(&hash.replace("A=", "A")),
        file(&hash.replace("A=", "B=")),
        file(&hash.replace("AAA=", "A==")),
        file(&hash.replace("AAAA", "AAA_")),
        file(&hash.replace("A=", "AAAA=")),
        file(hash).replace("\"index\":1", "\"index\":-1"),
        file(hash).replace("\"index\":1", "\"index\":1.0"),
        file(hash).replace("\"index\":1", "\"index\":\"1\""),
        file(hash).replace("\"index\":1", "\"index\":18446744073709551616"),
        file(hash).replace("\"index\":1,", ""),
        file(hash).replace("\"index\":1,", "\"index\":1,\"index\":1,"),
        file(hash).replace("\"index\":1,", "\"index\":1,\"leaf\":1,"),
        file(hash).replace("index", "old_size"),
        format!("{} x", file(hash)),
        "[]".into(),
        "{}".into(),
        String::new(),
    ];
    for text in cases {
        assert!(read(&text).is_err(), "{text}");
    }
    assert!(serde_json::from_str::<ConsistencyProof>(&file(hash)).is_err());
}
