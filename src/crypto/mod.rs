//! The only door to ciphers and digests: authenticated encryption, SHA-256, HMAC, TLS.

pub mod aead;
pub mod digest;
pub mod tls;
