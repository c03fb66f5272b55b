//! Changes of accounts: committed one at a time, after which nothing that was remembered counts.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use schemars::JsonSchema;
use serde::Serialize;

use super::account::{self, AccountError, AccountRecord};
use super::basic::{Busy, Unwritten};
use super::token::TokenError;
use super::used::Subject;
use super::{Authenticator, jwt_key, token};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::NoEntropy;
use crate::base::principal::{Principal, Role, Scheme};
use crate::base::refusal::{Code, Refusal, sentence};
use crate::base::secret::Secret;
use crate::crypto::password::PasswordHash;
use crate::store::table::Table;
use crate::store::{Batch, Put, StoreError};
use crate::vault::VaultError;

/// Why accounts or tokens were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    #[error("too many passwords are being checked at the moment; try again in a few seconds")]
    Busy,
    #[error("the token could not be signed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

impl From<Busy> for ChangeError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl ChangeError {
    fn code(&self) -> Code {
        match self {
            Self::Account(AccountError::Unknown(_)) | Self::Token(TokenError::Unknown(_)) => Code::NotFound,
            Self::Account(AccountError::Exists(_) | AccountError::TooMany)
            | Self::Token(TokenError::Exists(_) | TokenError::TooMany(_) | TokenError::Ambiguous(_)) => Code::Conflict,
            Self::Account(_) | Self::Token(_) => Code::Invalid,
            Self::Store(StoreError::Full { .. }) | Self::Vault(VaultError::Absent | VaultError::Sealed) => {
                Code::Unavailable
            }
            Self::Busy => Code::Busy,
            _ => Code::Internal,
        }
    }
}

/// Operators are told the whole reason: it names no secret.
impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        Self::new(error.code(), sentence(&error))
    }
}

/// An account as a reviewer sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Reviewed {
    pub name: String,
    #[schemars(with = "String")]
    pub role: Role,
    pub disabled: bool,
    pub made: String,
    /// When the password was set, or the account disabled or enabled.
    pub changed: String,
    pub last_used: Option<String>,
    /// Wrong passwords since the last right one.
    pub failures: u32,
    /// API keys of this name and JWTs for it that are still valid.
    pub keys: usize,
    /// Held in memory, out of the environment.
    pub from_environment: bool,
}

impl Authenticator {
    /// Makes an account.
    pub async fn add_account(&self, name: &str, role: Role, password: &Secret) -> Result<(), ChangeError> {
        account::check_name(name)?;
        account::check_password(name, password)?;
        let hash = self.passwords.hash(password).await??;
        let _one = self.change.lock().await;
        let now = self.clock.now();
        self.store.read(|snapshot| {
            if account::find(snapshot, name)?.is_some() {
                return Err(ChangeError::from(AccountError::Exists(name.to_owned())));
            }
            let full = snapshot.count(Table::Accounts)? >= bound::ACCOUNTS_MAX as u64;
            if full { Err(AccountError::TooMany.into()) } else { Ok(()) }
        })?;
        let phc = hash.to_phc();
        let (name, disabled, last_used) = (name.to_owned(), false, None);
        let record = AccountRecord { name, role, phc, disabled, made: now, changed: now, last_used, failures: 0 };
        self.commit(vec![account::row(&record)?]).await
    }

    /// Sets another password; the old one is refused from now on.
    pub async fn set_password(&self, name: &str, password: &Secret) -> Result<(), ChangeError> {
        account::check_password(name, password)?;
        self.known(name)?;
        let hash: PasswordHash = self.passwords.hash(password).await??;
        let _one = self.change.lock().await;
        let record = self.known(name)?;
        let changed = AccountRecord { phc: hash.to_phc(), changed: self.clock.now(), failures: 0, ..record };
        self.commit(vec![account::row(&changed)?]).await?;
        self.passwords.succeeded(name);
        Ok(())
    }

    /// Gives an account another role. It holds from the next request on, for its password and for its JWTs: those never
    /// do more than the account.
    pub async fn set_role(&self, name: &str, role: Role) -> Result<(), ChangeError> {
        let _one = self.change.lock().await;
        let record = self.known(name)?;
        let changed = AccountRecord { role, changed: self.clock.now(), ..record };
        self.commit(vec![account::row(&changed)?]).await
    }

    /// Disables or enables an account: its password and its JWTs are refused meanwhile.
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<(), ChangeError> {
        let _one = self.change.lock().await;
        let record = self.known(name)?;
        let changed = AccountRecord { disabled, changed: self.clock.now(), ..record };
        self.commit(vec![account::row(&changed)?]).await
    }

    /// Whether `principal` speaks for an account: by its password, by a JWT that was issued for it here, or by an API
    /// key of its name and role while it is not disabled. Nobody else administers from another place than this machine.
    pub fn speaks_for_account(&self, principal: &Principal) -> Result<bool, StoreError> {
        match (principal.scheme, principal.id.split_once(':')) {
            (Scheme::Basic | Scheme::Jwt, Some(("account", _))) => Ok(true),
            (Scheme::Bearer, Some(("token", name))) => {
                let account = self.store.read(|snapshot| account::find(snapshot, name))?;
                Ok(account.is_some_and(|account| !account.disabled && account.role == principal.role))
            }
            _ => Ok(false),
        }
    }

