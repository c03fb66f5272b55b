//! Posts the newest checkpoint to a URL, where whoever changes the database cannot reach it.
//!
//! A success is no entry: that would need another checkpoint, and so on for ever. A failure is one when it begins, and
//! one when it ends.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, header};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Audit;
use super::entry::{Draft, Event, Outcome};
use crate::base::bound;
use crate::config::target::Url;
use crate::egress::{Egress, Purpose};

/// Takes checkpoints to one URL.
#[derive(Debug)]
pub struct Poster {
    pub audit: Audit,
    pub egress: Arc<Egress>,
    pub url: Url,
    /// See `Keeper::newest`.
    pub newest: watch::Receiver<Option<Arc<str>>>,
}

impl Poster {
    /// Posts the newest one whenever there is one, not more often than every [`bound::CHECKPOINT_POST_SECONDS`], until
    /// `stop`. One that is superseded meanwhile is left out: a newer one covers all that it covered.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut was_good = true;
        let mut is_due = self.newest.borrow().is_some();
        loop {
            if !is_due {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = self.newest.changed() => if changed.is_err() { return },
                }
            }
            let Some(note) = self.newest.borrow_and_update().clone() else { continue };
            let posted = tokio::select! {
                () = stop.cancelled() => return,
                posted = self.post(&note) => posted,
            };
            is_due = posted.is_err();
            if was_good != posted.is_ok() {
                was_good = posted.is_ok();
                self.record(posted).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(bound::CHECKPOINT_POST_SECONDS)) => {}
            }
        }
    }

    async fn post(&self, note: &str) -> Result<(), String> {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
        let posted = self.egress.post(Purpose::Checkpoint, &self.url, headers, note.to_owned().into()).await;
        let answer = posted.map_err(|error| error.to_string())?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.told()) }
    }

    async fn record(&self, posted: Result<(), String>) {
        let target = &self.url.endpoint;
        let (outcome, reason) = match posted {
            Ok(()) => (Outcome::Done, format!("checkpoints reach {target} again")),
            Err(reason) => (Outcome::Failed, format!("checkpoints do not reach {target}: {reason}")),
        };
        tracing::warn!(reason, "export of checkpoints");
        let mut draft = Draft::new(Event::Audit, "internal", self.audit.now());
        draft.operation = Some("audit.export_checkpoint".into());
        if let Err(error) = self.audit.append(draft, outcome, Some(reason)).await {
            tracing::error!(%error, "the state of the export could not be recorded");
        }
    }
}
