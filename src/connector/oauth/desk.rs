//! Access tokens for calls: kept, refreshed before they end, once for all that wait, and forgotten.
//!
//! **A refresh token that is used once.** Between the authorization server's taking the old one and our having written
//! the new one there is a moment in which a crash loses both, and no order of ours can close it: the server has changed
//! before we hear of it. So the moment is kept short and never silent. The request and the commit run in a task of their
//! own, which a caller that leaves does not end. The new tokens take the old ones' row in one commit, so that there is
//! always one of them. If that commit fails, the new ones are used from memory and written with the next call. After a
//! crash in that moment the old refresh token is shown once more: a server that allows for it gives new ones, any other
//! refuses, and then the tokens are cleared, and the call says that somebody must log in again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::task::AbortHandle;

use super::case::{Case, digest, setup, whose};
use super::era::{BoundNow, Eras};
use super::setup::{Grant, Keep, OAuth};
use super::tokens::{self, Tokens};
use super::waiting::{Invitations, Logins};
use crate::base::bound::oauth as bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::principal::Principal;
use crate::base::refusal::Refusal;
use crate::base::secret::Secret;
use crate::connector::record::ConnectorRecord;
use crate::connector::upstream::Upstream;
use crate::crypto::digest::Hash;
use crate::custody::Custody;

/// Where tokens of connectors are had. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) custody: Arc<Custody>,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bound_now: BoundNow,
    pub(super) eras: Eras,
    /// By connector and identity. Held for a look-up, never across an await.
    pub(super) slots: Mutex<HashMap<(String, String), Slot>>,
    pub(super) logins: Logins,
    pub(super) invitations: Invitations,
}

/// Wipes a token when its time comes; with this it is called off.
pub(super) struct Wiper(pub(super) AbortHandle);

impl Drop for Wiper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One identity's tokens. Whoever refreshes holds it, and all others wait for it here.
pub(super) type Slot = Arc<AsyncMutex<State>>;
pub(super) type Held = OwnedMutexGuard<State>;

#[derive(Default)]
pub(super) struct State {
    /// For which binding the tokens are; `None` before they were looked for in the store.
    pub(super) binding: Option<Hash>,
    pub(super) tokens: Option<Tokens>,
    /// Wipes the access token when it ends, should nobody call until then.
    pub(super) wiper: Option<Wiper>,
    /// The store has them too.
    pub(super) is_kept: bool,
    /// The store has older ones than these.
    pub(super) is_unsaved: bool,
    /// Since when tokens that the API refused, and that were replaced, are counted, and how many they are.
    pub(super) renewals: (Timestamp, u32),
    /// Until then the authorization server is left alone.
    pub(super) alone_until: Option<Timestamp>,
    /// Why there are none any more, in words.
    pub(super) ended: Option<&'static str>,
}

