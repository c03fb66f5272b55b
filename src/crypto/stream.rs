//! Streams of any length sealed in chunks: AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway,
//! Vizár: "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015), laid out as in age.
//!
//! The text is cut into chunks of [`bound::STREAM_CHUNK_BYTES`]; only the last may be shorter, and it is empty only if
//! the whole text is. Each chunk is followed by its tag of 16 bytes. The nonce of a chunk is its number, from 0, in
//! 11 bytes big endian, and one byte that is 1 in the last chunk and 0 in all others (age-encryption.org/v1,
//! "Payload"). Its associated data is the SHA-256 of a header that the caller keeps beside the stream. So a stream
//! that was cut short, extended, reordered or changed does not open, nor does one under another header.

use std::io::{self, Read, Write};

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use zeroize::Zeroizing;

use super::digest::{Hash, sha256};
use crate::base::bound;
use crate::base::id::NoEntropy;
use crate::base::secret::Secret;

const TAG_BYTES: usize = 16;

/// A key for one stream. Nonces count from zero, so a second stream under it would give both away: sealing takes the
/// key, and there is no way to make one from bytes.
#[derive(Debug)]
pub struct StreamKey(Secret);

impl StreamKey {
    /// 256 new random bits.
    pub fn fresh() -> Result<Self, NoEntropy> {
        Secret::random().map(Self)
    }

    /// To be wrapped by another key, beside the stream.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// Why a stream was not sealed or not opened. What was written until then is worth nothing.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("reading failed: {0}")]
    Read(io::Error),
    #[error("writing failed: {0}")]
    Write(io::Error),
    #[error(
        "the sealed stream does not open at chunk {chunk}: wrong key, or it was changed, cut short or put together anew"
    )]
    DoesNotOpen { chunk: u64 },
    #[error("a stream's key has 32 bytes, this one {0}")]
    KeyLength(usize),
    #[error("the stream is too long to seal")]
    TooLong,
}

/// Seals all of `reader` into `writer`; the length of the text in bytes. Holds two chunks in memory. Neither flushes
/// nor syncs.
pub fn seal_stream(
    key: StreamKey,
    header: &[u8],
    mut reader: impl Read,
    mut writer: impl Write,
) -> Result<u64, StreamError> {
    let mut chunks = Chunks::new(&key.0, header)?;
    let (mut chunk, mut ahead) = (buffer(), buffer());
    let mut text_bytes = 0;
    fill(&mut reader, &mut chunk, bound::STREAM_CHUNK_BYTES)?;
    loop {
        fill(&mut reader, &mut ahead, bound::STREAM_CHUNK_BYTES)?;
        let last = ahead.is_empty();
        text_bytes += chunk.len() as u64;
        chunks.seal(&mut chunk, last)?;
        writer.write_all(&chunk).map_err(StreamError::Write)?;
        if last {
            return Ok(text_bytes);
        }
        std::mem::swap(&mut chunk, &mut ahead);
    }
}

/// Opens what [`seal_stream`] wrote; the length of the text in bytes. Each chunk is written as soon as it is found
/// genuine, but that the stream is whole is known only at its end: `writer` is something to throw away on an error.
pub fn open_stream(
    key: &Secret,
    header: &[u8],
    mut reader: impl Read,
    mut writer: impl Write,
) -> Result<u64, StreamError> {
    let mut chunks = Chunks::new(key, header)?;
    let (mut chunk, mut ahead) = (buffer(), buffer());
    let mut text_bytes = 0;
    fill(&mut reader, &mut chunk, bound::STREAM_CHUNK_BYTES + TAG_BYTES)?;
    loop {
        fill(&mut reader, &mut ahead, bound::STREAM_CHUNK_BYTES + TAG_BYTES)?;
        let last = ahead.is_empty();
        chunks.open(&mut chunk, last)?;
        writer.write_all(&chunk).map_err(StreamError::Write)?;
        text_bytes += chunk.len() as u64;
        if last {
            return Ok(text_bytes);
        }
        std::mem::swap(&mut chunk, &mut ahead);
    }
}

/// A stream's cipher and place.
struct Chunks {
    cipher: Aes256Gcm,
    associated: Hash,
    /// Number of the next chunk.
    number: u64,
}

impl Chunks {
    fn new(key: &Secret, header: &[u8]) -> Result<Self, StreamError> {
        let bytes = key.expose_secret();
        let cipher = Aes256Gcm::new_from_slice(bytes).map_err(|_| StreamError::KeyLength(bytes.len()))?;
        Ok(Self { cipher, associated: sha256(&[header]), number: 0 })
    }

    fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), StreamError> {
        self.cipher.encrypt_in_place(&self.nonce(last), &self.associated, chunk).map_err(|_| StreamError::TooLong)?;
        self.number = self.number.checked_add(1).ok_or(StreamError::TooLong)?;
        Ok(())
    }

    fn open(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), StreamError> {
        let refused = StreamError::DoesNotOpen { chunk: self.number };
        if self.cipher.decrypt_in_place(&self.nonce(last), &self.associated, chunk).is_err() {
            return Err(refused);
        }
        // One text has one form: an empty chunk after others is none that we wrote.
        if chunk.is_empty() && self.number > 0 {
            return Err(refused);
        }
        self.number = self.number.checked_add(1).ok_or(refused)?;
        Ok(())
    }

    fn nonce(&self, last: bool) -> Nonce<<Aes256Gcm as aes_gcm::AeadCore>::NonceSize> {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce.into()
    }
}

