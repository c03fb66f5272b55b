//! The audit log: what happened, in order, durable before it is answered, and checkable.

pub mod entry;
pub mod tree;
pub mod tile;
pub mod proof;
pub mod checkpoint;
pub mod log;
pub mod fold;
pub mod subject;
pub mod verify;
pub mod render;
pub mod bundle;
pub mod filter;
pub mod report;
pub mod export;
pub mod keep;
pub mod post;
pub mod retain;
pub mod word;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockWriteGuard, broadcast};

use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{NoEntropy, hex};
use crate::crypto::aead::AeadError;
use crate::store::table::Table;
use crate::store::{Batch, Put, Store, StoreError, codec};
use crate::vault::door::Door;
use crate::vault::purpose::Purpose;
use crate::vault::{Open, VaultError};
use entry::{Draft, Entry, Event, Outcome, Personal};
use fold::{Caller, Folded};
use subject::Subjects;
use verify::{Against, Verdict};

/// Appends entries and hands out those that are there.
#[derive(Clone)]
pub struct Audit {
    store: Store,
    clock: Arc<dyn Clock>,
    vault: Arc<Door>,
    subjects: Arc<Subjects>,
    /// Shared by what appends, taken alone by what destroys or re-wraps subjects' keys: an entry under way must not
    /// bring back the row of a key that was just destroyed.
    keys: Arc<RwLock<()>>,
    folded: Arc<Folded>,
    feed: broadcast::Sender<Numbered>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audit")
    }
}

/// An entry and its place in the log.
#[derive(Clone, Debug)]
pub struct Numbered {
    pub sequence: u64,
    pub entry: Arc<Entry>,
    pub personal: Disclosed,
}

impl Numbered {
    /// The personal part, where it is open.
    pub fn open_personal(&self) -> Option<&Personal> {
        match &self.personal {
            Disclosed::Open(personal) => Some(personal),
            Disclosed::Sealed | Disclosed::Erased | Disclosed::Damaged => None,
        }
    }
}

/// The personal part of an entry, as far as it can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disclosed {
    Open(Arc<Personal>),
    /// The vault is sealed, or the entry was written while it was.
    Sealed,
    /// The subject's key was destroyed.
    Erased,
    /// It does not open: the entry, or the subject's key, was changed.
    Damaged,
}

