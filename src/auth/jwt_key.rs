//! Secrets that sign JWTs, and the JWTs that were issued: what is kept of both, and when it goes.
//!
//! No secret is stored: it is derived by the vault, from the signing key of one version and the id of this key. So a
//! file without the vault signs nothing, and there is nothing to seal anew after a rotation of the vault's keys.

use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::principal::Role;
use crate::base::secret::Secret;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, Store, StoreError, after_prefix};
use crate::vault::purpose::Purpose;
use crate::vault::{Open, VaultError};

/// What is kept of a secret under its id (`kid`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JwtKeyRecord {
    /// The version of the vault's signing key that it is derived from; old versions stay.
    pub version: u32,
    pub made: Timestamp,
    /// When the last token that it signed expires.
    pub last_expiry: Timestamp,
    /// Since when another one signs. This one verifies until its last token has expired.
    pub retired: Option<Timestamp>,
}

impl Record for JwtKeyRecord {
    const TABLE: &'static str = "jwt_keys";
}

/// What is kept of a token under its id (`jti`), until it expires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JwtRecord {
    /// Empty where it was issued elsewhere, and is here because it was revoked.
    pub subject: String,
    pub role: Role,
    pub scopes: Vec<String>,
    /// It speaks for the account of that name, and for nobody once that is gone.
    pub is_of_account: bool,
    pub made: Timestamp,
    pub expires: Timestamp,
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
}

impl Record for JwtRecord {
    const TABLE: &'static str = "jwts";
}

impl JwtKeyRecord {
    /// Whether a token that it signed may still be valid.
    pub(super) fn verifies(&self, now: Timestamp) -> bool {
        self.retired.is_none() || now < self.last_expiry
    }

    pub(super) fn secret(&self, open: &Open, kid: &str) -> Result<Secret, VaultError> {
        open.subkey_with(Purpose::Signing, self.version, &format!("jwt hs256 {kid}"))
    }

    pub(super) fn decoding(&self, open: &Open, kid: &str) -> Result<DecodingKey, VaultError> {
        Ok(DecodingKey::from_secret(self.secret(open, kid)?.expose_secret()))
    }

    pub(super) fn row(&self, kid: &str) -> Result<Put, StoreError> {
        Ok(Put::new(Table::JwtKeys, kid.as_bytes(), codec::encode(self)?))
    }
}

impl JwtRecord {
    pub(super) fn row(&self, id: &str) -> Result<Put, StoreError> {
        Ok(Put::new(Table::Jwts, id.as_bytes(), codec::encode(self)?))
    }
}

pub(super) fn find_key(snapshot: &Snapshot, kid: &str) -> Result<Option<JwtKeyRecord>, StoreError> {
    snapshot.get(Table::JwtKeys, kid.as_bytes())?.map(|bytes| codec::decode(&bytes)).transpose()
}

pub(super) fn find(snapshot: &Snapshot, id: &str) -> Result<Option<JwtRecord>, StoreError> {
    snapshot.get(Table::Jwts, id.as_bytes())?.map(|bytes| codec::decode(&bytes)).transpose()
}

pub(super) fn keys(snapshot: &Snapshot) -> Result<Vec<(String, JwtKeyRecord)>, StoreError> {
    all(snapshot, Table::JwtKeys, bound::JWT_KEYS_MAX)
}

/// All JWTs that are remembered, with their ids. Of those that were issued elsewhere only revoked ones are.
pub fn remembered(store: &Store) -> Result<Vec<(String, JwtRecord)>, StoreError> {
    store.read(list)
}

pub(super) fn list(snapshot: &Snapshot) -> Result<Vec<(String, JwtRecord)>, StoreError> {
    all(snapshot, Table::Jwts, bound::JWTS_MAX)
}

fn all<R: Record>(snapshot: &Snapshot, table: Table, rows_max: usize) -> Result<Vec<(String, R)>, StoreError> {
    let rows = snapshot.scan(table, &[], &after_prefix(&[]), rows_max)?;
    rows.into_iter()
        .map(|(key, value)| Ok((String::from_utf8_lossy(&key).into_owned(), codec::decode(&value)?)))
        .collect()
}

/// Deletions of tokens that have expired and of keys that verify nothing any more. `leeway_ms` is how long after its
/// end a token may still be accepted.
pub(super) fn spent(snapshot: &Snapshot, now: Timestamp, leeway_ms: u64) -> Result<Vec<Put>, StoreError> {
    let over = |expires: Timestamp| now.0 > expires.0.saturating_add(leeway_ms);
    let tokens = list(snapshot)?.into_iter().filter(|(_, record)| over(record.expires));
    let keys = keys(snapshot)?.into_iter().filter(|(_, record)| record.retired.is_some() && over(record.last_expiry));
    let mut rows: Vec<Put> = tokens.map(|(id, _)| Put::delete(Table::Jwts, id.into_bytes())).collect();
    rows.extend(keys.map(|(kid, _)| Put::delete(Table::JwtKeys, kid.into_bytes())));
    Ok(rows)
}
