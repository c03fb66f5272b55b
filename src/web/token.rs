//! A new token travels in parts, because a whole one is masked wherever it turns up; here it becomes whole for whoever
//! asked for it.

use serde_json::{Value, json};

/// Joins `parts` at the `joint` into `token`, in an answer that has both.
pub(super) fn join(result: &mut Value) {
    let Some(fields) = result.as_object_mut() else { return };
    let (Some(Value::Array(parts)), Some(Value::String(joint))) = (fields.get("parts"), fields.get("joint")) else {
        return;
    };
    let token = parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(joint);
    fields.retain(|name, _| name != "parts" && name != "joint");
    fields.insert("token".into(), token.into());
}

/// Does the same to the JSON Schema of such an answer.
pub(super) fn join_schema(schema: &mut Value) {
    let has = |name: &str| schema["properties"].get(name).is_some();
    if !(has("parts") && has("joint")) {
        return;
    }
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| name != "parts" && name != "joint");
        let description = "The token. It is shown this once, and kept nowhere.";
        properties.insert("token".into(), json!({"type": "string", "description": description}));
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.retain(|name| name != "parts" && name != "joint");
        required.push("token".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_and_its_schema_change_alike() {
        let mut answer = json!({"id": "x", "joint": ".", "parts": ["a", "b", "c"]});
        join(&mut answer);
        assert_eq!(answer, json!({"id": "x", "token": "a.b.c"}));
        let text = json!({"type": "string"});
        let mut schema = json!({
            "properties": {"id": text, "joint": text, "parts": {"type": "array"}},
            "required": ["id", "joint", "parts"],
        });
        join_schema(&mut schema);
        assert_eq!(schema["required"], json!(["id", "token"]));
        assert!(crate::schema::Schema::compile(&schema).unwrap().check(&answer).is_ok());
    }

    #[test]
    fn other_answers_stay_as_they_are() {
        for other in [json!([1]), json!({"parts": ["a"]}), json!({"parts": 1, "joint": "."})] {
            let mut answer = other.clone();
            join(&mut answer);
            assert_eq!(answer, other);
        }
    }
}
