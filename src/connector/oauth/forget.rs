//! Forgets tokens, and all that is under way to others: work that began before comes back and writes them nowhere.

use std::sync::{Arc, PoisonError};

use super::case::{Case, meanwhile_gone};
use super::desk::{Desk, Shared};
use super::setup::Whose;
use super::tokens;
use crate::base::refusal::Refusal;
use crate::connector::binding::Binding;
use crate::connector::record::ConnectorRecord;

impl Shared {
    pub(super) fn case(&self, connector: &ConnectorRecord, whose: &str) -> Case {
        Case::new(connector, whose, self.eras.now(&connector.name, whose))
    }

    /// Whether a connector is still bound as `connector` has it: whoever calls may have read it a while ago.
    pub(super) fn is_bound(&self, connector: &ConnectorRecord) -> bool {
        connector.binding.is_some() && (self.bound_now)(&connector.name) == connector.binding
    }

    /// Whether what comes of a case may still be kept.
    pub(super) fn is_current(&self, case: &Case) -> bool {
        self.eras.now(&case.connector.name, &case.whose) == case.era && self.is_bound(&case.connector)
    }
}

impl Desk {
    /// Forgets all tokens of a connector, which is removed or bound anew, and all that is under way to others.
    pub async fn forget(&self, connector: &str) -> Result<(), Refusal> {
        let shared = &self.shared;
        let _alone = shared.eras.gate.write().await;
        // The era last of these: a login that is still found begins its work in the old one.
        shared.invitations.forget(connector);
        shared.logins.forget(connector);
        shared.eras.end_connector(connector);
        shared.slots.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _), _| name != connector);
        Ok(shared.custody.remove_grants(&tokens::prefix(connector)).await?)
    }

    /// Forgets everybody's tokens of a connector, and asks the authorization server to, where they can be read.
    pub async fn logout_all(&self, connector: &ConnectorRecord) -> Result<(), Refusal> {
        let mut ended = Vec::new();
        for standing in self.standings(connector).await.unwrap_or_default() {
            ended.extend(self.take(connector, &standing.whose).await?);
        }
        self.forget(&connector.name).await?;
        self.revoke_all(ended).await;
        Ok(())
    }

    /// Forgets what `principal` alone has at any of `connectors`: it is no more, and whoever gets its name is somebody
    /// else. Gives at how many it was logged in.
    pub async fn forget_principal(&self, connectors: &[ConnectorRecord], principal: &str) -> Result<usize, Refusal> {
        let shared = &self.shared;
        shared.invitations.forget_principal(principal);
        shared.logins.forget_principal(principal);
        shared.eras.end_principal(principal);
        let mut ended = Vec::new();
        for connector in connectors {
            if connector.binding.as_ref().and_then(Binding::oauth).is_some_and(|setup| setup.whose == Whose::Each) {
                // Where they cannot be read, such as behind a sealed vault, they go all the same, below.
                ended.extend(self.take(connector, principal).await.ok().flatten());
            }
        }
        let mut count = ended.len();
        {
            let _alone = shared.eras.gate.write().await;
            shared.slots.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, whose), _| whose != principal);
            for connector in connectors {
                let key = tokens::key(&connector.name, principal);
                if !shared.custody.grants(&key)?.is_empty() {
                    shared.custody.remove_grant(&key).await?;
                    count += 1;
                }
            }
        }
        self.revoke_all(ended).await;
        Ok(count)
    }

    /// Forgets one identity's tokens here; gives them, so that the authorization server can be asked to.
    pub(super) async fn take(
        &self,
        connector: &ConnectorRecord,
        whose: &str,
    ) -> Result<Option<(Case, tokens::Tokens)>, Refusal> {
        let case = self.shared.case(connector, whose);
        let mut state = self.shared.state(connector, whose).await?;
        if state.tokens.is_none() {
            return Ok(None);
        }
        // First the row: what is forgotten in memory alone would come back with a restart.
        self.shared.custody.remove_grant(&tokens::key(&connector.name, whose)).await?;
        (state.is_unsaved, state.is_kept, state.wiper) = (false, false, None);
        Ok(state.tokens.take().map(|tokens| (case, tokens)))
    }

    /// All at once, and to the end, also if whoever asked for it leaves: what is forgotten here cannot be named to the
    /// authorization server a second time.
    pub(super) async fn revoke_all(&self, ended: Vec<(Case, tokens::Tokens)>) {
        let revocations = ended.into_iter().map(|(case, tokens)| {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { shared.revoke(&case, &tokens).await })
        });
        for revoked in futures::future::join_all(revocations).await {
            if let Err(error) = revoked {
                tracing::error!(%error, "a token was not revoked");
            }
        }
    }
}

/// As [`meanwhile_gone`], for work that is not to go on.
pub(super) fn current(shared: &Shared, case: &Case) -> Result<(), Refusal> {
    if shared.is_current(case) { Ok(()) } else { Err(meanwhile_gone(&case.connector)) }
}
