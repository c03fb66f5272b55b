//! PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2): a key from a secret that somebody could guess at, and password hashes.
//!
//! A hash is a PHC string: `$pbkdf2-sha256$i=600000,l=32$SALT$HASH`, both parts in base64 without padding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use pbkdf2::{Algorithm, Params, pbkdf2_hmac_with_params};
use sha2::Sha256;

use crate::base::bound;
use crate::base::id::{NoEntropy, random_bytes};
use crate::base::secret::Secret;

const PHC_NAME: &str = "pbkdf2-sha256";
const HASH_BYTES: usize = 32;

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

/// The hash of a password, as a PHC string says it. What it says is no secret, but nobody's business either.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    iterations: Iterations,
    salt: Vec<u8>,
    hash: Secret,
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordHash(i={})", self.iterations.get())
    }
}

/// A text that is no hash of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password hash has the form $pbkdf2-sha256$i=600000,l=32$salt$hash; this one does not")]
pub struct NotAHash;

impl PasswordHash {
    /// Hashes with a new salt and [`bound::KDF_ITERATIONS_DEFAULT`]. Takes a tenth of a second.
    pub fn of(password: &Secret) -> Result<Self, NoEntropy> {
        let salt = random_bytes::<16>()?.to_vec();
        let iterations = Iterations::default();
        let hash = derive_key(password, &salt, iterations);
        Ok(Self { iterations, salt, hash })
    }

    /// A hash that no password has, to be checked where there is none, so that both take as long.
    pub fn of_nobody() -> Result<Self, NoEntropy> {
        let salt = random_bytes::<16>()?.to_vec();
        Ok(Self { iterations: Iterations::default(), salt, hash: Secret::random()? })
    }

    /// Whether `password` has this hash. Takes a tenth of a second; compares in constant time.
    pub fn fits(&self, password: &Secret) -> bool {
        let fits = derive_key(password, &self.salt, self.iterations) == self.hash;
        // What was hashed less often takes as long all the same, or its age could be measured.
        let missing = bound::KDF_ITERATIONS_DEFAULT.saturating_sub(self.iterations.get());
        if missing > 0 {
            std::hint::black_box(derive_key(password, &self.salt, Iterations(missing)));
        }
        fits
    }

    /// Whether a hash that is made today has more iterations.
    pub fn is_outdated(&self) -> bool {
        self.iterations.get() < bound::KDF_ITERATIONS_DEFAULT
    }

    pub fn parse(phc: &str) -> Result<Self, NotAHash> {
        let mut parts = phc.split('$');
        let head = (parts.next(), parts.next());
        let (parameters, salt, hash) = (parts.next(), parts.next(), parts.next());
        let (Some(parameters), Some(salt), Some(hash), None) = (parameters, salt, hash, parts.next()) else {
            return Err(NotAHash);
        };
        if head != (Some(""), Some(PHC_NAME)) {
            return Err(NotAHash);
        }
        let (iterations, length) = parameters.split_once(',').unwrap_or((parameters, "l=32"));
        let number = |text: &str, name: &str| text.strip_prefix(name)?.parse::<u32>().ok();
        let iterations = number(iterations, "i=").and_then(|number| Iterations::stored(number).ok()).ok_or(NotAHash)?;
        let bytes = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| NotAHash);
        let (salt, hash) = (bytes(salt)?, bytes(hash)?);
        let whole = number(length, "l=") == Some(32) && hash.len() == HASH_BYTES && (8..=64).contains(&salt.len());
        whole.then(|| Self { iterations, salt, hash: Secret::new(hash) }).ok_or(NotAHash)
    }

    pub fn to_phc(&self) -> String {
        let (salt, hash) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(self.hash.expose_secret()));
        format!("${PHC_NAME}$i={},l={HASH_BYTES}${salt}${hash}", self.iterations.get())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::id::hex;

    #[test]
    fn a_hash_of_another_implementation_fits_its_password() {
        // Python: hashlib.pbkdf2_hmac("sha256", b"correct horse", b"0123456789abcdef", 1000)
        let phc = "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M";
        let hash = PasswordHash::parse(phc).unwrap();
        assert!(hash.fits(&Secret::new("correct horse")) && !hash.fits(&Secret::new("correct horsf")));
        assert!(hash.is_outdated());
        assert_eq!(hash.to_phc(), phc);
    }

    #[test]
    fn a_new_hash_has_todays_iterations_and_a_salt_of_its_own() {
        let secret = Secret::new("battery staple");
        let (one, other) = (PasswordHash::of(&secret).unwrap(), PasswordHash::of(&secret).unwrap());
        assert!(one != other && !one.is_outdated() && one.fits(&secret));
        assert!(one.to_phc().starts_with("$pbkdf2-sha256$i=600000,l=32$"));
        assert!(!format!("{one:?}").contains(&one.to_phc()[40..]));
        assert!(!PasswordHash::of_nobody().unwrap().is_outdated());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic_and_what_it_takes_is_written_the_same(text in "(\\$?pbkdf2-sha256)?[$a-z0-9=,+/]{0,80}") {
            if let Ok(hash) = PasswordHash::parse(&text) {
                prop_assert_eq!(PasswordHash::parse(&hash.to_phc()), Ok(hash));
            }
        }
    }

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
