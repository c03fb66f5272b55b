//! What each principal usually does, and what is not like it: rate, operation, address, volume. It alerts and never
//! blocks.

use super::event::SecurityEvent;
use super::finding::{Action, Finding, Who};
use super::window::Recent;
use crate::audit::Numbered;
use crate::audit::entry::{Event, Outcome};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::config;

/// The habits of those seen last, at most [`bound::BASELINE_PRINCIPALS_MAX`].
#[derive(Debug)]
pub struct Baseline {
    settings: config::watch::Baseline,
    habits: Recent<String, Habit>,
}

#[derive(Debug)]
struct Habit {
    since: Timestamp,
    /// Which interval of [`bound::BASELINE_INTERVAL`] is under way, since 1970.
    interval: u64,
    calls: Flow,
    bytes: Flow,
    operations: Recent<String, ()>,
    addresses: Recent<String, ()>,
}

/// An amount per interval: its exponentially weighted mean and variance over intervals in which there was any.
#[derive(Debug, Default)]
struct Flow {
    current: f64,
    mean: f64,
    variance: f64,
    intervals: u64,
    /// It was told in this interval.
    told: bool,
}

impl Flow {
    /// The interval is over: it becomes part of the habit (West, 1979, in its exponentially weighted form).
    fn turn(&mut self) {
        if self.current > 0.0 {
            let weight = if self.intervals == 0 { 1.0 } else { bound::BASELINE_WEIGHT };
            let difference = self.current - self.mean;
            let step = weight * difference;
            self.mean += step;
            self.variance = (1.0 - weight) * (self.variance + difference * step);
            self.intervals += 1;
        }
        self.current = 0.0;
        self.told = false;
    }

    /// Adds `amount`; gives the usual amount once in an interval, where this one is far beyond it and over `floor`.
    fn add(&mut self, amount: f64, deviations: f64, floor: f64) -> Option<f64> {
        self.current += amount;
        // A habit that never varied still may by a quarter.
        let deviation = self.variance.max(0.0).sqrt().max(self.mean / 4.0);
        let usual = self.intervals >= bound::BASELINE_INTERVALS_MIN && !self.told;
        let far = self.current > floor.max(self.mean + deviations * deviation);
        (usual && far).then(|| {
            self.told = true;
            self.mean
        })
    }
}

impl Baseline {
    pub fn new(settings: config::watch::Baseline) -> Self {
        Self { settings, habits: Recent::new(bound::BASELINE_PRINCIPALS_MAX) }
    }

    /// Takes an entry in; what is unusual in it is given once the principal has been watched for the learning period.
    pub fn observe(&mut self, numbered: &Numbered) -> Vec<Finding> {
        let Numbered { sequence, entry, .. } = numbered;
        let Some(personal) = numbered.open_personal() else { return Vec::new() };
        let Some(principal) = &personal.principal else { return Vec::new() };
        if entry.event != Event::Call || entry.outcome == Outcome::Intent {
            return Vec::new();
        }
        let at = entry.at;
        let interval = at.0 / bound::BASELINE_INTERVAL_MS;
        let habit = self.habits.see(principal, || Habit {
            since: at,
            interval,
            calls: Flow::default(),
            bytes: Flow::default(),
            operations: Recent::new(bound::BASELINE_OPERATIONS_MAX),
            addresses: Recent::new(bound::BASELINE_ADDRESSES_MAX),
        });
        let learnt = at.since(habit.since) >= self.settings.learning;
        if interval > habit.interval {
            habit.interval = interval;
            habit.calls.turn();
            habit.bytes.turn();
        }
        let deviations = self.settings.deviations;
        let mut found = Vec::new();
        if let Some(usual) = habit.calls.add(1.0, deviations, bound::BASELINE_CALLS_FLOOR) {
            let detail = format!("{:.0} calls in 10 min, {usual:.0} are usual", habit.calls.current);
            found.push((SecurityEvent::BaselineRate, detail));
        }
        if let Some(usual) = habit.bytes.add(amount(entry.output_bytes), deviations, bound::BASELINE_BYTES_FLOOR) {
            let detail = format!("{:.0} bytes in 10 min, {usual:.0} are usual", habit.bytes.current);
            found.push((SecurityEvent::BaselineVolume, detail));
        }
        // What was refused is no habit.
        if entry.outcome == Outcome::Done {
            if let Some(operation) = &entry.operation
                && is_new(&mut habit.operations, operation)
            {
                found.push((SecurityEvent::BaselineOperation, format!("{operation} for the first time")));
            }
            if let Some(peer) = &personal.peer
                && is_new(&mut habit.addresses, peer)
            {
                found.push((SecurityEvent::BaselineAddress, "an address for the first time".to_owned()));
            }
        }
        if !learnt {
            return Vec::new();
        }
        let finding = |(event, detail)| Finding {
            event,
            who: Who::of(entry, Some(personal)),
            sequence: Some(*sequence),
            detail,
            action: Action::Alert,
        };
        found.into_iter().map(finding).collect()
    }
}

fn is_new(known: &mut Recent<String, ()>, name: &str) -> bool {
    let name: String = name.chars().take(bound::AUDIT_NAME_CHARS_MAX).collect();
    let mut is_new = false;
    known.see(&name, || is_new = true);
    is_new
}

#[allow(clippy::cast_precision_loss, reason = "beyond 2^53 bytes a difference of one is none")]
fn amount(bytes: u64) -> f64 {
    bytes as f64
}
