//! Trees, proofs, tiles, notes and checkpoints against implementations by others: we write what they read, and back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sekisho::audit::checkpoint::Checkpoint;
use sekisho::audit::proof;
use sekisho::audit::tile::{Edge, Nodes, TileId, TileNodes};
use sekisho::audit::tree::{Frontier, leaf_hash};
use sekisho::base::secret::Secret;
use sekisho::crypto::digest::Hash;
use sekisho::crypto::sign::{SigningKey, VerifyingKey, open_note};
use sha2::Sha256;
use signed_note::{Note, Signer as _, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::tlog;

const NAME: &str = "example.com/audit";

/// A log as we keep it.
#[derive(Default)]
struct Ours {
    frontier: Frontier,
    edge: Edge,
    leaves: Vec<Hash>,
    tiles: HashMap<TileId, Vec<u8>>,
}

impl Ours {
    fn append(&mut self, leaf: Hash) {
        self.frontier.append(leaf);
        self.tiles.extend(self.edge.append(leaf));
        self.leaves.push(leaf);
    }

    fn nodes(&self) -> impl Nodes<Error = Infallible> {
        let leaves = |range: Range<u64>| {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            Ok(self.leaves[range.start..range.end.min(self.leaves.len())].to_vec())
        };
        TileNodes::new(|id| Ok(self.tiles.get(&id).cloned()), leaves)
    }
}

/// A log as `tlog_tiles` keeps it: each hash in the order in which it is known.
#[derive(Default)]
struct Theirs(Vec<tlog::Hash>);

impl Theirs {
    fn append(&mut self, number: u64, leaf: Hash) {
        let hashes = tlog::stored_hashes_for_record_hash(number, tlog::Hash(leaf), self).unwrap();
        self.0.extend(hashes);
    }
}

impl tlog::HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

/// The one of ours as the other's.
fn their(hashes: &[Hash]) -> Vec<tlog::Hash> {
    hashes.iter().copied().map(tlog::Hash).collect()
}

fn leaf(number: u64) -> [u8; 8] {
    number.to_le_bytes()
}

/// A few places below `size`: the ends, where tiles meet, and some between.
fn places(size: u64) -> impl Iterator<Item = u64> {
    let mut places = vec![0, size / 3, size.saturating_sub(1), 255, 256, size * size % 997];
    places.retain(|place| *place < size);
    places.sort_unstable();
    places.dedup();
    places.into_iter()
}

/// Our proofs at a place in a log of some size.
struct Proofs {
    place: u64,
    inclusion: Vec<Hash>,
    /// From the log that ends with this place.
    consistency: Vec<Hash>,
}

/// Our proofs of a log of that size, which may have grown since, against those of `tlog_tiles`; each is verified by the
/// other.
fn check_proofs(ours: &Ours, theirs: &Theirs, size: u64) -> Vec<Proofs> {
    let nodes = ours.nodes();
    let root = proof::root(&nodes, size).unwrap();
    let their_root = tlog::tree_hash(size, theirs).unwrap();
    assert_eq!(root, their_root.0, "{size} leaves");
    let check = |place| {
        let leaf = ours.leaves[usize::try_from(place).unwrap()];
        let inclusion = proof::inclusion(&nodes, place, size).unwrap();
        assert_eq!(their(&inclusion), tlog::prove_record(size, place, theirs).unwrap(), "{place} of {size}");
        proof::verify_inclusion(&leaf, place, size, &inclusion, &root).unwrap();
        tlog::check_record(&their(&inclusion), size, their_root, place, tlog::Hash(leaf)).unwrap();
        let old = place + 1;
        let consistency = proof::consistency(&nodes, old, size).unwrap();
        assert_eq!(their(&consistency), tlog::prove_tree(size, old, theirs).unwrap(), "{old} to {size}");
        let old_root = tlog::tree_hash(old, theirs).unwrap();
        proof::verify_consistency(old, size, &old_root.0, &root, &consistency).unwrap();
        tlog::check_tree(&their(&consistency), size, their_root, old, old_root).unwrap();
        Proofs { place, inclusion, consistency }
    };
    places(size).map(check).collect()
}

#[test]
fn all_logs_up_to_a_thousand_entries_are_those_of_two_others() {
    let (mut ours, mut theirs) = (Ours::default(), Theirs::default());
    let mut third = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for size in 0..=1000 {
        assert_eq!(ours.frontier.root().as_slice(), third.root().as_bytes().as_slice(), "{size} leaves");
        assert!(ours.edge.agrees_with(&ours.frontier));
        for proofs in check_proofs(&ours, &theirs, size) {
            let place = usize::try_from(proofs.place).unwrap();
            assert_eq!(proofs.inclusion.concat(), third.prove_inclusion(place).as_bytes());
            let added = ours.leaves.len() - 1 - place;
            let consistency = proofs.consistency.concat();
            // The third one writes a proof from a log to itself as its root, where the RFC has nothing.
            assert!(added == 0 && consistency.is_empty() || consistency == third.prove_consistency(added).as_bytes());
        }
        ours.append(leaf_hash(&leaf(size)));
        theirs.append(size, leaf_hash(&leaf(size)));
        third.push(leaf(size));
    }
}

#[test]
fn a_log_of_a_million_entries_is_that_of_another() {
    let (mut ours, mut theirs) = (Ours::default(), Theirs::default());
    for number in 0..1_000_000 {
        let leaf = tlog::record_hash(&leaf(number)).0;
        ours.tiles.extend(ours.edge.append(leaf));
        ours.leaves.push(leaf);
        theirs.append(number, leaf);
    }
    let frontier = proof::frontier(&ours.nodes(), 1_000_000).unwrap();
    assert_eq!(frontier.root(), tlog::tree_hash(1_000_000, &theirs).unwrap().0);
    assert!(ours.edge.agrees_with(&frontier));
    for size in [65_535, 65_536, 65_537, 524_288, 777_777, 983_040, 999_936, 999_999, 1_000_000] {
        check_proofs(&ours, &theirs, size);
    }
    let first_last = ours.leaves.len() / 256 * 256;
    let read = |id| Ok::<_, Infallible>(ours.tiles.get(&id).filter(|_| id.level > 0).cloned());
    assert_eq!(Edge::load(1_000_000, read, &ours.leaves[first_last..]), Ok(Some(ours.edge.clone())));
}

/// Our tiles, for their reader, which checks each of them against the root.
impl tlog_tiles::TileReader for Ours {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let id = TileId { level: tile.level(), index: tile.level_index() };
            let width = usize::try_from(tile.width()).unwrap();
            let last = self.leaves.len() / 256 * 256;
            let stored = self.tiles.get(&id).cloned().unwrap_or_else(|| self.leaves[last..].concat());
            stored[..32 * width].to_vec()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn another_reader_finds_its_proofs_in_our_tiles() {
    let mut ours = Ours::default();
    for size in 0..=66_000 {
        if [1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 66_000].contains(&size) {
            let root = tlog::Hash(ours.frontier.root());
            let reader = tlog_tiles::TileHashReader::new(size, root, &ours);
            for index in places(size) {
                let path = tlog::prove_record(size, index, &reader).unwrap();
                assert_eq!(path, their(&proof::inclusion(&ours.nodes(), index, size).unwrap()));
            }
        }
        ours.append(leaf_hash(&leaf(size)));
    }
}

/// The same key for both: `signed_note` writes a private key as `PRIVATE+KEY+name+hexid+base64(0x01 || seed)`.
fn keys(seed: [u8; 32]) -> (SigningKey, StandardSigner, StandardVerifier) {
    use base64::Engine as _;
    let ours = SigningKey::new(NAME, &Secret::new(seed)).unwrap();
    let vkey = ours.verifying_key().to_string();
    let seed = base64::engine::general_purpose::STANDARD.encode([&[1][..], &seed].concat());
    let (name_and_id, _) =
        vkey.rsplit_once('+').filter(|(rest, _)| rest.matches('+').count() == 1).unwrap_or_else(|| {
            // The base64 has plus signs of its own.
            let at = vkey.match_indices('+').nth(1).unwrap().0;
            (&vkey[..at], &vkey[at + 1..])
        });
    let theirs = StandardSigner::new(&format!("PRIVATE+KEY+{name_and_id}+{seed}")).unwrap();
    (ours, theirs, StandardVerifier::new(&vkey).unwrap())
}

#[test]
fn keys_and_notes_are_those_of_another() {
    for seed in 0..20 {
        let (ours, signer, verifier) = keys([seed; 32]);
        let text = format!("first\n\n{seed}\n");
        let note = ours.sign_note(&text).unwrap();
        let mut their_note = Note::new(text.as_bytes(), &[]).unwrap();
        their_note.add_sigs(&[&signer]).unwrap();
        assert_eq!(their_note.to_bytes(), note.as_bytes(), "Ed25519 has one signature for a text");
        let parsed = Note::from_bytes(note.as_bytes()).unwrap();
        let (verified, others) = parsed.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        assert_eq!((verified.len(), others.len()), (1, 0));
        let found = open_note(&note, &[ours.verifying_key().clone()]).unwrap();
        assert_eq!(found.text.as_bytes(), parsed.text());
    }
}

#[test]
fn a_note_with_the_signatures_of_others_opens_for_both() {
    let (ours, signer, verifier) = keys([1; 32]);
    let other = SigningKey::new("witness.example", &Secret::new([2; 32])).unwrap();
    let mut note = Note::from_bytes(other.sign_note("text\n").unwrap().as_bytes()).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    let bytes = note.to_bytes();
    let opened = open_note(std::str::from_utf8(&bytes).unwrap(), &[ours.verifying_key().clone()]).unwrap();
    assert_eq!(opened.signers, [ours.verifying_key().clone()]);
    let (verified, others) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 1));
    assert_eq!(verified[0].name(), signer.name());
}

