//! Signs what the log holds: a checkpoint a second while it grows, stored with it and exported out of its reach.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::entry::{Draft, Event, Outcome};
use super::export::{self, Export};
use super::log;
use super::tile::TileNodes;
use super::tree::leaf_hash;
use super::{Audit, AuditError, proof};
use crate::base::bound;
use crate::base::id::hex;
use crate::crypto::sign::{SigningKey, VerifyingKey};
use crate::store::table::Table;
use crate::store::{Batch, Put, Removal, Snapshot, StoreError};
use crate::vault::Open;
use crate::vault::purpose::Purpose;

/// The keeper of one log.
#[derive(Debug)]
pub struct Keeper {
    audit: Audit,
    origin: String,
    exports: Vec<Export>,
    erasures: PathBuf,
    /// Held while a checkpoint is made: they are made one at a time.
    signed: Mutex<Signed>,
    /// Whether the last export worked.
    exporting: AtomicBool,
    /// The newest note, for whoever takes it farther than a file.
    newest: watch::Sender<Option<Arc<str>>>,
}

#[derive(Debug, Default)]
struct Signed {
    key: Option<(u32, SigningKey)>,
    /// Entries that the last checkpoint covers.
    size: u64,
    /// Checkpoints made since those in the file were last thinned out.
    since_thinned: usize,
}

/// The name of the log of a database, by which its keys and checkpoints are known.
pub fn origin(database_id: &[u8]) -> String {
    format!("sekisho.local/{}", hex(database_id))
}

