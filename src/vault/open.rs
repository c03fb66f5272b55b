//! The open vault: seals, opens, authenticates and derives, and says when a key is due.
//!
//! A sealed value: format (1 byte, 1), version of the key (u32 BE), nonce (12 bytes), ciphertext, tag (16 bytes):
//! AES-256-GCM under a key derived from the data key, with [`super::binding`] as associated data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::binding::{Binding, FORMAT};
use super::count::{self, Counter, Use};
use super::key::{DataKey, KeyState, Keyring};
use super::purpose::Purpose;
use super::slot::Slots;
use super::{BackupKeys, DatabaseId, VaultError};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::crypto::aead::AeadError;
use crate::crypto::digest::{Hash, hmac_sha256};
use crate::store::Put;
use crate::store::codec;
use crate::store::table::Table;

/// Stands for a table where a backup's key is wrapped.
const BACKUP: &str = "backup file";
/// Stands for a table where a log file's key is wrapped.
const LOG: &str = "log file";

/// A vault that was unsealed. Cheap to clone; keys are wiped with the last clone.
#[derive(Clone)]
pub struct Open {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) database_id: DatabaseId,
    pub(super) root: Secret,
    pub(super) slots: Slots,
    pub(super) keyring: Keyring,
    /// The keyring as it is stored.
    pub(super) keyring_sealed: Vec<u8>,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open(***)")
    }
}

/// What [`Open::seal`] gives.
#[derive(Clone, Debug)]
#[must_use]
pub struct SealedValue {
    pub bytes: Vec<u8>,
    /// A row that must be in the same commit as `bytes`, or durable before they leave the process. Given with every
    /// value until [`Open::confirm`] is told that one is durable.
    pub reservation: Option<Put>,
}

impl SealedValue {
    /// The bytes, once the reservation is among `rows`; the same row is not put twice.
    pub fn into_bytes(self, rows: &mut Vec<Put>) -> Vec<u8> {
        if let Some(row) = self.reservation
            && !rows.iter().any(|known| known.table == row.table && known.key == row.key && known.value == row.value)
        {
            rows.push(row);
        }
        self.bytes
    }
}

/// What may be shown of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    pub purpose: Purpose,
    pub version: u32,
    pub created: Timestamp,
    pub state: KeyState,
    /// How often it sealed, at most; up to [`bound::NONCE_RESERVATION`] too many for each crash. None for a backup's.
    pub uses: Option<u64>,
}

impl Open {
    pub(super) fn of(
        database_id: DatabaseId,
        root: Secret,
        slots: Slots,
        keyring: Keyring,
        keyring_sealed: Vec<u8>,
    ) -> Self {
        Self { inner: Arc::new(Inner { database_id, root, slots, keyring, keyring_sealed }) }
    }

    /// Seals `text` for the row `key` of `table`; it opens nowhere else.
    pub fn seal(&self, purpose: Purpose, table: Table, key: &[u8], text: &[u8]) -> Result<SealedValue, VaultError> {
        self.seal_at(purpose, table.name(), key, text)
    }

    /// Opens what was sealed for the same row, under any version that is still there.
    pub fn unseal(&self, purpose: Purpose, table: Table, key: &[u8], sealed: &[u8]) -> Result<Secret, VaultError> {
        self.unseal_at(purpose, table.name(), key, sealed)
    }

    /// Whether `sealed` is not under the active version. What is malformed is not, and fails when it is opened.
    pub fn needs_reseal(&self, purpose: Purpose, sealed: &[u8]) -> bool {
        version_of(sealed) != Some(self.active(purpose))
    }

    /// The rows, which [`Open::seal`] gave as reservations, are durable. Other rows are passed over.
    pub fn confirm(&self, rows: &[Put]) {
        count::confirm(rows, |purpose, version| self.inner.keyring.key(purpose, version)?.counter.as_ref());
    }

    /// Iterations of PBKDF2 between the secret and what it opens.
    pub fn iterations(&self) -> u32 {
        self.inner.slots.passphrase.iterations()
    }

    /// The version that seals.
    pub fn active(&self, purpose: Purpose) -> u32 {
        self.inner.keyring.active(purpose).version
    }

    /// All versions, oldest first.
    pub fn versions(&self, purpose: Purpose) -> Vec<u32> {
        self.inner.keyring.versions(purpose).map(|(key, _)| key.version).collect()
    }

    /// All keys, for an operator's eyes.
    pub fn keys(&self) -> Vec<KeyFacts> {
        let keys = Purpose::ALL.into_iter().flat_map(|purpose| self.inner.keyring.versions(purpose));
        keys.map(|(key, state)| KeyFacts {
            purpose: key.purpose,
            version: key.version,
            created: key.created,
            state,
            uses: key.counter.as_ref().map(Counter::used),
        })
        .collect()
    }

    /// Purposes whose key was used [`bound::KEY_USES_ROTATE`] times, or is as old as `age_max`; the latter not for
    /// keys whose versions are kept ([`Purpose::keeps_versions`]).
    pub fn rotation_due(&self, now: Timestamp, age_max: Option<Duration>) -> Vec<Purpose> {
        let due = |purpose: &Purpose| {
            let key = self.inner.keyring.active(*purpose);
            let worn = key.counter.as_ref().is_some_and(|counter| counter.used() >= bound::KEY_USES_ROTATE);
            worn || !purpose.keeps_versions() && age_max.is_some_and(|age_max| now.since(key.created) >= age_max)
        };
        Purpose::ALL.into_iter().filter(due).collect()
    }

    /// HMAC-SHA256 under the active version, which is told as well. Another `domain` has another key.
    pub fn mac(&self, purpose: Purpose, domain: &'static str, message: &[u8]) -> Result<(u32, Hash), VaultError> {
        let version = self.active(purpose);
        Ok((version, self.mac_with(purpose, version, domain, message)?))
    }

