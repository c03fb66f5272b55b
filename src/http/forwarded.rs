//! Who the client is behind trusted proxies: the last hop that is none of them. What others say of themselves is
//! ignored.

use std::net::{IpAddr, SocketAddr};

use ::http::{HeaderMap, header};

use crate::base::bound;
use crate::config::Proxies;
use crate::config::raw::ClientAddressHeader;

/// The client's address. Its port is 0 where a proxy named it.
pub(super) fn client(proxies: &Proxies, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
    let is_trusted = |address: IpAddr| proxies.trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer.ip()) {
        return peer;
    }
    // From the nearest hop to the farthest. What a hop says is worth something as long as all before are trusted.
    let mut nearest = peer.ip();
    for hop in hops(proxies.header, headers).iter().rev().take(bound::PROXY_HOPS_MAX) {
        let Some(address) = address_of(hop) else { break };
        // Nobody elsewhere is this machine: a client wrote that itself.
        if address.is_loopback() && !peer.ip().to_canonical().is_loopback() {
            break;
        }
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    if nearest == peer.ip() { peer } else { SocketAddr::new(nearest, 0) }
}

/// What the header names, the client first.
fn hops(which: ClientAddressHeader, headers: &HeaderMap) -> Vec<String> {
    let all = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        // A value that is no text is a hop that cannot be read.
        let texts = values.map(|value| value.to_str().unwrap_or("?"));
        texts.flat_map(|text| text.split(',')).map(|hop| hop.trim().to_owned()).collect()
    };
    match which {
        ClientAddressHeader::XForwardedFor => all("x-forwarded-for"),
        // One address, not a list: a proxy that is behind another replaces it.
        ClientAddressHeader::XRealIp => all("x-real-ip").pop().into_iter().collect(),
        ClientAddressHeader::Forwarded => all(header::FORWARDED.as_str()).iter().map(|hop| node_of(hop)).collect(),
    }
}

/// The `for` of one element (RFC 7239, section 4); nothing readable where it has none.
fn node_of(element: &str) -> String {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let node = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, node)| node.trim()).next();
    node.unwrap_or_default().trim_matches('"').to_owned()
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let address = bare.unwrap_or(hop).parse::<IpAddr>().ok();
    address.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip())).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::raw::Raw;

    fn check(which: ClientAddressHeader, peer: &str, name: &'static str, values: &[&str], expect: &str) {
        let mut raw = Raw::default();
        raw.http.trusted_proxies = vec!["10.0.0.0/8".into(), "2001:db8:1::/48".into()];
        raw.http.client_address_header = which;
        let proxies = Config::of(raw).unwrap().http.proxies;
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        let found = client(&proxies, SocketAddr::new(peer.parse().unwrap(), 5), &headers);
        assert_eq!(found.ip().to_string(), expect, "{peer} {name} {values:?}");
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_is_the_client() {
        let forwarded = |peer: &str, values: &[&str], expect: &str| {
            check(ClientAddressHeader::XForwardedFor, peer, "x-forwarded-for", values, expect);
        };
        forwarded("203.0.113.7", &["198.51.100.1"], "203.0.113.7");
        forwarded("10.0.0.1", &[], "10.0.0.1");
        forwarded("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        forwarded("10.0.0.1", &["127.0.0.1, 198.51.100.1"], "198.51.100.1");
        forwarded("10.0.0.1", &["127.0.0.1", "198.51.100.1, 10.0.0.2"], "198.51.100.1");
        forwarded("10.0.0.1", &["127.0.0.1, 10.0.0.5"], "10.0.0.5");
        forwarded("10.0.0.1", &["::1"], "10.0.0.1");
        forwarded("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        forwarded("10.0.0.1", &["198.51.100.1, garbage"], "10.0.0.1");
        forwarded("10.0.0.1", &["garbage, 198.51.100.1"], "198.51.100.1");
        forwarded("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1");
        forwarded("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1");
        forwarded("2001:db8:1::5", &["2001:db8:9::1"], "2001:db8:9::1");
    }

    #[test]
    fn the_other_headers_are_read_as_their_proxies_write_them() {
        let forwarded = |values: &[&str], expect: &str| {
            check(ClientAddressHeader::Forwarded, "10.0.0.1", "forwarded", values, expect);
        };
        forwarded(&["for=198.51.100.1;proto=https;by=10.0.0.1"], "198.51.100.1");
        forwarded(&["For=\"[2001:db8::7]:4711\""], "2001:db8::7");
        forwarded(&["for=127.0.0.1, for=198.51.100.1, for=10.0.0.9"], "198.51.100.1");
        forwarded(&["for=unknown"], "10.0.0.1");
        forwarded(&["proto=https"], "10.0.0.1");
        check(ClientAddressHeader::XRealIp, "10.0.0.1", "x-real-ip", &["198.51.100.1"], "198.51.100.1");
        check(ClientAddressHeader::XRealIp, "10.0.0.1", "x-forwarded-for", &["198.51.100.1"], "10.0.0.1");
    }
}
