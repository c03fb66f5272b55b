//! How many connections there may be: in all, and from one address, so that one machine cannot take them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::bound;

/// Counts open connections.
#[derive(Debug)]
pub(super) struct Crowd {
    all_max: usize,
    per_address_max: usize,
    /// Held for a look-up, never across an await.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

impl Crowd {
    pub(super) fn new(all_max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, per_address_max, counts: Mutex::default() })
    }

    /// `None` where there is no room. A Unix socket's clients have no address, and count in all only.
    pub(super) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(network);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.all_max {
            return None;
        }
        if let Some(address) = address {
            let factor = if address.is_loopback() { bound::HTTP_LOOPBACK_CONNECTIONS_FACTOR } else { 1 };
            let count = counts.by_address.entry(address).or_default();
            if *count >= self.per_address_max.saturating_mul(factor) {
                return None;
            }
            *count += 1;
        }
        counts.all += 1;
        drop(counts);
        Some(Place { crowd: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(count) = counts.by_address.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// Who has one IPv6 address has its whole /64 (RFC 4291, section 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(crowd: &Arc<Crowd>, address: &str) -> Option<Place> {
        crowd.enter(Some(address.parse().unwrap()))
    }

    #[test]
    fn one_address_leaves_room_for_others() {
        let crowd = Crowd::new(100, 2);
        let held = [enter(&crowd, "192.0.2.1").unwrap(), enter(&crowd, "::ffff:192.0.2.1").unwrap()];
        assert!(enter(&crowd, "192.0.2.1").is_none());
        let other = enter(&crowd, "192.0.2.2").unwrap();
        drop(held);
        assert!(enter(&crowd, "192.0.2.1").is_some());
        drop(other);
        assert!(crowd.counts.lock().unwrap().by_address.is_empty(), "nothing is kept of those who left");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_loopback_counts_generously() {
        let crowd = Crowd::new(100, 1);
        let _held = enter(&crowd, "2001:db8::1").unwrap();
        assert!(enter(&crowd, "2001:db8::2").is_none());
        assert!(enter(&crowd, "2001:db8:0:1::1").is_some());
        let local: Vec<_> = (0..8).map(|_| enter(&crowd, "::1").unwrap()).collect();
        assert!(enter(&crowd, "::1").is_none());
        drop(local);
    }

    #[test]
    fn all_together_are_bounded() {
        let crowd = Crowd::new(2, 10);
        let _held = (enter(&crowd, "192.0.2.1").unwrap(), crowd.enter(None).unwrap());
        assert!(crowd.enter(None).is_none());
        assert!(enter(&crowd, "192.0.2.2").is_none());
    }
}
