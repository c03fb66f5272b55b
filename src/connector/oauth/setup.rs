//! What an operator chose of OAuth 2.0 for a connector: which grant, whose login, and where the authorization server is.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::base::bound::oauth as bound;

/// How a connector gets its access tokens. It is a part of the binding, so an operator says it, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuth {
    pub grant: Grant,
    /// Our name at the authorization server. It is no secret.
    pub client_id: String,
    /// How the client proves who it is, where it has a secret.
    pub client_auth: ClientAuth,
    pub scopes: Vec<String>,
    pub whose: Whose,
    pub keep: Keep,
    pub endpoints: Endpoints,
}

/// RFC 6749, section 1.3; RFC 8628.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grant {
    /// A person logs in with a browser; always with PKCE, S256.
    AuthorizationCode,
    /// A person logs in with a browser on another machine.
    DeviceCode,
    /// A person's name and password, sent once.
    Password,
    /// The client is on its own account: nobody logs in.
    ClientCredentials,
}

/// RFC 6749, section 2.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAuth {
    /// In the header, which every server must take.
    Basic,
    /// In the body.
    Post,
}

/// Whose login a call uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// One for all callers.
    Service,
    /// Each principal's own.
    Each,
}

/// Where tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// In the database, sealed by the vault: a refresh token that can be used once must outlast a crash.
    Sealed,
    /// In memory; a restart asks for a new login.
    Memory,
}

/// The endpoints of an authorization server: named by an operator, or by its metadata (RFC 8414) when it was bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    pub issuer: Option<String>,
    /// It said that its answers carry `iss` (RFC 9207): one that does not is refused.
    pub promises_iss: bool,
    pub authorize: Option<String>,
    pub token: String,
    pub device: Option<String>,
    pub revoke: Option<String>,
}

