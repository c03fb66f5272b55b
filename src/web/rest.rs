//! `/admin`: a request becomes an operation with its arguments, and what comes of it a response.

use std::pin::Pin;

use ::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Map, Value};

use super::route::{self, Body, Found, Route};
use super::{Answer, Web, api, full, problem, token};
use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Kind};
use crate::pipeline::identify::Known;
use crate::pipeline::request::Asked;

/// What comes over the HTTP listeners is less than what comes over the control socket: no operations for agents, which
/// have `/mcp`, and a refusal is a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    Control,
    Http,
}

/// Whether `path` belongs to administration.
pub fn is_ours(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// Answers one request of `known`.
pub async fn answer(web: &Web, front: Front, known: Known, request: Request<Bytes>) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    match route::find(method, path) {
        Found::Nothing => {
            let detail = "There is nothing here. GET /admin/openapi.json says what there is.";
            problem::mistaken(StatusCode::NOT_FOUND, detail, None)
        }
        Found::OtherMethod(methods) => other_method(&methods),
        // A form that a page of another site can send without being asked has another type, or none: with it would go
        // the password that a browser remembers.
        Found::Operation(_) | Found::Route(..) if matches!(method, "POST" | "PUT") && !is_json(&parts.headers) => {
            let detail = "Send the body as application/json; where there is nothing to say, send {}.";
            problem::mistaken(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, None)
        }
        Found::Operation(name) => match object(&body) {
            Ok(arguments) => any(web, front, known, name, Value::Object(arguments)).await,
            Err(wrong) => wrong.told(),
        },
        Found::Route(route, in_path) => {
            let query = parts.uri.query().unwrap_or_default();
            one(web, known, route, in_path, query, &body).await.unwrap_or_else(Wrong::told)
        }
    }
}

