//! The operation `activity`: how many calls there were lately, how they went and how long they took, period by period. It
//! counts, and tells nothing of who called.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{Request, answering, parse, written};
use crate::audit::entry::{self, Entry, Event, Outcome};
use crate::audit::filter::time;
use crate::audit::fold;
use crate::audit::{Audit, AuditError};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::bound::ui::{
    ACTIVITY_BUCKETS_MAX, ACTIVITY_ENTRIES_MAX, ACTIVITY_KEPT_MAX, ACTIVITY_NAMES_MAX, ACTIVITY_ROWS_MAX,
};
use crate::base::clock::Timestamp;
use crate::base::refusal::{Code, Refusal};
use crate::custody::CustodyError;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, audit: &Audit) -> Result<(), NotASchema> {
    let (audit, kept) = (audit.clone(), Arc::new(Kept::default()));
    let title = "Say how many calls there were lately, and how they went";
    let mut activity = answering::<Asked, Activity>("activity", title, Effect::ReadOnly).in_group(ActionGroup::Operate);
    activity.urgent = true;
    catalog.add(Arc::new(Request::new(activity, move |cx, arguments| {
        let (audit, kept, cancel) = (audit.clone(), Arc::clone(&kept), cx.cancel.clone());
        Box::pin(async move {
            let Asked { span } = parse(arguments)?;
            let now = audit.now();
            let from =
                time::parse_time(&span, now).map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))?;
            let work = move || kept.sum(&audit, Frame::of(from, now), &|| cancel.is_cancelled());
            let worked = tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?;
            written(&worked.map_err(|error: AuditError| Refusal::from(CustodyError::from(error)))?)
        })
    })))
}

/// What the first page of the dashboard asks for, and whoever watches over an installation.
const LOOKS: [&str; 3] = ["status", "activity", "alert.list"];

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
    /// Where the first period begins, RFC 3339: somewhat before the time that was asked for.
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

/// A time in periods: whole minutes each, so that they begin where clocks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    /// Where the first one begins.
    from: Timestamp,
    to: Timestamp,
    period_ms: u64,
}

impl Frame {
    fn of(from: Timestamp, to: Timestamp) -> Self {
        let minutes = to.since(from).as_secs().div_ceil(60 * ACTIVITY_BUCKETS_MAX).max(1);
        let period_ms = minutes * 60_000;
        Self { from: Timestamp(from.0 / period_ms * period_ms), to, period_ms }
    }

    /// The periods, by how many there were before each since 1970.
    fn periods(self) -> Range<u64> {
        let first = self.from.0 / self.period_ms;
        first..(self.to.0 / self.period_ms + 1).clamp(first, first + ACTIVITY_BUCKETS_MAX + 1)
    }
}

/// What was counted lately, so that only what was written since has to be looked at: the first page of the dashboard is
/// opened all the time.
#[derive(Default)]
struct Kept {
    /// Held to take one out or to put it back, never while the log is read.
    summed: Mutex<Vec<Summed>>,
}

impl Kept {
    fn sum(&self, audit: &Audit, frame: Frame, is_cancelled: &dyn Fn() -> bool) -> Result<Activity, AuditError> {
        let newest = audit.size()?;
        let mut summed = match self.take(frame, newest) {
            Some(mut summed) => {
                summed.move_to(frame);
                summed
            }
            None => Summed::new(frame, newest),
        };
        let first = audit.first_since(frame.from)?;
        summed.read_on(audit, newest, is_cancelled)?;
        summed.read_back(audit, first, is_cancelled)?;
        let told = summed.told(summed.oldest <= first);
        if !is_cancelled() {
            self.put(summed);
        }
        Ok(told)
    }

    /// One that what is asked for only goes on from.
    fn take(&self, frame: Frame, newest: u64) -> Option<Summed> {
        let mut kept = self.summed.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|summed| summed.is_before(frame, newest))?;
        Some(kept.swap_remove(place))
    }

    fn put(&self, summed: Summed) {
        let mut kept = self.summed.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.frame.period_ms != summed.frame.period_ms);
        if kept.len() >= ACTIVITY_KEPT_MAX {
            kept.remove(0);
        }
        kept.push(summed);
    }
}

