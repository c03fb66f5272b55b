//! How a connector's calls go out, beyond where they go: whom they trust, who they are to the other machine, by which
//! proxy, and what looks at files first. An operator says so.

use serde::{Deserialize, Serialize};

use super::scanner::{NotAScanner, Scanner};
use crate::base::bound::connector as bound;
use crate::config::raw::TlsVersion;
use crate::config::target::Endpoint;
use crate::crypto::trust::{self, TrustError};

/// As it is kept with a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// PEM with the authorities that are trusted, in the place of all others.
    pub authorities: Option<String>,
    pub identity: Option<Identity>,
    pub tls_min: TlsVersion,
    /// `direct`, or `http://HOST:PORT`; none takes the way that all take.
    pub proxy: Option<String>,
    /// As [`Scanner`] reads it.
    pub scan: Option<String>,
}

/// Who we are to the other machine: a certificate chain and its key, a credential of the vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub credential: String,
    /// `https://host[:port]`: to whom it is shown.
    pub origin: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { authorities: None, identity: None, tls_min: TlsVersion::Tls12, proxy: None, scan: None }
    }
}

/// What an operator wants otherwise. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub networks: Option<Vec<String>>,
    /// PEM, or `none`.
    pub authorities: Option<String>,
    /// A credential's name, or `none`.
    pub identity: Option<String>,
    pub tls_min: Option<TlsVersion>,
    /// `none`, `direct` or `http://HOST:PORT`.
    pub proxy: Option<String>,
    /// `none`, or as [`Scanner`] reads it.
    pub scan: Option<String>,
}

/// Which way calls take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// As `egress.proxy` says.
    Usual,
    Direct,
    Proxy(Endpoint),
}

/// What a connector cannot be set to.
#[derive(Debug, thiserror::Error)]
pub enum NotASetting {
    #[error(transparent)]
    Authorities(#[from] TrustError),
    #[error("the authorities have {found} bytes of PEM, and may have {}", bound::AUTHORITIES_BYTES_MAX)]
    TooLong { found: usize },
    #[error("expected none, direct or http://HOST:PORT without a user and a password, found {0:?}")]
    Proxy(String),
    #[error(transparent)]
    Scanner(#[from] NotAScanner),
    #[error("a client certificate is shown under TLS only, and {0} is reached in the clear")]
    InTheClear(String),
}

impl Settings {
    /// These, as an operator wants them; `origin` is that of the connector.
    pub fn with(mut self, changes: &Changes, origin: &str) -> Result<Self, NotASetting> {
        let wanted = |text: &String| (text != "none").then(|| text.clone());
        if let Some(authorities) = &changes.authorities {
            self.authorities = wanted(authorities);
            if let Some(pem) = &self.authorities {
                if pem.len() > bound::AUTHORITIES_BYTES_MAX {
                    return Err(NotASetting::TooLong { found: pem.len() });
                }
                trust::check_authorities(pem.as_bytes())?;
            }
        }
        if let Some(identity) = &changes.identity {
            if identity != "none" && !origin.starts_with("https://") {
                return Err(NotASetting::InTheClear(origin.to_owned()));
            }
            self.identity = wanted(identity).map(|credential| Identity { credential, origin: origin.to_owned() });
        }
        self.tls_min = changes.tls_min.unwrap_or(self.tls_min);
        if let Some(proxy) = &changes.proxy {
            via(proxy).ok_or_else(|| NotASetting::Proxy(proxy.chars().take(bound::PLACE_BYTES_MAX).collect()))?;
            self.proxy = wanted(proxy);
        }
        if let Some(scan) = &changes.scan {
            self.scan = wanted(scan);
            self.scanner()?;
        }
        Ok(self)
    }

    /// What looks at files before they leave.
    pub fn scanner(&self) -> Result<Option<Scanner>, NotAScanner> {
        self.scan.as_deref().map(Scanner::parse).transpose()
    }

    /// `None` for a record that was changed from outside.
    pub fn via(&self) -> Option<Via> {
        self.proxy.as_deref().map_or(Some(Via::Usual), via)
    }
}

fn via(text: &str) -> Option<Via> {
    match text {
        "none" => Some(Via::Usual),
        "direct" => Some(Via::Direct),
        _ if text.len() > bound::PLACE_BYTES_MAX => None,
        _ => {
            let rest = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
            rest.and_then(|rest| Endpoint::parse(rest, None)).map(Via::Proxy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::crypto::tls::authority::{Authority, Validity};

    fn with(changes: &Changes) -> Result<Settings, String> {
        Settings::default().with(changes, "https://api.example.com").map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_wanted_otherwise_stays_and_none_takes_it_back() {
        let authority = Authority::make(Validity { now: Timestamp(0), days: 1 }).unwrap().0;
        let changes = Changes {
            authorities: Some(authority.certificate().to_owned()),
            identity: Some("zoo-client".into()),
            tls_min: Some(TlsVersion::Tls13),
            proxy: Some("http://proxy.example:3128".into()),
            scan: Some("clamd:/run/clamav/clamd.ctl".into()),
            networks: None,
        };
        let set = with(&changes).unwrap();
        assert_eq!(set.identity.as_ref().unwrap().origin, "https://api.example.com");
        assert!(matches!(set.via(), Some(Via::Proxy(_))));
        assert_eq!(set.clone().with(&Changes::default(), "https://api.example.com").unwrap(), set);
        let none = || Some("none".to_owned());
        let back = Changes { authorities: none(), identity: none(), proxy: none(), scan: none(), ..Changes::default() };
        let back = set.with(&back, "https://api.example.com").unwrap();
        assert_eq!(back, Settings { tls_min: TlsVersion::Tls13, ..Settings::default() });
        assert_eq!(back.via(), Some(Via::Usual));
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_what_was_expected() {
        let text = |text: &str| Some(text.to_owned());
        let no = |changes: Changes, word: &str| {
            let error = with(&changes).unwrap_err();
            assert!(error.contains(word), "{error}");
        };
        no(Changes { authorities: text("no PEM"), ..Changes::default() }, "certificates of authorities");
        no(Changes { authorities: Some("x".repeat(70_000)), ..Changes::default() }, "65536");
        for proxy in ["https://a:1", "http://a", "http://u:p@a:1", "http://a:1/x", "", "socks5://a:1"] {
            no(Changes { proxy: text(proxy), ..Changes::default() }, "http://HOST:PORT");
        }
        no(Changes { scan: text("icap://a"), ..Changes::default() }, "clamd:");
        let clear =
            Settings::default().with(&Changes { identity: text("a"), ..Changes::default() }, "http://127.0.0.1:1");
        assert!(clear.unwrap_err().to_string().contains("in the clear"));
    }
}