/// Why an entry could not be written or read. No entry, no reply.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit entry could not be made durable: {0}")]
    NotDurable(StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the personal part of an entry: {0}")]
    Sealing(#[from] AeadError),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    #[error("{0}")]
    Refused(String),
}

impl Audit {
    pub fn new(store: Store, clock: Arc<dyn Clock>, vault: Arc<Door>) -> Self {
        Self {
            store,
            clock,
            vault,
            subjects: Arc::default(),
            keys: Arc::default(),
            folded: Arc::default(),
            feed: broadcast::channel(bound::AUDIT_FEED_ENTRIES_MAX).0,
        }
    }

    /// `d`, the key's version, `-`, hexadecimal HMAC-SHA256 of the arguments' JSON text; nothing while the vault is
    /// sealed.
    pub fn digest(&self, arguments: &[u8]) -> Option<String> {
        let open = self.vault.open()?;
        let (version, mac) = open.mac(Purpose::Pseudonyms, "arguments", arguments).ok()?;
        Some(format!("d{version}-{}", hex(&mac)))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes the entry; returns its sequence once it is durable.
    pub async fn append(&self, draft: Draft, outcome: Outcome, reason: Option<String>) -> Result<u64, AuditError> {
        self.append_with(Batch::default(), draft, outcome, reason).await
    }

    /// Writes the entry in one commit with `batch`.
    pub async fn append_with(
        &self,
        batch: Batch,
        draft: Draft,
        outcome: Outcome,
        reason: Option<String>,
    ) -> Result<u64, AuditError> {
        let shared = Arc::clone(&self.keys).read_owned().await;
        self.append_holding(Some(shared), batch, draft, outcome, reason).await
    }

    /// As [`Audit::append`], also on a full disk: for what an operator must learn of.
    pub async fn append_urgent(
        &self,
        draft: Draft,
        outcome: Outcome,
        reason: Option<String>,
    ) -> Result<u64, AuditError> {
        self.append_with(Batch::default().urgent(), draft, outcome, reason).await
    }

    /// Waits until no entry is under way, and holds new ones back until it is dropped.
    pub async fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.keys.write().await
    }

    /// Wraps the keys of subjects that an old key of the vault wraps with the present one; gives how many. The leaves
    /// stay as they are.
    pub async fn reseal_subjects(&self) -> Result<usize, AuditError> {
        let mut count = 0;
        let mut after = Vec::new();
        loop {
            let _alone = self.keys.write().await;
            let open = self.vault.opened()?;
            let page = self.store.read(|snapshot| subject::reseal_page(&open, &open, snapshot, &after))?;
            if !page.rows.is_empty() {
                count += page.rows.len();
                self.store.commit(Batch::puts(page.rows.clone())).await?;
                open.confirm(&page.rows);
                // Those at hand would write the old wrapping back.
                self.subjects.forget();
            }
            match page.last {
                Some(last) => after = [last.as_slice(), &[0]].concat(),
                None => return Ok(count),
            }
        }
    }

    /// Versions of the vault's key that wrap some subject's key.
    pub fn subject_key_versions(&self) -> Result<BTreeSet<u32>, AuditError> {
        subject::versions_in_use(&self.store)
    }

    /// Forgets the keys of subjects that are at hand.
    pub fn forget_subjects(&self) {
        self.subjects.forget();
    }

    /// What is queued becomes durable whether or not the caller still waits, so everything that follows from it is done
    /// in a task of its own: a client that hangs up cannot keep an entry from those who watch the log.
    async fn append_holding(
        &self,
        shared: Option<OwnedRwLockReadGuard<()>>,
        mut batch: Batch,
        draft: Draft,
        outcome: Outcome,
        reason: Option<String>,
    ) -> Result<u64, AuditError> {
        batch.urgent |= draft.urgent;
        let (entry, personal) = draft.close(outcome, reason, self.clock.now());
        let prepared = match self.vault.open() {
            Some(open) => self.subjects.seal(&self.store, &open, entry, &personal)?,
            None => subject::Prepared::bare(entry),
        };
        batch.leaves.push(codec::encode(&prepared.entry)?);
        batch.puts.extend(prepared.puts.iter().cloned());
        let (store, feed) = (self.store.clone(), self.feed.clone());
        let writing = tokio::spawn(async move {
            let acknowledged = store.commit(batch).await.map_err(AuditError::NotDurable)?;
            drop(shared);
            prepared.confirm();
            let sequence = acknowledged.sequence.unwrap_or_default();
            if feed.receiver_count() > 0 {
                // Within the process the feed carries what the file has only sealed. The last listener may just have left.
                let personal = Disclosed::Open(Arc::new(personal));
                feed.send(Numbered { sequence, entry: Arc::new(prepared.entry), personal }).ok();
            }
            Ok(sequence)
        });
        writing
            .await
            .unwrap_or_else(|error| Err(AuditError::Refused(format!("the task that writes it ended: {error}"))))
    }

    /// Writes a refusal folded, so that nobody fills the disk with them: the first of an address in a second gets an
    /// entry of its own, the others of that second are counted into the next one, whatever they were.
    pub async fn append_folded(&self, draft: Draft, reason: String) -> Result<(), AuditError> {
        let caller = match (&draft.personal.principal, &draft.personal.peer) {
            (Some(principal), _) => Caller::Principal(principal.clone()),
            (None, Some(peer)) => Caller::of_peer(peer),
            (None, None) => Caller::Others,
        };
        let Some(others) = self.folded.admit(caller, self.clock.now()) else {
            return Ok(());
        };
        let reason = fold::with_others(&reason, others);
        self.append(draft, Outcome::Refused, Some(reason)).await.map(drop)
    }

    /// Writes down what was only counted so far; for the end.
    pub async fn append_unwritten(&self) -> Result<(), AuditError> {
        for (caller, unwritten) in self.folded.drain() {
            let mut draft = Draft::new(Event::Call, "internal", self.clock.now());
            match caller {
                Caller::Principal(principal) => draft.personal.principal = Some(principal),
                Caller::Address(peer) => draft.personal.peer = Some(peer),
                Caller::Others => {}
            }
            // This entry is that of the last of them, and stands for the others.
            let reason = fold::with_others("folded: counted, and written down at the end", unwritten - 1);
            self.append(draft, Outcome::Refused, Some(reason)).await?;
        }
        Ok(())
    }

    /// Entries as they become durable. A slow reader loses the oldest and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Numbered> {
        self.feed.subscribe()
    }

    /// How many entries there are, pruned ones included.
    pub fn size(&self) -> Result<u64, AuditError> {
        self.store.read(|snapshot| Ok(log::frontier(snapshot)?.size()))
    }

    /// The first entry that was not pruned.
    pub fn first(&self) -> Result<u64, AuditError> {
        self.store.read(|snapshot| Ok(log::pruned(snapshot)?.size()))
    }

    /// Entries from `first` on, at most `entries_max` of them.
    pub fn read(&self, first: u64, entries_max: usize) -> Result<Vec<Numbered>, AuditError> {
        let rows = self.leaves(first, entries_max)?;
        let open = self.vault.open();
        rows.into_iter()
            .map(|(sequence, leaf)| {
                let (entry, clear) = entry::of_leaf(&leaf)?;
                let personal = match clear {
                    Some(personal) => Disclosed::Open(Arc::new(personal)),
                    None => self.disclosed_by(open.as_ref(), &entry)?,
                };
                Ok(Numbered { sequence, entry: Arc::new(entry), personal })
            })
            .collect()
    }

    /// The personal part of an entry that was sealed, as far as it can be had.
    pub fn disclosed(&self, entry: &Entry) -> Result<Disclosed, AuditError> {
        self.disclosed_by(self.vault.open().as_ref(), entry)
    }

    fn disclosed_by(&self, open: Option<&Open>, entry: &Entry) -> Result<Disclosed, AuditError> {
        Ok(match open {
            _ if entry.sealed.is_none() => Disclosed::Open(Arc::default()),
            None => Disclosed::Sealed,
            Some(open) => match self.subjects.open(&self.store, open, entry) {
                Ok(Some(personal)) => Disclosed::Open(Arc::new(personal)),
                Ok(None) => Disclosed::Erased,
                // One entry that was changed must not hide the others.
                Err(AuditError::Sealing(_) | AuditError::Vault(_)) => Disclosed::Damaged,
                Err(error) => return Err(error),
            },
        })
    }

    /// Leaves from `first` on, as they are stored.
    pub fn leaves(&self, first: u64, entries_max: usize) -> Result<Vec<(u64, Vec<u8>)>, AuditError> {
        let rows = self.store.read(|snapshot| {
            let entries_max = entries_max.min(bound::AUDIT_PAGE_ENTRIES_MAX);
            let first = first.max(log::pruned(snapshot)?.size());
            snapshot.scan(Table::AuditEntries, &first.to_be_bytes(), &log::AFTER_ALL, entries_max)
        })?;
        rows.into_iter()
            .map(|(key, leaf)| {
                let sequence = key.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Record {
                    table: Table::AuditEntries.name(),
                    reason: "its key is not a sequence".into(),
                })?;
                Ok((sequence, leaf))
            })
            .collect()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Checks the whole log; see [`verify::verify`].
    pub fn verify(&self, against: &Against) -> Result<Verdict, AuditError> {
        Ok(verify::verify(&self.store, against)?)
    }

    /// The same, until `is_over`: from then on nothing is read, and what comes of it is an error.
    pub fn verify_until(&self, against: &Against, is_over: &dyn Fn() -> bool) -> Result<Verdict, AuditError> {
        Ok(verify::verify(&log::Until { store: &self.store, is_over }, against)?)
    }

    /// Destroys the keys of a subject: what is personal in its entries cannot be read any more, by anybody, and the
    /// leaves stay as they are. `name` is a principal, `peer:ADDRESS`, or a pseudonym. Gives the pseudonyms erased.
    pub async fn erase(&self, name: &str, draft: Draft) -> Result<Vec<String>, AuditError> {
        let open = self.vault.open().ok_or(VaultError::Sealed)?;
        let pseudonyms = subject::pseudonyms_of(&open, name)?;
        let _alone = self.keys.write().await;
        let mut found = Vec::new();
        for pseudonym in pseudonyms {
            let row = self.store.read(|snapshot| snapshot.get(Table::Subjects, pseudonym.as_bytes()))?;
            if row.is_some() {
                found.push(pseudonym);
            }
        }
        if found.is_empty() {
            return Err(AuditError::Refused(
                "no key of such a subject is kept: nothing was ever sealed for it, or it was erased before".into(),
            ));
        }
        self.destroy(&found, draft).await?;
        Ok(found)
    }

    async fn destroy(&self, pseudonyms: &[String], mut draft: Draft) -> Result<(), AuditError> {
        let puts = pseudonyms.iter().map(|pseudonym| Put::delete(Table::Subjects, pseudonym.as_bytes())).collect();
        draft.event = Event::Audit;
        draft.operation = Some(ERASE.to_owned());
        draft.target = Some(pseudonyms.join(" "));
        self.subjects.forget();
        let written = self.append_holding(None, Batch::puts(puts), draft, Outcome::Done, None).await;
        self.subjects.forget();
        written.map(drop)
    }

    /// Every pseudonym whose erasure the log holds.
    pub fn erasures(&self) -> Result<Vec<(Timestamp, String)>, AuditError> {
        Ok(log::erasures(&self.store)?)
    }
}

/// The operation of entries that say that a subject's keys were destroyed.
pub const ERASE: &str = "audit.erase";

#[cfg(test)]
mod tests_samples;
#[cfg(test)]
mod tests_subject;
#[cfg(test)]
mod tests_tree;
