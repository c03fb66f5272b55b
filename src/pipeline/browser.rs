//! What the dashboard's sessions need of the pipeline: the time, what is remembered of an account, and an entry for each
//! login and logout.

use std::sync::Arc;

use super::identify::Known;
use super::{Pipeline, record};
use crate::audit::entry::{Event, Outcome};
use crate::auth::browser::Stamp;
use crate::base::clock::Clock;
use crate::base::refusal::Refusal;

impl Pipeline {
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// See [`crate::auth::Authenticator::stamp_of`].
    pub fn stamp_of(&self, account: &str) -> Result<Option<Stamp>, Refusal> {
        self.authenticator.stamp_of(account).map_err(Refusal::internal)
    }

    /// Writes down that a browser's session began or ended; without the entry it did neither.
    pub async fn record_browser(&self, known: &Known, operation: &str, note: &str) -> Result<(), Refusal> {
        let mut draft = self.draft(Event::Authentication, known.via());
        record::describe(&mut draft, known.principal());
        draft.operation = Some(operation.to_owned());
        let written = self.audit.append(draft, Outcome::Done, Some(note.to_owned())).await;
        written.map(drop).map_err(|error| record::unavailable(&error))
    }
}
