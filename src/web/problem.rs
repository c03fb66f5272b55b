//! Problem details (RFC 9457): the one shape of an error of the admin API, with the public text only.

use std::time::Duration;

use ::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Answer, full, tell_when};
use crate::base::refusal::{Code, Refusal};

/// Its media type.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// What is told of a refusal: `status` and its phrase, the public text, the code, and what helps a program (a JSON
/// pointer, when to come back).
fn problem(status: StatusCode, code: &str, detail: &str, data: Option<&Value>, wait: Option<u64>) -> Value {
    let mut problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
        "code": code,
    });
    for (name, value) in data.and_then(Value::as_object).into_iter().flatten() {
        if problem.get(name).is_none() {
            problem[name] = value.clone();
        }
    }
    if let Some(wait) = wait {
        problem["retry_after_seconds"] = wait.into();
    }
    problem
}

/// A refusal as a response.
pub(super) fn refused(refusal: &Refusal) -> Response<Answer> {
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem =
        problem(status, refusal.code.as_str(), &refusal.public, refusal.data.as_ref(), refusal.retry_after_seconds());
    let mut response = respond(status, &problem);
    tell_when(&mut response, refusal);
    response
}

/// The same of a refusal that comes as a line of [`super::api`].
pub(super) fn of_line(line: &Value) -> Response<Answer> {
    let code = line["code"].as_str().and_then(Code::named).unwrap_or(Code::Internal);
    let mut refusal = Refusal::new(code, line["message"].as_str().unwrap_or_default());
    refusal.data = line.get("data").filter(|data| !data.is_null()).cloned();
    refusal.retry_after = line["retry_after_ms"].as_u64().map(Duration::from_millis);
    refused(&refusal)
}

/// A mistake in the request itself, which no operation has seen.
pub(super) fn mistaken(status: StatusCode, detail: &str, pointer: Option<&str>) -> Response<Answer> {
    let code = match status {
        StatusCode::NOT_FOUND => Code::NotFound.as_str(),
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        StatusCode::FORBIDDEN => Code::Forbidden.as_str(),
        _ => Code::Invalid.as_str(),
    };
    let data = pointer.map(|pointer| json!({"pointer": pointer}));
    respond(status, &problem(status, code, detail, data.as_ref(), None))
}

fn respond(status: StatusCode, problem: &Value) -> Response<Answer> {
    let mut response = full(status, problem.to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}
