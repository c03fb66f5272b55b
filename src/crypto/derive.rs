//! HKDF-SHA256 (RFC 5869): keys from a key, each for one use.

use hkdf::Hkdf;
use sha2::Sha256;

use crate::base::secret::Secret;

/// RFC 5869 expands to 8,160 bytes; what is asked for here are 32, so nobody should ever see this.
#[derive(Debug, thiserror::Error)]
#[error("a key of 32 bytes could not be derived")]
pub struct DeriveError;

/// A key of 32 bytes from `key`, which must be random itself: a passphrase needs [`super::password`].
///
/// `salt` may be empty; `info` says what the key is for, and whoever says something else gets another key.
pub fn derive(key: &Secret, salt: &[u8], info: &[u8]) -> Result<Secret, DeriveError> {
    let mut derived = zeroize::Zeroizing::new(vec![0; 32]);
    Hkdf::<Sha256>::new(Some(salt), key.expose_secret()).expand(info, &mut derived).map_err(|_| DeriveError)?;
    Ok(Secret::new(std::mem::take(&mut *derived)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::hex;

    #[test]
    fn derived_keys_are_those_of_rfc_5869() {
        // Appendix A.1 and A.3; expansion is block by block, so the first 32 bytes of their 42 are ours.
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let salt: Vec<u8> = (0..=0x0c).collect();
        let check = |salt: &[u8], info: &[u8], expect: &str| {
            assert_eq!(hex(derive(&Secret::new([0x0b; 22]), salt, info).unwrap().expose_secret()), expect);
        };
        check(&salt, &info, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
        check(b"", b"", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    }
}
