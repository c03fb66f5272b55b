//! Sessions: who has been here, since when, how much of theirs is under way, and whose credential holds no more.

mod end;
mod error;
mod record;
mod table;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{SessionId, hex};
use crate::base::principal::{Principal, Scheme};
use crate::config;
use crate::config::raw::{Bind, WhenFull};
use crate::crypto::digest::Hash;
use crate::store::{Batch, Put, Snapshot, Store, StoreError};
pub use error::SessionError;
use table::{Open, Table};

/// What a caller holds on to a session by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Handle {
    /// A connection: one stdio stream, or one `Mcp-Session-Id`.
    Connection(SessionId),
    /// The credential alone: protocol 2026-07-28 has no session that a client could vary.
    Credential,
}

/// From where a message came, as far as a session may be bound to that.
#[derive(Clone, Copy, Debug)]
pub struct Whence {
    pub transport: &'static str,
    pub address: Option<IpAddr>,
    /// SHA-256 of the client's certificate.
    pub certificate: Option<Hash>,
}

/// All sessions there are. Looked up in memory; those over HTTP are in the store too, and survive a restart.
#[derive(Debug)]
pub struct Sessions {
    clock: Arc<dyn Clock>,
    settings: config::Session,
    per_session: usize,
    in_flight_max: usize,
    in_flight: Arc<Semaphore>,
    /// Held for a look-up, never across an await.
    table: Mutex<Table>,
    news: broadcast::Sender<Ending>,
    /// Held while the last use of sessions is written: whoever deletes a row waits for it, or it would come back.
    writing: tokio::sync::Mutex<()>,
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
    /// What must become durable with the entry that tells of the turn.
    pub rows: Vec<Put>,
    /// Sessions that had to end for this one.
    pub ended: Vec<Ended>,
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
    /// It goes on under a new id.
    Rotated {
        old: SessionId,
    },
}

/// A session that is over.
#[derive(Clone, Debug)]
pub struct Ended {
    pub principal: Arc<str>,
    pub credential: Arc<str>,
    pub handle: Handle,
    pub id: SessionId,
    pub why: &'static str,
    /// What must become durable with the entry that tells of it.
    pub rows: Vec<Put>,
    /// Its credential holds no more.
    pub denied: bool,
}

/// A session was ended while somebody may still listen in it.
#[derive(Clone, Debug)]
pub struct Ending {
    pub handle: Handle,
    pub credential: Arc<str>,
}

/// Which sessions an administrator ends.
#[derive(Clone, Debug)]
pub enum Which {
    /// The one with this short id.
    Short(String),
    /// All of this principal.
    Principal(String),
}

/// What is told of a session. Its whole id is not.
#[derive(Clone, Debug)]
pub struct Listed {
    pub short: String,
    pub principal: Arc<str>,
    pub credential: Arc<str>,
    pub scheme: Box<str>,
    pub transport: Box<str>,
    pub began: Timestamp,
    pub seen: Timestamp,
    pub calls: u64,
    pub in_flight: usize,
}

/// What a start found in the store.
#[derive(Debug, Default)]
pub struct Restored {
    pub open: usize,
    /// Deletions of those that ended meanwhile.
    pub over: Vec<Put>,
}

