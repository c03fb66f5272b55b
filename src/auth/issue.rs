//! API keys and JWTs: issued, listed, revoked at once, and the secret behind the JWTs rotated.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::change::ChangeError;
use super::jwt_key::{JwtKeyRecord, JwtRecord};
use super::token::{TokenError, TokenRecord};
use super::used::Subject;
use super::{Authenticator, account, jwt, jwt_key, token};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::{hex, random_bytes};
use crate::base::principal::Role;
use crate::base::secret::Secret;
use crate::config::mask::TOKEN_PREFIX;
use crate::crypto::digest::Hash;
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};
use crate::vault::purpose::Purpose;

/// A token that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    /// For a JWT it may be left to the account of that name.
    pub role: Option<Role>,
    pub scopes: Vec<String>,
    pub days: Option<u64>,
}

/// A new token. Whoever is given it sees it this once.
#[derive(Debug)]
pub struct Issued {
    /// What it is revoked by.
    pub id: String,
    pub token: Secret,
    pub role: Role,
    pub expires: Option<Timestamp>,
}

/// A token as a list shows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Listed {
    /// `api_key` or `jwt`.
    pub kind: &'static str,
    /// How the API key begins, or the JWT's id.
    pub id: String,
    /// The API key's name, or the JWT's subject.
    pub name: String,
    #[schemars(with = "String")]
    pub role: Role,
    pub scopes: Vec<String>,
    pub made: String,
    pub expires: Option<String>,
    pub last_used: Option<String>,
    pub revoked: bool,
    pub expired: bool,
}

impl Wanted {
    fn check(&self, days_max: u64) -> Result<(), ChangeError> {
        account::check_name(&self.name)?;
        let good = |scope: &String| {
            (1..=bound::SCOPE_BYTES_MAX).contains(&scope.len()) && scope.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.scopes.len() > bound::SCOPES_MAX || !self.scopes.iter().all(good) {
            return Err(TokenError::Scopes.into());
        }
        if self.days.is_some_and(|days| !(1..=days_max).contains(&days)) {
            return Err(TokenError::Days(days_max).into());
        }
        Ok(())
    }
}

impl Authenticator {
    /// Issues an API key. Without a role it is a reader's.
    pub async fn issue_key(&self, wanted: Wanted) -> Result<Issued, ChangeError> {
        wanted.check(bound::TOKEN_DAYS_MAX)?;
        let _one = self.change.lock().await;
        let now = self.clock.now();
        let mut rows = Vec::new();
        let tokens = self.store.read(token::list)?;
        for (key, record) in &tokens {
            match record.why_not(now) {
                None if record.name == wanted.name => return Err(TokenError::Exists(wanted.name).into()),
                // One that is revoked or expired makes room for its namesake.
                Some(_) if record.name == wanted.name => rows.push(Put::delete(Table::Tokens, *key)),
                _ => {}
            }
        }
        if tokens.len() - rows.len() >= bound::TOKENS_MAX {
            return Err(TokenError::TooMany(bound::TOKENS_MAX).into());
        }
        let token = token::make()?;
        let role = wanted.role.unwrap_or(Role::Reader);
        let expires = wanted.days.map(|days| now.plus(Duration::from_secs(days * 86_400)));
        let record = TokenRecord { scopes: wanted.scopes, expires, ..TokenRecord::new(wanted.name, role, &token, now) };
        rows.push(token::row(&token, &record)?);
        self.commit(rows).await?;
        Ok(Issued { id: record.prefix, token, role, expires })
    }

