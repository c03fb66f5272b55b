//! Whole documents, good and hostile.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::bound::connector as bound;

/// Rooms of one floor do not know each other, so the validator is asked directly.
struct Schema(jsonschema::Validator);

impl Schema {
    fn compile(schema: &Value) -> Option<Self> {
        jsonschema::options().with_pattern_options(jsonschema::PatternOptions::regex()).build(schema).ok().map(Self)
    }

    /// The pointer of the first mismatch.
    fn check(&self, value: &Value) -> Result<(), String> {
        self.0.iter_errors(value).next().map_or(Ok(()), |error| Err(error.instance_path().as_str().to_owned()))
    }
}

fn document(openapi: &str, paths: Value, components: Value) -> Document {
    let text = json!({"openapi": openapi, "info": {"title": "T", "version": "1"}, "servers": [{"url": "https://h/v1"}],
        "paths": paths, "components": components});
    read(text.to_string().as_bytes()).unwrap()
}

/// One operation with a JSON body of this schema.
fn body_of(openapi: &str, schema: Value, components: Value) -> (Operation, Vec<LeftOut>) {
    let operation = json!({"requestBody": {"required": true, "content": {"application/json": {"schema": schema}}}});
    let mut document = document(openapi, json!({"/a": {"post": operation}}), json!({"schemas": components}));
    (document.operations.remove(0), document.left_out)
}

/// The body's schema with its definitions, ready to check values.
fn compiled(operation: &Operation) -> Schema {
    let mut schema = operation.body.as_ref().unwrap().schema.clone();
    schema["$defs"] = Value::Object(operation.definitions.clone());
    Schema::compile(&schema).unwrap()
}

#[test]
fn an_operation_is_read_with_all_that_belongs_to_it() {
    let paths = json!({"/pets/{id}": {
        "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "limit", "in": "query", "schema": {"type": "string"}}],
        "get": {
            "operationId": "getPet", "tags": ["pets"], "summary": "Get a\n pet", "deprecated": true,
            "security": [{"key": []}, {}],
            "parameters": [
                {"$ref": "#/components/parameters/Limit"},
                {"name": "filter", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
                {"name": "X-Key", "in": "header", "schema": {"type": "string"}},
                {"name": "Host", "in": "header", "required": true, "schema": {"type": "string"}}],
            "responses": {"default": {"description": "no"}, "200": {"$ref": "#/components/responses/Pet"}}}}});
    let components = json!({
        "parameters": {"Limit": {"name": "limit", "in": "query", "style": "pipeDelimited", "explode": false,
            "description": "How many", "schema": {"type": "array", "items": {"type": "integer"}}}},
        "responses": {"Pet": {"description": "a pet", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
        "schemas": {"Pet": {"type": "object", "properties": {"name": {"type": "string"}, "pin": {"type": "string", "writeOnly": true}}}},
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-key"}}});
    let document = document("3.0.3", paths, components);
    let operation = &document.operations[0];
    assert_eq!(
        (operation.method, operation.path.as_str(), operation.server_path.as_str()),
        (Method::Get, "/pets/{id}", "/v1")
    );
    assert_eq!((operation.summary.as_str(), operation.deprecated), ("Get a pet", true));
    assert_eq!(operation.security, [vec!["key".to_owned()], vec![]]);
    let seen: Vec<(&str, Place, Form)> =
        operation.parameters.iter().map(|it| (it.name.as_str(), it.place, it.form)).collect();
    let style = |style, explode| Form::Style { style, explode };
    assert_eq!(
        seen,
        [
            ("id", Place::Path, style(Style::Simple, false)),
            ("limit", Place::Query, style(Style::PipeDelimited, false)),
            ("filter", Place::Query, Form::Json),
        ]
    );
    assert_eq!(operation.parameters[1].schema["description"], "How many");
    let reasons: Vec<&str> = document.left_out.iter().map(|it| it.reason.as_str()).collect();
    assert!(
        reasons.iter().any(|it| it.contains("credential")) && reasons.iter().any(|it| it.contains("Host")),
        "{reasons:?}"
    );
    let pet = operation.responses[0].schema.as_ref().unwrap();
    assert_eq!(pet["$ref"], "#/$defs/Pet");
    assert!(pet["$defs"]["Pet"]["properties"].get("pin").is_none(), "{pet}");
    assert_eq!(document.security["key"], SecurityScheme::ApiKey { name: "x-key".into(), place: Place::Header });
}

#[test]
fn nullable_and_exclusive_bounds_of_3_0_become_json_schema() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "string", "nullable": true, "enum": ["x"]},
        "b": {"allOf": [{"$ref": "#/components/schemas/B"}], "nullable": true},
        "c": {"type": "number", "minimum": 1, "exclusiveMinimum": true}}});
    let (operation, _) =
        body_of("3.0.0", schema, json!({"B": {"type": "object", "properties": {"x": {"type": "object"}}}}));
    let schema = compiled(&operation);
    for good in [json!({"a": null, "b": null, "c": 1.5}), json!({"a": "x", "b": {}})] {
        schema.check(&good).unwrap();
    }
    for bad in [json!({"a": "y"}), json!({"b": 1}), json!({"c": 1}), json!({"c": null})] {
        assert!(schema.check(&bad).is_err(), "{bad}");
    }
}

