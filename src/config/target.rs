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

/// Hosts, and paths on them, as lists name them: `github.com`, `*.example.org`, `*x.com`, `github.com/expo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: Hosts,
    /// `/expo`: this path and all below it.
    path: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// `siem.example.org`, `192.0.2.1`
    Exactly(String),
    /// `*.example.org`: with the dot in front, and not the domain itself.
    Below(String),
    /// `*x.com`: whatever ends so, `x.com` and `max.com` included.
    Ending(String),
}

impl HostPattern {
    pub fn parse(text: &str) -> Option<Self> {
        let (host, path) = match text.split_once('/') {
            // A colon is a port's, unless it is an IPv6 address's; addresses have no `/` and so no path.
            Some((host, path)) if !host.is_empty() && !host.ends_with(':') => (host, format!("/{path}")),
            Some(_) => return None,
            None => (text, String::new()),
        };
        let name = host.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let good = |name: &str| !name.is_empty() && name.len() <= 253 && !name.contains('*') && is_host(name);
        let host = match (name.strip_prefix("*."), name.strip_prefix('*')) {
            (Some(domain), _) if good(domain) => Hosts::Below(format!(".{domain}")),
            (None, Some(ending)) if good(ending) && ending.contains('.') => Hosts::Ending(ending.to_owned()),
            // An address has many spellings, and is compared in one.
            (None, None) if good(name) => Hosts::Exactly(
                name.parse().map_or_else(|_| name.to_owned(), |ip: IpAddr| ip.to_canonical().to_string()),
            ),
            _ => return None,
        };
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Some(Self { host, path: None });
        }
        // Written as it will be compared, or it would never match what it was meant for.
        (path_form(path).as_deref() == Some(path)).then(|| Self { host, path: Some(path.to_owned()) })
    }

    /// Just this host, and all of it.
    pub fn exactly(host: &str) -> Self {
        Self { host: Hosts::Exactly(host.to_owned()), path: None }
    }

    /// Whether a host is named in full, not by what it ends with.
    pub fn is_full(&self) -> bool {
        matches!(self.host, Hosts::Exactly(_))
    }

    /// Whether `host`, in lower case and without a dot at its end, is one of these, whatever the path.
    pub fn matches_host(&self, host: &str) -> bool {
        match &self.host {
            Hosts::Exactly(name) => name == host,
            Hosts::Below(domain) => host.len() > domain.len() && host.ends_with(domain.as_str()),
            // An address ends like no domain.
            Hosts::Ending(ending) => host.ends_with(ending.as_str()) && host.parse::<IpAddr>().is_err(),
        }
    }

    /// Whether a list that allows means `path`, as it stands in a URL, on `host`. A path that servers read in two ways
    /// is none of those that a pattern with a path means, and neither is no path at all.
    pub fn allows(&self, host: &str, path: Option<&str>) -> bool {
        self.matches_host(host)
            && self
                .path
                .as_ref()
                .is_none_or(|below| path.and_then(path_form).is_some_and(|path| is_below(&path, below)))
    }

    /// Whether a list that blocks means `path` on `host`. Here a path that servers read in two ways is one of them, and
    /// letters of either case are the same.
    pub fn blocks(&self, host: &str, path: Option<&str>) -> bool {
        let lower = |path: &str| path.to_lowercase();
        let is_meant = |below: &String| {
            path.is_some_and(|path| path_form(path).is_none_or(|path| is_below(&lower(&path), &lower(below))))
        };
        self.matches_host(host) && self.path.as_ref().is_none_or(is_meant)
    }
}

fn is_host(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || (is_name(name) && !is_number(name))
}

/// Whether a name's last label is a number: then others read it as an address.
fn is_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a URL's path is `above`, a URL's path too, or below it. One that servers read in two ways is not.
pub fn is_path_below(path: &str, above: &str) -> bool {
    let above = above.trim_end_matches('/');
    above.is_empty() || path_form(path).zip(path_form(above)).is_some_and(|(path, above)| is_below(&path, &above))
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A URL's path without its query, decoded; `None` where servers differ on what it means: encoded slashes and percent
/// signs, backslashes, control characters, empty segments in the middle, dots that lead up, parameters of segments.
fn path_form(path: &str) -> Option<String> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // An encoded slash is a slash once it is decoded: those that were written are counted before.
    let before = path.bytes().filter(|byte| *byte == b'/').count();
    let text = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let segments: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
    let is_plain = |segment: &&str| {
        !matches!(*segment, "." | "..") && !segment.chars().any(|char| char.is_control() || "%\\;".contains(char))
    };
    let middle = segments.get(..segments.len().saturating_sub(1)).unwrap_or_default();
    let good = segments.iter().all(is_plain) && middle.iter().all(|segment| !segment.is_empty());
    (good && before == segments.len()).then(|| text.into_owned())
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

    fn allows(pattern: &str, host: &str, path: Option<&str>) -> bool {
        HostPattern::parse(pattern).unwrap().allows(host, path)
    }

    #[test]
    fn patterns_match_whole_names_what_is_below_a_domain_or_an_ending() {
        let check = |pattern: &str, host: &str| allows(pattern, host, None);
        assert!(check("Example.org", "example.org") && check("example.org.", "example.org"));
        assert!(!check("example.org", "a.example.org") && !check("example.org", "badexample.org"));
        assert!(check("*.example.org", "a.b.example.org"));
        assert!(!check("*.example.org", "example.org") && !check("*.example.org", "badexample.org"));
        assert!(check("*x.com", "x.com") && check("*x.com", "max.com") && check("*x.com", "a.x.com"));
        assert!(!check("*x.com", "x.com.evil.org") && !check("*x.com", "x.comm"));
        assert!(check("192.0.2.1", "192.0.2.1") && check("::1", "::1"));
        for wrong in [
            "",
            "*",
            "*.",
            "*com",
            "a*.example.org",
            "*.*.org",
            "a b",
            "https://example.org",
            "/a",
            "2130706433",
            "127.1",
            "0x7f.0.0.0x1",
            "example.org/a/../b",
            "example.org/%61",
            "example.org//a",
            "example.org:443",
            "a/b*\\",
        ] {
            assert_eq!(HostPattern::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_in_a_pattern_means_itself_and_what_is_below() {
        for good in ["/expo", "/expo/", "/expo/cli?x=/..", "/%65xpo/cli"] {
            assert!(allows("github.com/expo", "github.com", Some(good)), "{good}");
        }
        for wrong in [
            "/",
            "/exposed",
            "/EXPO",
            "/other",
            "/expo/../other",
            "/expo/%2e%2e/other",
            "/expo%2f..%2fother",
            "/expo/%252e%252e/other",
            "/expo\\..\\other",
            "/expo/;/other",
            "//expo",
            "/expo//x",
            "/expo/%00",
        ] {
            assert!(!allows("github.com/expo", "github.com", Some(wrong)), "{wrong}");
        }
        assert!(!allows("github.com/expo", "github.com", None) && !allows("github.com/expo", "x.com", Some("/expo")));
        let blocked = HostPattern::parse("github.com/expo").unwrap();
        for path in ["/expo", "/EXPO/x", "/%45xpo", "/a/%2e%2e/expo", "/a%2f..%2fexpo", "//expo", "/a/%252e%252e/expo"]
        {
            assert!(blocked.blocks("github.com", Some(path)), "{path}");
        }
        assert!(!blocked.blocks("github.com", Some("/other")) && !blocked.blocks("github.com", None));
        assert!(HostPattern::parse("github.com").unwrap().blocks("github.com", Some("/other")));
    }
}
