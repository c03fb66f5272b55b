//! From the bytes of a document to values: JSON or YAML, with bounds on size, depth, values and aliases.

use serde_json::Value;

use super::OpenApiError;
use crate::base::bound::connector as bound;

/// Reads a document. What begins with `{` is JSON; all else is YAML.
pub(super) fn read(bytes: &[u8]) -> Result<Value, OpenApiError> {
    if bytes.len() > bound::OPENAPI_DOCUMENT_BYTES_MAX {
        return Err(OpenApiError::TooLarge {
            what: "bytes",
            found: bytes.len(),
            most: bound::OPENAPI_DOCUMENT_BYTES_MAX,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| OpenApiError::Syntax(format!("it is not UTF-8: {error}")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') { json(text) } else { yaml(text) }
}

/// The values are counted before memory is taken for them.
fn json(text: &str) -> Result<Value, OpenApiError> {
    let found = values_of_json(text);
    if found > bound::OPENAPI_NODES_MAX {
        return Err(OpenApiError::TooLarge { what: "values", found, most: bound::OPENAPI_NODES_MAX });
    }
    let value = serde_json::from_str(text).map_err(|error| OpenApiError::Syntax(format!("it is not JSON: {error}")))?;
    within_depth(value)
}

/// At least as many as there are: one for each comma and each bracket that opens, outside of strings.
fn values_of_json(text: &str) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

fn yaml(text: &str) -> Result<Value, OpenApiError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: bound::OPENAPI_DEPTH_MAX,
            max_nodes: bound::OPENAPI_NODES_MAX,
            max_events: 4 * bound::OPENAPI_NODES_MAX,
            max_aliases: bound::OPENAPI_ALIASES_MAX,
            max_anchors: bound::OPENAPI_ALIASES_MAX,
            max_documents: 1,
            max_merge_keys: bound::OPENAPI_ALIASES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: bound::OPENAPI_ALIAS_EVENTS_MAX,
            max_replay_stack_depth: bound::OPENAPI_REFERENCES_MAX,
            max_alias_expansions_per_anchor: bound::OPENAPI_ALIASES_MAX,
        },
        strict_booleans: true,
        with_snippet: false,
    };
    let value = serde_saphyr::from_str_with_options::<Value>(text, options)
        .map_err(|error| OpenApiError::Syntax(format!("it is not YAML that can be read: {error}")))?;
    within_depth(value)
}

/// Looks level by level, so that the look itself needs no stack.
fn within_depth(value: Value) -> Result<Value, OpenApiError> {
    let mut level: Vec<&Value> = vec![&value];
    for _ in 0..bound::OPENAPI_DEPTH_MAX {
        level = level
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().collect::<Vec<_>>(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            })
            .collect();
        if level.is_empty() {
            return Ok(value);
        }
    }
    Err(OpenApiError::TooDeep)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fails(text: &str, with: &str) {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(with), "{error}");
    }

    #[test]
    fn json_and_yaml_give_the_same() {
        let expected = json!({"a": {"200": [1, true, null, "no", "1.0"]}});
        assert_eq!(read(br#" {"a": {"200": [1, true, null, "no", "1.0"]}}"#).unwrap(), expected);
        assert_eq!(read(b"a:\n  200: [1, true, null, no, '1.0']\n").unwrap(), expected);
        assert_eq!(read("\u{feff}a: {200: [1, true, ~, no, '1.0']}".as_bytes()).unwrap(), expected);
        assert_eq!(
            read(b"a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n").unwrap(),
            json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1}})
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        fails("{\"a\": ", "not JSON");
        fails("a: [", "not YAML");
        fails("a: 1\na: 2\n", "not YAML");
        assert!(read(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn an_alias_bomb_is_defused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", before.trim_end_matches(", ")));
        }
        fails(&bomb, "not YAML");
    }

    #[test]
    fn a_document_of_hostile_size_is_refused_before_memory_is_taken() {
        fails(&format!("{{\"a\": [{}0]}}", "0,".repeat(bound::OPENAPI_NODES_MAX)), "values");
        fails(&" ".repeat(bound::OPENAPI_DOCUMENT_BYTES_MAX + 1), "bytes");
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(110), "]".repeat(110));
        fails(&deep, "nested");
        fails(&format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)), "not JSON");
        fails(&format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000)), "not YAML");
    }

    #[test]
    fn commas_in_strings_are_no_values() {
        assert_eq!(values_of_json(r#"{"a": "b,c\",[{", "d": [1, 2]}"#), 5);
    }
}
