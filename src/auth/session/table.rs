//! The sessions in memory, found by connection, by credential and by principal.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::record::{self, SessionRecord};
use super::{Ended, Handle};
use crate::base::clock::Timestamp;
use crate::base::id::{NoEntropy, SessionId};
use crate::base::principal::{Principal, Scheme};
use crate::store::{Put, StoreError};

/// A session that is not over.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: SessionId,
    /// Its id before it was rotated last. Not kept: it is for whoever acts on what was listed a moment ago.
    pub(super) former: Option<SessionId>,
    pub(super) handle: Handle,
    pub(super) principal: Arc<str>,
    pub(super) credential: Arc<str>,
    pub(super) scheme: Box<str>,
    pub(super) transport: Box<str>,
    pub(super) began: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) calls: u64,
    pub(super) mark: Option<Box<str>>,
    pub(super) initialize: Option<Box<str>>,
    pub(super) permits: Arc<Semaphore>,
    /// It stands in the list of those whose row is older than they are.
    is_dirty: bool,
}

impl Open {
    pub(super) fn new(
        principal: &Principal,
        handle: &Handle,
        transport: &str,
        mark: Option<Box<str>>,
        permits: Arc<Semaphore>,
        now: Timestamp,
    ) -> Result<Self, NoEntropy> {
        Ok(Self {
            id: SessionId::random()?,
            former: None,
            handle: handle.clone(),
            principal: Arc::clone(&principal.id),
            credential: Arc::clone(&principal.credential),
            scheme: principal.scheme.as_str().into(),
            transport: transport.into(),
            began: now,
            seen: now,
            calls: 0,
            mark,
            initialize: None,
            permits,
            is_dirty: false,
        })
    }

    pub(super) fn of_record(record: SessionRecord, in_flight_max: usize) -> Self {
        Self {
            id: record.id,
            former: None,
            handle: record.handle,
            principal: record.principal.into(),
            credential: record.credential.into(),
            scheme: record.scheme.into(),
            transport: record.transport.into(),
            began: record.began,
            seen: record.seen,
            calls: record.calls,
            mark: record.mark.map(Into::into),
            initialize: record.initialize.map(Into::into),
            permits: Arc::new(Semaphore::new(in_flight_max)),
            is_dirty: false,
        }
    }

    /// Its short id, and the one that it had until a moment ago.
    pub(super) fn shorts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.short()).chain(self.former.as_ref().map(SessionId::short))
    }

    pub(super) fn is_named(&self, short: &str) -> bool {
        self.shorts().any(|known| known == short)
    }

    /// Whoever is at this machine is known by the kernel in each process anew: nothing of theirs has to last.
    pub(super) fn is_kept(&self) -> bool {
        *self.scheme != *Scheme::Local.as_str()
    }

    /// Ending it denies the credential: the session is the credential's own, and there is one.
    pub(super) fn denies_when_ended(&self) -> bool {
        self.handle == Handle::Credential && self.is_kept() && !self.is_nobodys()
    }

    /// Nobody showed a credential for it, and it is not of this machine.
    pub(super) fn is_nobodys(&self) -> bool {
        *self.scheme == *Scheme::None.as_str()
    }

    /// Whoever holds its credential opens another connection when this one ends.
    pub(super) fn is_reopened(&self) -> bool {
        self.handle != Handle::Credential && self.is_kept() && !self.is_nobodys()
    }

    /// As it is stored; `None` where it is not.
    pub(super) fn row(&self) -> Option<Result<Put, StoreError>> {
        self.is_kept().then(|| {
            record::row(&SessionRecord {
                id: self.id.clone(),
                handle: self.handle.clone(),
                principal: self.principal.to_string(),
                credential: self.credential.to_string(),
                scheme: self.scheme.to_string(),
                transport: self.transport.to_string(),
                began: self.began,
                seen: self.seen,
                calls: self.calls,
                mark: self.mark.as_deref().map(str::to_owned),
                initialize: self.initialize.as_deref().map(str::to_owned),
            })
        })
    }

    pub(super) fn ended(&self, why: &'static str) -> Ended {
        Ended {
            principal: Arc::clone(&self.principal),
            credential: Arc::clone(&self.credential),
            handle: self.handle.clone(),
            id: self.id.clone(),
            why,
            rows: self.is_kept().then(|| record::deletion(&self.id)).into_iter().collect(),
            denied: false,
        }
    }
}

