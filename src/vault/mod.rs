//! The vault: keys that seal what must not be read from the file, and the credentials that they seal.
//!
//! A secret (a passphrase, a key file) or the recovery key opens a slot ([`slot`]), the slot holds the root key, the
//! root key opens the keyring ([`key`]), and the keyring has a key for each [`purpose::Purpose`], in versions. A new
//! passphrase rewrites one slot; a rotation ([`Open::rotate`]) rewrites the keyring; neither touches what is sealed.
//!
//! Rows of the table `vault`: `slot/passphrase`, `slot/recovery`, `keyring`, and `count/...` (see [`count`]).
//!
//! **Invariant:** a vault that is not open is a [`Sealed`], and has no method that needs a key. Nothing here writes:
//! functions give rows, and the caller commits them. Whoever changes the vault or a credential holds one lock from the
//! look at the store to the commit, for the rows replace what was there.

pub mod count;
pub mod credential;
pub mod door;
pub mod grant;
pub mod import;
pub mod key;
pub mod purpose;
pub mod key_file;
pub mod reseal;
pub mod slot;
pub mod source;
pub mod throttle;
mod binding;
mod change;
mod open;
mod recovery;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::id::NoEntropy;
use crate::base::secret::Secret;
use crate::crypto::aead::AeadError;
use crate::crypto::derive::DeriveError;
use crate::crypto::password::{Iterations, IterationsError};
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};
pub use change::Change;
use count::Counts;
use key::Keyring;
pub use open::{KeyFacts, Open, SealedValue, version_of};
use purpose::Purpose;
pub use recovery::{RecoveryKey, RecoveryKeyError};
use slot::{SlotKind, SlotRecord, Slots};

/// What tells this database from others: the row `database_id` of the table `meta`.
pub type DatabaseId = [u8; 16];

const KEY_DATABASE_ID: &[u8] = b"database_id";

/// A vault that was just made.
#[derive(Debug)]
pub struct Created {
    /// To be committed together, or given to `Store::create` as first rows.
    pub rows: Vec<Put>,
    /// Shown once, then gone.
    pub recovery: RecoveryKey,
    /// To be used only once the rows are durable.
    pub open: Open,
    /// The key-encryption key, for whoever keeps it beside the secret.
    pub derived: Secret,
}

/// Makes a vault with new keys for every purpose. Derives a key from the secret, which takes a tenth of a second.
pub fn create(
    database_id: DatabaseId,
    secret: &Secret,
    iterations: Iterations,
    now: Timestamp,
) -> Result<Created, VaultError> {
    Open::make(database_id, secret, iterations, Keyring::new(now)?)
}

/// What the database has.
#[derive(Clone, Debug)]
pub enum State {
    Absent,
    Sealed(Sealed),
}

/// The vault as it is stored. A vault that lacks a part is [`VaultError::Damaged`], not absent.
pub fn state(snapshot: &Snapshot) -> Result<State, VaultError> {
    let passphrase = snapshot.get(Table::Vault, SlotKind::Passphrase.row_key())?;
    let recovery = snapshot.get(Table::Vault, SlotKind::Recovery.row_key())?;
    let keyring = snapshot.get(Table::Vault, key::ROW_KEY)?;
    let (passphrase, recovery, keyring) = match (passphrase, recovery, keyring) {
        (None, None, None) => return Ok(State::Absent),
        (Some(passphrase), Some(recovery), Some(keyring)) => (passphrase, recovery, keyring),
        _ => return Err(VaultError::Damaged("a slot or the keyring is missing")),
    };
    let database_id = snapshot.get(Table::Meta, KEY_DATABASE_ID)?;
    let database_id = database_id.and_then(|bytes| bytes.try_into().ok());
    Ok(State::Sealed(Sealed {
        database_id: database_id.ok_or(VaultError::Damaged("the database has no id of 16 bytes"))?,
        slots: Slots {
            passphrase: codec::decode::<SlotRecord>(&passphrase)?,
            recovery: codec::decode::<SlotRecord>(&recovery)?,
        },
        keyring,
        counts: Some(Arc::new(count::read(snapshot)?)),
    }))
}

/// A vault that nobody opened yet.
#[derive(Clone)]
pub struct Sealed {
    database_id: DatabaseId,
    slots: Slots,
    /// See [`key`].
    keyring: Vec<u8>,
    /// None where they are not known: then the keys open, and do not seal.
    counts: Option<Arc<Counts>>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(***)")
    }
}

