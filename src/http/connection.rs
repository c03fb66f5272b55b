//! One connection: who is at its other end, how long it may be quiet, and how it is asked to end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::Response;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Body, Site};
use crate::auth::ClientCertificate;
use crate::base::bound;
use crate::config;
use crate::pipeline::request::{SocketPeer, Via};

/// TCP, TLS or a Unix socket, as one type.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Loopback for a Unix socket: it does not leave this machine either.
    pub(super) address: SocketAddr,
    /// The process at the other end of a Unix socket, as the kernel says.
    pub(super) socket: Option<SocketPeer>,
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    pub(super) is_tls: bool,
}

impl Peer {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, socket: None, certificate: None, is_tls: false }
    }

    pub(super) fn of_socket(socket: SocketPeer) -> Self {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self { socket: Some(socket), ..Self::at(address) }
    }

    /// `client` is who asks, another than this one where a trusted proxy is between. None is the agent before a request's
    /// headers are looked at.
    pub(super) fn via(&self, client: SocketAddr, user_agent: Option<Arc<str>>) -> Via {
        match self.socket {
            Some(peer) => Via::Socket { peer, user_agent },
            None => Via::Http { peer: client, is_tls: self.is_tls, user_agent },
        }
    }
}

/// A connection that can speak HTTP.
pub(super) struct Ready {
    pub(super) stream: Box<dyn Stream>,
    pub(super) peer: Peer,
    /// Where a client certificate was shown: what ends the trust in it.
    pub(super) trust: Option<Trust>,
}

/// A client certificate is believed until then, on connections that are open too.
pub(super) struct Trust {
    pub(super) left: Duration,
    pub(super) replaced: CancellationToken,
}

impl Trust {
    async fn ended(trust: Option<Self>) {
        match trust {
            Some(trust) => tokio::select! {
                () = sleep(trust.left.min(Duration::from_secs(bound::TLS_TRUST_SECONDS_MAX))) => {}
                () = trust.replaced.cancelled() => {}
            },
            None => std::future::pending().await,
        }
    }
}

/// What all connections share.
pub(super) struct Host {
    site: Arc<Site>,
    server: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
    idle_timeout: Duration,
    stop: CancellationToken,
}

impl Host {
    pub(super) fn new(http: &config::Http, site: Arc<Site>, stop: CancellationToken) -> Arc<Self> {
        let (header_timeout, idle_timeout) = (http.header_timeout, http.idle_timeout);
        Arc::new(Self { site, server: server(header_timeout), header_timeout, idle_timeout, stop })
    }

    /// Serves until the client leaves, is quiet for too long, or `stop`.
    pub(super) async fn serve(&self, ready: Ready) {
        let (count, counted) = watch::channel(Count::default());
        let count = Arc::new(count);
        let (site, peer) = (Arc::clone(&self.site), Arc::new(ready.peer));
        let service = service_fn(move |request| {
            let (site, peer, busy) = (Arc::clone(&site), Arc::clone(&peer), Busy::begin(&count));
            // hyper moves it about: a pointer is cheaper to move than the whole path of a request.
            Box::pin(async move { site.answer(request, &peer).await.map(|response| busy.until_sent(response)) })
        });
        let mut connection = pin!(self.server.serve_connection(TokioIo::new(ready.stream), service));
        let patience = tokio::select! {
            ended = &mut connection => return told(ended),
            // The listener waits for what is under way, and knows for how long.
            () = self.stop.cancelled() => None,
            () = quiet(counted, self.header_timeout, self.idle_timeout) => Some(bound::HTTP_GOODBYE_MS),
            () = Trust::ended(ready.trust) => Some(bound::TLS_TRUST_END_MS),
        };
        connection.as_mut().graceful_shutdown();
        let Some(patience_ms) = patience else { return told(connection.await) };
        if let Ok(ended) = timeout(Duration::from_millis(patience_ms), connection).await {
            told(ended);
        } else {
            tracing::debug!("a connection that was asked to end did not, and was closed");
        }
    }
}

fn told(ended: Result<(), super::BoxError>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// hyper's own bound of 100 header fields for HTTP/1.1 stays: naming it here would cost an allocation per request.
fn server(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(bound::HTTP_HEADER_BYTES_MAX.max(8192));
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(bound::HTTP_STREAMS_MAX)
        .max_header_list_size(u32::try_from(bound::HTTP_HEADER_BYTES_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(bound::HTTP_RESETS_MAX)
        .max_local_error_reset_streams(bound::HTTP_ERROR_RESETS_MAX)
        .keep_alive_interval(Duration::from_secs(20));
    server
}

/// Requests of one connection, since it was opened.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    begun: u64,
    ended: u64,
}

/// A request under way, until its answer is sent or given up.
struct Busy(Arc<watch::Sender<Count>>);

impl Busy {
    fn begin(count: &Arc<watch::Sender<Count>>) -> Self {
        count.send_modify(|count| count.begun += 1);
        Self(Arc::clone(count))
    }

    fn until_sent(self, response: Response<Body>) -> Response<Body> {
        response.map(|body| {
            body.map_frame(move |frame| {
                // The body holds the request open as long as it is there.
                let _held = &self;
                frame
            })
            .boxed()
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|count| count.ended += 1);
    }
}

/// Returns when nothing is under way, and was not for `first` (before the first request) or `then`. hyper waits for
/// ever for a connection's first bytes, from which it tells HTTP/1.1 and HTTP/2, and between requests of HTTP/2.
async fn quiet(mut counted: watch::Receiver<Count>, first: Duration, then: Duration) {
    loop {
        let count = *counted.borrow_and_update();
        let changed = if count.begun == count.ended {
            let patience = if count.begun == 0 { first } else { then };
            let Ok(changed) = timeout(patience, counted.changed()).await else { return };
            changed
        } else {
            counted.changed().await
        };
        if changed.is_err() {
            // The connection is gone; it ends by itself.
            std::future::pending::<()>().await;
        }
    }
}
