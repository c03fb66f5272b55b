//! Other machines, as settings name them: URLs, hosts with ports, and lists of hosts.

use std::net::IpAddr;

/// A host and a port: `mail.example.org:25`, `192.0.2.1:514`, `[2001:db8::1]:514`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name in lower case, or an address without brackets.
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    pub fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let authority: http::uri::Authority = text.parse().ok()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok().filter(|port| *port != 0)?,
            None => default_port?,
        };
        (!host.is_empty()).then_some(Self { host, port })
    }

    /// The host, if it is an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether it names this machine, by what is written.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A URL of `https`, or of `http` to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub is_tls: bool,
    pub endpoint: Endpoint,
    /// `/hooks/alerts?site=1`
    pub path: String,
}

impl Url {
    pub fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let (is_tls, port) = match uri.scheme_str()? {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let endpoint = Endpoint::parse(uri.authority()?.as_str(), Some(port))?;
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        (is_tls || endpoint.is_loopback()).then_some(Self { is_tls, endpoint, path })
    }

    /// What a Host header says.
    pub fn host_header(&self) -> String {
        let standard = if self.is_tls { 443 } else { 80 };
        let full = self.endpoint.to_string();
        if self.endpoint.port == standard {
            full.strip_suffix(&format!(":{standard}")).unwrap_or(&full).to_owned()
        } else {
            full
        }
    }
}

/// Names of hosts: exactly one, or all below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `siem.example.org`, `192.0.2.1`
    Exactly(String),
    /// `*.example.org`: with the dot in front, and not the domain itself.
    Below(String),
}

impl HostPattern {
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase();
        let good = |name: &str| {
            !name.is_empty()
                && name.len() <= 253
                && !name.contains('*')
                && (name.parse::<IpAddr>().is_ok() || is_name(name))
        };
        match name.strip_prefix("*.") {
            Some(domain) if good(domain) => Some(Self::Below(format!(".{domain}"))),
            None if good(&name) => Some(Self::Exactly(name)),
            _ => None,
        }
    }

    /// `host` is in lower case.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self {
            Self::Exactly(name) => name == host,
            Self::Below(domain) => host.len() > domain.len() && host.ends_with(domain.as_str()),
        }
    }
}

/// Labels of letters, digits, `-` and `_`, of at most 63 characters.
pub fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.split('.').all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_or_stay_on_this_machine() {
        let url = Url::parse("https://Hooks.Example.org/a?b=c").unwrap();
        assert_eq!(
            (url.endpoint.host.as_str(), url.endpoint.port, url.path.as_str()),
            ("hooks.example.org", 443, "/a?b=c")
        );
        assert_eq!(url.host_header(), "hooks.example.org");
        assert_eq!(Url::parse("http://127.0.0.1:8080/").unwrap().host_header(), "127.0.0.1:8080");
        assert!(Url::parse("http://[::1]:1/").is_some());
        for wrong in
            ["http://example.org/", "ftp://localhost/", "https://u:p@example.org/", "example.org", "https://a:0/", ""]
        {
            assert_eq!(Url::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn patterns_match_whole_names_or_what_is_below_a_domain() {
        let check = |pattern: &str, host: &str| HostPattern::parse(pattern).unwrap().matches(host);
        assert!(check("Example.org", "example.org") && check("example.org", "example.org."));
        assert!(!check("example.org", "a.example.org") && !check("example.org", "badexample.org"));
        assert!(check("*.example.org", "a.b.example.org"));
        assert!(!check("*.example.org", "example.org") && !check("*.example.org", "badexample.org"));
        assert!(check("192.0.2.1", "192.0.2.1") && check("::1", "::1"));
        for wrong in ["", "*", "*.", "a*.example.org", "*.*.org", "a b", "https://example.org", "example.org/"] {
            assert_eq!(HostPattern::parse(wrong), None, "{wrong}");
        }
    }
}
