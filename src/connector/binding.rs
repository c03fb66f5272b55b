//! Which credential proves to a connector's API who asks, and how. An operator says so; no argument of an agent can.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::oauth::setup::OAuth;
use crate::base::bound::connector as bound;
use crate::openapi::is_settable_header;

/// A credential of the vault, bound to one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The credential's name. For OAuth that of the client's secret; empty where the client has none.
    pub credential: String,
    pub scheme: Scheme,
    /// `https://host[:port]`: where it goes, and nowhere else.
    pub origin: String,
}

/// How a credential is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// RFC 7617; the credential is `name:password`.
    Basic,
    /// RFC 6750.
    Bearer,
    /// The credential is the value of this header.
    Header(String),
    /// The credential is the value of this parameter of the query.
    Query(String),
    /// RFC 6750, by a token that an authorization server gives; the credential is the client's own secret.
    OAuth(Box<OAuth>),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected none, basic, bearer, header:NAME or query:NAME, found {found:?}: {reason}")]
pub struct NotAScheme {
    found: String,
    reason: &'static str,
}

impl Binding {
    /// What was chosen of OAuth, where that is the way.
    pub fn oauth(&self) -> Option<&OAuth> {
        match &self.scheme {
            Scheme::OAuth(setup) => Some(setup),
            Scheme::Basic | Scheme::Bearer | Scheme::Header(_) | Scheme::Query(_) => None,
        }
    }
}

impl Scheme {
    /// As an operator writes it; `None` is `none`.
    pub fn parse(text: &str) -> Result<Option<Self>, NotAScheme> {
        let no = |reason| Err(NotAScheme { found: text.chars().take(bound::BINDING_NAME_BYTES_MAX).collect(), reason });
        match text.split_once(':') {
            None => match text {
                "none" => Ok(None),
                "basic" => Ok(Some(Self::Basic)),
                "bearer" => Ok(Some(Self::Bearer)),
                _ => no("there is no such way"),
            },
            Some((_, name)) if name.is_empty() || name.len() > bound::BINDING_NAME_BYTES_MAX => {
                no("a name has 1 to 64 bytes")
            }
            Some(("header", name)) => {
                let token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
                if !token || !(is_settable_header(name) || name.eq_ignore_ascii_case("authorization")) {
                    return no("this header belongs to the connection, or is none");
                }
                Ok(Some(Self::Header(name.to_ascii_lowercase())))
            }
            Some(("query", name)) => {
                let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
                if !name.bytes().all(good) {
                    return no("a parameter's name has letters, digits, - _ . ~");
                }
                Ok(Some(Self::Query(name.to_owned())))
            }
            Some(_) => no("there is no such way"),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic => f.write_str("basic"),
            Self::Bearer => f.write_str("bearer"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::OAuth(_) => f.write_str("oauth"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_as_they_are_written() {
        assert_eq!(Scheme::parse("none"), Ok(None));
        for text in ["basic", "bearer", "header:x-api-key", "header:authorization", "query:api_key"] {
            assert_eq!(Scheme::parse(text).unwrap().unwrap().to_string(), text);
        }
        assert_eq!(Scheme::parse("header:X-API-Key"), Ok(Some(Scheme::Header("x-api-key".into()))));
        for text in ["", "digest", "header:", "header:Host", "header:a b", "header:x\r\ny", "query:a&b", "cookie:sid"] {
            Scheme::parse(text).unwrap_err();
        }
    }
}
