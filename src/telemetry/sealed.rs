//! Sealed log files: each line by itself, so that a file which a kill cut short is readable to its last whole line.
//!
//! First line: `sekisho-sealed-log 1`, the file's id (32 hexadecimal digits), the version of the key `logs` that wraps
//! the file's key, and the wrapped key (base64), with a space between them. Each further line: its number, from 1, a
//! space, and base64 of nonce (12 bytes), ciphertext, tag (16 bytes): AES-256-GCM under the file's own key. Associated
//! data: `sekisho log line 1`, the id (16 bytes), the number (u64 BE). So a line that was changed, or moved from another
//! place or file, does not open, and one that is missing leaves a gap. Lines that were cut off at the end leave none.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use crate::base::id::{NoEntropy, hex, random_bytes, unhex};
use crate::base::secret::Secret;
use crate::crypto::aead::{AeadError, SealingKey};

const FORMAT: &str = "sekisho-sealed-log 1";
const LINE: &[u8] = b"sekisho log line 1";

/// Random; in the associated data of the file's key and lines.
pub type FileId = [u8; 16];

/// What a sealed file says of itself, in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub id: FileId,
    /// Of the keyring's key for logs.
    pub key_version: u32,
    /// The file's key, as the keyring sealed it for this id.
    pub wrapped: Vec<u8>,
}

impl Header {
    /// The first line, without its end.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix(FORMAT)?.strip_prefix(' ')?.split(' ');
        let id = unhex(parts.next()?)?.try_into().ok()?;
        let key_version = parts.next()?.parse().ok()?;
        let wrapped = BASE64.decode(parts.next()?).ok()?;
        let header = Self { id, key_version, wrapped };
        (header.to_string() == line).then_some(header)
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FORMAT} {} {} {}", hex(&self.id), self.key_version, BASE64.encode(&self.wrapped))
    }
}

/// A key for one file that is not begun yet.
#[derive(Debug)]
pub struct FileKey {
    pub header: Header,
    pub secret: Secret,
}

/// An id and a key for a new file, to be wrapped.
pub fn fresh() -> Result<(FileId, Secret), NoEntropy> {
    Ok((random_bytes()?, Secret::random()?))
}

/// Seals the lines of one file.
#[derive(Debug)]
pub(super) struct LineSealer {
    id: FileId,
    key: SealingKey,
    /// The number of the next line.
    next: u64,
}

impl LineSealer {
    pub(super) fn new(key: &FileKey) -> Result<Self, AeadError> {
        Ok(Self { id: key.header.id, key: SealingKey::new(&key.secret)?, next: 1 })
    }

    /// The next line, with its end. Asked again before [`LineSealer::advance`], the number is the same.
    pub(super) fn seal(&self, text: &[u8]) -> Result<Vec<u8>, AeadError> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let sealed = self.key.seal(text, &context(&self.id, self.next))?;
        Ok(format!("{} {}\n", self.next, BASE64.encode(sealed)).into_bytes())
    }

    /// The line is in the file.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }
}

/// Opens the lines of one file.
#[derive(Debug)]
pub(super) struct LineOpener {
    id: FileId,
    key: SealingKey,
}

impl LineOpener {
    pub(super) fn new(id: FileId, key: &Secret) -> Result<Self, AeadError> {
        Ok(Self { id, key: SealingKey::new(key)? })
    }

    /// Number and text of a line that stands without its end; `None` where it does not open.
    pub(super) fn open(&self, line: &str) -> Option<(u64, Vec<u8>)> {
        let (number, sealed) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        let sealed = BASE64.decode(sealed).ok()?;
        Some((number, self.key.open(&sealed, &context(&self.id, number)).ok()?))
    }
}

/// As many bytes as a line of so many takes at most.
pub(super) fn stored_bytes_max(text_bytes: usize) -> usize {
    // A number of up to 20 digits, the space, the end; base64 of nonce, text and tag.
    22 + (text_bytes + 28).div_ceil(3) * 4
}

/// Each part has one length: other parts never give the same bytes.
fn context(id: &FileId, number: u64) -> Vec<u8> {
    [LINE, id, &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_reads_back(id: FileId, key_version: u32, wrapped: Vec<u8>) {
            let header = Header { id, key_version, wrapped };
            prop_assert_eq!(Header::parse(&header.to_string()), Some(header));
        }

        #[test]
        fn hostile_headers_and_lines_are_never_a_panic(text: String, id: FileId) {
            let _any = (Header::parse(&text), Header::parse(&format!("{FORMAT} {text}")));
            let opener = LineOpener::new(id, &Secret::new([0; 32])).unwrap();
            prop_assert!(opener.open(&text).is_none());
            let numbered = format!("1 {text}");
            prop_assert!(opener.open(&numbered).is_none());
        }

        #[test]
        fn a_line_opens_under_its_own_number_in_its_own_file_only(text: Vec<u8>, number in 1..1000_u64, other: FileId) {
            let (id, secret) = fresh().unwrap();
            let header = Header { id, key_version: 1, wrapped: Vec::new() };
            let mut sealer = LineSealer::new(&FileKey { header, secret: secret.clone() }).unwrap();
            sealer.next = number;
            let line = String::from_utf8(sealer.seal(&text).unwrap()).unwrap();
            let line = line.strip_suffix('\n').unwrap();
            let opener = LineOpener::new(id, &secret).unwrap();
            let text = text.strip_suffix(b"\n").unwrap_or(&text);
            prop_assert_eq!(opener.open(line), Some((number, text.to_vec())));
            let (_, sealed) = line.split_once(' ').unwrap();
            let moved = format!("{} {sealed}", number + 1);
            prop_assert!(opener.open(&moved).is_none());
            prop_assert!(LineOpener::new(other, &secret).unwrap().open(line).is_none());
            prop_assert!(LineOpener::new(id, &Secret::random().unwrap()).unwrap().open(line).is_none());
        }
    }
}
