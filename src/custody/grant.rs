//! Keeps tokens that others gave us, under the same lock as credentials: a key is not destroyed while one is sealed.

use super::{Custody, CustodyError};
use crate::base::bound;
use crate::base::secret::Secret;
use crate::store::table::Table;
use crate::store::{Batch, Put, Removal, after_prefix};
use crate::vault::grant;

impl Custody {
    /// Seals `text` and keeps it under `key`, in the place of what was there. When this returns it is durable, and what
    /// was there before is gone; where it fails, what was there before still is.
    pub async fn keep_grant(&self, key: &[u8], text: &Secret) -> Result<(), CustodyError> {
        let _one = self.change.lock().await;
        let open = self.vault.opened()?;
        let rows = grant::set(&open, key, text, self.now())?;
        self.store().commit(Batch::puts(rows.clone())).await?;
        open.confirm(&rows);
        Ok(())
    }

    /// What is kept under `key`.
    pub fn grant(&self, key: &[u8]) -> Result<Option<Secret>, CustodyError> {
        let open = self.vault.opened()?;
        Ok(self.store().read(|snapshot| grant::get(&open, snapshot, key))?)
    }

    /// Forgets what is kept under `key`. Needs no key of the vault.
    pub async fn remove_grant(&self, key: &[u8]) -> Result<(), CustodyError> {
        let _one = self.change.lock().await;
        self.store().commit(Batch::puts(vec![Put::delete(Table::ConnectorTokens, key)])).await?;
        Ok(())
    }

    /// Forgets all that is kept under keys that begin with `prefix`.
    pub async fn remove_grants(&self, prefix: &[u8]) -> Result<(), CustodyError> {
        let _one = self.change.lock().await;
        loop {
            let (from, to) = (prefix.to_vec(), after_prefix(prefix));
            let removal = Removal { table: Table::ConnectorTokens, from, to, rows_max: bound::SCAN_ROWS_MAX };
            if self.store().commit(Batch::removal(removal)).await?.removed_rows == 0 {
                return Ok(());
            }
        }
    }

    /// The keys that begin with `prefix`, at most [`bound::SCAN_ROWS_MAX`].
    pub fn grants(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, CustodyError> {
        let (table, most) = (Table::ConnectorTokens, bound::SCAN_ROWS_MAX);
        let rows = self.store().read(|snapshot| snapshot.scan(table, prefix, &after_prefix(prefix), most))?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }
}
