//! Texts of a document, which an agent will read: cut, on one line, without characters that hide.

use serde_json::Value;

/// At most `chars_max` characters of `text`; white space becomes single spaces, control and invisible characters go.
pub(super) fn line(text: &str, chars_max: usize) -> String {
    let words = text.split_whitespace().map(|word| word.chars().filter(|char| !is_hidden(*char)).collect::<String>());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars_max) {
        None => line,
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
    }
}

/// The text of a field, or none: documents have numbers and lists where a text is due.
pub(super) fn field(value: &Value, name: &str, chars_max: usize) -> String {
    value.get(name).and_then(Value::as_str).map(|text| line(text, chars_max)).unwrap_or_default()
}

/// Control characters, and those that are not seen but read: zero width, direction, tags, variation selectors.
pub(super) fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_hide_nothing() {
        assert_eq!(line("  one\r\n\ttwo ", 20), "one two");
        assert_eq!(line("\u{202e}a\u{200b}b\u{e0041}\u{0}c", 20), "abc");
        assert_eq!(line("船が出る", 2), "船が…");
    }
}