impl Keeper {
    pub fn new(audit: Audit, database_id: &[u8], checkpoints: PathBuf, syslog: bool) -> Self {
        let erasures = export::erasures_beside(&checkpoints);
        let mut exports = vec![Export::File(checkpoints)];
        exports.extend(syslog.then(Export::syslog));
        Self {
            audit,
            origin: origin(database_id),
            exports,
            erasures,
            signed: Mutex::default(),
            exporting: AtomicBool::new(true),
            newest: watch::Sender::new(None),
        }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether the last checkpoint reached every place outside of the file.
    pub fn is_exporting(&self) -> bool {
        self.exporting.load(Ordering::Relaxed)
    }

    /// The newest checkpoint, each time there is one.
    pub fn newest(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.newest.subscribe()
    }

    /// The file that names erased subjects.
    pub fn erasures(&self) -> &PathBuf {
        &self.erasures
    }

    /// Signs the log as it is now. `None`: the vault is sealed, or nothing came since the last checkpoint.
    pub async fn checkpoint(&self) -> Result<Option<String>, AuditError> {
        let Some(open) = self.audit.vault.open() else { return Ok(None) };
        let mut signed = self.signed.lock().await;
        let version = open.active(Purpose::Signing);
        if signed.key.as_ref().is_none_or(|(known, _)| *known != version) {
            let key = signing_key(&self.origin, &open, version)?;
            self.introduce(key.verifying_key(), version).await?;
            signed.key = Some((version, key));
        }
        let frontier = self.audit.store.read(log::frontier)?;
        let Some((_, key)) = signed.key.as_ref().filter(|_| frontier.size() > signed.size) else { return Ok(None) };
        let (size, root) = (frontier.size(), frontier.root());
        let checkpoint = Checkpoint::new(&self.origin, size, root).map_err(unsigned)?;
        let note = checkpoint.sign(key).map_err(unsigned)?;
        let mut batch = Batch::puts(vec![Put::new(Table::Checkpoints, size.to_be_bytes(), note.clone().into_bytes())]);
        if signed.since_thinned >= bound::SCAN_ROWS_MAX {
            batch.removals.extend(self.audit.store.read(surplus)?);
            signed.since_thinned = 0;
        }
        let outside = self.place();
        if self.audit.store.read(log::outside)?.as_deref() != Some(outside.as_str()) {
            batch.puts.push(log::outside_row(&outside));
        }
        self.audit.store.commit(batch).await?;
        signed.size = size;
        signed.since_thinned += 1;
        drop(signed);
        self.newest.send_replace(Some(note.as_str().into()));
        self.export(&note).await;
        Ok(Some(note))
    }

    /// A checkpoint over all that there is: a new one, or the last if nothing came since.
    pub async fn checkpoint_now(&self) -> Result<String, AuditError> {
        if let Some(note) = self.checkpoint().await? {
            return Ok(note);
        }
        self.audit.vault.opened()?;
        let last = self.audit.store.read(|snapshot| snapshot.last(Table::Checkpoints, &[], &log::AFTER_ALL))?;
        let (_, note) = last.ok_or_else(|| AuditError::Refused("there is no entry to sign yet".into()))?;
        Ok(String::from_utf8_lossy(&note).into_owned())
    }

    /// Checkpoints outside of the file, as far as they can be read: what the log is held against.
    pub fn outside(&self) -> Vec<String> {
        let Some(Export::File(path)) = self.exports.first() else { return Vec::new() };
        // A missing or unreadable file is told by `look_outside`.
        export::newest_in(path).unwrap_or_default()
    }

    /// The first place outside of the file.
    fn place(&self) -> String {
        self.exports.first().map(Export::describe).unwrap_or_default()
    }

    /// A key signs for the first time: the log says so, and the file names it.
    async fn introduce(&self, key: &VerifyingKey, version: u32) -> Result<(), AuditError> {
        let line = key.to_string();
        let known = self.audit.store.read(log::keys)?;
        if known.lines().any(|known| known == line) {
            return Ok(());
        }
        let keys = format!("{known}{line}\n");
        let mut draft = Draft::new(Event::Vault, "internal", self.audit.now());
        draft.operation = Some("key.signing".into());
        draft.target = Some(line);
        let reason = format!("checkpoints are signed with version {version} of the signing key from now on");
        let batch = Batch::puts(vec![log::keys_row(&keys)]);
        self.audit.append_with(batch, draft, Outcome::Done, Some(reason)).await.map(drop)
    }

    async fn export(&self, note: &str) {
        let mut failed = Vec::new();
        for place in &self.exports {
            if let Err(error) = place.put(note) {
                failed.push(format!("{}: {error}", place.describe()));
            }
        }
        let was_good = self.exporting.swap(failed.is_empty(), Ordering::Relaxed);
        if was_good == failed.is_empty() {
            return;
        }
        // Said once when it begins and once when it ends.
        let (outcome, reason) = if failed.is_empty() {
            (Outcome::Done, "checkpoints leave the file again".to_owned())
        } else {
            (Outcome::Failed, format!("checkpoints do not leave the file: {}", failed.join("; ")))
        };
        tracing::warn!(reason, "export of checkpoints");
        let mut draft = Draft::new(Event::Audit, "internal", self.audit.now());
        draft.operation = Some("audit.export_checkpoint".into());
        if let Err(error) = self.audit.append(draft, outcome, Some(reason)).await {
            tracing::error!(%error, "the state of the export could not be recorded");
        }
    }

    /// Checkpoints while the log grows, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(Duration::from_millis(bound::CHECKPOINT_MS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    if let Err(error) = self.checkpoint().await {
                        tracing::error!(%error, "no checkpoint could be made");
                    }
                }
            }
        }
    }

    /// Compares the log with the newest checkpoint outside of the file: an older copy of the file in its place would
    /// agree with itself. `None`: they agree, or there is nothing to compare with.
    pub fn look_outside(&self) -> Result<Option<String>, AuditError> {
        let Some(Export::File(path)) = self.exports.first() else { return Ok(None) };
        let notes = match export::newest_in(path) {
            Ok(notes) => notes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let before = self.audit.store.read(log::outside)?;
                let missing = before.filter(|before| *before == path.display().to_string());
                return Ok(missing.map(|path| {
                    format!("{path} held signed checkpoints of this log, and is gone: nothing shows now whether the database is an older one")
                }));
            }
            Err(error) => return Ok(Some(format!("{} cannot be read: {error}", path.display()))),
        };
        let keys = self.keys()?;
        let newest = notes.iter().filter_map(|note| Checkpoint::open(note, &keys).ok()).max_by_key(Checkpoint::size);
        let Some(newest) = newest else {
            // A log that was made anew under keys of somebody else agrees with itself, too.
            return Ok((!notes.is_empty()).then(|| {
                format!(
                    "none of the {} checkpoints in {} is signed by a key that the database names: it is another database, or its keys were replaced",
                    notes.len(),
                    path.display()
                )
            }));
        };
        let size = self.audit.size()?;
        if newest.size() > size {
            return Ok(Some(format!(
                "the log has {size} entries, but {} holds a signed checkpoint over {}: the database is older than it should be",
                path.display(),
                newest.size()
            )));
        }
        let found = self.audit.store.read(|snapshot| Ok::<_, AuditError>(root(snapshot, newest.size())?))?;
        Ok(match found {
            Some(found) if found != *newest.root() => Some(format!(
                "the log has another root over its first {} entries than the signed checkpoint in {}: it was rewritten",
                newest.size(),
                path.display()
            )),
            _ => None,
        })
    }

    /// The keys that ever signed checkpoints of this log.
    pub fn keys(&self) -> Result<Vec<VerifyingKey>, AuditError> {
        let text = self.audit.store.read(log::keys)?;
        text.lines()
            .map(|line| VerifyingKey::parse(line).map_err(|error| AuditError::Refused(error.to_string())))
            .collect()
    }
}