/// What was counted so far, of the entries from `oldest` to before `next`.
struct Summed {
    frame: Frame,
    oldest: u64,
    next: u64,
    /// By their numbers; those without an entry are not there.
    periods: BTreeMap<u64, Tally>,
}

#[derive(Clone, Default)]
struct Tally {
    looked_at: u64,
    refused: u64,
    alerts: u64,
    /// As many as entries are looked at, at most.
    durations_ms: Vec<u64>,
    operations: BTreeMap<String, u64>,
    refusals: BTreeMap<String, u64>,
}

impl Summed {
    /// Nothing yet: it begins at the newest entry.
    fn new(frame: Frame, newest: u64) -> Self {
        Self { frame, oldest: newest, next: newest, periods: BTreeMap::new() }
    }

    /// Whether `frame` is the same one some time later, with so little new that it is worth going on.
    fn is_before(&self, frame: Frame, newest: u64) -> bool {
        self.frame.period_ms == frame.period_ms
            && self.frame.from <= frame.from
            && self.frame.to <= frame.to
            && newest.checked_sub(self.next).is_some_and(|new| self.looked_at() + new < 2 * ACTIVITY_ENTRIES_MAX)
    }

    fn looked_at(&self) -> u64 {
        self.periods.values().map(|tally| tally.looked_at).sum()
    }

    /// What was before its time is forgotten.
    fn move_to(&mut self, frame: Frame) {
        self.frame = frame;
        self.periods = self.periods.split_off(&frame.periods().start);
    }

    /// What was written since.
    fn read_on(&mut self, audit: &Audit, newest: u64, is_cancelled: &dyn Fn() -> bool) -> Result<(), AuditError> {
        while self.next < newest && !is_cancelled() {
            let end = newest.min(self.next + bound::AUDIT_PAGE_ENTRIES_MAX as u64);
            self.read(audit, self.next, end)?;
            self.next = end;
        }
        Ok(())
    }

    /// From the oldest that was looked at further back, a bounded way.
    fn read_back(&mut self, audit: &Audit, first: u64, is_cancelled: &dyn Fn() -> bool) -> Result<(), AuditError> {
        while self.oldest > first && self.next - self.oldest < ACTIVITY_ENTRIES_MAX && !is_cancelled() {
            let begin = self.oldest.saturating_sub(bound::AUDIT_PAGE_ENTRIES_MAX as u64).max(first);
            self.read(audit, begin, self.oldest)?;
            self.oldest = begin;
        }
        Ok(())
    }

    /// What is personal stays sealed.
    fn read(&mut self, audit: &Audit, begin: u64, end: u64) -> Result<(), AuditError> {
        for (_, leaf) in audit.leaves(begin, usize::try_from(end - begin).unwrap_or(usize::MAX))? {
            self.add(&entry::of_leaf(&leaf)?.0);
        }
        Ok(())
    }

    fn add(&mut self, entry: &Entry) {
        self.periods.entry(entry.at.0 / self.frame.period_ms).or_default().add(entry);
    }

    fn told(&self, complete: bool) -> Activity {
        let nothing = Tally::default();
        let buckets = self.frame.periods().map(|number| Bucket {
            at: Timestamp(number * self.frame.period_ms).rfc3339(),
            count: self.periods.get(&number).unwrap_or(&nothing).told(),
        });
        // Clocks go back: what was written then belongs to no period that is shown, and counts all the same.
        let mut total = Tally::default();
        for tally in self.periods.values() {
            total.take_in(tally);
        }
        Activity {
            from: self.frame.from.rfc3339(),
            to: self.frame.to.rfc3339(),
            bucket_seconds: self.frame.period_ms / 1000,
            complete,
            looked_at: total.looked_at,
            total: total.told(),
            buckets: buckets.collect(),
            operations: most(total.operations),
            refusals: most(total.refusals),
        }
    }
}

