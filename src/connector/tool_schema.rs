//! The schemas of a tool's arguments and of its result, within the bounds that clients and the checker have.

use serde_json::{Map, Value, json};

use super::object;
use crate::base::bound::connector as bound;
use crate::schema::Schema;

/// The schema of all arguments. One that is too long loses its descriptions, one with patterns that the linear-time
/// engine does not take loses its patterns: the API checks them itself.
pub(super) fn input(
    properties: Map<String, Value>,
    required: Vec<String>,
    definitions: Map<String, Value>,
) -> Result<Value, String> {
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !definitions.is_empty() {
        schema["$defs"] = Value::Object(definitions);
    }
    prune(&mut schema);
    if Schema::compile(&schema).is_err() {
        strip(&mut schema, &["pattern", "patternProperties"]);
        Schema::compile(&schema).map_err(|error| error.to_string())?;
    }
    fit(schema, bound::TOOL_INPUT_BYTES_MAX)
        .ok_or_else(|| format!("the schema of its arguments has more than {} bytes", bound::TOOL_INPUT_BYTES_MAX))
}

fn fit(mut schema: Value, bytes_max: usize) -> Option<Value> {
    if schema.to_string().len() > bytes_max {
        strip(&mut schema, &["description", "default"]);
    }
    (schema.to_string().len() <= bytes_max).then_some(schema)
}

/// The result's schema as clients take it: an object at the top.
pub(super) fn output(schema: Option<&Value>) -> (Option<Value>, bool) {
    // A schema that accepts everything promises nothing.
    let Some(schema) = schema.filter(|it| it.as_object().is_some_and(|it| it.keys().any(|key| key != "description")))
    else {
        return (None, false);
    };
    let mut schema = schema.clone();
    let definitions = schema.as_object_mut().and_then(|fields| fields.shift_remove("$defs"));
    let definitions = definitions.and_then(|it| it.as_object().cloned()).unwrap_or_default();
    let is_object = |schema: &Value| schema.get("type").is_some_and(|it| it == "object");
    let wrapped = !is_object(object::meant(&schema, &definitions));
    let mut made = if wrapped {
        json!({"type": "object", "properties": {"result": schema}, "required": ["result"]})
    } else {
        object::meant(&schema, &definitions).clone()
    };
    if let Some(fields) = made.as_object_mut().filter(|_| !definitions.is_empty()) {
        fields.insert("$defs".into(), Value::Object(definitions));
    }
    prune(&mut made);
    let made = fit(made, bound::TOOL_OUTPUT_BYTES_MAX).filter(|made| Schema::compile(made).is_ok());
    let wrapped = wrapped && made.is_some();
    (made, wrapped)
}

/// Drops definitions that nothing refers to any more.
fn prune(schema: &mut Value) {
    let Some(definitions) = schema.as_object_mut().and_then(|fields| fields.shift_remove("$defs")) else { return };
    let Value::Object(definitions) = definitions else { return };
    let mut used: Vec<String> = Vec::new();
    let mut queue = vec![&*schema];
    while let Some(value) = queue.pop() {
        match value {
            Value::Array(items) => queue.extend(items),
            Value::Object(fields) => {
                let name = fields.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"));
                if let Some(name) = name.filter(|name| !used.iter().any(|it| it == name)) {
                    used.push(name.to_owned());
                    queue.extend(definitions.get(name));
                }
                queue.extend(fields.values());
            }
            _ => {}
        }
    }
    let kept: Map<String, Value> = definitions.into_iter().filter(|(name, _)| used.contains(name)).collect();
    if let Some(fields) = schema.as_object_mut().filter(|_| !kept.is_empty()) {
        fields.insert("$defs".into(), Value::Object(kept));
    }
}

/// Takes keywords out of schemas, and not out of properties that have such names.
fn strip(schema: &mut Value, keywords: &[&str]) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.retain(|key, _| !keywords.contains(&key.as_str()));
    for (key, value) in fields.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "patternProperties" | "dependentSchemas" | "$defs", Value::Object(schemas)) => {
                schemas.values_mut().for_each(|it| strip(it, keywords));
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                for schema in schemas {
                    strip(schema, keywords);
                }
            }
            ("enum" | "const" | "default" | "required" | "dependentRequired", _) => {}
            (_, value) => strip(value, keywords),
        }
    }
}
