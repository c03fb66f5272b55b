//! How a report's time is cut into steps: round ones, and no more than a plot shows.

use std::collections::BTreeMap;

use super::{OverTime, Step};
use crate::audit::entry::{Entry, Outcome};
use crate::audit::report::histogram::Histogram;
use crate::base::bound::report as bound;
use crate::base::clock::Timestamp;

/// Lengths of steps in seconds: minutes, hours, days; beyond, whole days.
const STEPS_SECONDS: [u64; 11] =
    [60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 604_800, 2_592_000];

/// Counts by step.
#[derive(Debug)]
pub(super) struct Steps {
    first: u64,
    last: u64,
    length_ms: u64,
    /// By number since 1970.
    counts: BTreeMap<u64, Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    done: u64,
    failed: u64,
    refused: u64,
    alerts: u64,
    durations: Histogram,
}

impl Steps {
    pub(super) fn new(from: Timestamp, to: Timestamp) -> Self {
        let span_ms = to.0.saturating_sub(from.0).max(1);
        let fits = |length: &u64| span_ms.div_ceil(length * 1000) <= bound::STEPS_MAX;
        let days = || span_ms.div_ceil(bound::STEPS_MAX * 86_400_000) * 86_400;
        let length_ms = STEPS_SECONDS.into_iter().find(fits).unwrap_or_else(days) * 1000;
        let last = to.0.saturating_sub(1).max(from.0) / length_ms;
        Self { first: from.0 / length_ms, last, length_ms, counts: BTreeMap::new() }
    }

    /// What was counted at this time. What came when the clock was off is counted at the nearer end.
    fn at(&mut self, at: Timestamp) -> &mut Counts {
        self.counts.entry((at.0 / self.length_ms).clamp(self.first, self.last)).or_default()
    }

    /// Counts an alert.
    pub(super) fn add_alert(&mut self, at: Timestamp) {
        self.at(at).alerts += 1;
    }

    /// Counts a call.
    pub(super) fn add(&mut self, entry: &Entry) {
        let counts = self.at(entry.at);
        match entry.outcome {
            Outcome::Refused => counts.refused += 1,
            Outcome::Failed => counts.failed += 1,
            _ => counts.done += 1,
        }
        if matches!(entry.outcome, Outcome::Done | Outcome::Failed | Outcome::Undelivered) {
            counts.durations.add(entry.duration_ms);
        }
    }

    pub(super) fn told(&self) -> OverTime {
        let step = |(number, counts): (&u64, &Counts)| Step {
            from: Timestamp(number * self.length_ms).rfc3339(),
            done: counts.done,
            failed: counts.failed,
            refused: counts.refused,
            alerts: counts.alerts,
            p50_ms: counts.durations.percentile(50),
            p95_ms: counts.durations.percentile(95),
            max_ms: counts.durations.max(),
        };
        OverTime { step_seconds: self.length_ms / 1000, steps: self.counts.iter().map(step).collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn length_s(span_ms: u64) -> u64 {
        Steps::new(Timestamp(0), Timestamp(span_ms)).length_ms / 1000
    }

    #[test]
    fn steps_are_round_and_few() {
        assert_eq!(length_s(HOUR_MS), 60);
        assert_eq!(length_s(24 * HOUR_MS), 900);
        assert_eq!(length_s(7 * 24 * HOUR_MS), 3 * 3600);
        assert_eq!(length_s(30 * 24 * HOUR_MS), 6 * 3600);
        assert_eq!(length_s(365 * 24 * HOUR_MS), 604_800);
    }

    proptest! {
        #[test]
        fn however_long_a_report_is_its_steps_are_bounded(from in 0..u64::MAX / 2, span in 0..u64::MAX / 2) {
            let steps = Steps::new(Timestamp(from), Timestamp(from + span));
            prop_assert!(steps.last >= steps.first);
            prop_assert!(steps.last - steps.first <= bound::STEPS_MAX);
        }
    }
}
