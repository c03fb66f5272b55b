//! Credentials: named values that only the vault can read, with what is known of their older versions.
//!
//! Rows: `credentials` by name, [`CredentialRecord`]; `credential_history` by name, 0, version u32 BE,
//! [`HistoryRecord`]. Each value is sealed for its own row, so a version that becomes history is sealed anew.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::purpose::Purpose;
use super::{Open, VaultError};
use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError, after_prefix};

/// A name that a credential can have: `^[A-Za-z0-9._-]{1,64}$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialName(String);

impl CredentialName {
    pub fn parse(name: &str) -> Result<Self, CredentialError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > bound::CREDENTIAL_NAME_BYTES_MAX || !name.bytes().all(good) {
            return Err(CredentialError::Name);
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a value came in. The order is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// Typed at a terminal.
    Prompt,
    StandardInput,
    File,
    /// From a `.env` file, with others.
    Import,
    /// Over the administration API.
    Api,
}

/// A credential as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialRecord {
    pub name: String,
    /// From 1; a name that was removed and set again goes on counting.
    pub version: u32,
    /// When the name got its first value since it was last removed.
    pub created: Timestamp,
    /// When it got this one.
    pub updated: Timestamp,
    pub note: Option<String>,
    pub source: CredentialSource,
    /// Of the name, whatever its versions; policies decide by it.
    pub classification: Classification,
    /// The value, sealed under [`Purpose::Credentials`] for this row.
    pub sealed: Vec<u8>,
}

impl Record for CredentialRecord {
    const TABLE: &'static str = "credentials";
    /// 1 had no classification.
    const FORMAT: u8 = 2;
}

/// A version that was replaced or removed, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRecord {
    pub version: u32,
    pub updated: Timestamp,
    /// When it was replaced or removed.
    pub ended: Timestamp,
    pub note: Option<String>,
    pub source: CredentialSource,
    /// As in [`CredentialRecord`]; none once the credential was removed.
    pub sealed: Option<Vec<u8>>,
}

impl Record for HistoryRecord {
    const TABLE: &'static str = "credential_history";
}

/// A value to set.
#[derive(Debug)]
pub struct NewCredential<'a> {
    pub name: &'a CredentialName,
    /// 1 to [`bound::CREDENTIAL_VALUE_BYTES_MAX`] bytes.
    pub value: &'a Secret,
    /// At most [`bound::CREDENTIAL_NOTE_CHARS_MAX`] characters.
    pub note: Option<String>,
    pub source: CredentialSource,
    /// `None`: as it was, or what nobody classified.
    pub classification: Option<Classification>,
}

/// Sets a credential, new or not. The version of before becomes history with its value; at most
/// [`bound::CREDENTIAL_VERSIONS_MAX`] are kept, the oldest go.
///
/// The rows hold reservations ([`super::count::counts_in`]). Two names may be set in one commit, one name not twice.
pub fn set(
    open: &Open,
    snapshot: &Snapshot,
    new: NewCredential<'_>,
    now: Timestamp,
) -> Result<Vec<Put>, CredentialError> {
    let NewCredential { name, value, note, source, classification } = new;
    check(value, note.as_deref())?;
    let before = read(snapshot, name)?;
    if before.is_none() && snapshot.count(Table::Credentials)? >= bound::CREDENTIALS_MAX {
        return Err(CredentialError::TooMany);
    }
    let history = history_rows(snapshot, name)?;
    let last = before.as_ref().map(|record| record.version).max(history.last().map(|(_, old)| old.version));
    let version = last.unwrap_or(0).checked_add(1).ok_or(CredentialError::TooMany)?;
    let created = before.as_ref().map_or(now, |record| record.created);
    let kept = before.as_ref().map(|record| record.classification);
    let classification = classification.or(kept).unwrap_or_default();
    let mut rows = Vec::new();
    if let Some(before) = before {
        let surplus = (history.len() + 1).saturating_sub(bound::CREDENTIAL_VERSIONS_MAX);
        rows.extend(history.into_iter().take(surplus).map(|(key, _)| Put::delete(Table::CredentialHistory, key)));
        rows.extend(to_history(open, name, before, now)?);
    }
    let sealed = open.seal(Purpose::Credentials, Table::Credentials, name.0.as_bytes(), value.expose_secret())?;
    let sealed = sealed.into_bytes(&mut rows);
    let name_text = name.0.clone();
    let record =
        CredentialRecord { name: name_text, version, created, updated: now, note, source, sealed, classification };
    rows.push(Put::new(Table::Credentials, name.0.as_bytes(), codec::encode(&record)?));
    Ok(rows)
}

