//! Texts of a document that have more in them than is seen.

use serde_json::Value;

use super::clean::{is_hidden, line};
use super::pointer;
use crate::base::bound::connector as bound;

/// The texts below `root` that have characters that are not seen, with their JSON Pointers.
pub(super) fn texts(root: &Value) -> Vec<(String, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hid_something_is_remembered_with_its_place() {
        let root = serde_json::json!({"a/b": ["plain", "x\u{200b}y", {"c": "\n\t"}], "d": "\u{e0041}"});
        let mut found = texts(&root);
        found.sort();
        assert_eq!(found, [("/a~1b/1".into(), "x\u{200b}y".into()), ("/d".into(), "\u{e0041}".into())]);
    }
}
