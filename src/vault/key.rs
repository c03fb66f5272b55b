//! Data keys: one purpose each, in versions, held together by a keyring that the root key seals.
//!
//! The row `keyring`: nonce (12 bytes), ciphertext, tag (16 bytes): AES-256-GCM under the root key, bound to its row.
//! The text is a record of [`codec`]: a list of versions by purpose and age, each with the purpose's name, the version,
//! when it was made, its [`KeyState`] and 32 bytes of key. No version of a purpose ever comes twice.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::binding::{Binding, framed};
use super::count::{Counter, Counts};
use super::purpose::Purpose;
use super::{DatabaseId, VaultError};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::crypto::aead::SealingKey;
use crate::crypto::derive::{DeriveError, derive};
use crate::store::Put;
use crate::store::codec::{self, Record};
use crate::store::table::Table;

pub(super) const ROW_KEY: &[u8] = b"keyring";
const KEY_BYTES: usize = 32;

/// What a version is still good for. The order is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// Seals and opens. Each purpose has one, and it is the newest.
    Active,
    /// Opens, and stays for ever.
    DecryptOnly,
    /// Opens, and is destroyed once nothing needs it.
    DestroyedWhenUnused,
}

impl KeyState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::DecryptOnly => "opens",
            Self::DestroyedWhenUnused => "goes",
        }
    }
}

/// A version as it is stored, in the sealed keyring.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct KeyRecord {
    #[zeroize(skip)]
    purpose: Purpose,
    version: u32,
    #[zeroize(skip)]
    created: Timestamp,
    #[zeroize(skip)]
    state: KeyState,
    /// 32 bytes. On the heap, so that moving a record copies no key.
    bytes: Vec<u8>,
}

/// By purpose, then by version.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyringRecord {
    keys: Vec<KeyRecord>,
}

impl Record for KeyringRecord {
    const TABLE: &'static str = "vault";
}

/// A version in memory.
pub(super) struct DataKey {
    pub(super) purpose: Purpose,
    pub(super) version: u32,
    pub(super) created: Timestamp,
    /// None where uses are not known: then it does not seal.
    pub(super) counter: Option<Counter>,
    bytes: Secret,
    pub(super) sealing: SealingKey,
    /// The keys that authenticate, by domain: each request of an agent asks for one, and deriving costs more than using.
    /// The domains are few, for they stand in the code.
    macs: RwLock<Vec<(&'static str, Arc<Secret>)>>,
}

impl DataKey {
    fn new(
        purpose: Purpose,
        version: u32,
        created: Timestamp,
        bytes: Secret,
        counter: Option<Counter>,
    ) -> Result<Self, VaultError> {
        if bytes.expose_secret().len() != KEY_BYTES {
            return Err(VaultError::Damaged("a key in the keyring has another length than 32 bytes"));
        }
        let sealing = SealingKey::new(&subkey(&bytes, purpose, "seal", "")?)?;
        Ok(Self { purpose, version, created, counter, bytes, sealing, macs: RwLock::default() })
    }

    fn fresh(purpose: Purpose, version: u32, now: Timestamp) -> Result<Self, VaultError> {
        Self::new(purpose, version, now, Secret::random()?, Some(Counter::new(0)))
    }

    /// A key for one use of this one: sealing, authenticating, signing and labels never share bytes.
    pub(super) fn subkey(&self, usage: &str, label: &str) -> Result<Secret, DeriveError> {
        subkey(&self.bytes, self.purpose, usage, label)
    }

    /// The key that authenticates messages of one domain.
    pub(super) fn mac_key(&self, domain: &'static str) -> Result<Arc<Secret>, DeriveError> {
        let known = self.macs.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = known.iter().find(|(name, _)| *name == domain) {
            return Ok(Arc::clone(key));
        }
        drop(known);
        let key = Arc::new(self.subkey("mac", domain)?);
        // Two that derive at once derive the same.
        self.macs.write().unwrap_or_else(PoisonError::into_inner).push((domain, Arc::clone(&key)));
        Ok(key)
    }
}

/// HKDF-SHA256 without salt; info: `sekisho vault 1`, purpose, usage and label, each after its length (u64 BE).
fn subkey(bytes: &Secret, purpose: Purpose, usage: &str, label: &str) -> Result<Secret, DeriveError> {
    let parts = ["sekisho vault 1", purpose.name(), usage, label];
    derive(bytes, b"", &framed(&parts.map(str::as_bytes)))
}

/// The versions of one purpose.
#[derive(Clone)]
struct Ring {
    active: Arc<DataKey>,
    /// With their states, oldest first.
    older: Vec<(Arc<DataKey>, KeyState)>,
}

/// All keys: for each purpose one that seals, and those that only open.
#[derive(Clone)]
pub(super) struct Keyring {
    /// In the order of [`Purpose::ALL`].
    rings: [Ring; Purpose::ALL.len()],
}

impl Keyring {
    pub(super) fn new(now: Timestamp) -> Result<Self, VaultError> {
        Self::of(|purpose| Ok(Ring { active: Arc::new(DataKey::fresh(purpose, 1, now)?), older: Vec::new() }))
    }

    fn of(mut ring: impl FnMut(Purpose) -> Result<Ring, VaultError>) -> Result<Self, VaultError> {
        let rings = Purpose::ALL.into_iter().map(&mut ring).collect::<Result<Vec<_>, _>>()?;
        let rings = rings.try_into().map_err(|_| VaultError::Damaged("the keyring lacks a purpose"))?;
        Ok(Self { rings })
    }

    fn ring(&self, purpose: Purpose) -> &Ring {
        &self.rings[purpose as usize]
    }

    pub(super) fn active(&self, purpose: Purpose) -> &DataKey {
        &self.ring(purpose).active
    }

