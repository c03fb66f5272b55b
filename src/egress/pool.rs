//! Connections that wait for a route's next request. They lead where they were judged to lead, and live for minutes.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use crate::base::bound::egress as bound;
use crate::config::target::Url;

/// The idle connections of one route.
#[derive(Debug, Default)]
pub(super) struct Pool {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<Line>,
    is_swept: bool,
}

/// A connection over which nothing is under way.
#[derive(Debug)]
pub(super) struct Line {
    origin: Origin,
    pub(super) sender: SendRequest<Full<Bytes>>,
    opened: Instant,
    idle_since: Instant,
}

/// Whether it is TLS, host, port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin(bool, String, u16);

impl Origin {
    fn of(url: &Url) -> Self {
        Self(url.is_tls, url.endpoint.host.clone(), url.endpoint.port)
    }
}

impl Line {
    pub(super) fn new(url: &Url, sender: SendRequest<Full<Bytes>>) -> Self {
        let now = Instant::now();
        Self { origin: Origin::of(url), sender, opened: now, idle_since: now }
    }

    fn is_good(&self, now: Instant) -> bool {
        !self.sender.is_closed()
            && now.duration_since(self.idle_since) < Duration::from_millis(bound::EGRESS_IDLE_MS)
            && now.duration_since(self.opened) < Duration::from_millis(bound::EGRESS_AGE_MS)
    }
}

impl Pool {
    /// The one that was used last: the others may then end.
    pub(super) fn take(&self, url: &Url) -> Option<Line> {
        let (now, origin) = (Instant::now(), Origin::of(url));
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.retain(|line| line.is_good(now));
        let at = inner.lines.iter().rposition(|line| line.origin == origin)?;
        Some(inner.lines.remove(at))
    }

    pub(super) fn put(&self, mut line: Line) {
        let now = Instant::now();
        line.idle_since = now;
        if !line.is_good(now) {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.lines.len() >= bound::EGRESS_IDLE_MAX {
            inner.lines.remove(0);
        }
        inner.lines.push(line);
        if !inner.is_swept {
            inner.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(&self.inner)));
        }
    }
}

/// Closes what nobody comes back for. Ends with the last connection, or with the route.
async fn sweep(pool: Weak<Mutex<Inner>>) {
    loop {
        tokio::time::sleep(Duration::from_millis(bound::EGRESS_IDLE_MS)).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let mut inner = pool.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.retain(|line| line.is_good(now));
        if inner.lines.is_empty() {
            inner.is_swept = false;
            return;
        }
    }
}
