//! What a part of the log says as a whole: counts, durations, and what is missing.
//!
//! Memory is bounded, whoever wrote the entries: names beyond a table's size cost exactness in a stated measure
//! (`tally`), durations are kept in a histogram (`histogram`), periods grow longer (`periods`).

pub mod histogram;
mod periods;
mod tally;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::entry::{Event, Outcome};
use super::fold;
use super::render::Shown;
use crate::base::bound;
use crate::base::clock::Timestamp;
use histogram::Histogram;
use periods::Periods;
use tally::Tally;

/// What was added so far. Entries are added in the order of the log.
///
/// A *call* is an operation that was asked for, by an agent or an operator, and came to any outcome: an intent is not
/// counted beside the entry that closes it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    entries: u64,
    calls: u64,
    /// Sequences of the first and the last entry.
    range: Option<(u64, u64)>,
    /// Earliest and latest time; clocks go back.
    times: Option<(Timestamp, Timestamp)>,
    events: BTreeMap<&'static str, u64>,
    outcomes: BTreeMap<&'static str, u64>,
    operations: Tally,
    roles: Tally,
    transports: Tally,
    /// Codes of refusals: the reason up to its first colon.
    refusals: Tally,
    /// Whom calls were about.
    subjects: Tally,
    /// Of operations that ran; refused names, which anybody can make up, get none.
    durations: BTreeMap<String, Histogram>,
    /// Of the operations for which there was no room.
    other_durations: Histogram,
    periods: Periods,
    intents: Intents,
    without_personal: u64,
}

/// Intents of which no outcome was seen yet.
#[derive(Clone, Debug, Default)]
struct Intents {
    open: BTreeSet<u64>,
    /// Open ones beyond those that are remembered.
    beyond: u64,
}

impl Intents {
    fn begin(&mut self, sequence: u64) {
        if self.open.len() < bound::REPORT_INTENTS_MAX {
            self.open.insert(sequence);
        } else {
            self.beyond += 1;
        }
    }

    /// An intent before the first entry of the report is not known, and closes nothing.
    fn end(&mut self, intent: u64, first: u64) {
        if !self.open.remove(&intent) && intent >= first {
            self.beyond = self.beyond.saturating_sub(1);
        }
    }

    fn count(&self) -> u64 {
        self.open.len() as u64 + self.beyond
    }
}

impl Summary {
    /// Adds an entry. With its personal part a subject goes by its name, otherwise by its pseudonym. Where entries were
    /// left out before, by a filter or a range, an intent may look open whose outcome was among them.
    pub fn add(&mut self, shown: &Shown<'_>) {
        let entry = shown.entry;
        self.entries += 1;
        let first = self.range.map_or(shown.sequence, |(first, _)| first);
        self.range = Some((first, shown.sequence));
        self.times = Some(self.times.map_or((entry.at, entry.at), |(from, to)| (from.min(entry.at), to.max(entry.at))));
        *self.events.entry(entry.event.as_str()).or_default() += 1;
        *self.outcomes.entry(entry.outcome.as_str()).or_default() += 1;
        self.transports.add(&entry.transport);
        self.without_personal += u64::from(shown.personal.is_none());
        if let Some(role) = &entry.role {
            self.roles.add(role);
        }
        if entry.outcome == Outcome::Refused {
            let reason = entry.reason.as_deref().map_or(UNKNOWN, fold::alone);
            self.refusals.add(reason.split_once(':').map_or(reason, |(code, _)| code).trim());
        }
        if let Some(intent) = entry.intent {
            self.intents.end(intent, first);
        }
        if entry.outcome == Outcome::Intent {
            self.intents.begin(shown.sequence);
            return;
        }
        if let Some(operation) = &entry.operation {
            self.operations.add(operation);
        }
        if matches!(entry.event, Event::Call | Event::Administration) {
            self.add_call(shown);
        }
    }

    fn add_call(&mut self, shown: &Shown<'_>) {
        let entry = shown.entry;
        self.calls += 1;
        self.periods.add(entry.at);
        let named = shown.personal.and_then(super::entry::Personal::subject);
        self.subjects.add(named.as_ref().or(entry.subject.as_ref()).map_or(UNKNOWN, String::as_str));
        let ran = matches!(entry.outcome, Outcome::Done | Outcome::Failed | Outcome::Undelivered);
        let (true, Some(operation)) = (ran, &entry.operation) else { return };
        let name = tally::name(operation);
        if !self.durations.contains_key(&name) && self.durations.len() >= bound::REPORT_OPERATIONS_MAX {
            self.other_durations.add(entry.duration_ms);
        } else {
            self.durations.entry(name).or_default().add(entry.duration_ms);
        }
    }

    /// Durations by operation, those with the most calls first; the last row is of those beyond the bound, if any.
    fn durations(&self) -> Vec<(&str, &Histogram)> {
        let mut rows: Vec<_> = self.durations.iter().map(|(name, histogram)| (name.as_str(), histogram)).collect();
        rows.sort_by_key(|(_, histogram)| std::cmp::Reverse(histogram.count()));
        rows.extend((self.other_durations.count() > 0).then_some((OTHERS, &self.other_durations)));
        rows
    }

    /// For programs. Each table is `{"rows": [{"name", "count"}], "others", "error_max"}`: the names with the highest
    /// counts, what is in no row, and by how much a count may be too low. Times are RFC 3339, durations milliseconds.
    pub fn to_json(&self) -> Value {
        let durations: Vec<Value> = self
            .durations()
            .into_iter()
            .map(|(operation, histogram)| {
                json!({
                    "operation": operation,
                    "count": histogram.count(),
                    "p50_ms": histogram.percentile(50),
                    "p95_ms": histogram.percentile(95),
                    "p99_ms": histogram.percentile(99),
                    "max_ms": histogram.max(),
                })
            })
            .collect();
        let periods = self.periods.rows().map(|(from, calls)| json!({"from": from.rfc3339(), "calls": calls}));
        let open: Vec<u64> = self.intents.open.iter().copied().take(bound::REPORT_ROWS_MAX).collect();
        json!({
            "entries": self.entries,
            "first": self.range.map(|(first, _)| first),
            "last": self.range.map(|(_, last)| last),
            "from": self.times.map(|(from, _)| from.rfc3339()),
            "to": self.times.map(|(_, to)| to.rfc3339()),
            "calls": self.calls,
            "without_personal": self.without_personal,
            "intents_open": {"count": self.intents.count(), "sequences": open},
            "events": self.events,
            "outcomes": self.outcomes,
            "operations": self.operations.to_json(bound::REPORT_ROWS_MAX),
            "roles": self.roles.to_json(bound::REPORT_ROWS_MAX),
            "transports": self.transports.to_json(bound::REPORT_ROWS_MAX),
            "refusals": self.refusals.to_json(bound::REPORT_ROWS_MAX),
            "subjects": self.subjects.to_json(bound::REPORT_SUBJECTS_MAX),
            "durations": durations,
            "periods": {"hours": self.periods.hours(), "rows": periods.collect::<Vec<_>>()},
        })
    }

    /// For a terminal: aligned tables, and nothing that commands it.
    pub fn to_text(&self) -> String {
        text::page(self)
    }
}

/// Where there is no name.
const UNKNOWN: &str = "(unknown)";
/// What has no row of its own.
const OTHERS: &str = "(others)";

#[cfg(test)]
mod tests;
