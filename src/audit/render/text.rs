//! Text from outside, made harmless for lines, terminals and readers.

use std::borrow::Cow;

use crate::base::bound;

/// Whether a character may end a line, command a terminal, or show a text in another order than it has: the controls of
/// ASCII (C0, DEL) and of ISO 6429 (C1), the line and paragraph separators, and the marks of the bidirectional algorithm
/// (UAX #9, section 2).
pub(crate) fn is_hostile(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with a visible stand-in for each hostile character: the control pictures of Unicode for ASCII, U+FFFD for
/// the others. For formats that have no escape of their own. It cannot be undone; escapes with backslashes could, but
/// every reader of CSV and CEF would have to know ours.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(stand_in).collect())
}

/// What [`visible`] shows for a character.
pub(super) fn stand_in(char: char) -> char {
    match char {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(char)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '\u{2421}',
        _ if is_hostile(char) => char::REPLACEMENT_CHARACTER,
        _ => char,
    }
}

/// At most so many characters; what was cut ends in an ellipsis.
pub(crate) fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    if text.len() <= chars_max || text.chars().nth(chars_max).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(chars_max.saturating_sub(1)).chain(['\u{2026}']).collect())
}

/// The beginning of a text that may be hostile, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    visible(&cut(text, bound::BUNDLE_EXCERPT_CHARS_MAX)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hostile_becomes_visible() {
        assert_eq!(visible("a\u{1b}[2J\r\n\t\0\u{7f}"), "a␛[2J␍␊␉␀␡");
        assert_eq!(visible("\u{9b}31m \u{202e}txt\u{2028}x"), "\u{fffd}31m \u{fffd}txt\u{fffd}x");
    }

    #[test]
    fn what_is_harmless_stays() {
        let text = "検索 café 😀 a\\b|c=d \"e\" 👨\u{200d}👩";
        assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn a_long_text_is_cut_to_characters() {
        assert_eq!(cut("検索検索", 4), "検索検索");
        assert_eq!(cut("検索検索", 3), "検索…");
    }
}