#[test]
fn read_only_properties_are_no_inputs() {
    let components = json!({"Base": {"type": "object", "required": ["id"], "properties": {"id": {"$ref": "#/components/schemas/Id"}}},
        "Id": {"type": "string", "readOnly": true}});
    let schema = json!({"allOf": [{"$ref": "#/components/schemas/Base"},
        {"type": "object", "required": ["at", "name"], "properties": {"at": {"type": "string", "readOnly": true}, "name": {"type": "string"}}}]});
    let (operation, _) = body_of("3.1.0", schema, components);
    assert_eq!(operation.body.as_ref().unwrap().read_only, ["at", "id"]);
    compiled(&operation).check(&json!({"name": "n"})).unwrap();
}

#[test]
fn a_cycle_through_properties_stays_and_one_that_stands_still_is_cut() {
    let tree = json!({"Tree": {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/Tree"}, "n": {"type": "integer"}}}});
    let (operation, _) = body_of("3.1.0", json!({"$ref": "#/components/schemas/Tree"}), tree);
    let schema = compiled(&operation);
    schema.check(&json!({"left": {"left": {"n": 1}}})).unwrap();
    assert_eq!(schema.check(&json!({"left": {"left": {"n": "x"}}})).unwrap_err(), "/left/left/n");

    // Inheritance as many documents have it: the parent names its children, and each child the parent.
    let pets = json!({
        "Pet": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}},
            "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}], "discriminator": {"propertyName": "kind"}},
        "Cat": {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"lives": {"type": "integer"}}}]},
        "Dog": {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"properties": {"tricks": {"type": "object"}}}]},
        "A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}});
    for root in ["Pet", "Cat", "A"] {
        let (operation, _) = body_of("3.0.0", json!({"$ref": format!("#/components/schemas/{root}")}), pets.clone());
        compiled(&operation).check(&json!({"kind": "Cat", "lives": 9})).unwrap();
    }
}

#[test]
fn a_discriminator_chooses() {
    let components = json!({
        "Cat": {"type": "object", "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}}},
        "Dog": {"type": "object", "properties": {"kind": {"type": "string"}, "lives": {"type": "string"}}}});
    let schema = json!({"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": {"hound": "#/components/schemas/Dog", "cat": "Cat"}}});
    let (operation, _) = body_of("3.1.0", schema, components);
    let schema = compiled(&operation);
    schema.check(&json!({"kind": "hound"})).unwrap();
    schema.check(&json!({"kind": "cat", "lives": 9})).unwrap();
    for bad in [json!({"kind": "Dog"}), json!({"lives": 1}), json!({"kind": "cat", "lives": "9"})] {
        assert!(schema.check(&bad).is_err(), "{bad}");
    }
}

#[test]
fn what_refers_outside_is_left_out_with_its_place() {
    let (operation, left_out) = body_of(
        "3.1.0",
        json!({"properties": {"a": {"$ref": "https://evil.example/x.json"}, "b": {"type": "string"}}}),
        json!({}),
    );
    let properties = &operation.body.unwrap().schema["properties"];
    assert_eq!(properties["a"], json!({}));
    assert_eq!(properties["b"], json!({"type": "string"}));
    assert_eq!(left_out[0].pointer, "/paths/~1a/post/requestBody/content/application~1json/schema/properties/a");
    assert!(left_out[0].reason.contains("outside"), "{left_out:?}");
}

#[test]
fn one_bad_operation_costs_no_other() {
    let good = json!({"responses": {}});
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let bad = [
        ("/../a", json!({"get": good})),
        ("/b/{id}", json!({"get": good})),
        ("/c", json!({"post": {"requestBody": {"required": true, "content": {"text/xml": {}}}}})),
        ("/j", json!({"put": {"requestBody": {"content": {"text/plain": {}}}}})),
        ("/d", json!({"get": {"parameters": [{"$ref": "other.yaml#/x"}]}})),
        ("/e", json!({"get": {"servers": [{"url": "https://elsewhere.example/v1"}]}})),
        (
            "/f/{id}",
            json!({"get": {"parameters": [{"name": "id", "in": "path", "required": true, "style": "form", "schema": {}}]}}),
        ),
        (
            "/g",
            json!({"get": {"parameters": [{"name": "q", "in": "query", "required": true, "schema": {"type": "object"}}]}}),
        ),
        ("/h", json!({"trace": good})),
        ("/i", json!({"$ref": "#/nowhere"})),
    ];
    let mut paths = json!({"/good/{id}": {"parameters": id, "get": good}, "x-note": {"get": good}});
    for (path, item) in &bad {
        paths[*path] = item.clone();
    }
    let document = document("3.1.0", paths, json!({}));
    assert_eq!(document.operations.len(), 1);
    let left_out: Vec<&LeftOut> = document.left_out.iter().filter(|it| it.operation).collect();
    assert_eq!(left_out.len(), bad.len(), "{left_out:#?}");
}

