//! Texts of a document, which an agent will read: cut, on one line, without characters that hide.

use serde_json::Value;

use super::pointer;
use crate::base::bound::connector as bound;

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

/// The texts below `root` that have characters that are not seen, with their JSON Pointers.
pub(super) fn hidden(root: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut queue = vec![(String::new(), root)];
    while let Some((pointer, value)) = queue.pop() {
        match value {
            Value::String(text) if found.len() < bound::OPENAPI_HIDDEN_MAX && hides(text) => {
                let text = text.chars().take(bound::OPENAPI_DESCRIPTION_CHARS_MAX).collect();
                found.push((line(&pointer, bound::OPENAPI_PATH_BYTES_MAX), text));
            }
            Value::Array(items) => {
                queue.extend(items.iter().enumerate().map(|(n, item)| (format!("{pointer}/{n}"), item)));
            }
            Value::Object(fields) => {
                queue.extend(fields.iter().map(|(name, value)| (pointer::below(&pointer, name), value)));
            }
            _ => {}
        }
    }
    found
}

/// Whether there is more in a text than is seen, line breaks aside.
fn hides(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(|char| is_hidden(char) && !char.is_control())
}

/// Control characters, and those that are not seen but read: zero width, direction, tags, variation selectors.
fn is_hidden(char: char) -> bool {
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
    fn what_hid_something_is_remembered_with_its_place() {
        let root = serde_json::json!({"a/b": ["plain", "x\u{200b}y", {"c": "\n\t"}], "d": "\u{e0041}"});
        let mut found = hidden(&root);
        found.sort();
        assert_eq!(found, [("/a~1b/1".into(), "x\u{200b}y".into()), ("/d".into(), "\u{e0041}".into())]);
    }

    #[test]
    fn texts_are_cut_and_hide_nothing() {
        assert_eq!(line("  one\r\n\ttwo ", 20), "one two");
        assert_eq!(line("\u{202e}a\u{200b}b\u{e0041}\u{0}c", 20), "abc");
        assert_eq!(line("船が出る", 2), "船が…");
    }
}
