//! The only room that opens connections to other machines: who may be reached, at which address, for how long.
//!
//! **Invariant:** a name is looked up once, what it gave is judged, and the connection goes to just that address: a name
//! that is answered differently a moment later (DNS rebinding) leads nowhere else. No proxy is taken from the
//! environment, and no redirect is followed.

pub mod address;
pub mod error;
pub mod exchange;
pub mod resolve;
pub mod route;
pub mod stream;
pub mod url;
mod hop;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

use crate::base::bound;
use crate::config;
use crate::config::target::{Endpoint, HostPattern, Url};
use crate::crypto::trust;
use address::Reach;
use error::EgressError;
use resolve::Resolve;
use route::Route;
use stream::Stream;

/// For what a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An alert goes out.
    Alert,
    /// A checkpoint goes out.
    Checkpoint,
    /// A call of a connector, or its login.
    Connector,
    /// Keys of an authorization server are fetched.
    Keys,
}

impl Purpose {
    /// The operation of entries about such connections.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Alert => "egress.alert",
            Self::Checkpoint => "egress.checkpoint",
            Self::Connector => "egress.connector",
            Self::Keys => "egress.keys",
        }
    }
}

/// Is told of every connection that was opened, and of every one that was refused; injected by `app`, which writes it
/// into the audit log. Must not wait.
pub trait Witness: Send + Sync {
    fn connected(&self, purpose: Purpose, target: &Endpoint, address: SocketAddr);
    fn refused(&self, purpose: Purpose, target: &Endpoint, reason: &str);
}

/// Opens connections to other machines.
pub struct Egress {
    allowed: Vec<HostPattern>,
    blocked: Vec<HostPattern>,
    /// Hosts that other settings name: to these alone the default leads.
    configured: Vec<String>,
    ca_file: Option<PathBuf>,
    /// Made at the first use. Held for a look, never across an await.
    tls: Mutex<Option<Arc<ClientConfig>>>,
    resolver: Arc<dyn Resolve>,
    witness: Arc<dyn Witness>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("configured", &self.configured).finish_non_exhaustive()
    }
}

/// How a host is known, and so how near it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// By its full name.
    Named,
    /// By a domain that it is below.
    Below,
}

impl Egress {
    /// `configured` are the hosts that other settings name.
    pub fn new(
        egress: &config::watch::Egress,
        configured: Vec<String>,
        resolver: Arc<dyn Resolve>,
        witness: Arc<dyn Witness>,
    ) -> Self {
        Self {
            allowed: egress.allowed.clone(),
            blocked: egress.blocked.clone(),
            configured,
            ca_file: egress.ca_file.clone(),
            tls: Mutex::default(),
            resolver,
            witness,
        }
    }

    /// A TCP connection to one of the target's addresses.
    pub async fn tcp(&self, purpose: Purpose, target: &Endpoint) -> Result<Stream, EgressError> {
        let addresses = self.addresses(purpose, target).await?;
        self.connect_to(purpose, target, addresses).await
    }

