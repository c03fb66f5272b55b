//! The keys of sealed log files: made and wrapped ahead, because a use of the keyring has to be committed; and the old
//! ones that files still need.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::{Custody, CustodyError, carried};
use crate::base::secret::Secret;
use crate::config;
use crate::store::Batch;
use crate::telemetry::folder::{self, Keep, LogFile};
use crate::telemetry::log::LogHandle;
use crate::telemetry::read::{self, ReadError};
use crate::telemetry::sealed::{self, FileKey, Header};
use crate::telemetry::supply::KeySupply;
use crate::vault::VaultError;
use crate::vault::purpose::Purpose;

/// Where the log is, and what can be done with it.
#[derive(Debug)]
pub(super) struct Logs {
    directory: PathBuf,
    keep: Keep,
    pub(super) handle: LogHandle,
}

impl Custody {
    /// Looks after the log in `directory` from now on.
    pub fn with_logs(mut self, directory: PathBuf, log: config::Log, handle: LogHandle) -> Self {
        let keep = Keep { days: log.keep_days, total_bytes_max: log.total_bytes_max };
        self.logs = Some(Logs { directory, keep, handle });
        self
    }

    /// Makes as many keys for log files as are missing. While the vault is sealed there are none: what is logged then
    /// waits in memory.
    pub async fn supply_log_keys(&self) -> Result<(), CustodyError> {
        let Some((handle, keys)) = self.logs.as_ref().and_then(|logs| Some((&logs.handle, logs.handle.keys()?))) else {
            return Ok(());
        };
        // Neither a rotation nor a sealing comes between the look at the keyring and the key's arrival.
        let _one = self.change.lock().await;
        let Some(open) = self.vault.open() else { return Ok(()) };
        for _ in 0..keys.missing() {
            let (id, secret) = sealed::fresh().map_err(VaultError::from)?;
            let mut rows = Vec::new();
            let wrapped = open.wrap_log_key(&id, &secret)?.into_bytes(&mut rows);
            if !rows.is_empty() {
                self.store().commit(Batch::puts(rows.clone())).await?;
                open.confirm(&rows);
            }
            let header = Header { id, key_version: open.active(Purpose::Logs), wrapped };
            handle.supply(FileKey { header, secret });
        }
        Ok(())
    }

    /// Until the log's writer took a key.
    pub(super) async fn log_key_taken(&self) {
        match self.logs.as_ref().and_then(|logs| logs.handle.keys()) {
            Some(keys) => keys.taken().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn forget_log_keys(&self) {
        if let Some(logs) = &self.logs {
            logs.handle.forget_keys();
        }
    }

    /// Versions of the key for logs that files or keys made ahead need; `None` where it is not known.
    pub(super) fn log_key_versions(&self) -> Result<Option<BTreeSet<u32>>, CustodyError> {
        let Some(logs) = &self.logs else { return Ok(None) };
        // In this order: what the writer took before the look at the files has its header there, or is still counted.
        let mut versions = logs.handle.keys().map(KeySupply::versions).unwrap_or_default();
        for file in self.log_files()?.into_iter().filter(|file| file.name.is_sealed) {
            match read::header(&logs.directory, file.name) {
                Ok(header) => {
                    let carried = self.store().read(|snapshot| carried::find(snapshot, &header.id))?;
                    versions.insert(carried.map_or(header.key_version, |carried| carried.key_version));
                }
                // Whatever it was, no key opens it any more; or it was removed meanwhile.
                Err(ReadError::Header) => {}
                Err(ReadError::File(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(CustodyError::Failed(format!("{}: {error}", file.name))),
            }
        }
        Ok(Some(versions))
    }

    pub fn log_directory(&self) -> Option<&Path> {
        self.logs.as_ref().map(|logs| &*logs.directory)
    }

    /// The log's files, oldest first.
    pub fn log_files(&self) -> Result<Vec<LogFile>, CustodyError> {
        let Some(logs) = &self.logs else { return Ok(Vec::new()) };
        match folder::list(&logs.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(CustodyError::file(&logs.directory)),
        }
    }

    /// The key of a sealed log file.
    pub fn log_key(&self, header: &Header) -> Result<Secret, CustodyError> {
        let open = self.vault.opened()?;
        let carried = self.store().read(|snapshot| carried::find(snapshot, &header.id))?;
        let wrapped = carried.as_ref().map_or(&header.wrapped, |carried| &carried.wrapped);
        Ok(open.unwrap_log_key(&header.id, wrapped)?)
    }

    /// Log files beyond what is kept; with `delete` they go.
    pub fn surplus_logs(&self, delete: bool) -> Result<Vec<LogFile>, CustodyError> {
        let Some(logs) = &self.logs else { return Ok(Vec::new()) };
        let today = folder::day_of(self.now());
        let found = match folder::surplus(&logs.directory, logs.keep, today) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(CustodyError::file(&logs.directory))?,
        };
        if delete {
            folder::prune(&logs.directory, logs.keep, today).map_err(CustodyError::file(&logs.directory))?;
        }
        Ok(found)
    }

    /// Removes files that are too old, also where nothing was written that would begin a new one.
    pub(super) fn prune_logs(&self) {
        if let Some(logs) = &self.logs
            && let Err(error) = folder::prune(&logs.directory, logs.keep, folder::day_of(self.now()))
        {
            tracing::warn!(%error, "old log files could not be removed");
        }
    }
}
