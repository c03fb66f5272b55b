//! Compacts the database while a checked copy lies beside it: what goes wrong leaves the copy, and says where it is.

use std::fs;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::backup_file::{Temporary, check};
use super::{Custody, CustodyError};
use crate::audit::verify::{Against, Verdict};
use crate::base::bound;
use crate::store::StoreError;

/// What a compaction did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Vacuumed {
    pub before_bytes: u64,
    pub after_bytes: u64,
    /// Entries of the audit log that were verified afterwards.
    pub audit_entries: u64,
}

/// The copy from before: gone with its end, unless it may be needed.
struct Safety {
    copy: PathBuf,
    is_needed: bool,
}

impl Drop for Safety {
    fn drop(&mut self) {
        if !self.is_needed {
            drop(Temporary(std::mem::take(&mut self.copy)));
        }
    }
}

impl Custody {
    /// Needs room for a copy of the database. Commits wait while it is copied and while pages are moved; reads go on,
    /// and one that is under way when pages are to be moved makes the whole fail, with nothing changed.
    pub async fn vacuum(&self) -> Result<Vacuumed, CustodyError> {
        let _alone = self.backing_up.lock().await;
        let database = self.store().path().to_owned();
        let size = || fs::metadata(&database).map(|metadata| metadata.len()).map_err(CustodyError::file(&database));
        let copy = database.with_extension("redb.vacuum-copy");
        // It may be all that is left of what a compaction broke.
        if copy.symlink_metadata().is_ok() {
            return Err(CustodyError::CopyLeft(copy));
        }
        let before_bytes = size()?;
        let wanted = before_bytes.saturating_add(bound::BALLAST_BYTES + bound::BALLAST_MARGIN_BYTES);
        let free = self.store().free_bytes().map_err(CustodyError::file(&database))?;
        if free < wanted {
            return Err(CustodyError::NoRoom { what: "a safety copy", wanted, free });
        }
        self.store().copy_to(&copy).await?;
        let mut safety = Safety { copy: copy.clone(), is_needed: false };
        let checked = copy.clone();
        let checking = tokio::task::spawn_blocking(move || check(&checked));
        let (sound, _) = checking.await.map_err(|error| CustodyError::Failed(error.to_string()))??;
        // Also for whoever does not wait for the end of this.
        safety.is_needed = true;
        let audit_entries = match self.compact_and_verify(sound.size).await {
            Err(error @ CustodyError::Store(StoreError::Reading)) => {
                safety.is_needed = false;
                return Err(error);
            }
            Err(error) => {
                return Err(CustodyError::Failed(format!(
                    "{error}; a copy from before is {}, keep it until all is well",
                    copy.display()
                )));
            }
            Ok(entries) => entries,
        };
        safety.is_needed = false;
        drop(safety);
        if copy.exists() {
            tracing::warn!(path = %copy.display(), "the safety copy could not be removed; it is a plain copy of the database");
        }
        Ok(Vacuumed { before_bytes, after_bytes: size()?, audit_entries })
    }

    /// Gives the entries that were verified afterwards; there are no fewer than before.
    async fn compact_and_verify(&self, entries_before: u64) -> Result<u64, CustodyError> {
        // A pass moves what it can; the next one finds what became free by that.
        for pass in 0..bound::scan::COMPACTIONS_MAX {
            match self.store().compact().await {
                Ok(true) => {}
                Ok(false) => break,
                // What the passes before it moved is verified all the same.
                Err(StoreError::Reading) if pass > 0 => break,
                Err(error) => return Err(error.into()),
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