/// How one identity stands. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `service`, or a principal's id.
    pub whose: String,
    pub is_logged_in: bool,
    /// When its tokens were given.
    pub since: Option<Timestamp>,
    /// When its access token ends.
    pub expires: Option<Timestamp>,
    /// It is refreshed without a person.
    pub is_refreshed: bool,
    pub scope: Option<String>,
    /// Why it is not logged in any more.
    pub ended: Option<&'static str>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    pub fn new(custody: Arc<Custody>, bound_now: BoundNow, upstream: Arc<dyn Upstream>, clock: Arc<dyn Clock>) -> Self {
        let (slots, logins, invitations) = (Mutex::default(), Logins::default(), Invitations::default());
        let eras = Eras::default();
        let shared = Arc::new(Shared { custody, upstream, clock, bound_now, eras, slots, logins, invitations });
        // The vault is held by us, so it must not hold us.
        let there = Arc::downgrade(&shared);
        shared.custody.when_sealed(move || there.upgrade().iter().for_each(|shared| shared.forget_sealed()));
        Self { shared }
    }

    /// An access token for the next request of `principal`, and how many requests it took. Where it is nearly over it is
    /// refreshed first, and all that come meanwhile wait for that one.
    pub async fn access(&self, connector: &ConnectorRecord, principal: &Principal) -> Result<(Secret, u32), Refusal> {
        let case = self.shared.case(connector, &whose(connector, &principal.id)?);
        let mut state = self.shared.state(connector, &case.whose).await?;
        if state.is_unsaved {
            self.shared.save(&case, &mut state).await;
        }
        match state.tokens.as_ref().and_then(|tokens| tokens.fresh(self.shared.clock.now())) {
            Some(access) => Ok((access.clone(), 0)),
            None => Ok((self.renewed(case, state, Why::Old).await?.ok_or_else(no_token)?, 1)),
        }
    }

    /// The API refused `access` as unauthenticated. Whether there is another one now. Where there is none, the one that
    /// was refused stays: an operation that only some may call answers 401 too, and all others go on with it.
    pub async fn renew(
        &self,
        connector: &ConnectorRecord,
        principal: &Principal,
        access: &Secret,
    ) -> Result<bool, Refusal> {
        let case = self.shared.case(connector, &whose(connector, &principal.id)?);
        let mut state = self.shared.state(connector, &case.whose).await?;
        let now = self.shared.clock.now();
        let Some(tokens) = &state.tokens else { return Ok(true) };
        if tokens.access.as_ref() != Some(access) {
            // Somebody was faster.
            return Ok(true);
        }
        let (since, count) = state.renewals;
        let is_over = now.since(since) >= Duration::from_secs(bound::OAUTH_RENEWALS_SECONDS);
        let (since, count) = if is_over { (now, 0) } else { (since, count) };
        if count >= bound::OAUTH_RENEWALS_MAX {
            // New ones are refused as well: the API's own word goes to the caller.
            return Ok(false);
        }
        state.renewals = (since, count);
        Ok(self.renewed(case, state, Why::Refused).await?.is_some())
    }

    /// Not within the call that waits for it: a caller that leaves must not end it between the server's answer and ours.
    async fn renewed(&self, case: Case, state: Held, why: Why) -> Result<Option<Secret>, Refusal> {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.renew(&case, state, why).await }).await.map_err(Refusal::internal)?
    }

    /// How one identity stands.
    pub async fn standing(&self, connector: &ConnectorRecord, whose: &str) -> Result<Standing, Refusal> {
        let state = self.shared.state(connector, whose).await?;
        Ok(state.standing(whose, setup(connector)?.1, self.shared.clock.now()))
    }

    /// All identities that are logged in, or were since the start.
    pub async fn standings(&self, connector: &ConnectorRecord) -> Result<Vec<Standing>, Refusal> {
        let known: Vec<String> = {
            let slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.keys().filter(|(name, _)| *name == connector.name).map(|(_, whose)| whose.clone()).collect()
        };
        let mut all: std::collections::BTreeSet<String> = known.into_iter().collect();
        let (binding, setup) = setup(connector)?;
        if setup.keep == Keep::Sealed {
            let binding = digest(binding)?;
            for key in self.shared.custody.grants(&tokens::prefix(&connector.name))? {
                let text = self.shared.custody.grant(&key)?;
                all.extend(text.and_then(|text| tokens::whose_of_sealed(&text, &binding)));
            }
        }
        let mut standings = Vec::new();
        for whose in all {
            standings.push(self.standing(connector, &whose).await?);
        }
        // Who called and was never logged in has none of us to tell of.
        standings.retain(|standing| standing.is_logged_in || standing.ended.is_some());
        Ok(standings)
    }

    /// Forgets one identity's tokens here, and asks the authorization server to. Whether there were any.
    pub async fn logout(&self, connector: &ConnectorRecord, whose: &str) -> Result<bool, Refusal> {
        let Some(ended) = self.take(connector, whose).await? else { return Ok(false) };
        self.revoke_all(vec![ended]).await;
        Ok(true)
    }
}

/// Why there are to be new tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The access token ends, or there is none.
    Old,
    /// The API refused it.
    Refused,
}

fn no_token() -> Refusal {
    Refusal::internal("a token that nobody refused was given up")
}

impl State {
    pub(super) fn standing(&self, whose: &str, setup: &OAuth, now: Timestamp) -> Standing {
        let tokens = self.tokens.as_ref();
        let is_refreshed = tokens.is_some_and(|tokens| tokens.refresh.is_some());
        let is_own = setup.grant == Grant::ClientCredentials;
        Standing {
            whose: whose.to_owned(),
            is_logged_in: is_own || is_refreshed || tokens.is_some_and(|tokens| tokens.usable(now).is_some()),
            since: tokens.map(|tokens| tokens.obtained),
            expires: tokens.filter(|tokens| tokens.access.is_some()).and_then(|tokens| tokens.expires),
            is_refreshed: is_refreshed || is_own,
            scope: tokens.and_then(|tokens| tokens.scope.clone()),
            ended: self.ended.filter(|_| tokens.is_none()),
        }
    }
}
