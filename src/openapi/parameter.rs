//! Parameters: where they stand, how they are written, and which headers no argument sets.

use serde_json::{Map, Value};

use super::media_type::is_json;
use super::schema::{Schemas, TooMany};
use super::{Form, Parameter, Place, Style, clean, pointer};
use crate::base::bound::connector as bound;

/// Whether a document may declare this header as a parameter.
///
/// Not those of the connection and of the message itself (RFC 9110, sections 7.6.1 and 8), not those that say who asks
/// or for whom, and not those with which some servers let a request mean another method, host or path.
pub fn is_settable_header(name: &str) -> bool {
    const NEVER: [&str; 37] = [
        "accept",
        "accept-charset",
        "accept-encoding",
        "alt-used",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "cookie2",
        "date",
        "expect",
        "forwarded",
        "from",
        "host",
        "http2-settings",
        "keep-alive",
        "max-forwards",
        "origin",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
        "x-host",
        "x-original-method",
    ];
    let name = name.to_ascii_lowercase();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let families = ["proxy-", "sec-", "x-forwarded-", "x-sekisho-", "access-control-"];
    !name.is_empty()
        && name.bytes().all(token)
        && !NEVER.contains(&name.as_str())
        && !families.iter().any(|family| name.starts_with(family))
}

/// Why a parameter is not one: it may matter for the whole operation.
pub(super) struct Unusable {
    pub(super) required: bool,
    pub(super) reason: String,
}

/// A parameter object whose references were followed, with its place and name.
pub(super) struct Declared<'a> {
    pub(super) value: &'a Value,
    pub(super) pointer: String,
    pub(super) place: Place,
    pub(super) name: &'a str,
}

/// Looks who a parameter is; `Ok(None)` for what is not a parameter of ours (an ignored header).
pub(super) fn declared<'a>(root: &'a Value, value: &'a Value, at: &str) -> Result<Declared<'a>, Unusable> {
    let (value, pointer) = pointer::follow(root, value, at).map_err(|reason| Unusable { required: true, reason })?;
    let required = value.get("required") == Some(&Value::Bool(true));
    let unusable = |reason: &str| Unusable { required, reason: reason.into() };
    let name = value.get("name").and_then(Value::as_str).ok_or_else(|| unusable("the parameter has no name"))?;
    let place = match value.get("in").and_then(Value::as_str) {
        Some("path") => Place::Path,
        Some("query") => Place::Query,
        Some("header") => Place::Header,
        Some("cookie") => Place::Cookie,
        _ => return Err(unusable("the parameter is neither in path, query, header nor cookie")),
    };
    if name.is_empty() || name.len() > bound::OPENAPI_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(unusable("the parameter's name is empty, too long or has control characters"));
    }
    let cookie_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    if place == Place::Cookie && !name.bytes().all(cookie_token) {
        return Err(unusable("the cookie's name has characters that no cookie has"));
    }
    Ok(Declared { value, pointer, place, name })
}

pub(super) fn parameter(
    declared: &Declared<'_>,
    schemas: &mut Schemas<'_>,
) -> Result<Result<Parameter, Unusable>, TooMany> {
    let Declared { value, pointer, place, name } = declared;
    let required = *place == Place::Path || value.get("required") == Some(&Value::Bool(true));
    let unusable = |reason: String| Ok(Err(Unusable { required, reason }));
    if *place == Place::Header && !is_settable_header(name) {
        // The specification lets Accept, Content-Type and Authorization be ignored; the others are as much ours.
        return Ok(Err(Unusable { required: false, reason: format!("no argument sets the header {name}") }));
    }
    let (form, schema) = match (value.get("content").and_then(Value::as_object), value.get("schema")) {
        (Some(content), _) => match json_of(content) {
            Some((media, schema)) => {
                let at = pointer::below(&pointer::below(&pointer::below(pointer, "content"), media), "schema");
                (Form::Json, schemas.convert(schema, &at)?)
            }
            None => return unusable("its content is not JSON".into()),
        },
        (None, Some(schema)) => match style(value, *place) {
            Ok(form) => (form, schemas.convert(schema, &pointer::below(pointer, "schema"))?),
            Err(reason) => return unusable(reason),
        },
        (None, None) => return unusable("it has neither schema nor content".into()),
    };
    let mut schema = schema;
    if let Some(fields) = schema.as_object_mut() {
        let description = clean::field(value, "description", bound::OPENAPI_VALUE_DESCRIPTION_CHARS_MAX);
        if !description.is_empty() {
            fields.insert("description".into(), Value::from(description));
        }
        if value.get("deprecated") == Some(&Value::Bool(true)) {
            fields.insert("deprecated".into(), Value::Bool(true));
        }
        let free = fields.get("type").is_some_and(|it| it == "object") && !fields.contains_key("properties");
        let exploded = matches!(form, Form::Style { style: Style::Form, explode: true });
        let composed = ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|keyword| fields.contains_key(*keyword));
        if free && exploded && !composed {
            return unusable(
                "its keys would be parameters of their own that nobody declared; declare `content` or a `style`".into(),
            );
        }
    }
    let argument = value.get("x-sekisho-argument").and_then(Value::as_str).map(str::to_owned);
    Ok(Ok(Parameter { name: (*name).to_owned(), argument, place: *place, required, form, schema }))
}

/// The JSON among content types, and its schema.
fn json_of(content: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (media, object) = content.iter().find(|(media, _)| is_json(media))?;
    Some((media, object.get("schema").unwrap_or(&Value::Bool(true))))
}

fn style(value: &Value, place: Place) -> Result<Form, String> {
    let default = match place {
        Place::Path | Place::Header => Style::Simple,
        Place::Query | Place::Cookie => Style::Form,
    };
    let style = match value.get("style") {
        None => default,
        Some(name) => style_named(name).ok_or_else(|| format!("its style {name} is not known"))?,
    };
    let fits = match place {
        Place::Path => matches!(style, Style::Simple | Style::Label | Style::Matrix),
        Place::Query => matches!(style, Style::Form | Style::SpaceDelimited | Style::PipeDelimited | Style::DeepObject),
        Place::Header => style == Style::Simple,
        Place::Cookie => style == Style::Form,
    };
    if !fits {
        return Err(format!("its style does not fit its place in {}", place.as_str()));
    }
    let explode = value.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
    Ok(Form::Style { style, explode })
}

pub(super) fn style_named(name: &Value) -> Option<Style> {
    serde_json::from_value(name.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_message_and_of_who_asks_are_never_arguments() {
        for name in [
            "Authorization",
            "cookie",
            "HOST",
            "Connection",
            "Transfer-Encoding",
            "Content-Length",
            "Proxy-Authorization",
            "X-HTTP-Method-Override",
            "X-Forwarded-For",
            "X-Original-URL",
            "Sec-Fetch-Site",
            "bad name",
            "",
            "a:b",
            "a\r\nb",
        ] {
            assert!(!is_settable_header(name), "{name}");
        }
        for name in ["X-Request-Id", "If-Match", "Range", "Idempotency-Key", "Prefer"] {
            assert!(is_settable_header(name), "{name}");
        }
    }
}
