//! A server on its way out: what is under way is let finish, and nothing new begins.

use std::time::Duration;

use super::identify::Known;
use super::{Pipeline, record};
use crate::audit::entry::Event;
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};

impl Pipeline {
    /// From now on no call begins, but of whoever is at this machine. There is no way back: the process ends.
    pub fn begin_draining(&self) {
        self.draining.cancel();
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Calls under way of those who are not at this machine.
    pub fn under_way(&self) -> usize {
        self.gate.sessions.under_way()
    }

    /// Whether a new call of an agent, `known`, may begin; ahead of [`Pipeline::run`], where the transport wants to refuse
    /// in its own way.
    pub async fn open_to(&self, known: &Known) -> Result<(), Refusal> {
        let Err(refusal) = self.is_open_to(known).and_then(|()| self.is_thawed()) else { return Ok(()) };
        known.settle();
        let mut draft = self.draft(Event::Call, known.via());
        record::describe(&mut draft, known.principal());
        self.refuse_early(draft, &refusal).await?;
        Err(refusal)
    }

    /// The person at this machine sees to the end.
    pub(super) fn is_open_to(&self, known: &Known) -> Result<(), Refusal> {
        if !self.is_draining() || known.via().is_at_this_machine() {
            return Ok(());
        }
        let wait = Duration::from_secs(bound::DRAIN_RETRY_SECONDS);
        let public = format!(
            "This server is being drained: it finishes what is under way and begins nothing new. Come back in {} s.",
            wait.as_secs()
        );
        // "Busy" and not "unavailable": refusals of this code are folded, and everybody is refused now.
        Err(Refusal::new(Code::Busy, public).with_retry_after(wait))
    }
}
