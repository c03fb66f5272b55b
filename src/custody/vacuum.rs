//! Compacts the database while a checked copy lies beside it: what goes wrong leaves the copy, and says where it is.

use std::fs;

use schemars::JsonSchema;
use serde::Serialize;

use super::backup::check;
use super::{Custody, CustodyError};
use crate::audit::verify::{Against, Verdict};
use crate::base::bound;

/// What a compaction did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Vacuumed {
    pub before_bytes: u64,
    pub after_bytes: u64,
    /// Entries of the audit log that were verified afterwards.
    pub audit_entries: u64,
}

impl Custody {
    /// Needs room for a copy of the database. Commits wait while it is copied and while pages are moved; reads go on,
    /// and one that is under way when pages are to be moved makes the whole fail, with nothing changed.
    pub async fn vacuum(&self) -> Result<Vacuumed, CustodyError> {
        let _alone = self.backing_up.lock().await;
        let database = self.store().path().to_owned();
        let size = || fs::metadata(&database).map(|metadata| metadata.len()).map_err(CustodyError::file(&database));
        let before_bytes = size()?;
        let wanted = before_bytes.saturating_add(bound::BALLAST_BYTES + bound::BALLAST_MARGIN_BYTES);
        let free = self.store().free_bytes().map_err(CustodyError::file(&database))?;
        if free < wanted {
            return Err(CustodyError::Failed(format!(
                "a safety copy needs {wanted} bytes on the disk, and {free} are free; make room, for example with sekisho prune"
            )));
        }
        let copy = database.with_extension("redb.vacuum-copy");
        match fs::remove_file(&copy) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(CustodyError::file(&copy)(error)),
            _ => {}
        }
        self.store().copy_to(&copy).await?;
        let checked = copy.clone();
        let checking = tokio::task::spawn_blocking(move || check(&checked));
        let (sound, _) = checking.await.map_err(|error| CustodyError::Failed(error.to_string()))??;
        let compacted = self.compact_and_verify(sound.size).await;
        let audit_entries = compacted.map_err(|error| {
            CustodyError::Failed(format!(
                "{error}; a copy from before is {}, keep it until all is well",
                copy.display()
            ))
        })?;
        // Checked as a store, it has a ballast beside it.
        fs::remove_file(&copy).map_err(CustodyError::file(&copy))?;
        fs::remove_file(super::backup::with_suffix(&copy, ".ballast")).or_else(|error| {
            if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(CustodyError::file(&copy)(error)) }
        })?;
        Ok(Vacuumed { before_bytes, after_bytes: size()?, audit_entries })
    }

    /// Gives the entries that were verified afterwards; there are no fewer than before.
    async fn compact_and_verify(&self, entries_before: u64) -> Result<u64, CustodyError> {
        // A pass moves what it can; the next one finds what became free by that.
        for _ in 0..bound::scan::COMPACTIONS_MAX {
            if !self.store().compact().await? {
                break;
            }
        }
        let audit = self.audit.clone();
        let verifying = tokio::task::spawn_blocking(move || audit.verify(&Against::default()));
        let verdict = verifying.await.map_err(|error| CustodyError::Failed(error.to_string()))??;
        match verdict {
            Verdict::Sound(sound) if sound.size >= entries_before => Ok(sound.size),
            Verdict::Sound(sound) => {
                Err(CustodyError::NotAsBefore(format!("expected {entries_before} entries, found {}", sound.size)))
            }
            other => Err(CustodyError::NotAsBefore(format!("its audit log is not sound: {}", other.to_json()))),
        }
    }
}
