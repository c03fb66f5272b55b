//! The file of a backup, and what reads it back.
//!
//! A backup file: `SEKISHO-BACKUP 1` and a newline, the length of the header in bytes (u32 BE), the header (JSON, see
//! [`Header`]), then the database as a sealed stream ([`crate::crypto::stream`]) whose associated data is all before it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::CustodyError;
use crate::audit::verify::{Against, Sound, Verdict, verify};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::crypto::stream::{self, StreamError};
use crate::store::{Store, table};
use crate::vault::{Open, Sealed, VaultError};

const MAGIC: &[u8] = b"SEKISHO-BACKUP 1\n";

/// What a backup says of itself, in the clear; the stream does not open under a changed one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The Sekisho that made it.
    pub version: String,
    pub made: Timestamp,
    pub schema: u32,
    /// Rows of each table.
    pub rows: Vec<(String, u64)>,
    pub audit_entries: u64,
    /// Root of the Merkle tree over them, hexadecimal.
    pub audit_root: String,
    pub database_bytes: u64,
    /// What tells this backup from others, hexadecimal; the stream's key is bound to it.
    pub id: String,
    /// The slots and the keyring, sealed: a passphrase or the recovery key opens them on any machine. Base64.
    pub keys: String,
    /// The stream's key under the vault's key for backups. Base64.
    pub stream_key: String,
}

/// Removes a file that nobody should find.
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may never have been made, or have been renamed by now; opened as a store it has a ballast beside it.
        fs::remove_file(&self.0).ok();
        fs::remove_file(with_suffix(&self.0, ".ballast")).ok();
    }
}

/// What was opened is not what the backup says: it was not made so.
pub(super) fn unlike(path: &Path) -> impl FnOnce(CustodyError) -> CustodyError {
    let path = path.to_owned();
    move |error| match error {
        CustodyError::NotAsBefore(reason) => CustodyError::Damaged { path, reason },
        error => error,
    }
}

/// Opens a private copy with all checks; what its log and tables hold.
pub(super) fn check(copy: &Path) -> Result<(Sound, Vec<(String, u64)>), CustodyError> {
    let opened = Store::open_copy(copy)?;
    let verdict = verify(&opened, &Against::default())?;
    let Verdict::Sound(sound) = verdict else {
        return Err(CustodyError::NotAsBefore(format!("its audit log is not sound: {}", verdict.to_json())));
    };
    let rows = opened.read(|snapshot| {
        table::ALL
            .into_iter()
            .map(|table| Ok((table.name().to_owned(), snapshot.count(table)?)))
            .collect::<Result<_, CustodyError>>()
    })?;
    opened.close()?;
    Ok((sound, rows))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

pub(super) fn preamble(header: &Header) -> Result<Vec<u8>, CustodyError> {
    let json = serde_json::to_vec(header).map_err(|error| CustodyError::Failed(error.to_string()))?;
    let length = u32::try_from(json.len()).map_err(|error| CustodyError::Failed(error.to_string()))?;
    Ok([MAGIC, &length.to_be_bytes(), &json].concat())
}

/// A backup that is being read.
pub(super) struct Reading {
    path: PathBuf,
    pub(super) header: Header,
    preamble: Vec<u8>,
    rest: BufReader<File>,
}

impl Reading {
    pub(super) fn begin(path: &Path) -> Result<Self, CustodyError> {
        let none = |reason: &str| CustodyError::NoBackup { path: path.to_owned(), reason: reason.to_owned() };
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CustodyError::NoFile(path.to_owned()),
            _ => CustodyError::file(path)(error),
        })?;
        let mut rest = BufReader::new(file);
        let mut start = [0; MAGIC.len() + 4];
        rest.read_exact(&mut start).map_err(|_| none("it is too short"))?;
        let (magic, length) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(none("it does not begin like one"));
        }
        let length = length.try_into().map_or(u32::MAX, u32::from_be_bytes) as usize;
        if length > bound::BACKUP_HEADER_BYTES_MAX {
            return Err(none("its header is too long"));
        }
        let mut json = vec![0; length];
        rest.read_exact(&mut json).map_err(|_| none("its header is cut short"))?;
        let header: Header = serde_json::from_slice(&json).map_err(|error| none(&format!("its header: {error}")))?;
        Ok(Self { path: path.to_owned(), header, preamble: [start.as_slice(), &json].concat(), rest })
    }

    /// The vault of the backup, which its header carries.
    pub(super) fn vault(&self) -> Result<Sealed, CustodyError> {
        Ok(Sealed::from_backup(&self.decoded(&self.header.keys)?)?)
    }

    /// Opens the stream into `writer`, which is to be thrown away if this fails.
    pub(super) fn open_into(mut self, open: &Open, writer: impl Write) -> Result<Header, CustodyError> {
        let wrapped = self.decoded(&self.header.stream_key)?;
        let id = self.id()?;
        let key = open.unwrap_backup_key(&id, &wrapped).map_err(|error| match error {
            VaultError::NoKey { .. } => CustodyError::OlderKey(self.path.clone()),
            VaultError::DoesNotOpen { .. } => CustodyError::OtherKey(self.path.clone()),
            VaultError::Malformed { .. } => self.damaged(&error),
            error => error.into(),
        })?;
        match stream::open_stream(&key, &self.preamble, &mut self.rest, writer) {
            Ok(_) => Ok(self.header),
            Err(error @ StreamError::DoesNotOpen { .. }) => Err(self.damaged(&error)),
            Err(error) => Err(CustodyError::Stream { path: self.path, error }),
        }
    }

    fn damaged(&self, reason: &impl ToString) -> CustodyError {
        CustodyError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }

    fn decoded(&self, text: &str) -> Result<Vec<u8>, CustodyError> {
        STANDARD.decode(text).map_err(|error| CustodyError::NoBackup {
            path: self.path.clone(),
            reason: format!("its header holds a key that is no base64: {error}"),
        })
    }

    fn id(&self) -> Result<Vec<u8>, CustodyError> {
        crate::base::id::unhex(&self.header.id).ok_or_else(|| CustodyError::NoBackup {
            path: self.path.clone(),
            reason: "its id is not hexadecimal".into(),
        })
    }
}
