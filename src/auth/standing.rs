//! Whether a credential that was taken once still holds: for streams, which outlive the request that opened them.

use std::sync::atomic::Ordering;

use super::{Authenticator, account, jwt_key, token};
use crate::base::bound;
use crate::base::principal::{Principal, Scheme};
use crate::store::StoreError;

/// When a stream's credential was looked at last.
#[derive(Debug, Default)]
pub struct Standing {
    /// Of accounts and tokens at that time; `None` before the first look.
    generation: Option<u64>,
    looks: u32,
    /// What was found.
    holds: bool,
}

impl Authenticator {
    /// Whether a request of `principal` would still be taken, as the same one with the same role. It is looked up where
    /// accounts or tokens were changed since, and now and then for what expires: there are many streams, and a look
    /// goes through all tokens. Certificates are the listener's business, which closes their connections.
    pub fn still_holds(&self, principal: &Principal, standing: &mut Standing) -> Result<bool, StoreError> {
        let generation = self.generation.load(Ordering::Acquire);
        standing.looks += 1;
        if standing.generation == Some(generation) && standing.looks < bound::STREAM_LOOKS_AT_CHANGES_ONLY {
            return Ok(standing.holds);
        }
        // The generation of before the look: what is changed meanwhile is looked for again.
        *standing = Standing { generation: Some(generation), looks: 0, holds: self.holds(principal)? };
        Ok(standing.holds)
    }

    fn holds(&self, principal: &Principal) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let name = principal.credential.split_once(':').map_or("", |(_, name)| name);
        self.store.read(|snapshot| {
            let of_account = |name: &str| {
                let account = account::find(snapshot, name)?.or_else(|| self.visitor_named(name));
                Ok::<_, StoreError>(account.map(|account| (account.role, account.disabled)))
            };
            Ok(match principal.scheme {
                Scheme::Local | Scheme::None | Scheme::Certificate => true,
                Scheme::Bearer => {
                    let good = |token: &token::TokenRecord| {
                        token.name == name && token.why_not(now).is_none() && token.role == principal.role
                    };
                    token::list(snapshot)?.iter().any(|(_, token)| good(token))
                }
                Scheme::Basic => of_account(name)? == Some((principal.role, false)),
                Scheme::Jwt => match jwt_key::find(snapshot, name)? {
                    Some(jwt) if jwt.revoked.is_some() || now >= jwt.expires => false,
                    Some(jwt) => match of_account(&jwt.subject)? {
                        Some((role, disabled)) => !disabled && jwt.role.at_most(role) == principal.role,
                        None => !jwt.is_of_account,
                    },
                    // One of another issuer, of which nothing is kept until it is revoked.
                    None => {
                        let is_over = principal.expires.is_some_and(|expires| now >= expires);
                        !is_over && !principal.id.starts_with("account:")
                    }
                },
            })
        })
    }
}
