//! The operation `admin.openapi`: the OpenAPI document (3.1) of `/admin`, made of the table of routes and of what the
//! operations say of themselves.

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::route::{Body, OPERATIONS, ROUTES, Route, argument_of};
use super::{problem, token};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Catalog, Cx, Effect, Kind, Operation, Outcome, Output};

/// Describes the API to whoever may administer: what there is, is nobody else's business.
#[derive(Debug)]
pub struct Describe {
    about: About,
}

impl Default for Describe {
    fn default() -> Self {
        let input = json!({"type": "object", "properties": {}, "additionalProperties": false});
        let title = "The OpenAPI document of the admin API";
        let mut about = About::reading(Kind::Admin, "admin.openapi", title, title, input);
        about.output = Some(json!({"type": "object"}));
        Self { about: about.in_group(ActionGroup::Operate) }
    }
}

impl Operation for Describe {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async { Ok(Outcome::Done(Output::structured(document(&cx.catalog)?, String::new()))) })
    }
}

/// The document. An operation that a route names and the catalogue lacks is our own fault.
fn document(catalog: &Catalog) -> Result<Value, Refusal> {
    let mut schemas = Schemas::default();
    schemas.all.insert("Problem".into(), problem_schema());
    let mut paths = Map::new();
    for route in ROUTES {
        let registered = catalog.get(Kind::Admin, route.operation);
        let registered =
            registered.ok_or_else(|| Refusal::internal(format!("there is no operation {}", route.operation)))?;
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(&mut schemas, route, &registered.about);
    }
    let names = catalog.all().into_iter().filter(|registered| registered.about.kind == Kind::Admin);
    let names: Vec<String> = names.map(|registered| registered.about.name.clone()).collect();
    paths.insert(format!("{OPERATIONS}{{operation}}"), json!({"post": any_operation(&names)}));
    let description = "Each request is one operation of Sekisho and takes its one path: identify, admit, inspect, authorize, dispatch, redact, record. \
                       It is for accounts whose role the policy lets, over TLS or on the same machine.";
    Ok(json!({
        "openapi": "3.1.0",
        "info": {"title": "Sekisho administration", "version": env!("CARGO_PKG_VERSION"), "description": description},
        "servers": [{"url": "/"}],
        "security": [{"account": []}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "account": {"type": "http", "scheme": "basic", "description": "An account's name and password."},
                "token": {"type": "http", "scheme": "bearer", "description": "A token that was issued for an account."},
            },
            "responses": REFUSALS.iter().map(|code| (code.as_str().to_owned(), refusal(*code))).collect::<Map<_, _>>(),
            "schemas": schemas.all,
        },
    }))
}

/// Schemas under `components`, where each has one name: an operation's own are hoisted there.
#[derive(Default)]
struct Schemas {
    all: Map<String, Value>,
}

impl Schemas {
    /// Takes the definitions out of `schema` and points its references to where they are now. `prefix` keeps types of
    /// the same name apart that two operations have each for itself.
    fn hoist(&mut self, prefix: &str, schema: &Value) -> Value {
        let mut schema = schema.clone();
        let definitions = schema.as_object_mut().and_then(|fields| fields.remove("$defs"));
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("$schema");
            // The names of our own types are nobody's business.
            fields.remove("title");
        }
        for (name, definition) in definitions.as_ref().and_then(Value::as_object).into_iter().flatten() {
            let mut definition = definition.clone();
            repoint(prefix, &mut definition);
            self.all.insert(format!("{prefix}.{name}"), definition);
        }
        repoint(prefix, &mut schema);
        schema
    }
}

fn repoint(prefix: &str, value: &mut Value) {
    let mut stack = vec![value];
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get_mut("$ref")
                    && let Some(name) = reference.strip_prefix("#/$defs/")
                {
                    *reference = format!("#/components/schemas/{prefix}.{name}");
                }
                stack.extend(fields.values_mut());
            }
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
}

