//! Calls by time, in periods that grow longer when there are too many of them.

use std::collections::BTreeMap;

use crate::base::bound;
use crate::base::clock::Timestamp;

const HOUR_MS: u64 = 3_600_000;

/// Periods with calls: hours first; when there are more than [`bound::REPORT_PERIODS_MAX`], days, then two days, four,
/// and so on. They begin at midnight UTC, or at the full hour.
#[derive(Clone, Debug)]
pub(super) struct Periods {
    hours: u64,
    /// By number since 1970.
    calls: BTreeMap<u64, u64>,
}

impl Default for Periods {
    fn default() -> Self {
        Self { hours: 1, calls: BTreeMap::new() }
    }
}

impl Periods {
    pub(super) fn add(&mut self, at: Timestamp) {
        *self.calls.entry(at.0 / HOUR_MS / self.hours).or_default() += 1;
        while self.calls.len() > bound::REPORT_PERIODS_MAX {
            let wider = if self.hours == 1 { 24 } else { self.hours * 2 };
            let times = wider / self.hours;
            let calls = std::mem::take(&mut self.calls);
            for (period, calls) in calls {
                *self.calls.entry(period / times).or_default() += calls;
            }
            self.hours = wider;
        }
    }

    /// How long a period is.
    pub(super) fn hours(&self) -> u64 {
        self.hours
    }

    /// When each period with calls begins, and how many there were, oldest first.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = (Timestamp, u64)> {
        let span_ms = HOUR_MS * self.hours;
        self.calls.iter().map(move |(period, calls)| (Timestamp(period * span_ms), *calls))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_MS: u64 = 24 * HOUR_MS;

    fn of(times: impl IntoIterator<Item = u64>) -> Periods {
        let mut periods = Periods::default();
        times.into_iter().for_each(|at| periods.add(Timestamp(at)));
        periods
    }

    #[test]
    fn calls_are_counted_by_the_hour() {
        let periods = of([0, HOUR_MS - 1, HOUR_MS, 5 * HOUR_MS]);
        let rows: Vec<_> = periods.rows().map(|(from, calls)| (from.0, calls)).collect();
        assert_eq!(rows, [(0, 2), (HOUR_MS, 1), (5 * HOUR_MS, 1)]);
    }

    #[test]
    fn too_many_hours_become_days_and_days_become_longer() {
        let month = bound::REPORT_PERIODS_MAX as u64;
        assert_eq!(of((0..month).map(|hour| hour * HOUR_MS)).hours(), 1);
        let days = of((0..=month).map(|hour| hour * HOUR_MS));
        assert_eq!(days.hours(), 24);
        assert_eq!(days.rows().nth(1), Some((Timestamp(DAY_MS), 24)));
        assert_eq!(of((0..=month).map(|day| day * DAY_MS)).hours(), 48);
    }

    proptest! {
        #[test]
        fn whatever_the_times_are_no_call_is_lost_and_memory_is_bounded(
            times in proptest::collection::vec((any::<u64>(), 0..64_u32), 0..2000)
        ) {
            let periods = of(times.iter().map(|(at, shift)| at >> shift));
            prop_assert!(periods.calls.len() <= bound::REPORT_PERIODS_MAX);
            prop_assert_eq!(periods.rows().map(|(_, calls)| calls).sum::<u64>(), times.len() as u64);
        }
    }
}
