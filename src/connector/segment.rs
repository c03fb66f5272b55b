//! A path segment that stays one: what could leave its place, on the wire or in a server that decodes again, is refused.

use super::request::WireError;
use crate::base::bound::connector as bound;

/// Looks at one argument before it is written into a path.
pub(super) fn check_argument(text: &str, argument: &str) -> Result<(), WireError> {
    if text.is_empty() {
        return Err(WireError::refused(argument, "it is a part of the path and cannot be empty"));
    }
    let mut text = text.to_owned();
    for _ in 0..bound::SEGMENT_DECODE_ROUNDS_MAX {
        if text.contains(['/', '\\']) {
            return Err(WireError::refused(
                argument,
                "it is one segment of the path: no slash, no backslash, encoded or not. Where an API wants a path here, \
                 its document has to give each part an argument of its own, or take it in the query",
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(WireError::refused(argument, "it has control characters, encoded or not"));
        }
        if climbs(&text) {
            return Err(WireError::refused(argument, "`.` and `..` mean another place, encoded or not"));
        }
        let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return Ok(());
        }
        text = decoded;
    }
    Err(WireError::refused(argument, "it is encoded too often"))
}

/// Looks at a whole segment as it goes over the wire: two good arguments can make `..` together.
pub(super) fn check_segment(segment: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
    !segment.is_empty() && !segment.contains('/') && !climbs(&decoded)
}

/// `.` and `..`, also with the parameters that some servers cut off first (`..;x`).
fn climbs(text: &str) -> bool {
    let text = text.split(';').next().unwrap_or_default().trim();
    text == "." || text == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_its_place_is_refused() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "/",
            "..\\",
            "a\\b",
            "%2e",
            "%2E%2e",
            ".%2e",
            "%252e%252e",
            "a%2fb",
            "a%2Fb",
            "a%255cb",
            "a\r",
            "a\nb",
            "a\0",
            "%00",
            "%0d%0a",
            "..;",
            "..;x=y",
            " .. ",
            "%25252525252e",
        ] {
            assert!(check_argument(bad, "id").is_err(), "{bad:?}");
        }
        for good in ["a", "a.b", "...", "..a", "100%", "a b", "é", "a%20b", "a?b#c", "x:y@z", "%"] {
            assert!(check_argument(good, "id").is_ok(), "{good:?}");
        }
        for bad in ["", "..", "%2e%2e", "..%3Bx", "a/b"] {
            assert!(!check_segment(bad), "{bad}");
        }
    }
}
