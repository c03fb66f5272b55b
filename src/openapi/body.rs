//! What an operation is sent and what it answers: content types and their schemas.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::media_type::{essence, is_json, is_media_type};
use super::schema::{self, Schemas, Side, TooMany};
use super::{Body, Dialect, Encoding, Media, Response, clean, parameter, pointer};
use crate::base::bound::connector as bound;

/// Why there is no body: what it is, and whether the operation cannot go without.
pub(super) struct NoBody {
    pub(super) required: bool,
    pub(super) reason: String,
}

pub(super) fn body(
    root: &Value,
    value: &Value,
    at: &str,
    schemas: &mut Schemas<'_>,
) -> Result<Result<Body, NoBody>, TooMany> {
    let (value, at) = match pointer::follow(root, value, at) {
        Ok(found) => found,
        Err(reason) => return Ok(Err(NoBody { required: true, reason })),
    };
    let required = value.get("required") == Some(&Value::Bool(true));
    let nothing = Map::new();
    let content = value.get("content").and_then(Value::as_object).unwrap_or(&nothing);
    let Some((media, written, object)) = chosen(content) else {
        let found: Vec<&str> = content.keys().take(4).map(String::as_str).collect();
        let found = clean::line(&found.join(", "), bound::OPENAPI_SUMMARY_CHARS_MAX);
        let reason =
            format!("its body is {found}; JSON, application/x-www-form-urlencoded and multipart/form-data are sent");
        return Ok(Err(NoBody { required, reason }));
    };
    let at = pointer::below(&pointer::below(&at, "content"), written);
    let raw = object.get("schema").unwrap_or(&Value::Bool(true));
    let schema = schemas.convert(raw, &pointer::below(&at, "schema"))?;
    let content_type = match essence(written) {
        any if any == "*/*" => "application/json".to_owned(),
        essence => essence,
    };
    Ok(Ok(Body {
        media,
        content_type,
        required,
        description: clean::field(value, "description", bound::OPENAPI_VALUE_DESCRIPTION_CHARS_MAX),
        schema,
        read_only: schema::marked(root, raw, "readOnly"),
        encoding: encodings(object),
    }))
}

/// JSON before forms, `application/json` before its kin; among kin the first by name, whatever the document's order.
fn chosen(content: &Map<String, Value>) -> Option<(Media, &str, &Value)> {
    let rank = |media: &str| match essence(media).as_str() {
        "application/json" => Some((0, Media::Json)),
        _ if is_json(media) => Some((1, Media::Json)),
        "multipart/form-data" => Some((2, Media::Multipart)),
        "application/x-www-form-urlencoded" => Some((3, Media::Form)),
        _ => None,
    };
    let usable =
        content.iter().filter_map(|(name, object)| rank(name).map(|(rank, media)| (rank, name, media, object)));
    usable.min_by_key(|(rank, name, ..)| (*rank, *name)).map(|(_, name, media, object)| (media, name.as_str(), object))
}

fn encodings(object: &Value) -> BTreeMap<String, Encoding> {
    let declared = object.get("encoding").and_then(Value::as_object).into_iter().flatten();
    declared
        .take(bound::OPENAPI_PARAMETERS_MAX)
        .map(|(name, encoding)| {
            let content_type = encoding.get("contentType").and_then(Value::as_str).map(essence);
            let encoding = Encoding {
                content_type: content_type.filter(|essence| is_media_type(essence)),
                style: encoding.get("style").and_then(parameter::style_named),
                explode: encoding.get("explode").and_then(Value::as_bool),
            };
            (name.clone(), encoding)
        })
        .collect()
}

/// The responses, lowest status first. Only the first that means success gets a schema: it is what a tool promises.
pub(super) fn responses(
    root: &Value,
    dialect: Dialect,
    operation: &Value,
    at: &str,
    left_out: &mut Vec<(String, String)>,
) -> (Vec<Response>, usize) {
    let at = pointer::below(at, "responses");
    let mut declared: Vec<(&String, &Value)> =
        operation.get("responses").and_then(Value::as_object).into_iter().flatten().collect();
    declared.retain(|(status, _)| is_status(status));
    declared.sort_by_key(|(status, _)| status.as_str());
    declared.truncate(bound::OPENAPI_RESPONSES_MAX);
    let (mut made, mut nodes, mut promised) = (Vec::new(), 0, false);
    for (status, value) in declared {
        let Ok((value, at)) = pointer::follow(root, value, &pointer::below(&at, status)) else { continue };
        let content = value.get("content").and_then(Value::as_object);
        let json = content.into_iter().flatten().find(|(media, _)| is_json(media));
        let essences = content.into_iter().flatten().map(|(media, _)| essence(media));
        let known = |it: &String| is_media_type(it) || it.ends_with("/*");
        let content_types = essences.filter(known).take(bound::OPENAPI_CONTENT_TYPES_MAX).collect();
        let mut schema = None;
        if let Some((media, object)) = json.filter(|_| !promised && status.starts_with('2')) {
            promised = true;
            let at = pointer::below(&pointer::below(&pointer::below(&at, "content"), media), "schema");
            match object.get("schema").map(|raw| output(root, dialect, raw, &at)) {
                Some(Ok((made, cost))) => (schema, nodes) = (Some(made), nodes + cost),
                Some(Err(TooMany)) => {
                    nodes += bound::OPENAPI_RESULT_NODES_MAX;
                    left_out.push((at, "the schema of the result is too large to be told".into()));
                }
                None => {}
            }
        }
        made.push(Response {
            status: status.clone(),
            description: clean::field(value, "description", bound::OPENAPI_VALUE_DESCRIPTION_CHARS_MAX),
            content_types,
            schema,
        });
    }
    (made, nodes)
}

fn is_status(status: &str) -> bool {
    status == "default" || (status.len() == 3 && status.starts_with(['1', '2', '3', '4', '5']))
}

/// A schema that stands alone: with its definitions.
fn output(root: &Value, dialect: Dialect, raw: &Value, at: &str) -> Result<(Value, usize), TooMany> {
    let mut schemas = Schemas::new(root, dialect, Side::Out, bound::OPENAPI_RESULT_NODES_MAX);
    let mut schema = schemas.convert(raw, at)?;
    let finished = schemas.finish(&mut [&mut schema])?;
    if let Some(fields) = schema.as_object_mut().filter(|_| !finished.definitions.is_empty()) {
        fields.insert("$defs".into(), Value::Object(finished.definitions));
    }
    Ok((schema, finished.nodes))
}
