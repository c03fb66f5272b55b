//! Bans: addresses, principals, sessions and credentials that are shut out, by an operator or for failed
//! authentications. Whoever is at this machine never is.

mod book;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::network::Network;
use crate::base::principal::Principal;
use crate::config;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};
use book::Book;

/// What can be banned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    Address(Network),
    Principal(String),
    /// By its short id.
    Session(String),
    Credential(String),
}

impl Target {
    pub fn parse(kind: &str, name: &str) -> Result<Self, BanError> {
        if name.is_empty() || name.len() > bound::KEY_BYTES_MAX / 2 {
            return Err(BanError::Name(name.chars().take(64).collect()));
        }
        match kind {
            "address" => Network::parse(name)
                .map(Self::Address)
                .ok_or_else(|| BanError::Address(name.chars().take(64).collect())),
            "principal" => Ok(Self::Principal(name.to_owned())),
            "session" => Ok(Self::Session(name.to_ascii_lowercase())),
            "credential" => Ok(Self::Credential(name.to_owned())),
            _ => Err(BanError::Kind(kind.chars().take(64).collect())),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Principal(_) => "principal",
            Self::Session(_) => "session",
            Self::Credential(_) => "credential",
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::Address(network) => network.to_string(),
            Self::Principal(name) | Self::Session(name) | Self::Credential(name) => name.clone(),
        }
    }

    fn row(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    fn of_row(row: &[u8]) -> Option<Self> {
        let (kind, name) = std::str::from_utf8(row).ok()?.split_once('/')?;
        Self::parse(kind, name).ok()
    }
}

/// A ban as it is stored; what it bans is its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRecord {
    pub reason: String,
    pub made: Timestamp,
    /// `None`: until it is lifted.
    pub until: Option<Timestamp>,
    /// Who made it; `None`: Sekisho, for failed authentications.
    pub by: Option<String>,
    /// How many of Sekisho's own there were in a row, this one included.
    pub strikes: u32,
}

impl Record for BanRecord {
    const TABLE: &'static str = "bans";
}

impl BanRecord {
    fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }

    /// Sekisho's own are remembered for a while, so that the next one is longer.
    fn is_forgotten(&self, now: Timestamp) -> bool {
        let memory = if self.by.is_none() { bound::BAN_MEMORY_SECONDS } else { 0 };
        self.until.is_some_and(|until| until.plus(Duration::from_secs(memory)) <= now)
    }
}

/// Somebody is banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banned {
    pub kind: &'static str,
    pub reason: String,
    /// Until it ends; `None`: until it is lifted.
    pub wait: Option<Duration>,
}

/// An address was banned for its failed authentications.
#[derive(Clone, Debug)]
pub struct Struck {
    pub network: Network,
    pub failures: usize,
    pub length: Duration,
    /// What must become durable with the entry that tells of it.
    pub rows: Vec<Put>,
}

