//! The operation `activity`: how many calls there were lately, how they went and how long they took, period by period. It
//! counts, and tells nothing of who called.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{Request, answering, parse, written};
use crate::audit::entry::{self, Entry, Event, Outcome};
use crate::audit::filter::time;
use crate::audit::{Audit, AuditError};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::bound::ui::{ACTIVITY_BUCKETS_MAX, ACTIVITY_ENTRIES_MAX, ACTIVITY_NAMES_MAX, ACTIVITY_ROWS_MAX};
use crate::base::clock::Timestamp;
use crate::base::refusal::{Code, Refusal};
use crate::custody::CustodyError;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, audit: &Audit) -> Result<(), NotASchema> {
    let audit = audit.clone();
    let title = "Say how many calls there were lately, and how they went";
    let mut activity = answering::<Asked, Activity>("activity", title, Effect::ReadOnly).in_group(ActionGroup::Operate);
    activity.urgent = true;
    catalog.add(Arc::new(Request::new(activity, move |cx, arguments| {
        let (audit, cancel) = (audit.clone(), cx.cancel.clone());
        Box::pin(async move {
            let Asked { span } = parse(arguments)?;
            let now = audit.now();
            let from =
                time::parse_time(&span, now).map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))?;
            let work = move || look_back(&audit, from, now, &|| cancel.is_cancelled());
            let worked = tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?;
            let summed = worked.map_err(|error: AuditError| Refusal::from(CustodyError::from(error)))?;
            written(&summed.told())
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// From this time until now: a span such as 1h or 7d, a date, or RFC 3339.
    #[serde(default = "day")]
    #[schemars(length(max = 64))]
    span: String,
}

fn day() -> String {
    "24h".into()
}

#[derive(Serialize, JsonSchema)]
struct Activity {
    /// RFC 3339.
    from: String,
    to: String,
    bucket_seconds: u64,
    /// Whether all entries of the time were looked at. Otherwise the oldest were not, and their periods are too low.
    complete: bool,
    /// How many entries were looked at.
    looked_at: u64,
    total: Count,
    /// The oldest first; those without a call are there too.
    buckets: Vec<Bucket>,
    /// The most frequent.
    operations: Vec<Named>,
    /// Codes of refusals, the most frequent first.
    refusals: Vec<Named>,
}

#[derive(Serialize, JsonSchema)]
struct Bucket {
    /// Its beginning, RFC 3339.
    at: String,
    #[serde(flatten)]
    count: Count,
}

#[derive(Serialize, JsonSchema)]
struct Count {
    /// Operations that agents or operators asked for and that ran, with whatever result.
    answered: u64,
    /// What Sekisho said no to.
    refused: u64,
    alerts: u64,
    /// Of those that ran: half of them took no longer than this, in milliseconds.
    p50_ms: u64,
    p95_ms: u64,
}

#[derive(Serialize, JsonSchema)]
struct Named {
    name: String,
    count: u64,
}

/// What was counted so far.
struct Summed {
    from: Timestamp,
    to: Timestamp,
    bucket_ms: u64,
    buckets: Vec<Tally>,
    total: Tally,
    operations: BTreeMap<String, u64>,
    refusals: BTreeMap<String, u64>,
    looked_at: u64,
    complete: bool,
}

#[derive(Clone, Default)]
struct Tally {
    refused: u64,
    alerts: u64,
    /// As many as entries are looked at, at most.
    durations_ms: Vec<u64>,
}

/// From the newest back, a bounded way. What is personal stays sealed.
fn look_back(
    audit: &Audit,
    from: Timestamp,
    to: Timestamp,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Summed, AuditError> {
    let mut summed = Summed::new(from, to);
    let first = audit.first_since(from)?;
    let newest = audit.size()?;
    let mut end = newest;
    while end > first && newest - end < ACTIVITY_ENTRIES_MAX && !is_cancelled() {
        let begin = end.saturating_sub(bound::AUDIT_PAGE_ENTRIES_MAX as u64).max(first);
        for (_, leaf) in audit.leaves(begin, usize::try_from(end - begin).unwrap_or(usize::MAX))? {
            summed.add(&entry::of_leaf(&leaf)?.0);
        }
        end = begin;
    }
    summed.complete = end == first;
    Ok(summed)
}

impl Summed {
    fn new(from: Timestamp, to: Timestamp) -> Self {
        // Whole minutes, so that periods begin where clocks do.
        let minutes = to.since(from).as_secs().div_ceil(60 * ACTIVITY_BUCKETS_MAX).max(1);
        let bucket_ms = minutes * 60_000;
        let start = from.0 / bucket_ms * bucket_ms;
        let count = usize::try_from((to.0.saturating_sub(start)) / bucket_ms + 1).unwrap_or(usize::MAX);
        let most = usize::try_from(ACTIVITY_BUCKETS_MAX + 1).unwrap_or(usize::MAX);
        Self {
            from: Timestamp(start),
            to,
            bucket_ms,
            buckets: vec![Tally::default(); count.min(most)],
            total: Tally::default(),
            operations: BTreeMap::new(),
            refusals: BTreeMap::new(),
            looked_at: 0,
            complete: true,
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.looked_at += 1;
        let place = usize::try_from(entry.at.0.saturating_sub(self.from.0) / self.bucket_ms).unwrap_or(usize::MAX);
        // Clocks go back: what was written then belongs to no period, and counts all the same.
        let mut bucket = Tally::default();
        let own = self.buckets.get_mut(place).unwrap_or(&mut bucket);
        for tally in [own, &mut self.total] {
            tally.add(entry);
        }
        let is_call = matches!(entry.event, Event::Call | Event::Administration) && entry.outcome != Outcome::Intent;
        if is_call && let Some(operation) = &entry.operation {
            count(&mut self.operations, operation);
        }
        if entry.outcome == Outcome::Refused {
            let reason = entry.reason.as_deref().unwrap_or_default();
            let code = reason.split_once(": ").map_or(reason, |(code, _)| code);
            count(&mut self.refusals, if code.is_empty() { "unknown" } else { code });
        }
    }

    fn told(self) -> Activity {
        let buckets = (0_u64..).zip(self.buckets).map(|(number, tally)| Bucket {
            at: Timestamp(self.from.0 + number * self.bucket_ms).rfc3339(),
            count: tally.told(),
        });
        Activity {
            from: self.from.rfc3339(),
            to: self.to.rfc3339(),
            bucket_seconds: self.bucket_ms / 1000,
            complete: self.complete,
            looked_at: self.looked_at,
            total: self.total.told(),
            buckets: buckets.collect(),
            operations: most(self.operations),
            refusals: most(self.refusals),
        }
    }
}

impl Tally {
    fn add(&mut self, entry: &Entry) {
        let is_call = matches!(entry.event, Event::Call | Event::Administration);
        match entry.outcome {
            Outcome::Refused => self.refused += 1,
            Outcome::Done | Outcome::Failed | Outcome::Undelivered if is_call => {
                self.durations_ms.push(entry.duration_ms);
            }
            _ => {}
        }
        self.alerts += u64::from(entry.event == Event::Alert);
    }

    fn told(mut self) -> Count {
        self.durations_ms.sort_unstable();
        let nearest = |percent: usize| {
            let rank = (self.durations_ms.len() * percent).div_ceil(100).max(1);
            self.durations_ms.get(rank - 1).copied().unwrap_or_default()
        };
        Count {
            answered: self.durations_ms.len() as u64,
            refused: self.refused,
            alerts: self.alerts,
            p50_ms: nearest(50),
            p95_ms: nearest(95),
        }
    }
}

fn count(names: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = names.get_mut(name) {
        *count += 1;
    } else if names.len() < ACTIVITY_NAMES_MAX {
        names.insert(name.to_owned(), 1);
    }
}

fn most(names: BTreeMap<String, u64>) -> Vec<Named> {
    let mut rows: Vec<Named> = names.into_iter().map(|(name, count)| Named { name, count }).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows.truncate(ACTIVITY_ROWS_MAX);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn entry(minutes_ago: u64, event: Event, outcome: Outcome, duration_ms: u64) -> Entry {
        Entry {
            at: Timestamp(NOW.0 - minutes_ago * 60_000),
            event,
            outcome,
            reason: (outcome == Outcome::Refused).then(|| "forbidden: denied".to_owned()),
            transport: "http".into(),
            subject: None,
            role: None,
            scheme: None,
            session: None,
            operation: Some("search_documents".into()),
            target: None,
            argument_digest: None,
            argument_bytes: 0,
            output_bytes: 0,
            duration_ms,
            intent: None,
            sealed: None,
        }
    }

    #[test]
    fn each_period_has_its_calls_and_an_intent_is_none() {
        let mut summed = Summed::new(Timestamp(NOW.0 - 3_600_000), NOW);
        for duration in [10, 20, 30, 1000] {
            summed.add(&entry(5, Event::Call, Outcome::Done, duration));
        }
        summed.add(&entry(50, Event::Administration, Outcome::Intent, 0));
        summed.add(&entry(50, Event::Administration, Outcome::Failed, 7));
        summed.add(&entry(50, Event::Call, Outcome::Refused, 1));
        summed.add(&entry(2, Event::Alert, Outcome::Done, 0));
        let told = summed.told();
        assert_eq!((told.bucket_seconds, told.buckets.len() as u64), (60, ACTIVITY_BUCKETS_MAX + 1));
        let Count { answered, refused, alerts, p50_ms, p95_ms } = told.total;
        assert_eq!((answered, refused, alerts, p50_ms, p95_ms), (5, 1, 1, 20, 1000));
        let busy: Vec<(u64, u64)> = told.buckets.iter().map(|it| (it.count.answered, it.count.refused)).collect();
        assert_eq!(busy.iter().filter(|count| **count != (0, 0)).collect::<Vec<_>>(), [&(1, 1), &(4, 0)]);
        assert_eq!((told.operations[0].count, told.refusals[0].name.as_str()), (6, "forbidden"));
    }

    #[test]
    fn however_long_the_time_there_are_so_many_periods() {
        for minutes in [0, 1, 59, 60, 61, 1440, 43_200, 5_000_000] {
            let summed = Summed::new(Timestamp(NOW.0 - minutes * 60_000), NOW);
            assert!((1..=ACTIVITY_BUCKETS_MAX + 1).contains(&(summed.buckets.len() as u64)), "{minutes}");
        }
    }

    #[test]
    fn an_entry_of_a_clock_that_went_back_counts_in_no_period() {
        let mut summed = Summed::new(Timestamp(NOW.0 - 3_600_000), NOW);
        let mut late = entry(0, Event::Call, Outcome::Done, 1);
        late.at = Timestamp(NOW.0 + 99_000_000);
        summed.add(&late);
        let told = summed.told();
        assert_eq!(told.total.answered, 1);
        assert_eq!(told.buckets.iter().map(|bucket| bucket.count.answered).sum::<u64>(), 0);
    }
}