/// All of them. A serial number stands for a session, so that the ways to it are small.
#[derive(Debug, Default)]
pub(super) struct Table {
    open: HashMap<u64, Open>,
    by_connection: HashMap<SessionId, u64>,
    by_credential: HashMap<Arc<str>, u64>,
    by_principal: HashMap<Arc<str>, BTreeSet<u64>>,
    next: u64,
    dirty: Vec<u64>,
    /// Credentials that hold no more.
    pub(super) denied: HashSet<Arc<str>>,
}

impl Table {
    pub(super) fn find(&self, handle: &Handle, credential: &str) -> Option<u64> {
        match handle {
            Handle::Connection(id) => self.by_connection.get(id).copied(),
            Handle::Credential => self.by_credential.get(credential).copied(),
        }
    }

    pub(super) fn get(&self, serial: u64) -> Option<&Open> {
        self.open.get(&serial)
    }

    pub(super) fn get_mut(&mut self, serial: u64) -> Option<&mut Open> {
        self.open.get_mut(&serial)
    }

    pub(super) fn insert(&mut self, open: Open) -> u64 {
        let serial = self.next;
        self.next += 1;
        match &open.handle {
            Handle::Connection(id) => drop(self.by_connection.insert(id.clone(), serial)),
            Handle::Credential => drop(self.by_credential.insert(Arc::clone(&open.credential), serial)),
        }
        self.by_principal.entry(Arc::clone(&open.principal)).or_default().insert(serial);
        self.open.insert(serial, open);
        serial
    }

    pub(super) fn remove(&mut self, serial: u64) -> Option<Open> {
        let open = self.open.remove(&serial)?;
        match &open.handle {
            Handle::Connection(id) => drop(self.by_connection.remove(id)),
            Handle::Credential => drop(self.by_credential.remove(&open.credential)),
        }
        if let Some(serials) = self.by_principal.get_mut(&open.principal) {
            serials.remove(&serial);
            if serials.is_empty() {
                self.by_principal.remove(&open.principal);
            }
        }
        Some(open)
    }

    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    pub(super) fn serials_where(&self, is_meant: impl Fn(&Open) -> bool) -> Vec<u64> {
        self.open.iter().filter(|(_, open)| is_meant(open)).map(|(serial, _)| *serial).collect()
    }

    /// How many sessions `principal` has by a connection.
    pub(super) fn of_principal(&self, principal: &str) -> usize {
        self.connections_of(principal).count()
    }

    /// Among them the one that was not used for longest.
    pub(super) fn quietest_of(&self, principal: &str, is_quiet: impl Fn(&Open) -> bool) -> Option<u64> {
        self.connections_of(principal).filter(|(_, open)| is_quiet(open)).min_by_key(|(_, open)| open.seen).map(first)
    }

    /// Those that were not used for longest, at most `serials_max` of them.
    pub(super) fn quietest(&self, serials_max: usize, is_quiet: impl Fn(&Open) -> bool) -> Vec<u64> {
        let quiet = self.open.iter().filter(|(_, open)| is_quiet(open));
        let mut seen: Vec<(Timestamp, u64)> = quiet.map(|(serial, open)| (open.seen, *serial)).collect();
        if seen.len() > serials_max {
            seen.select_nth_unstable(serials_max);
            seen.truncate(serials_max);
        }
        seen.into_iter().map(|(_, serial)| serial).collect()
    }

    /// It was used: its row is to be written some time.
    pub(super) fn touch(&mut self, serial: u64) {
        if let Some(open) = self.open.get_mut(&serial)
            && open.is_kept()
            && !open.is_dirty
        {
            open.is_dirty = true;
            self.dirty.push(serial);
        }
    }

    /// Rows of sessions that were used since, at most `rows_max` of them.
    pub(super) fn take_dirty(&mut self, rows_max: usize) -> Vec<Put> {
        let rest = self.dirty.len().saturating_sub(rows_max);
        let mut rows = Vec::new();
        for serial in self.dirty.split_off(rest) {
            if let Some(open) = self.open.get_mut(&serial) {
                open.is_dirty = false;
                rows.extend(open.row().and_then(Result::ok));
            }
        }
        rows
    }

    fn connections_of(&self, principal: &str) -> impl Iterator<Item = (&u64, &Open)> {
        let serials = self.by_principal.get(principal).into_iter().flatten();
        let open = serials.filter_map(|serial| self.open.get_key_value(serial));
        open.filter(|(_, open)| matches!(open.handle, Handle::Connection(_)))
    }
}

fn first((serial, _): (&u64, &Open)) -> u64 {
    *serial
}