impl Sessions {
    pub fn new(clock: Arc<dyn Clock>, settings: config::Session, limits: config::Limits) -> Self {
        Self {
            clock,
            settings,
            per_session: limits.in_flight_per_session_max,
            in_flight_max: limits.in_flight_max,
            in_flight: Arc::new(Semaphore::new(limits.in_flight_max)),
            table: Mutex::default(),
            news: broadcast::channel(bound::SESSION_NEWS_MAX).0,
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the store holds: denials, and sessions that are not over or are `shut` out; a ban of a session must
    /// find it.
    pub fn restore(&self, snapshot: &Snapshot, shut: &dyn Fn(&str) -> bool) -> Result<Restored, StoreError> {
        let now = self.clock.now();
        let mut restored = Restored::default();
        let mut table = self.lock();
        for denial in record::denials(snapshot)? {
            table.denied.insert(denial.credential.as_str().into());
        }
        for record in record::sessions(snapshot)? {
            let over = self.is_over(record.began, record.seen, now) && !shut(record.id.short());
            if over || table.count() >= bound::SESSIONS_MAX {
                restored.over.push(record::deletion(&record.id));
                continue;
            }
            table.insert(Open::of_record(record, self.per_session));
            restored.open += 1;
        }
        Ok(restored)
    }

    /// Takes a place in the session of `principal` behind `handle`; begins or renews it as needed.
    pub fn enter(&self, principal: &Principal, handle: &Handle, whence: &Whence) -> Result<Entered, SessionError> {
        let now = self.clock.now();
        let mark = self.mark(principal, whence);
        let all = Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| self.busy())?;
        let mut table = self.lock();
        if table.denied.contains(&principal.credential) {
            return Err(SessionError::Denied);
        }
        let (mut turn, mut ended, mut rows) = (Turn::Current, Vec::new(), Vec::new());
        let serial = if let Some(serial) = table.find(handle, &principal.credential) {
            serial
        } else {
            self.make_place(&mut table, principal, handle, &mut ended)?;
            turn = Turn::Began;
            let permits = Arc::new(Semaphore::new(self.per_session));
            table.insert(Open::new(principal, handle, whence.transport, mark.clone(), permits, now)?)
        };
        // It was found or put there just now.
        let Some(open) = table.get_mut(serial) else { return Err(self.busy()) };
        if open.principal != principal.id || open.mark != mark {
            return Err(SessionError::Foreign(open.id.clone()));
        }
        let place = Arc::clone(&open.permits).try_acquire_owned();
        let session = place.map_err(|_| SessionError::SessionBusy(self.per_session))?;
        let is_over = self.is_over(open.began, open.seen, now);
        if turn == Turn::Current && (is_over || self.is_rotation_due(open, now)) {
            let old = open.id.clone();
            if self.settings.rotation.is_some() {
                open.id = SessionId::random()?;
                rows.extend(open.is_kept().then(|| record::deletion(&old)));
            }
            if is_over {
                open.began = now;
                turn = Turn::Renewed { old };
            } else {
                open.former = Some(old.clone());
                turn = Turn::Rotated { old };
            }
        }
        open.seen = now;
        open.calls += 1;
        let id = open.id.clone();
        if turn == Turn::Current {
            table.touch(serial);
        } else {
            // A record that does not encode is not kept: the session is the caller's all the same until a restart.
            rows.extend(open.row().and_then(Result::ok));
        }
        drop(table);
        self.announce(&ended);
        Ok(Entered { id, turn, permit: Permit { _session: session, _all: all }, rows, ended })
    }

    /// The session behind `handle`, if it is somebody else's.
    pub fn stranger(&self, principal: &Principal, handle: &Handle, whence: &Whence) -> Option<SessionId> {
        let mark = self.mark(principal, whence);
        let table = self.lock();
        let open = table.get(table.find(handle, &principal.credential)?)?;
        (open.principal != principal.id || open.mark != mark).then(|| open.id.clone())
    }

    /// The short id of the session that `principal` has behind `handle`, and the one from before its last rotation:
    /// whoever read that one a moment ago means this session.
    pub fn shorts_of(&self, principal: &Principal, handle: &Handle) -> Option<(String, Option<String>)> {
        let table = self.lock();
        let open = table.get(table.find(handle, &principal.credential)?)?;
        let former = open.former.as_ref().map(|former| former.short().to_owned());
        (open.principal == principal.id).then(|| (open.id.short().to_owned(), former))
    }

    /// Whether an administrator ended the session of this credential and it was not issued again.
    pub fn is_denied(&self, credential: &str) -> bool {
        let table = self.lock();
        !table.denied.is_empty() && table.denied.contains(credential)
    }

    /// A credential was issued again: it holds from now on. Gives whether it had been denied.
    pub async fn allow_again(&self, store: &Store, credential: &str) -> Result<bool, StoreError> {
        if !self.is_denied(credential) {
            return Ok(false);
        }
        store.commit(Batch::puts(vec![record::allowance(credential)])).await?;
        self.lock().denied.remove(credential);
        Ok(true)
    }

    /// Forgets a session whose connection is gone, or whose beginning could not be written down.
    pub fn leave(&self, principal: &Principal, handle: &Handle) -> Option<Ended> {
        let mut table = self.lock();
        let serial = table.find(handle, &principal.credential)?;
        if table.get(serial).is_none_or(|open| open.principal != principal.id) {
            return None;
        }
        table.remove(serial).map(|open| open.ended("the client left"))
    }

    /// Ends what has timed out and has nothing under way. What is `shut` out stays, or else the next call would begin a
    /// session that is not.
    pub fn sweep(&self, shut: &dyn Fn(&str) -> bool) -> Vec<Ended> {
        let now = self.clock.now();
        let mut table = self.lock();
        let is_over = |open: &Open| self.is_over(open.began, open.seen, now) && self.is_quiet(open);
        let over = table.serials_where(|open| is_over(open) && !open.shorts().any(shut));
        let ended = over.into_iter().filter_map(|serial| table.remove(serial)).map(|open| {
            let idle = now.since(open.seen) > self.settings.idle_timeout;
            open.ended(if idle { "idle for too long" } else { "older than a session may be" })
        });
        ended.collect()
    }

    /// The sessions, last used first, at most [`bound::GATE_LIST_ROWS_MAX`] of them, and how many there are.
    pub fn list(&self) -> (Vec<Listed>, usize) {
        let table = self.lock();
        let all = table.count();
        let mut listed: Vec<Listed> = table.all().map(|open| self.listed(open)).collect();
        drop(table);
        listed.sort_by_key(|session| std::cmp::Reverse(session.seen));
        listed.truncate(bound::GATE_LIST_ROWS_MAX);
        (listed, all)
    }

    /// What the client said when it began the session of an older protocol, so that it goes on after a restart.
    pub fn remember(&self, principal: &Principal, handle: &Handle, initialize: String) {
        let mut table = self.lock();
        let Some(serial) = table.find(handle, &principal.credential) else { return };
        if let Some(open) = table.get_mut(serial)
            && initialize.len() <= bound::SESSION_INITIALIZE_BYTES_MAX
        {
            open.initialize = Some(initialize.into());
            table.touch(serial);
        }
    }

    /// That, and when the session began.
    pub fn remembered(&self, principal: &Principal, handle: &Handle) -> Option<(String, Timestamp)> {
        let table = self.lock();
        let open = table.get(table.find(handle, &principal.credential)?)?;
        let own = open.principal == principal.id;
        open.initialize.as_ref().filter(|_| own).map(|text| (text.to_string(), open.began))
    }

    /// Tells of sessions that are ended by somebody else than their client.
    pub fn endings(&self) -> broadcast::Receiver<Ending> {
        self.news.subscribe()
    }

    pub fn is_open(&self, credential: &str, handle: &Handle) -> bool {
        self.lock().find(handle, credential).is_some()
    }

    /// Writes when sessions were last used. Costs nothing while none was.
    pub async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        loop {
            let rows = self.lock().take_dirty(bound::GATE_FLUSH_ROWS_MAX);
            if rows.is_empty() {
                return Ok(());
            }
            store.commit(Batch::puts(rows)).await?;
        }
    }

