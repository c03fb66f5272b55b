//! One count for each caller: which there are, which are to be written, which are as good as none.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::Window;
use super::{HOUR, MINUTE};
use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::id::SessionId;
use crate::base::network::Network;
use crate::base::principal::Principal;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};

/// Whose calls are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Principal(Arc<str>),
    /// A session of protocol 2026-07-28 is its credential's.
    Credential(Arc<str>),
    Connection(SessionId),
    /// A principal, and a tool that has a rate of its own.
    Tool(Arc<str>, Arc<str>),
    Address(Network),
}

impl Key {
    pub(super) fn of_session(principal: &Principal, handle: &Handle) -> Self {
        match handle {
            Handle::Connection(id) => Self::Connection(id.clone()),
            Handle::Credential => Self::Credential(Arc::clone(&principal.credential)),
        }
    }

    /// The row of those whose count outlasts a restart. An address's is short, and a connection ends with the process
    /// or goes on as another.
    fn row(&self) -> Option<String> {
        match self {
            Self::Principal(name) => Some(format!("principal/{name}")),
            Self::Credential(name) => Some(format!("credential/{name}")),
            Self::Connection(id) => Some(format!("connection/{}", id.as_str())),
            // No name of a tool has a blank, and a principal's may.
            Self::Tool(principal, tool) => Some(format!("tool/{tool} {principal}")),
            Self::Address(_) => None,
        }
    }

    fn of_row(row: &str) -> Option<Self> {
        let (kind, name) = row.split_once('/')?;
        match kind {
            "principal" => Some(Self::Principal(name.into())),
            "credential" => Some(Self::Credential(name.into())),
            "connection" => SessionId::parse(name).map(Self::Connection),
            "tool" => name.split_once(' ').map(|(tool, principal)| Self::Tool(principal.into(), tool.into())),
            _ => None,
        }
    }

    fn window(&self) -> Duration {
        match self {
            Self::Credential(_) | Self::Connection(_) => HOUR,
            Self::Principal(_) | Self::Tool(..) | Self::Address(_) => MINUTE,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) window: Window,
    /// When the next call is due, for the pace.
    pub(super) next: Duration,
    is_dirty: bool,
    is_stored: bool,
}

impl Meter {
    fn new(window: Window) -> Self {
        Self { window, next: Duration::ZERO, is_dirty: false, is_stored: false }
    }
}

/// A count as it is stored: parts of the window with their numbers since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RateRecord {
    parts: Vec<(u64, u32)>,
}

impl Record for RateRecord {
    const TABLE: &'static str = "rates";
}

/// All counts.
#[derive(Debug, Default)]
pub(super) struct Meters {
    counted: HashMap<Key, Meter>,
    /// Shared by those for whom there was no room: kinds by their window.
    others: HashMap<Duration, Meter>,
    dirty: Vec<Key>,
    /// Rows to delete.
    gone: Vec<Put>,
}

impl Meters {
    pub(super) fn of(&mut self, key: &Key, window: Duration) -> &mut Meter {
        if !self.counted.contains_key(key) {
            if self.counted.len() >= bound::RATE_METERS_MAX {
                return self.others.entry(window).or_insert_with(|| Meter::new(Window::new(window)));
            }
            self.counted.insert(key.clone(), Meter::new(Window::new(window)));
        }
        // It is there.
        self.counted.entry(key.clone()).or_insert_with(|| Meter::new(Window::new(window)))
    }

    /// It was used: its row is to be written some time.
    pub(super) fn touch(&mut self, key: Key) {
        if let Some(meter) = self.counted.get_mut(&key)
            && !meter.is_dirty
            && !matches!(key, Key::Address(_))
        {
            meter.is_dirty = true;
            self.dirty.push(key);
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(meter) = self.counted.remove(key)
            && meter.is_stored
        {
            self.gone.extend(key.row().map(|row| Put::delete(Table::Rates, row)));
        }
    }

    pub(super) fn sweep(&mut self, now: Duration) {
        let gone = &mut self.gone;
        self.counted.retain(|key, meter| {
            let keeps = !meter.window.is_empty(now);
            if !keeps && meter.is_stored {
                gone.extend(key.row().map(|row| Put::delete(Table::Rates, row)));
            }
            keeps
        });
    }

    /// Rows of what was used since, and deletions, at most `rows_max` of them.
    pub(super) fn take_dirty(&mut self, rows_max: usize) -> Vec<Put> {
        let rest = self.gone.len().saturating_sub(rows_max);
        let mut rows = self.gone.split_off(rest);
        // A row that is deleted and used again in one turn must be there at the end.
        let rest = self.dirty.len().saturating_sub(rows_max - rows.len());
        for key in self.dirty.split_off(rest) {
            let (Some(meter), Some(row)) = (self.counted.get_mut(&key), key.row()) else { continue };
            meter.is_dirty = false;
            if let Ok(value) = codec::encode(&RateRecord { parts: meter.window.parts() }) {
                meter.is_stored = true;
                rows.push(Put::new(Table::Rates, row, value));
            }
        }
        rows
    }

    pub(super) fn restore(&mut self, snapshot: &Snapshot, now: Duration) -> Result<(), StoreError> {
        for (row, value) in snapshot.scan(Table::Rates, &[], &[u8::MAX], bound::RATE_METERS_MAX)? {
            let record: RateRecord = codec::decode(&value)?;
            let key = String::from_utf8(row).ok().and_then(|row| Key::of_row(&row));
            if let Some(key) = key {
                let mut meter = Meter::new(Window::of_parts(key.window(), &record.parts, now));
                meter.is_stored = true;
                self.counted.insert(key, meter);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_has_a_row_is_read_from_it() {
        let keys = [
            Key::Principal("account:ann of accounts".into()),
            Key::Credential("jwt:a/b".into()),
            Key::Connection(SessionId::random().unwrap()),
            Key::Tool("account:ann of accounts".into(), "search_documents".into()),
        ];
        for key in keys {
            assert_eq!(Key::of_row(&key.row().unwrap()), Some(key));
        }
    }
}
