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

/// Values of hostile shape are stopped before the validator walks them.
fn within_bounds(value: &Value) -> Result<(), Mismatch> {
    let mut nodes = 0_usize;
    let mut level = vec![value];
    let mut depth = 0_usize;
    while !level.is_empty() {
        depth += 1;
        nodes += level.len();
        if depth > bound::JSON_DEPTH_MAX || nodes > bound::JSON_NODES_MAX {
            let message = format!(
                "JSON may be nested {} deep and have {} values; this has more",
                bound::JSON_DEPTH_MAX,
                bound::JSON_NODES_MAX
            );
            return Err(Mismatch { pointer: String::new(), message });
        }
        level = level
            .into_iter()
            .flat_map(|value| -> Box<dyn Iterator<Item = &Value>> {
                match value {
                    Value::Array(items) => Box::new(items.iter()),
                    Value::Object(fields) => Box::new(fields.values()),
                    _ => Box::new(std::iter::empty()),
                }
            })
            .collect();
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
    fn a_pattern_cannot_hang() {
        let schema = json!({"type": "string", "pattern": "^(a+)+$"});
        check(schema, json!(format!("{}b", "a".repeat(50_000))), Some(""));
    }

    #[test]
    fn what_is_no_schema_does_not_compile() {
        assert!(Schema::compile(&json!({"type": "nonsense"})).is_err());
    }
}
