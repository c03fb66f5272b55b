//! Counters of what passed, for `sekisho doctor`; their export comes with the gate.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    answered: AtomicU64,
    refused: AtomicU64,
    listed: AtomicU64,
    uncounted: AtomicU64,
}

impl Metrics {
    pub fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A list, which the audit log does not hold at its usual level.
    pub fn listed(&self) {
        self.listed.fetch_add(1, Ordering::Relaxed);
    }

    /// A ping, a notification, a health check.
    pub fn passed(&self) {
        self.uncounted.fetch_add(1, Ordering::Relaxed);
    }

    pub fn to_json(&self) -> Value {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "answered": load(&self.answered),
            "refused": load(&self.refused),
            "lists": load(&self.listed),
            "pings_and_notifications": load(&self.uncounted),
        })
    }
}
