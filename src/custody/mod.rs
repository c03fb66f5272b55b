//! Custody of what is secret: opens and closes the vault, changes its keys and credentials, backs the database up.
//!
//! The rooms below say what a change is; here it is committed, in order, by one hand at a time.

pub mod backup;
pub mod backup_file;
pub mod error;
pub mod house;
mod carried;
mod grant;
mod logs;
pub mod rekey;
pub mod restore;
mod reseal;
mod scheduled;
pub mod vacuum;
pub mod verified;

use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};

use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::keep::Keeper;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::config::{self, Config};
use crate::crypto::password::Iterations;
use crate::crypto::sign::SigningKey;
use crate::store::{Batch, Store};
use crate::vault::credential::{
    self, CredentialName, CredentialRecord, CredentialSource, HistoryRecord, NewCredential,
};
use crate::vault::door::{Door, Key};
use crate::vault::purpose::Purpose;
use crate::vault::{self, Change, KeyFacts, RecoveryKey, key_file};
pub use error::CustodyError;

/// The one who holds the keys.
#[derive(Debug)]
pub struct Custody {
    audit: Audit,
    vault: Arc<Door>,
    keeper: Arc<Keeper>,
    key_file: PathBuf,
    retention: config::Retention,
    rotation: Option<std::time::Duration>,
    backup: config::Backup,
    /// Where there is a log to look after.
    logs: Option<logs::Logs>,
    /// Held from the look at the store to the commit by whatever changes keys or credentials: rows replace what was
    /// there.
    change: Mutex<()>,
    /// Held while a backup is made: two would share the plain copy.
    backing_up: Arc<Mutex<()>>,
    /// Whether backups by schedule fail. Held for a moment.
    failing: StdMutex<scheduled::Known>,
    /// There may be something to seal anew.
    rotated: Notify,
    /// Whether a server has kept house once: what was due while it was down is done.
    kept: watch::Sender<bool>,
    /// What others have in memory of what is sealed goes with the keys.
    forget: OnceLock<Forget>,
    /// Who opened the vault, in words. Held for a moment.
    opened_by: StdMutex<Option<String>>,
    /// What is wrong with the log, as seen from outside of the file. Held for a moment.
    alarm: StdMutex<Option<String>>,
}

/// Wipes what somebody else holds.
struct Forget(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Forget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forget")
    }
}

/// A secret for the vault, and where it was found, in words.
#[derive(Debug)]
pub struct Found {
    pub secret: Secret,
    pub from: String,
    /// The file that it came from, if it was one.
    pub key_file: Option<PathBuf>,
}

/// With what the vault is to be opened.
#[derive(Debug)]
pub enum With {
    Secret(Secret),
    Recovery(RecoveryKey),
}

/// The secret that is to open the vault from now on.
#[derive(Debug)]
pub enum NewSecret {
    Typed(Secret),
    /// A random one, put into the key file.
    KeyFile,
}

impl Custody {
    pub fn new(audit: Audit, vault: Arc<Door>, keeper: Arc<Keeper>, key_file: PathBuf, config: &Config) -> Self {
        Self {
            audit,
            vault,
            keeper,
            key_file,
            retention: config.audit.retention,
            rotation: config.vault.rotation,
            backup: config.backup.clone(),
            logs: None,
            change: Mutex::default(),
            backing_up: Arc::default(),
            failing: StdMutex::default(),
            rotated: Notify::new(),
            kept: watch::Sender::new(false),
            forget: OnceLock::new(),
            opened_by: StdMutex::default(),
            alarm: StdMutex::default(),
        }
    }

    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    pub fn is_open(&self) -> bool {
        self.vault.open().is_some()
    }

    fn store(&self) -> &Store {
        self.audit.store()
    }

    fn now(&self) -> Timestamp {
        self.audit.now()
    }

