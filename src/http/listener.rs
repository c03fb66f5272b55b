//! Accepts connections over TCP, with TLS where it is configured, and closes them gracefully.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::base::bound;
use crate::config;

/// A bound port.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    header_timeout: Duration,
    connections: Arc<Semaphore>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl Listener {
    pub async fn bind(http: &config::Http, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Self> {
        Ok(Self {
            tcp: TcpListener::bind(http.listen).await?,
            tls: tls.map(TlsAcceptor::from),
            header_timeout: http.header_timeout,
            connections: Arc::new(Semaphore::new(http.connections_max)),
        })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop`, then lets requests that are under way finish within `patience`.
    pub async fn serve(self, site: Arc<Site>, stop: CancellationToken, streams: CancellationToken, patience: Duration) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.tcp.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(bound::ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            };
            // Full: the connection is closed at once, which tells the client more than silence.
            let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else { continue };
            let (site, tls, watcher) = (Arc::clone(&site), self.tls.clone(), graceful.watcher());
            let server = server(self.header_timeout);
            tokio::spawn(async move {
                let _permit = permit;
                let Some(stream) = secured(stream, tls).await else { return };
                let service = service_fn(move |request| {
                    let site = Arc::clone(&site);
                    async move { site.answer(request, peer).await }
                });
                let connection = server.serve_connection(TokioIo::new(stream), service);
                if let Err(error) = watcher.watch(connection.into_owned()).await {
                    tracing::debug!(%error, "a connection ended badly");
                }
            });
        }
        drop(self.tcp);
        let mut finished = std::pin::pin!(graceful.shutdown());
        // Calls first, then the streams that only wait for news and would never end by themselves.
        let calls = tokio::time::timeout(patience / 2, &mut finished).await;
        streams.cancel();
        if calls.is_err() && tokio::time::timeout(patience / 2, &mut finished).await.is_err() {
            tracing::warn!("some connections did not end in time and were closed");
        }
    }
}

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
        .keep_alive_interval(Duration::from_secs(20));
    server
}

/// TCP or TLS, as one type.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn secured(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    // Small replies should not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a socket option was not set");
    }
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    match tokio::time::timeout(Duration::from_millis(bound::TLS_HANDSHAKE_MS), tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
