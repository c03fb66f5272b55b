//! How often somebody may call: within any minute and at once by principal, within any hour by session, by tool, and
//! by address before anybody is recognised.

mod meter;
mod window;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::network::Network;
use crate::base::principal::Principal;
use crate::config;
use crate::store::{Batch, Put, Snapshot, Store, StoreError};
use meter::{Key, Meters};
use window::Pace;

/// Calls in a minute and an hour are counted in so many parts; the one that has begun counts in full, so a call may
/// come back a part too late and never too early.
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// All that is counted. In memory; what was used is written every few seconds, so that a restart gives little back.
#[derive(Debug)]
pub struct Quota {
    rate: config::Rate,
    pace: Pace,
    clock: Arc<dyn Clock>,
    /// Wall time and monotonic time of the start: counts must outlast a restart, and no clock that is set back may
    /// give calls back.
    start: (Timestamp, Duration),
    /// Held for a few look-ups, never across an await.
    meters: Mutex<Meters>,
    /// Held while counts are written.
    writing: tokio::sync::Mutex<()>,
}

/// A call too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The setting that says so.
    pub limit: &'static str,
    /// What there were too many of.
    pub what: &'static str,
    /// How many there may be within `window`.
    pub quota: u32,
    pub window: Duration,
    /// `quota` of them may come at once, and then one in each of these; `None` where they are counted in a window.
    pub every: Option<Duration>,
    /// Until there is one again.
    pub wait: Duration,
}

impl Quota {
    pub fn new(rate: config::Rate, clock: Arc<dyn Clock>) -> Self {
        let start = (clock.now(), clock.monotonic());
        let pace = Pace::new(rate.per_minute, rate.burst_limit);
        Self { rate, pace, clock, start, meters: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    /// Takes up what was used before a restart.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let now = self.now();
        self.lock().restore(snapshot, now)
    }

    /// Takes one call of `principal`, in the session behind `handle`, or says when there will be one.
    pub fn take(&self, principal: &Principal, handle: &Handle) -> Result<(), Over> {
        let now = self.now();
        let mut meters = self.lock();
        let minute = over("rate.per_minute", "calls of this principal", self.rate.per_minute, MINUTE);
        let hour = over("rate.per_session", "calls in this session", self.rate.per_session, HOUR);
        let (principal, session) = (Key::Principal(Arc::clone(&principal.id)), Key::of_session(principal, handle));
        // All are looked at before one is taken: a call that is refused costs nothing. Of several the one that holds
        // longest is told: whoever came back for another would be refused again.
        let by_principal = meters.of(&principal, MINUTE);
        let found = [
            by_principal.window.wait(now, self.rate.per_minute).map(|wait| Over { wait, ..minute }),
            self.pace.wait(by_principal.next, now).map(|wait| Over { wait, ..self.burst() }),
            meters.of(&session, HOUR).window.wait(now, self.rate.per_session).map(|wait| Over { wait, ..hour }),
        ];
        if let Some(longest) = found.into_iter().flatten().max_by_key(|over| over.wait) {
            return Err(longest);
        }
        let by_principal = meters.of(&principal, MINUTE);
        by_principal.next = self.pace.after(by_principal.next, now);
        by_principal.window.take(now);
        meters.of(&session, HOUR).window.take(now);
        meters.touch(principal);
        meters.touch(session);
        Ok(())
    }

    /// Takes one call of a tool, where it has a rate of its own.
    pub fn take_tool(&self, principal: &Principal, tool: &str) -> Result<(), Over> {
        let Some((name, quota)) = self.rate.per_tool.iter().find(|(name, _)| name == tool) else { return Ok(()) };
        let key = Key::Tool(Arc::clone(&principal.id), name.as_str().into());
        self.take_one(key, over("rate.per_tool", "calls of this tool", *quota, MINUTE))
    }

    /// Takes one request of an address, before anybody is recognised.
    pub fn take_address(&self, address: IpAddr) -> Result<(), Over> {
        let factor = if address.to_canonical().is_loopback() { bound::LOOPBACK_RATE_FACTOR } else { 1 };
        let quota = self.rate.per_address.saturating_mul(factor);
        let key = Key::Address(Network::of_subscriber(address));
        self.take_one(key, over("rate.per_address", "requests from this address", quota, MINUTE))
    }

    /// A connection's session is over: nobody calls in it again.
    pub fn forget(&self, handle: &Handle) {
        if let Handle::Connection(id) = handle {
            self.lock().remove(&Key::Connection(id.clone()));
        }
    }

    /// Drops counts that are as good as none.
    pub fn sweep(&self) {
        let now = self.now();
        self.lock().sweep(now);
    }

    /// Writes what was used since the last time. Costs nothing while nobody calls.
    pub async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        loop {
            let rows: Vec<Put> = self.lock().take_dirty(bound::GATE_FLUSH_ROWS_MAX);
            if rows.is_empty() {
                return Ok(());
            }
            store.commit(Batch::puts(rows)).await?;
        }
    }

    fn take_one(&self, key: Key, over: Over) -> Result<(), Over> {
        let now = self.now();
        let mut meters = self.lock();
        let meter = meters.of(&key, MINUTE);
        if let Some(wait) = meter.window.wait(now, over.quota) {
            return Err(Over { wait, ..over });
        }
        meter.window.take(now);
        meters.touch(key);
        Ok(())
    }

    /// So many at once; they have all come back after as many paces.
    fn burst(&self) -> Over {
        let (quota, every) = (self.rate.burst_limit, self.pace.every());
        let window = every.saturating_mul(quota);
        Over { every: Some(every), ..over("rate.burst_limit", "calls at once of this principal", quota, window) }
    }

    /// Wall time that never goes back while we run.
    fn now(&self) -> Duration {
        let (wall, monotonic) = self.start;
        Duration::from_millis(wall.0) + self.clock.monotonic().saturating_sub(monotonic)
    }

    fn lock(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn over(limit: &'static str, what: &'static str, quota: u32, window: Duration) -> Over {
    Over { limit, what, quota, window, every: None, wait: Duration::ZERO }
}

#[cfg(test)]
mod tests;
