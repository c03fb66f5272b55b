//! After a compromise: a new database under a new root key and new data keys, in the place of the old one. Deleted
//! bytes stay in a file's free pages until they are used again, so a new file it is.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::backup_file::{Temporary, check, with_suffix};
use super::{Custody, CustodyError, carried};
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::keep::Keeper;
use crate::audit::log::LogHook;
use crate::audit::{Audit, subject};
use crate::base::bound;
use crate::base::clock::Clock;
use crate::base::secret::Secret;
use crate::config::Config;
use crate::crypto::password::Iterations;
use crate::store::table::{self, Table};
use crate::store::{Batch, Opened, Put, Store, after_prefix};
use crate::vault::door::{Door, Key};
use crate::vault::reseal::{self, Pair};
use crate::vault::{self, Open, RecoveryKey, State, VaultError};

/// What was made.
#[derive(Debug)]
pub struct Rekeyed {
    /// Shown once.
    pub recovery: RecoveryKey,
    /// Records that were sealed anew.
    pub resealed: usize,
    /// Sealed log files whose keys were carried over.
    pub logs: usize,
}

/// Where everything is.
#[derive(Debug)]
pub struct Plan<'a> {
    pub database: &'a Path,
    pub key_file: &'a Path,
    pub checkpoints: &'a Path,
    pub config: &'a Config,
    /// Where the program's log is.
    pub logs: &'a Path,
}

/// Writes the database anew. Whoever calls holds the directory's lock. Killed anywhere, the old database is there
/// whole until the new one is.
pub async fn rekey(plan: Plan<'_>, secret: &Secret, clock: Arc<dyn Clock>) -> Result<Rekeyed, CustodyError> {
    let old = Store::open(plan.database)?;
    let State::Sealed(sealed) = old.read(vault::state)? else { return Err(VaultError::Absent.into()) };
    let from = sealed.unseal(secret)?;
    let iterations = Iterations::stored(from.iterations()).map_err(VaultError::from)?.at_least_default();
    let made = from.rekeyed(secret, iterations, clock.now())?;

    let draft = Temporary(with_suffix(plan.database, ".rekeying"));
    match fs::remove_file(&draft.0) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(CustodyError::file(&draft.0)(error)),
        _ => {}
    }
    Store::create(&draft.0, &made.rows)?;
    let pair = Pair { from: &from, to: &made.open };
    let (resealed, logs) = copy(&old, &draft.0, pair, plan.logs).await?;
    old.close()?;
    announce(&plan, &draft.0, secret, clock).await?;
    check(&draft.0)?;
    fs::rename(&draft.0, plan.database).map_err(CustodyError::file(plan.database))?;
    let directory = plan.database.parent().unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(CustodyError::file(directory))?;
    Ok(Rekeyed { recovery: made.recovery, resealed, logs })
}

/// Copies every row but the old vault's and the ids of secrets that it derived for JWTs, then seals anew what the old keys sealed.
async fn copy(old: &Opened, draft: &Path, pair: Pair<'_>, logs: &Path) -> Result<(usize, usize), CustodyError> {
    let new = Store::open(draft)?;
    let hook = LogHook::of(&new)?;
    let new = new.start(Box::new(hook))?;
    let result = async {
        let resealed = copy_rows(old, &new, pair).await?;
        Ok((resealed, carry_logs(&new, pair, logs).await?))
    }
    .await;
    new.close().await;
    result
}

async fn copy_rows(old: &Opened, new: &Store, pair: Pair<'_>) -> Result<usize, CustodyError> {
    for table in table::ALL.into_iter().filter(|table| !matches!(table, Table::Vault | Table::JwtKeys)) {
        let mut from = Vec::new();
        loop {
            let rows = old.read(|snapshot| snapshot.scan(table, &from, &after_prefix(&[]), bound::SCAN_ROWS_MAX))?;
            let Some((last, _)) = rows.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            let mut batch = Batch::default();
            for (key, value) in rows {
                if batch.bytes() + key.len() + value.len() > bound::COMMIT_BYTES_MAX {
                    new.commit(std::mem::take(&mut batch)).await?;
                }
                batch.puts.push(Put::new(table, key, value));
            }
            new.commit(batch).await?;
        }
    }
    let mut resealed = 0;
    let mut after = None;
    loop {
        let page = new.read(|snapshot| reseal::reseal_page(pair, snapshot, after.as_ref(), bound::SCAN_ROWS_MAX))?;
        resealed += commit(new, pair.to, page.rows).await?;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut from = Vec::new();
    loop {
        let page = new.read(|snapshot| subject::reseal_page(pair.from, pair.to, snapshot, &from))?;
        resealed += commit(new, pair.to, page.rows).await?;
        match page.last {
            Some(last) => from = [last.as_slice(), &[0]].concat(),
            None => return Ok(resealed),
        }
    }
}

/// The files stay as they are, for they cannot change in one step with the database: their keys go into it.
async fn carry_logs(new: &Store, pair: Pair<'_>, logs: &Path) -> Result<usize, CustodyError> {
    let headers = carried::headers(logs)?;
    let (rows, count) = new.read(|snapshot| carried::rows(snapshot, pair, &headers))?;
    for rows in rows.chunks(bound::SCAN_ROWS_MAX) {
        commit(new, pair.to, rows.to_vec()).await?;
    }
    Ok(count)
}

async fn commit(new: &Store, open: &Open, rows: Vec<Put>) -> Result<usize, CustodyError> {
    if !rows.is_empty() {
        new.commit(Batch::puts(rows.clone())).await?;
        open.confirm(&rows);
    }
    Ok(rows.len())
}

/// The new file says what it is, under its own keys, with a checkpoint by the new signing key.
async fn announce(plan: &Plan<'_>, draft: &Path, secret: &Secret, clock: Arc<dyn Clock>) -> Result<(), CustodyError> {
    let opened = Store::open(draft)?;
    let database_id = opened.read(|snapshot| snapshot.get(Table::Meta, b"database_id"))?.unwrap_or_default();
    let hook = LogHook::of(&opened)?;
    let store = opened.start(Box::new(hook))?;
    let vault = Arc::new(Door::new(store.read(vault::state)?, Arc::clone(&clock)));
    let audit = Audit::new(store.clone(), Arc::clone(&clock), Arc::clone(&vault));
    let keeper = Arc::new(Keeper::new(audit.clone(), &database_id, plan.checkpoints.to_owned(), false));
    let custody = Custody::new(audit.clone(), Arc::clone(&vault), keeper, plan.key_file.to_owned(), plan.config);
    let written = async {
        vault.unseal(&Key::Secret(secret))?;
        let mut entry = Draft::new(Event::Vault, "command", clock.now());
        entry.operation = Some("key.rekey".into());
        let reason = "a new root key and new data keys, in a new file".to_owned();
        audit.append(entry, Outcome::Done, Some(reason)).await?;
        custody.keeper().checkpoint().await?;
        Ok(())
    }
    .await;
    store.close().await;
    written
}