#[test]
fn verifier_keys_of_another_parse() {
    let (ours, ..) = keys([9; 32]);
    let vkey = ours.verifying_key().to_string();
    assert_eq!(VerifyingKey::parse(&vkey).unwrap(), *ours.verifying_key());
    let with_plus = (0..=255).filter(|seed| keys([*seed; 32]).0.verifying_key().to_string().matches('+').count() > 2);
    assert!(with_plus.count() > 10, "keys with plus signs in their base64 parse as well");
}

#[test]
fn checkpoints_are_those_of_another() {
    let (key, signer, verifier) = keys([3; 32]);
    for size in [0, 1, 1_000_000, u64::MAX] {
        let root = leaf_hash(&leaf(size));
        let ours = Checkpoint::new(NAME, size, root).unwrap();
        let theirs = tlog_tiles::Checkpoint::from_bytes(ours.to_text().as_bytes()).unwrap();
        assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), (NAME, size, root));
        let signed = ours.sign(&key).unwrap();
        let note = Note::from_bytes(signed.as_bytes()).unwrap();
        assert!(note.verify(&VerifierList::new(vec![Box::new(verifier.clone())])).is_ok());
        assert_eq!(note.text(), theirs.to_bytes());

        let extended = tlog_tiles::Checkpoint::new(NAME, size, tlog::Hash(root), "an extension\n").unwrap();
        let mut note = Note::new(&extended.to_bytes(), &[]).unwrap();
        note.add_sigs(&[&signer]).unwrap();
        let bytes = note.to_bytes();
        let opened = Checkpoint::open(std::str::from_utf8(&bytes).unwrap(), &[key.verifying_key().clone()]).unwrap();
        assert_eq!(opened, ours);
    }
}
