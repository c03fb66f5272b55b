//! Schema 2: tables for the vault, for subjects, tiles and checkpoints of the audit log; tiles over the entries that
//! are there. The plain key of argument digests goes: a digest that anybody with the file can check hides nothing.

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::{StoreError, create_tables};
use crate::crypto::digest::{Hash, sha256};

const TABLES: [&str; 6] = ["vault", "credentials", "credential_history", "subjects", "audit_tiles", "checkpoints"];

const META: TableDefinition<&[u8], &[u8]> = TableDefinition::new("meta");
const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("audit_entries");
const TILES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("audit_tiles");

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction, &TABLES)?;
    transaction.open_table(META)?.remove(b"keys/argument_digest".as_slice())?;
    let entries = transaction.open_table(ENTRIES)?;
    let mut tiles = transaction.open_table(TILES)?;
    let mut levels: Vec<Level> = Vec::new();
    for row in entries.iter()? {
        let (_, leaf) = row?;
        let mut hash = sha256(&[&[0], leaf.value()]);
        // A full tile's root is a hash of the tile above it.
        for height in 0_u8.. {
            let at = usize::from(height);
            if levels.len() == at {
                levels.push(Level::default());
            }
            let level = &mut levels[at];
            level.hashes.push(hash);
            let full = level.hashes.len() == 256;
            if full || height > 0 {
                let key = [&[height][..], &level.index.to_be_bytes()].concat();
                tiles.insert(key.as_slice(), level.hashes.concat().as_slice())?;
            }
            if !full {
                break;
            }
            hash = root(&level.hashes);
            level.hashes.clear();
            level.index += 1;
        }
    }
    Ok(())
}

/// The tile of one level that grows.
#[derive(Default)]
struct Level {
    index: u64,
    hashes: Vec<Hash>,
}

/// The root over a power of two of hashes (RFC 6962, section 2.1).
fn root(hashes: &[Hash]) -> Hash {
    if let [one] = hashes {
        return *one;
    }
    let (left, right) = hashes.split_at(hashes.len() / 2);
    sha256(&[&[1], &root(left), &root(right)])
}
