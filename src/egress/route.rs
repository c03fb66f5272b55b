//! What one connector, or one setting, is allowed beyond the rules for all: its hosts, its networks, whom it trusts.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;

use super::pool::Pool;
use crate::base::network::Network;
use crate::base::secret::Secret;
use crate::config::raw::TlsVersion;
use crate::config::target::{Endpoint, HostPattern, Url};
use crate::crypto::trust::{self, Trust, TrustError};

/// A way out that an operator made. Keep one for as long as it is as it is: its TLS configuration, and so its resumed
/// sessions, live in it.
pub struct Route {
    /// For entries and errors: the connector's name, or the setting's.
    pub name: String,
    /// Hosts that the operator named with it. Others are reached only if `egress.allowed_hosts` has them; in
    /// `egress.blocked_hosts` all are refused.
    pub hosts: Vec<HostPattern>,
    /// Networks that are not on the internet and may be reached all the same.
    pub networks: Vec<Network>,
    /// PEM with the authorities whose certificates are trusted, in the place of all others.
    pub ca: Option<Vec<u8>>,
    pub client_certificate: Option<ClientCertificate>,
    pub via: Via,
    /// TLS 1.2 is the least that there is.
    pub tls_min: TlsVersion,
    /// Whether `http://` to this machine is taken, and this machine reached. Never to another.
    pub cleartext_loopback: bool,
    /// Redirects lead to the same origin only: what the operator allowed for one server (its networks, the authority of
    /// its certificate, who we are to it) is not for whomever that server names.
    pub same_origin: bool,
    /// Redirects lead to this path and what is below it only; empty: to any.
    pub below: String,
    /// Hosts are then as near as settings may name them: private addresses under a full name.
    pub(super) is_of_setting: bool,
    pub(super) pool: Pool,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// Which way a route takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// `egress.proxy`, where there is one.
    #[default]
    Usual,
    /// By no proxy.
    Direct,
    /// By this one: spoken to in the clear; what goes through it is under TLS of its own.
    Proxy(Endpoint),
}

/// Who we are to the other machine.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// PEM, our own certificate first.
    pub chain: Vec<u8>,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: Secret,
}

impl ClientCertificate {
    /// From PEM that has both, in any order.
    pub fn of_pem(pem: &Secret) -> Self {
        let text = String::from_utf8_lossy(pem.expose_secret());
        let (mut chain, mut is_certificate) = (String::new(), false);
        // The key stays where it is wiped.
        for line in text.lines() {
            is_certificate |= line.starts_with("-----BEGIN CERTIFICATE-----");
            if is_certificate {
                chain.push_str(line);
                chain.push('\n');
            }
            is_certificate &= !line.starts_with("-----END");
        }
        Self { chain: chain.into_bytes(), key: pem.clone() }
    }

    /// Whether chain and key belong together.
    pub fn check(&self) -> Result<(), TrustError> {
        trust::check_identity(&self.chain, &self.key)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("name", &self.name).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Route {
    /// Leads nowhere but to what `egress.allowed_hosts` names, on the internet, under TLS 1.2 at least.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            hosts: Vec::new(),
            networks: Vec::new(),
            ca: None,
            client_certificate: None,
            via: Via::Usual,
            tls_min: TlsVersion::Tls12,
            cleartext_loopback: false,
            same_origin: false,
            below: String::new(),
            is_of_setting: false,
            pool: Pool::default(),
            tls: OnceLock::new(),
        }
    }

    /// To the host of a URL that the setting `name` holds, wherever that is.
    pub fn of_setting(name: impl Into<String>, url: &Url) -> Self {
        let mut route = Self::new(name);
        route.hosts = vec![HostPattern::exactly(&url.endpoint.host)];
        route.cleartext_loopback = !url.is_tls;
        route.is_of_setting = true;
        route
    }

    /// To a host that the setting `name` holds, by something else than HTTP.
    pub fn to(name: impl Into<String>, endpoint: &Endpoint) -> Self {
        let mut route = Self::new(name);
        route.hosts = vec![HostPattern::exactly(&endpoint.host)];
        route.is_of_setting = true;
        route
    }

    /// Made at the first use: it may read the system's store of authorities.
    pub(super) fn client(&self, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
        if let Some(client) = self.tls.get() {
            return Ok(Arc::clone(client));
        }
        let identity = self.client_certificate.as_ref().map(|certificate| (&*certificate.chain, &certificate.key));
        let trust =
            Trust { ca_file, ca: self.ca.as_deref(), identity, version_min: self.tls_min, protocols: &[b"http/1.1"] };
        let made = trust::client_for(&trust)?;
        Ok(Arc::clone(self.tls.get_or_init(|| made)))
    }
}
