//! Slots: the root key, wrapped once by what a secret derives to and once by the recovery key.

use serde::{Deserialize, Serialize};

use super::binding::Binding;
use super::{DatabaseId, RecoveryKey, VaultError};
use crate::base::bound;
use crate::base::id::random_bytes;
use crate::base::secret::Secret;
use crate::crypto::aead::{AeadError, SealingKey};
use crate::crypto::derive::derive;
use crate::crypto::password::{Iterations, derive_key};
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, StoreError};

/// Which slot. The name is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Opened by the secret: PBKDF2-HMAC-SHA256.
    Passphrase,
    /// Opened by the recovery key: HKDF-SHA256, for its 256 bits are random.
    Recovery,
}

impl SlotKind {
    pub(super) const fn row_key(self) -> &'static [u8] {
        match self {
            Self::Passphrase => b"slot/passphrase",
            Self::Recovery => b"slot/recovery",
        }
    }

    const fn purpose(self) -> &'static str {
        match self {
            Self::Passphrase => "root by passphrase",
            Self::Recovery => "root by recovery key",
        }
    }
}

/// A slot as it is stored. Nothing in it is secret as long as the secret is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotRecord {
    derivation: Derivation,
    salt: [u8; 32],
    /// The root key: nonce (12 bytes), ciphertext (32), tag (16), bound to the slot's row in its database.
    sealed_root: Vec<u8>,
}

/// How the key-encryption key comes about. The order is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Derivation {
    /// Iterations of PBKDF2-HMAC-SHA256.
    Pbkdf2(u32),
    /// HKDF-SHA256, whose info is the slot's binding.
    Hkdf,
}

impl SlotRecord {
    /// Iterations of PBKDF2; none are needed for a key that nobody chose.
    pub(super) fn iterations(&self) -> u32 {
        match self.derivation {
            Derivation::Pbkdf2(iterations) => iterations,
            Derivation::Hkdf => 0,
        }
    }
}

impl Record for SlotRecord {
    const TABLE: &'static str = "vault";
}

/// Both slots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slots {
    pub passphrase: SlotRecord,
    pub recovery: SlotRecord,
}

impl Slots {
    pub(super) fn rows(&self) -> Result<[Put; 2], StoreError> {
        Ok([self.passphrase.row(SlotKind::Passphrase)?, self.recovery.row(SlotKind::Recovery)?])
    }
}

impl SlotRecord {
    /// The slot, and the key derived from the secret.
    pub(super) fn with_secret(
        database_id: &DatabaseId,
        root: &Secret,
        secret: &Secret,
        iterations: Iterations,
    ) -> Result<(Self, Secret), VaultError> {
        let found = secret.expose_secret().len();
        let limit = bound::VAULT_SECRET_BYTES_MAX;
        if found == 0 || found as u64 > limit {
            return Err(VaultError::SecretLength { found, limit });
        }
        let salt = random_bytes()?;
        let key = derive_key(secret, &salt, iterations);
        let sealed_root =
            SealingKey::new(&key)?.seal(root.expose_secret(), &binding(database_id, SlotKind::Passphrase))?;
        Ok((Self { derivation: Derivation::Pbkdf2(iterations.get()), salt, sealed_root }, key))
    }

    pub(super) fn with_recovery(
        database_id: &DatabaseId,
        root: &Secret,
        recovery: &RecoveryKey,
    ) -> Result<Self, VaultError> {
        let salt = random_bytes()?;
        let binding = binding(database_id, SlotKind::Recovery);
        let key = derive(recovery.secret(), &salt, &binding)?;
        let sealed_root = SealingKey::new(&key)?.seal(root.expose_secret(), &binding)?;
        Ok(Self { derivation: Derivation::Hkdf, salt, sealed_root })
    }

    /// The key-encryption key that the secret makes.
    pub(super) fn derive(&self, secret: &Secret) -> Result<Secret, VaultError> {
        let Derivation::Pbkdf2(iterations) = self.derivation else {
            return Err(VaultError::Damaged("the slot of the passphrase is of another kind"));
        };
        Ok(derive_key(secret, &self.salt, Iterations::stored(iterations)?))
    }

    pub(super) fn open_with_derived(&self, database_id: &DatabaseId, key: &Secret) -> Result<Secret, VaultError> {
        self.open(key, &binding(database_id, SlotKind::Passphrase), VaultError::WrongSecret)
    }

    pub(super) fn open_with_recovery(
        &self,
        database_id: &DatabaseId,
        recovery: &RecoveryKey,
    ) -> Result<Secret, VaultError> {
        if self.derivation != Derivation::Hkdf {
            return Err(VaultError::Damaged("the slot of the recovery key is of another kind"));
        }
        let binding = binding(database_id, SlotKind::Recovery);
        let key = derive(recovery.secret(), &self.salt, &binding)?;
        self.open(&key, &binding, VaultError::WrongRecoveryKey)
    }

    fn open(&self, key: &Secret, binding: &[u8], wrong: VaultError) -> Result<Secret, VaultError> {
        match SealingKey::new(key)?.open(&self.sealed_root, binding) {
            Ok(root) => Ok(Secret::new(root)),
            // That the slot was damaged instead cannot be told apart.
            Err(AeadError::DoesNotOpen) => Err(wrong),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn row(&self, kind: SlotKind) -> Result<Put, StoreError> {
        Ok(Put::new(Table::Vault, kind.row_key(), codec::encode(self)?))
    }
}

fn binding(database_id: &DatabaseId, kind: SlotKind) -> Vec<u8> {
    Binding { database_id, table: Table::Vault.name(), key: kind.row_key(), purpose: kind.purpose(), version: 0 }
        .bytes()
}
