//! Step 1: who asks. Gives `Known`, a fact that every message establishes anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::request::Via;
use crate::auth::{Attempt, Authenticator, Evidence};
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};

/// A recognised caller. Cloneable, because HTTP's front hands it to rmcp inside the request's
/// extensions; the linear tickets begin with it.
#[derive(Clone, Debug)]
pub struct Known {
    principal: Principal,
    via: Via,
    /// The rate was already paid for this message.
    metered: bool,
    /// Set once a step of the pipeline answers for this message, so that the transport knows what it
    /// must record itself.
    settled: Arc<AtomicBool>,
}

impl Known {
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub fn via(&self) -> &Via {
        &self.via
    }

    /// Whether the pipeline has taken this message over.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    pub(super) fn is_metered(&self) -> bool {
        self.metered
    }

    pub(super) fn metered(mut self) -> Self {
        self.metered = true;
        self
    }

    /// The same caller with another message: unmetered, unsettled.
    pub fn again(&self) -> Self {
        Self { metered: false, settled: Arc::default(), ..self.clone() }
    }
}

pub(super) async fn identify(authenticator: &Authenticator, evidence: &Evidence, via: &Via) -> Result<Known, Refusal> {
    // One text for every reason: it does not tell a wrong credential from none, nor a disabled account from no such.
    let public = "This needs a credential that holds: send the header Authorization: Bearer <token>, or Basic with name and password. `sekisho quickstart` says where the first token lies.";
    match authenticator.identify(evidence).await {
        Ok(Attempt::Authenticated(principal)) => {
            Ok(Known { principal, via: via.clone(), metered: false, settled: Arc::default() })
        }
        Ok(Attempt::Failed(reason)) => Err(Refusal::new(Code::Unauthenticated, public).with_private(reason)),
        Ok(Attempt::NotAttempted) => Err(Refusal::new(Code::Unauthenticated, public).with_private("no credential")),
        Ok(Attempt::Refused(refusal)) => Err(refusal),
        Err(error) => Err(Refusal::internal(error)),
    }
}
