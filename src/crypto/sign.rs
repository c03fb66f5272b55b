//! Ed25519 (RFC 8032) over signed notes (<https://c2sp.org/signed-note>): the only thing that is signed here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH, Signature, Signer as _};

use crate::base::bound;
use crate::base::secret::Secret;
use crate::crypto::digest::sha256;

/// The type of an Ed25519 signature in key ids and verifier keys.
const TYPE_ED25519: u8 = 1;

/// What a signature line begins with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// The private half of a key. It does not print, and wipes itself.
pub struct SigningKey {
    public: VerifyingKey,
    /// Wipes itself when dropped (the `zeroize` feature of its crate).
    private: ed25519_dalek::SigningKey,
}

/// The public half: a name, and an Ed25519 point that is canonical and not weak.
///
/// Written as `name+hexid+base64(0x01 || public key)`, the form that Go's `sumdb/note` calls a verifier key; it is
/// what an auditor is given.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    id: KeyId,
    point: ed25519_dalek::VerifyingKey,
}

/// The first four bytes of SHA-256(name || 0x0A || 0x01 || public key). It tells keys apart; it proves nothing.
type KeyId = [u8; 4];

/// Why this is no verifier key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "a key's name has 1 to {max} bytes without spaces, plus signs and control characters, for example \
         example.com/audit; {0:?} is none",
        max = bound::KEY_NAME_BYTES_MAX
    )]
    Name(String),
    #[error("a verifier key looks like name+hexid+base64: 8 lower-case hexadecimal digits, 44 characters of base64")]
    Form,
    #[error("a verifier key of type {0} is not known, only type 1 (Ed25519)")]
    Algorithm(u8),
    #[error("the verifier key has the id {found}, but its name and bytes make {expected}: it was mistyped or changed")]
    Id { expected: String, found: String },
    #[error("the verifier key's 32 bytes are no Ed25519 public key that binds its owner")]
    Point,
}

/// Why there is no key to sign with, or a text was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the seed of an Ed25519 key has 32 bytes, this one {0}")]
    SeedLength(usize),
    #[error("a text to sign ends in a newline and has no other control characters")]
    Text,
    #[error("the signed note would have {found} bytes, more than the {max} that are read", max = bound::NOTE_BYTES_MAX)]
    TooLong { found: usize },
}

/// Why a note does not open. Its text says nothing then.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    #[error("the note has {found} bytes, more than {max}", max = bound::NOTE_BYTES_MAX)]
    TooLong { found: usize },
    #[error("this is no signed note: {0}")]
    Form(&'static str),
    #[error("the note has more than {} signatures", bound::NOTE_SIGNATURES_MAX)]
    TooManySignatures,
    #[error("the note is signed in the name of {name}, but the signature is wrong: the note was changed or forged")]
    Forged { name: String },
    #[error("none of the note's signatures is by one of the {known} known keys; open it with the key of its issuer")]
    Unknown { known: usize },
}

/// A note that at least one known key has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// What was signed, with its final newline.
    pub text: &'a str,
    /// The known keys that signed it, in the order of their signatures; at least one.
    pub signers: Vec<VerifyingKey>,
}

impl SigningKey {
    /// The key of this name with this seed (RFC 8032, section 5.1.5), 32 random bytes.
    pub fn new(name: &str, seed: &Secret) -> Result<Self, SignError> {
        let seed = seed.expose_secret();
        let seed = <&[u8; 32]>::try_from(seed).map_err(|_| SignError::SeedLength(seed.len()))?;
        let private = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = VerifyingKey::new(name, private.verifying_key())?;
        Ok(Self { public, private })
    }

    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// The text as a signed note, with this key's signature line.
    pub fn sign_note(&self, text: &str) -> Result<String, SignError> {
        if !text.ends_with('\n') || has_control_character(text) {
            return Err(SignError::Text);
        }
        let signature = self.private.sign(text.as_bytes()).to_bytes();
        let signature = STANDARD.encode([self.public.id.as_slice(), &signature].concat());
        let note = format!("{text}\n{LINE_START}{} {signature}\n", self.public.name);
        if note.len() > bound::NOTE_BYTES_MAX {
            return Err(SignError::TooLong { found: note.len() });
        }
        Ok(note)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ***)", self.public.name)
    }
}