/// Says how confidential a credential is; gives what it was. Its value and version stay. Needs no key.
pub fn classify(
    snapshot: &Snapshot,
    name: &CredentialName,
    classification: Classification,
) -> Result<(Classification, Vec<Put>), CredentialError> {
    let record = read(snapshot, name)?.ok_or_else(|| CredentialError::Unknown(name.clone()))?;
    let before = record.classification;
    let value = codec::encode(&CredentialRecord { classification, ..record })?;
    Ok((before, vec![Put::new(Table::Credentials, name.0.as_bytes(), value)]))
}

/// Destroys a credential's value, and those of its older versions; that they were there stays in the history. Needs no
/// key. Beyond [`bound::CREDENTIAL_HISTORY_ROWS_MAX`] rows of history the credential's own goes as well.
pub fn remove(snapshot: &Snapshot, name: &CredentialName, now: Timestamp) -> Result<Vec<Put>, CredentialError> {
    let record = read(snapshot, name)?.ok_or_else(|| CredentialError::Unknown(name.clone()))?;
    let mut rows = vec![Put::delete(Table::Credentials, name.0.as_bytes())];
    let history = history_rows(snapshot, name)?;
    if snapshot.count(Table::CredentialHistory)? >= bound::CREDENTIAL_HISTORY_ROWS_MAX {
        rows.extend(history.into_iter().map(|(key, _)| Put::delete(Table::CredentialHistory, key)));
        return Ok(rows);
    }
    for (key, old) in history {
        rows.push(Put::new(Table::CredentialHistory, key, codec::encode(&HistoryRecord { sealed: None, ..old })?));
    }
    rows.push(history_row(name, &ended(record, now, None))?);
    Ok(rows)
}

/// The value, for whoever is about to use it.
pub fn value(open: &Open, snapshot: &Snapshot, name: &CredentialName) -> Result<Secret, CredentialError> {
    let record = read(snapshot, name)?.ok_or_else(|| CredentialError::Unknown(name.clone()))?;
    Ok(open.unseal(Purpose::Credentials, Table::Credentials, name.0.as_bytes(), &record.sealed)?)
}

/// A credential without its value, as sealed as it is.
pub fn show(snapshot: &Snapshot, name: &CredentialName) -> Result<CredentialRecord, CredentialError> {
    let record = read(snapshot, name)?.ok_or_else(|| CredentialError::Unknown(name.clone()))?;
    Ok(CredentialRecord { sealed: Vec::new(), ..record })
}

/// All credentials by name, as [`show`] gives them; there are at most [`bound::CREDENTIALS_MAX`] and one commit more.
pub fn list(snapshot: &Snapshot) -> Result<Vec<CredentialRecord>, CredentialError> {
    let end = after_prefix(&[]);
    let mut from = Vec::new();
    let mut records = Vec::new();
    loop {
        let rows = snapshot.scan(Table::Credentials, &from, &end, bound::SCAN_ROWS_MAX)?;
        let Some((last, _)) = rows.last() else { return Ok(records) };
        from = [last.as_slice(), &[0]].concat();
        for (_, value) in &rows {
            records.push(CredentialRecord { sealed: Vec::new(), ..codec::decode(value)? });
        }
    }
}

