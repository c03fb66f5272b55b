//! Step 2: may they come in now. Rate, session, and a place among the calls in flight.

use super::identify::Known;
use super::request::Asked;
use crate::auth::quota::Quota;
use crate::auth::session::{Permit, SessionError, Sessions, Turn};
use crate::base::id::SessionId;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};

/// Inside, holding a place that is given back when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    known: Known,
    asked: Asked,
    session: SessionId,
    turn: Turn,
    permit: Permit,
}

impl Admitted {
    pub(super) fn session(&self) -> &SessionId {
        &self.session
    }

    pub(super) fn turn_note(&self) -> Option<String> {
        match &self.turn {
            Turn::Current => None,
            Turn::Began => Some("began".into()),
            Turn::Renewed { old } => Some(format!("renewed; it was {}", old.short())),
        }
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    pub(super) fn into_parts(self) -> (Principal, Asked, Permit) {
        (self.known.principal().clone(), self.asked, self.permit)
    }
}

/// Pays for one message.
pub(super) fn meter(quota: &Quota, known: Known) -> Result<Known, (Known, Refusal)> {
    match quota.take(&known.principal().id) {
        Ok(()) => Ok(known.metered()),
        Err(wait) => {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            let public = format!(
                "Too many calls. Come back in {seconds} s; the limits are rate.per_minute and rate.burst_limit."
            );
            Err((known, Refusal::new(Code::TooManyRequests, public).with_retry_after(wait)))
        }
    }
}

pub(super) fn admit(sessions: &Sessions, quota: &Quota, known: Known, asked: Asked) -> Result<Admitted, Refusal> {
    // The person at this machine is not rationed.
    let exempt = known.via().is_at_this_machine();
    let known =
        if known.is_metered() || exempt { known } else { meter(quota, known).map_err(|(_, refusal)| refusal)? };
    let entered = sessions.enter(known.principal(), &asked.handle).map_err(|error| match error {
        SessionError::SessionBusy(_) | SessionError::Busy => {
            Refusal::new(Code::Busy, error.to_string()).with_retry_after(std::time::Duration::from_secs(1))
        }
        SessionError::NoEntropy(error) => Refusal::internal(error),
    })?;
    Ok(Admitted { known, asked, session: entered.id, turn: entered.turn, permit: entered.permit })
}
