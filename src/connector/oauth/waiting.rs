//! Logins and invitations that wait for their person: in memory, and for minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::case::{digest, setup};
use super::pkce::Sent;
use crate::base::bound::oauth as bound;
use crate::base::clock::Timestamp;
use crate::base::id::{hex, random_bytes};
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::connector::record::ConnectorRecord;
use crate::crypto::digest::Hash;

/// Logins that wait for their person.
#[derive(Default)]
pub(super) struct Logins {
    /// By ticket. Held for a look-up, never across an await.
    open: Mutex<HashMap<String, Open>>,
}

pub(super) struct Open {
    pub(super) connector: String,
    pub(super) whose: String,
    /// Who began it, and alone may go on with it.
    pub(super) by: String,
    pub(super) binding: Hash,
    pub(super) until: Timestamp,
    pub(super) way: Way,
}

pub(super) enum Way {
    Browser(Arc<Sent>),
    Device { code: Secret, interval: Duration, next: Timestamp },
}

impl Logins {
    pub(super) fn open(&self, open: Open, now: Timestamp) -> Result<String, Refusal> {
        let ticket = hex(&random_bytes::<32>().map_err(Refusal::internal)?);
        let mut logins = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        logins.retain(|_, open| now < open.until);
        // Whoever begins again and again ends what was begun before, and takes nobody else's place.
        let own = logins.iter().filter(|(_, it)| it.by == open.by);
        if own.clone().count() >= bound::OAUTH_LOGINS_PER_PRINCIPAL_MAX
            && let Some(oldest) = own.min_by_key(|(_, it)| it.until).map(|(ticket, _)| ticket.clone())
        {
            logins.remove(&oldest);
        }
        if logins.len() >= bound::OAUTH_LOGINS_MAX {
            return Err(Refusal::new(Code::Busy, "Too many people are logging in; come back in a few minutes."));
        }
        logins.insert(ticket.clone(), open);
        Ok(ticket)
    }

    /// The login that this ticket stands for, if it is still open, of this connector as it is bound now, and of the same
    /// one who began it.
    pub(super) fn with<T>(
        &self,
        connector: &ConnectorRecord,
        (ticket, by): (&str, &str),
        now: Timestamp,
        look: impl FnOnce(&mut Open) -> T,
    ) -> Result<T, Refusal> {
        let binding = digest(setup(connector)?.0)?;
        let mut logins = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = logins.get_mut(ticket).filter(|open| {
            now < open.until && open.connector == connector.name && open.by == by && open.binding == binding
        });
        open.map(look).ok_or_else(gone)
    }

    pub(super) fn close(&self, ticket: &str) -> Option<Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket)
    }

    /// It is not gone on with.
    pub(super) fn end(&self, ticket: &str) {
        drop(self.close(ticket));
    }

    pub(super) fn forget(&self, connector: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, open| open.connector != connector);
    }

    pub(super) fn forget_principal(&self, principal: &str) {
        let is_of = |open: &Open| open.whose == principal || open.by == principal;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, open| !is_of(open));
    }
}

pub(super) fn gone() -> Refusal {
    let public = "This login is not open: it was finished, is too old, or the connector was bound anew. Begin again.";
    Refusal::new(Code::NotFound, public)
}

/// Invitations that wait for their person.
#[derive(Default)]
pub(super) struct Invitations {
    /// By ticket. Held for a look-up, never across an await.
    pub(super) open: Mutex<HashMap<String, Invitation>>,
    /// Where browsers reach this server, once it listens: `https://host[:port]`.
    pub(super) home: OnceLock<String>,
}

#[derive(Clone)]
pub(super) struct Invitation {
    pub(super) connector: String,
    pub(super) principal: String,
    /// What the person was invited to: another client, or a login for all, is another matter.
    pub(super) binding: Hash,
    /// The question with which the client was asked; empty where that has no id.
    pub(super) question: String,
    /// The login that it last led to. There is one at a time.
    pub(super) login: Option<String>,
    pub(super) until: Timestamp,
}

impl Invitations {
    pub(super) fn forget(&self, connector: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, it| it.connector != connector);
    }

    pub(super) fn forget_principal(&self, principal: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, it| it.principal != principal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn begin(logins: &Logins, by: &str, at: u64) -> Result<String, Refusal> {
        let way = Way::Browser(Arc::new(Sent::new("https://a.example/callback".into()).unwrap()));
        let until = Timestamp(NOW.0 + at + 600_000);
        let open = Open { connector: "zoo".into(), whose: by.into(), by: by.into(), binding: [0; 32], until, way };
        logins.open(open, NOW)
    }

    /// One agent that began again and again kept everybody from logging in to anything, for ten minutes.
    #[test]
    fn whoever_begins_again_and_again_ends_what_it_began_before_and_nobody_elses() {
        let logins = Logins::default();
        let of_bob = begin(&logins, "account:bob", 0).unwrap();
        let all: Vec<String> =
            (1..=2 * bound::OAUTH_LOGINS_MAX as u64).map(|n| begin(&logins, "account:ann", n).unwrap()).collect();
        assert_eq!(logins.open.lock().unwrap().len(), 1 + bound::OAUTH_LOGINS_PER_PRINCIPAL_MAX);
        let newest = all.len() - bound::OAUTH_LOGINS_PER_PRINCIPAL_MAX;
        assert!(all[..newest].iter().all(|ticket| logins.close(ticket).is_none()));
        assert!(all[newest..].iter().chain([&of_bob]).all(|ticket| logins.close(ticket).is_some()));
    }

    #[test]
    fn logins_of_one_who_is_no_more_are_not_gone_on_with() {
        let logins = Logins::default();
        let (ann, bob) = (begin(&logins, "account:ann", 0).unwrap(), begin(&logins, "account:bob", 0).unwrap());
        logins.forget_principal("account:ann");
        assert!(logins.close(&ann).is_none() && logins.close(&bob).is_some());
    }
}
