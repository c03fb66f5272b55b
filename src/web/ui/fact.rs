//! What an operation answered, as templates read it: by name, and empty where there is nothing.

use serde_json::Value;

use crate::base::refusal::Refusal;

const NOTHING: &Value = &Value::Null;

/// A JSON value of an answer. Templates escape what they write of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact<'a>(pub(super) &'a Value);

impl<'a> Fact<'a> {
    pub(super) fn nothing() -> Self {
        Self(NOTHING)
    }

    /// What stands under `key`; keys in a row have dots between them.
    pub(super) fn at(self, key: &str) -> Fact<'a> {
        Fact(key.split('.').fold(self.0, |value, key| value.get(key).unwrap_or(NOTHING)))
    }

    pub(super) fn text(self, key: &str) -> String {
        self.at(key).shown()
    }

    /// As people read it: a text as it is, a list with commas.
    pub(super) fn shown(self) -> String {
        match self.0 {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().map(|item| Fact(item).shown()).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        }
    }

    pub(super) fn count(self, key: &str) -> u64 {
        self.at(key).0.as_u64().unwrap_or_default()
    }

    pub(super) fn score(self, key: &str) -> String {
        format!("{:.2}", self.at(key).0.as_f64().unwrap_or_default())
    }

    pub(super) fn on(self, key: &str) -> bool {
        self.at(key).0.as_bool().unwrap_or_default()
    }

    /// Whether there is something: no null, no empty text, no empty list.
    pub(super) fn has(self, key: &str) -> bool {
        match self.at(key).0 {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => true,
        }
    }

    pub(super) fn rows(self, key: &str) -> Vec<Fact<'a>> {
        self.at(key).0.as_array().into_iter().flatten().map(Fact).collect()
    }
}

/// An answer beside others on a page: where it was refused, the page says so in its place.
#[derive(Debug)]
pub(super) struct Part {
    value: Value,
    /// Why there is none.
    refused: Option<String>,
}

impl Part {
    pub(super) fn of(answer: Result<Value, Refusal>) -> Self {
        match answer {
            Ok(value) => Self { value, refused: None },
            Err(refusal) => Self { value: Value::Null, refused: Some(refusal.public.clone()) },
        }
    }

    pub(super) fn fact(&self) -> Fact<'_> {
        Fact(&self.value)
    }

    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_empty() {
        let value = json!({"a": {"b": "x"}, "n": 3, "list": ["p", 2], "on": true, "none": null, "score": 1.239});
        let fact = Fact(&value);
        assert_eq!((fact.text("a.b"), fact.text("n"), fact.text("list")), ("x".into(), "3".into(), "p, 2".into()));
        assert_eq!((fact.text("a.c.d"), fact.text("none"), fact.count("a")), (String::new(), String::new(), 0));
        assert!(fact.on("on") && fact.has("a.b") && !fact.has("none") && !fact.has("gone"));
        assert_eq!((fact.rows("list").len(), fact.rows("n").len()), (2, 0));
        assert_eq!(fact.score("score"), "1.24");
    }
}