/// Why a ban cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BanError {
    #[error("an address, a principal, a session or a credential can be banned, not {0:?}")]
    Kind(String),
    #[error("{0:?} is no name of something that can be banned")]
    Name(String),
    #[error("{0:?} is no address or network such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32")]
    Address(String),
    #[error("loopback and whoever is at this machine are never banned")]
    ThisMachine,
    #[error("{0} is wider than a network that can be banned (/{v4} of IPv4, /{v6} of IPv6)", v4 = bound::BAN_PREFIX_MIN.0, v6 = bound::BAN_PREFIX_MIN.1)]
    TooWide(Network),
    #[error("there are {0} bans, which is the most there may be; lift some")]
    TooMany(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All bans. Looked up in memory, before anybody is recognised; kept in the store.
#[derive(Debug)]
pub struct Bans {
    settings: config::Ban,
    /// Never banned by ourselves: behind them stand all clients.
    proxies: Vec<Network>,
    clock: Arc<dyn Clock>,
    /// Held for a look-up, never across an await.
    book: RwLock<Book>,
}

impl Bans {
    pub fn new(settings: config::Ban, proxies: Vec<Network>, clock: Arc<dyn Clock>) -> Self {
        Self { settings, proxies, clock, book: RwLock::default() }
    }

    /// Takes up what the store holds.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let mut book = self.write();
        for (row, value) in snapshot.scan(Table::Bans, &[], &[u8::MAX], bound::BANS_MAX)? {
            let record: BanRecord = codec::decode(&value)?;
            if let Some(target) = Target::of_row(&row) {
                book.insert(target, record);
            }
        }
        Ok(())
    }

    /// Whether nothing is banned, which spares further questions.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Whether this address is shut out.
    pub fn of_address(&self, address: IpAddr) -> Option<Banned> {
        let book = self.read();
        if book.is_empty() || address.to_canonical().is_loopback() {
            return None;
        }
        let (target, record) = book.of_address(address, self.clock.now())?;
        Some(self.banned(target, record))
    }

    /// Whether this principal, or the credential that it showed, is shut out.
    pub fn of_principal(&self, principal: &Principal) -> Option<Banned> {
        let book = self.read();
        if book.is_empty() {
            return None;
        }
        let targets =
            [Target::Principal(principal.id.to_string()), Target::Credential(principal.credential.to_string())];
        let now = self.clock.now();
        targets.iter().find_map(|target| book.holding(target, now)).map(|(target, record)| self.banned(target, record))
    }

    /// Whether the session with this short id is shut out.
    pub fn of_session(&self, short: &str) -> Option<Banned> {
        let book = self.read();
        if book.is_empty() {
            return None;
        }
        let found = book.holding(&Target::Session(short.to_owned()), self.clock.now());
        found.map(|(target, record)| self.banned(target, record))
    }

    /// Whether Sekisho bans this address never by itself: this machine, and proxies, behind which others stand.
    pub fn spares(&self, address: IpAddr) -> bool {
        address.to_canonical().is_loopback() || self.proxies.iter().any(|proxy| proxy.contains(address))
    }

    /// A credential that this address showed did not hold. Gives the ban that comes of it, if this was one too many.
    pub fn failed(&self, address: IpAddr) -> Option<Struck> {
        let most = self.settings.failures?;
        if self.spares(address) {
            return None;
        }
        let now = self.clock.now();
        let network = Network::of_subscriber(address);
        let mut book = self.write();
        let failures = book.count_failure(network, now, self.settings.window, most);
        if failures < most {
            return None;
        }
        book.forget_failures(network);
        let target = Target::Address(network);
        let before = book.get(&target);
        if before.is_some_and(|before| before.by.is_some() && before.holds(now)) {
            // An operator's word stands.
            return None;
        }
        let strikes = before.map_or(0, |before| before.strikes) + 1;
        let length = self.length(strikes);
        let reason = format!("{failures} failed authentications");
        let record = BanRecord { reason, made: now, until: Some(now.plus(length)), by: None, strikes };
        let mut rows: Vec<Put> = book.make_room(now).map(|gone| deletion(&gone)).into_iter().collect();
        // It holds in memory even where it cannot be written.
        rows.extend(row(&target, &record).ok());
        book.insert(target, record);
        Some(Struck { network, failures, length, rows })
    }

    /// Bans `target`, for `length` or until it is lifted. Gives the row; it holds once [`Bans::added`] is told.
    pub fn add(
        &self,
        target: &Target,
        reason: &str,
        length: Option<Duration>,
        by: &str,
    ) -> Result<(BanRecord, Put), BanError> {
        match target {
            Target::Address(network) if network.base().is_loopback() => return Err(BanError::ThisMachine),
            Target::Address(network) => {
                let (v4, v6) = bound::BAN_PREFIX_MIN;
                if network.prefix() < if network.base().is_ipv4() { v4 } else { v6 } {
                    return Err(BanError::TooWide(*network));
                }
                if network.touches_loopback() {
                    return Err(BanError::ThisMachine);
                }
            }
            Target::Principal(name) | Target::Credential(name) if name.starts_with("local:") => {
                return Err(BanError::ThisMachine);
            }
            Target::Principal(_) | Target::Session(_) | Target::Credential(_) => {}
        }
        let book = self.read();
        if book.get(target).is_none() {
            if book.len() >= bound::BANS_MAX {
                return Err(BanError::TooMany(bound::BANS_MAX));
            }
            if book.networks() >= bound::BAN_NETWORKS_MAX && book::is_wide(target) {
                return Err(BanError::TooMany(bound::BAN_NETWORKS_MAX));
            }
        }
        let now = self.clock.now();
        let reason = reason.chars().take(bound::BAN_REASON_CHARS_MAX).collect();
        let until = length.map(|length| now.plus(length));
        let record = BanRecord { reason, made: now, until, by: Some(by.to_owned()), strikes: 0 };
        let row = row(target, &record)?;
        Ok((record, row))
    }

    /// The row of [`Bans::add`] is durable.
    pub fn added(&self, target: Target, record: BanRecord) {
        self.write().insert(target, record);
    }

    /// The deletion that lifts a ban; `None` if there is none. It holds until [`Bans::lifted`] is told.
    pub fn lift(&self, target: &Target) -> Option<Put> {
        let now = self.clock.now();
        self.read().holding(target, now).map(|(target, _)| deletion(target))
    }

    /// The deletion of [`Bans::lift`] is durable.
    pub fn lifted(&self, target: &Target) {
        let mut book = self.write();
        book.remove(target);
        if let Target::Address(network) = target {
            book.forget_failures(*network);
        }
    }

    /// The bans that hold, newest first, at most [`bound::GATE_LIST_ROWS_MAX`] of them, and how many there are.
    pub fn list(&self) -> (Vec<(Target, BanRecord)>, usize) {
        let now = self.clock.now();
        let book = self.read();
        let holding = book.all().filter(|(_, record)| record.holds(now));
        let mut listed: Vec<_> = holding.map(|(target, record)| (target.clone(), record.clone())).collect();
        let all = listed.len();
        listed.sort_by_key(|(_, record)| std::cmp::Reverse(record.made));
        listed.truncate(bound::GATE_LIST_ROWS_MAX);
        (listed, all)
    }

    /// Forgets what is over; gives the deletions.
    pub fn sweep(&self) -> Vec<Put> {
        let now = self.clock.now();
        self.write().sweep(now, self.settings.window).iter().map(deletion).collect()
    }

    fn banned(&self, target: &Target, record: &BanRecord) -> Banned {
        let now = self.clock.now();
        let wait = record.until.map(|until| until.since(now));
        Banned { kind: target.kind(), reason: record.reason.clone(), wait }
    }

    /// Of the n-th ban in a row: doubled each time, up to the bound.
    fn length(&self, strikes: u32) -> Duration {
        let factor = 1_u32.checked_shl(strikes.saturating_sub(1)).unwrap_or(u32::MAX);
        self.settings.length.saturating_mul(factor).min(self.settings.length_max)
    }

    fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(target: &Target, record: &BanRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Bans, target.row(), codec::encode(record)?))
}

fn deletion(target: &Target) -> Put {
    Put::delete(Table::Bans, target.row())
}

#[cfg(test)]
mod tests;
