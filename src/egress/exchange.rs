//! An HTTP exchange with another machine: what is asked, what is answered, and within which limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;

use super::Purpose;
use super::route::Route;
use crate::base::bound;
use crate::base::secret::Secret;

/// What is asked of another machine.
#[derive(Clone)]
pub struct Exchange {
    pub purpose: Purpose,
    pub route: Arc<Route>,
    pub method: Method,
    /// Absolute, without credentials: `https://`, or `http://` to this machine where the route takes that.
    pub url: String,
    /// Neither credentials nor what belongs to the connection (Host, Content-Length, Connection and the like).
    pub headers: HeaderMap,
    pub credential: Option<Arc<Credential>>,
    pub body: Bytes,
    pub limits: Limits,
}

/// What proves to one origin who asks. It goes to the origin of the exchange's URL, and never to another.
#[derive(Clone, Default)]
pub struct Credential {
    /// `Authorization`, `Cookie`, or a header with an API key.
    pub headers: HeaderMap,
    /// Parameters that are put behind the query, by name, not yet encoded.
    pub query: Vec<(String, Secret)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From looking the name up to the last byte of the answer, redirects included.
    pub total: Duration,
    /// The body of the answer.
    pub response_bytes_max: usize,
    /// 0: a redirect is an answer like others.
    pub redirects_max: u32,
}

/// What the other machine answered.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Whole, and within its bound.
    pub body: Bytes,
    /// How many were sent: 1, and one for each redirect.
    pub requests: u32,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({} by {}, {} bytes)", self.method, self.route.name, self.body.len())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

/// Answers may hold tokens.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// The status and the beginning of the body, for people.
    pub fn told(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().filter(|char| !char.is_control()).take(bound::EGRESS_TOLD_CHARS_MAX).collect();
        if text.is_empty() { self.status.to_string() } else { format!("{}: {text}", self.status) }
    }
}