    /// Until it is dropped, nobody makes a plain copy of the database; `None` while somebody does.
    pub fn without_copies(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.backing_up).try_lock_owned().ok()
    }

    /// What is wrong with the log, as seen from outside of the file.
    pub fn alarm(&self) -> Option<String> {
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares the log with what left the file; a difference is recorded and stays the alarm until the next start.
    pub async fn look_outside(&self) -> Result<Option<String>, CustodyError> {
        let alarm = self.keeper.look_outside()?;
        if let Some(alarm) = &alarm {
            self.alarm.lock().unwrap_or_else(PoisonError::into_inner).replace(alarm.clone());
            let mut draft = Draft::new(Event::Audit, "internal", self.now());
            draft.operation = Some("audit.alarm".into());
            self.audit.append(draft, Outcome::Failed, Some(alarm.clone())).await?;
        }
        Ok(alarm)
    }

    pub fn vault_status(&self) -> Value {
        let opened_by = self.opened_by.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({"standing": self.vault.standing(), "from": opened_by.filter(|_| self.is_open())})
    }

    /// Opens the vault with what was found at the start; gives where it was found.
    pub async fn unseal_at_start(self: Arc<Self>, found: Option<Found>) -> Result<Option<String>, CustodyError> {
        let Some(Found { secret, from, key_file }) = found else { return Ok(None) };
        if let Some(key) = key_file.as_deref().and_then(|path| key_file::derived(path, &secret))
            && self.vault.try_derived(&key)?
        {
            self.opened(&from);
            return Ok(Some(from));
        }
        // What a change of the key file left that was killed before its end.
        if let Some(draft) = key_file::drafted(&self.key_file)? {
            let vault = Arc::clone(&self.vault);
            let tried = tokio::task::spawn_blocking(move || vault.try_once(&draft));
            if tried.await.map_err(|error| CustodyError::Failed(error.to_string()))?? {
                key_file::publish(&self.key_file)?;
            }
        }
        let kept = secret.clone();
        let derived = self.try_key(With::Secret(secret), &from).await?;
        if let (Some(path), Some(key)) = (&key_file, &derived) {
            key_file::keep_derived(path, &kept, key);
        }
        Ok(Some(from))
    }

    /// Opens the vault. A wrong key changes nothing and makes the next try wait.
    pub async fn unseal(&self, with: With, from: &str) -> Result<(), CustodyError> {
        if self.is_open() {
            // Nothing is tried, so whoever opened it before still did.
            return Ok(());
        }
        self.try_key(with, from).await?;
        self.supply_log_keys_or_say().await;
        Ok(())
    }

    /// As [`Custody::supply_log_keys`]; where there are none, a log waits and nobody else does.
    pub async fn supply_log_keys_or_say(&self) {
        if let Err(error) = self.supply_log_keys().await {
            tracing::error!(%error, "there is no key for a log file");
        }
    }

    /// Gives the key that was derived, for whoever may keep it.
    async fn try_key(&self, with: With, from: &str) -> Result<Option<Secret>, CustodyError> {
        let vault = Arc::clone(&self.vault);
        let tried = tokio::task::spawn_blocking(move || match &with {
            With::Secret(secret) => vault.unseal(&Key::Secret(secret)),
            With::Recovery(recovery) => vault.unseal(&Key::Recovery(recovery)),
        });
        let derived = tried.await.map_err(|error| CustodyError::Failed(error.to_string()))??;
        self.opened(from);
        Ok(derived)
    }

    fn opened(&self, from: &str) {
        self.opened_by.lock().unwrap_or_else(PoisonError::into_inner).replace(from.to_owned());
        // What an interrupted pass left.
        self.rotated.notify_one();
    }

    /// Forgets the keys, after everything until now was signed.
    pub async fn seal(&self) -> Result<(), CustodyError> {
        let _one = self.change.lock().await;
        self.keeper.checkpoint().await?;
        // A subject whose first entry is under way would be given a second key.
        let _alone = self.audit.alone().await;
        self.vault.close(self.store().read(vault::state)?);
        self.forget_log_keys();
        self.audit.forget_subjects();
        if let Some(Forget(forget)) = self.forget.get() {
            forget();
        }
        Ok(())
    }

    /// What is to be called when the vault is sealed; the first one stays.
    pub fn when_sealed(&self, forget: impl Fn() + Send + Sync + 'static) {
        self.forget.get_or_init(|| Forget(Box::new(forget)));
    }

    /// Keeps a credential; gives its version.
    pub async fn set_credential(
        &self,
        name: &str,
        value: &Secret,
        note: Option<String>,
        source: CredentialSource,
        replace: bool,
        classification: Option<Classification>,
    ) -> Result<u32, CustodyError> {
        let name = CredentialName::parse(name)?;
        let _one = self.change.lock().await;
        let open = self.vault.opened()?;
        let now = self.now();
        let rows = self.store().read(|snapshot| {
            if !replace && credential::show(snapshot, &name).is_ok() {
                return Err(CustodyError::Exists(name.as_str().to_owned()));
            }
            let new = NewCredential { name: &name, value, note, source, classification };
            Ok(credential::set(&open, snapshot, new, now)?)
        })?;
        self.store().commit(Batch::puts(rows.clone())).await?;
        open.confirm(&rows);
        Ok(self.credential(name.as_str())?.version)
    }

    /// Says how confidential a credential is; gives what it was.
    pub async fn classify_credential(
        &self,
        name: &str,
        classification: Classification,
    ) -> Result<Classification, CustodyError> {
        let name = CredentialName::parse(name)?;
        let _one = self.change.lock().await;
        let (before, rows) = self.store().read(|snapshot| credential::classify(snapshot, &name, classification))?;
        self.store().commit(Batch::puts(rows)).await?;
        Ok(before)
    }

    /// Destroys a credential's values.
    pub async fn remove_credential(&self, name: &str) -> Result<(), CustodyError> {
        let name = CredentialName::parse(name)?;
        let _one = self.change.lock().await;
        let now = self.now();
        let rows = self.store().read(|snapshot| credential::remove(snapshot, &name, now))?;
        self.store().commit(Batch::puts(rows)).await?;
        Ok(())
    }

    /// All credentials, without their values.
    pub fn credentials(&self) -> Result<Vec<CredentialRecord>, CustodyError> {
        Ok(self.store().read(credential::list)?)
    }

    pub fn credential(&self, name: &str) -> Result<CredentialRecord, CustodyError> {
        let name = CredentialName::parse(name)?;
        Ok(self.store().read(|snapshot| credential::show(snapshot, &name))?)
    }

    /// A credential's value, for whoever is about to use it.
    pub fn credential_value(&self, name: &str) -> Result<Secret, CustodyError> {
        let (name, open) = (CredentialName::parse(name)?, self.vault.opened()?);
        Ok(self.store().read(|snapshot| credential::value(&open, snapshot, &name))?)
    }

    pub fn credential_history(&self, name: &str) -> Result<Vec<HistoryRecord>, CustodyError> {
        let name = CredentialName::parse(name)?;
        Ok(self.store().read(|snapshot| credential::history(snapshot, &name))?)
    }

    /// All versions of all keys; `None` while the vault is sealed.
    pub fn keys(&self) -> Option<Vec<KeyFacts>> {
        self.vault.open().map(|open| open.keys())
    }

    /// The key that signs what `label` says, such as bundles of libraries; its name tells whose it is.
    pub fn signing_key(&self, label: &str) -> Result<SigningKey, CustodyError> {
        let open = self.vault.opened()?;
        let seed = open.signing_seed_for(open.active(Purpose::Signing), label)?;
        let name = format!("{}/{}", self.keeper.origin(), label.replace(' ', "-"));
        SigningKey::new(&name, &seed).map_err(|error| CustodyError::Failed(error.to_string()))
    }

    /// Versions, ages and uses of the keys.
    pub fn key_status(&self) -> Result<Value, CustodyError> {
        let open = self.vault.opened()?;
        let keys: Vec<Value> = open
            .keys()
            .into_iter()
            .map(|key| {
                json!({
                    "purpose": key.purpose.name(),
                    "version": key.version,
                    "made": key.created.rfc3339(),
                    "state": key.state.as_str(),
                    "uses": key.uses,
                })
            })
            .collect();
        let verifying: Vec<String> = self.keeper.keys()?.iter().map(ToString::to_string).collect();
        Ok(json!({
            "standing": self.vault.standing(),
            "iterations": open.iterations(),
            "keys": keys,
            "verifying_keys": verifying,
        }))
    }

    /// New keys for `purposes`, or for all that seal; what they sealed is sealed anew in the background.
    pub async fn rotate(&self, purposes: &[Purpose]) -> Result<Vec<Purpose>, CustodyError> {
        let purposes = match purposes {
            [] => Purpose::ALL.into_iter().filter(|purpose| !purpose.keeps_versions()).collect(),
            some => some.to_vec(),
        };
        let signing = purposes.contains(&Purpose::Signing);
        if signing {
            // The old key vouches for all until now.
            self.keeper.checkpoint().await?;
        }
        let one = self.change.lock().await;
        let change = self.vault.opened()?.rotate(&purposes, self.now())?;
        let names: Vec<&str> = purposes.iter().map(|purpose| purpose.name()).collect();
        self.make(change, "key.rotate", format!("new keys for {}", names.join(", "))).await?;
        if purposes.contains(&Purpose::Logs) {
            self.forget_log_keys();
        }
        drop(one);
        self.supply_log_keys_or_say().await;
        if signing {
            self.keeper.checkpoint().await?;
        }
        self.rotated.notify_one();
        Ok(purposes)
    }

    /// Another secret opens the vault from now on. Gives what a person should know.
    pub async fn change_secret(&self, new: NewSecret, iterations: Iterations) -> Result<String, CustodyError> {
        let to_file = matches!(new, NewSecret::KeyFile);
        self.draft_secret(new, iterations).await?;
        let file = self.key_file.display();
        if to_file {
            key_file::publish(&self.key_file)?;
            return Ok(format!("It is in {file}."));
        }
        if self.key_file.exists() {
            key_file::remove(&self.key_file)?;
            return Ok(format!("{file} was removed: what was in it opens nothing any more."));
        }
        Ok("Sekisho asks for it when it starts.".into())
    }

    /// As [`Custody::change_secret`], but a new key file still has the name of a draft: a start looks there too, so
    /// that a kill between the two leaves a vault that opens.
    async fn draft_secret(&self, new: NewSecret, iterations: Iterations) -> Result<(), CustodyError> {
        let _one = self.change.lock().await;
        let open = self.vault.opened()?;
        let secret = match new {
            NewSecret::Typed(secret) => secret,
            NewSecret::KeyFile => key_file::draft(&self.key_file)?,
        };
        let changing = tokio::task::spawn_blocking(move || open.change_secret(&secret, iterations));
        let change = changing.await.map_err(|error| CustodyError::Failed(error.to_string()))??;
        self.make(change, "key.passphrase", "another secret opens the vault".into()).await
    }

    /// Another recovery key opens the vault from now on.
    pub async fn new_recovery(&self) -> Result<RecoveryKey, CustodyError> {
        let _one = self.change.lock().await;
        let (change, key) = self.vault.opened()?.new_recovery()?;
        self.make(change, "key.recovery", "another recovery key opens the vault".into()).await?;
        Ok(key)
    }

    /// Commits a change with the entry that says so, and only then uses it. Whoever calls holds `change`.
    async fn make(&self, change: Change, operation: &str, reason: String) -> Result<(), CustodyError> {
        let Change { rows, next } = change;
        let mut draft = Draft::new(Event::Vault, "internal", self.now());
        draft.operation = Some(operation.to_owned());
        self.audit.append_with(Batch::puts(rows), draft, Outcome::Done, Some(reason)).await?;
        self.vault.replace(next);
        Ok(())
    }
}