    /// Waits for a [`Sessions::flush`] under way: it may hold rows of sessions that ended since.
    pub async fn settled(&self) {
        drop(self.writing.lock().await);
    }

    pub fn count(&self) -> usize {
        self.lock().count()
    }

    /// Calls under way in all sessions.
    pub fn is_idle(&self, in_flight_max: usize) -> bool {
        self.in_flight.available_permits() == in_flight_max
    }

    /// Calls under way of those who are not at this machine: of agents, and of whoever comes over HTTP.
    pub fn under_way(&self) -> usize {
        let table = self.lock();
        let elsewhere = table.all().filter(|open| !["control", "command"].contains(&&*open.transport));
        elsewhere.map(|open| self.per_session.saturating_sub(open.permits.available_permits())).sum()
    }

    fn busy(&self) -> SessionError {
        SessionError::Busy(self.in_flight_max)
    }

    fn is_over(&self, began: Timestamp, seen: Timestamp, now: Timestamp) -> bool {
        now.since(began) > self.settings.timeout || now.since(seen) > self.settings.idle_timeout
    }

    /// Whether the id's time ended since the session was last used. Counted from its beginning, so nothing has to be
    /// kept of it, and a restart changes none of it.
    fn is_rotation_due(&self, open: &Open, now: Timestamp) -> bool {
        let Some(every) = self.settings.rotation else { return false };
        let turns = |at: Timestamp| at.since(open.began).as_millis() / every.as_millis().max(1);
        turns(open.seen) < turns(now)
    }

