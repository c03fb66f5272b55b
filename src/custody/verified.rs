//! What was verified as a whole, and when: backups that are opened and checked like restored ones, and the audit log.
//!
//! Rows of the table `meta`: `upkeep/audit` and `upkeep/backup`, a [`Verification`] as JSON.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::backup_file::{Reading, Temporary, check, unlike};
use super::{Custody, CustodyError};
use crate::audit::verify::{Against, Verdict};
use crate::base::bound;
use crate::base::id::hex;
use crate::scan::facts::Verification;
use crate::store::table::Table;
use crate::store::{Batch, Put, Snapshot, StoreError};
use crate::vault::VaultError;

const KEY_AUDIT: &[u8] = b"upkeep/audit";
const KEY_BACKUP: &[u8] = b"upkeep/backup";

/// The last time that the whole audit log was verified.
pub fn of_audit(snapshot: &Snapshot) -> Result<Option<Verification>, StoreError> {
    read(snapshot, KEY_AUDIT)
}

/// The last time that a scheduled backup was opened and checked.
pub fn of_backup(snapshot: &Snapshot) -> Result<Option<Verification>, StoreError> {
    read(snapshot, KEY_BACKUP)
}

fn read(snapshot: &Snapshot, key: &[u8]) -> Result<Option<Verification>, StoreError> {
    let row = snapshot.get(Table::Meta, key)?;
    // One of another version is as good as none: it is made again soon.
    Ok(row.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// A backup that holds what it says.
#[derive(Clone, Debug)]
pub struct Checked {
    pub made: String,
    pub audit_entries: u64,
    pub database_bytes: u64,
}

impl Custody {
    /// Opens a backup with the keys of this vault, and checks all that is in it as a restore would. Needs an open vault
    /// and room for a copy, which is gone afterwards.
    pub async fn verify_backup(&self, path: &Path) -> Result<Checked, CustodyError> {
        // It shares the place of the plain copy with whoever makes a backup.
        let one = Arc::clone(&self.backing_up).lock_owned().await;
        let open = self.vault.opened()?;
        let copy = Temporary(self.store().path().with_extension("redb.backup-copy"));
        let free = self.store().free_bytes().unwrap_or(u64::MAX);
        let path = path.to_owned();
        let checking = tokio::task::spawn_blocking(move || {
            // Dropped in reverse: the copy goes before others may make one.
            let _one = one;
            let copy = copy;
            let reading = Reading::begin(&path)?;
            let header = reading.header.clone();
            let wanted = header.database_bytes.saturating_add(bound::BALLAST_BYTES + bound::BALLAST_MARGIN_BYTES);
            if free < wanted {
                return Err(CustodyError::NoRoom { what: "checking it", wanted, free });
            }
            match fs::remove_file(&copy.0) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CustodyError::file(&copy.0)(error));
                }
                _ => {}
            }
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy.0);
            let file = file.map_err(CustodyError::file(&copy.0))?;
            reading.open_into(&open, &file)?;
            drop(file);
            let (sound, rows) = check(&copy.0).map_err(unlike(&path))?;
            if (sound.size, hex(&sound.root)) != (header.audit_entries, header.audit_root.clone())
                || rows != header.rows
            {
                let expected = format!("{} entries with root {}", header.audit_entries, header.audit_root);
                let found = format!("{} with root {}", sound.size, hex(&sound.root));
                return Err(CustodyError::Damaged { path, reason: format!("expected {expected}, found {found}") });
            }
            let made = header.made.rfc3339();
            Ok(Checked { made, audit_entries: header.audit_entries, database_bytes: header.database_bytes })
        });
        checking.await.map_err(|error| CustodyError::Failed(error.to_string()))?
    }

    /// Verifies a backup and, if it is a scheduled one, writes down how that went. That its keys are gone, or that there
    /// was no room, says nothing about it, and is not written.
    pub async fn verify_backup_and_note(&self, path: &Path) -> Result<Checked, CustodyError> {
        let checked = self.verify_backup(path).await;
        if self.backup.directory.as_deref() != path.parent() {
            return checked;
        }
        let fault = match &checked {
            Ok(_) => None,
            Err(error) if is_about_us(error) => return checked,
            Err(error) => Some(error.to_string()),
        };
        self.note_verified(KEY_BACKUP, path.display().to_string(), fault).await;
        checked
    }

    /// Verifies the whole audit log against all that left the file, and writes down how that went. Gives the fault.
    pub async fn verify_audit_and_note(&self) -> Result<Option<String>, CustodyError> {
        let (audit, checkpoints) = (self.audit.clone(), self.keeper.outside());
        let against = Against { keys: Vec::new(), checkpoints };
        let verifying = tokio::task::spawn_blocking(move || audit.verify(&against));
        let verdict = verifying.await.map_err(|error| CustodyError::Failed(error.to_string()))??;
        let fault = match verdict {
            Verdict::Sound(_) => None,
            Verdict::Tampered { expected, found, .. } => {
                Some(format!("the audit log was tampered with: expected {expected}, found {found}"))
            }
            Verdict::Incomplete { reason } => Some(format!("the audit log could not be verified: {reason}")),
        };
        self.note_verified(KEY_AUDIT, "the audit log".to_owned(), fault.clone()).await;
        Ok(fault)
    }

    /// What was found is said also where it cannot be written down: a full disk hides no tampering.
    async fn note_verified(&self, key: &[u8], what: String, fault: Option<String>) {
        let row = Verification { at: self.now(), what, fault };
        let bytes = serde_json::to_vec(&row).unwrap_or_default();
        if let Err(error) = self.store().commit(Batch::puts(vec![Put::new(Table::Meta, key, bytes)])).await {
            tracing::error!(%error, what = row.what, "that it was verified could not be written down");
        }
    }
}

/// Whether a failure speaks of this installation and not of the backup.
fn is_about_us(error: &CustodyError) -> bool {
    matches!(
        error,
        CustodyError::Vault(VaultError::Sealed)
            | CustodyError::OlderKey(_)
            | CustodyError::NoRoom { .. }
            | CustodyError::Failed(_)
            | CustodyError::Store(StoreError::Full { .. })
    )
}
