//! Step 4: may this principal do this. The reason of a denial is recorded.

use std::sync::Arc;

use super::identify::Known;
use super::inspect::{Checked, unknown};
use super::request::Asked;
use crate::audit::word;
use crate::auth::Authenticator;
use crate::auth::policy::Access;
use crate::auth::policy::ask::Resource;
use crate::auth::session::Permit;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Effect, Kind, Registered};

/// Allowed to run. The only ticket that `dispatch` takes.
#[derive(Debug)]
pub struct Allowed {
    pub(super) principal: Principal,
    /// The same question, for what the operation touches.
    pub(super) access: Access,
    pub(super) asked: Asked,
    pub(super) permit: Permit,
    pub(super) registered: Arc<Registered>,
}

impl Allowed {
    /// Whether an entry has to be there before it runs: it changes something, or it tells before it has ended.
    pub(super) fn wants_intent(&self) -> bool {
        let about = &self.registered.about;
        (about.effect != Effect::ReadOnly || about.tells) && self.asked.completion.is_none()
    }
}

/// Whether whoever asks may administer at all, whatever the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Through the control socket, or the command line.
    AtThisMachine,
    /// From elsewhere, for an account: a person or service that an administrator made.
    Account,
    /// An agent, a token without an account, a certificate, somebody whom another server vouches for.
    Other,
}

impl Standing {
    pub(super) fn of(authenticator: &Authenticator, known: &Known, kind: Kind) -> Result<Self, Refusal> {
        if known.via().is_at_this_machine() {
            return Ok(Self::AtThisMachine);
        }
        // For agents' operations nobody looks at it.
        let is_account =
            kind == Kind::Admin && authenticator.speaks_for_account(known.principal()).map_err(Refusal::internal)?;
        Ok(if is_account { Self::Account } else { Self::Other })
    }

    fn check(self, about: &About) -> Result<(), Refusal> {
        let name = &about.name;
        match self {
            _ if about.kind != Kind::Admin => Ok(()),
            Self::AtThisMachine => Ok(()),
            Self::Account if !about.at_machine => Ok(()),
            Self::Account => {
                let public = format!(
                    "{name} names a file or the process of the machine that Sekisho runs on, so it is done there, by the command."
                );
                Err(Refusal::new(Code::Forbidden, public).with_private(word::NOT_AT_MACHINE))
            }
            Self::Other => {
                let public = format!(
                    "{name} is administration, which is for accounts: by name and password, or by a token that was issued for an account."
                );
                Err(Refusal::new(Code::Forbidden, public).with_private(word::NO_ACCOUNT))
            }
        }
    }
}

/// `access` is that of the operation that is asked for; there is none where there is no such operation.
pub(super) fn authorize(checked: Checked, access: Option<Access>, standing: Standing) -> Result<Allowed, Refusal> {
    let Checked { principal, asked, permit, registered, .. } = checked;
    // Removed since, or put back since: whoever asks again gets the answer for what there is then.
    let access = access.ok_or_else(|| Refusal::internal("an operation came while it was asked for"))?;
    let about = &registered.about;
    standing.check(about)?;
    let appliance = Resource::appliance();
    let verdict = access.decide(&appliance);
    if !verdict.is_allowed {
        return Err(Refusal::new(Code::Forbidden, access.denial(&appliance)).with_private(verdict.reason()));
    }
    if let Some(resource) = &about.resource {
        let verdict = access.decide(resource);
        if !verdict.is_allowed {
            // Not that it is there and closed: what may not be called is not listed either.
            return Err(unknown(&asked).with_private(verdict.reason()));
        }
        access.touch(resource.classification);
    }
    if asked.resent && !about.idempotent {
        let public = format!(
            "The server went away while {} was under way, and it is not known whether it ran. Look first, then call again.",
            about.name
        );
        return Err(Refusal::new(Code::Conflict, public));
    }
    Ok(Allowed { principal, access, asked, permit, registered })
}
