//! TLS for the listener (RFC 8446): which versions and suites are spoken, with which files, and whom a client may be.

pub mod authority;
pub mod certificate;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::digest::{Hash, sha256};
use crate::base::bound;
use crate::config::raw::TlsVersion;
use crate::config::{ClientTls, Tls};
use certificate::Certificate;

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: expected a PEM file, found: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{}: expected PEM with {wanted}, found {reason}", path.display())]
    Pem { path: PathBuf, wanted: &'static str, reason: String },
    #[error("the certificate {} and the key {} do not serve TLS together: {reason}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, reason: String },
    #[error("client certificates cannot be checked with {}: {reason}", path.display())]
    Clients { path: PathBuf, reason: String },
}

/// The bytes of all configured files, read at one time, so that what is judged is what is served.
pub struct Material {
    tls: Tls,
    chain: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    authorities: Option<Zeroizing<Vec<u8>>>,
    revoked: Option<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// What a listener serves TLS with.
#[derive(Clone, Debug)]
pub struct Served {
    pub config: Arc<ServerConfig>,
    /// The server's own certificate, the first of its chain.
    pub certificate: Certificate,
}

impl Material {
    pub fn read(tls: &Tls) -> Result<Self, TlsError> {
        let client = tls.client.as_ref();
        Ok(Self {
            chain: read(&tls.certificate)?,
            key: read(&tls.key)?,
            authorities: client.map(|client| read(&client.authorities)).transpose()?,
            revoked: client.and_then(|client| client.revoked.as_deref()).map(read).transpose()?,
            tls: tls.clone(),
        })
    }

    /// Tells one content of the files from another. It depends on the private key: not for showing.
    pub fn digest(&self) -> Hash {
        let of = |bytes: Option<&Zeroizing<Vec<u8>>>| bytes.map_or([0; 32], |bytes| sha256(&[bytes]));
        let parts = [Some(&self.chain), Some(&self.key), self.authorities.as_ref(), self.revoked.as_ref()].map(of);
        sha256(&[&parts[0], &parts[1], &parts[2], &parts[3]])
    }

    /// A server configuration for HTTP/2 and HTTP/1.1.
    pub fn server(&self) -> Result<Served, TlsError> {
        let chain: Vec<CertificateDer<'static>> = every(&self.tls.certificate, &self.chain, "a certificate chain")?;
        let certificate = Certificate::of(chain.first().map_or(&[], |leaf| leaf)).map_err(|error| TlsError::Pem {
            path: self.tls.certificate.clone(),
            wanted: "a certificate chain",
            reason: error.to_string(),
        })?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| TlsError::Pem {
            path: self.tls.key.clone(),
            wanted: "a private key",
            reason: error.to_string(),
        })?;
        let pair = |error: rustls::Error| TlsError::Pair {
            certificate: self.tls.certificate.clone(),
            key: self.tls.key.clone(),
            reason: error.to_string(),
        };
        let provider = Arc::new(provider(self.tls.version_min));
        let versions: &[_] = match self.tls.version_min {
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(pair)?;
        let mut server = match &self.tls.client {
            None => builder.with_no_client_auth().with_single_cert(chain, key).map_err(pair)?,
            Some(client) => {
                let verifier = self.verifier(client, provider)?;
                let mut server =
                    builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).map_err(pair)?;
                // A resumed session takes the client's certificate as it was: neither its end nor a revocation
                // would be seen. A full handshake costs a millisecond.
                server.session_storage = Arc::new(NoServerSessionStorage {});
                server.send_tls13_tickets = 0;
                server
            }
        };
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Served { config: Arc::new(server), certificate })
    }

    fn verifier(
        &self,
        client: &ClientTls,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
        let path = &client.authorities;
        let fault = |path: &Path, reason: String| TlsError::Clients { path: path.to_owned(), reason };
        let mut roots = RootCertStore::empty();
        let authorities = self.authorities.as_ref().map_or(&[][..], |bytes| bytes);
        for authority in every::<CertificateDer<'static>>(path, authorities, "certificates of authorities")? {
            roots.add(authority).map_err(|error| fault(path, error.to_string()))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let (Some(bytes), Some(file)) = (&self.revoked, &client.revoked) {
            let lists = every::<CertificateRevocationListDer<'static>>(file, bytes, "revocation lists")?;
            // An expired list hides what was revoked since (RFC 5280, section 5.1.2.5): better nobody than that.
            builder = builder.with_crls(lists).enforce_revocation_expiration();
        }
        if !client.is_required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| fault(client.revoked.as_ref().unwrap_or(path), error.to_string()))
    }
}

/// AES-256-GCM and ChaCha20-Poly1305 only, with forward secrecy; key exchange as rustls prefers it, the hybrid
/// X25519MLKEM768 first.
fn provider(version_min: TlsVersion) -> CryptoProvider {
    let mut provider = default_provider();
    provider.cipher_suites = vec![suite::TLS13_AES_256_GCM_SHA384, suite::TLS13_CHACHA20_POLY1305_SHA256];
    if version_min == TlsVersion::Tls12 {
        provider.cipher_suites.extend([
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ]);
    }
    provider
}

/// All items of a PEM file; none at all is an error, for then the wrong file was named.
fn every<T: PemObject>(path: &Path, bytes: &[u8], wanted: &'static str) -> Result<Vec<T>, TlsError> {
    let fault = |reason: String| TlsError::Pem { path: path.to_owned(), wanted, reason };
    let items = T::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>().map_err(|error| fault(error.to_string()))?;
    if items.is_empty() { Err(fault("none".to_owned())) } else { Ok(items) }
}

/// A file of bounded size; the buffer is wiped, for it may hold a private key.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let fault = |error| TlsError::File { path: path.to_owned(), error };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(fault)?;
    file.take(bound::TLS_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > bound::TLS_FILE_BYTES_MAX {
        let reason = format!("more than {} bytes", bound::TLS_FILE_BYTES_MAX);
        return Err(TlsError::Pem { path: path.to_owned(), wanted: "certificates or a key", reason });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