fn unsigned(error: CheckpointError) -> AuditError {
    AuditError::Refused(format!("the checkpoint could not be signed: {error}"))
}

fn signing_key(origin: &str, open: &Open, version: u32) -> Result<SigningKey, AuditError> {
    let seed = open.signing_seed(version)?;
    SigningKey::new(origin, &seed).map_err(|error| AuditError::Refused(error.to_string()))
}

/// The root over the first `size` entries; `None` where what was pruned is needed for it.
pub fn root(snapshot: &Snapshot, size: u64) -> Result<Option<crate::crypto::digest::Hash>, StoreError> {
    match proof::root(&nodes(snapshot), size) {
        Ok(root) => Ok(Some(root)),
        Err(proof::ProofError::Read(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// The tree's nodes, as one snapshot has them.
pub fn nodes(snapshot: &Snapshot) -> impl super::tile::Nodes<Error = StoreError> + '_ {
    TileNodes::new(
        |id| log::tile(snapshot, id),
        |range| {
            let rows = snapshot.scan(
                Table::AuditEntries,
                &range.start.to_be_bytes(),
                &range.end.to_be_bytes(),
                bound::TILE_HASHES,
            )?;
            let whole = rows.first().is_some_and(|(key, _)| *key == range.start.to_be_bytes());
            Ok(if whole { rows.iter().map(|(_, leaf)| leaf_hash(leaf)).collect() } else { Vec::new() })
        },
    )
}

/// The oldest checkpoints, where there are more than are kept.
fn surplus(snapshot: &Snapshot) -> Result<Option<Removal>, StoreError> {
    let rows_max = bound::CHECKPOINTS_KEPT_MAX + 2 * bound::SCAN_ROWS_MAX;
    let rows = snapshot.scan(Table::Checkpoints, &[], &log::AFTER_ALL, rows_max)?;
    let surplus = rows.len().saturating_sub(bound::CHECKPOINTS_KEPT_MAX);
    Ok(rows.get(surplus).filter(|_| surplus > 0).map(|(first_kept, _)| Removal {
        table: Table::Checkpoints,
        from: Vec::new(),
        to: first_kept.clone(),
        rows_max: surplus,
    }))
}
