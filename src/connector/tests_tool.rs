//! What becomes of documents: tools, their arguments, their results.

use serde_json::{Value, json};

use super::tool::{Class, Import, Shape, Tool, import};
use crate::base::bound::connector as bound;
use crate::base::id::hex;
use crate::openapi;

fn imported(paths: Value, components: Value) -> Import {
    let text =
        json!({"openapi": "3.1.0", "servers": [{"url": "/v1"}], "paths": paths, "components": components}).to_string();
    import("zoo", openapi::read(text.as_bytes()).unwrap())
}

fn one(method: &str, path: &str, operation: Value) -> Tool {
    let mut import = imported(json!({path: {method: operation}}), json!({}));
    assert_eq!(import.tools.len(), 1, "{:?}", import.left_out);
    import.tools.remove(0)
}

fn json_body(required: bool, schema: Value) -> Value {
    json!({"required": required, "content": {"application/json": {"schema": schema}}})
}

#[test]
fn arguments_of_all_places_stand_in_one_flat_object() {
    let tool = one(
        "put",
        "/pets/{id}",
        json!({"summary": "Change a pet", "description": "Any of it.", "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "dry", "in": "query", "schema": {"type": "boolean"}}],
            "requestBody": json_body(true, json!({"type": "object", "required": ["name", "id"], "properties": {
                "id": {"type": "string", "readOnly": true}, "name": {"type": "string"}, "tag": {"type": "string"}}}))}),
    );
    assert_eq!(tool.name, "zoo_put_pets_id");
    assert_eq!((tool.title.as_str(), tool.description.as_str()), ("Change a pet", "Change a pet. Any of it."));
    let names: Vec<&String> = tool.input["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "dry", "name", "tag"]);
    assert_eq!(tool.input["required"], json!(["id", "name"]));
    assert_eq!(tool.input["additionalProperties"], false);
    assert_eq!(tool.class(), Class::Write);
}

#[test]
fn what_is_deprecated_says_so_first() {
    let told = |operation: Value| one("get", "/pets", operation).told();
    let (old, new) = (json!({"summary": "List pets", "deprecated": true}), json!({"summary": "List pets"}));
    assert!(told(old).starts_with("Deprecated. List pets"));
    assert!(told(new).starts_with("List pets"));
}

#[test]
fn names_that_two_places_claim_say_their_place() {
    let tool = one(
        "put",
        "/pets/{id}",
        json!({"parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "words", "in": "query", "x-sekisho-argument": "query", "schema": {"type": "string"}}],
            "requestBody": json_body(true, json!({"type": "object", "properties": {"id": {"type": "string"}, "a b": {}}}))}),
    );
    let names: Vec<&String> = tool.input["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["path_id", "query", "body_id", "a_b"]);
}

#[test]
fn a_body_that_is_no_plain_object_is_one_argument() {
    let whole = |required, schema: Value| {
        let tool = one("post", "/pets", json!({"requestBody": json_body(required, schema)}));
        let is_whole = tool.body.is_some_and(|plan| matches!(plan.shape, Shape::Whole { .. }));
        (is_whole, tool.input.get("required").is_some())
    };
    let plain = json!({"type": "object", "required": ["a"], "properties": {"a": {}}});
    assert_eq!(whole(true, plain.clone()), (false, true));
    // It may be left away, but not its property: flat, that could not be said.
    assert_eq!(whole(false, plain), (true, false));
    assert_eq!(whole(true, json!({"type": "array", "items": {}})), (true, true));
    assert_eq!(whole(true, json!({"type": "object", "additionalProperties": {"type": "string"}})), (true, true));
    assert_eq!(whole(true, json!({"oneOf": [{"type": "object", "properties": {"a": {}}}]})), (true, true));
}

#[test]
fn files_of_a_multipart_body_are_given_with_name_and_content() {
    let schema = json!({"type": "object", "properties": {
        "file": {"type": "string", "format": "binary", "description": "The picture"},
        "more": {"type": "array", "items": {"type": "string", "contentMediaType": "image/png"}},
        "note": {"type": "string"}}});
    let body = json!({"required": true, "content": {"multipart/form-data": {"schema": schema}}});
    let tool = one("post", "/pets", json!({"requestBody": body}));
    assert_eq!(tool.input["properties"]["file"]["required"], json!(["name", "data"]));
    assert_eq!(tool.input["properties"]["file"]["description"], "The picture");
    assert_eq!(tool.input["properties"]["more"]["items"]["required"], json!(["name", "data"]));
    assert_eq!(tool.input["properties"]["note"], json!({"type": "string"}));
}

#[test]
fn a_result_is_an_object_for_clients() {
    let result = |schema: Value| {
        let tool =
            one("get", "/a", json!({"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}));
        (tool.output, tool.wrapped)
    };
    let (output, wrapped) = result(json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    assert_eq!((output.unwrap()["properties"]["a"]["type"].clone(), wrapped), (json!("string"), false));
    let (output, wrapped) = result(json!({"type": "array", "items": {"type": "string"}}));
    assert_eq!((output.unwrap()["properties"]["result"]["type"].clone(), wrapped), (json!("array"), true));
    assert_eq!(result(json!({})), (None, false));
    let long: serde_json::Map<String, Value> =
        (0..1500).map(|n| (format!("property_with_a_long_name_{n}"), json!({"type": "string"}))).collect();
    assert_eq!(result(json!({"type": "object", "properties": long})), (None, false));
}

#[test]
fn a_pattern_that_the_engine_does_not_take_is_the_apis_own_affair() {
    let body = json_body(
        true,
        json!({"type": "object", "properties": {"pattern": {"type": "string", "pattern": "^(?!a).*$"}}}),
    );
    let tool = one("post", "/a", json!({"requestBody": body}));
    assert_eq!(tool.input["properties"]["pattern"], json!({"type": "string"}));
}

#[test]
fn a_long_schema_loses_its_descriptions_and_one_too_long_its_operation() {
    let schema = |count: usize, words: &str| {
        let properties: serde_json::Map<String, Value> = (0..count)
            .map(|n| {
                (
                    format!("p{n}"),
                    json!({"type": "object", "properties": {"a": {"type": "string", "description": words}}}),
                )
            })
            .collect();
        json!({"type": "object", "properties": {"all": {"type": "object", "properties": properties}}})
    };
    let tool = one("post", "/a", json!({"requestBody": json_body(true, schema(500, &"words ".repeat(40)))}));
    assert!(!tool.input.to_string().contains("words") && tool.input.to_string().len() <= bound::TOOL_INPUT_BYTES_MAX);
    let import = imported(json!({"/a": {"post": {"requestBody": json_body(true, schema(2000, "w"))}}}), json!({}));
    assert_eq!((import.tools.len(), import.left_out.len()), (0, 1));
}

#[test]
fn a_digest_knows_every_word_and_no_order_of_keys() {
    let operation = |summary: &str, swap: bool| {
        let mut id = json!({"name": "a", "in": "query", "schema": {"type": "string", "maxLength": 3}});
        if swap {
            id = json!({"schema": {"maxLength": 3, "type": "string"}, "in": "query", "name": "a"});
        }
        hex(&one("get", "/a", json!({"summary": summary, "parameters": [id]})).digest())
    };
    assert_eq!(operation("One", false), operation("One", true));
    assert_ne!(operation("One", false), operation("Two", false));
    let tool = one("get", "/a", json!({"parameters": [{"name": "a", "in": "query", "schema": {}}]}));
    let mut other = tool.clone();
    other.parameters[0].name = "b".into();
    assert_ne!(tool.digest(), other.digest());
    // Stored tools come back as they were.
    let read: Tool = serde_json::from_str(&tool.canonical()).unwrap();
    assert_eq!((read.digest(), read), (tool.digest(), tool));
}
