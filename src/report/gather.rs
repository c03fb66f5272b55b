//! One pass over the log: everything that a report says of entries.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Deserialize;

use super::span::Steps;
use super::{Latency, Noted, OverTime, Period, Row, Table, Totals};
use crate::audit::entry::{Entry, Event, Outcome, Personal};
use crate::audit::render::Shown;
use crate::audit::report::Summary;
use crate::audit::{Audit, AuditError, ERASE, Numbered, fold, word};
use crate::base::bound;
use crate::base::bound::report as most;
use crate::base::clock::Timestamp;

/// The operation by which somebody notes that an alert was looked at.
pub const ACKNOWLEDGE: &str = "alert.acknowledge";
/// What its entry says before the alert's number.
pub const ACKNOWLEDGED: &str = "alert ";
/// What the entry of a verification says before its verdict.
pub const VERDICT: &str = "verdict ";
/// Operations of administration that are announced by an intent because they tell or write something while they run, and
/// change nothing here.
pub const KEEPING: &[&str] = &[
    "alert.test",
    "audit.checkpoint",
    "audit.export",
    "audit.search",
    "audit.tail",
    "backup.make",
    "backup.now",
    "backup.verify",
    "incident.export",
    "library.export",
    "log.read",
];
/// The note of one that found nothing wrong.
const SOUND: &str = "verdict sound";

/// What was found between two entries.
#[derive(Debug, Default)]
pub struct Gathered {
    pub period: Period,
    pub totals: Totals,
    pub over_time: OverTime,
    pub operations: Table,
    pub principals: Table,
    pub refusals: Table,
    pub latency: Vec<Latency>,
    pub changes: Vec<Row>,
    pub policies: Listed,
    pub settings: Listed,
    pub backups: Listed,
    pub backup_verifications: Listed,
    pub restores: Listed,
    pub verifications: Listed,
    /// Rows that no list has for want of room.
    pub left_out: u64,
    /// Who acknowledged an alert, by the alert's number.
    pub acknowledged_by: HashMap<u64, String>,
    /// Subjects that were erased.
    pub erased: u64,
    /// Requests that a role or a policy did not permit.
    pub denials: u64,
}

/// Entries of one kind: the newest of them, and what can be said of all.
#[derive(Debug, Default)]
pub struct Listed {
    /// Oldest first, at most [`most::ROWS_MAX`].
    pub rows: VecDeque<Noted>,
    pub all: u64,
    /// Of all: those that were done, also if nobody was left to be told. Of verifications those that found all sound.
    pub good: u64,
    /// Of all: those that failed, and verifications that found something.
    pub failed: u64,
    /// When the last good one was.
    pub last_good: Option<String>,
}

impl Listed {
    fn add(&mut self, noted: Noted, end: End) {
        self.all += 1;
        match end {
            End::Good => {
                self.good += 1;
                self.last_good = Some(noted.at.clone());
            }
            End::Failed => self.failed += 1,
            End::Neither => {}
        }
        if self.rows.len() >= most::ROWS_MAX {
            // The newest say most.
            self.rows.pop_front();
        }
        self.rows.push_back(noted);
    }

    fn left_out(&self) -> u64 {
        self.all.saturating_sub(self.rows.len() as u64)
    }
}

/// What an entry says of how something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Good,
    Failed,
    /// It was refused, or says nothing of it.
    Neither,
}

impl End {
    fn of(entry: &Entry) -> Self {
        match entry.outcome {
            Outcome::Done | Outcome::Undelivered => Self::Good,
            Outcome::Failed => Self::Failed,
            _ => Self::Neither,
        }
    }

    /// Of an entry that must also say that nothing was found: a check that was made is not one that was passed.
    fn of_check(entry: &Entry) -> Self {
        let mut notes = entry.reason.as_deref().unwrap_or_default().split("; ");
        match Self::of(entry) {
            Self::Good if notes.any(|note| note == SOUND) => Self::Good,
            Self::Good => Self::Failed,
            other => other,
        }
    }
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
    /// Where retention removed entries of this time: when the first one was that is still there.
    pub kept_since: Option<Timestamp>,
}

