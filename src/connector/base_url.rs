//! Where a connector's calls go: an origin and a path, said by an operator and by nobody else.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::base::bound::connector as bound;
use crate::openapi::PathTemplate;

/// `https://host[:port][/path]`, without a slash at its end.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseUrl {
    origin: String,
    path: String,
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("expected a base URL such as https://api.example.com, found no URL: {0}")]
    NoUrl(String),
    #[error("a base URL has at most {} bytes", bound::BASE_URL_BYTES_MAX)]
    TooLong,
    #[error("a base URL is https://; {0}:// would send credentials in the clear")]
    Scheme(String),
    #[error("http:// is for this machine only (localhost, 127.0.0.1, [::1]), and only where it was allowed")]
    Clear,
    #[error("a base URL has no {0}; keep credentials in the vault, and leave the rest to the operations")]
    Extra(&'static str),
    #[error("the path of this base URL cannot be used: {0}")]
    Path(String),
}

impl BaseUrl {
    /// `loopback_http` takes `http://` for this machine.
    pub fn parse(text: &str, loopback_http: bool) -> Result<Self, BaseUrlError> {
        if text.len() > bound::BASE_URL_BYTES_MAX {
            return Err(BaseUrlError::TooLong);
        }
        if text.chars().any(|char| char.is_control() || char == '\\' || char.is_whitespace()) {
            return Err(BaseUrlError::NoUrl("it has spaces, control characters or backslashes".into()));
        }
        let url = Url::parse(text).map_err(|error| BaseUrlError::NoUrl(error.to_string()))?;
        match url.scheme() {
            "https" => {}
            "http" if loopback_http && is_loopback(&url) => {}
            "http" if is_loopback(&url) || loopback_http => return Err(BaseUrlError::Clear),
            other => return Err(BaseUrlError::Scheme(other.to_owned())),
        }
        // What the parser has normalised away is looked at as it was written, too.
        let after = text.split_once("://").map_or("", |(_, after)| after);
        if after.is_empty() || after.starts_with('/') {
            return Err(BaseUrlError::NoUrl("it does not begin with https:// and a host".into()));
        }
        let authority = after.split('/').next().unwrap_or_default();
        for (found, what) in [
            (!url.username().is_empty() || url.password().is_some() || authority.contains('@'), "user or password"),
            (url.query().is_some() || text.contains('?'), "query"),
            (url.fragment().is_some() || text.contains('#'), "fragment"),
        ] {
            if found {
                return Err(BaseUrlError::Extra(what));
            }
        }
        let written = after.find('/').map_or("", |at| &after[at..]).trim_end_matches('/');
        if !written.is_empty() {
            let template = PathTemplate::parse(written).map_err(BaseUrlError::Path)?;
            if template.parameters().next().is_some() || url.path().trim_end_matches('/') != written {
                return Err(BaseUrlError::Path("it is not read as it is written".into()));
            }
        }
        Ok(Self { origin: url.origin().ascii_serialization(), path: written.to_owned() })
    }

    /// `https://host[:port]`, in lower case and ASCII.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Empty, or begins with a slash and ends without one.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_an_origin_and_a_path() {
        for (text, expected) in [
            ("https://API.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            ("https://api.example.com:8443/a/b/", "https://api.example.com:8443/a/b"),
            ("https://api.example.com:443", "https://api.example.com"),
            ("https://[::1]:1", "https://[::1]:1"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(BaseUrl::parse(text, false).unwrap().to_string(), expected);
        }
        for text in ["http://localhost:1/x", "http://127.0.0.1", "http://[::1]:2"] {
            assert_eq!(BaseUrl::parse(text, false).unwrap_err(), BaseUrlError::Clear, "{text}");
            assert_eq!(BaseUrl::parse(text, true).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_would_leak_or_mislead_is_refused() {
        for text in [
            "",
            "example.com",
            "http://example.com",
            "ftp://example.com",
            "file:///etc",
            "https://",
            "https://a:b@example.com",
            "https://a@example.com",
            "https://@example.com",
            "https://example.com?x",
            "https://example.com#x",
            "https://example.com/?",
            "https://example.com/a/../b",
            "https://example.com/%2e%2e",
            "https://example.com/a//b",
            "https://example.com/{x}",
            "https://example.com\\@evil",
            "https://exa mple.com",
            "https:example.com",
            "https:/example.com",
            "https://example.com/%2f",
            "http://127.0.0.1.example.com",
            "javascript:alert(1)",
        ] {
            assert!(BaseUrl::parse(text, true).is_err(), "{text}");
        }
        assert!(BaseUrl::parse(&format!("https://a/{}", "a".repeat(600)), false).is_err());
    }
}
