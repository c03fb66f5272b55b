//! The metrics listener: `GET /metrics` on a port of its own, for whoever may read figures and nothing else.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use super::{Body, plain};
use crate::base::bound;
use crate::config::Config;
use crate::telemetry::metric::Exposition;

/// Gives the text of all metrics; injected by `app`.
pub trait Exposed: Send + Sync {
    fn exposed(&self, form: Exposition) -> Result<String, std::fmt::Error>;
}

/// A bound port.
pub struct MetricsListener {
    tcp: TcpListener,
    guard: Guard,
}

impl std::fmt::Debug for MetricsListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsListener").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl MetricsListener {
    pub async fn bind(address: SocketAddr, config: &Config) -> io::Result<Self> {
        let http = crate::config::Http { listen: address, ..config.http.clone() };
        Ok(Self { tcp: TcpListener::bind(address).await?, guard: Guard::new(&http) })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop`. A scrape is short, so nothing waits for one.
    pub async fn serve(self, exposed: Arc<dyn Exposed>, stop: CancellationToken) {
        let connections = Arc::new(Semaphore::new(bound::METRICS_CONNECTIONS_MAX));
        let guard = Arc::new(self.guard);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.tcp.accept() => accepted,
            };
            let (stream, permit) = match (accepted, Arc::clone(&connections).try_acquire_owned()) {
                (Ok((stream, _)), Ok(permit)) => (stream, permit),
                (Ok(_), Err(_)) => continue,
                (Err(error), _) => {
                    tracing::warn!(%error, "a connection for metrics could not be accepted");
                    tokio::time::sleep(Duration::from_millis(bound::ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            };
            let (exposed, guard, stop) = (Arc::clone(&exposed), Arc::clone(&guard), stop.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let service = service_fn(|request| {
                    let answered = answer(&*exposed, &guard, &request);
                    async { Ok::<_, Infallible>(answered) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_millis(bound::METRICS_HEADER_TIMEOUT_MS))
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    // A client that went away has nobody to be told.
                    ended = connection => drop(ended),
                    () = stop.cancelled() => {}
                }
            });
        }
    }
}

fn answer(exposed: &dyn Exposed, guard: &Guard, request: &Request<Incoming>) -> Response<Body> {
    if let Err(stopped) = guard.check(request) {
        return plain(stopped.status, stopped.public);
    }
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "There is nothing here but /metrics.");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "Metrics are read with GET.");
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let form = Exposition::negotiated(accept);
    match exposed.exposed(form) {
        Ok(text) => {
            let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be gathered");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be gathered; the log says why.")
        }
    }
}
