//! PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2): a key from a secret that somebody could guess at.

use pbkdf2::{Algorithm, Params, pbkdf2_hmac_with_params};
use sha2::Sha256;

use crate::base::bound;
use crate::base::secret::Secret;

/// How often a guess has to be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iterations(u32);

impl Default for Iterations {
    fn default() -> Self {
        Self(bound::KDF_ITERATIONS_DEFAULT)
    }
}

/// Why so many iterations are not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IterationsError {
    #[error(
        "a vault takes at least {fewest} iterations of PBKDF2-HMAC-SHA256, found {0}; from {weak} on they are taken if the weak number is allowed explicitly",
        fewest = bound::KDF_ITERATIONS_DEFAULT,
        weak = bound::KDF_ITERATIONS_WEAK
    )]
    TooFew(u32),
    #[error("a vault takes at most {most} iterations of PBKDF2-HMAC-SHA256, found {0}", most = bound::KDF_ITERATIONS_MAX)]
    TooMany(u32),
}

impl Iterations {
    /// For a new key: from [`bound::KDF_ITERATIONS_DEFAULT`] on, or from [`bound::KDF_ITERATIONS_WEAK`] on where an
    /// operator allowed that; up to [`bound::KDF_ITERATIONS_MAX`].
    pub fn new(iterations: u32, allow_weak: bool) -> Result<Self, IterationsError> {
        let fewest = if allow_weak { bound::KDF_ITERATIONS_WEAK } else { bound::KDF_ITERATIONS_DEFAULT };
        if iterations < fewest {
            return Err(IterationsError::TooFew(iterations));
        }
        Self::stored(iterations)
    }

    /// As a file says. Few are no danger here, for the key that comes out opens nothing; too many would hang us.
    pub fn stored(iterations: u32) -> Result<Self, IterationsError> {
        match iterations {
            0 => Err(IterationsError::TooFew(0)),
            1..=bound::KDF_ITERATIONS_MAX => Ok(Self(iterations)),
            _ => Err(IterationsError::TooMany(iterations)),
        }
    }

    /// As many, or the default if that is more.
    pub fn at_least_default(self) -> Self {
        Self(self.0.max(bound::KDF_ITERATIONS_DEFAULT))
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A key of 32 bytes. Takes a tenth of a second or longer: not for a thread that serves others.
pub fn derive_key(secret: &Secret, salt: &[u8], iterations: Iterations) -> Secret {
    let mut key = vec![0; 32];
    let text = secret.expose_secret();
    match Params::new(iterations.get()) {
        // Compiled in its own crate, which a debug build optimises: here it would take twenty times as long.
        Ok(params) => pbkdf2_hmac_with_params(text, salt, Algorithm::Pbkdf2Sha256, params, &mut key),
        // So few that the crate's own type refuses them; see [`Iterations::stored`].
        Err(_) => pbkdf2::pbkdf2_hmac::<Sha256>(text, salt, iterations.get(), &mut key),
    }
    Secret::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::hex;

    #[test]
    fn derived_keys_are_those_of_rfc_7914() {
        // Section 11; a longer key begins with the shorter one.
        let check = |secret: &str, salt: &[u8], iterations: u32, expect: &str| {
            let key = derive_key(&Secret::new(secret), salt, Iterations::stored(iterations).unwrap());
            assert_eq!(hex(key.expose_secret()), expect);
        };
        check("passwd", b"salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
        check("Password", b"NaCl", 80_000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
    }

    #[test]
    fn weak_numbers_need_to_be_asked_for_and_hanging_ones_are_refused() {
        let check = |iterations, allow_weak, expect: Result<u32, IterationsError>| {
            assert_eq!(Iterations::new(iterations, allow_weak).map(Iterations::get), expect);
        };
        check(600_000, false, Ok(600_000));
        check(599_999, false, Err(IterationsError::TooFew(599_999)));
        check(100_000, false, Err(IterationsError::TooFew(100_000)));
        check(100_000, true, Ok(100_000));
        check(99_999, true, Err(IterationsError::TooFew(99_999)));
        check(10_000_000, false, Ok(10_000_000));
        check(u32::MAX, true, Err(IterationsError::TooMany(u32::MAX)));
        assert_eq!(Iterations::stored(0), Err(IterationsError::TooFew(0)));
        assert_eq!(Iterations::stored(u32::MAX), Err(IterationsError::TooMany(u32::MAX)));
    }
}
