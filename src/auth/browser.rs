//! Browsers that a password let in: what is remembered of it instead of the password, and whether that still holds.

use super::account::{self, AccountRecord};
use super::{Attempt, Authenticator};
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::crypto::digest::{Hash, sha256};
use crate::store::StoreError;

/// Stands for an account as it was at a login: another password, another role, or being disabled and enabled again makes
/// another stamp. It holds nothing that a password could be guessed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(Hash);

impl Stamp {
    /// Not the hash of the password: that one is made anew, of the same password, when it gets more iterations.
    fn of(account: &AccountRecord) -> Self {
        let times = [account.made.0.to_be_bytes(), account.changed.0.to_be_bytes()].concat();
        let state = [u8::from(account.disabled)];
        Self(sha256(&[b"browser stamp", &times, &state, account.role.as_str().as_bytes(), account.name.as_bytes()]))
    }

    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        Self([0; 32])
    }
}

impl Authenticator {
    /// What a browser's session remembers of this account. Taken before the password is checked, so that a change
    /// meanwhile ends the session that comes of it. `None`: there is no such account.
    pub fn stamp_of(&self, name: &str) -> Result<Option<Stamp>, StoreError> {
        Ok(self.account(name)?.as_ref().map(Stamp::of))
    }

    /// The account of a session that began with this stamp.
    pub(super) fn browser(&self, name: &str, stamp: Stamp) -> Result<Attempt, StoreError> {
        let account = self.account(name)?.filter(|account| !account.disabled && Stamp::of(account) == stamp);
        Ok(match account {
            Some(account) => Attempt::Authenticated(Principal::account(&account.name, account.role)),
            // No failed attempt: nobody guesses at a session, and its address did nothing wrong.
            None => {
                let public = "The account was changed since this login. Log in again.";
                let refusal = Refusal::new(Code::Unauthenticated, public);
                Attempt::Refused(refusal.with_private("the account of a browser's session was changed"))
            }
        })
    }

    /// A stored account, else the one of the environment.
    pub(super) fn account(&self, name: &str) -> Result<Option<AccountRecord>, StoreError> {
        let stored = self.store.read(|snapshot| account::find(snapshot, name))?;
        Ok(stored.or_else(|| self.visitor_named(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::principal::Role;

    #[test]
    fn a_change_of_the_account_makes_another_stamp_and_a_better_hash_of_its_password_none() {
        let account = AccountRecord {
            name: "ann".into(),
            role: Role::Operator,
            phc: "$a".into(),
            disabled: false,
            made: Timestamp(1),
            changed: Timestamp(2),
            last_used: None,
            failures: 0,
        };
        let stamp = Stamp::of(&account);
        let same = [
            AccountRecord { phc: "$b".into(), ..account.clone() },
            AccountRecord { last_used: Some(Timestamp(9)), failures: 3, ..account.clone() },
        ];
        assert!(same.iter().all(|other| Stamp::of(other) == stamp));
        let changed = [
            AccountRecord { changed: Timestamp(3), ..account.clone() },
            AccountRecord { role: Role::Admin, ..account.clone() },
            AccountRecord { disabled: true, ..account.clone() },
            AccountRecord { name: "bob".into(), ..account.clone() },
            AccountRecord { made: Timestamp(3), ..account.clone() },
        ];
        assert!(changed.iter().all(|other| Stamp::of(other) != stamp));
    }
}