    /// Issues a JWT; the first one makes the secret.
    pub async fn issue_jwt(&self, wanted: Wanted) -> Result<Issued, ChangeError> {
        wanted.check(bound::JWT_EXPIRY_SECONDS_MAX / 86_400)?;
        let _one = self.change.lock().await;
        let now = self.clock.now();
        let open = self.vault.opened()?;
        let leeway_ms = u64::try_from(self.settings.jwt_leeway.as_millis()).unwrap_or(u64::MAX);
        let (account, mut rows, full, signing) = self.store.read(|snapshot| {
            let rows = jwt_key::spent(snapshot, now, leeway_ms)?;
            let full = snapshot.count(Table::Jwts)? >= (bound::JWTS_MAX + rows.len()) as u64;
            Ok::<_, StoreError>((account::find(snapshot, &wanted.name)?, rows, full, signing(snapshot)?))
        })?;
        if full {
            return Err(TokenError::TooMany(bound::JWTS_MAX).into());
        }
        let role = role_of(&wanted, account.as_ref())?;
        let (kid, mut key) = match signing {
            Some(signing) => signing,
            None => new_key(open.active(Purpose::Signing), now)?,
        };
        let span = wanted.days.map_or(self.settings.jwt_expiry, |days| Duration::from_secs(days * 86_400));
        // A JWT tells whole seconds.
        let expires = Timestamp(now.plus(span).0 / 1000 * 1000);
        let id = hex(&random_bytes::<16>()?);
        let scopes = &wanted.scopes;
        let new = jwt::New { kid: &kid, id: &id, subject: &wanted.name, role, scopes, issued: now, expires };
        let parts = jwt::sign(&new, &self.settings, &key.secret(&open, &kid)?)?;
        key.last_expiry = key.last_expiry.max(expires);
        let record = JwtRecord {
            subject: wanted.name,
            role,
            scopes: wanted.scopes,
            is_of_account: account.is_some(),
            made: now,
            expires,
            last_used: None,
            revoked: None,
        };
        rows.push(key.row(&kid)?);
        rows.push(record.row(&id)?);
        self.commit(rows).await?;
        Ok(Issued { id, token: Secret::new(parts.join(".")), role, expires: Some(expires) })
    }

    /// Revokes an API key by its name or beginning, or a JWT by its id. `jwt:` before the id, as the audit log has it,
    /// also revokes one that was issued elsewhere. It is refused from the next request on. Gives what it was, and an API
    /// key's name, which is free from now on.
    pub async fn revoke(&self, wanted: &str) -> Result<(&'static str, Option<String>), ChangeError> {
        let _one = self.change.lock().await;
        let now = self.clock.now();
        let (tokens, jwt) = self.store.read(|snapshot| {
            let id = wanted.strip_prefix("jwt:").unwrap_or(wanted);
            let fits = !id.is_empty() && id.len() <= bound::SCOPE_BYTES_MAX;
            let jwt = if fits { jwt_key::find(snapshot, id)?.map(|jwt| (id.to_owned(), jwt)) } else { None };
            Ok::<_, StoreError>((token::list(snapshot)?, jwt))
        })?;
        if let Some((key, record)) = named(&tokens, wanted)? {
            let row = token::row_at(*key, &TokenRecord { disabled: true, ..record.clone() })?;
            self.commit(vec![row]).await?;
            return Ok(("api_key", Some(record.name.clone())));
        }
        let (id, record) = match (jwt, wanted.strip_prefix("jwt:")) {
            (Some((id, record)), _) => (id, JwtRecord { revoked: Some(now), ..record }),
            (None, Some(id)) if (1..=bound::SCOPE_BYTES_MAX).contains(&id.len()) => {
                let foreign = JwtRecord {
                    subject: String::new(),
                    role: Role::Reader,
                    scopes: Vec::new(),
                    is_of_account: false,
                    made: now,
                    expires: now.plus(Duration::from_secs(bound::JWT_FOREIGN_SECONDS)),
                    last_used: None,
                    revoked: Some(now),
                };
                (id.to_owned(), foreign)
            }
            _ => return Err(TokenError::Unknown(wanted.chars().take(bound::ACCOUNT_NAME_BYTES_MAX).collect()).into()),
        };
        self.commit(vec![record.row(&id)?]).await?;
        Ok(("jwt", None))
    }

    /// How many API keys and JWTs are revoked or expired; with `delete` they go. A JWT that was revoked stays until it
    /// would have expired: its row is why it is refused.
    pub async fn spent_tokens(&self, delete: bool) -> Result<usize, ChangeError> {
        let _one = self.change.lock().await;
        let now = self.clock.now();
        let leeway_ms = u64::try_from(self.settings.jwt_leeway.as_millis()).unwrap_or(u64::MAX);
        let (tokens, mut rows) = self.store.read(|snapshot| {
            Ok::<_, StoreError>((token::list(snapshot)?, jwt_key::spent(snapshot, now, leeway_ms)?))
        })?;
        let spent = tokens.into_iter().filter(|(_, record)| record.why_not(now).is_some());
        rows.extend(spent.map(|(key, _)| Put::delete(Table::Tokens, key)));
        let count = rows.len();
        if delete && count > 0 {
            for rows in rows.chunks(bound::GATE_FLUSH_ROWS_MAX) {
                self.commit(rows.to_vec()).await?;
            }
        }
        Ok(count)
    }

