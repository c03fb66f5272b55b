//! TLS to other machines: whose certificates are trusted, and which versions are spoken.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::tls::TlsError;

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error(transparent)]
    File(#[from] TlsError),
    #[error("the system's store of authorities holds no certificate that can be used{0}; name one in egress.ca_file")]
    Empty(String),
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// A client configuration for TLS 1.3 and 1.2 that trusts the authorities in `ca_file` and no others, or those of the
/// system. Reads files: keep what it gives.
pub fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    Ok(Arc::new(builder.with_root_certificates(roots(ca_file)?).with_no_client_auth()))
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
