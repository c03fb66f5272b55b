//! A network of addresses in CIDR form (RFC 4632, RFC 4291 section 2.3): `203.0.113.0/24`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    /// The bits behind the prefix are zero.
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/PREFIX`. Bits behind the prefix are cleared; an IPv4 address that is written as
    /// IPv6 is IPv4.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, Some(prefix.parse().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let written: IpAddr = address.parse().ok()?;
        let address = written.to_canonical();
        let mapped = written.is_ipv6() && address.is_ipv4();
        let prefix = match prefix {
            None => bits(address),
            // ::ffff:a.b.c.d/120 is a.b.c.d/24.
            Some(prefix) if mapped => u8::checked_sub(prefix, 96)?,
            Some(prefix) => prefix,
        };
        (prefix <= bits(address)).then(|| Self { base: masked(address, prefix), prefix })
    }

    /// The network of one address.
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { base: address, prefix: bits(address) }
    }

    /// What one subscriber holds: an IPv4 address, or the /64 of an IPv6 address. Whoever is counted by single IPv6
    /// addresses has 2^64 of them.
    pub fn of_subscriber(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { 32 } else { 64 };
        Self { base: masked(address, prefix), prefix }
    }

    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && masked(address, self.prefix) == self.base
    }

    pub fn prefix(self) -> u8 {
        self.prefix
    }

    pub fn base(self) -> IpAddr {
        self.base
    }

    /// Whether an address of this machine is among them.
    pub fn touches_loopback(self) -> bool {
        self.base.is_loopback()
            || self.contains(IpAddr::V4(Ipv4Addr::LOCALHOST))
            || self.contains(IpAddr::V6(Ipv6Addr::LOCALHOST))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.base) {
            return write!(f, "{}", self.base);
        }
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_read_and_written() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(Network::parse(text).map(|network| network.to_string()).as_deref(), expect, "{text}");
        };
        check("203.0.113.7", Some("203.0.113.7"));
        check("203.0.113.7/24", Some("203.0.113.0/24"));
        check("203.0.113.7/0", Some("0.0.0.0/0"));
        check("2001:db8::1", Some("2001:db8::1"));
        check("2001:db8:1:2:3::1/64", Some("2001:db8:1:2::/64"));
        check("::ffff:203.0.113.7", Some("203.0.113.7"));
        check("::ffff:203.0.113.7/120", Some("203.0.113.0/24"));
        check("::/0", Some("::/0"));
        for wrong in
            ["", "203.0.113", "203.0.113.7/33", "::1/129", "203.0.113.7/", "203.0.113.7/+8", "::ffff:1.2.3.4/95"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn a_network_contains_its_own_and_an_address_in_another_spelling() {
        let network = Network::parse("203.0.113.0/24").unwrap();
        assert!(network.contains("203.0.113.255".parse().unwrap()));
        assert!(network.contains("::ffff:203.0.113.9".parse().unwrap()));
        assert!(!network.contains("203.0.114.0".parse().unwrap()));
        assert!(!network.contains("::".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().touches_loopback());
        assert!(Network::parse("127.0.0.0/8").unwrap().touches_loopback());
        assert!(Network::parse("127.9.9.9").unwrap().touches_loopback());
        assert!(!network.touches_loopback());
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back_and_contains_its_origin(address: u128, prefix in 0_u8..=128) {
            let address = IpAddr::V6(Ipv6Addr::from(address));
            if let Some(network) = Network::parse(&format!("{address}/{prefix}")) {
                prop_assert_eq!(Network::parse(&network.to_string()), Some(network));
                prop_assert!(network.contains(address));
            }
        }

        #[test]
        fn hostile_text_is_no_panic(text: String) {
            let _any = Network::parse(&text);
        }
    }
}