    /// Another secret signs JWTs from now on. The old one verifies until its last token has expired, or, `at_once`,
    /// nothing any more. Gives the new key's id.
    pub async fn rotate_jwt_key(&self, at_once: bool) -> Result<String, ChangeError> {
        let _one = self.change.lock().await;
        let now = self.clock.now();
        let open = self.vault.opened()?;
        let mut rows = Vec::new();
        let mut kept = 0;
        for (kid, mut key) in self.store.read(jwt_key::keys)? {
            if at_once || !key.verifies(now) || key.last_expiry <= now {
                rows.push(Put::delete(Table::JwtKeys, kid.into_bytes()));
            } else {
                kept += 1;
                key.retired = key.retired.or(Some(now));
                rows.push(key.row(&kid)?);
            }
        }
        if kept >= bound::JWT_KEYS_MAX {
            return Err(TokenError::TooMany(kept).into());
        }
        let (kid, key) = new_key(open.active(Purpose::Signing), now)?;
        rows.push(key.row(&kid)?);
        self.commit(rows).await?;
        Ok(kid)
    }

    /// All API keys and JWTs, revoked and expired ones included.
    pub fn tokens(&self) -> Result<Vec<Listed>, ChangeError> {
        let now = self.clock.now();
        let (tokens, jwts) =
            self.store.read(|snapshot| Ok::<_, StoreError>((token::list(snapshot)?, jwt_key::list(snapshot)?)))?;
        let keys = tokens.into_iter().map(|(key, token)| Listed {
            kind: "api_key",
            id: token.prefix,
            name: token.name,
            role: token.role,
            scopes: token.scopes,
            made: token.made.rfc3339(),
            expires: token.expires.map(Timestamp::rfc3339),
            last_used: self.used.last(&Subject::Token(key), token.last_used).map(Timestamp::rfc3339),
            revoked: token.disabled,
            expired: token.expires.is_some_and(|expires| now >= expires),
        });
        let jwts = jwts.into_iter().map(|(id, jwt)| Listed {
            kind: "jwt",
            last_used: self.used.last(&Subject::Jwt(id.as_str().into()), jwt.last_used).map(Timestamp::rfc3339),
            id,
            name: jwt.subject,
            role: jwt.role,
            scopes: jwt.scopes,
            made: jwt.made.rfc3339(),
            expires: Some(jwt.expires.rfc3339()),
            revoked: jwt.revoked.is_some(),
            expired: now >= jwt.expires,
        });
        Ok(keys.chain(jwts).collect())
    }
}

/// The secret that signs.
fn signing(snapshot: &Snapshot) -> Result<Option<(String, JwtKeyRecord)>, StoreError> {
    Ok(jwt_key::keys(snapshot)?.into_iter().find(|(_, key)| key.retired.is_none()))
}

fn new_key(version: u32, now: Timestamp) -> Result<(String, JwtKeyRecord), ChangeError> {
    Ok((hex(&random_bytes::<8>()?), JwtKeyRecord { version, made: now, last_expiry: now, retired: None }))
}

/// A token never says more of an account than the account is.
fn role_of(wanted: &Wanted, account: Option<&account::AccountRecord>) -> Result<Role, TokenError> {
    match (account, wanted.role) {
        (None, None) => Err(TokenError::NoRole(wanted.name.clone())),
        (None, Some(role)) => Ok(role),
        (Some(account), None) => Ok(account.role),
        (Some(account), Some(role)) if role == account.role || role == Role::Reader => Ok(role),
        (Some(account), Some(asked)) => {
            Err(TokenError::OtherRole { name: wanted.name.clone(), is: account.role, asked })
        }
    }
}

/// The API key of this name that is not revoked, else the one that begins like this.
fn named<'a>(tokens: &'a [(Hash, TokenRecord)], wanted: &str) -> Result<Option<&'a (Hash, TokenRecord)>, TokenError> {
    let live = || tokens.iter().filter(|(_, record)| !record.disabled);
    if let Some(found) = live().find(|(_, record)| record.name == wanted) {
        return Ok(Some(found));
    }
    let full = if wanted.starts_with(TOKEN_PREFIX) { wanted.to_owned() } else { format!("{TOKEN_PREFIX}{wanted}") };
    let mut found = live().filter(|(_, record)| !record.prefix.is_empty() && record.prefix == full);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(TokenError::Ambiguous(wanted.to_owned())),
        (one, _) => Ok(one),
    }
}