/// What an operator wrote that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error("expected {expected}, found {found:?}")]
    Word { expected: &'static str, found: String },
    #[error("a client's id has 1 to {most} printable ASCII characters", most = bound::OAUTH_CLIENT_ID_BYTES_MAX)]
    ClientId,
    #[error("a scope has printable ASCII characters without spaces, quotes and backslashes, and there are at most {most}", most = bound::OAUTH_SCOPES_MAX)]
    Scope,
    #[error("the {what} {found:?} cannot be used: {reason}")]
    Url { what: &'static str, found: String, reason: &'static str },
    #[error("the grant {grant} needs {what}")]
    Missing { grant: Grant, what: &'static str },
}

fn word<T: Copy>(text: &str, expected: &'static str, all: &[(&str, T)]) -> Result<T, SetupError> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| SetupError::Word { expected, found: text.chars().take(40).collect() })
}

impl Grant {
    const NAMES: [(&'static str, Self); 4] = [
        ("authorization-code", Self::AuthorizationCode),
        ("device-code", Self::DeviceCode),
        ("password", Self::Password),
        ("client-credentials", Self::ClientCredentials),
    ];

    pub fn parse(text: &str) -> Result<Self, SetupError> {
        word(text, "authorization-code, device-code, password or client-credentials", &Self::NAMES)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization-code",
            Self::DeviceCode => "device-code",
            Self::Password => "password",
            Self::ClientCredentials => "client-credentials",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ClientAuth {
    pub fn parse(text: &str) -> Result<Self, SetupError> {
        word(text, "basic or post", &[("basic", Self::Basic), ("post", Self::Post)])
    }
}

impl Whose {
    pub fn parse(text: &str) -> Result<Self, SetupError> {
        word(text, "service or each", &[("service", Self::Service), ("each", Self::Each)])
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Each => "each",
        }
    }
}

impl Keep {
    pub fn parse(text: &str) -> Result<Self, SetupError> {
        word(text, "sealed or memory", &[("sealed", Self::Sealed), ("memory", Self::Memory)])
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Memory => "memory",
        }
    }
}

impl OAuth {
    /// `has_secret`: the client has one. `loopback_http` takes `http://` endpoints on this machine.
    pub fn check(&self, has_secret: bool, loopback_http: bool) -> Result<(), SetupError> {
        let id = self.client_id.as_bytes();
        if id.is_empty()
            || id.len() > bound::OAUTH_CLIENT_ID_BYTES_MAX
            || !id.iter().all(|it| (0x20..0x7f).contains(it))
        {
            return Err(SetupError::ClientId);
        }
        let good = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        let is_scope = |it: &String| !it.is_empty() && it.len() <= bound::OAUTH_SCOPE_BYTES_MAX && it.bytes().all(good);
        if self.scopes.len() > bound::OAUTH_SCOPES_MAX || !self.scopes.iter().all(is_scope) {
            return Err(SetupError::Scope);
        }
        self.endpoints.check(loopback_http)?;
        let missing = |what| Err(SetupError::Missing { grant: self.grant, what });
        match self.grant {
            Grant::AuthorizationCode if self.endpoints.authorize.is_none() => missing("an authorization endpoint"),
            Grant::DeviceCode if self.endpoints.device.is_none() => missing("a device authorization endpoint"),
            Grant::ClientCredentials if !has_secret => missing("the client's secret: name a credential of the vault"),
            Grant::ClientCredentials if self.whose == Whose::Each => missing("--whose service: nobody logs in"),
            _ => Ok(()),
        }
    }
}

impl Endpoints {
    fn check(&self, loopback_http: bool) -> Result<(), SetupError> {
        let all = [
            ("authorization endpoint", self.authorize.as_deref()),
            ("token endpoint", Some(self.token.as_str())),
            ("device authorization endpoint", self.device.as_deref()),
            ("revocation endpoint", self.revoke.as_deref()),
            ("issuer", self.issuer.as_deref()),
        ];
        all.into_iter().filter_map(|(what, url)| Some((what, url?))).try_for_each(|(what, url)| {
            let parsed = endpoint(what, url, loopback_http)?;
            // RFC 8414, section 2.
            if what == "issuer" && parsed.query().is_some() {
                return Err(SetupError::Url { what, found: url.to_owned(), reason: "an issuer has no query" });
            }
            Ok(())
        })
    }
}

/// A URL of an authorization server: `https://`, or `http://` on this machine where that was allowed. RFC 6749, section
/// 3.1: it may have a query and has no fragment.
pub fn endpoint(what: &'static str, text: &str, loopback_http: bool) -> Result<Url, SetupError> {
    let no = |reason| Err(SetupError::Url { what, found: text.chars().take(200).collect(), reason });
    if text.len() > bound::OAUTH_URL_BYTES_MAX {
        return no("it is too long");
    }
    if text.chars().any(|char| !char.is_ascii_graphic() || char == '\\') {
        return no("it has spaces, backslashes, or characters that are not ASCII");
    }
    let Ok(url) = Url::parse(text) else { return no("it is no URL") };
    if !url.username().is_empty() || url.password().is_some() || text.contains('#') {
        return no("it has a user, a password or a fragment");
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return no("it names no host"),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback_http && is_loopback => Ok(url),
        "http" => {
            no("http:// would send tokens in the clear; it is for this machine only, and only with --loopback-http")
        }
        _ => no("it is not https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(grant: Grant) -> OAuth {
        OAuth {
            grant,
            client_id: "sekisho".into(),
            client_auth: ClientAuth::Basic,
            scopes: vec!["read".into()],
            whose: Whose::Service,
            keep: Keep::Sealed,
            endpoints: Endpoints {
                authorize: Some("https://login.example.com/authorize?tenant=1".into()),
                token: "https://login.example.com/token".into(),
                ..Endpoints::default()
            },
        }
    }

    #[test]
    fn a_grant_needs_what_it_needs() {
        setup(Grant::AuthorizationCode).check(false, false).unwrap();
        setup(Grant::Password).check(false, false).unwrap();
        setup(Grant::ClientCredentials).check(true, false).unwrap();
        setup(Grant::ClientCredentials).check(false, false).unwrap_err();
        setup(Grant::DeviceCode).check(true, false).unwrap_err();
        let without = Endpoints { authorize: None, ..setup(Grant::Password).endpoints };
        OAuth { endpoints: without, ..setup(Grant::AuthorizationCode) }.check(true, false).unwrap_err();
        for (id, scope) in [("", "a"), ("é", "a"), ("a", "b c"), ("a", "\""), ("a", "")] {
            let wrong = OAuth { client_id: id.into(), scopes: vec![scope.into()], ..setup(Grant::Password) };
            wrong.check(true, false).unwrap_err();
        }
    }

    #[test]
    fn endpoints_are_https_or_on_this_machine_where_that_was_said() {
        for good in ["https://a.example/token", "https://a.example:8443/t?x=1"] {
            endpoint("token endpoint", good, false).unwrap();
        }
        for local in ["http://127.0.0.1:9/token", "http://localhost/token", "http://[::1]/token"] {
            endpoint("token endpoint", local, true).unwrap();
            endpoint("token endpoint", local, false).unwrap_err();
        }
        for wrong in [
            "http://a.example/token",
            "https://user@a.example/token",
            "https://a.example/token#x",
            "ftp://a.example/",
            "token",
            "https://a.example/to ken",
            "https:\\\\a.example",
        ] {
            endpoint("token endpoint", wrong, true).unwrap_err();
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for (name, grant) in Grant::NAMES {
            assert_eq!((Grant::parse(name), grant.as_str()), (Ok(grant), name));
        }
        assert_eq!(Whose::parse("each").unwrap().as_str(), "each");
        assert_eq!(Keep::parse("memory").unwrap().as_str(), "memory");
        Grant::parse("implicit").unwrap_err();
        ClientAuth::parse("none").unwrap_err();
    }
}