/// Large enough for a sealed chunk, so that it never moves and leaves text behind.
fn buffer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(bound::STREAM_CHUNK_BYTES + TAG_BYTES + 1))
}

/// Reads until `buffer` has `bytes` bytes or there are no more.
fn fill(reader: &mut impl Read, buffer: &mut Vec<u8>, bytes: usize) -> Result<(), StreamError> {
    buffer.clear();
    reader.take(bytes as u64).read_to_end(buffer).map_err(StreamError::Read)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHUNK: usize = bound::STREAM_CHUNK_BYTES;
    const SEALED_CHUNK: usize = CHUNK + TAG_BYTES;

    fn sealed(text: &[u8]) -> (Secret, Vec<u8>) {
        let key = StreamKey::fresh().unwrap();
        let secret = key.secret().clone();
        let mut sealed = Vec::new();
        assert_eq!(seal_stream(key, b"header", text, &mut sealed).unwrap(), text.len() as u64);
        (secret, sealed)
    }

    fn opened(key: &Secret, sealed: &[u8]) -> Result<Vec<u8>, StreamError> {
        let mut text = Vec::new();
        let bytes = open_stream(key, b"header", sealed, &mut text)?;
        assert_eq!(bytes, text.len() as u64);
        Ok(text)
    }

    fn text(bytes: usize) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(bytes).collect()
    }

    /// Gives a byte at a time, now and then an interruption.
    struct Slow<'a>(&'a [u8], u32);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(7) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let some = buffer.len().min(5);
            self.0.read(&mut buffer[..some])
        }
    }

    #[test]
    fn texts_around_the_length_of_chunks_open_again() {
        for bytes in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1] {
            let text = text(bytes);
            let (key, sealed) = sealed(&text);
            assert_eq!(sealed.len(), bytes + bytes.div_ceil(CHUNK).max(1) * TAG_BYTES);
            assert_eq!(opened(&key, &sealed).unwrap(), text);
            let mut slowly = Vec::new();
            open_stream(&key, b"header", Slow(&sealed, 0), &mut slowly).unwrap();
            assert_eq!(slowly, text);
        }
    }

    #[test]
    fn a_stream_cut_at_a_chunk_does_not_open() {
        for bytes in [CHUNK, 2 * CHUNK, 2 * CHUNK + 5] {
            let (key, sealed) = sealed(&text(bytes));
            for cut in (0..sealed.len()).step_by(SEALED_CHUNK) {
                assert!(opened(&key, &sealed[..cut]).is_err(), "{cut} of {}", sealed.len());
            }
        }
    }

    #[test]
    fn chunks_in_another_order_or_twice_do_not_open() {
        let (key, sealed) = sealed(&text(3 * CHUNK));
        let chunks: Vec<&[u8]> = sealed.chunks(SEALED_CHUNK).collect();
        for order in [&[1, 0, 2][..], &[0, 2], &[0, 0, 1, 2], &[0, 1, 2, 2], &[0, 1, 1], &[2]] {
            let put: Vec<&[u8]> = order.iter().map(|at| chunks[*at]).collect();
            assert!(opened(&key, &put.concat()).is_err(), "{order:?}");
        }
    }

    #[test]
    fn an_empty_chunk_at_the_end_is_not_another_form_of_the_same_text() {
        let key = StreamKey::fresh().unwrap();
        let mut chunks = Chunks::new(key.secret(), b"header").unwrap();
        let (mut first, mut second) = (text(CHUNK), Vec::new());
        chunks.seal(&mut first, false).unwrap();
        chunks.seal(&mut second, true).unwrap();
        let error = opened(key.secret(), &[first, second].concat()).unwrap_err();
        assert!(matches!(error, StreamError::DoesNotOpen { chunk: 1 }), "{error}");
    }

    #[test]
    fn another_header_or_key_does_not_open() {
        let (key, sealed) = sealed(b"text");
        assert!(open_stream(&key, b"Header", sealed.as_slice(), io::sink()).is_err());
        assert!(opened(&Secret::random().unwrap(), &sealed).is_err());
        assert!(matches!(opened(&Secret::new("short"), &sealed), Err(StreamError::KeyLength(5))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_change_is_refused(bytes in 0..2 * CHUNK + 9, at: prop::sample::Index, how in 0..4_u8, more: u8) {
            let (key, mut sealed) = sealed(&text(bytes));
            let at = at.index(sealed.len());
            match how {
                0 => sealed[at] ^= 1 << (more % 8),
                1 => sealed.truncate(at),
                2 => sealed.insert(at, more),
                _ => sealed.push(more),
            }
            prop_assert!(opened(&key, &sealed).is_err());
        }

        #[test]
        fn hostile_bytes_are_refused_and_never_a_panic(bytes: Vec<u8>) {
            prop_assert!(opened(&Secret::new([7; 32]), &bytes).is_err());
        }
    }
}
