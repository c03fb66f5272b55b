//! Step 4: may this principal do this. The reason of a denial is recorded.

use std::sync::Arc;

use super::inspect::Checked;
use super::request::Asked;
use crate::auth::policy::Access;
use crate::auth::policy::ask::Resource;
use crate::auth::session::Permit;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Effect, Registered};

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

/// `access` is that of the operation that is asked for; there is none where there is no such operation.
pub(super) fn authorize(checked: Checked, access: Option<Access>) -> Result<Allowed, Refusal> {
    let Checked { principal, asked, permit, registered, .. } = checked;
    // Removed since, or put back since: whoever asks again gets the answer for what there is then.
    let access = access.ok_or_else(|| Refusal::internal("an operation came while it was asked for"))?;
    let about = &registered.about;
    let appliance = Resource::appliance();
    let verdict = access.decide(&appliance);
    if !verdict.is_allowed {
        return Err(Refusal::new(Code::Forbidden, access.denial(&appliance)).with_private(verdict.reason()));
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
