//! The valid form of the table `[egress]`: where this server may connect to.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Check;
use super::raw::egress::{self as raw, EgressMode};
use super::target::{Endpoint, HostPattern, Url};
use super::watch::set;

#[derive(Clone, Debug, Default)]
pub struct Egress {
    pub mode: EgressMode,
    pub allowed: Vec<HostPattern>,
    pub blocked: Vec<HostPattern>,
    pub ca_file: Option<PathBuf>,
    pub dns: Dns,
    /// Spoken to in the clear; what goes through it is under TLS of its own.
    pub proxy: Option<Endpoint>,
    /// Reached without the proxy.
    pub direct: Vec<HostPattern>,
}

/// Who looks names up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dns {
    /// As `/etc/nsswitch.conf`, `/etc/hosts` and `/etc/resolv.conf` say.
    #[default]
    System,
    /// RFC 1035, over UDP and, for long answers, TCP.
    Server(SocketAddr),
    /// RFC 8484.
    Https(Url),
}

impl Check {
    pub(super) fn egress(&mut self, egress: &raw::Egress) -> Egress {
        Egress {
            mode: egress.mode,
            allowed: self.hosts("egress.allowed_hosts", &egress.allowed_hosts),
            blocked: self.hosts("egress.blocked_hosts", &egress.blocked_hosts),
            ca_file: self.path("egress.ca_file", egress.ca_file.as_deref()),
            dns: self.dns(&egress.dns),
            proxy: self.proxy(egress.proxy.as_ref()),
            direct: self.hosts("egress.direct_hosts", &egress.direct_hosts),
        }
    }

    fn hosts(&mut self, key: &'static str, hosts: &[String]) -> Vec<HostPattern> {
        let mut patterns = Vec::new();
        for host in hosts {
            match HostPattern::parse(host) {
                Some(pattern) => patterns.push(pattern),
                None => self.impossible(
                    key,
                    "names of hosts, such as siem.example.org, *.example.org, *x.com or github.com/expo",
                    host,
                ),
            }
        }
        patterns
    }

    fn dns(&mut self, text: &str) -> Dns {
        if text == "system" {
            return Dns::System;
        }
        let server = text.strip_prefix("udp://").and_then(|rest| Endpoint::parse(rest, Some(53)));
        if let Some((address, port)) = server.and_then(|server| Some((server.address()?, server.port))) {
            return Dns::Server(SocketAddr::new(address, port));
        }
        if let Some(url) = Url::parse(text).filter(|url| url.is_tls) {
            return Dns::Https(url);
        }
        self.impossible("egress.dns", "\"system\", udp://ADDRESS:PORT, or https://HOST/dns-query", text);
        Dns::System
    }

    fn proxy(&mut self, text: Option<&String>) -> Option<Endpoint> {
        let text = set(text)?;
        let rest = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let proxy = rest.and_then(|rest| Endpoint::parse(rest, None));
        if proxy.is_none() {
            self.impossible("egress.proxy", "http://HOST:PORT, without a user and a password", text);
        }
        proxy
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::raw::Raw;
    use super::*;

    #[test]
    fn what_no_host_resolver_or_proxy_can_be_is_named() {
        let keys = |change: &dyn Fn(&mut raw::Egress)| -> Vec<&'static str> {
            let mut raw = Raw::default();
            change(&mut raw.egress);
            Config::of(raw).err().unwrap_or_default().into_iter().map(|problem| problem.key).collect()
        };
        assert_eq!(keys(&|egress| egress.allowed_hosts = vec!["https://a".into()]), ["egress.allowed_hosts"]);
        assert_eq!(keys(&|egress| egress.blocked_hosts = vec!["*".into()]), ["egress.blocked_hosts"]);
        for dns in ["", "udp://name:53", "http://127.0.0.1/dns-query", "tls://1.1.1.1", "1.1.1.1"] {
            assert_eq!(keys(&|egress| egress.dns = dns.into()), ["egress.dns"], "{dns}");
        }
        for proxy in ["proxy:3128", "https://proxy:3128", "http://proxy", "http://u:p@proxy:1", "http://proxy:1/x"] {
            assert_eq!(keys(&|egress| egress.proxy = Some(proxy.into())), ["egress.proxy"], "{proxy}");
        }
    }

    #[test]
    fn a_resolver_and_a_proxy_are_read() {
        let mut raw = Raw::default();
        raw.egress.dns = "udp://[2001:db8::1]".into();
        raw.egress.proxy = Some("http://Proxy.example:3128/".into());
        let egress = Config::of(raw).unwrap().egress;
        assert_eq!(egress.dns, Dns::Server("[2001:db8::1]:53".parse().unwrap()));
        assert_eq!(egress.proxy.unwrap().to_string(), "proxy.example:3128");
    }
}
