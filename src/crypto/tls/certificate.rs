//! What a certificate says (RFC 5280): names, validity, fingerprint. Whether it is believed is decided by the handshake.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{TlsError, every, read};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::hex;
use crate::crypto::digest::{Hash, sha256};

/// The part of a certificate that people and policies ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// As text, such as `CN=localhost`.
    pub subject: String,
    /// Subject alternative names: `dns:`, `email:`, `uri:` or `ip:` and the name.
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SHA-256 of the certificate in DER.
    pub fingerprint: Hash,
    pub is_authority: bool,
    pub key: KeyKind,
    /// Signed over MD5 or SHA-1.
    pub is_signed_weakly: bool,
}

/// What kind of public key a certificate is about, and its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Rsa(usize),
    Elliptic(usize),
    /// Ed25519 and its like have one strength each.
    Other,
}

/// RSA with MD5 and with SHA-1 (RFC 3279, section 2.2.1), ECDSA and DSA with SHA-1.
const WEAK_SIGNATURES: [&str; 4] =
    ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10045.4.1", "1.2.840.10040.4.3"];

/// Bytes that are no certificate, or more than one.
#[derive(Debug, thiserror::Error)]
#[error("no certificate: {0}")]
pub struct NotACertificate(String);

/// How a certificate stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    NotYet,
    Valid,
    /// It ends within [`bound::TLS_EXPIRY_WARNING_DAYS`]; whole days that are left.
    Expiring(u64),
    Expired,
}

impl Certificate {
    pub fn of(der: &[u8]) -> Result<Self, NotACertificate> {
        let fault = |error: &dyn std::fmt::Display| NotACertificate(error.to_string());
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| fault(&error))?;
        if !rest.is_empty() {
            return Err(NotACertificate(format!("{} bytes follow it", rest.len())));
        }
        let alternative = parsed.subject_alternative_name().map_err(|error| fault(&error))?;
        let names = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(named).collect();
        Ok(Self {
            subject: parsed.subject().to_string(),
            names,
            not_before: timestamp(parsed.validity().not_before.timestamp()),
            not_after: timestamp(parsed.validity().not_after.timestamp()),
            fingerprint: sha256(&[der]),
            is_authority: parsed.is_ca(),
            key: match parsed.public_key().parsed() {
                Ok(PublicKey::RSA(key)) => KeyKind::Rsa(key.key_size()),
                Ok(PublicKey::EC(point)) => KeyKind::Elliptic(point.key_size()),
                _ => KeyKind::Other,
            },
            is_signed_weakly: WEAK_SIGNATURES.contains(&parsed.signature_algorithm.algorithm.to_id_string().as_str()),
        })
    }

    /// The certificates of a PEM file, in its order.
    pub fn of_file(path: &Path) -> Result<Vec<Self>, TlsError> {
        let bytes = read(path)?;
        let wanted = "certificates";
        let parse = |der: CertificateDer<'static>| {
            let fault =
                |error: NotACertificate| TlsError::Pem { path: path.to_owned(), wanted, reason: error.to_string() };
            Self::of(&der).map_err(fault)
        };
        every::<CertificateDer<'static>>(path, &bytes, wanted)?.into_iter().map(parse).collect()
    }

    pub fn standing(&self, now: Timestamp) -> Standing {
        let left = self.not_after.since(now);
        if now < self.not_before {
            Standing::NotYet
        } else if now > self.not_after {
            Standing::Expired
        } else if left < Duration::from_hours(24 * bound::TLS_EXPIRY_WARNING_DAYS) {
            Standing::Expiring(left.as_secs() / 86_400)
        } else {
            Standing::Valid
        }
    }

    /// One line for the log and the audit entry.
    pub fn described(&self) -> String {
        format!(
            "SHA-256 {}, {}, valid until {}",
            hex(&self.fingerprint),
            self.names.join(" "),
            self.not_after.rfc3339()
        )
    }
}

/// Other kinds of names tell nobody apart here; a malformed one is none.
fn named(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(format!("dns:{}", name.to_ascii_lowercase())),
        GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
        GeneralName::URI(name) => Some(format!("uri:{name}")),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| format!("ip:{address}"))
        }
        _ => None,
    }
}

/// A time before 1970 is as good as 1970.
fn timestamp(seconds: i64) -> Timestamp {
    Timestamp(u64::try_from(seconds).unwrap_or_default().saturating_mul(1000))
}
