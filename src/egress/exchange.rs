//! An HTTP exchange with another machine: what is asked, what is answered, and within which limits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;

use super::error::EgressError;
use super::hop::Asked;
use super::route::Route;
use super::{Egress, Purpose, redirect, url};
use crate::base::bound;
use crate::base::bound::egress::EGRESS_REDIRECTS_MAX;
use crate::base::secret::Secret;
use crate::config::target::{Url, is_path_below};

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

impl Egress {
    /// Asks, and waits for the whole answer. Every status is an answer, but a redirect that is to be followed and cannot
    /// be.
    pub async fn exchange(&self, exchange: &Exchange) -> Result<Answer, EgressError> {
        self.exchange_counted(exchange, &AtomicU32::new(0)).await
    }

    /// As [`Self::exchange`]; `sent` is added each request that goes out, whatever comes of it.
    pub async fn exchange_counted(&self, exchange: &Exchange, sent: &AtomicU32) -> Result<Answer, EgressError> {
        let target = exchange.route.name.clone();
        let url = url::parse(&exchange.url, exchange.route.cleartext_loopback)
            .map_err(|reason| EgressError::Request { target, reason })?;
        let target = url.endpoint.to_string();
        let is_sent = AtomicBool::new(false);
        let work = self.hops(exchange, url, &is_sent, sent);
        tokio::time::timeout(exchange.limits.total, work).await.unwrap_or_else(|_| {
            let within_ms = u64::try_from(exchange.limits.total.as_millis()).unwrap_or(u64::MAX);
            Err(EgressError::Timeout { target, within_ms, is_sent: is_sent.load(Ordering::Relaxed) })
        })
    }

    async fn hops(
        &self,
        exchange: &Exchange,
        mut url: Url,
        is_sent: &AtomicBool,
        sent: &AtomicU32,
    ) -> Result<Answer, EgressError> {
        let (route, limits) = (&exchange.route, exchange.limits);
        let mut method = exchange.method.clone();
        let mut headers = exchange.headers.clone();
        let mut body = exchange.body.clone();
        // Once we are elsewhere, whoever sends us back does not get the credential either.
        let mut credential = exchange.credential.as_ref();
        let mut requests = 0;
        loop {
            let mut own = url.clone();
            let mut all = headers.clone();
            if let Some(credential) = credential {
                own.path = credential.put_into(&url.path);
                // In the place of what a caller may have put there.
                for name in credential.headers.keys() {
                    all.remove(name);
                }
                all.extend(credential.headers.clone());
            }
            let asked = Asked { method: &method, url: &own, headers: all, body: body.clone(), limits };
            requests += 1;
            sent.fetch_add(1, Ordering::Relaxed);
            let answer = self.hop(exchange.purpose, route, &asked, is_sent).await.map_err(|error| match error {
                // The first request was answered: that it had no effect can no longer be said.
                EgressError::Refused { target, reason } if requests > 1 => EgressError::Redirect { target, reason },
                other => other,
            })?;
            let answer = Answer { requests, ..answer };
            let followed = limits.redirects_max.min(EGRESS_REDIRECTS_MAX);
            if followed == 0 {
                return Ok(answer);
            }
            let Some(next) = redirect::next(exchange, &url, &method, &answer) else { return Ok(answer) };
            let stop = |reason| EgressError::Redirect { target: url.endpoint.to_string(), reason };
            let next = next.map_err(stop)?;
            if requests > followed {
                return Err(stop(format!("{followed} were followed already")));
            }
            if !next.is_same_origin && route.same_origin {
                return Err(stop("it leads to another origin".into()));
            }
            // On one origin live several tenants, each below a path: the credential is for one of them.
            if !is_path_below(&next.url.path, &route.below) {
                return Err(stop("it leads out of the base path".into()));
            }
            if !next.is_same_origin {
                credential = None;
            }
            headers = redirect::headers(&headers, next.keeps_body, !next.is_same_origin);
            if !next.keeps_body {
                body = Bytes::new();
            }
            (url, method) = (next.url, next.method);
        }
    }
}
