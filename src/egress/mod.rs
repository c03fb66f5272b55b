//! The only room that opens connections to other machines: who may be reached, at which address, for how long.
//!
//! **Invariant:** a name is looked up once, what it gave is judged, and the connection goes to just that address: a name
//! that is answered differently a moment later (DNS rebinding) leads nowhere else. No proxy is taken from the
//! environment, every redirect is judged as if somebody had asked for it, and behind a closed [`door`] there is nothing.

pub mod address;
pub mod door;
pub mod error;
pub mod exchange;
pub mod resolve;
pub mod route;
pub mod stream;
pub mod url;
mod dns;
mod follow;
mod hop;
mod policy;
mod pool;
mod proxy;
mod redirect;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::UdpSocket;
use tokio_rustls::TlsConnector;

use crate::base::bound;
use crate::config;
use crate::config::egress::Dns;
use crate::config::raw::egress::EgressMode;
use crate::config::target::Endpoint;
use crate::crypto::trust;
use door::Door;
use error::EgressError;
use policy::{Policy, Standing};
use resolve::{Resolve, SystemResolver};
use route::{Route, Via};
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
    /// A scanner looks at a file.
    Scan,
    /// A page of a web site that a library mirrors.
    Library,
}

impl Purpose {
    /// As figures name it.
    pub fn name(self) -> &'static str {
        self.operation().trim_start_matches("egress.")
    }

    /// The operation of entries about such connections.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Alert => "egress.alert",
            Self::Checkpoint => "egress.checkpoint",
            Self::Connector => "egress.connector",
            Self::Keys => "egress.keys",
            Self::Scan => "egress.scan",
            Self::Library => "egress.library",
        }
    }
}

/// Is told of every connection that was opened, and of every one that was refused; injected by `app`, which writes it
/// into the audit log. Must not wait. Through a proxy, `address` is the proxy's.
pub trait Witness: Send + Sync {
    fn connected(&self, purpose: Purpose, target: &Endpoint, address: SocketAddr);
    fn refused(&self, purpose: Purpose, target: &Endpoint, reason: &str);
}

/// Opens connections to other machines.
pub struct Egress {
    policy: Policy,
    door: Door,
    proxy: Option<Endpoint>,
    ca_file: Option<PathBuf>,
    /// Made at the first use. Held for a look, never across an await.
    tls: Mutex<Option<Arc<ClientConfig>>>,
    resolver: Arc<dyn Resolve>,
    witness: Arc<dyn Witness>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Where somebody wants to go, and by what right.
#[derive(Clone, Copy)]
struct Way<'a> {
    purpose: Purpose,
    target: &'a Endpoint,
    /// As it stands in a URL.
    path: Option<&'a str>,
    route: Option<&'a Route>,
}

impl Egress {
    /// `configured` are the hosts that other settings name.
    pub fn new(egress: &config::egress::Egress, configured: Vec<String>, witness: Arc<dyn Witness>) -> Self {
        let resolver: Arc<dyn Resolve> = match &egress.dns {
            Dns::System => Arc::new(SystemResolver),
            Dns::Server(address) => Arc::new(dns::Server { address: *address }),
            Dns::Https(url) => Arc::new(dns::Https::new(url.clone(), egress.ca_file.clone())),
        };
        Self::with_resolver(egress, configured, resolver, witness)
    }

    /// As [`Self::new`], with names answered by `resolver`.
    pub fn with_resolver(
        egress: &config::egress::Egress,
        configured: Vec<String>,
        resolver: Arc<dyn Resolve>,
        witness: Arc<dyn Witness>,
    ) -> Self {
        Self {
            policy: Policy::new(egress, configured),
            door: Door::new(egress.mode != EgressMode::None),
            proxy: egress.proxy.clone(),
            ca_file: egress.ca_file.clone(),
            tls: Mutex::default(),
            resolver,
            witness,
        }
    }

    /// Sockets that were opened, and names that the system's resolver was asked for, since the start.
    pub fn sockets_opened(&self) -> u64 {
        self.door.used()
    }

    /// A TCP connection to one of the target's addresses.
    pub async fn tcp(&self, purpose: Purpose, target: &Endpoint) -> Result<Stream, EgressError> {
        self.open(Way { purpose, target, path: None, route: None }).await
    }

    /// As [`Self::tcp`], by a route.
    pub async fn tcp_by(&self, purpose: Purpose, target: &Endpoint, route: &Route) -> Result<Stream, EgressError> {
        self.open(Way { purpose, target, path: None, route: Some(route) }).await
    }

    /// A TLS connection; the certificate must be for the target's name.
    pub async fn tls(&self, purpose: Purpose, target: &Endpoint) -> Result<Stream, EgressError> {
        let stream = self.tcp(purpose, target).await?;
        self.secure(stream, target).await
    }

    /// Goes on under TLS, where the other end was asked for it in its own protocol.
    pub async fn secure(&self, stream: Stream, target: &Endpoint) -> Result<Stream, EgressError> {
        secure(self.client()?, stream, target).await
    }