    pub(super) fn key(&self, purpose: Purpose, version: u32) -> Option<&DataKey> {
        self.versions(purpose).map(|(key, _)| key).find(|key| key.version == version)
    }

    /// Oldest first; the last one is active.
    pub(super) fn versions(&self, purpose: Purpose) -> impl Iterator<Item = (&DataKey, KeyState)> {
        let Ring { active, older } = self.ring(purpose);
        older.iter().map(|(key, state)| (&**key, *state)).chain([(&**active, KeyState::Active)])
    }

    /// With new active keys for `purposes`.
    pub(super) fn rotated(&self, purposes: &[Purpose], now: Timestamp) -> Result<Self, VaultError> {
        Self::of(|purpose| {
            let ring = self.ring(purpose);
            if purposes.contains(&purpose) { ring.rotated(now) } else { Ok(ring.clone()) }
        })
    }

    /// With new active keys for all purposes, and without old ones that need not stay.
    pub(super) fn renewed(&self, now: Timestamp) -> Result<Self, VaultError> {
        let mut renewed = self.rotated(&Purpose::ALL, now)?;
        for ring in &mut renewed.rings {
            ring.older.retain(|(_, state)| *state == KeyState::DecryptOnly);
        }
        Ok(renewed)
    }

    /// Without these versions.
    pub(super) fn retired(&self, purpose: Purpose, unused: &[u32]) -> Result<Self, VaultError> {
        for version in unused.iter().copied() {
            let (_, state) = self
                .versions(purpose)
                .find(|(key, _)| key.version == version)
                .ok_or(VaultError::NoKey { purpose, version })?;
            let reason = match state {
                KeyState::DestroyedWhenUnused => continue,
                KeyState::Active => "it is the one in use; rotate first",
                KeyState::DecryptOnly => "old entries of the audit log need it",
            };
            return Err(VaultError::StillNeeded { purpose, version, reason });
        }
        let mut retired = self.clone();
        retired.rings[purpose as usize].older.retain(|(key, _)| !unused.contains(&key.version));
        Ok(retired)
    }

    /// The keyring as it is stored.
    pub(super) fn seal(&self, root: &Secret, database_id: &DatabaseId) -> Result<Vec<u8>, VaultError> {
        let keys = Purpose::ALL.into_iter().flat_map(|purpose| self.versions(purpose)).map(|(key, state)| KeyRecord {
            purpose: key.purpose,
            version: key.version,
            created: key.created,
            state,
            bytes: key.bytes.expose_secret().to_vec(),
        });
        let text = codec::encode_secret(&KeyringRecord { keys: keys.collect() })?;
        Ok(SealingKey::new(root)?.seal(text.expose_secret(), &binding(database_id))?)
    }

    /// Opens what [`Keyring::seal`] gave. Without `counts` the keys open and do not seal.
    pub(super) fn open(
        root: &Secret,
        database_id: &DatabaseId,
        sealed: &[u8],
        counts: Option<&Counts>,
    ) -> Result<Self, VaultError> {
        let text = SealingKey::new(root)?
            .open(sealed, &binding(database_id))
            .map_err(|_| VaultError::Damaged("the keyring does not open with the root key"))?;
        let text = Secret::new(text);
        let mut keys = codec::decode::<KeyringRecord>(text.expose_secret())?.keys.into_iter().peekable();
        let keyring = Self::of(|purpose| {
            let of_purpose = std::iter::from_fn(|| keys.next_if(|key| key.purpose == purpose));
            Ring::from_records(of_purpose, counts)
        })?;
        match keys.next() {
            None => Ok(keyring),
            Some(_) => Err(VaultError::Damaged("the keyring is out of order")),
        }
    }
}

impl Ring {
    fn rotated(&self, now: Timestamp) -> Result<Self, VaultError> {
        let purpose = self.active.purpose;
        let limit = bound::KEY_VERSIONS_MAX;
        let full = VaultError::TooManyVersions { purpose, limit };
        let version = self.active.version.checked_add(1).filter(|_| self.older.len() + 2 <= limit).ok_or(full)?;
        let state = if purpose.keeps_versions() { KeyState::DecryptOnly } else { KeyState::DestroyedWhenUnused };
        let mut older = self.older.clone();
        older.push((Arc::clone(&self.active), state));
        Ok(Self { active: Arc::new(DataKey::fresh(purpose, version, now)?), older })
    }

    fn from_records(records: impl Iterator<Item = KeyRecord>, counts: Option<&Counts>) -> Result<Self, VaultError> {
        let mut older: Vec<(Arc<DataKey>, KeyState)> = Vec::new();
        for mut record in records {
            let KeyRecord { purpose, version, created, state, .. } = record;
            let counter = counts.map(|counts| Counter::new(counts.get(&(purpose, version)).copied().unwrap_or(0)));
            let bytes = Secret::new(std::mem::take(&mut record.bytes));
            if older.last().is_some_and(|(key, state)| key.version >= version || *state == KeyState::Active) {
                return Err(VaultError::Damaged("the keyring is out of order"));
            }
            older.push((Arc::new(DataKey::new(purpose, version, created, bytes, counter)?), state));
        }
        match older.pop() {
            Some((active, KeyState::Active)) => Ok(Self { active, older }),
            _ => Err(VaultError::Damaged("a purpose has no active key")),
        }
    }
}

/// The row of a keyring that [`Keyring::seal`] gave.
pub(super) fn row(sealed: &[u8]) -> Put {
    Put::new(Table::Vault, ROW_KEY, sealed.to_vec())
}

fn binding(database_id: &DatabaseId) -> Vec<u8> {
    Binding { database_id, table: Table::Vault.name(), key: ROW_KEY, purpose: "keyring", version: 0 }.bytes()
}