impl Tally {
    fn add(&mut self, entry: &Entry) {
        self.looked_at += 1;
        match entry.outcome {
            Outcome::Refused => {
                self.refused = self.refused.saturating_add(weight(entry));
                let reason = fold::alone(entry.reason.as_deref().unwrap_or_default());
                let code = reason.split_once(": ").map_or(reason, |(code, _)| code);
                count(&mut self.refusals, if code.is_empty() { "unknown" } else { code }, weight(entry));
            }
            Outcome::Done | Outcome::Failed | Outcome::Undelivered if is_call(entry) => {
                self.durations_ms.push(entry.duration_ms);
            }
            _ => {}
        }
        self.alerts += u64::from(entry.event == Event::Alert);
        if is_call(entry)
            && entry.outcome != Outcome::Intent
            && let Some(operation) = &entry.operation
        {
            count(&mut self.operations, operation, 1);
        }
    }

    fn take_in(&mut self, other: &Self) {
        self.looked_at += other.looked_at;
        self.refused = self.refused.saturating_add(other.refused);
        self.alerts += other.alerts;
        self.durations_ms.extend(&other.durations_ms);
        for (all, own) in [(&mut self.operations, &other.operations), (&mut self.refusals, &other.refusals)] {
            for (name, times) in own {
                count(all, name, *times);
            }
        }
    }

    fn told(&self) -> Count {
        let mut durations_ms = self.durations_ms.clone();
        durations_ms.sort_unstable();
        let nearest = |percent: usize| {
            let rank = (durations_ms.len() * percent).div_ceil(100).max(1);
            durations_ms.get(rank - 1).copied().unwrap_or_default()
        };
        Count {
            answered: durations_ms.len() as u64,
            refused: self.refused,
            alerts: self.alerts,
            p50_ms: nearest(50),
            p95_ms: nearest(95),
        }
    }
}

/// Whether somebody asked for something. Whoever only looks how the appliance is, such as the first page of the dashboard
/// each time that it is opened, is not counted among those who use it.
fn is_call(entry: &Entry) -> bool {
    match entry.event {
        Event::Call => true,
        Event::Administration => !entry.operation.as_deref().is_some_and(|name| LOOKS.contains(&name)),
        _ => false,
    }
}

/// How many refusals an entry stands for: others of one caller are folded into it.
fn weight(entry: &Entry) -> u64 {
    fold::others(entry.reason.as_deref().unwrap_or_default()).saturating_add(1)
}

