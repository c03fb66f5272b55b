//! Whether a credential that was taken once still holds: for streams, which outlive the request that opened them.

use super::{Authenticator, account, jwt_key, token};
use crate::base::principal::{Principal, Scheme};
use crate::store::StoreError;

impl Authenticator {
    /// Whether a request of `principal` would still be taken, as the same one with the same role. Certificates are the
    /// listener's business, which closes their connections.
    pub fn holds(&self, principal: &Principal) -> Result<bool, StoreError> {
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
                    None => !principal.id.starts_with("account:"),
                },
            })
        })
    }
}