    pub fn mac_with(
        &self,
        purpose: Purpose,
        version: u32,
        domain: &'static str,
        message: &[u8],
    ) -> Result<Hash, VaultError> {
        let key = self.key(purpose, version)?.mac_key(domain)?;
        let key = key.expose_secret().first_chunk().ok_or(VaultError::Damaged("a derived key is too short"))?;
        Ok(hmac_sha256(key, message))
    }

    /// The seed of the Ed25519 key that signs (RFC 8032, section 5.1.5: 32 bytes); of old versions too, so that what
    /// they signed can be checked.
    pub fn signing_seed(&self, version: u32) -> Result<Secret, VaultError> {
        Ok(self.key(Purpose::Signing, version)?.subkey("ed25519 seed", "")?)
    }

    /// As [`Open::signing_seed`], of a key that signs something else than the log: each `label` has its own.
    pub fn signing_seed_for(&self, version: u32, label: &str) -> Result<Secret, VaultError> {
        Ok(self.key(Purpose::Signing, version)?.subkey("ed25519 seed", label)?)
    }

    /// A key of 32 bytes for whoever needs one of their own, and the version that it comes from.
    pub fn subkey(&self, purpose: Purpose, label: &str) -> Result<(u32, Secret), VaultError> {
        let version = self.active(purpose);
        Ok((version, self.subkey_with(purpose, version, label)?))
    }

    pub fn subkey_with(&self, purpose: Purpose, version: u32, label: &str) -> Result<Secret, VaultError> {
        Ok(self.key(purpose, version)?.subkey("label", label)?)
    }

    /// What a backup's header carries: both slots and the keyring, sealed as they are. The passphrase and the recovery
    /// key of today open it on any machine, through [`super::Sealed::from_backup`].
    pub fn backup_keys(&self) -> Result<Vec<u8>, VaultError> {
        let Inner { database_id, slots, keyring_sealed, .. } = &*self.inner;
        let keys = BackupKeys { database_id: *database_id, slots: slots.clone(), keyring: keyring_sealed.clone() };
        Ok(codec::encode(&keys)?)
    }

    /// Wraps the key of one backup's stream; `context` tells that backup from others.
    pub fn wrap_backup_key(&self, context: &[u8], key: &Secret) -> Result<SealedValue, VaultError> {
        self.seal_at(Purpose::Backup, BACKUP, context, key.expose_secret())
    }

    /// Opens what [`Open::wrap_backup_key`] gave.
    pub fn unwrap_backup_key(&self, context: &[u8], wrapped: &[u8]) -> Result<Secret, VaultError> {
        self.unseal_at(Purpose::Backup, BACKUP, context, wrapped)
    }

    /// Wraps the key of one log file, whose id is `context`.
    pub fn wrap_log_key(&self, context: &[u8], key: &Secret) -> Result<SealedValue, VaultError> {
        self.seal_at(Purpose::Logs, LOG, context, key.expose_secret())
    }

    /// Opens what [`Open::wrap_log_key`] gave.
    pub fn unwrap_log_key(&self, context: &[u8], wrapped: &[u8]) -> Result<Secret, VaultError> {
        self.unseal_at(Purpose::Logs, LOG, context, wrapped)
    }

    fn seal_at(&self, purpose: Purpose, table: &str, key: &[u8], text: &[u8]) -> Result<SealedValue, VaultError> {
        let data = self.inner.keyring.active(purpose);
        let counter = data.counter.as_ref().ok_or(VaultError::OpensOnly)?;
        let reservation = match counter.take() {
            Use::Covered => None,
            Use::Reserves(count) => Some(count::row(purpose, data.version, count)),
            Use::Refused => return Err(VaultError::Exhausted(purpose)),
        };
        let sealed = data.sealing.seal(text, &self.binding(data, table, key))?;
        let mut bytes = Vec::with_capacity(5 + sealed.len());
        bytes.push(FORMAT);
        bytes.extend(data.version.to_be_bytes());
        bytes.extend(sealed);
        Ok(SealedValue { bytes, reservation })
    }

    fn unseal_at(
        &self,
        purpose: Purpose,
        table: &'static str,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<Secret, VaultError> {
        let (version, body) = split(sealed).ok_or(VaultError::Malformed { place: table })?;
        let data = self.key(purpose, version)?;
        match data.sealing.open(body, &self.binding(data, table, key)) {
            Ok(text) => Ok(Secret::new(text)),
            Err(AeadError::DoesNotOpen) => Err(VaultError::DoesNotOpen { place: table, purpose, version }),
            Err(error) => Err(error.into()),
        }
    }

    fn key(&self, purpose: Purpose, version: u32) -> Result<&DataKey, VaultError> {
        self.inner.keyring.key(purpose, version).ok_or(VaultError::NoKey { purpose, version })
    }

    fn binding(&self, data: &DataKey, table: &str, key: &[u8]) -> Vec<u8> {
        let (purpose, version) = (data.purpose.name(), data.version);
        Binding { database_id: &self.inner.database_id, table, key, purpose, version }.bytes()
    }
}

/// The version of the key that sealed this, as it says itself.
pub fn version_of(sealed: &[u8]) -> Option<u32> {
    split(sealed).map(|(version, _)| version)
}

/// Version, and nonce with ciphertext.
fn split(sealed: &[u8]) -> Option<(u32, &[u8])> {
    let (format, rest) = sealed.split_first()?;
    let (version, body) = rest.split_first_chunk::<4>()?;
    (*format == FORMAT).then_some((u32::from_be_bytes(*version), body))
}