#[test]
fn versions_and_documents_that_are_none_are_refused() {
    for (text, with) in [
        (r#"{"swagger": "2.0", "paths": {}}"#, "2.0"),
        (r#"{"openapi": "4.0.0", "paths": {}}"#, "4.0.0"),
        (r#"{"openapi": "3.10.0", "paths": {}}"#, "3.10.0"),
        (r#"{"paths": {}}"#, "none"),
        (r#"{"openapi": "3.1.0"}"#, "paths"),
        ("just text", "none"),
        ("", "none"),
    ] {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(with), "{text}: {error}");
    }
    let yaml = "openapi: 3.1.0\ninfo: {title: T, version: 1.0}\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: ok}\n";
    let document = read(yaml.as_bytes()).unwrap();
    assert_eq!((document.version.as_str(), document.operations[0].responses[0].status.as_str()), ("1.0", "200"));
}

#[test]
fn a_schema_that_grows_without_end_is_stopped() {
    // Each definition has two that have two: 2^20 values, if they were written out.
    let mut components = serde_json::Map::new();
    for n in 0..20 {
        let next = format!("#/components/schemas/S{}", n + 1);
        components.insert(format!("S{n}"), json!({"properties": {"a": {"$ref": next}, "b": {"$ref": next}}}));
    }
    components.insert("S20".into(), json!({"type": "string"}));
    let (operation, _) = body_of("3.1.0", json!({"$ref": "#/components/schemas/S0"}), Value::Object(components));
    assert!(operation.definitions.len() <= 20);

    let wide: serde_json::Map<String, Value> =
        (0..bound::OPENAPI_SCHEMA_NODES_MAX).map(|n| (n.to_string(), json!({}))).collect();
    let paths = json!({"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": {"properties": wide}}}}}}, "/b": {"get": {}}});
    let document = document("3.1.0", paths, json!({}));
    assert_eq!((document.operations.len(), document.left_out.len()), (1, 1));
}

/// A chain of definitions, each about the same value as the one before, and each a level deeper: neither may cost a
/// validator its stack.
#[test]
fn long_chains_of_definitions_are_no_danger_to_the_stack() {
    for (key, wrap) in [("allOf", true), ("properties", false)] {
        let mut components = serde_json::Map::new();
        for n in 0..2000 {
            let next = json!({"$ref": format!("#/components/schemas/S{:04}", n + 1)});
            let next = if wrap {
                json!([next, {"properties": {"p": {"type": "object", "properties": {"x": {}}}}}])
            } else {
                json!({"p": next})
            };
            components.insert(format!("S{n:04}"), json!({key: next}));
        }
        components.insert("S2000".into(), json!({"type": "object", "properties": {"q": {"type": "object"}}}));
        let (operation, left_out) =
            body_of("3.1.0", json!({"$ref": "#/components/schemas/S0000"}), Value::Object(components));
        assert!(operation.definitions.len() <= bound::OPENAPI_DEFINITIONS_MAX, "{}", operation.definitions.len());
        assert!(!left_out.is_empty());
        // As small a stack as a worker thread has.
        let check = move || compiled(&operation).check(&json!({"p": {"p": {"p": {}}}})).unwrap();
        std::thread::Builder::new().stack_size(2 << 20).spawn(check).unwrap().join().unwrap();
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop_oneof![
        Just("$ref"),
        Just("type"),
        Just("properties"),
        Just("items"),
        Just("allOf"),
        Just("oneOf"),
        Just("in"),
        Just("name"),
        Just("schema"),
        Just("content"),
        Just("application/json"),
        Just("parameters"),
        Just("requestBody"),
        Just("get"),
        Just("post"),
        Just("required"),
        Just("discriminator"),
        Just("propertyName"),
        Just("/a/{b}"),
        Just("servers"),
        Just("url"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
        prop_oneof![
            Just("#/paths"),
            Just("#/paths/~1a~1{b}"),
            Just("#"),
            Just("object"),
            Just("path"),
            Just("query"),
            Just("b"),
            Just("#/components/schemas/X"),
            Just("string"),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(words.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn hostile_documents_are_read_or_refused_and_never_a_panic(item in any_json(), schema in any_json()) {
        let text = json!({"openapi": "3.1.0", "paths": {"/a/{b}": item, "/c": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}},
            "components": {"schemas": {"X": schema}}});
        let document = read(text.to_string().as_bytes()).unwrap();
        for operation in document.operations.iter().filter(|it| it.body.is_some()) {
            let mut schema = operation.body.as_ref().unwrap().schema.clone();
            schema["$defs"] = Value::Object(operation.definitions.clone());
            prop_assert!(Schema::compile(&schema).is_some(), "{}", schema);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _any: Result<Document, OpenApiError> = read(&bytes);
    }
}