    /// Removes an account, and revokes its JWTs.
    pub async fn remove_account(&self, name: &str) -> Result<(), ChangeError> {
        let _one = self.change.lock().await;
        self.known(name)?;
        let now = self.clock.now();
        let mut rows = vec![Put::delete(Table::Accounts, name.as_bytes())];
        for (id, mut record) in self.store.read(jwt_key::list)? {
            if record.is_of_account && record.subject == name && record.revoked.is_none() {
                record.revoked = Some(now);
                rows.push(record.row(&id)?);
            }
        }
        self.commit(rows).await
    }

    /// All accounts: who has them, what they may do, and whether they are used.
    pub fn review(&self) -> Result<Vec<Reviewed>, ChangeError> {
        let now = self.clock.now();
        let (accounts, tokens, jwts) = self.store.read(|snapshot| {
            Ok::<_, StoreError>((account::list(snapshot)?, token::list(snapshot)?, jwt_key::list(snapshot)?))
        })?;
        let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, token) in tokens.iter().filter(|(_, token)| token.why_not(now).is_none()) {
            *keys.entry(&token.name).or_default() += 1;
        }
        for (_, jwt) in jwts.iter().filter(|(_, jwt)| jwt.revoked.is_none() && now < jwt.expires) {
            *keys.entry(&jwt.subject).or_default() += 1;
        }
        let visitor = self.visitor.iter().filter(|own| accounts.iter().all(|stored| stored.name != own.name));
        let all = accounts.iter().map(|account| (account, false)).chain(visitor.map(|account| (account, true)));
        let time = |time: Timestamp| time.rfc3339();
        Ok(all
            .map(|(account, from_environment)| {
                let subject = Subject::Account(account.name.as_str().into());
                Reviewed {
                    name: account.name.clone(),
                    role: account.role,
                    disabled: account.disabled,
                    made: time(account.made),
                    changed: time(account.changed),
                    last_used: self.used.last(&subject, account.last_used).map(time),
                    failures: self.passwords.failures_of(&account.name, account.failures),
                    keys: keys.get(account.name.as_str()).copied().unwrap_or_default(),
                    from_environment,
                }
            })
            .collect())
    }

    /// Writes down what was used since the last time, and how often a password was wrong: one commit for all.
    pub async fn write_used(&self) -> Result<(), StoreError> {
        let _one = self.change.lock().await;
        let (used, failures) = (self.used.take(), self.passwords.take_changed());
        if used.is_empty() && failures.is_empty() {
            return Ok(());
        }
        let rows = self.store.read(|snapshot| {
            let mut accounts: BTreeMap<String, AccountRecord> = BTreeMap::new();
            let mut rows = Vec::new();
            let mut failed: BTreeMap<&str, Unwritten> =
                failures.iter().map(|(name, unwritten)| (name.as_str(), *unwritten)).collect();
            for (subject, at) in &used {
                match subject {
                    Subject::Account(name) => {
                        if let Some(mut record) = account::find(snapshot, name)? {
                            record.last_used = record.last_used.max(Some(*at));
                            let unwritten = failed.remove(&**name).unwrap_or_default();
                            record.failures = unwritten.onto(record.failures);
                            accounts.insert(record.name.clone(), record);
                        }
                    }
                    Subject::Token(key) => {
                        if let Some(mut record) = token::find(snapshot, key)? {
                            record.last_used = record.last_used.max(Some(*at));
                            rows.push(token::row_at(*key, &record)?);
                        }
                    }
                    Subject::Jwt(id) => {
                        if let Some(mut record) = jwt_key::find(snapshot, id)? {
                            record.last_used = record.last_used.max(Some(*at));
                            rows.push(record.row(id)?);
                        }
                    }
                }
            }
            for (name, unwritten) in failed {
                if let Some(record) = account::find(snapshot, name)? {
                    let failures = unwritten.onto(record.failures);
                    accounts.insert(name.to_owned(), AccountRecord { failures, ..record });
                }
            }
            for record in accounts.values() {
                rows.push(account::row(record)?);
            }
            Ok::<_, StoreError>(rows)
        })?;
        // Thousands of rows are more than one commit may hold.
        for rows in rows.chunks(bound::SCAN_ROWS_MAX) {
            self.store.commit(Batch::puts(rows.to_vec())).await?;
        }
        Ok(())
    }

    /// The stored account of this name; that of the environment cannot be changed.
    fn known(&self, name: &str) -> Result<AccountRecord, ChangeError> {
        let found = self.store.read(|snapshot| account::find(snapshot, name))?;
        found.ok_or_else(|| AccountError::Unknown(name.to_owned()).into())
    }

    /// Commits a change, and forgets whom it may concern. Whoever calls holds `change`.
    pub(super) async fn commit(&self, rows: Vec<Put>) -> Result<(), ChangeError> {
        let committed = self.store.commit(Batch::puts(rows)).await;
        // Also after an error: what was refused as not durable may be there all the same.
        self.cache.clear();
        self.generation.fetch_add(1, Ordering::AcqRel);
        committed?;
        Ok(())
    }
}
