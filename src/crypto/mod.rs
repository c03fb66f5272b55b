//! The only door to ciphers and digests: authenticated encryption, derivation, SHA-256, HMAC, signatures, TLS.

pub mod aead;
pub mod derive;
pub mod digest;
pub mod password;
pub mod sign;
pub mod stream;
pub mod tls;
pub mod trust;
