//! A line of the log without secrets: values of secret fields go whole, other values by what they look like.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::mask::{MASK, Masker, is_secret_name};

impl Masker {
    /// `line` as the log may have it: a JSON object field by field, any other line as text.
    pub fn masked_line<'a>(&self, line: &'a str) -> Cow<'a, str> {
        if line.starts_with('{')
            && let Ok(mut value) = serde_json::from_str::<Value>(line)
        {
            self.mask_fields(&mut value);
            let end = if line.ends_with('\n') { "\n" } else { "" };
            return Cow::Owned(format!("{value}{end}"));
        }
        match named_values(line) {
            Cow::Borrowed(line) => self.masked(line),
            Cow::Owned(line) => Cow::Owned(self.masked(&line).into_owned()),
        }
    }

    fn mask_fields(&self, value: &mut Value) {
        // serde_json reads nothing that is nested deeper than 128; the stack is explicit all the same.
        let mut stack = vec![value];
        while let Some(value) = stack.pop() {
            match value {
                Value::String(text) => {
                    let named = named_values(text).into_owned();
                    *text = self.masked(&named).into_owned();
                }
                Value::Array(items) => stack.extend(items),
                Value::Object(fields) => {
                    for (name, value) in fields {
                        if is_secret_name(name) && !matches!(value, Value::Bool(_) | Value::Null) {
                            *value = MASK.into();
                        } else {
                            stack.push(value);
                        }
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    }
}

/// `text` with the values of `name=value` and `"name": value` masked where the name is a secret's. The word `key` in a
/// sentence is none: a name needs its sign.
fn named_values(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'=' | b':'))) {
        let sign = at + found;
        at = sign + 1;
        let Some(name) = name_before(text, sign) else { continue };
        if !is_secret_name(name) {
            continue;
        }
        let blank = bytes.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count();
        let from = at + blank;
        // `name = value` is no field of a log line, but of much that is quoted in one.
        let value = value_range(bytes, from);
        at = value.end.max(at);
        if !value.is_empty() {
            out.push_str(text.get(copied..value.start).unwrap_or_default());
            out.push_str(MASK);
            copied = value.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// The name that ends before the sign; before a colon only a quoted one counts.
fn name_before(text: &str, sign: usize) -> Option<&str> {
    let head = text.get(..sign)?;
    let quoted = head.strip_suffix("\\\"").or_else(|| head.strip_suffix(['"', '\'']));
    let head = match (quoted, text.as_bytes().get(sign)) {
        (Some(head), _) => head,
        (None, Some(b'=')) => head.trim_end_matches(' '),
        (None, _) => return None,
    };
    let name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let length = head.bytes().rev().take(64).take_while(|byte| name(&byte)).count();
    head.get(head.len() - length..).filter(|name| !name.is_empty())
}

/// A value: what is inside of its quotes, or what has no blank.
fn value_range(bytes: &[u8], from: usize) -> Range<usize> {
    let rest = bytes.get(from..).unwrap_or_default();
    let quote = match rest {
        [b'"', ..] => &b"\""[..],
        [b'\'', ..] => b"'",
        [b'\\', b'"', ..] => b"\\\"",
        _ => {
            let stop = |byte: &u8| byte.is_ascii_whitespace() || b",&;})\"'\\".contains(byte);
            return from..from + rest.iter().position(stop).unwrap_or(rest.len());
        }
    };
    let inside = quote.len();
    let mut at = inside;
    while let Some(byte) = rest.get(at) {
        if rest.get(at..).is_some_and(|rest| rest.starts_with(quote)) {
            return from + inside..from + at;
        }
        at += if *byte == b'\\' { 2 } else { 1 };
    }
    // A quotation that does not end goes to the end of the line.
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    from + inside..from + end.max(inside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, expect: &str) {
        assert_eq!(Masker::of_logs().unwrap().masked_line(line), expect, "{line}");
    }

    #[test]
    fn values_of_secret_fields_go_whole_and_prose_stays() {
        check(
            "{\"level\":\"INFO\",\"fields\":{\"password\":\"hunter2\"}}\n",
            "{\"level\":\"INFO\",\"fields\":{\"password\":\"***MASKED***\"}}\n",
        );
        check(
            r#"{"apiKey":{"a":1},"creditCard":4111,"ssn":"x","key":"k","ok":true,"has_token":true}"#,
            r#"{"apiKey":"***MASKED***","creditCard":"***MASKED***","ssn":"***MASKED***","key":"***MASKED***","ok":true,"has_token":true}"#,
        );
        check(
            r#"{"message":"the key of the table is not a password"}"#,
            r#"{"message":"the key of the table is not a password"}"#,
        );
        check(r#"{"message":"login password=hunter2 failed"}"#, r#"{"message":"login password=***MASKED*** failed"}"#);
        check(
            "INFO sekisho: opened path=/a token=\"a \\\" b\" n=3\n",
            "INFO sekisho: opened path=/a token=\"***MASKED***\" n=3\n",
        );
        check("got {\"api_key\": \"abc\", \"a\": 1}", "got {\"api_key\": \"***MASKED***\", \"a\": 1}");
        check("the key: a word; className: x", "the key: a word; className: x");
        check("{\"not json, password=x y", "{\"not json, password=***MASKED*** y");
    }

    #[test]
    fn secrets_and_persons_go_from_every_value() {
        check(
            r#"{"error":"ann@example.org called +81-3-1234-5678"}"#,
            r#"{"error":"***MASKED*** called ***MASKED***"}"#,
        );
        check("Authorization: Basic eA==", "Authorization: Basic ***MASKED***");
        check("mail to ann@example.org", "mail to ***MASKED***");
    }

    #[test]
    fn masking_a_line_ends_and_twice_is_once() {
        let masker = Masker::of_logs().unwrap();
        proptest!(|(line in "[ -~\\n\u{e9}あ]{0,80}")| {
            let once = masker.masked_line(&line).into_owned();
            prop_assert_eq!(masker.masked_line(&once).into_owned(), once);
        });
    }

    #[test]
    fn a_named_secret_is_gone() {
        let masker = Masker::of_logs().unwrap();
        proptest!(|(name in "(db_)?(password|apiKey|token|client_secret)", value in "[a-zA-Z0-9]{6,30}x9")| {
            for line in [
                format!("x {name}={value} y"),
                format!("{{\"{name}\":\"{value}\"}}"),
                format!("x \"{name}\": \"{value}\""),
            ] {
                prop_assert!(!masker.masked_line(&line).contains(&value), "{}", line);
            }
        });
    }
}
