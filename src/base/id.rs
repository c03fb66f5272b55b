//! Random identifiers from the operating system, and how they look.

use std::fmt;

use rand::TryRng;
use serde::{Deserialize, Serialize};

/// 256 random bits, written as 64 hexadecimal digits: nobody guesses a session.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(String);

impl SessionId {
    pub fn random() -> Result<Self, NoEntropy> {
        Ok(Self(hex(&random_bytes::<32>()?)))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let good = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        good.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough to tell sessions apart in a log, too little to use one.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({}…)", self.short())
    }
}

/// The operating system would not give random bytes; nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoEntropy(String);

/// Bytes from the operating system's generator, for keys, tokens and ids.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

/// As [`random_bytes`], into where they stay: a key that is not moved leaves no copy behind.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), NoEntropy> {
    rand::rngs::SysRng.try_fill_bytes(bytes).map_err(|error| NoEntropy(error.to_string()))
}

pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _never: fmt::Result = write!(text, "{byte:02x}");
        text
    })
}

/// What [`hex`] wrote; `None` for anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_differ_and_parse_back() {
        let one = SessionId::random().unwrap();
        assert_ne!(one, SessionId::random().unwrap());
        assert_eq!(SessionId::parse(one.as_str()), Some(one));
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        assert_eq!(unhex(&hex(&[0, 1, 0xfe])), Some(vec![0, 1, 0xfe]));
        for text in ["0", "0g", "\u{e9}"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_session_id_does_not_parse() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(65)] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }
}