    async fn connect_to(
        &self,
        purpose: Purpose,
        target: &Endpoint,
        addresses: Vec<IpAddr>,
    ) -> Result<Stream, EgressError> {
        let limit = Duration::from_millis(bound::EGRESS_CONNECT_MS);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses {
            let address = SocketAddr::new(address, target.port);
            match within(limit, TcpStream::connect(address)).await {
                Ok(stream) => {
                    stream.set_nodelay(true).ok();
                    self.witness.connected(purpose, target, address);
                    return Ok(Stream::Plain(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(EgressError::Connect { target: target.to_string(), error: last })
    }

    /// A TLS connection; the certificate must be for the target's name.
    pub async fn tls(&self, purpose: Purpose, target: &Endpoint) -> Result<Stream, EgressError> {
        let stream = self.tcp(purpose, target).await?;
        self.secure(stream, target).await
    }

    /// Goes on under TLS, where the other end was asked for it in its own protocol.
    pub async fn secure(&self, stream: Stream, target: &Endpoint) -> Result<Stream, EgressError> {
        self.secure_with(self.client()?, stream, target).await
    }

    async fn secure_with(
        &self,
        client: Arc<ClientConfig>,
        stream: Stream,
        target: &Endpoint,
    ) -> Result<Stream, EgressError> {
        let failed = |error| EgressError::Tls { target: target.to_string(), error };
        let Stream::Plain(stream) = stream else { return Ok(stream) };
        let name = ServerName::try_from(target.host.clone()).map_err(|error| failed(io::Error::other(error)))?;
        let connector = TlsConnector::from(client);
        let limit = Duration::from_millis(bound::EGRESS_TLS_MS);
        let stream = within(limit, connector.connect(name, stream)).await.map_err(failed)?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// A UDP socket that sends to the target, and hears only it.
    pub async fn udp(&self, purpose: Purpose, target: &Endpoint) -> Result<UdpSocket, EgressError> {
        let failed = |error| EgressError::Connect { target: target.to_string(), error };
        let addresses = self.addresses(purpose, target).await?;
        let address = addresses.first().ok_or_else(|| failed(io::Error::from(io::ErrorKind::NotFound)))?;
        let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
        let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
        let address = SocketAddr::new(*address, target.port);
        socket.connect(address).await.map_err(failed)?;
        self.witness.connected(purpose, target, address);
        Ok(socket)
    }

    fn client(&self) -> Result<Arc<ClientConfig>, EgressError> {
        let mut client = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let made = trust::client(self.ca_file.as_deref())?;
        *client = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Addresses that may be connected to. One that may not refuses them all: a name that leads to the inside and to
    /// the outside is not to be trusted with either.
    async fn addresses(&self, purpose: Purpose, target: &Endpoint) -> Result<Vec<IpAddr>, EgressError> {
        let refuse = |reason: String| {
            self.witness.refused(purpose, target, &reason);
            EgressError::Refused { target: target.to_string(), reason }
        };
        let standing = self.standing(&target.host).map_err(|reason| refuse(reason.to_owned()))?;
        let literal = target.address();
        let mut addresses = self.look_up(target).await?;
        for address in &addresses {
            let denied = match address::reach(*address) {
                Reach::Public => false,
                Reach::Private => standing != Standing::Named,
                Reach::Forbidden => literal.is_none() || standing != Standing::Named,
            };
            if denied {
                return Err(refuse(format!(
                    "it leads to {address}, which is not on the internet; write the host into egress.allowed_hosts in full"
                )));
            }
            if self.is_blocked(&address.to_canonical().to_string()) {
                return Err(refuse(format!("it leads to {address}, which is in egress.blocked_hosts")));
            }
        }
        addresses.truncate(bound::EGRESS_ADDRESSES_MAX);
        Ok(addresses)
    }

    /// As [`Self::addresses`], for a route: what is not on the internet is reached by its networks alone.
    async fn route_addresses(&self, purpose: Purpose, route: &Route, url: &Url) -> Result<Vec<IpAddr>, EgressError> {
        let target = &url.endpoint;
        let refuse = |reason: String| {
            self.witness.refused(purpose, target, &reason);
            EgressError::Refused { target: target.to_string(), reason }
        };
        if !route.hosts.iter().any(|pattern| pattern.matches(&target.host)) || self.is_blocked(&target.host) {
            self.standing(&target.host).map_err(|reason| refuse(reason.to_owned()))?;
        }
        let mut addresses = self.look_up(target).await?;
        for address in &addresses {
            let is_named = route.networks.iter().any(|network| network.contains(*address))
                || route.cleartext_loopback && address.to_canonical().is_loopback();
            if !is_named && address::reach(*address) != Reach::Public {
                return Err(refuse(format!("it leads to {address}, which is not on the internet")));
            }
            if self.is_blocked(&address.to_canonical().to_string()) {
                return Err(refuse(format!("it leads to {address}, which is in egress.blocked_hosts")));
            }
        }
        addresses.truncate(bound::EGRESS_ADDRESSES_MAX);
        Ok(addresses)
    }

    async fn look_up(&self, target: &Endpoint) -> Result<Vec<IpAddr>, EgressError> {
        if let Some(address) = target.address() {
            return Ok(vec![address]);
        }
        let limit = Duration::from_millis(bound::EGRESS_CONNECT_MS);
        let found = within(limit, self.resolver.resolve(&target.host)).await;
        found.map_err(|error| EgressError::NotFound { target: target.to_string(), error })
    }

    fn is_blocked(&self, host: &str) -> bool {
        self.blocked.iter().any(|pattern| pattern.matches(host))
    }

    fn standing(&self, host: &str) -> Result<Standing, &'static str> {
        if self.is_blocked(host) {
            return Err("it is in egress.blocked_hosts");
        }
        if self.configured.iter().any(|configured| configured == host) {
            return Ok(Standing::Named);
        }
        let mut standing = Err("it is not in egress.allowed_hosts, and no setting names it");
        for pattern in self.allowed.iter().filter(|pattern| pattern.matches(host)) {
            match pattern {
                HostPattern::Exactly(_) => return Ok(Standing::Named),
                HostPattern::Below(_) => standing = Ok(Standing::Below),
            }
        }
        standing
    }
}

/// Waits for so long.
async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

#[cfg(test)]
mod tests;
