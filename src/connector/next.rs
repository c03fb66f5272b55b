//! Where an answer goes on: the link or cursor that the API gave, as arguments of the same operation.

use http::{HeaderMap, header};
use serde_json::{Map, Value, json};
use url::Url;

use super::tool::Tool;
use crate::openapi::Place;

/// Fields of an answer that hold a cursor, and arguments that take one, best first.
const CURSORS: [&str; 6] =
    ["next_cursor", "nextCursor", "next_page_token", "nextPageToken", "continuation_token", "continuationToken"];
const TAKERS: [&str; 8] = [
    "cursor",
    "page_token",
    "pageToken",
    "next_cursor",
    "nextCursor",
    "continuation_token",
    "continuationToken",
    "after",
];

/// The arguments that give the next page, in place of those of this call; `None` where the answer ends, or the
/// operation has no argument for what the API said.
pub(super) fn next(tool: &Tool, asked: &str, headers: &HeaderMap, body: Option<&Value>) -> Option<Value> {
    let arguments = linked(tool, asked, headers).or_else(|| cursor(tool, body?))?;
    (!arguments.is_empty()).then(|| json!({"arguments": arguments}))
}

/// RFC 8288: the same path of the same origin, with parameters that the operation declares.
fn linked(tool: &Tool, asked: &str, headers: &HeaderMap) -> Option<Map<String, Value>> {
    let asked = Url::parse(asked).ok()?;
    let target = headers.get_all(header::LINK).iter().find_map(|value| target(value.to_str().ok()?))?;
    let next = asked.join(&target).ok()?;
    if next.origin() != asked.origin() || next.path() != asked.path() {
        return None;
    }
    let mut arguments = Map::new();
    for (name, value) in next.query_pairs() {
        let parameter = tool.parameters.iter().find(|it| it.place == Place::Query && it.name == name)?;
        let schema = &tool.input["properties"][&parameter.argument];
        if schema["type"] == "array" {
            let item = typed(&schema["items"], &value);
            match arguments.get_mut(&parameter.argument).and_then(Value::as_array_mut) {
                Some(items) => items.push(item),
                None => drop(arguments.insert(parameter.argument.clone(), json!([item]))),
            }
        } else {
            arguments.insert(parameter.argument.clone(), typed(schema, &value));
        }
    }
    Some(arguments)
}

fn typed(schema: &Value, text: &str) -> Value {
    let number = || text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<f64>().map(Value::from));
    match schema["type"].as_str() {
        Some("integer" | "number") => number().unwrap_or_else(|_| Value::from(text)),
        Some("boolean") => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
        _ => Value::from(text),
    }
}

/// The target of the link with the relation `next`.
fn target(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let (target, after) = rest.get(start + 1..)?.split_once('>')?;
        let parameters = after.split('<').next().unwrap_or_default();
        let is_next = parameters.split([';', ',']).any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').split_ascii_whitespace().any(|it| it.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.to_owned());
        }
        rest = after;
    }
    None
}

fn cursor(tool: &Tool, body: &Value) -> Option<Map<String, Value>> {
    let value = CURSORS.iter().find_map(|name| {
        let value = body.get(name)?;
        (value.as_str().is_some_and(|text| !text.is_empty()) || value.is_number()).then(|| value.clone())
    })?;
    let declared = &tool.input["properties"];
    let taker = TAKERS.iter().find(|name| declared.get(**name).is_some())?;
    Some(Map::from_iter([((*taker).to_owned(), value)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::tool::import;
    use crate::openapi;

    fn tool() -> Tool {
        let parameters = json!([
            {"name": "page", "in": "query", "schema": {"type": "integer"}},
            {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
            {"name": "cursor", "in": "query", "schema": {"type": "string"}}]);
        let text = json!({"openapi": "3.1.0", "paths": {"/pets": {"get": {"parameters": parameters}}}}).to_string();
        import("zoo", openapi::read(text.as_bytes()).unwrap()).tools.remove(0)
    }

    fn check(link: &str, body: Value, expected: Option<Value>) {
        let mut headers = HeaderMap::new();
        if !link.is_empty() {
            headers.insert(header::LINK, link.parse().unwrap());
        }
        let found = next(&tool(), "https://zoo.example/v1/pets?page=1", &headers, Some(&body));
        assert_eq!(found.map(|next| next["arguments"].clone()), expected, "{link}");
    }

    #[test]
    fn a_link_or_a_cursor_becomes_arguments_of_the_same_operation() {
        check("<?page=2&tag=a&tag=b>; rel=\"next\"", json!([]), Some(json!({"page": 2, "tag": ["a", "b"]})));
        let both = "</v1/pets?page=9>; rel=last, <https://zoo.example/v1/pets?page=2>; title=\"x\"; rel=\"prev next\"";
        check(both, json!([]), Some(json!({"page": 2})));
        check("", json!({"next_cursor": "abc"}), Some(json!({"cursor": "abc"})));
        check("", json!({"next_cursor": ""}), None);
        check("", json!({"next_cursor": null}), None);
    }

    #[test]
    fn a_link_to_another_place_or_with_other_parameters_is_none() {
        for link in [
            "<https://evil.example/v1/pets?page=2>; rel=next",
            "</v1/dogs?page=2>; rel=next",
            "<?page=2&admin=1>; rel=next",
            "<?page=2>; rel=prev",
            "<?page=2",
        ] {
            check(link, json!([]), None);
        }
    }
}
