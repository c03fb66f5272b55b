//! A body's schema seen as one flat object, where it is one: its properties become arguments.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::base::bound::connector as bound;

/// Properties and which of them must be there.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Object {
    pub(super) properties: Map<String, Value>,
    pub(super) required: BTreeSet<String>,
}

/// What a schema means that is, or refers to, a definition.
pub(super) fn meant<'a>(schema: &'a Value, definitions: &'a Map<String, Value>) -> &'a Value {
    let mut schema = schema;
    for _ in 0..bound::OPENAPI_REFERENCES_MAX {
        let alone = schema.as_object().is_some_and(|it| it.keys().all(|key| key == "$ref" || key == "description"));
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"));
        match name.filter(|_| alone).and_then(|name| definitions.get(name)) {
            Some(definition) => schema = definition,
            None => break,
        }
    }
    schema
}

/// The object that `schema` is, `allOf` put together; `None` where that would lose something: alternatives, names that
/// are not declared, two meanings of one name.
pub(super) fn flat(schema: &Value, definitions: &Map<String, Value>) -> Option<Object> {
    let mut object = Object::default();
    merge(schema, definitions, &mut object, 0)?;
    (!object.properties.is_empty() && object.properties.len() <= bound::OPENAPI_PARAMETERS_MAX).then_some(object)
}

/// Keywords that an object may have and that change nothing of which properties there are.
const HARMLESS: [&str; 10] = [
    "type",
    "properties",
    "required",
    "description",
    "deprecated",
    "default",
    "additionalProperties",
    "allOf",
    "$ref",
    "minProperties",
];

fn merge(schema: &Value, definitions: &Map<String, Value>, object: &mut Object, depth: usize) -> Option<()> {
    if depth > bound::OPENAPI_REFERENCES_MAX {
        return None;
    }
    let fields = meant(schema, definitions).as_object()?;
    let open = fields.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    let typed = fields.get("type").is_none_or(|name| name == "object");
    if open || !typed || fields.keys().any(|key| !HARMLESS.contains(&key.as_str())) {
        return None;
    }
    if let Some(reference) = fields.get("$ref") {
        merge(&serde_json::json!({"$ref": reference}), definitions, object, depth + 1)?;
    }
    for part in fields.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        merge(part, definitions, object, depth + 1)?;
    }
    for (name, property) in fields.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if object.properties.get(name).is_some_and(|other| other != property) {
            return None;
        }
        object.properties.insert(name.clone(), property.clone());
    }
    let required = fields.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    object.required.extend(required.map(str::to_owned));
    Some(())
}

/// Names of the properties that an object of this schema may have, looked for in all that it is put together from.
pub(super) fn declared(schema: &Value, definitions: &Map<String, Value>) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut queue = vec![(schema, 0)];
    while let Some((schema, depth)) = queue.pop() {
        if depth > bound::OPENAPI_REFERENCES_MAX || found.len() > bound::OPENAPI_PARAMETERS_MAX {
            break;
        }
        let schema = meant(schema, definitions);
        found.extend(
            schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone()),
        );
        for keyword in ["allOf", "anyOf", "oneOf"] {
            queue.extend(schema.get(keyword).and_then(Value::as_array).into_iter().flatten().map(|it| (it, depth + 1)));
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(schema: Value) -> Option<(Vec<String>, Vec<String>)> {
        let definitions = json!({
            "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "Loop": {"allOf": [{"$ref": "#/$defs/Loop"}]}});
        let object = flat(&schema, definitions.as_object().unwrap())?;
        Some((object.properties.keys().cloned().collect(), object.required.into_iter().collect()))
    }

    #[test]
    fn plain_objects_are_flat_and_others_stay_whole() {
        let both = json!({"allOf": [{"$ref": "#/$defs/Base"}, {"properties": {"n": {}}, "required": ["n"]}]});
        assert_eq!(names(both), Some((vec!["id".into(), "n".into()], vec!["id".into(), "n".into()])));
        assert_eq!(names(json!({"$ref": "#/$defs/Base", "description": "x"})).unwrap().0, ["id"]);
        for whole in [
            json!({"type": "array", "items": {}}),
            json!({"type": "object"}),
            json!({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}),
            json!({"properties": {"a": {}}, "oneOf": [{}]}),
            json!({"allOf": [{"$ref": "#/$defs/Base"}, {"properties": {"id": {"type": "integer"}}}]}),
            json!({"$ref": "#/$defs/Loop"}),
            json!({"$ref": "#/$defs/Nothing"}),
        ] {
            assert_eq!(names(whole.clone()), None, "{whole}");
        }
    }
}
