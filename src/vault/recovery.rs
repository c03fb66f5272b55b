//! The recovery key: 256 random bits as a person copies them from paper.
//!
//! 56 characters of Crockford's base 32 (<https://www.crockford.com/base32.html>, without its check symbol), most
//! significant bit first, in groups of four with dashes: the 32 bytes of the key, then the first three bytes of
//! SHA-256 over `sekisho recovery key 1` and the key. One mistyped key in 16 million is not noticed here; it is still
//! refused by the slot.

use zeroize::Zeroizing;

use crate::base::id::NoEntropy;
use crate::base::secret::Secret;
use crate::crypto::digest::sha256;

/// Without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const KEY_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 3;
const CHARS: usize = (KEY_BYTES + CHECKSUM_BYTES) * 8 / 5;
const GROUP_CHARS: usize = 4;

/// Opens the vault when its secret is lost: on paper, in a safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryKey(Secret);

/// Why a text is no recovery key. Positions count from 1, without dashes and spaces.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    #[error(
        "a recovery key has {CHARS} letters and digits beside dashes and spaces, found {0}; one may be missing or doubled"
    )]
    Length(usize),
    #[error("letter {0} of the recovery key is none that it can have; it has digits and letters without U")]
    Letter(usize),
    #[error("the recovery key is mistyped: its checksum is wrong; compare it letter by letter")]
    Mistyped,
}

impl RecoveryKey {
    pub(super) fn random() -> Result<Self, NoEntropy> {
        Secret::random().map(Self)
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }

    /// To be shown once: `XXXX-XXXX-...`, 14 groups.
    pub fn text(&self) -> Secret {
        let mut bits = Bits::default();
        let mut text = Vec::with_capacity(CHARS + CHARS / GROUP_CHARS);
        let mut chars = 0;
        for byte in self.0.expose_secret().iter().chain(&checksum(&self.0)) {
            bits.push(*byte, 8);
            while let Some(digit) = bits.take(5) {
                if chars > 0 && chars % GROUP_CHARS == 0 {
                    text.push(b'-');
                }
                text.push(ALPHABET[usize::from(digit)]);
                chars += 1;
            }
        }
        Secret::new(text)
    }

    /// Reads what a person typed: in any case, with or without dashes and spaces, O for 0 and I or L for 1.
    pub fn parse(text: &Secret) -> Result<Self, RecoveryKeyError> {
        let mut bits = Bits::default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + CHECKSUM_BYTES));
        let mut chars = 0;
        for char in text.expose_secret().iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'-') {
            // In a character of several bytes only the first counts.
            if char & 0xc0 == 0x80 {
                continue;
            }
            chars += 1;
            bits.push(value(*char).ok_or(RecoveryKeyError::Letter(chars))?, 5);
            if chars <= CHARS
                && let Some(byte) = bits.take(8)
            {
                bytes.push(byte);
            }
        }
        if chars != CHARS {
            return Err(RecoveryKeyError::Length(chars));
        }
        let (key, sum) = bytes.split_at_checked(KEY_BYTES).ok_or(RecoveryKeyError::Length(chars))?;
        let key = Secret::new(key);
        if sum != checksum(&key) {
            return Err(RecoveryKeyError::Mistyped);
        }
        Ok(Self(key))
    }
}

fn checksum(key: &Secret) -> [u8; CHECKSUM_BYTES] {
    let [first, second, third, ..] = sha256(&[b"sekisho recovery key 1", key.expose_secret()]);
    [first, second, third]
}

fn value(char: u8) -> Option<u8> {
    let char = match char.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        char => char,
    };
    ALPHABET.iter().zip(0..).find_map(|(letter, value)| (*letter == char).then_some(value))
}

/// Bits that wait to be taken in groups of another size, the first ones first.
#[derive(Default)]
struct Bits {
    held: Zeroizing<u16>,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u8, bits: u32) {
        *self.held = (*self.held << bits) | u16::from(value);
        self.count += bits;
    }

    fn take(&mut self, bits: u32) -> Option<u8> {
        let rest = self.count.checked_sub(bits)?;
        let taken = *self.held >> rest;
        *self.held &= (1 << rest) - 1;
        self.count = rest;
        u8::try_from(taken).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(key: &RecoveryKey) -> String {
        String::from_utf8(key.text().expose_secret().to_vec()).unwrap()
    }

    fn parsed(text: &str) -> Result<RecoveryKey, RecoveryKeyError> {
        RecoveryKey::parse(&Secret::new(text))
    }

    #[test]
    fn the_text_is_fourteen_groups_of_four() {
        let text = shown(&RecoveryKey(Secret::new([0; 32])));
        assert!(text.starts_with("0000-0000-"), "{text}");
        assert!(text.split('-').count() == 14 && text.split('-').all(|group| group.len() == 4), "{text}");
        // 11111 000.. : the first five bits are the first letter.
        assert!(shown(&RecoveryKey(Secret::new([0xf8; 32]))).starts_with('Z'));
    }

    #[test]
    fn what_is_no_key_is_told_from_what_is_mistyped() {
        let text = shown(&RecoveryKey(Secret::new([7; 32])));
        assert_eq!(parsed(""), Err(RecoveryKeyError::Length(0)));
        assert_eq!(parsed(&text[1..]), Err(RecoveryKeyError::Length(55)));
        assert_eq!(parsed(&format!("{text}0")), Err(RecoveryKeyError::Length(57)));
        assert_eq!(parsed(&text.repeat(40)), Err(RecoveryKeyError::Length(56 * 40)));
        assert_eq!(parsed(&format!("0-u{}", &text[3..])), Err(RecoveryKeyError::Letter(2)));
        assert_eq!(parsed(&format!("関{}", &text[1..])), Err(RecoveryKeyError::Letter(1)));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_however_it_is_typed(bytes: [u8; 32], lower: bool, spaced: bool, misread: bool) {
            let key = RecoveryKey(Secret::new(bytes));
            let mut text = shown(&key);
            if misread {
                text = text.replace('0', "O").replace('1', "l");
            }
            if lower {
                text = text.to_lowercase();
            }
            if spaced {
                text = format!(" {}\n", text.replace('-', "  "));
            }
            prop_assert_eq!(parsed(&text).unwrap(), key);
        }

        #[test]
        fn one_wrong_letter_is_mistyped(bytes: [u8; 32], at in 0..CHARS, by in 1..32_u8) {
            let mut text = shown(&RecoveryKey(Secret::new(bytes))).replace('-', "").into_bytes();
            let wrong = (value(text[at]).unwrap() + by) % 32;
            text[at] = ALPHABET[usize::from(wrong)];
            prop_assert_eq!(RecoveryKey::parse(&Secret::new(text)), Err(RecoveryKeyError::Mistyped));
        }

        #[test]
        fn hostile_text_is_refused_and_never_a_panic(bytes: Vec<u8>) {
            prop_assert!(RecoveryKey::parse(&Secret::new(bytes)).is_err());
        }
    }
}
