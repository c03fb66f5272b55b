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

/// Arguments that take the number of a page.
const NUMBERS: [&str; 3] = ["page", "page_number", "pageNumber"];
/// Fields of an answer that say how many pages there are, which one it is, and whether there are more.
const TOTALS: [&str; 6] = ["total_pages", "totalPages", "page_count", "pageCount", "last_page", "lastPage"];
const CURRENTS: [&str; 5] = ["page", "current_page", "currentPage", "page_number", "pageNumber"];
const MORES: [&str; 6] = ["has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage"];
/// Where in an answer all these may stand, if not at its top.
const HOLDERS: [&str; 6] = ["meta", "pagination", "paging", "page_info", "pageInfo", "response_metadata"];

/// The arguments that give the next page, in place of those of this call; `None` where the answer ends, or the
/// operation has no argument for what the API said.
pub(super) fn next(tool: &Tool, asked: &str, headers: &HeaderMap, body: Option<&Value>) -> Option<Value> {
    let arguments =
        linked(tool, asked, headers).or_else(|| cursor(tool, body?)).or_else(|| numbered(tool, asked, body?))?;
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

/// The first of the fields `names` that `take` takes, at the answer's top or one level down.
fn said<T>(body: &Value, names: &[&str], take: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let mut places = std::iter::once(body).chain(HOLDERS.iter().filter_map(|holder| body.get(holder)));
    places.find_map(|place| names.iter().find_map(|name| take(place.get(name)?)))
}

/// The next page by its number, where the answer says that there is one.
fn numbered(tool: &Tool, asked: &str, body: &Value) -> Option<Map<String, Value>> {
    let parameter = NUMBERS.iter().find_map(|name| {
        let is_it = |argument: &&str| tool.input["properties"][*argument]["type"] == "integer";
        tool.parameters.iter().find(|it| it.place == Place::Query && it.argument == **name && is_it(name))
    })?;
    let schema = &tool.input["properties"][&parameter.argument];
    let asked = Url::parse(asked).ok()?;
    let shown = asked.query_pairs().find(|(name, _)| *name == parameter.name).and_then(|(_, value)| value.parse().ok());
    let first = schema["default"].as_u64().or_else(|| schema["minimum"].as_u64()).unwrap_or(1);
    let current: u64 = shown.or_else(|| said(body, &CURRENTS, Value::as_u64)).unwrap_or(first);
    let next = current.checked_add(1)?;
    let is_there = match said(body, &MORES, Value::as_bool) {
        Some(more) => more,
        // Of three pages the last is 3, or 2 where the first is 0.
        None => said(body, &TOTALS, Value::as_u64)? > current.saturating_sub(first.min(1)) + 1,
    };
    let is_in = schema["maximum"].as_u64().is_none_or(|most| next <= most);
    (is_there && is_in).then(|| Map::from_iter([(parameter.argument.clone(), json!(next))]))
}

fn cursor(tool: &Tool, body: &Value) -> Option<Map<String, Value>> {
    let value = said(body, &CURSORS, |value| {
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
    fn a_cursor_may_stand_one_level_down() {
        check("", json!({"response_metadata": {"next_cursor": "abc"}}), Some(json!({"cursor": "abc"})));
        check("", json!({"items": [{"next_cursor": "abc"}]}), None);
    }

    #[test]
    fn a_numbered_page_leads_to_the_next_as_long_as_there_is_one() {
        let paged = |schema: Value| {
            let parameters = json!([{"name": "page", "in": "query", "schema": schema}]);
            let text = json!({"openapi": "3.1.0", "paths": {"/pets": {"get": {"parameters": parameters}}}}).to_string();
            import("zoo", openapi::read(text.as_bytes()).unwrap()).tools.remove(0)
        };
        let follow = |tool: &Tool, query: &str, body: Value, expected: Option<u64>| {
            let asked = format!("https://zoo.example/v1/pets{query}");
            let found = next(tool, &asked, &HeaderMap::new(), Some(&body));
            assert_eq!(found.map(|it| it["arguments"]["page"].clone()), expected.map(Value::from), "{query} {body}");
        };
        let plain = paged(json!({"type": "integer"}));
        follow(&plain, "?page=1", json!({"totalPages": 2}), Some(2));
        follow(&plain, "?page=2", json!({"total_pages": 2}), None);
        follow(&plain, "", json!({"total_pages": 2}), Some(2));
        follow(&plain, "", json!({"meta": {"current_page": 3, "last_page": 4}}), Some(4));
        follow(&plain, "?page=7", json!({"pagination": {"hasMore": true}}), Some(8));
        follow(&plain, "?page=7", json!({"has_next": false, "total_pages": 9}), None);
        follow(&plain, "?page=7", json!({"items": []}), None);
        let from_zero = paged(json!({"type": "integer", "minimum": 0}));
        follow(&from_zero, "?page=0", json!({"page_count": 2}), Some(1));
        follow(&from_zero, "?page=1", json!({"page_count": 2}), None);
        let short = paged(json!({"type": "integer", "maximum": 7}));
        follow(&short, "?page=7", json!({"has_more": true}), None);
        let text = paged(json!({"type": "string"}));
        follow(&text, "?page=7", json!({"has_more": true}), None);
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
