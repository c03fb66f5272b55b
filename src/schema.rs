//! JSON Schema (draft 2020-12) checks with bounds on depth and size, compiled once.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::base::bound;

/// A schema that is ready to check values.
pub struct Schema {
    validator: Validator,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schema")
    }
}

/// A schema that is none: our own bug, or a document's.
#[derive(Debug, thiserror::Error)]
#[error("this is not a JSON Schema that can be used: {0}")]
pub struct NotASchema(String);

/// Where a value breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// JSON Pointer (RFC 6901) into the value; empty for the value itself.
    pub pointer: String,
    pub message: String,
}

impl Schema {
    /// Compiles with the linear-time regular expression engine: a pattern cannot be made to hang.
    pub fn compile(schema: &Value) -> Result<Self, NotASchema> {
        let validator = jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map_err(|error| NotASchema(error.to_string()))?;
        Ok(Self { validator })
    }

    /// The first mismatch, if any.
    pub fn check(&self, value: &Value) -> Result<(), Mismatch> {
        within_bounds(value)?;
        match self.validator.iter_errors(value).next() {
            None => Ok(()),
            Some(error) => {
                let pointer = error.instance_path().as_str().to_owned();
                Err(Mismatch { pointer, message: shortened(&error.masked().to_string()) })
            }
        }
    }
}

impl Schema {
    /// The first `mismatches_max` mismatches, in the order in which they are found.
    pub fn mismatches(&self, value: &Value, mismatches_max: usize) -> Vec<Mismatch> {
        if let Err(mismatch) = within_bounds(value) {
            return vec![mismatch];
        }
        let told = |error: jsonschema::ValidationError<'_>| Mismatch {
            pointer: error.instance_path().as_str().to_owned(),
            message: shortened(&error.to_string()),
        };
        self.validator.iter_errors(value).take(mismatches_max).map(told).collect()
    }
}

/// Values of hostile shape are stopped before the validator, or anybody, walks them: depth, count of values and keys,
/// length of strings, size of numbers.
pub fn within_bounds(value: &Value) -> Result<(), Mismatch> {
    let refused = |message: String| Err(Mismatch { pointer: String::new(), message });
    let (mut nodes, mut keys, mut depth) = (0_usize, 0_usize, 0_usize);
    let mut level = vec![value];
    let mut next = Vec::new();
    while !level.is_empty() {
        depth += 1;
        nodes += level.len();
        if depth > bound::JSON_DEPTH_MAX || nodes > bound::JSON_NODES_MAX {
            return refused(format!(
                "JSON may be nested {} deep and have {} values; this has more",
                bound::JSON_DEPTH_MAX,
                bound::JSON_NODES_MAX
            ));
        }
        for value in level.drain(..) {
            match value {
                Value::Array(items) => next.extend(items),
                Value::Object(fields) => {
                    keys += fields.len();
                    if keys > bound::JSON_KEYS_MAX {
                        return refused(format!("JSON may have {} keys; this has more", bound::JSON_KEYS_MAX));
                    }
                    next.extend(fields.values());
                }
                Value::String(text) if text.len() > bound::JSON_STRING_BYTES_MAX => {
                    return refused(format!("a string may have {} bytes; one has more", bound::JSON_STRING_BYTES_MAX));
                }
                Value::Number(number) if number.as_f64().is_none_or(|size| size.abs() > bound::JSON_NUMBER_MAX) => {
                    return refused("numbers may go to 2^53; one is beyond".into());
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        std::mem::swap(&mut level, &mut next);
    }
    Ok(())
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(bound::SCHEMA_MESSAGE_CHARS_MAX) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}…", &message[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, value: Value, expect: Option<&str>) {
        let found = Schema::compile(&schema).unwrap().check(&value).err().map(|mismatch| mismatch.pointer);
        assert_eq!(found.as_deref(), expect, "{schema} and {value}");
    }

    #[test]
    fn a_mismatch_is_told_with_its_pointer() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "maxLength": 3}}}, "additionalProperties": false});
        check(schema.clone(), json!({"a": ["x"]}), None);
        check(schema.clone(), json!({"a": ["x", 2]}), Some("/a/1"));
        check(schema.clone(), json!({"a": ["long one"]}), Some("/a/0"));
        check(schema, json!({"b": 1}), Some(""));
    }

    #[test]
    fn hostile_nesting_is_refused() {
        let deep = (0..500).fold(json!(1), |inner, _| json!([inner]));
        check(json!({}), deep, Some(""));
        check(json!({}), json!(vec![0; 200_000]), Some(""));
    }

    #[test]
    fn hostile_keys_strings_and_numbers_are_refused() {
        let keys: serde_json::Map<_, _> = (0..=bound::JSON_KEYS_MAX).map(|key| (key.to_string(), json!(0))).collect();
        check(json!({}), Value::Object(keys), Some(""));
        check(json!({}), json!("a".repeat(bound::JSON_STRING_BYTES_MAX + 1)), Some(""));
        check(json!({}), json!({"a": u64::MAX}), Some(""));
        check(json!({}), json!({"a": -1e300}), Some(""));
        check(json!({}), json!({"a": 9_007_199_254_740_992_u64, "b": -0.5}), None);
    }

    #[test]
    fn a_pattern_cannot_hang() {
        let schema = json!({"type": "string", "pattern": "^(a+)+$"});
        check(schema, json!(format!("{}b", "a".repeat(50_000))), Some(""));
    }

    #[test]
    fn what_is_no_schema_does_not_compile() {
        assert!(Schema::compile(&json!({"type": "nonsense"})).is_err());
    }
}
