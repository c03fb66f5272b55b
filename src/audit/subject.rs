//! Subjects: whom entries are about. Each has a pseudonym, and a key under which what tells it apart is sealed;
//! destroying the key is how a subject is forgotten without rewriting a leaf.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::AuditError;
use super::entry::{Entry, Personal};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::{hex, random_bytes};
use crate::base::secret::Secret;
use crate::crypto::aead::SealingKey;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, Store, after_prefix};
use crate::vault::purpose::Purpose;
use crate::vault::{Open, VaultError, version_of};

/// Tells keys of one subject apart.
type KeyId = [u8; 8];

/// A subject's key as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectRecord {
    pub made: Timestamp,
    /// Random. What was sealed with a key begins with its id: a subject that was erased and came again has another one.
    pub id: KeyId,
    /// How often the key may have been used: counted ahead, so that a crash counts too many, never too few.
    pub uses: u64,
    /// The key of 32 bytes, sealed by the vault under the purpose "audit personal data", bound to this row.
    pub sealed: Vec<u8>,
}

impl Record for SubjectRecord {
    const TABLE: &'static str = "subjects";
}

/// What is in [`SubjectRecord::sealed`].
#[derive(Serialize, Deserialize)]
struct SubjectSecret {
    key: [u8; 32],
}

impl Record for SubjectSecret {
    const TABLE: &'static str = "subjects";
}

impl Drop for SubjectSecret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

/// A subject at hand.
struct Subject {
    pseudonym: String,
    made: Timestamp,
    id: KeyId,
    key: SealingKey,
    sealed: Vec<u8>,
    /// The vault's own count for sealing that, where this subject is new.
    of_vault: Option<Put>,
    used: AtomicU64,
    /// Uses that are counted durably; beyond them each commit carries the row until one is acknowledged.
    reserved: AtomicU64,
}

impl Subject {
    /// Counts one use; the row to commit with it, where the durable count does not cover it.
    fn count(&self) -> Result<Option<Reservation>, AuditError> {
        let used = self.used.fetch_add(1, Ordering::Relaxed) + 1;
        if used > self.reserved.load(Ordering::Acquire) {
            // In whole blocks, so that whoever counts at once writes the same row.
            let uses = (used / bound::SUBJECT_USES_RESERVED + 2) * bound::SUBJECT_USES_RESERVED;
            let record = SubjectRecord { made: self.made, id: self.id, uses, sealed: self.sealed.clone() };
            let mut puts = vec![Put::new(Table::Subjects, self.pseudonym.as_bytes(), codec::encode(&record)?)];
            puts.extend(self.of_vault.clone());
            return Ok(Some(Reservation { puts, uses }));
        }
        Ok(None)
    }
}

struct Reservation {
    puts: Vec<Put>,
    uses: u64,
}

/// An entry that is ready to be written.
pub(super) struct Prepared {
    pub(super) entry: Entry,
    /// Rows that must become durable with it.
    pub(super) puts: Vec<Put>,
    confirm: Option<(Arc<Subject>, u64)>,
}

impl Prepared {
    pub(super) fn bare(entry: Entry) -> Self {
        Self { entry, puts: Vec::new(), confirm: None }
    }

    /// Its rows are durable.
    pub(super) fn confirm(&self) {
        if let Some((subject, uses)) = &self.confirm {
            subject.reserved.fetch_max(*uses, Ordering::AcqRel);
        }
    }
}

/// All subjects that were met since the start, with the keys to open what was sealed before.
#[derive(Default)]
pub(super) struct Subjects {
    /// By pseudonym. Held for a look-up or a point read, never across an await.
    known: Mutex<HashMap<String, Arc<Subject>>>,
    /// Pseudonyms of names under the present key: making one costs an HMAC. Held for a look-up.
    pseudonyms: Mutex<(u32, HashMap<String, String>)>,
}

impl Subjects {
    /// Puts the pseudonym into the entry and seals what is personal.
    pub(super) fn seal(
        &self,
        store: &Store,
        open: &Open,
        mut entry: Entry,
        personal: &Personal,
    ) -> Result<Prepared, AuditError> {
        let Some(name) = personal.subject() else { return Ok(Prepared::bare(entry)) };
        let pseudonym = self.pseudonym(open, &name)?;
        let subject = self.subject(store, open, &pseudonym, entry.at)?;
        entry.subject = Some(pseudonym);
        let context = codec::encode(&entry)?;
        let text = codec::encode(personal)?;
        let reservation = subject.count()?;
        entry.sealed = Some([subject.id.as_slice(), &subject.key.seal(&text, &context)?].concat());
        let (puts, confirm) = match reservation {
            Some(Reservation { puts, uses }) => (puts, Some((subject, uses))),
            None => (Vec::new(), None),
        };
        Ok(Prepared { entry, puts, confirm })
    }

