//! AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce in front of the ciphertext.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};

use crate::base::id::{NoEntropy, random_bytes};
use crate::base::secret::Secret;

const NONCE_BYTES: usize = 12;

/// A key that seals and opens. Two sealings of one text differ.
pub struct SealingKey {
    cipher: Aes256Gcm,
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

/// What was given was not sealed by this key for this purpose, or was changed since.
#[derive(Debug, thiserror::Error)]
pub enum AeadError {
    #[error("the sealed text does not open: wrong key, wrong context, or it was changed")]
    DoesNotOpen,
    #[error("a key has 32 bytes, this one {0}")]
    KeyLength(usize),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    #[error("the text is too long to seal")]
    TooLong,
}

impl SealingKey {
    pub fn new(key: &Secret) -> Result<Self, AeadError> {
        let bytes = key.expose_secret();
        let cipher = Aes256Gcm::new_from_slice(bytes).map_err(|_| AeadError::KeyLength(bytes.len()))?;
        Ok(Self { cipher })
    }

    /// A key that lives as long as this process.
    pub fn ephemeral() -> Result<Self, AeadError> {
        Self::new(&Secret::new(random_bytes::<32>()?))
    }

    /// Seals `text`; `context` must be given again to open it.
    pub fn seal(&self, text: &[u8], context: &[u8]) -> Result<Vec<u8>, AeadError> {
        let nonce = random_bytes::<NONCE_BYTES>()?;
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), Payload { msg: text, aad: context })
            .map_err(|_| AeadError::TooLong)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, AeadError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(AeadError::DoesNotOpen)?;
        self.cipher
            .decrypt(&Nonce::from(*nonce), Payload { msg: body, aad: context })
            .map_err(|_| AeadError::DoesNotOpen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_only_in_its_context(text: Vec<u8>, context: Vec<u8>, flip: u16) {
            let key = SealingKey::ephemeral().unwrap();
            let mut sealed = key.seal(&text, &context).unwrap();
            prop_assert_eq!(&key.open(&sealed, &context).unwrap(), &text);
            prop_assert!(key.open(&sealed, &[context.as_slice(), b"x"].concat()).is_err());
            let at = usize::from(flip) % sealed.len();
            sealed[at] ^= 1;
            prop_assert!(key.open(&sealed, &context).is_err());
        }
    }

    #[test]
    fn a_text_shorter_than_a_nonce_is_refused() {
        assert!(SealingKey::ephemeral().unwrap().open(b"short", b"").is_err());
    }
}