impl VerifyingKey {
    fn new(name: &str, point: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        if !is_key_name(name) || name.len() > bound::KEY_NAME_BYTES_MAX {
            return Err(KeyError::Name(name.chars().take(bound::KEY_NAME_BYTES_MAX).collect()));
        }
        let digest = sha256(&[name.as_bytes(), b"\n", &[TYPE_ED25519], point.as_bytes()]);
        let [a, b, c, d, ..] = digest;
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], point })
    }

    /// Reads the form `name+hexid+base64(0x01 || public key)`, and only the one that [`fmt::Display`] writes.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        // The name has no plus sign, base64 may have some.
        let (name, rest) = vkey.split_once('+').ok_or(KeyError::Form)?;
        let (id, bytes) = rest.split_once('+').ok_or(KeyError::Form)?;
        let bytes = STANDARD.decode(bytes).map_err(|_| KeyError::Form)?;
        let (algorithm, bytes) = bytes.split_first().ok_or(KeyError::Form)?;
        if *algorithm != TYPE_ED25519 {
            return Err(KeyError::Algorithm(*algorithm));
        }
        let bytes = <&[u8; PUBLIC_KEY_LENGTH]>::try_from(bytes).map_err(|_| KeyError::Form)?;
        let point = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point)?;
        // A weak point verifies signatures over any text; a second spelling of a point would be a second key.
        if point.is_weak() || point.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::Point);
        }
        let key = Self::new(name, point)?;
        if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(KeyError::Form);
        }
        if id != key.hex_id() {
            return Err(KeyError::Id { expected: key.hex_id(), found: id.to_owned() });
        }
        Ok(key)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn hex_id(&self) -> String {
        crate::base::id::hex(&self.id)
    }

    /// Strict verification (RFC 8032, section 5.1.7, without small-order points): a signature fits one text only.
    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        <&[u8; SIGNATURE_LENGTH]>::try_from(signature)
            .is_ok_and(|signature| self.point.verify_strict(text.as_bytes(), &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[TYPE_ED25519], self.point.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, self.hex_id(), STANDARD.encode(bytes))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

/// Opens a signed note: its form is strict, signatures by keys that are not known are ignored, each one by a known key
/// (name and id match) must verify, and there must be one.
pub fn open_note<'a>(note: &'a str, keys: &[VerifyingKey]) -> Result<Opened<'a>, NoteError> {
    if note.len() > bound::NOTE_BYTES_MAX {
        return Err(NoteError::TooLong { found: note.len() });
    }
    if has_control_character(note) {
        return Err(NoteError::Form("it has a control character"));
    }
    let (text, lines) = split(note).ok_or(NoteError::Form("expected a text, an empty line and signature lines"))?;
    let mut signers: Vec<VerifyingKey> = Vec::new();
    for (number, line) in lines.split('\n').enumerate() {
        if number >= bound::NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        let line =
            Line::parse(line).ok_or(NoteError::Form("expected only signature lines after the last empty one"))?;
        let mut known = keys.iter().filter(|key| key.name == line.name && key.id == line.id).peekable();
        if known.peek().is_none() {
            continue;
        }
        // An id is short, so two known keys may share name and id: the line is good if it is by one of them.
        let signer = known.find(|key| key.verifies(text, &line.signature));
        let signer = signer.ok_or_else(|| NoteError::Forged { name: line.name.to_owned() })?;
        if !signers.contains(signer) {
            signers.push(signer.clone());
        }
    }
    if signers.is_empty() {
        return Err(NoteError::Unknown { known: keys.len() });
    }
    Ok(Opened { text, signers })
}

/// The text with its final newline, and the signature lines without theirs. The last empty line parts them: a text may
/// have empty lines of its own.
fn split(note: &str) -> Option<(&str, &str)> {
    let (_, lines) = note.rsplit_once("\n\n")?;
    // The text keeps the first of the two newlines.
    let text = note.strip_suffix(lines)?.strip_suffix('\n')?;
    Some((text, lines.strip_suffix('\n')?))
}

/// A signature line: `— name base64(id || signature)`, without its newline.
struct Line<'a> {
    name: &'a str,
    id: KeyId,
    /// As long as its unknown algorithm makes it, but not empty.
    signature: Vec<u8>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, bytes) = line.strip_prefix(LINE_START)?.split_once(' ')?;
        let bytes = STANDARD.decode(bytes).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        let good = is_key_name(name) && !signature.is_empty();
        good.then(|| Self { name, id: *id, signature: signature.to_vec() })
    }
}

fn is_key_name(name: &str) -> bool {
    let foreign = |char: char| char.is_whitespace() || char == '+' || char < ' ';
    !name.is_empty() && !name.contains(foreign)
}

/// A control character of ASCII other than the newline, which no note may have.
fn has_control_character(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' && byte != b'\n')
}

#[cfg(test)]
mod tests;
