//! From bytes to text: UTF-8, or UTF-16 by its mark, with `\n` line endings; anything else is refused with the place.

use super::ParseError;
use crate::base::bound::DOCUMENT_BYTES_MAX;

/// The text of a file without its byte order mark.
///
/// # Errors
/// When there are too many bytes, when they are no valid UTF-8 or UTF-16, or when there is a NUL among them.
pub(super) fn decode(bytes: &[u8]) -> Result<String, ParseError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(ParseError::TooLarge { found: bytes.len(), max: DOCUMENT_BYTES_MAX });
    }
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, "UTF-16LE", u16::from_le_bytes)?,
        [0xFE, 0xFF, rest @ ..] => utf16(rest, "UTF-16BE", u16::from_be_bytes)?,
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest, 3)?.to_owned(),
        _ => utf8(bytes, 0)?.to_owned(),
    };
    if text.contains('\r') {
        return Ok(text.replace("\r\n", "\n").replace('\r', "\n"));
    }
    Ok(text)
}

fn utf8(bytes: &[u8], skipped: usize) -> Result<&str, ParseError> {
    // First: a binary file is better told "this is binary" than "byte 1 is no UTF-8".
    if let Some(at) = bytes.iter().position(|&it| it == 0) {
        return Err(ParseError::Binary { offset: skipped + at });
    }
    std::str::from_utf8(bytes)
        .map_err(|error| ParseError::Encoding { encoding: "UTF-8", offset: skipped + error.valid_up_to() })
}

fn utf16(bytes: &[u8], encoding: &'static str, unit: fn([u8; 2]) -> u16) -> Result<String, ParseError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    let mut offset = 2;
    for decoded in char::decode_utf16(pairs.iter().map(|&pair| unit(pair))) {
        match decoded {
            Ok('\0') => return Err(ParseError::Binary { offset }),
            Ok(c) => {
                text.push(c);
                offset += 2 * c.len_utf16();
            }
            Err(_) => return Err(ParseError::Encoding { encoding, offset }),
        }
    }
    if rest.is_empty() { Ok(text) } else { Err(ParseError::Encoding { encoding, offset }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: Result<&str, ParseError>) {
        assert_eq!(decode(bytes), expect.map(str::to_owned), "{bytes:?}");
    }

    #[test]
    fn texts_are_read() {
        check(b"", Ok(""));
        check("関所\r\na\rb\n".as_bytes(), Ok("関所\na\nb\n"));
        check(b"\xEF\xBB\xBFa", Ok("a"));
        check(b"\xFF\xFEa\0\x3D\xD8\x00\xDE", Ok("a😀"));
        check(b"\xFE\xFF\0a\0\r\0\n", Ok("a\n"));
    }

    #[test]
    fn other_bytes_are_refused_with_their_place() {
        check(b"ab\xFFc", Err(ParseError::Encoding { encoding: "UTF-8", offset: 2 }));
        check(b"\xEF\xBB\xBFa\xC3", Err(ParseError::Encoding { encoding: "UTF-8", offset: 4 }));
        check(b"ab\0\xFF", Err(ParseError::Binary { offset: 2 }));
        check(b"\xFF\xFEa\0\0\0", Err(ParseError::Binary { offset: 4 }));
        check(b"\xFF\xFEa\0\x00\xD8", Err(ParseError::Encoding { encoding: "UTF-16LE", offset: 4 }));
        check(b"\xFE\xFF\0a\0", Err(ParseError::Encoding { encoding: "UTF-16BE", offset: 4 }));
        let large = vec![b'a'; DOCUMENT_BYTES_MAX + 1];
        assert_eq!(
            decode(&large),
            Err(ParseError::TooLarge { found: DOCUMENT_BYTES_MAX + 1, max: DOCUMENT_BYTES_MAX })
        );
    }
}