/// What is known of older versions, oldest first, without values; also of a name that was removed.
pub fn history(snapshot: &Snapshot, name: &CredentialName) -> Result<Vec<HistoryRecord>, CredentialError> {
    let rows = history_rows(snapshot, name)?;
    Ok(rows.into_iter().map(|(_, old)| HistoryRecord { sealed: old.sealed.map(|_| Vec::new()), ..old }).collect())
}

/// What can go wrong with a credential. None of it says a value.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error(
        "a credential's name has from 1 to {} letters, digits, dots, dashes and underscores",
        bound::CREDENTIAL_NAME_BYTES_MAX
    )]
    Name,
    #[error("a credential's value has from 1 to {most} bytes, this one {0}", most = bound::CREDENTIAL_VALUE_BYTES_MAX)]
    ValueLength(usize),
    #[error("a credential's note has at most {most} characters, this one {0}", most = bound::CREDENTIAL_NOTE_CHARS_MAX)]
    NoteLength(usize),
    #[error("there are {} credentials, and no more are taken; remove some that nobody uses", bound::CREDENTIALS_MAX)]
    TooMany,
    #[error("there is no credential {}", .0.as_str())]
    Unknown(CredentialName),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn check(value: &Secret, note: Option<&str>) -> Result<(), CredentialError> {
    let bytes = value.expose_secret().len();
    if bytes == 0 || bytes > bound::CREDENTIAL_VALUE_BYTES_MAX {
        return Err(CredentialError::ValueLength(bytes));
    }
    match note.map(|note| note.chars().count()) {
        Some(chars) if chars > bound::CREDENTIAL_NOTE_CHARS_MAX => Err(CredentialError::NoteLength(chars)),
        _ => Ok(()),
    }
}

fn read(snapshot: &Snapshot, name: &CredentialName) -> Result<Option<CredentialRecord>, StoreError> {
    snapshot.get(Table::Credentials, name.0.as_bytes())?.map(|value| codec::decode(&value)).transpose()
}

fn history_rows(snapshot: &Snapshot, name: &CredentialName) -> Result<Vec<(Vec<u8>, HistoryRecord)>, StoreError> {
    let prefix = [name.0.as_bytes(), &[0]].concat();
    let rows = snapshot.scan(Table::CredentialHistory, &prefix, &after_prefix(&prefix), bound::SCAN_ROWS_MAX)?;
    rows.into_iter().map(|(key, value)| Ok((key, codec::decode(&value)?))).collect()
}

/// The rows that make `record` history, with its value if that opens: one that is damaged must not keep an operator
/// from setting it anew.
fn to_history(
    open: &Open,
    name: &CredentialName,
    record: CredentialRecord,
    now: Timestamp,
) -> Result<Vec<Put>, CredentialError> {
    let value = match open.unseal(Purpose::Credentials, Table::Credentials, name.0.as_bytes(), &record.sealed) {
        Ok(value) => Some(value),
        Err(VaultError::DoesNotOpen { .. } | VaultError::NoKey { .. } | VaultError::Malformed { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let mut rows = Vec::new();
    let mut sealed = None;
    if let Some(value) = value {
        let key = history_key(name, record.version);
        let value = open.seal(Purpose::Credentials, Table::CredentialHistory, &key, value.expose_secret())?;
        sealed = Some(value.into_bytes(&mut rows));
    }
    rows.push(history_row(name, &ended(record, now, sealed))?);
    Ok(rows)
}

fn ended(record: CredentialRecord, now: Timestamp, sealed: Option<Vec<u8>>) -> HistoryRecord {
    let CredentialRecord { version, updated, note, source, .. } = record;
    HistoryRecord { version, updated, ended: now, note, source, sealed }
}

fn history_row(name: &CredentialName, old: &HistoryRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::CredentialHistory, history_key(name, old.version), codec::encode(old)?))
}

fn history_key(name: &CredentialName, version: u32) -> Vec<u8> {
    [name.0.as_bytes(), &[0], &version.to_be_bytes()].concat()
}
