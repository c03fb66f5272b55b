//! Asks another machine within the time that there is, and follows where it sends us on to.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;

use super::error::EgressError;
use super::exchange::{Answer, Exchange};
use super::hop::Asked;
use super::{Egress, redirect, url};
use crate::base::bound::egress::EGRESS_REDIRECTS_MAX;
use crate::config::target::{Url, is_path_below};

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
