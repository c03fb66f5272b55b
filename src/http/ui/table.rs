//! The browsers that are logged in to the dashboard. In memory only: a restart logs everybody out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::browser::Stamp;
use crate::base::bound::ui as bound;
use crate::base::clock::Clock;
use crate::base::id::{NoEntropy, hex, random_bytes};
use crate::config::Session;
use crate::crypto::digest::{Hash, sha256};

/// All of them, by the digest of their cookie: what is in memory opens nothing.
pub(super) struct Table {
    clock: Arc<dyn Clock>,
    /// How long a session lives, however busy it is.
    life: Duration,
    /// How long it lives without a page that somebody asked for.
    idle: Duration,
    of_account_max: usize,
    /// Held for a look-up, never across an await.
    open: Mutex<HashMap<Hash, Open>>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Table")
    }
}

struct Open {
    whose: Whose,
    began: Duration,
    /// When a page was asked for last; what a page asks for by itself does not count.
    seen: Duration,
    streams: Arc<Semaphore>,
}

/// What is remembered of a login. No password, no role: those are looked up with every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) account: Arc<str>,
    pub(super) stamp: Stamp,
}

impl Table {
    /// What is configured of sessions holds for these as well, and our own bounds where those are narrower.
    pub(super) fn new(clock: Arc<dyn Clock>, session: &Session) -> Self {
        let of_account = session.concurrent_max.unwrap_or(bound::UI_SESSIONS_PER_ACCOUNT_MAX);
        Self {
            clock,
            life: session.timeout.min(Duration::from_secs(bound::UI_SESSION_SECONDS)),
            idle: session.idle_timeout.min(Duration::from_secs(bound::UI_IDLE_SECONDS)),
            of_account_max: of_account.clamp(1, bound::UI_SESSIONS_PER_ACCOUNT_MAX),
            open: Mutex::default(),
        }
    }

    /// Begins a session and gives its cookie. Where there are too many, the one that was quiet longest ends.
    pub(super) fn begin(&self, whose: Whose) -> Result<String, NoEntropy> {
        let cookie = hex(&random_bytes::<32>()?);
        let now = self.clock.monotonic();
        let mut open = self.lock();
        open.retain(|_, session| !self.is_over(session, now));
        let of_account = |session: &Open| session.whose.account == whose.account;
        if open.values().filter(|session| of_account(session)).count() >= self.of_account_max {
            remove_quietest(&mut open, of_account);
        }
        if open.len() >= bound::UI_SESSIONS_MAX {
            remove_quietest(&mut open, |_| true);
        }
        let streams = Arc::new(Semaphore::new(bound::UI_STREAMS_MAX));
        open.insert(key_of(&cookie), Open { whose, began: now, seen: now, streams });
        Ok(cookie)
    }

    /// Whose session this cookie is. `touches`: a person asked, so that it is not idle.
    pub(super) fn find(&self, cookie: &str, touches: bool) -> Option<Whose> {
        let now = self.clock.monotonic();
        let mut open = self.lock();
        let key = key_of(cookie);
        let session = open.get_mut(&key)?;
        if self.is_over(session, now) {
            open.remove(&key);
            return None;
        }
        if touches {
            session.seen = now;
        }
        Some(session.whose.clone())
    }

    /// A place for one more stream of this session.
    pub(super) fn stream(&self, cookie: &str) -> Option<OwnedSemaphorePermit> {
        let streams = Arc::clone(&self.lock().get(&key_of(cookie))?.streams);
        streams.try_acquire_owned().ok()
    }

    pub(super) fn end(&self, cookie: &str) {
        self.lock().remove(&key_of(cookie));
    }

