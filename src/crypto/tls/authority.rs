//! A small authority of one's own, for sites that no public one reaches: it signs servers and clients.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Extended, IsCa, Issuer, KeyPair,
    KeyUsagePurpose as Usage, PublicKeyData as _, SanType,
};
use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;
use zeroize::Zeroizing;

use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::hex;
use crate::crypto::digest::sha256;

/// What stands before a client's name in the URI of its certificate.
pub const CLIENT_URI: &str = "sekisho:client:";

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("{0:?} is no host name or address that a certificate can carry")]
    Name(String),
    #[error("expected 1 to 64 of the characters a-z, A-Z, 0-9, '.', '_' and '-', found {0:?}")]
    Client(String),
    #[error("the file is not the certificate of an authority: {0}")]
    NotAnAuthority(String),
    #[error("the key does not belong to the authority's certificate")]
    Mismatch,
    #[error("a certificate could not be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// A certificate and its key, both in PEM. The key is ECDSA on P-256: every client of the last ten years knows it.
pub struct Issued {
    pub certificate: String,
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued")
    }
}

/// From when and for how long a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    pub now: Timestamp,
    pub days: u64,
}

/// Signs certificates.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// A new one. Whoever has its key can pose as any server to those who trust it.
    pub fn make(validity: Validity) -> Result<(Self, Issued), AuthorityError> {
        let key = KeyPair::generate()?;
        // Two authorities need two names: verifiers look an issuer up by it.
        let short = hex(&sha256(&[&key.subject_public_key_info()])[..4]);
        let mut params = params(validity, &format!("Sekisho local authority {short}"))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![Usage::KeyCertSign, Usage::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        let issued = Issued { certificate: certificate.clone(), key: Zeroizing::new(key.serialize_pem()) };
        Ok((Self { certificate, issuer: Issuer::new(params, key) }, issued))
    }

    /// One that was made before, from PEM.
    pub fn open(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let fault = |error: &dyn std::fmt::Display| AuthorityError::NotAnAuthority(error.to_string());
        let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(|error| fault(&error))?;
        let parsed = pem.parse_x509().map_err(|error| fault(&error))?;
        if !parsed.is_ca() {
            return Err(fault(&"it may not sign others"));
        }
        let key = KeyPair::from_pem(key)?;
        if key.subject_public_key_info() != parsed.public_key().raw {
            return Err(AuthorityError::Mismatch);
        }
        Ok(Self { certificate: certificate.to_owned(), issuer: Issuer::from_ca_cert_pem(certificate, key)? })
    }

    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// For a server with these host names and addresses.
    pub fn server(&self, names: &[String], validity: Validity) -> Result<Issued, AuthorityError> {
        let common = names.first().map_or("localhost", String::as_str);
        let mut params = params(validity, common)?;
        params.subject_alt_names = names.iter().map(|name| host(name)).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![Extended::ServerAuth];
        self.sign(params)
    }

    /// For a client, whose name stands as `uri:sekisho:client:NAME` in the certificate.
    pub fn client(&self, name: &str, validity: Validity) -> Result<Issued, AuthorityError> {
        let good = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
            return Err(AuthorityError::Client(name.to_owned()));
        }
        let uri = format!("{CLIENT_URI}{name}");
        let mut params = params(validity, name)?;
        params.subject_alt_names = vec![SanType::URI(ia5(&uri)?)];
        params.extended_key_usages = vec![Extended::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Issued, AuthorityError> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![Usage::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }
}

fn params(validity: Validity, common_name: &str) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Clocks differ: a certificate that is valid from now on is refused by whoever is a minute behind.
    let begin = Timestamp(validity.now.0.saturating_sub(bound::TLS_CLOCK_SKEW_MS));
    params.not_before = date(begin)?;
    params.not_after = date(validity.now.plus(Duration::from_secs(86_400 * validity.days)))?;
    Ok(params)
}

fn date(time: Timestamp) -> Result<OffsetDateTime, AuthorityError> {
    let seconds = i64::try_from(time.0 / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| AuthorityError::Making(rcgen::Error::Time))
}

fn host(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let label = |label: &str| {
        let good = |char: char| char.is_ascii_alphanumeric() || char == '-';
        (1..=63).contains(&label.len()) && label.chars().all(good) && !label.starts_with('-') && !label.ends_with('-')
    };
    // RFC 1123, section 2.1; a wildcard only as the whole first label (RFC 6125, section 6.4.3).
    let plain = name.strip_prefix("*.").unwrap_or(name);
    if plain.len() > 253 || !plain.split('.').all(label) {
        return Err(AuthorityError::Name(name.to_owned()));
    }
    Ok(SanType::DnsName(ia5(name)?))
}

fn ia5(text: &str) -> Result<Ia5String, AuthorityError> {
    Ia5String::try_from(text).map_err(|_| AuthorityError::Name(text.to_owned()))
}
