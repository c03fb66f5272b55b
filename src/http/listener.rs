//! Accepts connections over TCP and a Unix socket, with TLS where it is configured, and closes them gracefully.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Site;
use super::certificates::Certificates;
use super::connection::{Host, Peer, Ready, Trust};
use super::crowd::Crowd;
use super::socket::HttpSocket;
use crate::auth::ClientCertificate;
use crate::base::bound;
use crate::config;
use crate::config::env::Inherited;
use crate::crypto::tls::certificate::Certificate;

/// A bound port, and a Unix socket where one is wanted.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    unix: Option<HttpSocket>,
    certificates: Option<Arc<Certificates>>,
    http: config::Http,
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Binds what is configured, except where a supervisor has bound it already.
    pub async fn bind(
        http: &config::Http,
        inherited: Inherited,
        certificates: Option<Arc<Certificates>>,
    ) -> io::Result<Self> {
        let tcp = match inherited.tcp {
            Some(tcp) => {
                tcp.set_nonblocking(true)?;
                TcpListener::from_std(tcp)?
            }
            None => TcpListener::bind(http.listen).await?,
        };
        let unix = match (inherited.unix, &http.unix_socket) {
            (Some(unix), _) => Some(HttpSocket::inherited(unix)?),
            (None, Some(path)) => Some(HttpSocket::bind(path)?),
            (None, None) => None,
        };
        Ok(Self { tcp, unix, certificates, http: http.clone() })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until `stop`, then lets requests that are under way finish within `patience`.
    pub async fn serve(self, site: Arc<Site>, stop: CancellationToken, streams: CancellationToken, patience: Duration) {
        let tasks = TaskTracker::new();
        let crowd = Crowd::new(self.http.connections_max, self.http.connections_per_address_max);
        let host = Host::new(&self.http, Arc::clone(&site), stop.clone());
        // A handshake is a kind of header.
        let handshake = self.http.header_timeout.min(Duration::from_millis(bound::TLS_HANDSHAKE_MS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept() => accepted,
            };
            let accepted = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(bound::ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            };
            let address = if let Accepted::Tcp(_, address) = &accepted { Some(address.ip()) } else { None };
            // Full: the connection is closed at once, which tells the client more than silence.
            let Some(place) = crowd.enter(address) else {
                site.turned_away();
                continue;
            };
            let (host, certificates, stopping) = (Arc::clone(&host), self.certificates.clone(), stop.clone());
            tasks.spawn(async move {
                let _place = place;
                let ready = match accepted {
                    Accepted::Unix(stream) => of_socket(stream),
                    Accepted::Tcp(stream, address) => tokio::select! {
                        ready = secured(stream, address, certificates, handshake) => ready,
                        () = stopping.cancelled() => None,
                    },
                };
                if let Some(ready) = ready {
                    host.serve(ready).await;
                }
            });
        }
        drop(self.tcp);
        drop(self.unix);
        tasks.close();
        // Calls first, then the streams that only wait for news and would never end by themselves.
        let calls = tokio::time::timeout(patience / 2, tasks.wait()).await;
        streams.cancel();
        if calls.is_err() && tokio::time::timeout(patience / 2, tasks.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time and were closed");
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        let unix = async {
            match &self.unix {
                Some(unix) => unix.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.tcp.accept() => accepted.map(|(stream, address)| Accepted::Tcp(stream, address)),
            accepted = unix => accepted.map(Accepted::Unix),
        }
    }
}

fn of_socket(stream: UnixStream) -> Option<Ready> {
    match super::socket::peer_of(&stream) {
        Ok(peer) => Some(Ready { stream: Box::new(stream), peer: Peer::of_socket(peer), trust: None }),
        Err(error) => {
            tracing::warn!(%error, "the kernel does not say who is at the other end of a Unix socket");
            None
        }
    }
}

/// The handshake, where there is one, with whatever certificate is in use now.
async fn secured(
    stream: TcpStream,
    address: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    patience: Duration,
) -> Option<Ready> {
    tune(&stream);
    let peer = Peer::at(address);
    let Some(certificates) = certificates else {
        return Some(Ready { stream: Box::new(stream), peer, trust: None });
    };
    let offer = certificates.offer();
    let stream = match tokio::time::timeout(patience, TlsAcceptor::from(offer.config).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return None;
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            return None;
        }
    };
    // The handshake has checked the chain; the leaf is the first.
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| Certificate::of(leaf));
    let mut ready = Ready { stream: Box::new(stream), peer: Peer { is_tls: true, ..peer }, trust: None };
    match leaf {
        None => {}
        Some(Ok(leaf)) => {
            ready.trust = Some(Trust { left: leaf.not_after.since(certificates.now()), replaced: offer.replaced });
            let shown = ClientCertificate { names: leaf.names, fingerprint: leaf.fingerprint };
            ready.peer.certificate = Some(Arc::new(shown));
        }
        // Believed by the handshake and not readable for us: nobody is let in on a guess.
        Some(Err(error)) => {
            tracing::warn!(%error, "a client's certificate could not be read");
            return None;
        }
    }
    Some(ready)
}

fn tune(stream: &TcpStream) {
    // Small replies should not wait for more. Who takes nothing of an answer for long is not waited for either.
    let set = stream
        .set_nodelay(true)
        .and_then(|()| Ok(rustix::net::sockopt::set_tcp_user_timeout(stream, bound::TCP_UNREAD_MS)?));
    if let Err(error) = set {
        tracing::debug!(%error, "a socket option was not set");
    }
}
