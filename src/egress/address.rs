//! Which addresses are other machines on the internet, and which are closer than a name should lead.

use std::net::IpAddr;

/// How far away an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere on the internet.
    Public,
    /// This machine, or the site's own network: reached only under a name that an operator wrote down in full.
    Private,
    /// Where clouds keep the credentials of a machine, or nothing that anybody names: reached only as the address itself.
    Forbidden,
}

/// Where `address` leads (RFC 6890 and the registries of special-purpose addresses).
pub fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            match (a, b, c, d) {
                // This network, link-local with the metadata services, Alibaba's metadata, Oracle's.
                (0, ..) | (169, 254, ..) | (100, 100, 100, 200) | (192, 0, 0, _) => Reach::Forbidden,
                // Multicast, reserved, broadcast.
                (224.., ..) => Reach::Forbidden,
                (10 | 127, ..) | (192, 168, ..) | (172, 16..=31, ..) | (100, 64..=127, ..) => Reach::Private,
                // Documentation and benchmarks: a closed site may use them.
                (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) | (198, 18..=19, ..) => Reach::Private,
                _ => Reach::Public,
            }
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            let [first, second, ..] = segments;
            if address.is_loopback() {
                return Reach::Private;
            }
            if address.is_unspecified() || address.is_multicast() || first & 0xffc0 == 0xfe80 {
                return Reach::Forbidden;
            }
            // Amazon's metadata service.
            if segments == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] {
                return Reach::Forbidden;
            }
            // Addresses that carry an IPv4 address lead where that one leads: compatible, NAT64, 6to4.
            let [.., high, low] = segments;
            let carried = match (first, second) {
                (0, 0) if segments[..6] == [0; 6] => Some((high, low)),
                (0x64, 0xff9b) => Some((high, low)),
                (0x2002, _) => Some((second, segments[2])),
                _ => None,
            };
            if let Some((high, low)) = carried {
                let [a, b] = high.to_be_bytes();
                let [c, d] = low.to_be_bytes();
                return reach(IpAddr::from([a, b, c, d]));
            }
            match first {
                // Unique local, site-local as they were, documentation, Teredo.
                first if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Reach::Private,
                0x2001 if second == 0xdb8 || second == 0 => Reach::Private,
                _ => Reach::Public,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_metadata_addresses_are_told_from_public_ones() {
        let check = |text: &str, expected: Reach| assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        for public in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            check(public, Reach::Public);
        }
        for private in
            ["127.0.0.1", "127.9.9.9", "10.0.0.1", "192.168.1.1", "172.16.0.1", "172.31.255.255", "100.64.0.1", "::1"]
        {
            check(private, Reach::Private);
        }
        for private in ["fd12::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:0a00:0001::1", "2001:db8::1"] {
            check(private, Reach::Private);
        }
        for forbidden in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "255.255.255.255",
        ] {
            check(forbidden, Reach::Forbidden);
        }
        for forbidden in ["fe80::1", "ff02::1", "::", "224.0.0.1", "64:ff9b::a9fe:a9fe", "::a9fe:a9fe"] {
            check(forbidden, Reach::Forbidden);
        }
    }
}
