//! Tokens that others gave us for a while: sealed like credentials, without a name, a note or a history.
//!
//! Rows: `connector_tokens`, [`GrantRecord`]; the key is the connector's name, 0, and SHA-256 of whose they are.

use serde::{Deserialize, Serialize};

use super::purpose::Purpose;
use super::{Open, VaultError};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot};

/// Tokens as they are stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrantRecord {
    pub updated: Timestamp,
    /// What their owner made of them, sealed under [`Purpose::Credentials`] for this row.
    pub sealed: Vec<u8>,
}

impl Record for GrantRecord {
    const TABLE: &'static str = "connector_tokens";
}

/// The rows that keep `text` under `key`, in the place of what was there: one commit, so that there is always the old or
/// the new. They hold reservations ([`super::count::counts_in`]).
pub fn set(open: &Open, key: &[u8], text: &Secret, now: Timestamp) -> Result<Vec<Put>, VaultError> {
    let mut rows = Vec::new();
    let sealed = open.seal(Purpose::Credentials, Table::ConnectorTokens, key, text.expose_secret())?;
    let sealed = sealed.into_bytes(&mut rows);
    rows.push(Put::new(Table::ConnectorTokens, key, codec::encode(&GrantRecord { updated: now, sealed })?));
    Ok(rows)
}

/// What is kept under `key`.
pub fn get(open: &Open, snapshot: &Snapshot, key: &[u8]) -> Result<Option<Secret>, VaultError> {
    let Some(row) = snapshot.get(Table::ConnectorTokens, key)? else { return Ok(None) };
    let record: GrantRecord = codec::decode(&row)?;
    open.unseal(Purpose::Credentials, Table::ConnectorTokens, key, &record.sealed).map(Some)
}
