//! Host and Origin: a page in somebody's browser cannot reach us by a name that it controls (DNS rebinding).

use ::http::{HeaderMap, Request, StatusCode, header};

use crate::config;

/// The names by which this server may be called.
#[derive(Debug)]
pub struct Guard {
    /// Host names with or without a port, lower case.
    hosts: Vec<String>,
    /// Those that were allowed, and our own: forms of our pages come from it.
    origins: Vec<String>,
}

/// A request that goes no further.
#[derive(Debug)]
pub struct Stopped {
    pub status: StatusCode,
    pub public: &'static str,
    pub private: String,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Guard {
    pub fn new(http: &config::Http) -> Self {
        let mut hosts: Vec<String> = http.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.extend(LOOPBACK.map(str::to_owned));
        // The address that we were told to listen on is a name of ours, unless it means "all of them".
        if !http.listen.ip().is_unspecified() {
            let ip = http.listen.ip();
            hosts.push(if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() });
        }
        let origins = http.allowed_origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase());
        let own = http.public_url.iter().map(|url| url.to_ascii_lowercase());
        let origins = origins.chain(own).collect();
        Self { hosts, origins }
    }

    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Stopped> {
        let host = host_of(request).ok_or_else(|| Stopped {
            status: StatusCode::BAD_REQUEST,
            public: "The request names no host, or more than one.",
            private: "no usable Host header".into(),
        })?;
        if !self.is_ours(&host) {
            return Err(Stopped {
                status: StatusCode::FORBIDDEN,
                public: "This host name is not one that Sekisho answers to; add it to http.allowed_hosts.",
                private: format!("host {}", shortened(&host)),
            });
        }
        match origin_of(request.headers()) {
            Origin::Absent => Ok(()),
            Origin::Given(origin) if self.is_allowed_origin(&origin) => Ok(()),
            Origin::Given(origin) => Err(Stopped {
                status: StatusCode::FORBIDDEN,
                public: "Pages of this origin may not call Sekisho; add it to http.allowed_origins.",
                private: format!("origin {}", shortened(&origin)),
            }),
            Origin::Malformed => Err(Stopped {
                status: StatusCode::FORBIDDEN,
                public: "The request's Origin cannot be read.",
                private: "malformed Origin header".into(),
            }),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        self.hosts.iter().any(|ours| *ours == host || ours == name)
    }

    fn is_allowed_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let loopback = host.is_some_and(|host| LOOPBACK.contains(&without_port(host)));
        loopback || self.origins.contains(&origin)
    }
}

/// The authority of HTTP/2, else the one Host header of HTTP/1.1.
pub(super) fn host_of<B>(request: &Request<B>) -> Option<String> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return None;
    }
    let header = first.map(|host| host.to_str().ok()).unwrap_or_default().map(str::to_owned);
    match (request.uri().authority(), first.is_some()) {
        (Some(authority), false) => Some(authority.as_str().to_owned()),
        (Some(authority), true) => header.filter(|host| host.eq_ignore_ascii_case(authority.as_str())),
        (None, _) => header,
    }
}

enum Origin {
    Absent,
    Given(String),
    Malformed,
}

fn origin_of(headers: &HeaderMap) -> Origin {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => Origin::Absent,
        (Some(origin), None) => origin.to_str().map_or(Origin::Malformed, |origin| Origin::Given(origin.to_owned())),
        (Some(_), Some(_)) => Origin::Malformed,
    }
}

pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && !name.is_empty()
                && (name.ends_with(']') || !name.contains(':')) =>
        {
            name
        }
        _ => host,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(crate::base::bound::AUDIT_NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::raw::Raw;

    #[test]
    fn only_our_names_and_allowed_origins_pass() {
        let mut raw = Raw::default();
        raw.http.allowed_hosts = vec!["Docs.example.org".into(), "api.example.org:8443".into()];
        raw.http.allowed_origins = vec!["https://app.example.org".into()];
        let guard = Guard::new(&Config::of(raw).unwrap().http);
        let check = |host: &str, origin: Option<&str>, expect: u16| {
            let mut request = Request::builder().header(header::HOST, host);
            if let Some(origin) = origin {
                request = request.header(header::ORIGIN, origin);
            }
            let found =
                guard.check(&request.body(()).unwrap()).map_or_else(|stopped| stopped.status.as_u16(), |()| 200);
            assert_eq!(found, expect, "{host} {origin:?}");
        };
        check("localhost:3000", None, 200);
        check("127.0.0.1", None, 200);
        check("[::1]:3000", None, 200);
        check("LOCALHOST", None, 200);
        check("docs.example.org", None, 200);
        check("docs.example.org:1", None, 200);
        check("api.example.org:8443", None, 200);
        check("api.example.org:8444", None, 403);
        check("evil.example", None, 403);
        check("localhost.evil.example", None, 403);
        check("evil.example:3000@localhost", None, 403);
        check("", None, 403);
        check("localhost", Some("https://app.example.org"), 200);
        check("localhost", Some("http://localhost:5173"), 200);
        check("localhost", Some("http://localhost.evil.example"), 403);
        check("localhost", Some("null"), 403);
        check("localhost", Some("https://evil.example"), 403);
    }

    #[test]
    fn two_hosts_or_none_are_refused() {
        let guard = Guard::new(&Config::of(Raw::default()).unwrap().http);
        let none = Request::builder().body(()).unwrap();
        assert_eq!(guard.check(&none).unwrap_err().status, StatusCode::BAD_REQUEST);
        let two =
            Request::builder().header(header::HOST, "localhost").header(header::HOST, "evil.example").body(()).unwrap();
        assert_eq!(guard.check(&two).unwrap_err().status, StatusCode::BAD_REQUEST);
        let differing =
            Request::builder().uri("http://evil.example/mcp").header(header::HOST, "localhost").body(()).unwrap();
        assert!(guard.check(&differing).is_err());
    }
}
