//! Which addresses are other machines on the internet, and which are closer than a name should lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far away an address is, the farthest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Anywhere on the internet.
    Public,
    /// This machine, the site's own network, or a way through somebody's translator.
    Private,
    /// Where clouds keep the credentials of a machine, and the link: named as such, or not reached.
    Guarded,
    /// What no connection is made to: unspecified (which is this machine), multicast, broadcast, reserved.
    Nowhere,
}

/// Where `address` leads (RFC 6890 and IANA's registries of special-purpose addresses).
pub fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        (0 | 224.., ..) => Reach::Nowhere,
        // Link-local with the metadata services, Alibaba's, Oracle's, and Azure's, which looks public.
        (169, 254, ..) | (100, 100, 100, 200) | (192, 0, 0, _) | (168, 63, 129, 16) => Reach::Guarded,
        (10 | 127, ..) | (192, 168, ..) | (172, 16..=31, ..) | (100, 64..=127, ..) => Reach::Private,
        // Documentation and benchmarks: a closed site may use them. The last is the way to 6to4 relays.
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) | (198, 18..=19, ..) | (192, 88, 99, _) => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    let [first, second, third, ..] = segments;
    if address.is_loopback() {
        return Reach::Private;
    }
    if let Some(carried) = carried(address) {
        return reach_v4(carried).max(Reach::Private);
    }
    match first {
        first if first & 0xffc0 == 0xfe80 => Reach::Guarded,
        // Amazon's and Google's metadata services.
        0xfd00 if second == 0xec2 => Reach::Guarded,
        0xfd20 if second == 0xce => Reach::Guarded,
        // Unique local, site-local as they were.
        first if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Reach::Private,
        // Protocol assignments (Teredo, ORCHID), documentation.
        0x2001 if second < 0x200 || second == 0xdb8 => Reach::Private,
        0x3fff if second < 0x1000 => Reach::Private,
        // The rest of what is assigned to be global; `third` has no part in it.
        0x2000..=0x3fff => Reach::Public,
        // Translators that a site runs itself, where the address carries nothing that we can read.
        0x64 if second == 0xff9b && third == 1 => Reach::Private,
        _ => Reach::Nowhere,
    }
}

/// Where an address leads that stands for another one.
pub(super) fn led_to(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V6(address) => carried(address).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    }
}

/// The IPv4 address that an IPv6 address leads to: compatible, NAT64 (RFC 6052, RFC 8215), 6to4, Teredo, ISATAP.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, fourth, fifth, sixth, high, low] = address.segments();
    let joined = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (first, second) {
        (0, 0) if (third, fourth, fifth, sixth) == (0, 0, 0, 0) => Some(joined(high, low)),
        (0x64, 0xff9b) if (third, fourth, fifth, sixth) == (0, 0, 0, 0) => Some(joined(high, low)),
        (0x64, 0xff9b) if third == 1 && (high, low) != (0, 0) => Some(joined(high, low)),
        (0x2002, _) => Some(joined(second, third)),
        // The client's, every bit turned.
        (0x2001, 0) => Some(joined(!high, !low)),
        _ if fifth & 0xfcff == 0 && sixth == 0x5efe => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(expected: Reach, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn private_and_metadata_addresses_are_told_from_public_ones() {
        check(
            Reach::Public,
            &["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111", "223.255.255.255"],
        );
        check(
            Reach::Private,
            &["127.0.0.1", "127.9.9.9", "10.0.0.1", "192.168.1.1", "172.16.0.1", "172.31.255.255", "100.64.0.1", "::1"],
        );
        check(Reach::Private, &["fd12::1", "fc00::1", "fec0::1", "::ffff:10.0.0.1", "2001:db8::1", "3fff::1"]);
        check(Reach::Private, &["64:ff9b::a00:1", "64:ff9b::101:101", "64:ff9b:1::7f00:1", "2002:a00:1::1"]);
        check(Reach::Private, &["2001:0:4136:e378:8000:63bf:3fff:fdd2", "2606::5efe:a00:1", "::7f00:1", "::101:101"]);
        check(Reach::Guarded, &["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "fd20:ce::254"]);
        check(Reach::Guarded, &["100.100.100.200", "192.0.0.192", "168.63.129.16", "fe80::1"]);
        check(Reach::Guarded, &["64:ff9b::a9fe:a9fe", "::a9fe:a9fe", "2002:a9fe:a9fe::", "64:ff9b:1::a9fe:a9fe"]);
        check(Reach::Guarded, &["2001:0:1:2:3:4:5601:5601"]);
        check(Reach::Nowhere, &["0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "240.0.0.1"]);
        check(
            Reach::Nowhere,
            &["::", "ff02::1", "::ffff:0.0.0.0", "64:ff9b::", "100::1", "1::1", "4000::1", "5f00::1"],
        );
    }

    proptest! {
        /// Whichever way an IPv4 address is written into an IPv6 address, it is no farther than it is itself, and only
        /// the one way that means the very same is as far.
        #[test]
        fn no_form_of_an_address_is_farther_than_the_address(bits: u32, rest: u64) {
            let (own, [a, b, c, d]) = (reach(IpAddr::V4(bits.into())), bits.to_be_bytes());
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let [e, f, g, h] = [0, 16, 32, 48].map(|shift| u16::try_from((rest >> shift) & 0xffff).unwrap());
            prop_assert_eq!(reach(IpAddr::V6(Ipv4Addr::from(bits).to_ipv6_mapped())), own);
            let forms = [
                [0, 0, 0, 0, 0, 0, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x2002, high, low, e, f, g, h, 0],
                [0x2001, 0, e, f, g, h, !high, !low],
                [0x2606, e, f, g, 0x200, 0x5efe, high, low],
            ];
            for form in forms.map(IpAddr::from) {
                let is_loopback = form.is_loopback();
                prop_assert!(is_loopback || reach(form) >= own.max(Reach::Private), "{}", form);
            }
        }

        /// What std knows as not global is never public.
        #[test]
        fn what_is_not_on_the_internet_is_not_public(v4: u32, v6: u128) {
            let (v4, v6) = (Ipv4Addr::from(v4), Ipv6Addr::from(v6));
            let near = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!near || reach(v4.into()) != Reach::Public, "{}", v4);
            let near = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unique_local()
                || v6.is_unicast_link_local();
            prop_assert!(!near || reach(v6.into()) != Reach::Public, "{}", v6);
            // Only a third of the whole is assigned to be global.
            prop_assert_eq!(v6.segments()[0] >> 13 == 1 || reach(v6.into()) != Reach::Public, true);
        }
    }
}
