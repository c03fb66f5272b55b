//! The bans in memory, and the addresses that are on the way to one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::{BanRecord, Target};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::network::Network;

#[derive(Debug, Default)]
pub(super) struct Book {
    bans: BTreeMap<Target, BanRecord>,
    /// Those of more than one subscriber's addresses: an address is looked for in each of them.
    wide: Vec<Network>,
    /// When credentials of an address failed.
    failures: HashMap<Network, VecDeque<Timestamp>>,
}

impl Book {
    pub(super) fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bans.len()
    }

    pub(super) fn networks(&self) -> usize {
        self.wide.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Target, &BanRecord)> {
        self.bans.iter()
    }

    pub(super) fn get(&self, target: &Target) -> Option<&BanRecord> {
        self.bans.get(target)
    }

    pub(super) fn holding(&self, target: &Target, now: Timestamp) -> Option<(&Target, &BanRecord)> {
        self.bans.get_key_value(target).filter(|(_, record)| record.holds(now))
    }

    pub(super) fn of_address(&self, address: IpAddr, now: Timestamp) -> Option<(&Target, &BanRecord)> {
        let narrow = [Network::of(address), Network::of_subscriber(address)];
        let wide = self.wide.iter().copied().filter(|network| network.contains(address));
        narrow.into_iter().chain(wide).find_map(|network| self.holding(&Target::Address(network), now))
    }

    pub(super) fn insert(&mut self, target: Target, record: BanRecord) {
        if let Target::Address(network) = &target
            && is_wide(&target)
            && !self.wide.contains(network)
        {
            self.wide.push(*network);
        }
        self.bans.insert(target, record);
    }

    pub(super) fn remove(&mut self, target: &Target) {
        self.bans.remove(target);
        if let Target::Address(network) = target {
            self.wide.retain(|wide| wide != network);
        }
    }

    /// Where there is no room for one more, takes out one that nobody asked for: the one that ends first.
    pub(super) fn make_room(&mut self, now: Timestamp) -> Option<Target> {
        if self.bans.len() < bound::BANS_MAX {
            return None;
        }
        let own = self.bans.iter().filter(|(_, record)| record.by.is_none() || !record.holds(now));
        let first = own.min_by_key(|(_, record)| record.until).map(|(target, _)| target.clone())?;
        self.remove(&first);
        Some(first)
    }

    /// Counts a failure; gives how many there were within `window`, at most `most`.
    pub(super) fn count_failure(&mut self, network: Network, now: Timestamp, window: Duration, most: usize) -> usize {
        if self.failures.len() >= bound::BAN_SUSPECTS_MAX && !self.failures.contains_key(&network) {
            // The one whose last failure is the oldest makes room.
            let quietest =
                self.failures.iter().min_by_key(|(_, times)| times.back().copied()).map(|(network, _)| *network);
            quietest.map(|network| self.failures.remove(&network));
        }
        let times = self.failures.entry(network).or_default();
        times.retain(|time| now.since(*time) < window);
        times.push_back(now);
        if times.len() > most {
            times.pop_front();
        }
        times.len()
    }

    pub(super) fn forget_failures(&mut self, network: Network) {
        self.failures.remove(&network);
    }

    /// Takes out what is over; gives the bans among it.
    pub(super) fn sweep(&mut self, now: Timestamp, window: Duration) -> Vec<Target> {
        self.failures.retain(|_, times| times.back().is_some_and(|last| now.since(*last) < window));
        let over = self.bans.iter().filter(|(_, record)| record.is_forgotten(now));
        let over: Vec<Target> = over.map(|(target, _)| target.clone()).collect();
        for target in &over {
            self.remove(target);
        }
        over
    }
}

/// Whether it is neither one address nor one subscriber's.
pub(super) fn is_wide(target: &Target) -> bool {
    let Target::Address(network) = target else { return false };
    *network != Network::of(network.base()) && *network != Network::of_subscriber(network.base())
}