    fn is_quiet(&self, open: &Open) -> bool {
        open.permits.available_permits() == self.per_session
    }

    /// What this session is bound to beside its principal. Whoever is at this machine has neither.
    fn mark(&self, principal: &Principal, whence: &Whence) -> Option<Box<str>> {
        match self.settings.bind {
            _ if principal.scheme == Scheme::Local => None,
            Bind::Principal => None,
            Bind::Certificate => whence.certificate.map(|hash| hex(&hash).into()),
            Bind::Address => whence.address.map(|address| address.to_canonical().to_string().into()),
        }
    }

    /// Ends what has to make room for one more session, or says that there is none.
    fn make_place(
        &self,
        table: &mut Table,
        principal: &Principal,
        handle: &Handle,
        ended: &mut Vec<Ended>,
    ) -> Result<(), SessionError> {
        // A credential has one session anyway, and several clients of one person at this machine are no abuse.
        let counted = principal.scheme != Scheme::Local && matches!(handle, Handle::Connection(_));
        if let Some(most) = self.settings.concurrent_max.filter(|_| counted) {
            while table.of_principal(&principal.id) >= most {
                let refuses = self.settings.when_full == WhenFull::Refuse;
                let quietest = table.quietest_of(&principal.id, |open| self.is_quiet(open)).filter(|_| !refuses);
                let Some(open) = quietest.and_then(|serial| table.remove(serial)) else {
                    return Err(SessionError::TooMany(most));
                };
                ended.push(open.ended("its principal began another, and had as many as it may have"));
            }
        }
        if table.count() >= bound::SESSIONS_MAX {
            let serials = table.quietest(bound::SESSIONS_ENDED_FOR_ROOM, |open| self.is_quiet(open));
            let gone = serials.into_iter().filter_map(|serial| table.remove(serial));
            ended.extend(gone.map(|open| open.ended("it was among the quietest when there were too many")));
        }
        Ok(())
    }

    fn announce(&self, ended: &[Ended]) {
        for ended in ended {
            // Nobody may be listening.
            self.news.send(Ending { handle: ended.handle.clone(), credential: Arc::clone(&ended.credential) }).ok();
        }
    }

    fn listed(&self, open: &Open) -> Listed {
        Listed {
            short: open.id.short().to_owned(),
            principal: Arc::clone(&open.principal),
            credential: Arc::clone(&open.credential),
            scheme: open.scheme.clone(),
            transport: open.transport.clone(),
            began: open.began,
            seen: open.seen,
            calls: open.calls,
            in_flight: self.per_session.saturating_sub(open.permits.available_permits()),
        }
    }
}

/// What has to go with the row of a credential that is issued again while nobody serves; otherwise
/// [`Sessions::allow_again`].
pub fn allowance(credential: &str) -> Put {
    record::allowance(credential)
}

#[cfg(test)]
mod tests;
