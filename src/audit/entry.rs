//! One line of the log: a draft that is filled as a request advances, and the entry it becomes.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::store::codec::Record;

/// What happened. Closed: reports and alerts are written against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An operation was asked for, by an agent or an operator.
    Call,
    /// A credential was shown.
    Authentication,
    /// A session began, was renewed, or ended.
    Session,
    /// Sekisho started or stopped.
    Lifecycle,
}

impl Event {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Authentication => "authentication",
            Self::Session => "session",
            Self::Lifecycle => "lifecycle",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Written before an operation with side effects runs; another entry says how it ended.
    Intent,
    Done,
    /// The operation ran and reports a failure of its own.
    Failed,
    /// Sekisho said no; the reason says why.
    Refused,
    /// The operation asked the caller something and will be called again.
    InputRequired,
    /// It goes on as a task.
    Deferred,
    /// It was done, and the caller had withdrawn before it could be told.
    Undelivered,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::InputRequired => "input_required",
            Self::Deferred => "deferred",
            Self::Undelivered => "undelivered",
        }
    }
}

/// What is known of a request so far, so that a refusal at the first step is described too.
#[derive(Clone, Debug)]
pub struct Draft {
    pub event: Event,
    pub started: Timestamp,
    pub transport: &'static str,
    pub principal: Option<String>,
    pub role: Option<String>,
    pub scheme: Option<String>,
    /// Address or process at the other end.
    pub peer: Option<String>,
    /// The short form of the session's id.
    pub session: Option<String>,
    pub operation: Option<String>,
    pub target: Option<String>,
    pub argument_digest: Option<String>,
    pub argument_bytes: u64,
    pub output_bytes: u64,
    /// Sequence of the intent entry that this one closes.
    pub intent: Option<u64>,
}

impl Draft {
    pub fn new(event: Event, transport: &'static str, started: Timestamp) -> Self {
        Self {
            event,
            started,
            transport,
            principal: None,
            role: None,
            scheme: None,
            peer: None,
            session: None,
            operation: None,
            target: None,
            argument_digest: None,
            argument_bytes: 0,
            output_bytes: 0,
            intent: None,
        }
    }

    pub(super) fn close(self, outcome: Outcome, reason: Option<String>, now: Timestamp) -> Entry {
        Entry {
            at: now,
            event: self.event,
            outcome,
            reason,
            transport: self.transport.to_owned(),
            principal: self.principal,
            role: self.role,
            scheme: self.scheme,
            peer: self.peer,
            session: self.session,
            operation: self.operation,
            target: self.target,
            argument_digest: self.argument_digest,
            argument_bytes: self.argument_bytes,
            output_bytes: self.output_bytes,
            duration_ms: u64::try_from(now.since(self.started).as_millis()).unwrap_or(u64::MAX),
            intent: self.intent,
        }
    }
}

/// A leaf of the log. Its stored bytes are the leaf: they are never written again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub event: Event,
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub transport: String,
    pub principal: Option<String>,
    pub role: Option<String>,
    pub scheme: Option<String>,
    pub peer: Option<String>,
    pub session: Option<String>,
    pub operation: Option<String>,
    pub target: Option<String>,
    pub argument_digest: Option<String>,
    pub argument_bytes: u64,
    pub output_bytes: u64,
    pub duration_ms: u64,
    pub intent: Option<u64>,
}

impl Record for Entry {
    const TABLE: &'static str = "audit_entries";
}