impl Sealed {
    /// Opens the vault. Derives a key from the secret, which takes a tenth of a second: not for a thread that serves
    /// others, and behind a [`throttle::Throttle`] where somebody may guess.
    pub fn unseal(&self, secret: &Secret) -> Result<Open, VaultError> {
        self.unseal_derived(&self.derive(secret)?)
    }

    /// The key-encryption key that the secret makes, whether it is the right one or not.
    pub fn derive(&self, secret: &Secret) -> Result<Secret, VaultError> {
        self.slots.passphrase.derive(secret)
    }

    /// As [`Sealed::unseal`], with what [`Sealed::derive`] gave: at once.
    pub fn unseal_derived(&self, key: &Secret) -> Result<Open, VaultError> {
        let root = self.slots.passphrase.open_with_derived(&self.database_id, key)?;
        self.open(root)
    }

    /// As [`Sealed::unseal`], with what was shown when the vault was made, or by [`Open::new_recovery`].
    pub fn unseal_with_recovery(&self, recovery: &RecoveryKey) -> Result<Open, VaultError> {
        let root = self.slots.recovery.open_with_recovery(&self.database_id, recovery)?;
        self.open(root)
    }

    /// The vault whose keys sealed a backup, from what [`Open::backup_keys`] gave. Once unsealed it opens and does not
    /// seal ([`VaultError::OpensOnly`]), because nobody knows how often its keys were used since.
    ///
    /// A database that was restored has counts from the time of the backup: rotate all keys after a restore.
    pub fn from_backup(bytes: &[u8]) -> Result<Self, VaultError> {
        let BackupKeys { database_id, slots, keyring } = codec::decode(bytes)?;
        Ok(Self { database_id, slots, keyring, counts: None })
    }

    fn open(&self, root: Secret) -> Result<Open, VaultError> {
        let keyring = Keyring::open(&root, &self.database_id, &self.keyring, self.counts.as_deref())?;
        Ok(Open::of(self.database_id, root, self.slots.clone(), keyring, self.keyring.clone()))
    }
}

/// What a backup's header carries, so that the backup opens on another machine.
#[derive(Serialize, Deserialize)]
struct BackupKeys {
    database_id: DatabaseId,
    slots: Slots,
    keyring: Vec<u8>,
}

impl Record for BackupKeys {
    const TABLE: &'static str = "keys of a backup";
}

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the secret does not open this vault; nothing was changed. Try again, or use the recovery key")]
    WrongSecret,
    #[error("the recovery key is well written but not this vault's; nothing was changed")]
    WrongRecoveryKey,
    #[error("after a wrong secret the vault waits: try again in {} s; this try was not looked at", wait_seconds(*wait))]
    TooSoon { wait: Duration },
    #[error("a vault's secret has from 1 to {limit} bytes, this one has {found}")]
    SecretLength { found: usize, limit: u64 },
    #[error("this database has no vault; make one with `sekisho init`")]
    Absent,
    #[error("the vault is sealed; open it with `sekisho vault unseal`")]
    Sealed,
    #[error("the vault is damaged: {0}; restore a backup")]
    Damaged(&'static str),
    #[error(
        "a sealed value of {place} does not open with version {version} of the key for {purpose}: it was changed, or is not from this place; restore it from a backup, or set it anew"
    )]
    DoesNotOpen { place: &'static str, purpose: Purpose, version: u32 },
    #[error("a sealed value of {place} is malformed; restore it from a backup, or set it anew")]
    Malformed { place: &'static str },
    #[error(
        "the keyring has no version {version} of the key for {purpose}: it was destroyed, or the value is not from here"
    )]
    NoKey { purpose: Purpose, version: u32 },
    #[error("version {version} of the key for {purpose} cannot be destroyed: {reason}")]
    StillNeeded { purpose: Purpose, version: u32, reason: &'static str },
    #[error("the key for {0} was used as often as is safe; rotate it with `sekisho key rotate`")]
    Exhausted(Purpose),
    #[error(
        "the keyring holds {limit} versions of the key for {purpose}, and no more fit; re-seal and retire old ones first"
    )]
    TooManyVersions { purpose: Purpose, limit: usize },
    #[error("the keys of a backup open what it holds, and seal nothing")]
    OpensOnly,
    #[error(transparent)]
    Iterations(#[from] IterationsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Aead(#[from] AeadError),
    #[error(transparent)]
    Derive(#[from] DeriveError),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Rounded up, so that whoever waits as long is let in.
fn wait_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_credential;
#[cfg(test)]
mod tests_hostile;