    fn is_over(&self, session: &Open, now: Duration) -> bool {
        now.saturating_sub(session.began) >= self.life || now.saturating_sub(session.seen) >= self.idle
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove_quietest(open: &mut HashMap<Hash, Open>, which: impl Fn(&Open) -> bool) {
    let quietest = open.iter().filter(|(_, session)| which(session)).min_by_key(|(_, session)| session.seen);
    if let Some(key) = quietest.map(|(key, _)| *key) {
        open.remove(&key);
    }
}

fn key_of(cookie: &str) -> Hash {
    sha256(&[b"browser session", cookie.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::config::raw::{Bind, WhenFull};

    fn table_with(idle_minutes: u64, life_minutes: u64, concurrent_max: Option<usize>) -> (Arc<ManualClock>, Table) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let session = Session {
            timeout: Duration::from_mins(life_minutes),
            idle_timeout: Duration::from_mins(idle_minutes),
            concurrent_max,
            when_full: WhenFull::EndOldestIdle,
            rotation: None,
            bind: Bind::Principal,
        };
        let table = Table::new(Arc::clone(&clock) as Arc<dyn Clock>, &session);
        (clock, table)
    }

    /// As wide as it may be.
    fn table() -> (Arc<ManualClock>, Table) {
        table_with(10_080, 10_080, None)
    }

    fn whose(account: &str) -> Whose {
        Whose { account: account.into(), stamp: Stamp::of_nobody() }
    }

    #[test]
    fn a_session_ends_when_nobody_asks_for_half_an_hour_and_after_a_working_day() {
        let (clock, table) = table();
        let cookie = table.begin(whose("ann")).unwrap();
        let idle = Duration::from_secs(bound::UI_IDLE_SECONDS);
        clock.advance(idle.saturating_sub(Duration::from_secs(1)));
        assert_eq!(table.find(&cookie, true), Some(whose("ann")));
        clock.advance(idle.saturating_sub(Duration::from_secs(1)));
        assert!(table.find(&cookie, false).is_some(), "it was touched in between");
        clock.advance(Duration::from_secs(1));
        assert_eq!(table.find(&cookie, true), None, "a stream touches nothing");

        let cookie = table.begin(whose("ann")).unwrap();
        let mut lived = Duration::ZERO;
        while lived + idle / 2 < Duration::from_secs(bound::UI_SESSION_SECONDS) {
            clock.advance(idle / 2);
            lived += idle / 2;
            assert!(table.find(&cookie, true).is_some(), "after {lived:?}");
        }
        clock.advance(idle / 2);
        assert_eq!(table.find(&cookie, true), None, "however busy it was");
    }

    #[test]
    fn what_is_configured_of_sessions_holds_for_browsers_too() {
        let (clock, table) = table_with(15, 60, Some(2));
        let cookies: Vec<String> = (0..3).map(|_| table.begin(whose("ann")).unwrap()).collect();
        assert_eq!(cookies.iter().filter(|cookie| table.find(cookie, false).is_some()).count(), 2);
        clock.advance(Duration::from_mins(15));
        assert!(cookies.iter().all(|cookie| table.find(cookie, true).is_none()), "idle for fifteen minutes");
        let cookie = table.begin(whose("ann")).unwrap();
        for _ in 0..5 {
            clock.advance(Duration::from_mins(10));
            assert!(table.find(&cookie, true).is_some());
        }
        clock.advance(Duration::from_mins(10));
        assert!(table.find(&cookie, true).is_none(), "an hour, however busy it was");
    }

    #[test]
    fn there_are_so_many_sessions_and_the_quietest_goes_first() {
        let (clock, table) = table();
        let mut cookies = Vec::new();
        for _ in 0..bound::UI_SESSIONS_PER_ACCOUNT_MAX {
            cookies.push(table.begin(whose("ann")).unwrap());
            clock.advance(Duration::from_secs(1));
        }
        table.find(&cookies[0], true);
        let other = table.begin(whose("bob")).unwrap();
        let newest = table.begin(whose("ann")).unwrap();
        let is_open = |cookie: &String| table.find(cookie, false).is_some();
        assert!(is_open(&cookies[0]) && !is_open(&cookies[1]) && is_open(&cookies[2]));
        assert!(is_open(&other) && is_open(&newest));

        for number in 0..2 * bound::UI_SESSIONS_MAX {
            table.begin(whose(&number.to_string())).unwrap();
        }
        assert_eq!(table.lock().len(), bound::UI_SESSIONS_MAX);
    }

    #[test]
    fn a_cookie_that_was_ended_or_made_up_opens_nothing_and_streams_are_counted() {
        let (_, table) = table();
        let cookie = table.begin(whose("ann")).unwrap();
        assert!(table.find(&"0".repeat(64), true).is_none());
        let held: Vec<_> = (0..bound::UI_STREAMS_MAX).map(|_| table.stream(&cookie).unwrap()).collect();
        assert!(table.stream(&cookie).is_none());
        drop(held);
        assert!(table.stream(&cookie).is_some());
        table.end(&cookie);
        assert!(table.find(&cookie, true).is_none() && table.stream(&cookie).is_none());
    }
}
