//! TLS to other machines: whose certificates are trusted, and which versions are spoken.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::tls::TlsError;
use crate::base::secret::Secret;
use crate::config::raw::TlsVersion;

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error(transparent)]
    File(#[from] TlsError),
    #[error("the system's store of authorities holds no certificate that can be used{0}; name one in egress.ca_file")]
    Empty(String),
    #[error("expected PEM with certificates of authorities, found: {0}")]
    Authorities(String),
    #[error("the client certificate cannot be used: {0}")]
    Identity(String),
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Who is trusted, who we are, and what is the least that is spoken.
#[derive(Debug)]
pub struct Trust<'a> {
    /// PEM file with authorities, in the place of the system's.
    pub ca_file: Option<&'a Path>,
    /// PEM with authorities, in the place of all others.
    pub ca: Option<&'a [u8]>,
    /// PEM of our certificate and those above it, and of its key.
    pub identity: Option<(&'a [u8], &'a Secret)>,
    pub version_min: TlsVersion,
    /// What is offered to speak under TLS (RFC 7301), the best first; empty: nothing is said.
    pub protocols: &'a [&'a [u8]],
}

/// A client configuration for TLS 1.3 and 1.2 that trusts the authorities in `ca_file` and no others, or those of the
/// system. Reads files: keep what it gives.
pub fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    client_for(&Trust { ca_file, ca: None, identity: None, version_min: TlsVersion::Tls12, protocols: &[] })
}

/// A client configuration. Reads files: keep what it gives.
pub fn client_for(trust: &Trust<'_>) -> Result<Arc<ClientConfig>, TrustError> {
    // Of TLS 1.2 this provider has ECDHE with AES-GCM and ChaCha20-Poly1305, and nothing else.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[_] = match trust.version_min {
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let roots = match trust.ca {
        Some(pem) => authorities(pem)?,
        None => roots(trust.ca_file)?,
    };
    let builder = builder.with_root_certificates(roots);
    let mut client = match trust.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let (chain, key) = identity(chain, key)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| TrustError::Identity(error.to_string()))?
        }
    };
    client.alpn_protocols = trust.protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(client))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(chain: &[u8], key: &Secret) -> Result<Identity, TrustError> {
    let wrong = |reason: String| TrustError::Identity(reason);
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(format!("expected PEM with certificates, found: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret())
        .map_err(|error| wrong(format!("expected PEM with a private key, found: {error}")))?;
    Ok((chain, key))
}

/// Whether `pem` has certificates of authorities, and no other.
pub fn check_authorities(pem: &[u8]) -> Result<(), TrustError> {
    authorities(pem).map(drop)
}

/// How many authorities stand in `pem`.
pub fn count_authorities(pem: &[u8]) -> usize {
    authorities(pem).map_or(0, |roots| roots.len())
}

/// Whether a chain and a key belong together.
pub fn check_identity(chain: &[u8], key: &Secret) -> Result<(), TrustError> {
    client_for(&Trust {
        ca_file: None,
        // Nobody is spoken to: that the system may have no authorities says nothing of the key.
        ca: Some(chain),
        identity: Some((chain, key)),
        version_min: TlsVersion::Tls12,
        protocols: &[],
    })
    .map(drop)
}

/// Those in `pem`, all of them usable.
fn authorities(pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let wrong = |reason: String| TrustError::Authorities(reason);
    for authority in CertificateDer::pem_slice_iter(pem) {
        let authority = authority.map_err(|error| wrong(error.to_string()))?;
        roots.add(authority).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("no certificate".into())) } else { Ok(roots) }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        let found = rustls_native_certs::load_native_certs();
        // Stores hold certificates that no parser takes; the others count.
        roots.add_parsable_certificates(found.certs);
        let reasons: Vec<String> = found.errors.iter().map(|error| format!(": {error}")).collect();
        return if roots.is_empty() { Err(TrustError::Empty(reasons.concat())) } else { Ok(roots) };
    };
    let pem = |reason: String| TlsError::Pem { path: path.to_owned(), wanted: "certificates of authorities", reason };
    let authorities = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem(error.to_string()))?;
    for authority in authorities {
        roots.add(authority).map_err(|error| pem(error.to_string()))?;
    }
    if roots.is_empty() { Err(pem("no certificate".into()).into()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_trusts_nobody_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, "nothing").unwrap();
        let error = client(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("ca.pem") && error.contains("no certificate"), "{error}");
        assert!(client(Some(&directory.path().join("absent"))).is_err());
    }
}
