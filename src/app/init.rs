//! Makes an installation: the directory, a configuration, a token, a vault and its key, a database.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::{AppError, at};
use crate::audit::log::LogHook;
use crate::auth::session;
use crate::auth::token::{self, TokenRecord};
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::id::random_bytes;
use crate::base::principal::{Principal, Role};
use crate::base::secret::Secret;
use crate::config::place::Places;
use crate::config::preset::{self, Preset};
use crate::crypto::password::Iterations;
use crate::store::lock::DirectoryLock;
use crate::store::table::Table;
use crate::store::{Batch, Put, Store};
use crate::vault::{self, RecoveryKey, source};

/// What `init` made; what is not named was there.
#[derive(Debug, Default)]
pub struct Made {
    pub directory: bool,
    pub config: bool,
    pub database: bool,
    pub token: bool,
    /// The file with the vault's secret.
    pub key_file: bool,
    /// Of the vault that was made; it is shown this once.
    pub recovery: Option<RecoveryKey>,
}

impl Made {
    pub fn anything(&self) -> bool {
        self.directory || self.config || self.database || self.token
    }
}

/// What can be chosen of a new installation.
#[derive(Debug, Default)]
pub struct Choice {
    /// A secret that somebody typed, or that stands ready; otherwise one is made and put into the key file.
    pub secret: Option<Secret>,
    pub iterations: Iterations,
    /// What the new configuration sets, where there is none yet.
    pub preset: Preset,
}

/// Makes what an installation needs and does not have: the directory, a configuration, a token, a vault, a database.
/// Killed anywhere, the next one goes on where this one stopped.
pub fn init(places: &Places, key_file: &Path, choice: Choice) -> Result<Made, AppError> {
    let mut made = Made { directory: !places.data.exists(), ..Made::default() };
    DirBuilder::new().recursive(true).mode(0o700).create(&places.data).map_err(at(&places.data))?;
    if made.directory {
        // A umask cannot widen this, and a parent that was made on the way is nobody else's business either.
        fs::set_permissions(&places.data, fs::Permissions::from_mode(0o700)).map_err(at(&places.data))?;
    }
    let (database, token) = (places.database(), places.http_token());
    if places.config.exists() && database.exists() && token.exists() {
        // Nothing to do, and so nothing to disturb: another process may be at work there.
        return Ok(made);
    }
    let _lock = DirectoryLock::acquire(&places.data)?;
    if !places.config.exists() {
        write_new(&places.config, preset::commented_with(&choice.preset.values()).as_bytes())?;
        made.config = true;
    }
    let (token, fresh) = match read_token(&token)? {
        Some(token) => (token, false),
        None => (token::make()?, true),
    };
    let record = TokenRecord::new(token::QUICKSTART, Role::Reader, &token, SystemClock::default().now());
    let row = token::row(&token, &record)?;
    // The file of the token last: one that no database knows would look right and open nothing.
    if database.exists() {
        if fresh {
            replace_token(&database, row)?;
        }
    } else {
        let by_file = choice.secret.is_none();
        let (secret, key_made) = match choice.secret {
            Some(secret) => (secret, false),
            None => key_of(key_file)?,
        };
        made.key_file = key_made;
        let database_id = random_bytes::<16>()?;
        let vault = vault::create(database_id, &secret, choice.iterations, SystemClock::default().now())?;
        let mut rows = vault.rows;
        rows.push(Put::new(Table::Meta, b"database_id", database_id.to_vec()));
        rows.push(row);
        Store::create(&database, &rows)?;
        if by_file {
            vault::key_file::keep_derived(key_file, &secret, &vault.derived);
        }
        made.database = true;
        made.recovery = Some(vault.recovery);
    }
    if fresh {
        write_new(&places.http_token(), &[token.expose_secret(), b"\n"].concat())?;
        made.token = true;
    }
    Ok(made)
}

/// The secret in the key file, and whether it was made now: before the database that it opens, so that a kill between
/// the two leaves a key without a vault and never a vault without a key.
pub(super) fn key_of(key_file: &Path) -> Result<(Secret, bool), AppError> {
    if key_file.exists() {
        return Ok((crate::vault::key_file::read(key_file)?, false));
    }
    Ok((source::make_key_file(key_file)?, true))
}

pub fn read_token(path: &Path) -> Result<Option<Secret>, AppError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Secret::new(text.trim())).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AppError::File { path: path.to_owned(), error }),
    }
}

/// Makes the new token valid, and every older one of its name invalid: deleting the file withdraws a token.
fn replace_token(database: &Path, row: Put) -> Result<(), AppError> {
    let opened = Store::open(database)?;
    let mut rows = opened.read(token::rows_of_quickstart)?;
    rows.push(row);
    // A new token holds, also where an administrator ended the session of the old one.
    rows.push(session::allowance(&Principal::token(token::QUICKSTART, Role::Reader).credential));
    let hook = LogHook::of(&opened)?;
    let store = opened.start(Box::new(hook))?;
    futures::executor::block_on(async {
        store.commit(Batch::puts(rows)).await?;
        store.close().await;
        Ok(())
    })
}

/// Writes a file that is there whole or not at all.
fn write_new(path: &Path, content: &[u8]) -> Result<(), AppError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(at(&temporary))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at(&temporary))?;
    fs::rename(&temporary, path).map_err(at(path))
}