    /// What was sealed in `entry`, while its subject's key exists.
    pub(super) fn open(&self, store: &Store, open: &Open, entry: &Entry) -> Result<Option<Personal>, AuditError> {
        let (Some(pseudonym), Some(sealed)) = (&entry.subject, &entry.sealed) else { return Ok(None) };
        let Some(subject) = self.known_or_stored(store, open, pseudonym)? else { return Ok(None) };
        let Some(sealed) = sealed.strip_prefix(&subject.id) else { return Ok(None) };
        let context = codec::encode(&Entry { sealed: None, ..entry.clone() })?;
        let text = Secret::new(subject.key.open(sealed, &context)?);
        Ok(Some(codec::decode(text.expose_secret())?))
    }

    /// Forgets the keys at hand: they were destroyed, or re-wrapped.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.pseudonyms.lock().unwrap_or_else(PoisonError::into_inner).1.clear();
    }

    fn pseudonym(&self, open: &Open, name: &str) -> Result<String, AuditError> {
        let version = open.active(Purpose::Pseudonyms);
        let mut cached = self.pseudonyms.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.0 != version || cached.1.len() >= bound::SUBJECTS_CACHED_MAX {
            *cached = (version, HashMap::new());
        }
        if let Some(pseudonym) = cached.1.get(name) {
            return Ok(pseudonym.clone());
        }
        let pseudonym = pseudonym_under(open, version, name)?;
        cached.1.insert(name.to_owned(), pseudonym.clone());
        Ok(pseudonym)
    }

    fn subject(&self, store: &Store, open: &Open, pseudonym: &str, now: Timestamp) -> Result<Arc<Subject>, AuditError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subject) = known.get(pseudonym) {
            return Ok(Arc::clone(subject));
        }
        // Under the lock, so that two first entries of one subject share one key.
        let subject = match load(store, open, pseudonym)? {
            Some(subject) => subject,
            None => make(open, pseudonym, now)?,
        };
        Ok(keep(&mut known, subject))
    }

    /// Looks and remembers under one lock: whoever erases forgets after the row is gone, so that no reader puts back
    /// a key that it had read before.
    fn known_or_stored(&self, store: &Store, open: &Open, pseudonym: &str) -> Result<Option<Arc<Subject>>, AuditError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subject) = known.get(pseudonym) {
            return Ok(Some(Arc::clone(subject)));
        }
        Ok(load(store, open, pseudonym)?.map(|subject| keep(&mut known, subject)))
    }
}

fn keep(known: &mut HashMap<String, Arc<Subject>>, subject: Subject) -> Arc<Subject> {
    if known.len() >= bound::SUBJECTS_CACHED_MAX {
        // One that is not durable yet must not be made twice.
        known.retain(|_, subject| subject.reserved.load(Ordering::Acquire) == 0);
    }
    let subject = Arc::new(subject);
    known.insert(subject.pseudonym.clone(), Arc::clone(&subject));
    subject
}

/// `p`, the key's version, `-`, 128 bits of HMAC-SHA256: enough that no two subjects meet.
fn pseudonym_under(open: &Open, version: u32, name: &str) -> Result<String, VaultError> {
    let mac = open.mac_with(Purpose::Pseudonyms, version, "subject", name.as_bytes())?;
    Ok(format!("p{version}-{}", hex(&mac[..16])))
}

/// Every pseudonym that `name` has had; or `name` itself, if it is one.
pub(super) fn pseudonyms_of(open: &Open, name: &str) -> Result<Vec<String>, VaultError> {
    if is_pseudonym(name) {
        return Ok(vec![name.to_owned()]);
    }
    open.versions(Purpose::Pseudonyms).into_iter().map(|version| pseudonym_under(open, version, name)).collect()
}

