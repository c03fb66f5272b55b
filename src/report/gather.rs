//! One pass over the log: everything that a report says of entries.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::span::Steps;
use super::{Latency, Noted, OverTime, Period, Row, Table, Totals};
use crate::audit::entry::{Entry, Event, Outcome, Personal};
use crate::audit::render::Shown;
use crate::audit::report::Summary;
use crate::audit::{Audit, AuditError, ERASE, Numbered, fold};
use crate::base::bound;
use crate::base::bound::report as most;
use crate::base::clock::Timestamp;

/// The operation by which somebody notes that an alert was looked at.
pub const ACKNOWLEDGE: &str = "alert.acknowledge";
/// What its entry says before the alert's number.
pub const ACKNOWLEDGED: &str = "alert ";

/// What was found between two entries.
#[derive(Debug)]
pub struct Gathered {
    pub period: Period,
    pub totals: Totals,
    pub over_time: OverTime,
    pub operations: Table,
    pub principals: Table,
    pub refusals: Table,
    pub latency: Vec<Latency>,
    pub changes: Vec<Row>,
    pub policies: Vec<Noted>,
    pub settings: Vec<Noted>,
    pub backups: Vec<Noted>,
    pub verifications: Vec<Noted>,
    pub left_out: u64,
    /// Who acknowledged an alert, by the alert's number.
    pub acknowledged_by: HashMap<u64, String>,
    /// Subjects that were erased.
    pub erased: u64,
}

/// Where a report begins and ends.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Sequence of the first entry.
    pub first: u64,
    /// Sequence of the first entry that is not in it any more.
    pub end: u64,
}

/// Lists that grow while the log is read.
#[derive(Debug, Default)]
struct Lists {
    changes: BTreeMap<String, u64>,
    policies: Vec<Noted>,
    settings: Vec<Noted>,
    backups: Vec<Noted>,
    verifications: Vec<Noted>,
    left_out: u64,
    acknowledged_by: HashMap<u64, String>,
    erased: u64,
}

/// Reads `range`, and what came after it for the sake of alerts that were looked at later. Ends early, with what it has,
/// once `is_cancelled`.
pub fn gather(audit: &Audit, range: Range, is_cancelled: &dyn Fn() -> bool) -> Result<Gathered, AuditError> {
    let mut summary = Summary::default();
    let mut steps = Steps::new(range.from, range.to);
    let mut lists = Lists::default();
    let mut folded = 0;
    each(audit, range.first, range.end, is_cancelled, |numbered| {
        let entry = &*numbered.entry;
        let personal = numbered.open_personal();
        summary.add(&Shown { sequence: numbered.sequence, entry, personal });
        let is_call = matches!(entry.event, Event::Call | Event::Administration) && entry.outcome != Outcome::Intent;
        if is_call {
            steps.add(entry);
        }
        if entry.outcome == Outcome::Refused {
            folded += entry.reason.as_deref().map_or(0, fold::others);
        }
        lists.add(numbered.sequence, entry, personal);
    })?;
    each(audit, range.end, audit.size()?, is_cancelled, |numbered| {
        lists.acknowledgement(&numbered.entry, numbered.open_personal());
    })?;
    let told = Told::deserialize(summary.to_json()).map_err(|error| AuditError::Refused(error.to_string()))?;
    let Lists { changes, policies, settings, backups, verifications, left_out, acknowledged_by, erased } = lists;
    let mut changes: Vec<Row> = changes.into_iter().map(|(name, count)| Row { name, count }).collect();
    changes.sort_by_key(|row| std::cmp::Reverse(row.count));
    let period = Period { from: range.from.rfc3339(), to: range.to.rfc3339(), first: told.first, last: told.last };
    Ok(Gathered {
        period,
        totals: Totals {
            entries: told.entries,
            calls: told.calls,
            outcomes: told.outcomes,
            events: told.events,
            refusals_without_entry: folded,
            intents_open: told.intents_open.count,
            without_personal: told.without_personal,
        },
        over_time: steps.told(),
        operations: told.operations,
        principals: told.subjects,
        refusals: told.refusals,
        latency: told.durations.into_iter().take(most::LATENCIES_MAX).collect(),
        changes,
        policies,
        settings,
        backups,
        verifications,
        left_out,
        acknowledged_by,
        erased,
    })
}

