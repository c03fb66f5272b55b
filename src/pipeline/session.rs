//! Sessions on the way: whose they are, that they began or were renewed, and their ends, each with its entry.

use super::identify::Known;
use super::request::Via;
use super::{Pipeline, admit, record};
use crate::audit::AuditError;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::auth::session::{Handle, Restored};
use crate::base::principal::Principal;
use crate::base::refusal::Refusal;
use crate::store::Batch;

impl Pipeline {
    /// Whether the session behind `handle` is theirs, as far as there is one. A session of somebody else gets the
    /// answer of none, and an entry of its own.
    pub async fn check_owner(&self, known: &Known, handle: &Handle) -> Result<(), Refusal> {
        match self.gate.sessions.stranger(known.principal(), handle, &known.whence()) {
            None => Ok(()),
            Some(id) => Err(self.refuse_stranger(known, handle, Some(id.short())).await),
        }
    }

    /// Writes down that `known` showed the session of somebody else.
    pub async fn refuse_stranger(&self, known: &Known, handle: &Handle, short: Option<&str>) -> Refusal {
        known.settle();
        let refusal = admit::foreign(handle);
        self.metrics.refused(refusal.code.as_str());
        let mut draft = self.draft(Event::Session, known.via());
        record::describe(&mut draft, known.principal());
        draft.session = short.map(str::to_owned);
        self.report(&draft, &refusal);
        let reason = format!("{}: {}", refusal.code.as_str(), refusal.private);
        match self.audit.append(draft, Outcome::Refused, Some(reason)).await {
            Ok(_) => refusal,
            Err(error) => record::unavailable(&error),
        }
    }

    /// A session that began or was renewed is an event of its own, and durable with its entry.
    pub(super) async fn record_turn(&self, admitted: &mut admit::Admitted, draft: &Draft) -> Result<(), Refusal> {
        let ended = admitted.take_ended();
        self.gate.write_ends(&self.audit, ended).await.map_err(|error| record::unavailable(&error))?;
        let Some(note) = admitted.turn_note() else { return Ok(()) };
        let mut session = draft.clone();
        session.event = Event::Session;
        session.operation = None;
        session.target = None;
        let batch = Batch::puts(admitted.take_rows());
        let written = self.audit.append_with(batch, session, Outcome::Done, Some(note)).await;
        written.map(drop).map_err(|error| {
            // What is not written down did not begin.
            let (principal, handle) = admitted.whose();
            drop(self.gate.sessions.leave(principal, handle));
            record::unavailable(&error)
        })
    }

    /// Ends what has timed out, writes that down, and drops counts and bans that are over.
    pub async fn sweep(&self) {
        for ended in self.gate.sweep_sessions() {
            if let Err(error) = self.gate.write_end(&self.audit, ended).await {
                tracing::error!(%error, "the end of a session could not be recorded");
            }
        }
        if let Err(error) = self.gate.sweep().await {
            tracing::error!(%error, "bans that are over could not be deleted");
        }
    }

    /// Deletes the sessions that ended while nobody was here, with one entry for all.
    pub async fn end_restored(&self, restored: Restored) -> Result<(), AuditError> {
        let count = restored.over.len();
        if count == 0 {
            return Ok(());
        }
        self.gate.delete(restored.over).await?;
        let draft = Draft::new(Event::Session, "internal", self.audit.now());
        let note = format!("ended: {count} sessions timed out while Sekisho was stopped");
        self.audit.append(draft, Outcome::Done, Some(note)).await.map(drop)
    }

    /// A connection is gone; its session goes with it.
    pub async fn leave(&self, principal: &Principal, handle: &Handle, via: &Via) {
        let Some(ended) = self.gate.sessions.leave(principal, handle) else { return };
        self.gate.quota.forget(handle);
        let mut draft = self.draft(Event::Session, via);
        record::describe(&mut draft, principal);
        draft.session = Some(ended.id.short().to_owned());
        self.gate.sessions.settled().await;
        let note = Some(format!("ended: {}", ended.why));
        if let Err(error) = self.audit.append_with(Batch::puts(ended.rows), draft, Outcome::Done, note).await {
            tracing::error!(%error, "the end of a session could not be recorded");
        }
    }
}
