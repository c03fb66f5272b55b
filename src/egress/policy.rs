//! Who may be reached: hosts and paths by lists, addresses by how near they are. Pure; asks nobody.

use std::net::IpAddr;

use super::address::{Reach, led_to, reach};
use super::route::Route;
use crate::config;
use crate::config::target::{Endpoint, HostPattern};

/// How a host is known, and so how near it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// By its full name.
    Named,
    /// By what it ends with.
    Below,
}

#[derive(Debug)]
pub(super) struct Policy {
    allowed: Vec<HostPattern>,
    blocked: Vec<HostPattern>,
    /// Hosts that other settings name: to these alone the default leads.
    configured: Vec<String>,
    direct: Vec<HostPattern>,
}

impl Policy {
    pub(super) fn new(egress: &config::egress::Egress, configured: Vec<String>) -> Self {
        let (allowed, blocked) = (egress.allowed.clone(), egress.blocked.clone());
        Self { allowed, blocked, configured, direct: egress.direct.clone() }
    }

    /// Whether `host` may be asked for `path`, as it stands in a URL, by `route`. Blocked beats allowed.
    pub(super) fn host(&self, host: &str, path: Option<&str>, route: Option<&Route>) -> Result<Standing, String> {
        if self.blocked.iter().any(|pattern| pattern.blocks(host, path)) {
            return Err("it is in egress.blocked_hosts".into());
        }
        if route.is_none() && self.configured.iter().any(|configured| configured == host) {
            return Ok(Standing::Named);
        }
        let own = route.map_or(&[][..], |route| &route.hosts);
        let mut found = None;
        for pattern in own.iter().chain(&self.allowed).filter(|pattern| pattern.allows(host, path)) {
            if pattern.is_full() {
                return Ok(Standing::Named);
            }
            found = Some(Standing::Below);
        }
        found.ok_or_else(|| match route {
            Some(route) => format!("it is not in egress.allowed_hosts, and {} does not name it", route.name),
            None => "it is not in egress.allowed_hosts, and no setting names it".into(),
        })
    }

    /// Whether the connection may go to `address`, which `is_literal` where no name led to it.
    pub(super) fn address(
        &self,
        address: IpAddr,
        is_literal: bool,
        standing: Standing,
        route: Option<&Route>,
    ) -> Result<(), String> {
        let near = reach(address);
        let is_named = standing == Standing::Named;
        let good = match (near, route) {
            (Reach::Public, _) => true,
            (Reach::Nowhere, _) => false,
            (_, Some(route)) if !route.is_of_setting => is_in_networks(address, near, route),
            (Reach::Private, _) => is_named,
            (Reach::Guarded, _) => is_named && is_literal,
        };
        if !good {
            let way = match route {
                _ if near == Reach::Nowhere => "no connection is made to it".to_owned(),
                Some(route) if !route.is_of_setting => format!("{} names no network that it is in", route.name),
                _ => "write the host into egress.allowed_hosts in full".to_owned(),
            };
            return Err(format!("it leads to {address}, which is not on the internet; {way}"));
        }
        // Under whatever name, and by whatever way: NAT64 and its like lead to an IPv4 address.
        let texts = [Some(address.to_canonical()), led_to(address)].into_iter().flatten().map(|ip| ip.to_string());
        if texts.into_iter().any(|text| self.blocked.iter().any(|pattern| pattern.blocks(&text, None))) {
            return Err(format!("it leads to {address}, which is in egress.blocked_hosts"));
        }
        Ok(())
    }

    /// Whether a proxy is passed by. Its loopback is not ours.
    pub(super) fn is_direct(&self, target: &Endpoint) -> bool {
        target.is_loopback() || self.direct.iter().any(|pattern| pattern.allows(&target.host, None))
    }
}

fn is_in_networks(address: IpAddr, near: Reach, route: &Route) -> bool {
    let is_loopback = address.to_canonical().is_loopback();
    let mut networks = route.networks.iter().filter(|network| network.contains(address));
    // A wide network around a metadata service does not mean it.
    networks.any(|network| near != Reach::Guarded || reach(network.base()) == Reach::Guarded)
        || (route.cleartext_loopback && is_loopback)
}