    /// A UDP socket that sends to the target, and hears only it. No proxy carries it.
    pub async fn udp(&self, purpose: Purpose, target: &Endpoint) -> Result<UdpSocket, EgressError> {
        let failed = |error| EgressError::Connect { target: target.to_string(), error };
        let way = Way { purpose, target, path: None, route: None };
        let standing = self.admitted(way)?;
        if self.proxy.is_some() && !self.policy.is_direct(target) {
            return Err(
                self.refused(way, "egress.proxy carries no UDP; write the host into egress.direct_hosts".into())
            );
        }
        let addresses = self.addresses(way, standing).await?;
        let address = addresses.first().ok_or_else(|| failed(io::Error::from(io::ErrorKind::NotFound)))?;
        let socket = self.door.udp(*address).await.map_err(failed)?;
        self.witness.connected(purpose, target, *address);
        Ok(socket)
    }

    /// Whether the way may be gone, before any name is looked up.
    fn admitted(&self, way: Way<'_>) -> Result<Standing, EgressError> {
        if !self.door.is_open() {
            return Err(self.refused(way, "egress.mode is \"none\", or --offline was given".into()));
        }
        self.policy.host(&way.target.host, way.path, way.route).map_err(|reason| self.refused(way, reason))
    }

    async fn open(&self, way: Way<'_>) -> Result<Stream, EgressError> {
        let standing = self.admitted(way)?;
        let proxy = match way.route.map(|route| &route.via) {
            Some(Via::Direct) => None,
            // Its loopback is not ours.
            Some(Via::Proxy(proxy)) => Some(proxy).filter(|_| !way.target.is_loopback()),
            Some(Via::Usual) | None => self.proxy.as_ref().filter(|_| !self.policy.is_direct(way.target)),
        };
        if let Some(proxy) = proxy {
            return self.through(proxy, way, standing).await;
        }
        let addresses = self.addresses(way, standing).await?;
        self.connect(way, addresses).await
    }

    async fn connect(&self, way: Way<'_>, addresses: Vec<SocketAddr>) -> Result<Stream, EgressError> {
        let limit = Duration::from_millis(bound::EGRESS_CONNECT_MS);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match within(limit, self.door.tcp(address)).await {
                Ok(stream) => {
                    self.witness.connected(way.purpose, way.target, address);
                    return Ok(Stream::Plain(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(EgressError::Connect { target: way.target.to_string(), error: last })
    }

    /// What the proxy finds behind a name is not known here. So only names that somebody wrote in full go through it.
    async fn through(&self, proxy: &Endpoint, way: Way<'_>, standing: Standing) -> Result<Stream, EgressError> {
        if standing != Standing::Named {
            let reason = "egress.proxy looks names up itself, so only hosts that are named in full go through it";
            return Err(self.refused(way, reason.into()));
        }
        if let Some(address) = way.target.address() {
            let judged = self.policy.address(address, true, standing, way.route);
            judged.map_err(|reason| self.refused(way, reason))?;
        }
        let failed = |error| EgressError::Connect { target: way.target.to_string(), error };
        let limit = Duration::from_millis(bound::EGRESS_CONNECT_MS);
        let connecting = async {
            // A setting names it: it is not judged.
            let addresses = match proxy.address() {
                Some(address) => vec![address],
                None => self.resolver.resolve(&self.door, &proxy.host).await?,
            };
            let address = addresses.first().ok_or_else(|| io::Error::other("the proxy's name has no address"))?;
            let address = SocketAddr::new(*address, proxy.port);
            let mut stream = self.door.tcp(address).await?;
            proxy::connect(&mut stream, way.target).await?;
            Ok((stream, address))
        };
        let (stream, address) = within(limit, connecting).await.map_err(failed)?;
        self.witness.connected(way.purpose, way.target, address);
        Ok(Stream::Plain(stream))
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
    async fn addresses(&self, way: Way<'_>, standing: Standing) -> Result<Vec<SocketAddr>, EgressError> {
        let target = way.target;
        let literal = target.address();
        let mut addresses = if let Some(address) = literal {
            vec![address]
        } else {
            let limit = Duration::from_millis(bound::EGRESS_CONNECT_MS);
            let found = within(limit, self.resolver.resolve(&self.door, &target.host)).await;
            found.map_err(|error| EgressError::NotFound { target: target.to_string(), error })?
        };
        for address in &addresses {
            let judged = self.policy.address(*address, literal.is_some(), standing, way.route);
            judged.map_err(|reason| self.refused(way, reason))?;
        }
        addresses.truncate(bound::EGRESS_ADDRESSES_MAX);
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
    }

    fn refused(&self, way: Way<'_>, reason: String) -> EgressError {
        self.witness.refused(way.purpose, way.target, &reason);
        EgressError::Refused { target: way.target.to_string(), reason }
    }
}

/// A handshake as a client; the certificate must be for the target's name.
async fn secure(client: Arc<ClientConfig>, stream: Stream, target: &Endpoint) -> Result<Stream, EgressError> {
    let failed = |error| EgressError::Tls { target: target.to_string(), error };
    let Stream::Plain(stream) = stream else { return Ok(stream) };
    let name = ServerName::try_from(target.host.clone()).map_err(|error| failed(io::Error::other(error)))?;
    let connector = TlsConnector::from(client);
    let limit = Duration::from_millis(bound::EGRESS_TLS_MS);
    let stream = within(limit, connector.connect(name, stream)).await.map_err(failed)?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Waits for so long.
async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_dns;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_http;
#[cfg(test)]
mod tests_tls;
