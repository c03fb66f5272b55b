//! The way to an API, as calls see it: one request, one whole answer, or why there is none. `app` injects the real one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};

use super::record::ConnectorRecord;
use crate::base::secret::Secret;

/// Sends requests of connectors.
pub trait Upstream: Send + Sync {
    fn send<'a>(&'a self, to: &'a ConnectorRecord, request: Outgoing) -> BoxFuture<'a, Result<Answered, Unsent>>;
}

/// One request.
pub struct Outgoing {
    pub method: Method,
    /// Without credentials.
    pub url: String,
    pub headers: HeaderMap,
    pub authority: Authority,
    pub body: Bytes,
    /// For all of it, redirects included.
    pub time: Duration,
    pub answer_bytes_max: usize,
    pub redirects_max: u32,
    /// Counts the requests that go out: one, and one for each redirect, whether or not an answer comes of them.
    pub sent: Arc<AtomicU32>,
}

/// What proves who asks; it goes to the origin of the request's URL, and never to another.
#[derive(Clone, Default)]
pub struct Authority {
    pub headers: HeaderMap,
    /// Behind the query, not yet encoded.
    pub query: Vec<(String, Secret)>,
    /// Every form in which a secret stands in the request: an answer may send it back.
    pub secrets: Vec<Secret>,
    /// For the audit entry: which credential, never its value.
    pub note: Option<String>,
    /// Requests that were sent to get it: they count like those of the call.
    pub requests: u32,
}

/// What was answered.
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} and {} bytes)", self.method, self.body.len())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(***)")
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answered({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why there is no answer. The texts are for the audit log: hosts and addresses stand in them, never a path.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    /// What the operator allows does not lead there.
    #[error("{0}")]
    Refused(String),
    /// No name, no connection, no TLS: nothing of the request left.
    #[error("{0}")]
    Unreached(String),
    /// The connection broke, or time was up, after something may have left.
    #[error("{0}")]
    Interrupted(String),
    /// Answered by a redirect that is not followed.
    #[error("{0}")]
    Redirected(String),
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}
