//! Restores a backup where no server runs: everything is checked in a draft before the database gets its place, and
//! what was erased since stays erased.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backup_file::{Header, Reading, Temporary, check, unlike, with_suffix};
use super::{Custody, CustodyError, NewSecret, With};
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::keep::Keeper;
use crate::audit::log::LogHook;
use crate::audit::{self, Audit, export, subject};
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::hex;
use crate::config::Config;
use crate::crypto::password::Iterations;
use crate::store::table::Table;
use crate::store::{Batch, Store};
use crate::vault::door::{Door, Key};
use crate::vault::purpose::Purpose;
use crate::vault::{self, key_file};

/// Where everything is, and what may be done.
#[derive(Debug)]
pub struct Plan<'a> {
    pub backup: &'a Path,
    pub database: &'a Path,
    pub key_file: PathBuf,
    pub checkpoints: PathBuf,
    /// The folder of what is made anew from the database at the next start.
    pub index: PathBuf,
    pub config: &'a Config,
    /// Whether a database that is there may be put aside.
    pub overwrite: bool,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    pub header: Header,
    /// Subjects that were erased after the backup was made, and are erased again.
    pub erased: usize,
    /// The database of before.
    pub put_aside: Option<PathBuf>,
    /// The vault was opened by the recovery key, and its new secret is in the key file.
    pub new_key_file: bool,
}

/// Whoever calls holds the directory's lock.
pub async fn restore(plan: Plan<'_>, with: With, clock: Arc<dyn Clock>) -> Result<Restored, CustodyError> {
    if plan.database.exists() && !plan.overwrite {
        return Err(CustodyError::DatabaseExists(plan.database.to_owned()));
    }
    let draft = Temporary(with_suffix(plan.database, ".restoring"));
    let now = clock.now();
    let header = unpack(plan.backup, &draft.0, &with)?;
    let erasures = erasures(&plan)?;

    let opened = Store::open(&draft.0)?;
    let hook = LogHook::of(&opened)?;
    let store = opened.start(Box::new(hook))?;
    let result = bring_up(&plan, &store, &header, &erasures, &with, clock).await;
    store.close().await;
    let (erased, new_key_file) = result?;

    // Before the database has its place: an index of another one would be believed.
    match fs::remove_dir_all(&plan.index) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(CustodyError::file(&plan.index)(error));
        }
        _ => {}
    }
    let put_aside = put_aside(plan.database)?;
    fs::rename(&draft.0, plan.database).map_err(CustodyError::file(plan.database))?;
    let directory = plan.database.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(CustodyError::file(directory))?;
    if new_key_file {
        key_file::publish(&plan.key_file)?;
    }
    export::put_restored(&plan.checkpoints, header.audit_entries, now)
        .map_err(CustodyError::file(&plan.checkpoints))?;
    Ok(Restored { header, erased, put_aside, new_key_file })
}

/// Opens the backup into a draft, and compares what is in it with what the backup says.
fn unpack(backup: &Path, draft: &Path, with: &With) -> Result<Header, CustodyError> {
    let reading = Reading::begin(backup)?;
    let sealed = reading.vault()?;
    let open = match with {
        With::Secret(secret) => sealed.unseal(secret)?,
        With::Recovery(recovery) => sealed.unseal_with_recovery(recovery)?,
    };
    match fs::remove_file(draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(CustodyError::file(draft)(error)),
        _ => {}
    }
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft).map_err(CustodyError::file(draft))?;
    let header = reading.open_into(&open, &file)?;
    file.sync_all().map_err(CustodyError::file(draft))?;
    drop(file);
    let (sound, rows) = check(draft).map_err(unlike(backup))?;
    let found = (sound.size, hex(&sound.root));
    if found != (header.audit_entries, header.audit_root.clone()) || rows != header.rows {
        let expected = format!("{} entries with root {}", header.audit_entries, header.audit_root);
        let reason = format!("expected {expected}, found {} with root {}", found.0, found.1);
        return Err(CustodyError::Damaged { path: backup.to_owned(), reason });
    }
    Ok(header)
}

/// Erasures that the database of before knows, or the file outside of it.
fn erasures(plan: &Plan<'_>) -> Result<Vec<(Timestamp, String)>, CustodyError> {
    let file = export::erasures_beside(&plan.checkpoints);
    let outside = export::erasures_in(&file).map_err(CustodyError::file(&file))?;
    let mut found: Vec<_> = outside.into_iter().map(|(at, pseudonym)| (Timestamp(at), pseudonym)).collect();
    if plan.database.exists() {
        // A database that does not open is why somebody restores; then there is the file.
        if let Ok(opened) = Store::open_copy(plan.database) {
            found.extend(audit::log::erasures(&opened)?);
            opened.close()?;
        }
    }
    Ok(found)
}

async fn bring_up(
    plan: &Plan<'_>,
    store: &Store,
    header: &Header,
    erasures: &[(Timestamp, String)],
    with: &With,
    clock: Arc<dyn Clock>,
) -> Result<(usize, bool), CustodyError> {
    let vault = Arc::new(Door::new(store.read(vault::state)?, Arc::clone(&clock)));
    vault.unseal(&match with {
        With::Secret(secret) => Key::Secret(secret),
        With::Recovery(recovery) => Key::Recovery(recovery),
    })?;
    let audit = Audit::new(store.clone(), Arc::clone(&clock), Arc::clone(&vault));
    let database_id = store.read(|snapshot| snapshot.get(Table::Meta, b"database_id"))?.unwrap_or_default();
    let keeper = Keeper::new(audit.clone(), &database_id, plan.checkpoints.clone(), false);
    let custody = Custody::new(audit.clone(), vault, Arc::new(keeper), plan.key_file.clone(), plan.config);

    let gone = store.read(|snapshot| subject::erased_again(snapshot, erasures))?;
    let erased = gone.len();
    let mut draft = Draft::new(Event::Audit, "command", clock.now());
    draft.operation = Some("restore".into());
    let reason = format!(
        "restored from the backup made at {} over {} entries; {erased} subjects erased since are erased again",
        header.made.rfc3339(),
        header.audit_entries
    );
    audit.append_with(Batch::puts(gone), draft, Outcome::Done, Some(reason)).await?;

    // How often the keys were used since the backup is not known: new ones, so that no nonce can be used twice.
    let sealing: Vec<Purpose> = Purpose::ALL.into_iter().filter(|purpose| !purpose.keeps_versions()).collect();
    custody.rotate(&sealing).await?;
    custody.reseal().await?;
    let new_key_file = matches!(with, With::Recovery(_));
    if new_key_file {
        custody.draft_secret(NewSecret::KeyFile, Iterations::default()).await?;
    }
    Ok((erased, new_key_file))
}

/// The database of before gets another name, and keeps it until somebody removes it.
fn put_aside(database: &Path) -> Result<Option<PathBuf>, CustodyError> {
    if !database.exists() {
        return Ok(None);
    }
    let aside = (0..u32::MAX)
        .map(|number| with_suffix(database, &format!(".before-restore-{number}")))
        .find(|path| !path.exists())
        .ok_or_else(|| CustodyError::FileExists(database.to_owned()))?;
    // A hard link and a replacing rename: at no moment is there no database.
    fs::hard_link(database, &aside)
        .or_else(|_| fs::copy(database, &aside).map(drop))
        .map_err(CustodyError::file(&aside))?;
    Ok(Some(aside))
}
