//! Step 7: durable before it is answered. No entry, no reply.

use super::ran::Ran;
use super::redact::Clean;
use crate::audit::entry::{Draft, Outcome};
use crate::audit::{Audit, AuditError};
use crate::base::bound;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::guardrail::Finding;
use crate::operation::{Kind, Marks, Output};
use crate::telemetry::metric::Metrics;

/// The end of the way: all that a transport may send.
pub struct Recorded {
    reply: Result<Ran, Refusal>,
    marks: Marks,
}

impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorded").field("refused", &self.reply.is_err()).finish_non_exhaustive()
    }
}

impl Recorded {
    /// What the caller is told beside the result.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    pub fn into_reply(self) -> Result<Ran, Refusal> {
        self.reply
    }
}

pub(super) type Finished = Clean;

/// A way that ended early.
#[derive(Debug)]
pub(super) struct Stopped(Refusal);

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl Stopped {
    pub(super) fn refusal(&self) -> &Refusal {
        &self.0
    }
}

pub(super) fn describe(draft: &mut Draft, principal: &Principal) {
    draft.personal.principal = Some(principal.id.to_string());
    draft.role = Some(principal.role.as_str().to_owned());
    draft.scheme = Some(principal.scheme.as_str().to_owned());
}

/// Arguments as an entry keeps them.
pub(super) fn cut(arguments: &[u8]) -> String {
    let end = arguments.len().min(bound::AUDIT_ARGUMENT_BYTES_MAX);
    String::from_utf8_lossy(&arguments[..end]).into_owned()
}

/// What an entry's reason says beside how a call ended.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The classification of what was touched.
    pub(super) touched: Option<String>,
    pub(super) findings: Vec<Finding>,
    /// What the call noted itself.
    pub(super) said: Vec<String>,
}

impl Notes {
    fn written(&self) -> Option<String> {
        let found: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        let flagged = (!found.is_empty()).then(|| format!("flagged: {}", found.join("; ")));
        let notes: Vec<String> = self.touched.iter().cloned().chain(flagged).chain(self.said.iter().cloned()).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

pub(super) fn unavailable(error: &AuditError) -> Refusal {
    let public = "Sekisho cannot write its audit log at the moment, so it does nothing. The operator finds the reason in the log.";
    Refusal::new(Code::Unavailable, public).with_private(error)
}

/// The way's end, and how it ended as the entry has it.
pub(super) async fn record(
    audit: &Audit,
    metrics: &Metrics,
    all: bool,
    draft: Draft,
    notes: Notes,
    result: Result<Finished, Stopped>,
) -> (Recorded, Outcome) {
    let mut marks = Marks::default();
    let (outcome, reason, counted, reply) = match result {
        Ok(mut clean) => {
            marks = std::mem::take(&mut clean.marks);
            let outcome = match &clean.ran {
                Ran::Done(Output::Tool { failed: true, .. }) => Outcome::Failed,
                Ran::Done(_) => Outcome::Done,
                Ran::Ask { .. } => Outcome::InputRequired,
                Ran::Task(_) => Outcome::Deferred,
            };
            (outcome, notes.written(), clean.kind == Kind::List && !all, Ok(clean.ran))
        }
        Err(Stopped(refusal)) => {
            let outcome = if refusal.code == Code::Cancelled { Outcome::Undelivered } else { Outcome::Refused };
            let mut reason = format!("{}: {}", refusal.code.as_str(), refusal.private);
            for note in &notes.said {
                reason.push_str("; ");
                reason.push_str(note);
            }
            (outcome, Some(reason), false, Err(refusal))
        }
    };
    match &reply {
        Ok(_) => {}
        Err(refusal) => {
            metrics.refused(refusal.code.as_str());
            if refusal.code == Code::Internal {
                tracing::error!(operation = draft.operation, reason = refusal.private, "a call failed");
            }
        }
    }
    if counted {
        metrics.listed();
        return (Recorded { reply, marks }, outcome);
    }
    // Whoever is over a limit can be so without end: their refusals are folded.
    let over = matches!(&reply, Err(refusal) if matches!(refusal.code, Code::TooManyRequests | Code::Busy));
    let written = match reason {
        Some(reason) if over => audit.append_folded(draft, reason).await,
        reason => audit.append(draft, outcome, reason).await.map(drop),
    };
    match written {
        Ok(()) => (Recorded { reply, marks }, outcome),
        Err(error) => {
            tracing::error!(%error, "a call is refused because it cannot be recorded");
            (Recorded { reply: Err(unavailable(&error)), marks: Marks::default() }, Outcome::Refused)
        }
    }
}
