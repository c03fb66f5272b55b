//! Step 2: may they come in now. Bans, rates, the session, and a place among the calls in flight.

use std::time::Duration;

use serde_json::json;

use super::identify::Known;
use super::request::Asked;
use crate::audit::word;
use crate::auth::ban::Banned;
use crate::auth::gate::Gate;
use crate::auth::quota::{Over, Quota};
use crate::auth::session::{Ended, Entered, Handle, Permit, SessionError, Turn};
use crate::base::id::SessionId;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal, sentence, whole_seconds};
use crate::operation::Kind;
use crate::store::Put;

/// Inside, holding a place that is given back when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    known: Known,
    asked: Asked,
    session: SessionId,
    turn: Turn,
    permit: Permit,
    rows: Vec<Put>,
    ended: Vec<Ended>,
}

impl Admitted {
    pub(super) fn session(&self) -> &SessionId {
        &self.session
    }

    pub(super) fn turn_note(&self) -> Option<String> {
        match &self.turn {
            Turn::Current => None,
            Turn::Began => Some("began".into()),
            Turn::Renewed { old } if *old == self.session => Some("renewed".into()),
            Turn::Renewed { old } => Some(format!("renewed; it was {}", old.short())),
            Turn::Rotated { old } => Some(format!("rotated; it was {}", old.short())),
        }
    }

    /// What must become durable with that note.
    pub(super) fn take_rows(&mut self) -> Vec<Put> {
        std::mem::take(&mut self.rows)
    }

    /// Sessions that had to end for this one.
    pub(super) fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    pub(super) fn whose(&self) -> (&Principal, &Handle) {
        (self.known.principal(), &self.asked.handle)
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    pub(super) fn into_parts(self) -> (Principal, Asked, Permit) {
        (self.known.principal().clone(), self.asked, self.permit)
    }
}

/// Pays for one message.
pub(super) fn meter(quota: &Quota, known: Known, handle: &Handle) -> Result<Known, (Known, Refusal)> {
    match quota.take(known.principal(), handle) {
        Ok(()) => Ok(known.metered()),
        Err(wait) => Err((known, over(&wait))),
    }
}

pub(super) fn admit(gate: &Gate, known: Known, asked: Asked) -> Result<Admitted, Refusal> {
    // The person at this machine is not rationed, and never shut out.
    let exempt = known.via().is_at_this_machine();
    if !exempt && let Some(found) = gate.bans.of_principal(known.principal()) {
        return Err(banned(&found));
    }
    if !exempt && let Some(found) = gate.banned_session(known.principal(), &asked.handle) {
        return Err(banned(&found));
    }
    let known = if known.is_metered() || exempt {
        known
    } else {
        meter(&gate.quota, known, &asked.handle).map_err(|(_, refusal)| refusal)?
    };
    if !exempt && asked.kind == Kind::Tool {
        gate.quota.take_tool(known.principal(), &asked.name).map_err(|found| over(&found))?;
    }
    let entered = gate.sessions.enter(known.principal(), &asked.handle, &known.whence());
    let Entered { id, turn, permit, rows, ended } = entered.map_err(|error| not_entered(&error, &asked.handle))?;
    Ok(Admitted { known, asked, session: id, turn, permit, rows, ended })
}

fn not_entered(error: &SessionError, handle: &Handle) -> Refusal {
    match error {
        SessionError::SessionBusy(_) | SessionError::Busy(_) => {
            Refusal::new(Code::Busy, sentence(error)).with_retry_after(Duration::from_secs(1))
        }
        SessionError::TooMany(_) => Refusal::new(Code::Busy, sentence(error)).with_retry_after(Duration::from_mins(1)),
        SessionError::Foreign(_) => foreign(handle),
        SessionError::Denied => denied(),
        SessionError::TooManyDenials | SessionError::NoEntropy(_) => Refusal::internal(error),
    }
}

/// A session of somebody else is as good as none: nothing is learned. A credential's own is known to whoever has it.
pub(super) fn foreign(handle: &Handle) -> Refusal {
    let private = format!("{}, certificate or address", word::FOREIGN_SESSION);
    let refusal = match handle {
        Handle::Connection(_) => {
            Refusal::new(Code::NotFound, "There is no such session; begin a new one with initialize.")
        }
        Handle::Credential => Refusal::new(
            Code::Forbidden,
            "This credential is in use with another certificate or address, and its session is bound to that one (session.bind).",
        ),
    };
    refusal.with_private(private)
}

/// An administrator ended the session of this credential.
pub(super) fn denied() -> Refusal {
    let public = "An administrator ended the session of this credential, which holds no more until it is issued again.";
    Refusal::new(Code::Unauthenticated, public)
}

pub(super) fn banned(banned: &Banned) -> Refusal {
    let way_out = match banned.wait {
        Some(wait) => format!("Come back in {} s, or ask the operator (`sekisho ban lift`).", whole_seconds(wait)),
        None => "Ask the operator (`sekisho ban lift`).".to_owned(),
    };
    let refusal = Refusal::new(Code::Forbidden, format!("This {} is banned. {way_out}", banned.kind));
    let refusal = refusal.with_private(format!("the {} is banned: {}", banned.kind, banned.reason));
    match banned.wait {
        Some(wait) => refusal.with_retry_after(wait),
        None => refusal,
    }
}

/// A call too many, with what a client needs to come back in time.
pub(super) fn over(over: &Over) -> Refusal {
    let Over { limit, what, quota, .. } = *over;
    let window = whole_seconds(over.window);
    let allowed = match over.every {
        Some(every) => format!("{quota} at once, then one every {} s", every.as_secs_f64()),
        None => format!("{quota} within {window} s"),
    };
    let public =
        format!("Too many {what}. Come back in {} s; the limit is {limit} ({allowed}).", whole_seconds(over.wait));
    Refusal::new(Code::TooManyRequests, public)
        .with_retry_after(over.wait)
        .with_data(json!({"limit": limit, "quota": quota, "windowSeconds": window}))
}
