//! The audit log: what happened, in order, durable before it is answered, and checkable.

pub mod entry;
pub mod fold;
pub mod log;

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::hex;
use crate::crypto::digest::{Hash, hmac_sha256};
use crate::store::table::Table;
use crate::store::{Batch, Opened, Put, Store, StoreError, codec};
use entry::{Draft, Entry, Event, Outcome};
use fold::Folded;

const KEY_ARGUMENT_DIGEST: &[u8] = b"keys/argument_digest";

/// Appends entries and hands out those that are there.
#[derive(Clone)]
pub struct Audit {
    store: Store,
    clock: Arc<dyn Clock>,
    digest_key: Arc<Hash>,
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
}

/// Why an entry could not be written or read. No entry, no reply.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit entry could not be made durable: {0}")]
    NotDurable(StoreError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database has no key for argument digests; it was not made by `sekisho init`")]
    NoKey,
}

/// What `init` writes for the audit log: the key of the argument digests.
pub fn first_rows() -> Result<Vec<Put>, crate::base::id::NoEntropy> {
    let key = crate::base::id::random_bytes::<32>()?;
    Ok(vec![Put::new(Table::Meta, KEY_ARGUMENT_DIGEST, key.to_vec())])
}

/// The key under which arguments are digested, so that short ones cannot be guessed from the log.
pub fn digest_key(opened: &Opened) -> Result<Hash, AuditError> {
    let key = opened.read(|snapshot| snapshot.get(Table::Meta, KEY_ARGUMENT_DIGEST))?;
    key.and_then(|bytes| bytes.try_into().ok()).ok_or(AuditError::NoKey)
}

impl Audit {
    pub fn new(store: Store, clock: Arc<dyn Clock>, digest_key: Hash) -> Self {
        Self {
            store,
            clock,
            digest_key: Arc::new(digest_key),
            folded: Arc::new(Folded::default()),
            feed: broadcast::channel(bound::AUDIT_FEED_ENTRIES_MAX).0,
        }
    }

    /// Hexadecimal HMAC-SHA256 of the arguments' JSON text.
    pub fn digest(&self, arguments: &[u8]) -> String {
        hex(&hmac_sha256(&self.digest_key, arguments))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes the entry; returns its sequence once it is durable.
    pub async fn append(&self, draft: Draft, outcome: Outcome, reason: Option<String>) -> Result<u64, AuditError> {
        let entry = draft.close(outcome, reason, self.clock.now());
        let leaf = codec::encode(&entry)?;
        let acknowledged = self.store.commit(Batch::leaf(leaf)).await.map_err(AuditError::NotDurable)?;
        let sequence = acknowledged.sequence.unwrap_or_default();
        // Nobody may be listening.
        self.feed.send(Numbered { sequence, entry: Arc::new(entry) }).ok();
        Ok(sequence)
    }

    /// Writes a refusal folded, so that nobody fills the disk with them: the first of an address in a second gets an
    /// entry of its own, the others of that second are counted into the next one, whatever they were.
    pub async fn append_folded(&self, draft: Draft, reason: String) -> Result<(), AuditError> {
        let Some(others) = self.folded.admit(draft.peer.as_deref().unwrap_or_default(), self.clock.now()) else {
            return Ok(());
        };
        let reason = if others == 0 {
            reason
        } else {
            format!("{reason} (and {others} earlier refusals of this address without an entry)")
        };
        self.append(draft, Outcome::Refused, Some(reason)).await.map(drop)
    }

    /// Writes down what was only counted so far; for the end.
    pub async fn append_unwritten(&self) -> Result<(), AuditError> {
        for (address, unwritten) in self.folded.drain() {
            let mut draft = Draft::new(Event::Call, "internal", self.clock.now());
            draft.peer = Some(address).filter(|address| !address.is_empty());
            let reason = format!("{unwritten} earlier refusals of this address without an entry");
            self.append(draft, Outcome::Refused, Some(reason)).await?;
        }
        Ok(())
    }

    /// Entries as they become durable. A slow reader loses the oldest and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Numbered> {
        self.feed.subscribe()
    }

    /// How many entries there are.
    pub fn size(&self) -> Result<u64, AuditError> {
        self.store.read(|snapshot| Ok(log::frontier(snapshot)?.size()))
    }

    /// Entries from `first` on, at most `entries_max` of them.
    pub fn read(&self, first: u64, entries_max: usize) -> Result<Vec<Numbered>, AuditError> {
        let rows = self.store.read(|snapshot| {
            let entries_max = entries_max.min(bound::AUDIT_PAGE_ENTRIES_MAX);
            snapshot.scan(Table::AuditEntries, &first.to_be_bytes(), &u64::MAX.to_be_bytes(), entries_max)
        })?;
        rows.into_iter().map(|(key, value)| numbered(&key, &value)).collect()
    }

    /// Checks the whole log against its Merkle frontier. Short looks, so that a long log pins no pages.
    pub fn verify(&self) -> Result<log::Verdict, AuditError> {
        Ok(log::verify(&self.store)?)
    }
}

fn numbered(key: &[u8], value: &[u8]) -> Result<Numbered, AuditError> {
    let sequence = key.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Record {
        table: Table::AuditEntries.name(),
        reason: "its key is not a sequence".into(),
    })?;
    Ok(Numbered { sequence, entry: Arc::new(codec::decode(value)?) })
}
