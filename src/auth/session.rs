//! Sessions: who has been here, since when, and how much of theirs is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{NoEntropy, SessionId};
use crate::base::principal::Principal;
use crate::config;

/// What a caller holds on to a session by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Handle {
    /// A connection: one stdio stream, or one `Mcp-Session-Id`.
    Connection(SessionId),
    /// The credential alone: protocol 2026-07-28 has no session that a client could vary.
    Credential,
}

/// All sessions there are. In memory: a restart ends them, and whoever still has a credential gets a new one.
#[derive(Debug)]
pub struct Sessions {
    clock: Arc<dyn Clock>,
    times: config::Session,
    per_session: usize,
    in_flight: Arc<Semaphore>,
    /// Held for a map look-up, never across an await.
    table: Mutex<HashMap<Key, Entry>>,
}

type Key = (Arc<str>, Handle);

#[derive(Debug)]
struct Entry {
    id: SessionId,
    began: Timestamp,
    seen: Timestamp,
    permits: Arc<Semaphore>,
}

/// A place in a session, held while a call runs and given back by dropping it.
#[derive(Debug)]
pub struct Permit {
    _session: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// What entering a session found.
#[derive(Debug)]
pub struct Entered {
    pub id: SessionId,
    pub turn: Turn,
    pub permit: Permit,
}

/// Whether the session is the one of last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    Current,
    Began,
    /// The old one timed out; the credential still holds.
    Renewed {
        old: SessionId,
    },
}

/// Why nobody may enter.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("this session has {0} calls under way, which is the most it may have; wait for one to end")]
    SessionBusy(usize),
    #[error("Sekisho has as many calls under way as it may have; come back in a moment")]
    Busy,
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// A session that ended by itself.
#[derive(Clone, Debug)]
pub struct Ended {
    pub principal: Arc<str>,
    pub id: SessionId,
    pub why: &'static str,
}

impl Sessions {
    pub fn new(clock: Arc<dyn Clock>, times: config::Session, limits: config::Limits) -> Self {
        Self {
            clock,
            times,
            per_session: limits.in_flight_per_session_max,
            in_flight: Arc::new(Semaphore::new(limits.in_flight_max)),
            table: Mutex::default(),
        }
    }

