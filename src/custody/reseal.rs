//! Seals anew what old keys sealed, page by page, and destroys the keys that nothing needs any more.

use crate::base::bound;
use crate::store::Batch;
use crate::vault::purpose::Purpose;
use crate::vault::reseal::{self, Pair};

use super::{Custody, CustodyError};

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    pub records: usize,
    pub keys_destroyed: usize,
}

impl Custody {
    /// One pass over everything that is sealed. Broken off anywhere, the next one does what is left: each record says
    /// which version sealed it.
    pub async fn reseal(&self) -> Result<Resealed, CustodyError> {
        let mut done = Resealed::default();
        done.records += self.reseal_credentials().await?;
        done.records += self.audit.reseal_subjects().await?;
        done.keys_destroyed = self.retire().await?;
        Ok(done)
    }

    async fn reseal_credentials(&self) -> Result<usize, CustodyError> {
        let mut records = 0;
        let mut after = None;
        loop {
            // Between two pages others may change what they like.
            let _one = self.change.lock().await;
            let open = self.vault.opened()?;
            let page = self.store().read(|snapshot| {
                let pair = Pair { from: &open, to: &open };
                reseal::reseal_page(pair, snapshot, after.as_ref(), bound::SCAN_ROWS_MAX)
            })?;
            if !page.rows.is_empty() {
                records += page.rows.len();
                self.store().commit(Batch::puts(page.rows.clone())).await?;
                open.confirm(&page.rows);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(records),
            }
        }
    }

    /// Destroys old versions that seal nothing. Nobody may be sealing under one meanwhile.
    async fn retire(&self) -> Result<usize, CustodyError> {
        let _one = self.change.lock().await;
        let _alone = self.audit.alone().await;
        let mut destroyed = 0;
        for purpose in Purpose::ALL.into_iter().filter(|purpose| !purpose.keeps_versions()) {
            let open = self.vault.opened()?;
            let active = open.active(purpose);
            let in_use = match purpose {
                Purpose::Credentials => self.store().read(reseal::versions_in_use)?,
                Purpose::AuditPersonal => self.audit.subject_key_versions()?,
                // Files are never sealed anew: a key stays until the last one that needs it was removed.
                Purpose::Logs => match self.log_key_versions()? {
                    Some(versions) => versions,
                    None => continue,
                },
                // These seal nothing that stays: a backup carries the keyring of its time.
                _ => std::collections::BTreeSet::default(),
            };
            let unused: Vec<u32> = open
                .versions(purpose)
                .into_iter()
                .filter(|version| *version != active && !in_use.contains(version))
                .collect();
            if unused.is_empty() {
                continue;
            }
            let change = open.retire(purpose, &unused)?;
            self.store().commit(Batch::puts(change.rows)).await?;
            self.vault.replace(change.next);
            destroyed += unused.len();
        }
        Ok(destroyed)
    }
}