fn operation(schemas: &mut Schemas, route: &Route, about: &About) -> Value {
    let input = schemas.hoist(&format!("{}.arguments", about.name), &about.input);
    let is_required = |name: &str| required(&input).any(|required| required == name);
    let in_path: Vec<&str> = route.path.split('/').filter_map(argument_of).collect();
    let parameter = |place: &str, name: &str, always: bool| {
        let schema = input["properties"].get(name).cloned().unwrap_or_else(|| json!({}));
        let mut parameter = json!({"name": name, "in": place, "required": always, "schema": schema});
        if let Some(description) = schema.get("description") {
            parameter["description"] = description.clone();
        }
        parameter
    };
    let of_path = in_path.iter().map(|name| parameter("path", name, true));
    let of_query = route.query.iter().map(|name| parameter("query", name, is_required(name)));
    let parameters: Vec<Value> = of_path.chain(of_query).collect();
    let mut operation = json!({
        "operationId": id(route),
        "summary": about.title,
        "tags": [route.path.split('/').nth(2).unwrap_or_default().trim_end_matches(".json")],
        "x-sekisho-operation": about.name,
        "x-sekisho-group": about.action_group,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if route.body == Body::Json {
        operation["requestBody"] = request_body(&input, &in_path);
    }
    operation["responses"] = responses(schemas, route, about);
    operation
}

/// What is left of the arguments when those in the path are taken out.
fn request_body(input: &Value, in_path: &[&str]) -> Value {
    let mut schema = input.clone();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| !in_path.contains(&name.as_str()));
    }
    let needed: Vec<Value> = required(input).filter(|name| !in_path.contains(name)).map(Value::from).collect();
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("required");
    }
    let is_needed = !needed.is_empty();
    if is_needed {
        schema["required"] = needed.into();
    }
    json!({"required": is_needed, "content": {"application/json": {"schema": schema}}})
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn responses(schemas: &mut Schemas, route: &Route, about: &About) -> Value {
    let mut responses = Map::new();
    let success = match (&about.output, route.status) {
        (_, 204) => json!({"description": "Done."}),
        (output, _) => {
            let schema = output.clone().unwrap_or_else(|| json!({"type": "object"}));
            let mut schema = schemas.hoist(&format!("{}.result", about.name), &schema);
            token::join_schema(&mut schema);
            json!({"description": "Done.", "content": {"application/json": {"schema": schema}}})
        }
    };
    responses.insert(route.status.to_string(), success);
    refusals(&mut responses, about.effect);
    Value::Object(responses)
}

/// How an operation may be refused.
const REFUSALS: [Code; 9] = [
    Code::Invalid,
    Code::Unauthenticated,
    Code::Forbidden,
    Code::NotFound,
    Code::Conflict,
    Code::TooLarge,
    Code::TooManyRequests,
    Code::Internal,
    Code::Busy,
];

/// What only reads is in conflict with nothing.
fn refusals(responses: &mut Map<String, Value>, effect: Effect) {
    for code in REFUSALS.into_iter().filter(|code| effect != Effect::ReadOnly || *code != Code::Conflict) {
        let reference = format!("#/components/responses/{}", code.as_str());
        responses.insert(code.http_status().to_string(), json!({"$ref": reference}));
    }
}

fn refusal(code: Code) -> Value {
    json!({
        "description": format!("Refused: {}.", code.as_str().replace('_', " ")),
        "content": {problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    })
}

fn any_operation(names: &[String]) -> Value {
    let mut responses = Map::new();
    let description = "JSON Lines: objects with `progress` or `event`, and last one with `result` or `refusal`.";
    responses.insert("200".into(), json!({"description": description, "content": {"application/x-ndjson": {}}}));
    refusals(&mut responses, Effect::Changes);
    json!({
        "operationId": "post_operations",
        "summary": "Any operation, with its arguments",
        "tags": ["operations"],
        "parameters": [{"name": "operation", "in": "path", "required": true, "schema": {"type": "string", "enum": names}}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": responses,
    })
}

fn problem_schema() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What was expected, what was found, the way out."},
            "code": text,
            "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) to the argument that does not fit."},
            "retry_after_seconds": {"type": "integer"},
        },
        "required": ["type", "title", "status", "detail", "code"],
    })
}

/// Unique, because a method and a path are.
fn id(route: &Route) -> String {
    let segments = route.path.split('/').filter(|segment| !segment.is_empty() && *segment != "admin");
    let words = segments.map(|segment| segment.trim_matches(['{', '}']).replace(['-', '.'], "_"));
    std::iter::once(route.method.to_ascii_lowercase()).chain(words).collect::<Vec<_>>().join("_")
}