pub(super) fn is_pseudonym(text: &str) -> bool {
    let Some((version, mac)) = text.strip_prefix('p').and_then(|rest| rest.split_once('-')) else { return false };
    version.parse::<u32>().is_ok() && mac.len() == 32 && mac.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn make(open: &Open, pseudonym: &str, now: Timestamp) -> Result<Subject, AuditError> {
    let secret = SubjectSecret { key: random_bytes::<32>()? };
    let text = codec::encode_secret(&secret)?;
    let sealed = open.seal(Purpose::AuditPersonal, Table::Subjects, pseudonym.as_bytes(), text.expose_secret())?;
    Ok(Subject {
        pseudonym: pseudonym.to_owned(),
        made: now,
        id: random_bytes()?,
        key: SealingKey::new(&Secret::new(secret.key))?,
        sealed: sealed.bytes,
        of_vault: sealed.reservation,
        used: AtomicU64::new(0),
        reserved: AtomicU64::new(0),
    })
}

fn load(store: &Store, open: &Open, pseudonym: &str) -> Result<Option<Subject>, AuditError> {
    let row = store.read(|snapshot| snapshot.get(Table::Subjects, pseudonym.as_bytes()))?;
    let Some(row) = row else { return Ok(None) };
    let record: SubjectRecord = codec::decode(&row)?;
    let secret = opened(open, pseudonym, &record)?;
    Ok(Some(Subject {
        pseudonym: pseudonym.to_owned(),
        made: record.made,
        id: record.id,
        key: SealingKey::new(&Secret::new(secret.key))?,
        sealed: record.sealed,
        of_vault: None,
        used: AtomicU64::new(record.uses),
        reserved: AtomicU64::new(record.uses),
    }))
}

fn opened(open: &Open, pseudonym: &str, record: &SubjectRecord) -> Result<SubjectSecret, AuditError> {
    let text = open.unseal(Purpose::AuditPersonal, Table::Subjects, pseudonym.as_bytes(), &record.sealed)?;
    Ok(codec::decode(text.expose_secret())?)
}

/// One commit's worth of subjects.
#[derive(Debug)]
pub struct Page {
    pub rows: Vec<Put>,
    /// The last row that was looked at; none at the end.
    pub last: Option<Vec<u8>>,
}

/// Wraps anew, with `to`, the keys of the subjects from `from_key` on that `from` wraps under another key.
pub fn reseal_page(from: &Open, to: &Open, snapshot: &Snapshot, from_key: &[u8]) -> Result<Page, AuditError> {
    let found = snapshot.scan(Table::Subjects, from_key, &after_prefix(&[]), bound::SCAN_ROWS_MAX)?;
    let mut page = Page { rows: Vec::new(), last: found.last().map(|(key, _)| key.clone()) };
    for (key, value) in found {
        let record: SubjectRecord = codec::decode(&value)?;
        if !to.needs_reseal(Purpose::AuditPersonal, &record.sealed) {
            continue;
        }
        let text = from.unseal(Purpose::AuditPersonal, Table::Subjects, &key, &record.sealed)?;
        let sealed = to.seal(Purpose::AuditPersonal, Table::Subjects, &key, text.expose_secret())?;
        let sealed = sealed.into_bytes(&mut page.rows);
        page.rows.push(Put::new(Table::Subjects, key, codec::encode(&SubjectRecord { sealed, ..record })?));
    }
    Ok(page)
}

/// Versions of the vault's key that wrap some subject's key.
pub(super) fn versions_in_use(store: &Store) -> Result<BTreeSet<u32>, AuditError> {
    let mut versions = BTreeSet::new();
    let mut from = Vec::new();
    loop {
        let found =
            store.read(|snapshot| snapshot.scan(Table::Subjects, &from, &after_prefix(&[]), bound::SCAN_ROWS_MAX))?;
        let Some((last, _)) = found.last() else { return Ok(versions) };
        from = [last.as_slice(), &[0]].concat();
        for (_, value) in &found {
            let record: SubjectRecord = codec::decode(value)?;
            versions.insert(version_of(&record.sealed).ok_or(VaultError::Malformed { place: "subjects" })?);
        }
    }
}

/// The rows that destroy again what was erased after its key was made.
pub fn erased_again(snapshot: &Snapshot, erasures: &[(Timestamp, String)]) -> Result<Vec<Put>, AuditError> {
    let mut gone = BTreeSet::new();
    for (at, pseudonym) in erasures {
        if let Some(row) = snapshot.get(Table::Subjects, pseudonym.as_bytes())? {
            let record: SubjectRecord = codec::decode(&row)?;
            if record.made <= *at {
                gone.insert(pseudonym);
            }
        }
    }
    Ok(gone.into_iter().map(|pseudonym| Put::delete(Table::Subjects, pseudonym.as_bytes())).collect())
}
