//! What shuts a principal's tokens out at once, for whoever commits it together with more.

use std::sync::atomic::Ordering;

use tokio::sync::MutexGuard;

use super::change::ChangeError;
use super::jwt_key::JwtRecord;
use super::token::TokenRecord;
use super::{Authenticator, jwt_key, token};
use crate::store::{Put, StoreError};

/// Tokens that are revoked once the rows are committed. Nobody else changes accounts or tokens until this is dropped.
pub struct Revoking<'a> {
    /// What is to be committed.
    pub rows: Vec<Put>,
    /// What is revoked: the beginnings of API keys, the ids of JWTs.
    pub revoked: Vec<String>,
    authenticator: &'a Authenticator,
    _one: MutexGuard<'a, ()>,
}

impl std::fmt::Debug for Revoking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revoking").field("revoked", &self.revoked).finish_non_exhaustive()
    }
}

impl Revoking<'_> {
    /// The rows were committed, or may have been: what was remembered counts no more.
    pub fn committed(self) {
        self.authenticator.cache.clear();
        self.authenticator.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl Authenticator {
    /// Every API key and JWT that speaks for `principal`, such as `token:ci`, `account:ann` or `jwt:build`.
    pub async fn revoking(&self, principal: &str) -> Result<Revoking<'_>, ChangeError> {
        let one = self.change.lock().await;
        let now = self.clock.now();
        let (kind, name) = principal.split_once(':').unwrap_or(("", principal));
        let (tokens, jwts) =
            self.store.read(|snapshot| Ok::<_, StoreError>((token::list(snapshot)?, jwt_key::list(snapshot)?)))?;
        let (mut rows, mut revoked) = (Vec::new(), Vec::new());
        for (key, record) in tokens {
            // An account's name on an API key is how its holder administers.
            if record.name == name && !record.disabled && matches!(kind, "token" | "account") {
                revoked.push(record.prefix.clone());
                rows.push(token::row_at(key, &TokenRecord { disabled: true, ..record })?);
            }
        }
        for (id, record) in jwts {
            if record.subject == name && record.revoked.is_none() && matches!(kind, "jwt" | "account") {
                rows.push(JwtRecord { revoked: Some(now), ..record }.row(&id)?);
                revoked.push(id);
            }
        }
        Ok(Revoking { rows, revoked, authenticator: self, _one: one })
    }
}