/// Lists that grow while the log is read.
#[derive(Debug, Default)]
struct Lists {
    changes: BTreeMap<String, u64>,
    policies: Listed,
    settings: Listed,
    backups: Listed,
    backup_verifications: Listed,
    restores: Listed,
    verifications: Listed,
    acknowledged_by: HashMap<u64, String>,
    erased: u64,
    denials: u64,
}

/// Reads `range`, and what came after it for the sake of alerts that were looked at later; `alerts` are the times of
/// those that came in it. Ends early, with what it has, once `is_cancelled`.
pub fn gather(
    audit: &Audit,
    range: Range,
    alerts: &[Timestamp],
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Gathered, AuditError> {
    let mut summary = Summary::default();
    let mut steps = Steps::new(range.from, range.to);
    for at in alerts {
        steps.add_alert(*at);
    }
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
    let left_out = lists.left_out() + told.durations.len().saturating_sub(most::LATENCIES_MAX) as u64;
    let Lists { changes, policies, settings, backups, backup_verifications, restores, verifications, .. } = lists;
    let mut changes: Vec<Row> = changes.into_iter().map(|(name, count)| Row { name, count }).collect();
    changes.sort_by_key(|row| std::cmp::Reverse(row.count));
    let period = Period {
        from: range.from.rfc3339(),
        to: range.to.rfc3339(),
        kept_since: range.kept_since.map(Timestamp::rfc3339),
        first: told.first,
        last: told.last,
    };
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
        backup_verifications,
        restores,
        verifications,
        left_out,
        acknowledged_by: lists.acknowledged_by,
        erased: lists.erased,
        denials: lists.denials,
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
        if entry.event == Event::Administration
            && entry.outcome == Outcome::Done
            && entry.intent.is_some()
            && !KEEPING.contains(&operation)
        {
            *self.changes.entry(operation.to_owned()).or_default() += 1;
        }
        self.denials += u64::from(is_denied(entry));
        self.erased += u64::from(operation == ERASE && entry.event == Event::Audit);
        // By name: what only lists or shows something has no part in it.
        let (list, end) = match (entry.event, operation) {
            (Event::Configuration, operation) if operation.starts_with("policy") => {
                (&mut self.policies, End::of(entry))
            }
            (Event::Configuration, _) => (&mut self.settings, End::of(entry)),
            (_, "audit.verify") => (&mut self.verifications, End::of_check(entry)),
            (_, "audit.verify_scheduled") => (&mut self.verifications, End::of(entry)),
            (_, "backup.make" | "backup.now" | "backup.scheduled") => (&mut self.backups, End::of(entry)),
            (_, "backup.verify" | "backup.verify_scheduled") => (&mut self.backup_verifications, End::of(entry)),
            (_, "restore") => (&mut self.restores, End::of(entry)),
            _ => return,
        };
        list.add(noted(sequence, entry, personal), end);
    }

    fn left_out(&self) -> u64 {
        let lists = [
            &self.policies,
            &self.settings,
            &self.backups,
            &self.backup_verifications,
            &self.restores,
            &self.verifications,
        ];
        lists.into_iter().map(Listed::left_out).sum()
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

/// Whether a role or a policy did not permit it: a ban, and what a stranger is refused, is something else.
fn is_denied(entry: &Entry) -> bool {
    let why = entry.reason.as_deref().and_then(|reason| reason.split_once(": ")).map_or("", |(_, why)| why);
    entry.outcome == Outcome::Refused
        && matches!(entry.event, Event::Call | Event::Administration)
        && [word::DENIED, word::NO_ACCOUNT, word::NOT_AT_MACHINE].iter().any(|begin| why.starts_with(begin))
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

#[cfg(test)]
mod tests;