    /// Takes a place in the session of `principal` behind `handle`; begins or renews it as needed.
    pub fn enter(&self, principal: &Principal, handle: &Handle) -> Result<Entered, SessionError> {
        let now = self.clock.now();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(&principal.id), handle.clone());
        if !table.contains_key(&key) && table.len() >= bound::SESSIONS_MAX {
            self.make_room(&mut table);
        }
        let mut turn = Turn::Current;
        let per_session = self.per_session;
        let entry = match table.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                turn = Turn::Began;
                let permits = Arc::new(Semaphore::new(per_session));
                place.insert(Entry { id: SessionId::random()?, began: now, seen: now, permits })
            }
        };
        if self.is_over(entry, now) {
            let old = std::mem::replace(&mut entry.id, SessionId::random()?);
            entry.began = now;
            turn = Turn::Renewed { old };
        }
        entry.seen = now;
        let id = entry.id.clone();
        let permits = Arc::clone(&entry.permits);
        drop(table);
        let session = permits.try_acquire_owned().map_err(|_| SessionError::SessionBusy(per_session))?;
        let all = Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| SessionError::Busy)?;
        Ok(Entered { id, turn, permit: Permit { _session: session, _all: all } })
    }

    /// Forgets a session whose connection is gone.
    pub fn leave(&self, principal: &Principal, handle: &Handle) -> Option<SessionId> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(&(Arc::clone(&principal.id), handle.clone())).map(|entry| entry.id)
    }

    /// Ends what has timed out and has nothing under way.
    pub fn sweep(&self) -> Vec<Ended> {
        let now = self.clock.now();
        let mut ended = Vec::new();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|(principal, _), entry| {
            let over = self.is_over(entry, now) && entry.permits.available_permits() == self.per_session;
            if over {
                let idle = now.since(entry.seen) > self.times.idle_timeout;
                let why = if idle { "idle for too long" } else { "older than a session may be" };
                ended.push(Ended { principal: Arc::clone(principal), id: entry.id.clone(), why });
            }
            !over
        });
        ended
    }

    pub fn count(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Calls under way in all sessions.
    pub fn is_idle(&self, in_flight_max: usize) -> bool {
        self.in_flight.available_permits() == in_flight_max
    }

    fn is_over(&self, entry: &Entry, now: Timestamp) -> bool {
        now.since(entry.began) > self.times.timeout || now.since(entry.seen) > self.times.idle_timeout
    }

    /// Ends the sessions that have been quiet for longest, some at once; those with a call under way are left alone.
    fn make_room(&self, table: &mut HashMap<Key, Entry>) {
        let is_quiet = |entry: &Entry| entry.permits.available_permits() == self.per_session;
        let mut seen: Vec<Timestamp> = table.values().filter(|entry| is_quiet(entry)).map(|entry| entry.seen).collect();
        let Some(last) = seen.len().min(bound::SESSIONS_ENDED_FOR_ROOM).checked_sub(1) else { return };
        let (earlier, latest, _) = seen.select_nth_unstable(last);
        let latest = *latest;
        // Of those that were last seen in the same millisecond, as many as it takes.
        let mut of_latest = 1 + earlier.iter().filter(|seen| **seen == latest).count();
        table.retain(|_, entry| {
            let mut ends = is_quiet(entry) && entry.seen <= latest;
            if ends && entry.seen == latest {
                ends = of_latest > 0;
                of_latest -= usize::from(ends);
            }
            !ends
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::ManualClock;
    use crate::config::Config;
    use crate::config::raw::Raw;

    fn sessions() -> (Arc<ManualClock>, Sessions) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let mut config = Config::of(Raw::default()).unwrap();
        config.limits.in_flight_per_session_max = 2;
        config.limits.in_flight_max = 3;
        (clock.clone(), Sessions::new(clock, config.session, config.limits))
    }

    #[test]
    fn a_session_is_renewed_after_its_times_and_swept_when_quiet() {
        let (clock, sessions) = sessions();
        let ann = Principal::stdio(1);
        let first = sessions.enter(&ann, &Handle::Credential).unwrap();
        assert_eq!(first.turn, Turn::Began);
        assert_eq!(sessions.enter(&ann, &Handle::Credential).unwrap().turn, Turn::Current);
        clock.advance(Duration::from_secs(16 * 60));
        assert!(sessions.sweep().is_empty(), "a call is under way");
        drop(first.permit);
        let renewed = sessions.enter(&ann, &Handle::Credential).unwrap();
        assert_eq!(renewed.turn, Turn::Renewed { old: first.id.clone() });
        assert_ne!(renewed.id, first.id);
        drop(renewed);
        clock.advance(Duration::from_secs(16 * 60));
        assert_eq!(sessions.sweep().len(), 1);
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn an_active_session_still_ends_at_its_absolute_time() {
        let (clock, sessions) = sessions();
        let ann = Principal::stdio(1);
        let first = sessions.enter(&ann, &Handle::Credential).unwrap().id;
        for _ in 0..6 {
            clock.advance(Duration::from_secs(10 * 60 + 1));
            if sessions.enter(&ann, &Handle::Credential).unwrap().id != first {
                return;
            }
        }
        panic!("never renewed");
    }

    #[test]
    fn calls_in_flight_are_bounded_per_session_and_in_all() {
        let (_, sessions) = sessions();
        let (ann, bob) = (Principal::stdio(1), Principal::stdio(2));
        let one = sessions.enter(&ann, &Handle::Credential).unwrap();
        let _two = sessions.enter(&ann, &Handle::Credential).unwrap();
        assert!(matches!(sessions.enter(&ann, &Handle::Credential), Err(SessionError::SessionBusy(2))));
        let _three = sessions.enter(&bob, &Handle::Credential).unwrap();
        assert!(matches!(sessions.enter(&bob, &Handle::Credential), Err(SessionError::Busy)));
        drop(one);
        sessions.enter(&bob, &Handle::Credential).unwrap();
    }

    #[test]
    fn the_quietest_sessions_make_room_and_busy_ones_stay() {
        let (clock, sessions) = sessions();
        let ann = Principal::stdio(1);
        let handle = || Handle::Connection(SessionId::random().unwrap());
        let (busy, old) = (handle(), handle());
        let permit = sessions.enter(&ann, &busy).unwrap().permit;
        let old_id = sessions.enter(&ann, &old).unwrap().id;
        clock.advance(Duration::from_secs(1));
        let all: Vec<Handle> = std::iter::repeat_with(handle).take(bound::SESSIONS_MAX - 2).collect();
        for handle in &all {
            sessions.enter(&ann, handle).unwrap();
        }
        clock.advance(Duration::from_secs(1));
        let kept = all.last().unwrap();
        sessions.enter(&ann, kept).unwrap();
        assert_eq!(sessions.count(), bound::SESSIONS_MAX);
        assert_eq!(sessions.enter(&ann, &handle()).unwrap().turn, Turn::Began);
        assert_eq!(sessions.count(), bound::SESSIONS_MAX - bound::SESSIONS_ENDED_FOR_ROOM + 1);
        assert_eq!(sessions.enter(&ann, &busy).unwrap().turn, Turn::Current);
        assert_eq!(sessions.enter(&ann, kept).unwrap().turn, Turn::Current);
        let begun = sessions.enter(&ann, &old).unwrap();
        assert_eq!(begun.turn, Turn::Began);
        assert_ne!(begun.id, old_id);
        drop(permit);
    }
}
