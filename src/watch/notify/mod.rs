//! Sends alerts out: one task for each place, with its own cursor in the queue and its own patience.

pub mod message;
pub mod smtp;
pub mod syslog;
pub mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::alert::{self, AlertRecord};
use super::event::SecurityEvent;
use super::{Watch, own};
use crate::base::bound;
use crate::base::id::random_bytes;
use crate::base::secret::Secret;
use crate::base::severity::Severity;
use crate::store::{Batch, Store};
use crate::vault::credential::{self, CredentialName};
use crate::vault::door::Door;

/// One way out.
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// `webhook`, `smtp`, `syslog`: under this name the cursor is kept.
    fn name(&self) -> &'static str;
    /// Where it leads, for people.
    fn describe(&self) -> String;
    /// Hands one alert over; gives what the other end answered, or why it could not be done. Ends within
    /// [`bound::EGRESS_TOTAL_MS`].
    fn send<'a>(&'a self, alert: &'a AlertRecord) -> BoxFuture<'a, Result<String, String>>;
}

/// A sink, and how far it has come.
#[derive(Debug)]
pub struct Place {
    sink: Box<dyn Sink>,
    /// The least that it is sent.
    severity: Severity,
    /// Sequence up to which it was given everything.
    come: AtomicU64,
    wake: Notify,
}

impl Place {
    pub fn new(sink: Box<dyn Sink>, severity: Severity) -> Arc<Self> {
        Arc::new(Self { sink, severity, come: AtomicU64::new(0), wake: Notify::new() })
    }

    pub fn name(&self) -> &'static str {
        self.sink.name()
    }

    pub fn describe(&self) -> String {
        self.sink.describe()
    }

    pub(super) fn begin(&self, come: u64) {
        self.come.store(come, Ordering::Relaxed);
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn send(&self, alert: &AlertRecord) -> Result<String, String> {
        let limit = Duration::from_millis(bound::EGRESS_TOTAL_MS);
        let sent = tokio::time::timeout(limit, self.sink.send(alert)).await;
        sent.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs())))
    }

    /// Sends what waits, in order, until `stop`.
    pub(super) async fn run(self: Arc<Self>, watch: Arc<Watch>, stop: CancellationToken) {
        loop {
            let come = self.come.load(Ordering::Relaxed);
            let rows = watch.store().read(|snapshot| alert::after(snapshot, come, bound::ALERT_BATCH_MAX));
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::error!(%error, place = self.name(), "waiting alerts cannot be read");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(Duration::from_millis(bound::ALERT_RETRY_MS)) => continue,
                    }
                }
            };
            if rows.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.wake.notified() => {}
                }
                continue;
            }
            for (sequence, alert) in rows {
                if alert.severity >= self.severity || alert.is_grave_incident() {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.deliver(&watch, &alert) => {}
                    }
                }
                self.come.store(sequence, Ordering::Relaxed);
                // Sent and not written: it is sent again after a crash, under the same id.
                let row = alert::cursor_row(self.name(), sequence);
                if let Err(error) = watch.store().commit(Batch::puts(vec![row])).await {
                    tracing::warn!(%error, place = self.name(), "how far alerts were sent could not be written");
                }
            }
        }
    }

    /// Sends one alert, and tries again with growing waits until it is gone or given up.
    async fn deliver(&self, watch: &Watch, alert: &AlertRecord) {
        let mut attempts = 0;
        loop {
            let age = watch.audit.now().since(alert.last);
            let given_up = attempts >= bound::ALERT_ATTEMPTS_MAX || (attempts > 0 && age > bound::ALERT_AGE_MAX);
            if given_up {
                let detail = format!("{}: alert {} was given up after {attempts} attempts", self.name(), alert.id);
                // One that says so would be given up next: no alert about such an alert.
                if alert.event != SecurityEvent::DeliveryFailing {
                    watch.raise(own(SecurityEvent::DeliveryFailing, detail)).await;
                }
                return;
            }
            match self.send(alert).await {
                Ok(_) => return,
                Err(reason) => {
                    tracing::warn!(place = self.name(), alert = alert.id, attempts, reason, "an alert was not taken");
                    tokio::time::sleep(wait(attempts)).await;
                    attempts += 1;
                }
            }
        }
    }
}

/// The wait after so many failures: doubled each time, and somewhere in its second half, so that many servers do not
/// come back at once.
fn wait(attempts: u32) -> Duration {
    let doubled = bound::ALERT_RETRY_MS.checked_shl(attempts.min(32)).unwrap_or(u64::MAX);
    let full = doubled.min(bound::ALERT_RETRY_MS_MAX);
    let random = random_bytes::<2>().map_or(0, |bytes| u64::from(u16::from_be_bytes(bytes)));
    Duration::from_millis(full / 2 + full / 2 * random / u64::from(u16::MAX))
}

/// Credentials of the vault, for sinks.
#[derive(Clone)]
pub struct Keys {
    pub store: Store,
    pub vault: Arc<Door>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// The value of a credential; the error names it and says why it cannot be had.
    fn value(&self, name: &str) -> Result<Secret, String> {
        let told = |error: &dyn std::fmt::Display| format!("the credential {name}: {error}");
        let name = CredentialName::parse(name).map_err(|error| told(&error))?;
        let open = self.vault.opened().map_err(|error| told(&error))?;
        self.store.read(|snapshot| credential::value(&open, snapshot, &name)).map_err(|error| told(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        for attempts in 0..100 {
            let full = (bound::ALERT_RETRY_MS << attempts.min(20)).min(bound::ALERT_RETRY_MS_MAX);
            let wait = u64::try_from(wait(attempts).as_millis()).unwrap();
            assert!((full / 2..=full).contains(&wait), "{attempts}: {wait}");
        }
    }
}