fn count(names: &mut BTreeMap<String, u64>, name: &str, times: u64) {
    if let Some(count) = names.get_mut(name) {
        *count = count.saturating_add(times);
    } else if names.len() < ACTIVITY_NAMES_MAX {
        names.insert(name.to_owned(), times);
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
        let mut summed = Summed::new(Frame::of(Timestamp(NOW.0 - 3_600_000), NOW), 0);
        for duration in [10, 20, 30, 1000] {
            summed.add(&entry(5, Event::Call, Outcome::Done, duration));
        }
        summed.add(&entry(50, Event::Administration, Outcome::Intent, 0));
        summed.add(&entry(50, Event::Administration, Outcome::Failed, 7));
        summed.add(&entry(50, Event::Call, Outcome::Refused, 1));
        summed.add(&entry(2, Event::Alert, Outcome::Done, 0));
        let told = summed.told(true);
        assert_eq!((told.bucket_seconds, told.buckets.len() as u64), (60, ACTIVITY_BUCKETS_MAX + 1));
        let Count { answered, refused, alerts, p50_ms, p95_ms } = told.total;
        assert_eq!((answered, refused, alerts, p50_ms, p95_ms), (5, 1, 1, 20, 1000));
        let busy: Vec<(u64, u64)> = told.buckets.iter().map(|it| (it.count.answered, it.count.refused)).collect();
        assert_eq!(busy.iter().filter(|count| **count != (0, 0)).collect::<Vec<_>>(), [&(1, 1), &(4, 0)]);
        assert_eq!((told.operations[0].count, told.refusals[0].name.as_str()), (6, "forbidden"));
    }

    #[test]
    fn a_refusal_that_stands_for_others_counts_as_many_and_looking_counts_as_none() {
        let mut summed = Summed::new(Frame::of(Timestamp(NOW.0 - 3_600_000), NOW), 0);
        let mut folded = entry(5, Event::Authentication, Outcome::Refused, 0);
        folded.reason = Some(fold::with_others("unauthenticated: wrong password", 41));
        summed.add(&folded);
        summed.add(&entry(5, Event::Call, Outcome::Refused, 0));
        for name in LOOKS {
            let mut look = entry(5, Event::Administration, Outcome::Done, 90);
            look.operation = Some(name.into());
            summed.add(&look);
        }
        // One whose reason is all code.
        for others in [0, 8] {
            let mut bare = entry(5, Event::Call, Outcome::Refused, 0);
            bare.reason = Some(fold::with_others("http status 400", others));
            summed.add(&bare);
        }
        let told = summed.told(true);
        assert_eq!((told.total.refused, told.total.answered, told.total.p95_ms), (53, 0, 0));
        let refusals: Vec<(&str, u64)> = told.refusals.iter().map(|row| (row.name.as_str(), row.count)).collect();
        assert_eq!(refusals, [("unauthenticated", 42), ("http status 400", 10), ("forbidden", 1)]);
        assert_eq!(told.operations.len(), 1);
    }

    #[test]
    fn however_long_the_time_there_are_so_many_periods() {
        for minutes in [0, 1, 59, 60, 61, 1440, 43_200, 5_000_000] {
            let periods = Frame::of(Timestamp(NOW.0 - minutes * 60_000), NOW).periods();
            assert!((1..=ACTIVITY_BUCKETS_MAX + 1).contains(&(periods.end - periods.start)), "{minutes}");
        }
    }

    #[test]
    fn what_was_counted_goes_on_with_its_time_and_what_is_older_is_forgotten() {
        let frame = |minutes: u64| {
            let now = Timestamp(NOW.0 + minutes * 60_000);
            Frame::of(Timestamp(now.0 - 3_600_000), now)
        };
        let mut summed = Summed::new(frame(0), 0);
        summed.add(&entry(50, Event::Call, Outcome::Done, 10));
        summed.add(&entry(5, Event::Call, Outcome::Done, 20));
        assert!(summed.is_before(frame(0), 0) && summed.is_before(frame(20), 100));
        assert!(!summed.is_before(frame(20), 2 * ACTIVITY_ENTRIES_MAX), "too much is new");
        assert!(!summed.is_before(Frame { period_ms: 120_000, ..frame(20) }, 0), "another span");
        summed.move_to(frame(20));
        assert!(!summed.is_before(frame(0), 0), "what was before is gone");
        summed.add(&entry(0, Event::Call, Outcome::Done, 30));
        let told = summed.told(true);
        assert_eq!((told.total.answered, told.total.p50_ms, told.looked_at), (2, 20, 2));
        assert_eq!(told.buckets.iter().map(|bucket| bucket.count.answered).sum::<u64>(), 2);
    }

    #[test]
    fn an_entry_of_a_clock_that_went_back_counts_in_no_period() {
        let mut summed = Summed::new(Frame::of(Timestamp(NOW.0 - 3_600_000), NOW), 0);
        let mut late = entry(0, Event::Call, Outcome::Done, 1);
        late.at = Timestamp(NOW.0 + 99_000_000);
        summed.add(&late);
        let told = summed.told(true);
        assert_eq!(told.total.answered, 1);
        assert_eq!(told.buckets.iter().map(|bucket| bucket.count.answered).sum::<u64>(), 0);
    }
}