/// Hands on the entries of `first..end`, page by page.
fn each(
    audit: &Audit,
    first: u64,
    end: u64,
    is_cancelled: &dyn Fn() -> bool,
    mut take: impl FnMut(&Numbered),
) -> Result<(), AuditError> {
    let mut next = first;
    while next < end && !is_cancelled() {
        let entries_max = usize::try_from(end - next).unwrap_or(usize::MAX).min(bound::AUDIT_PAGE_ENTRIES_MAX);
        let page = audit.read(next, entries_max)?;
        let Some(last) = page.last() else { return Ok(()) };
        next = last.sequence + 1;
        page.iter().for_each(&mut take);
    }
    Ok(())
}

/// The part of a [`Summary`] that reports use.
#[derive(Deserialize)]
struct Told {
    entries: u64,
    first: Option<u64>,
    last: Option<u64>,
    calls: u64,
    without_personal: u64,
    intents_open: Open,
    events: BTreeMap<String, u64>,
    outcomes: BTreeMap<String, u64>,
    operations: Table,
    refusals: Table,
    subjects: Table,
    durations: Vec<Latency>,
}

#[derive(Deserialize)]
struct Open {
    count: u64,
}

impl Lists {
    fn add(&mut self, sequence: u64, entry: &Entry, personal: Option<&Personal>) {
        let operation = entry.operation.as_deref().unwrap_or_default();
        self.acknowledgement(entry, personal);
        if entry.outcome == Outcome::Intent {
            return;
        }
        // What changes something was announced by an intent.
        if entry.event == Event::Administration && entry.outcome == Outcome::Done && entry.intent.is_some() {
            *self.changes.entry(operation.to_owned()).or_default() += 1;
        }
        self.erased += u64::from(operation == ERASE && entry.event == Event::Audit);
        let list = match (entry.event, operation) {
            (Event::Configuration, operation) if operation.starts_with("policy") => &mut self.policies,
            (Event::Configuration, _) => &mut self.settings,
            (_, "audit.verify") => &mut self.verifications,
            (_, operation) if operation.starts_with("backup.") || operation.starts_with("restore") => &mut self.backups,
            _ => return,
        };
        if list.len() >= most::ROWS_MAX {
            // The newest say most.
            list.remove(0);
            self.left_out += 1;
        }
        list.push(noted(sequence, entry, personal));
    }

    fn acknowledgement(&mut self, entry: &Entry, personal: Option<&Personal>) {
        if entry.operation.as_deref() != Some(ACKNOWLEDGE) || entry.outcome != Outcome::Done {
            return;
        }
        let reason = entry.reason.as_deref().unwrap_or_default();
        let number = reason.split("; ").find_map(|note| note.strip_prefix(ACKNOWLEDGED)?.parse().ok());
        if let (Some(number), Some(who)) = (number, who(entry, personal))
            && self.acknowledged_by.len() < most::ACKNOWLEDGED_MAX
        {
            // The first one did it.
            self.acknowledged_by.entry(number).or_insert(who);
        }
    }
}

fn noted(sequence: u64, entry: &Entry, personal: Option<&Personal>) -> Noted {
    let cut = |text: &String| text.chars().take(most::REASON_CHARS_MAX).collect();
    Noted {
        sequence,
        at: entry.at.rfc3339(),
        operation: entry.operation.clone().unwrap_or_default(),
        outcome: entry.outcome.as_str().to_owned(),
        by: who(entry, personal),
        reason: entry.reason.as_ref().map(cut),
    }
}

/// By name where that is open, or else by pseudonym.
fn who(entry: &Entry, personal: Option<&Personal>) -> Option<String> {
    personal.and_then(Personal::subject).or_else(|| entry.subject.clone())
}
