//! What is done to the database while no server runs: restoring a backup, new keys after a compromise.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{AppError, at};
use crate::base::clock::SystemClock;
use crate::config::Config;
use crate::config::place::Places;
use crate::custody::rekey::{self, Rekeyed};
use crate::custody::restore::{self, Restored};
use crate::custody::{Found, With};
use crate::store::lock::DirectoryLock;
use crate::vault::VaultError;

/// Puts a backup in the place of the database.
pub async fn restore(
    places: &Places,
    config: &Config,
    backup: &Path,
    with: With,
    overwrite: bool,
) -> Result<Restored, AppError> {
    fs::create_dir_all(&places.data).map_err(at(&places.data))?;
    let _lock = DirectoryLock::acquire(&places.data)?;
    let database = places.database();
    let plan = restore::Plan {
        backup,
        database: &database,
        key_file: key_file(places, config),
        checkpoints: checkpoints(places, config),
        index: places.index(),
        config,
        overwrite,
    };
    Ok(restore::restore(plan, with, Arc::new(SystemClock::default())).await?)
}

/// A new database under new keys, in the place of the old one.
pub async fn rekey(places: &Places, config: &Config, secret: Option<Found>) -> Result<Rekeyed, AppError> {
    let _lock = DirectoryLock::acquire(&places.data)?;
    let secret = secret.ok_or(VaultError::Sealed)?;
    let (database, key_file, checkpoints) = (places.database(), key_file(places, config), checkpoints(places, config));
    let logs = places.logs();
    let plan = rekey::Plan { database: &database, key_file: &key_file, checkpoints: &checkpoints, config, logs: &logs };
    Ok(rekey::rekey(plan, &secret.secret, Arc::new(SystemClock::default())).await?)
}

fn key_file(places: &Places, config: &Config) -> std::path::PathBuf {
    config.vault.key_file.clone().unwrap_or_else(|| places.vault_key())
}

fn checkpoints(places: &Places, config: &Config) -> std::path::PathBuf {
    config.audit.checkpoint_file.clone().unwrap_or_else(|| places.checkpoints())
}
