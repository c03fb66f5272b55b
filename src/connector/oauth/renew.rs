//! New tokens for old: asked for, made durable, used, and wiped when they end.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::answer::{self, Granted, NotGranted};
use super::ask::Form;
use super::case::{Case, digest, meanwhile_gone, sealed, setup};
use super::desk::{Held, Shared, Slot, Standing, State, Why, Wiper};
use super::forget::current;
use super::setup::{Grant, Keep};
use super::tokens::{self, Tokens};
use crate::base::bound::oauth as bound;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::connector::record::ConnectorRecord;
use crate::vault::VaultError;

impl Shared {
    fn slot(&self, connector: &str, whose: &str) -> Result<Slot, Refusal> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (connector.to_owned(), whose.to_owned());
        if !slots.contains_key(&key) && slots.len() >= bound::OAUTH_SLOTS_MAX {
            // What the store has too can be read again; nobody is at work in a slot that only we hold.
            slots.retain(|_, slot| {
                let Ok(state) = slot.try_lock() else { return true };
                Arc::strong_count(slot) > 1 || state.is_unsaved || (state.tokens.is_some() && !state.is_kept)
            });
            if slots.len() >= bound::OAUTH_SLOTS_MAX {
                let public = "So many identities are logged in to APIs that there is no room for another.";
                return Err(Refusal::new(Code::Busy, public));
            }
        }
        Ok(Arc::clone(slots.entry(key).or_default()))
    }

    /// The vault is sealed: what it can give again is wiped here. A slot that somebody is in is looked at when it is left.
    pub(super) fn forget_sealed(&self) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values() {
            if let Ok(mut state) = slot.try_lock()
                && state.is_kept
                && !state.is_unsaved
            {
                *state = State::default();
            }
        }
    }

    /// The tokens of one identity, read from the store if they were not yet. While the vault is sealed there are none.
    pub(super) async fn state(self: &Arc<Self>, connector: &ConnectorRecord, whose: &str) -> Result<Held, Refusal> {
        let (bound_to, setup) = setup(connector)?;
        let binding = digest(bound_to)?;
        let mut state = self.slot(&connector.name, whose)?.lock_owned().await;
        if setup.keep == Keep::Sealed && !self.custody.is_open() {
            if !state.is_unsaved {
                *state = State::default();
            }
            return Err(sealed(connector, VaultError::Sealed.into()));
        }
        if state.binding.as_ref() != Some(&binding) {
            // Who read the connector before it was bound anew must not put its own tokens in the place of those.
            if !self.is_bound(connector) {
                return Err(meanwhile_gone(connector));
            }
            let mut fresh = State { binding: Some(binding), ..State::default() };
            if setup.keep == Keep::Sealed {
                let key = tokens::key(&connector.name, whose);
                let kept = self.custody.grant(&key).map_err(|error| sealed(connector, error))?;
                let kept = kept.map(|text| Tokens::of_sealed(&text, &binding, whose)).transpose();
                fresh.tokens = kept.map_err(Refusal::internal)?.flatten();
                fresh.is_kept = fresh.tokens.is_some();
                if let Some(expires) = fresh.tokens.as_ref().and_then(|tokens| tokens.expires) {
                    fresh.wiper = Some(self.wipe_after(&connector.name, whose, expires.since(self.clock.now())));
                }
            }
            *state = fresh;
        }
        Ok(state)
    }

    /// New tokens for old, by a person's refresh token or by the client's own right. `None`: there is nothing to show for
    /// another one, and the one that there is was refused.
    pub(super) async fn renew(
        self: &Arc<Self>,
        case: &Case,
        mut state: Held,
        why: Why,
    ) -> Result<Option<Secret>, Refusal> {
        let (setup, now) = (case.setup()?, self.clock.now());
        let refresh = state.tokens.as_ref().and_then(|tokens| tokens.refresh.clone());
        let form = match (setup.grant, &refresh) {
            (Grant::ClientCredentials, _) => Form::default().with("grant_type", b"client_credentials"),
            (_, Some(refresh)) => {
                Form::default().with("grant_type", b"refresh_token").with("refresh_token", refresh.expose_secret())
            }
            (_, None) => {
                return match state.tokens.as_ref().and_then(|tokens| tokens.usable(now)) {
                    Some(access) => Ok((why == Why::Old).then(|| access.clone())),
                    None => Err(case.login_needed(state.ended.unwrap_or("nobody is logged in"))),
                };
            }
        };
        let asked = match state.alone_until.filter(|until| now < *until) {
            Some(until) => {
                let after = until.since(now);
                let reason =
                    format!("the authorization server failed before; it is asked again in {} ms", after.as_millis());
                Err(NotGranted::Unavailable { reason, after: Some(after) })
            }
            None => self.tokens(case, form, setup.grant == Grant::ClientCredentials).await,
        };
        let failure = match asked {
            Ok(granted) => {
                state.renewals.1 += u32::from(why == Why::Refused);
                return Ok(Some(self.adopt(case, &mut state, granted).await));
            }
            Err(failure) => failure,
        };
        tracing::warn!(connector = %case.connector.name, reason = %failure, "an access token was not renewed");
        if let (NotGranted::Refused(why), Some(_)) = (&failure, &refresh) {
            state.tokens = None;
            (state.is_unsaved, state.is_kept, state.wiper) = (false, false, None);
            state.ended = Some("the authorization server refused to refresh the tokens, and they were cleared");
            self.remove(case).await;
            return Err(case.login_needed(&format!("the authorization server refused to refresh: {why}")));
        }
        if state.alone_until.is_none_or(|until| until <= now) {
            let least = Duration::from_secs(bound::OAUTH_RETRY_SECONDS);
            let after = if let NotGranted::Unavailable { after: Some(after), .. } = &failure { *after } else { least };
            state.alone_until = Some(now.plus(after.max(least)));
        }
        // It is good until it ends: whoever calls meanwhile need not notice.
        match state.tokens.as_ref().and_then(|tokens| tokens.usable(now)) {
            Some(access) if why == Why::Old => Ok(Some(access.clone())),
            _ => Err(case.refused(&failure)),
        }
    }

    /// Puts new tokens in the place of the old ones: in memory, and durably before anybody uses them.
    pub(super) async fn adopt(self: &Arc<Self>, case: &Case, state: &mut State, granted: Granted) -> Secret {
        let now = self.clock.now();
        let access = granted.access.clone();
        let new = Tokens::of(granted, state.tokens.take(), now);
        let life = new.expires.map(|expires| expires.since(now));
        state.tokens = Some(new);
        (state.alone_until, state.ended, state.is_unsaved) = (None, None, true);
        self.save(case, state).await;
        state.wiper = life.map(|life| self.wipe_after(&case.connector.name, &case.whose, life));
        access
    }

    /// Takes the slot of a login that succeeded.
    pub(super) async fn log_in(self: &Arc<Self>, case: &Case, granted: Granted) -> Result<Standing, Refusal> {
        // In this order: a slot that was had before somebody forgot is nobody's any more.
        let state = self.state(&case.connector, &case.whose).await;
        let mut state = match state.and_then(|state| current(self, case).map(|()| state)) {
            Ok(state) => state,
            Err(refusal) => {
                // Nobody would use them.
                self.revoke(case, &Tokens::of(granted, None, self.clock.now())).await;
                return Err(refusal);
            }
        };
        // Whoever logs in anew may be somebody else: nothing of the login before is kept.
        state.tokens = None;
        state.renewals = Default::default();
        self.adopt(case, &mut state, granted).await;
        current(self, case)?;
        if state.is_unsaved {
            return Err(Refusal::internal("the new tokens could not be written down; they are in memory only"));
        }
        Ok(state.standing(&case.whose, case.setup()?, self.clock.now()))
    }

    pub(super) async fn save(&self, case: &Case, state: &mut State) {
        let (Ok((binding, setup)), Some(tokens)) = (setup(&case.connector), &state.tokens) else { return };
        if setup.keep == Keep::Memory {
            state.is_unsaved = false;
            return;
        }
        // While somebody forgets, nobody writes; and what was forgotten since the work began is not written again.
        let _writing = self.eras.gate.read().await;
        if !self.is_current(case) {
            tracing::warn!(connector = %case.connector.name, "new tokens are given up: their login was ended meanwhile");
            return;
        }
        let saved = async {
            let text = tokens.sealable(&digest(binding)?, &case.whose).map_err(Refusal::internal)?;
            self.custody.keep_grant(&tokens::key(&case.connector.name, &case.whose), &text).await.map_err(Refusal::from)
        };
        match saved.await {
            Ok(()) => (state.is_unsaved, state.is_kept) = (false, true),
            Err(error) => {
                let (connector, error) = (&case.connector.name, &error.private);
                tracing::error!(%connector, %error, "new tokens could not be written down; the next call tries again");
            }
        }
    }

    /// Removes the row of tokens that are refused; not one that was written since for another.
    async fn remove(&self, case: &Case) {
        let _writing = self.eras.gate.read().await;
        if self.is_current(case)
            && let Err(error) = self.custody.remove_grant(&tokens::key(&case.connector.name, &case.whose)).await
        {
            tracing::error!(%error, "tokens that are refused could not be removed");
        }
    }

    /// Wipes an access token when it ends, should nobody call until then.
    fn wipe_after(self: &Arc<Self>, connector: &str, whose: &str, life: Duration) -> Wiper {
        let shared = Arc::downgrade(self);
        let (connector, whose) = (connector.to_owned(), whose.to_owned());
        let wiping = tokio::spawn(async move {
            tokio::time::sleep(life).await;
            let Some(shared) = shared.upgrade() else { return };
            let slot = shared.slots.lock().unwrap_or_else(PoisonError::into_inner).get(&(connector, whose)).cloned();
            if let Some(slot) = slot
                && let Some(tokens) = &mut slot.lock().await.tokens
            {
                tokens.expire(shared.clock.now());
            }
        });
        Wiper(wiping.abort_handle())
    }

    /// Asks the token endpoint. `scoped`: the request names the scopes, for it is the first of its login.
    pub(super) async fn tokens(&self, case: &Case, form: Form<'_>, scoped: bool) -> Result<Granted, NotGranted> {
        let failed = |refusal: Refusal| NotGranted::unavailable(refusal.private);
        let setup = case.setup().map_err(failed)?;
        let scopes = setup.scopes.join(" ");
        let form = if scoped && !scopes.is_empty() { form.with("scope", scopes.as_bytes()) } else { form };
        let secret = self.client_secret(&case.connector).map_err(failed)?;
        let outgoing = form.outgoing(&setup.endpoints.token, setup, secret.as_ref()).map_err(failed)?;
        answer::granted(self.upstream.send(&case.connector, outgoing).await?, self.clock.now())
    }

    /// The client's own secret, where it has one.
    pub(super) fn client_secret(&self, connector: &ConnectorRecord) -> Result<Option<Secret>, Refusal> {
        let credential = &setup(connector)?.0.credential;
        if credential.is_empty() {
            return Ok(None);
        }
        let value = self.custody.credential_value(credential).map_err(|error| sealed(connector, error))?;
        // A secret from a file or an editor ends with a newline often enough.
        Ok(Some(Secret::new(value.expose_secret().trim_ascii_end())))
    }

    /// RFC 7009, as far as the server has it: whether it did, changes nothing here.
    pub(super) async fn revoke(&self, case: &Case, tokens: &Tokens) {
        let Ok(setup) = case.setup() else { return };
        let (Some(url), Some(token)) = (&setup.endpoints.revoke, tokens.refresh.as_ref().or(tokens.access.as_ref()))
        else {
            return;
        };
        let Ok(secret) = self.client_secret(&case.connector) else { return };
        let form = Form::default().with("token", token.expose_secret());
        let Ok(outgoing) = form.outgoing(url, setup, secret.as_ref()) else { return };
        match self.upstream.send(&case.connector, outgoing).await {
            Ok(answered) if answered.status.is_success() => {}
            Ok(answered) => {
                tracing::warn!(status = %answered.status, "the authorization server did not revoke a token");
            }
            Err(error) => tracing::warn!(%error, "the authorization server could not be asked to revoke a token"),
        }
    }
}
