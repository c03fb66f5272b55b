//! Bodies: JSON, `application/x-www-form-urlencoded`, and `multipart/form-data` (RFC 7578) with files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::media_type::is_media_type;
use super::request::{SentFile, WireBody, WireError};
use super::style::{self, Parts};
use super::tool::{BodyPlan, Property, Shape};
use super::upload::is_file_name;
use crate::base::bound::connector as bound;
use crate::base::id::hex;
use crate::crypto::digest::sha256;
use crate::openapi::{Encoding, Media, Style};

/// 128 random bits: no content can hold a boundary that nobody knows beforehand.
pub(super) type Boundary<'a> = &'a dyn Fn() -> Result<[u8; 16], WireError>;

pub(super) fn body(
    plan: &BodyPlan,
    arguments: &Map<String, Value>,
    boundary: Boundary<'_>,
) -> Result<Option<WireBody>, WireError> {
    let fields = match &plan.shape {
        Shape::Whole { argument } => match (plan.media, arguments.get(argument)) {
            (_, None) => return Ok(None),
            (Media::Json, Some(value)) => return json(plan, value).map(Some),
            (Media::Form | Media::Multipart, Some(Value::Object(fields))) => whole(fields, argument),
            (Media::Form | Media::Multipart, Some(_)) => {
                return Err(WireError::refused(argument, "a form is an object: a name and a value for each field"));
            }
        },
        Shape::Object { properties } => {
            let given = properties
                .iter()
                .filter_map(|it| Some(Field { property: it.clone(), value: arguments.get(&it.argument)? }));
            given.collect::<Vec<_>>()
        }
    };
    if fields.is_empty() && !plan.required {
        return Ok(None);
    }
    match plan.media {
        Media::Json => {
            let object = fields.into_iter().map(|it| (it.property.name, it.value.clone())).collect();
            json(plan, &Value::Object(object)).map(Some)
        }
        Media::Form => urlencoded(plan, &fields).map(Some),
        Media::Multipart => multipart(&fields, &boundary()?).map(Some),
    }
}

struct Field<'a> {
    property: Property,
    value: &'a Value,
}

fn whole<'a>(fields: &'a Map<String, Value>, argument: &str) -> Vec<Field<'a>> {
    let field = |(name, value): (&String, &'a Value)| Field {
        property: Property { argument: argument.to_owned(), name: name.clone(), file: false, encoding: None },
        value,
    };
    fields.iter().map(field).collect()
}

fn json(plan: &BodyPlan, value: &Value) -> Result<WireBody, WireError> {
    within(WireBody {
        content_type: plan.content_type.clone(),
        bytes: value.to_string().into_bytes(),
        files: Vec::new(),
    })
}

fn within(body: WireBody) -> Result<WireBody, WireError> {
    if body.bytes.len() > bound::WIRE_BODY_BYTES_MAX {
        return Err(WireError::TooLarge { what: "body", found: body.bytes.len(), most: bound::WIRE_BODY_BYTES_MAX });
    }
    Ok(body)
}

/// A list is a name that stands again for each item, an object one JSON text, unless the document declares a style.
fn urlencoded(plan: &BodyPlan, fields: &[Field<'_>]) -> Result<WireBody, WireError> {
    let mut pairs = Vec::new();
    for Field { property, value } in fields {
        let encoding = property.encoding.clone().unwrap_or_default();
        let Encoding { style, explode, .. } = encoding;
        if style.is_none() && holds_objects(value) {
            pairs.push((style::encode(&property.name), style::encode(&value.to_string())));
            continue;
        }
        let style = style.unwrap_or(Style::Form);
        let explode = explode.unwrap_or(style == Style::Form);
        // A form has fields and no declared parameters: an object's keys are its own.
        let keys: Vec<String> = value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
        pairs.extend(style::pairs(style, explode, &property.name, value, &keys, &property.argument)?);
    }
    let text: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    within(WireBody { content_type: plan.content_type.clone(), bytes: text.join("&").into_bytes(), files: Vec::new() })
}

fn holds_objects(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(|item| item.is_object() || item.is_array()),
        _ => false,
    }
}

fn multipart(fields: &[Field<'_>], random: &[u8; 16]) -> Result<WireBody, WireError> {
    let boundary = format!("sekisho-{}", hex(random));
    let mut body = WireBody {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        bytes: Vec::new(),
        files: Vec::new(),
    };
    for Field { property, value } in fields {
        let values: Vec<&Value> = match value {
            Value::Array(items) if property.file || !holds_objects(value) => items.iter().collect(),
            value => vec![value],
        };
        for value in values {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&property.name));
            body.bytes.extend_from_slice(head.as_bytes());
            if property.file {
                let file = File::parse(value, &property.argument)?;
                let head = format!("; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n", file.name, file.media_type);
                body.bytes.extend_from_slice(head.as_bytes());
                let begin = body.bytes.len();
                body.bytes.extend_from_slice(&file.content);
                let (hash, at) = (sha256(&[&file.content]), begin..body.bytes.len());
                body.files.push(SentFile { name: file.name, bytes: file.content.len(), sha256: hash, at });
            } else {
                part(property, value, &mut body.bytes)?;
            }
            body.bytes.extend_from_slice(b"\r\n");
            if body.bytes.len() > bound::WIRE_BODY_BYTES_MAX {
                return within(body);
            }
        }
    }
    body.bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    within(body)
}

fn part(property: &Property, value: &Value, bytes: &mut Vec<u8>) -> Result<(), WireError> {
    let declared = property.encoding.as_ref().and_then(|it| it.content_type.clone());
    let (content_type, text) = if value.is_object() || value.is_array() {
        (Some(declared.unwrap_or_else(|| "application/json".into())), value.to_string())
    } else {
        match style::parts(value, &property.argument)? {
            Parts::One(text) => (declared, text),
            Parts::List(_) | Parts::Fields(_) => (declared, value.to_string()),
        }
    };
    if let Some(content_type) = content_type {
        bytes.extend_from_slice(format!("\r\nContent-Type: {content_type}").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

/// A name in quotes, as browsers write it (RFC 7578, section 2).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// A file as an agent gives it.
struct File {
    name: String,
    media_type: String,
    content: Vec<u8>,
}

impl File {
    fn parse(value: &Value, argument: &str) -> Result<Self, WireError> {
        let refused = |reason: &str| WireError::refused(argument, reason);
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let name = text("name").unwrap_or_default();
        if !is_file_name(name) {
            return Err(refused(
                "a file's name has 1 to 255 letters, digits, dots, hyphens and underscores, and is not `.` or `..`",
            ));
        }
        let media_type = text("media_type").unwrap_or("application/octet-stream");
        if !is_media_type(media_type) {
            return Err(refused("a file's media type is such as application/pdf"));
        }
        // With padding, without line breaks: one content has one form.
        let content = STANDARD.decode(text("data").unwrap_or_default());
        let content = content.map_err(|_| refused("a file's data is base64 with padding, without line breaks"))?;
        Ok(Self { name: name.to_owned(), media_type: media_type.to_owned(), content })
    }
}
