//! Requests: all 141 of iCONECT against a fixture, bodies to the byte, and arguments that try to leave their place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::Url;

use super::base_url::BaseUrl;
use super::request::{WireError, WireRequest};
use super::tool::{Tool, import};
use super::wire::Ready;
use crate::base::id::hex;
use crate::crypto::digest::sha256;
use crate::openapi;
use crate::schema::Schema;

const ICONECT: &str = include_str!("../../assets/connectors/iconect.yaml");
const FIXTURE: &str = include_str!("../../tests/fixtures/iconect-wire.json");

fn tools(paths: Value) -> Vec<Tool> {
    let text = json!({"openapi": "3.1.0", "servers": [{"url": "/v1"}], "paths": paths}).to_string();
    let import = import("zoo", openapi::read(text.as_bytes()).unwrap());
    assert!(import.left_out.is_empty(), "{:?}", import.left_out);
    import.tools
}

fn base() -> BaseUrl {
    BaseUrl::parse("https://api.example.com:8443/base", false).unwrap()
}

fn ask(tool: &Tool, arguments: &Value) -> Result<WireRequest, WireError> {
    Ready::new(tool.clone()).unwrap().request(&base(), arguments, &|| Ok([7; 16]))
}

/// A value that fits the schema, every optional part in it.
fn sample(schema: &Value, definitions: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.strip_prefix("#/$defs/")) {
        return sample(&definitions[name], definitions);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values[values.len() - 1].clone();
    }
    let kind = schema["type"].as_str().unwrap_or("any");
    match (kind, schema["format"].as_str()) {
        ("string", Some("date-time")) => json!("2026-01-02T03:04:05+01:00"),
        ("string", Some("email")) => json!("someone@example.com"),
        ("string", _) if schema["contentEncoding"] == "base64" => json!("aGVsbG8="),
        ("string", _) => {
            let fitting = Schema::compile(schema).unwrap();
            let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
            let texts = ["Größe & more=1 #2", "report-1.pdf", "application/pdf", uuid].map(Value::from);
            texts.into_iter().find(|text| fitting.check(text).is_ok()).unwrap()
        }
        ("number" | "integer", _) => schema.get("minimum").cloned().unwrap_or(json!(7)),
        ("boolean", _) => json!(true),
        ("array", _) => json!([sample(&schema["items"], definitions), sample(&schema["items"], definitions)]),
        ("object", _) => match schema["properties"].as_object() {
            Some(properties) => properties
                .iter()
                .map(|(name, it)| (name.clone(), sample(it, definitions)))
                .collect::<Map<_, _>>()
                .into(),
            None => json!({"any key": ["any", 1]}),
        },
        _ => json!({"any": null}),
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `name!` is required, `name=wire` goes by another name.
fn declared(row: &Value, place: &str) -> Vec<(String, String, bool, String)> {
    let fields = row[place].as_object().cloned().unwrap_or_default();
    fields
        .into_iter()
        .map(|(name, kind)| {
            let required = name.ends_with('!');
            let name = name.trim_end_matches('!').to_owned();
            let (argument, wire) =
                name.split_once('=').map_or((name.clone(), name.clone()), |(a, w)| (a.into(), w.into()));
            (argument, wire, required, kind.as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn all_operations_of_iconect_are_asked_for_as_the_api_wants_it() {
    let document = openapi::read(ICONECT.as_bytes()).unwrap();
    assert!(document.left_out.is_empty(), "{:?}", document.left_out);
    let tools = import("iconect", document).tools;
    let rows: Vec<Value> = serde_json::from_str(FIXTURE).unwrap();
    assert_eq!((tools.len(), rows.len()), (141, 141));
    let tools: BTreeMap<&str, &Tool> = tools.iter().map(|tool| (tool.name.as_str(), tool)).collect();
    for row in &rows {
        let name = row["tool"].as_str().unwrap();
        let tool = tools[name];
        assert!(!tool.title.is_empty() && tool.tags.len() == 1, "{name}");
        let properties = tool.input["properties"].as_object().unwrap();
        let path: Vec<String> = tool.template.parameters().map(str::to_owned).collect();
        let (query, body) = (declared(row, "query"), declared(row, "body"));
        let mut expected: Vec<&String> =
            path.iter().chain(query.iter().chain(&body).map(|(argument, ..)| argument)).collect();
        let mut found: Vec<&String> = properties.keys().collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        let mut required: Vec<&String> =
            path.iter().chain(query.iter().chain(&body).filter(|it| it.2).map(|(argument, ..)| argument)).collect();
        let mut found: Vec<&str> =
            tool.input["required"].as_array().into_iter().flatten().map(|it| it.as_str().unwrap()).collect();
        required.sort();
        found.sort_unstable();
        assert_eq!(found, required, "{name}");

        let arguments: Map<String, Value> =
            properties.iter().map(|(name, schema)| (name.clone(), sample(schema, &tool.input["$defs"]))).collect();
        let request = ask(tool, &Value::Object(arguments.clone())).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(request.method.as_str(), row["method"], "{name}");
        assert!(request.headers.is_empty());
        let url = Url::parse(&request.url).unwrap();

        let mut segments = row["path"].as_str().unwrap().to_owned();
        for parameter in &path {
            segments = segments.replace(&format!("{{{parameter}}}"), &plain(&arguments[parameter]));
        }
        assert_eq!(decoded(url.path()), format!("/base/v1{segments}"), "{name}");

        let mut pairs = Vec::new();
        for (argument, wire, _, kind) in &query {
            match (kind.as_str(), &arguments[argument]) {
                ("object", value) => pairs.push((wire.clone(), value.to_string())),
                ("array", value) => {
                    pairs.extend(value.as_array().unwrap().iter().map(|item| (wire.clone(), plain(item))));
                }
                (_, value) => pairs.push((wire.clone(), plain(value))),
            }
        }
        let mut found: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        found.sort();
        pairs.sort();
        assert_eq!(found, pairs, "{name}");

        let sent = request.body.as_ref().map(|body| {
            assert_eq!(body.content_type, "application/json");
            serde_json::from_slice::<Value>(&body.bytes).unwrap()
        });
        let expected: Map<String, Value> =
            body.iter().map(|(argument, wire, ..)| (wire.clone(), arguments[argument].clone())).collect();
        assert_eq!(sent, (!expected.is_empty()).then_some(Value::Object(expected)), "{name}");
    }
}

#[test]
fn a_mismatch_tells_where_it_is() {
    let tools = tools(
        json!({"/a": {"post": {"requestBody": {"required": true, "content": {"application/json": {"schema":
        {"type": "object", "required": ["n"], "properties": {"n": {"type": "array", "items": {"type": "integer"}}}}}}}}}}),
    );
    for (arguments, at) in [(json!({"n": [1, "x"]}), "/n/1"), (json!({}), ""), (json!({"n": [], "x": 1}), "")] {
        match ask(&tools[0], &arguments).unwrap_err() {
            WireError::Mismatch { pointer, .. } => assert_eq!(pointer, at, "{arguments}"),
            other => panic!("{other}"),
        }
    }
}

fn post(media: &str, schema: Value, encoding: Value) -> Tool {
    let body = json!({"required": true, "content": {media: {"schema": schema, "encoding": encoding}}});
    tools(json!({"/a": {"post": {"requestBody": body}}})).remove(0)
}

#[test]
fn a_form_is_written_to_the_byte() {
    let schema = json!({"type": "object", "properties": {
        "plain": {"type": "string"}, "list": {"type": "array", "items": {"type": "string"}},
        "object": {"type": "object"}, "deep": {"type": "object"}}});
    let tool =
        post("application/x-www-form-urlencoded", schema, json!({"deep": {"style": "deepObject", "explode": true}}));
    let arguments = json!({"plain": "a b&c=d", "list": ["x", "y"], "object": {"k": 1}, "deep": {"k": {"l": [2]}}});
    let body = ask(&tool, &arguments).unwrap().body.unwrap();
    let expected = "plain=a%20b%26c%3Dd&list=x&list=y&object=%7B%22k%22%3A1%7D&deep%5Bk%5D%5Bl%5D%5B0%5D=2";
    assert_eq!(
        (body.content_type.as_str(), String::from_utf8(body.bytes).unwrap().as_str()),
        ("application/x-www-form-urlencoded", expected)
    );
}

#[test]
fn a_multipart_body_is_written_to_the_byte() {
    let schema = json!({"type": "object", "properties": {
        "note": {"type": "string"}, "meta": {"type": "object"}, "fi\"le": {"type": "string", "format": "binary"}}});
    let tool = post("multipart/form-data", schema, json!({}));
    let file = json!({"name": "a.txt", "data": "aGk=", "media_type": "text/plain"});
    let body = ask(&tool, &json!({"note": "é\r\n--x", "meta": {"k": 1}, "fi_le": file})).unwrap().body.unwrap();
    let boundary = format!("sekisho-{}", "07".repeat(16));
    assert_eq!(body.content_type, format!("multipart/form-data; boundary={boundary}"));
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\né\r\n--x\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{{\"k\":1}}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"fi%22le\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n\
         --{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8(body.bytes.clone()).unwrap(), expected);
    let told: Vec<(&str, usize, String)> =
        body.files.iter().map(|it| (it.name.as_str(), it.bytes, hex(&it.sha256))).collect();
    assert_eq!(told, [("a.txt", 2, hex(&sha256(&[b"hi"])))]);
    assert!(!format!("{body:?}").contains("hi"));
    for (name, data) in
        [("..", "aGk="), (".", "aGk="), ("a/b", "aGk="), ("", "aGk="), ("a", "aGk"), ("a", "aG k="), ("a", "aGl=")]
    {
        assert!(ask(&tool, &json!({"fi_le": {"name": name, "data": data}})).is_err(), "{name} {data}");
    }
}

#[test]
fn a_path_is_never_left() {
    let string = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let tools = tools(json!({
        "/pets/{id}": {"parameters": [string("id")], "delete": {"operationId": "one"}},
        "/pets/{a}{b}": {"parameters": [string("a"), string("b")], "get": {"operationId": "two"}},
        "/label/{id}": {"get": {"operationId": "label", "parameters": [{"name": "id", "in": "path", "required": true, "style": "label", "schema": {"type": "string"}}]}}}));
    let by = |name: &str| tools.iter().find(|tool| tool.name == format!("zoo_{name}")).unwrap();
    for id in ["", ".", "..", "a/b", "%2e%2e", "..%2f", "a\r\nb", "a\0", "\\", "%5c", "..;a"] {
        assert!(matches!(ask(by("one"), &json!({"id": id})), Err(WireError::Refused { .. })), "{id:?}");
    }
    assert_eq!(
        ask(by("one"), &json!({"id": "a b?c#d&é"})).unwrap().url,
        "https://api.example.com:8443/base/v1/pets/a%20b%3Fc%23d%26%C3%A9"
    );
    assert!(ask(by("two"), &json!({"a": "..;", "b": "x"})).is_err());
    assert!(ask(by("two"), &json!({"a": "x", "b": "."})).is_err());
    let together = ask(by("two"), &json!({"a": "x", "b": ".y"})).unwrap().url;
    assert_eq!(together, "https://api.example.com:8443/base/v1/pets/x.y");
    // Alone it does not climb; behind the dot of its style it would.
    assert!(ask(by("label"), &json!({"id": ";x"})).is_err());
    assert!(ask(by("label"), &json!({"id": "."})).is_err());
    assert_eq!(ask(by("label"), &json!({"id": "x"})).unwrap().url, "https://api.example.com:8443/base/v1/label/.x");
}

/// A tool with a parameter of each place and style.
fn wide() -> Tool {
    let any = json!({});
    let parameter = |name: &str, place: &str, more: Value| {
        let mut made = json!({"name": name, "in": place, "schema": any, "required": place == "path"});
        made.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        made
    };
    let object = json!({"schema": {"properties": {"k": {}}}});
    let parameters = json!([
        parameter("p1", "path", json!({})), parameter("p2", "path", json!({"style": "label", "explode": true})),
        parameter("p3", "path", json!({"style": "matrix", "explode": true})),
        parameter("q1", "query", json!({})), parameter("q2", "query", json!({"style": "spaceDelimited"})),
        parameter("q3", "query", json!({"style": "pipeDelimited"})), parameter("q4", "query", json!({"style": "deepObject"})),
        parameter("q5", "query", object.clone()), parameter("q6", "query", json!({"explode": false})),
        {"name": "q7", "in": "query", "content": {"application/json": {"schema": {}}}},
        parameter("X-H1", "header", json!({})), parameter("X-H2", "header", json!({"explode": true})),
        parameter("c1", "cookie", json!({})), parameter("c2", "cookie", json!({"explode": false}))]);
    let body = json!({"required": true, "content": {"application/json": {"schema": {"type": "object", "properties": {"b1": {}}}}}});
    tools(json!({"/x/{p1}/{p2}.y{p3}": {"post": {"parameters": parameters, "requestBody": body}}})).remove(0)
}

/// RFC 6265, section 4.1.1: neither a space nor a comma stands in a cookie's value.
#[test]
fn cookies_are_written_to_the_byte() {
    let cookie = |name: &str, more: Value| {
        let mut parameter = json!({"name": name, "in": "cookie", "schema": {}});
        parameter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parameter
    };
    let whole = json!({"explode": false});
    let parameters = json!([
        cookie("c1", json!({})),
        cookie("c2", whole.clone()),
        cookie("c3", json!({})),
        cookie("c4", whole),
        cookie("c5", json!({"schema": {"properties": {"k": {}, "l": {}}}}))
    ]);
    let tool = tools(json!({"/x": {"get": {"parameters": parameters}}})).remove(0);
    let check = |arguments: Value, expected: &str| {
        let request = ask(&tool, &arguments).unwrap();
        assert_eq!(request.headers, [("cookie".to_owned(), expected.to_owned())]);
    };
    check(json!({"c1": "a b", "c2": ["x", "y"]}), "c1=a%20b; c2=x%2Cy");
    check(json!({"c1": "a;b=c,d\"\\"}), "c1=a%3Bb%3Dc%2Cd%22%5C");
    check(json!({"c3": ["x", "y z"]}), "c3=x; c3=y%20z");
    check(json!({"c4": {"k": 1}}), "c4=k%2C1");
    check(json!({"c5": {"k": 1, "l": true}}), "k=1; l=true");
    assert!(ask(&tool, &json!({})).unwrap().headers.is_empty());
}

fn hostile() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,6}",
        "[a-z/.%?#&=;:@\\\\ \r\n\t,\\[\\]{}|\"'<>0-9\u{0}é]{0,12}",
        Just("..".to_owned()),
        Just("%2e%2e%2f".to_owned()),
        Just("x&admin=1".to_owned()),
        Just("x\r\nHost: evil".to_owned()),
        Just("//evil.example".to_owned()),
        Just("@evil.example/".to_owned()),
        Just("k".to_owned()),
        Just("_method".to_owned()),
    ];
    let leaf = prop_oneof![
        3 => text.clone().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    /// Whatever is given: the same origin, the same base path, the same number of segments, the same method, and no
    /// parameter, header or cookie that is not declared.
    #[test]
    fn no_argument_leaves_its_place(
        values in prop::collection::btree_map(
            prop_oneof![Just("q1"), Just("q2"), Just("q3"), Just("q4"), Just("q5"), Just("q6"), Just("q7"), Just("X-H1"),
                Just("X-H2"), Just("c1"), Just("c2"), Just("b1"), Just("p1"), Just("p2"), Just("p3")],
            hostile(), 0..5)
    ) {
        let tool = wide();
        let mut arguments = json!({"p1": "a", "p2": "b", "p3": "c"});
        for (name, value) in values {
            arguments[name] = value;
        }
        let Ok(request) = ask(&tool, &arguments) else { return Ok(()) };
        prop_assert_eq!(request.method.as_str(), "POST");
        let url = Url::parse(&request.url).unwrap();
        prop_assert_eq!(url.origin().ascii_serialization(), "https://api.example.com:8443");
        prop_assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
        let segments: Vec<&str> = url.path_segments().unwrap().collect();
        prop_assert_eq!(segments.len(), 5, "{}", request.url);
        prop_assert_eq!(&segments[..3], &["base", "v1", "x"], "{}", request.url);
        for segment in &segments {
            let decoded = decoded(segment);
            prop_assert!(!decoded.contains(['/', '\\', '\r', '\n', '\0']) && decoded != "." && decoded != "..", "{}", request.url);
        }
        for (name, _) in url.query_pairs() {
            let plain = ["q1", "q2", "q3", "q4", "q5", "q6", "q7", "k"].contains(&&*name);
            prop_assert!(plain || name.starts_with("q4["), "{} in {}", name, request.url);
        }
        for (name, value) in &request.headers {
            prop_assert!(["x-h1", "x-h2", "cookie"].contains(&name.as_str()), "{}", name);
            prop_assert!(value.bytes().all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte)), "{:?}", value);
            if name == "cookie" {
                for pair in value.split("; ") {
                    let name = pair.split_once('=').unwrap().0;
                    prop_assert!(["c1", "c2"].contains(&name), "{}", value);
                }
            }
        }
        let sent: Value = serde_json::from_slice(&request.body.unwrap().bytes).unwrap();
        prop_assert_eq!(sent.get("b1"), arguments.get("b1"));
        prop_assert!(sent.as_object().unwrap().len() <= 1);
    }
}
