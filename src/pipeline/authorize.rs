//! Step 4: may this principal do this. The reason of a denial is recorded.

use super::inspect::Checked;
use super::request::Asked;
use crate::auth::policy;
use crate::auth::session::Permit;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Effect, Registered};
use std::sync::Arc;

/// Allowed to run. The only ticket that `dispatch` takes.
#[derive(Debug)]
pub struct Allowed {
    pub(super) principal: Principal,
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

pub(super) fn authorize(checked: Checked) -> Result<Allowed, Refusal> {
    let Checked { principal, asked, permit, registered, .. } = checked;
    let about = &registered.about;
    if let Err(reason) = policy::decide(principal.role, about.audience()) {
        let public = format!("{} is not allowed for the role {}.", about.name, principal.role.as_str());
        return Err(Refusal::new(Code::Forbidden, public).with_private(reason));
    }
    if asked.resent && !about.idempotent {
        let public = format!(
            "The server went away while {} was under way, and it is not known whether it ran. Look first, then call again.",
            about.name
        );
        return Err(Refusal::new(Code::Conflict, public));
    }
    Ok(Allowed { principal, asked, permit, registered })
}
