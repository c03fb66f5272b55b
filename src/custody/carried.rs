//! Keys of sealed log files that are older than the keyring: a rekey wraps them anew and puts them beside the vault.
//!
//! Rows: `meta`, key `log key/` and the file's id (16 bytes), [`CarriedKey`]. They come before what the file's header
//! says, and go with the next rekey after their file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CustodyError;
use crate::base::bound;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError, after_prefix};
use crate::telemetry::folder;
use crate::telemetry::read::{self, ReadError};
use crate::telemetry::sealed::{FileId, Header};
use crate::vault::purpose::Purpose;
use crate::vault::reseal::Pair;

const PREFIX: &[u8] = b"log key/";

/// A file's key under the keyring that there is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CarriedKey {
    /// Of the keyring's key for logs.
    pub(super) key_version: u32,
    pub(super) wrapped: Vec<u8>,
}

impl Record for CarriedKey {
    const TABLE: &'static str = "meta";
}

fn key_of(id: &FileId) -> Vec<u8> {
    [PREFIX, id].concat()
}

/// The key of the file with this id, where a rekey carried it over.
pub(super) fn find(snapshot: &Snapshot, id: &FileId) -> Result<Option<CarriedKey>, StoreError> {
    snapshot.get(Table::Meta, &key_of(id))?.map(|bytes| codec::decode(&bytes)).transpose()
}

/// What the sealed files in the log's folder say of themselves. One whose header cannot be read opened before neither.
pub(super) fn headers(directory: &Path) -> Result<Vec<Header>, CustodyError> {
    let files = match folder::list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(CustodyError::file(directory))?,
    };
    let mut headers = Vec::new();
    for file in files.into_iter().filter(|file| file.name.is_sealed) {
        match read::header(directory, file.name) {
            Ok(header) => headers.push(header),
            Err(ReadError::Header) => {}
            Err(error) => return Err(CustodyError::Failed(format!("{}: {error}", file.name))),
        }
    }
    Ok(headers)
}

/// Rows that carry over the keys of these files, from the old keyring to the new one, and delete those of files that
/// are gone; and how many keys were carried. A key that does not open is left behind: nothing is lost that was there.
pub(super) fn rows(snapshot: &Snapshot, pair: Pair<'_>, headers: &[Header]) -> Result<(Vec<Put>, usize), CustodyError> {
    let old = snapshot.scan(Table::Meta, PREFIX, &after_prefix(PREFIX), bound::LOG_KEYS_CARRIED_MAX)?;
    let mut before: BTreeMap<Vec<u8>, CarriedKey> = BTreeMap::new();
    for (key, value) in old {
        before.insert(key, codec::decode(&value)?);
    }
    let (mut rows, mut count) = (Vec::new(), 0);
    for header in headers.iter().rev().take(bound::LOG_KEYS_CARRIED_MAX) {
        let carried = before.remove(&key_of(&header.id));
        let wrapped = carried.as_ref().map_or(&header.wrapped, |carried| &carried.wrapped);
        let Ok(secret) = pair.from.unwrap_log_key(&header.id, wrapped) else { continue };
        let wrapped = pair.to.wrap_log_key(&header.id, &secret)?.into_bytes(&mut rows);
        let record = CarriedKey { key_version: pair.to.active(Purpose::Logs), wrapped };
        rows.push(Put::new(Table::Meta, key_of(&header.id), codec::encode(&record)?));
        count += 1;
    }
    rows.extend(before.into_keys().map(|key| Put::delete(Table::Meta, key)));
    Ok((rows, count))
}
