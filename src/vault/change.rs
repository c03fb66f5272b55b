//! Changes of keys: each gives the rows to commit, and the vault to use once they are durable.

use super::count;
use super::key::{self, Keyring};
use super::open::{Inner, Open};
use super::purpose::Purpose;
use super::slot::{SlotKind, SlotRecord, Slots};
use super::{Created, DatabaseId, RecoveryKey, VaultError};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::crypto::password::Iterations;
use crate::store::Put;

/// A change that is not made yet: commit `rows` together, then put `next` where the vault was. If the commit fails,
/// go on with what there was.
#[derive(Debug)]
#[must_use]
pub struct Change {
    pub rows: Vec<Put>,
    pub next: Open,
}

impl Open {
    /// A vault around `keyring`, with a new root key and new slots.
    pub(super) fn make(
        database_id: DatabaseId,
        secret: &Secret,
        iterations: Iterations,
        keyring: Keyring,
    ) -> Result<Created, VaultError> {
        let root = Secret::random()?;
        let recovery = RecoveryKey::random()?;
        let (passphrase, derived) = SlotRecord::with_secret(&database_id, &root, secret, iterations)?;
        let slots = Slots { passphrase, recovery: SlotRecord::with_recovery(&database_id, &root, &recovery)? };
        let sealed = keyring.seal(&root, &database_id)?;
        let mut rows = slots.rows()?.to_vec();
        rows.push(key::row(&sealed));
        Ok(Created { rows, recovery, open: Self::of(database_id, root, slots, keyring, sealed), derived })
    }

    /// New active keys for `purposes`; the old ones open what they sealed. Sealed values are sealed anew by
    /// [`super::reseal`], and then [`Open::retire`] destroys the old keys.
    pub fn rotate(&self, purposes: &[Purpose], now: Timestamp) -> Result<Change, VaultError> {
        self.with_keyring(self.inner.keyring.rotated(purposes, now)?, Vec::new())
    }

    /// Destroys versions that nothing is sealed under any more: whoever calls has looked. Refused for the active
    /// version, and for what old entries of the audit log need: versions of pseudonyms and signing are kept for ever.
    pub fn retire(&self, purpose: Purpose, unused: &[u32]) -> Result<Change, VaultError> {
        let keyring = self.inner.keyring.retired(purpose, unused)?;
        let removals = self.count_removals(&keyring);
        self.with_keyring(keyring, removals)
    }

    /// Another secret opens the vault from now on; the one of before does not. The recovery key stays.
    pub fn change_secret(&self, secret: &Secret, iterations: Iterations) -> Result<Change, VaultError> {
        let Inner { database_id, root, slots, .. } = &*self.inner;
        let (passphrase, _) = SlotRecord::with_secret(database_id, root, secret, iterations)?;
        let rows = vec![passphrase.row(SlotKind::Passphrase)?];
        Ok(self.with_slots(Slots { passphrase, ..slots.clone() }, rows))
    }

    /// Another recovery key opens the vault from now on; the one of before does not, except the backups made until now.
    pub fn new_recovery(&self) -> Result<(Change, RecoveryKey), VaultError> {
        let Inner { database_id, root, slots, .. } = &*self.inner;
        let key = RecoveryKey::random()?;
        let recovery = SlotRecord::with_recovery(database_id, root, &key)?;
        let rows = vec![recovery.row(SlotKind::Recovery)?];
        Ok((self.with_slots(Slots { recovery, ..slots.clone() }, rows), key))
    }

    /// A new vault in the place of this one, for when the root key may be known to others: a new root key, a new
    /// recovery key, new keys for every purpose. Of the old keys only pseudonyms and signing stay. What is sealed under
    /// the others must be opened with this vault and sealed with the new one ([`super::reseal::Pair`] for credentials).
    /// Once the rows are durable this vault's keys are gone with the process: write the new vault and all that is
    /// sealed anew into one commit, or into a copy of the database that takes the old one's place when it is complete.
    pub fn rekeyed(&self, secret: &Secret, iterations: Iterations, now: Timestamp) -> Result<Created, VaultError> {
        let keyring = self.inner.keyring.renewed(now)?;
        let removals = self.count_removals(&keyring);
        let mut created = Self::make(self.inner.database_id, secret, iterations, keyring)?;
        created.rows.extend(removals);
        Ok(created)
    }

    fn with_keyring(&self, keyring: Keyring, mut rows: Vec<Put>) -> Result<Change, VaultError> {
        let Inner { database_id, root, slots, .. } = &*self.inner;
        let sealed = keyring.seal(root, database_id)?;
        rows.push(key::row(&sealed));
        let next = Self::of(*database_id, root.clone(), slots.clone(), keyring, sealed);
        Ok(Change { rows, next })
    }

    fn with_slots(&self, slots: Slots, rows: Vec<Put>) -> Change {
        let Inner { database_id, root, keyring, keyring_sealed, .. } = &*self.inner;
        let next = Self::of(*database_id, root.clone(), slots, keyring.clone(), keyring_sealed.clone());
        Change { rows, next }
    }

    /// Removes the counts of keys that `next` does not have.
    fn count_removals(&self, next: &Keyring) -> Vec<Put> {
        let keys = Purpose::ALL.into_iter().flat_map(|purpose| self.inner.keyring.versions(purpose));
        keys.filter(|(key, _)| next.key(key.purpose, key.version).is_none())
            .flat_map(|(key, _)| count::removals(key.purpose, key.version, key.counter.as_ref()))
            .collect()
    }
}
