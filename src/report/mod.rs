//! A report for whoever answers for an installation: what happened between two times, how it was dealt with, and which
//! requirements of known frameworks that is evidence for. Made from the audit log; shown as JSON or as a page.
//!
//! **The shape** is [`Report`], version [`VERSION`]. Fields may be added to it; whatever is taken away or comes to mean
//! something else is another version. Times are RFC 3339 in UTC, durations milliseconds unless their name says otherwise.

pub mod control;
pub mod evidence;
pub mod gather;
pub mod page;
mod span;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `format` says.
pub const FORMAT: &str = "sekisho-report";
/// Of the shape.
pub const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// `sekisho-report`.
    pub format: String,
    /// Of this shape.
    pub version: u32,
    pub made: String,
    /// The version of the program that made it.
    pub program: String,
    /// The log's name, which its checkpoints bear.
    pub installation: String,
    pub period: Period,
    pub totals: Totals,
    pub over_time: OverTime,
    /// Entries by operation.
    pub operations: Table,
    /// Calls by whom they were about: names, or pseudonyms where the vault is sealed or a subject was erased.
    pub principals: Table,
    /// Refusals by their code.
    pub refusals: Table,
    /// Of operations that ran, those with the most runs first.
    pub latency: Vec<Latency>,
    /// Newest first.
    pub alerts: Vec<Alert>,
    /// Operations of administration that changed something, and how often.
    pub changes: Vec<Row>,
    /// Sets of policies that came into force, or would not.
    pub policies: Vec<Noted>,
    /// Settings and certificates that changed.
    pub settings: Vec<Noted>,
    /// Keys, credentials, tokens and accounts as they are now.
    pub ages: Vec<Age>,
    /// Backups that were made, or failed.
    pub backups: Vec<Noted>,
    /// Backups that were opened and checked.
    pub backup_verifications: Vec<Noted>,
    pub restores: Vec<Noted>,
    /// Checks of the audit log, asked for or by schedule.
    pub verifications: Vec<Noted>,
    /// What was left out of the lists above for want of room.
    pub left_out: u64,
    pub log: Log,
    pub frameworks: Vec<Framework>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Period {
    pub from: String,
    /// Entries from here on are not in the report.
    pub to: String,
    /// Set where retention removed entries of this time: what came before is not in the report.
    pub kept_since: Option<String>,
    /// Sequence of the first entry; none where there is no entry.
    pub first: Option<u64>,
    /// Sequence of the last entry.
    pub last: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub entries: u64,
    /// Operations that were asked for and came to any outcome; an intent is not counted beside what became of it.
    pub calls: u64,
    /// Entries by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Entries by event.
    pub events: BTreeMap<String, u64>,
    /// Refusals that were folded into the entry of another one.
    pub refusals_without_entry: u64,
    /// Intents of which no outcome is in the report.
    pub intents_open: u64,
    /// Entries whose personal part could not be read.
    pub without_personal: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct OverTime {
    pub step_seconds: u64,
    /// Steps with calls or alerts, oldest first.
    pub steps: Vec<Step>,
}

/// Calls that ended, and alerts that came, within one step.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    pub from: String,
    /// Done, also if nobody was left to be told, or if it goes on.
    pub done: u64,
    pub failed: u64,
    pub refused: u64,
    /// Those that came first in this step.
    pub alerts: u64,
    /// Half of the calls that ran took no longer.
    pub p50_ms: u64,
    /// 95 of 100 took no longer.
    pub p95_ms: u64,
    pub max_ms: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// The highest counts first.
    pub rows: Vec<Row>,
    /// What is in no row.
    pub others: u64,
    /// By how much a count may be too low; 0 unless there were very many names.
    pub error_max: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub name: String,
    pub count: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    pub operation: String,
    pub count: u64,
    pub p50_ms: u64,
    pub p95_ms: u64,
    pub p99_ms: u64,
    pub max_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    pub id: u64,
    pub event: String,
    pub severity: String,
    pub first: String,
    pub last: String,
    pub count: u64,
    /// What such an alert means.
    pub about: String,
    pub detail: String,
    /// What Sekisho did about it.
    pub action: Option<String>,
    pub acknowledged: Option<String>,
    /// Who looked at it.
    pub acknowledged_by: Option<String>,
}

/// An entry that is told as it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Noted {
    pub sequence: u64,
    pub at: String,
    pub operation: String,
    pub outcome: String,
    pub by: Option<String>,
    pub reason: Option<String>,
}

/// How old something is that should not grow too old.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Age {
    /// `vault key`, `credential`, `api key`, `jwt` or `account`.
    pub kind: String,
    pub name: String,
    /// When it was made or changed last.
    pub since: String,
    pub days: u64,
    pub last_used: Option<String>,
    /// `active`, `opens`, `revoked`, `expired`, `disabled` and the like.
    pub state: String,
}

/// What vouches for the entries that the report was made from.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Log {
    pub entries: u64,
    /// A signed checkpoint that covers the report's last entry; none while the vault is sealed and nothing was signed.
    pub checkpoint: Option<String>,
    pub verifying_keys: Vec<String>,
    /// Proves that the last entry is in the log: as `sekisho audit prove` gives it.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub proof: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Framework {
    pub name: String,
    pub title: String,
    pub controls: Vec<Control>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Control {
    pub reference: String,
    pub title: String,
    pub state: State,
    /// What was found here, or why this is not covered.
    pub evidence: Vec<String>,
}

/// Whether there is evidence for a control. It is no judgement of conformity: that is an auditor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing that Sekisho does, or knows of.
    NotCovered,
    /// What it would do is switched off, or was not done.
    Missing,
    /// Some of it is there.
    Partly,
    Covered,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotCovered => "not covered",
            Self::Missing => "missing",
            Self::Partly => "partly",
            Self::Covered => "covered",
        }
    }
}