/// The operation of one route, to its end.
async fn one(
    web: &Web,
    known: Known,
    route: &'static Route,
    in_path: Vec<(&'static str, String)>,
    query: &str,
    body: &Bytes,
) -> Result<Response<Answer>, Wrong> {
    let Some(registered) = web.pipeline.catalog().get(Kind::Admin, route.operation) else {
        return Ok(problem::refused(&Refusal::internal(format!("there is no operation {}", route.operation))));
    };
    let arguments = arguments(&registered.about, route, in_path, query, body)?;
    let asked = Asked::new(Kind::Admin, route.operation, arguments, Handle::Credential);
    Ok(match api::finished(&web.pipeline, known, asked).await {
        Ok(result) => done(route, result),
        Err(refusal) => problem::refused(&refusal),
    })
}

fn done(route: &Route, mut result: Value) -> Response<Answer> {
    let status = StatusCode::from_u16(route.status).unwrap_or(StatusCode::OK);
    if status == StatusCode::NO_CONTENT {
        return full(status, String::new());
    }
    token::join(&mut result);
    json_response(status, result.to_string())
}

fn json_response(status: StatusCode, body: String) -> Response<Answer> {
    let mut response = full(status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn other_method(methods: &[&str]) -> Response<Answer> {
    let allowed = methods.join(", ");
    let detail = format!("This path is for {allowed}.");
    let mut response = problem::mistaken(StatusCode::METHOD_NOT_ALLOWED, &detail, None);
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Any operation, answered in JSON Lines as it goes.
async fn any(web: &Web, front: Front, known: Known, name: &str, arguments: Value) -> Response<Answer> {
    let kind = match front {
        Front::Http => Kind::Admin,
        // The command line searches and reads with the tools.
        Front::Control if web.pipeline.catalog().get(Kind::Admin, name).is_none() => Kind::Tool,
        Front::Control => Kind::Admin,
    };
    let pipeline = std::sync::Arc::clone(&web.pipeline);
    let mut lines = Box::pin(api::run_as(kind, pipeline, known, name.to_owned(), arguments)).peekable();
    if front == Front::Http
        && let Some(refusal) = Pin::new(&mut lines).peek().await.and_then(|line| line.get("refusal"))
    {
        // Nothing was told yet, so that it can be a status.
        return problem::of_line(refusal);
    }
    let frames = lines.map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// A request that is none of the operation's form, as far as that can be seen here.
#[derive(Debug)]
struct Wrong {
    detail: String,
    pointer: Option<String>,
}

impl Wrong {
    fn of(argument: &str, detail: String) -> Self {
        let escaped = argument.replace('~', "~0").replace('/', "~1");
        Self { detail, pointer: Some(format!("/{escaped}")) }
    }

    fn told(self) -> Response<Answer> {
        problem::mistaken(StatusCode::BAD_REQUEST, &self.detail, self.pointer.as_deref())
    }
}

/// Gathers the arguments from where the route says that they are. Whether they fit, `inspect` says.
fn arguments(
    about: &About,
    route: &Route,
    in_path: Vec<(&'static str, String)>,
    query: &str,
    body: &Bytes,
) -> Result<Value, Wrong> {
    let mut arguments = match route.body {
        Body::Json => object(body)?,
        Body::None if body.is_empty() => Map::new(),
        Body::None => {
            let detail = format!("{} of this path has no body.", route.method);
            return Err(Wrong { detail, pointer: None });
        }
    };
    let properties = &about.input["properties"];
    for (name, value) in in_path {
        if arguments.insert(name.to_owned(), typed(&properties[name], value)).is_some() {
            return Err(Wrong::of(name, format!("{name} stands in the path, and not in the body.")));
        }
    }
    let pairs = route::pairs(query)
        .ok_or_else(|| Wrong { detail: "The query is not UTF-8 in percent-encoding.".into(), pointer: None })?;
    for (name, value) in pairs {
        if !route.query.contains(&name.as_str()) {
            let known = if route.query.is_empty() { "none".to_owned() } else { route.query.join(", ") };
            return Err(Wrong::of(&name, format!("This path has no such parameter; those that there are: {known}.")));
        }
        let property = &properties[name.as_str()];
        let slot = arguments.entry(name.clone());
        if is_kind(property, "array") {
            match slot.or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(values) if values.len() < bound::QUERY_VALUES_MAX => values.push(value.into()),
                _ => return Err(Wrong::of(&name, format!("{name} has more than {} values.", bound::QUERY_VALUES_MAX))),
            }
            continue;
        }
        match slot {
            serde_json::map::Entry::Vacant(slot) => drop(slot.insert(typed(property, value))),
            serde_json::map::Entry::Occupied(_) => {
                return Err(Wrong::of(&name, format!("{name} is given more than once.")));
            }
        }
    }
    Ok(Value::Object(arguments))
}

/// A text as what the schema wants; where it is none, the text, so that `inspect` refuses it in its own words.
fn typed(property: &Value, text: String) -> Value {
    if is_kind(property, "integer")
        && let Ok(number) = text.parse::<u64>()
    {
        return number.into();
    }
    match text.as_str() {
        "true" | "false" if is_kind(property, "boolean") => (text == "true").into(),
        _ => text.into(),
    }
}

fn is_kind(property: &Value, kind: &str) -> bool {
    match &property["type"] {
        Value::String(one) => one == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// The body as a JSON object; none is an empty one.
fn object(body: &Bytes) -> Result<Map<String, Value>, Wrong> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Wrong { detail: "The body must be a JSON object.".into(), pointer: Some(String::new()) }),
        // Where it breaks, and nothing of what stands there: it may be a password.
        Err(error) => {
            let detail = format!("The body is not JSON: line {}, column {}.", error.line(), error.column());
            Err(Wrong { detail, pointer: None })
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A refusal before any operation: `/admin` was asked for in a way in which it is not served.
pub fn refused(refusal: &Refusal) -> Response<Answer> {
    problem::refused(refusal)
}

/// Administration in the clear from another machine: what is asked and answered could be read along the way.
pub fn not_private() -> Refusal {
    let public = "Administration is not served over an unencrypted connection from another machine: use https. Change what was sent in the clear.";
    Refusal::new(Code::Forbidden, public).with_private("administration over cleartext from another machine")
}
