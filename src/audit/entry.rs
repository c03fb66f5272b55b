//! One line of the log: a draft that is filled as a request advances, and the entry it becomes.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::store::StoreError;
use crate::store::codec::{self, Record};

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
    /// An operator asked for an operation.
    Administration,
    /// The vault was opened or not, its keys changed.
    Vault,
    /// The configuration differs from that of the last start.
    Configuration,
    /// The log itself: pruned, a subject erased, restored, the disk full.
    Audit,
    /// A rule of the watch fired. Stored by its place, as all of them: older versions refuse such an entry.
    Alert,
    /// A connection to another machine was opened or refused.
    Egress,
}

/// All of them, for reports and help.
pub const EVENTS: [Event; 10] = [
    Event::Call,
    Event::Administration,
    Event::Authentication,
    Event::Session,
    Event::Lifecycle,
    Event::Vault,
    Event::Configuration,
    Event::Audit,
    Event::Alert,
    Event::Egress,
];

impl Event {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Authentication => "authentication",
            Self::Session => "session",
            Self::Lifecycle => "lifecycle",
            Self::Administration => "administration",
            Self::Vault => "vault",
            Self::Configuration => "configuration",
            Self::Audit => "audit",
            Self::Alert => "alert",
            Self::Egress => "egress",
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

/// All of them.
pub const OUTCOMES: [Outcome; 7] = [
    Outcome::Intent,
    Outcome::Done,
    Outcome::Failed,
    Outcome::Refused,
    Outcome::InputRequired,
    Outcome::Deferred,
    Outcome::Undelivered,
];

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
    pub role: Option<String>,
    pub scheme: Option<String>,
    /// The short form of the session's id.
    pub session: Option<String>,
    pub operation: Option<String>,
    pub target: Option<String>,
    pub argument_digest: Option<String>,
    pub argument_bytes: u64,
    pub output_bytes: u64,
    /// Sequence of the intent entry that this one closes.
    pub intent: Option<u64>,
    pub personal: Personal,
    /// It is written on a full disk too.
    pub urgent: bool,
}

/// What tells a person apart. It leaves this process sealed with the key of its subject, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    pub principal: Option<String>,
    /// Address or process at the other end.
    pub peer: Option<String>,
    pub user_agent: Option<String>,
    /// JSON text, where the operator asked for it.
    pub arguments: Option<String>,
}

impl Personal {
    /// Whom it is about: the principal, or the other end while nobody is recognised.
    pub fn subject(&self) -> Option<String> {
        match (&self.principal, &self.peer) {
            (Some(principal), _) => Some(principal.clone()),
            (None, Some(peer)) => Some(format!("peer:{peer}")),
            (None, None) => None,
        }
    }
}

impl Record for Personal {
    const TABLE: &'static str = "audit_entries";
}

impl Draft {
    pub fn new(event: Event, transport: &'static str, started: Timestamp) -> Self {
        Self {
            event,
            started,
            transport,
            role: None,
            scheme: None,
            session: None,
            operation: None,
            target: None,
            argument_digest: None,
            argument_bytes: 0,
            output_bytes: 0,
            intent: None,
            personal: Personal::default(),
            urgent: false,
        }
    }

    /// The entry without its personal part, and that part.
    pub(super) fn close(self, outcome: Outcome, reason: Option<String>, now: Timestamp) -> (Entry, Personal) {
        let entry = Entry {
            at: now,
            event: self.event,
            outcome,
            reason,
            transport: self.transport.to_owned(),
            subject: None,
            role: self.role,
            scheme: self.scheme,
            session: self.session,
            operation: self.operation,
            target: self.target,
            argument_digest: self.argument_digest,
            argument_bytes: self.argument_bytes,
            output_bytes: self.output_bytes,
            duration_ms: u64::try_from(now.since(self.started).as_millis()).unwrap_or(u64::MAX),
            intent: self.intent,
            sealed: None,
        };
        (entry, self.personal)
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
    /// Pseudonym of whom it is about; none while the vault is sealed.
    pub subject: Option<String>,
    pub role: Option<String>,
    pub scheme: Option<String>,
    pub session: Option<String>,
    pub operation: Option<String>,
    pub target: Option<String>,
    /// HMAC of the arguments' JSON text, so that short ones cannot be guessed from the log.
    pub argument_digest: Option<String>,
    pub argument_bytes: u64,
    pub output_bytes: u64,
    pub duration_ms: u64,
    pub intent: Option<u64>,
    /// The id of the subject's key (8 bytes), then [`Personal`], sealed with it (nonce, ciphertext, tag); the rest of
    /// this entry is the associated data.
    pub sealed: Option<Vec<u8>>,
}

impl Record for Entry {
    const TABLE: &'static str = "audit_entries";
    const FORMAT: u8 = FORMAT_SEALED;
}

/// Leaves of schema 1, whose personal fields are in the clear.
const FORMAT_CLEAR: u8 = 1;
/// Leaves whose personal fields are sealed.
const FORMAT_SEALED: u8 = 2;

/// An entry of schema 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ClearEntry {
    at: Timestamp,
    event: Event,
    outcome: Outcome,
    reason: Option<String>,
    transport: String,
    principal: Option<String>,
    role: Option<String>,
    scheme: Option<String>,
    peer: Option<String>,
    session: Option<String>,
    operation: Option<String>,
    target: Option<String>,
    argument_digest: Option<String>,
    argument_bytes: u64,
    output_bytes: u64,
    duration_ms: u64,
    intent: Option<u64>,
}

impl Record for ClearEntry {
    const TABLE: &'static str = "audit_entries";
    const FORMAT: u8 = FORMAT_CLEAR;
}

/// Reads a leaf of any format. The personal part comes with it only where it was never sealed.
pub fn of_leaf(leaf: &[u8]) -> Result<(Entry, Option<Personal>), StoreError> {
    if leaf.first() != Some(&FORMAT_CLEAR) {
        return Ok((codec::decode(leaf)?, None));
    }
    let old: ClearEntry = codec::decode(leaf)?;
    let personal = Personal { principal: old.principal, peer: old.peer, ..Personal::default() };
    let entry = Entry {
        at: old.at,
        event: old.event,
        outcome: old.outcome,
        reason: old.reason,
        transport: old.transport,
        subject: None,
        role: old.role,
        scheme: old.scheme,
        session: old.session,
        operation: old.operation,
        target: old.target,
        argument_digest: old.argument_digest,
        argument_bytes: old.argument_bytes,
        output_bytes: old.output_bytes,
        duration_ms: old.duration_ms,
        intent: old.intent,
        sealed: None,
    };
    Ok((entry, Some(personal)))
}

/// An entry without its personal part, for tests of what reads entries.
#[cfg(test)]
pub(crate) fn of_draft(draft: Draft, outcome: Outcome, reason: Option<String>, now: Timestamp) -> Entry {
    draft.close(outcome, reason, now).0
}
