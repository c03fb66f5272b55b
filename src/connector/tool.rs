//! From an operation to a tool: what an agent gives, what it gets, and how each argument goes over the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::name::{self, Claim};
use super::object;
use super::tool_schema::{input, output};
use crate::base::bound::connector as bound;
use crate::crypto::digest::{Hash, sha256};
use crate::openapi::{
    Body, Document, Encoding, Form, LeftOut, Media, Method, Operation, Parameter, PathTemplate, Place, SecurityScheme,
    Style, UploadStep,
};

/// One operation as a tool. All that an agent reads of it and all that goes over the wire is in its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub title: String,
    pub description: String,
    pub method: Method,
    /// As the document writes it, behind the server's path.
    pub path: String,
    pub template: PathTemplate,
    pub id: Option<String>,
    pub tags: Vec<String>,
    pub deprecated: bool,
    pub parameters: Vec<Argument>,
    pub body: Option<BodyPlan>,
    /// JSON Schema of the arguments: one flat object, closed.
    pub input: Value,
    /// JSON Schema of the result, an object, where the document has one.
    pub output: Option<Value>,
    /// The result is no object by itself and stands in the field `result`.
    pub wrapped: bool,
    pub answers: Vec<Answer>,
    /// Names of security schemes, of which each inner list is one sufficient way in.
    pub security: Vec<Vec<String>>,
    /// Which step of an upload in pieces it is; names are those of arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadStep>,
}

/// A parameter and the argument that sets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    pub argument: String,
    /// As it goes over the wire.
    pub name: String,
    pub place: Place,
    pub form: Form,
    /// Where an object's keys become parameters of their own: those that the document declares.
    pub keys: Vec<String>,
}

/// How the body is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BodyPlan {
    pub media: Media,
    pub content_type: String,
    pub required: bool,
    pub shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One argument is the body.
    Whole { argument: String },
    /// Arguments are the properties of an object.
    Object { properties: Vec<Property> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Property {
    pub argument: String,
    pub name: String,
    /// In a multipart body: the argument is a file, or a list of files.
    pub file: bool,
    pub encoding: Option<Encoding>,
}

/// A status and what comes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `200`, `4XX`, `default`.
    pub status: String,
    /// Without their parameters; an answer may have any of them. Empty: the document does not say.
    pub content_types: Vec<String>,
}

/// What calling a tool does to the world, by its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Read,
    Write,
    Delete,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

impl Tool {
    /// The description as agents get it. What is deprecated says so in it: clients show nothing else. It is no part of what
    /// is pinned, so that this word puts nothing in quarantine.
    pub fn told(&self) -> String {
        if self.deprecated {
            format!("Deprecated. {}", self.description).trim_end().to_owned()
        } else {
            self.description.clone()
        }
    }

    pub fn class(&self) -> Class {
        match self.method {
            Method::Get | Method::Head => Class::Read,
            Method::Delete => Class::Delete,
            Method::Post | Method::Put | Method::Patch => Class::Write,
        }
    }

    /// SHA-256 over the canonical form: JSON without white space, keys in the order of their bytes.
    pub fn digest(&self) -> Hash {
        sha256(&[self.canonical().as_bytes()])
    }

    pub fn canonical(&self) -> String {
        canonical_of(self)
    }
}

/// JSON without white space, keys in the order of their bytes.
pub(super) fn canonical_of<T: Serialize>(value: &T) -> String {
    let mut out = String::new();
    canonical(&serde_json::to_value(value).unwrap_or_default(), &mut out);
    out
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_bytes());
            out.push('{');
            for (n, (name, value)) in fields.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// How the API wants to know its caller, by the names that tools refer to.
pub type Schemes = BTreeMap<String, SecurityScheme>;

/// A document's tools, in the order of their names, and what was left out on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    pub title: String,
    pub version: String,
    /// As the document writes it; calls go to the base URL.
    pub server: Option<String>,
    pub tools: Vec<Tool>,
    pub security: Schemes,
    pub left_out: Vec<LeftOut>,
    pub left_out_more: usize,
    /// Texts of the document that hide something, with their places.
    pub hidden: Vec<(String, String)>,
}

/// Makes the tools of a document.
pub fn import(connector: &str, document: Document) -> Import {
    let Document { title, version, server, operations, security, mut left_out, left_out_more, hidden, .. } = document;
    let names = name::of_tools(connector, &operations);
    let mut tools = Vec::with_capacity(operations.len());
    for (operation, name) in operations.into_iter().zip(names) {
        let pointer = operation.pointer.clone();
        match tool(operation, name) {
            Ok(tool) => tools.push(tool),
            Err(reason) => left_out.push(LeftOut { pointer, operation: true, reason }),
        }
    }
    tools.sort_by(|one, two| one.name.cmp(&two.name));
    Import { title, version, server, tools, security, left_out, left_out_more, hidden }
}

fn tool(operation: Operation, name: String) -> Result<Tool, String> {
    let template = PathTemplate::parse(&format!("{}{}", operation.server_path, operation.path))?;
    let Operation {
        method,
        path,
        id,
        tags,
        summary,
        description,
        deprecated,
        body,
        responses,
        definitions,
        security,
        upload,
        ..
    } = operation;
    let mut parameters = operation.parameters;
    parameters.sort_by_key(|it| (it.place, !it.required));
    let flat = body.as_ref().and_then(|body| flat_body(body, &definitions));
    let names = argument_names(&parameters, body.as_ref(), flat.as_ref());
    if names.len() > bound::OPENAPI_PARAMETERS_MAX {
        return Err(format!("it has more than {} arguments", bound::OPENAPI_PARAMETERS_MAX));
    }
    let mut names = names.into_iter();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let mut arguments = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        let argument = names.next().unwrap_or_default();
        if parameter.required {
            required.push(argument.clone());
        }
        let exploded = matches!(parameter.form, Form::Style { style: Style::Form, explode: true });
        let keys = if exploded { object::declared(&parameter.schema, &definitions) } else { Vec::new() };
        properties.insert(argument.clone(), parameter.schema);
        arguments.push(Argument { argument, name: parameter.name, place: parameter.place, form: parameter.form, keys });
    }
    let body = body.map(|body| plan(body, flat, &mut names, &mut properties, &mut required, &definitions));
    let upload = upload.map(|step| step_of_arguments(step, &arguments, body.as_ref())).transpose()?;
    let input = input(properties, required, definitions)?;
    let (output, wrapped) = output(responses.iter().find_map(|it| it.schema.as_ref().filter(|_| it.is_success())));
    let title = if summary.is_empty() { format!("{} {path}", method.as_str()) } else { summary.clone() };
    let description = match (summary.is_empty(), description.is_empty()) {
        (_, true) => title.clone(),
        (true, false) => description,
        (false, false) if description.starts_with(&summary) => description,
        (false, false) => format!("{}. {description}", summary.trim_end_matches('.')),
    };
    let answers =
        responses.into_iter().map(|it| Answer { status: it.status, content_types: it.content_types }).collect();
    Ok(Tool {
        name,
        title,
        description,
        method,
        path,
        template,
        id,
        tags,
        deprecated,
        parameters: arguments,
        body,
        input,
        output,
        wrapped,
        answers,
        security,
        upload,
    })
}

/// The body as arguments of their own. Not where it may be left away but has to have something in it: then one
/// argument says both.
fn flat_body(body: &Body, definitions: &Map<String, Value>) -> Option<object::Object> {
    let mut object = object::flat(&body.schema, definitions)?;
    object.required.retain(|name| !body.read_only.contains(name));
    (body.required || object.required.is_empty()).then_some(object)
}

fn argument_names(parameters: &[Parameter], body: Option<&Body>, flat: Option<&object::Object>) -> Vec<String> {
    let claim = |it: &Parameter| (it.place.as_str(), it.argument.clone().unwrap_or_else(|| it.name.clone()));
    let mut claims: Vec<(&str, String)> = parameters.iter().map(claim).collect();
    match (body, flat) {
        (Some(_), Some(object)) => claims.extend(object.properties.keys().map(|name| ("body", name.clone()))),
        (Some(_), None) => claims.push(("body", "body".into())),
        (None, _) => {}
    }
    let claims: Vec<Claim<'_>> = claims.iter().map(|(place, name)| Claim { place, name }).collect();
    name::of_arguments(&claims)
}

fn plan(
    body: Body,
    flat: Option<object::Object>,
    names: &mut impl Iterator<Item = String>,
    arguments: &mut Map<String, Value>,
    required: &mut Vec<String>,
    definitions: &Map<String, Value>,
) -> BodyPlan {
    let Body { media, content_type, required: needed, description, mut schema, mut encoding, .. } = body;
    let shape = if let Some(object) = flat {
        let mut properties = Vec::with_capacity(object.properties.len());
        for (name, schema) in object.properties {
            let argument = names.next().unwrap_or_default();
            if object.required.contains(&name) {
                required.push(argument.clone());
            }
            let upload = if media == Media::Multipart { upload(&schema, definitions) } else { None };
            let file = upload.is_some();
            arguments.insert(argument.clone(), upload.unwrap_or(schema));
            let encoding = encoding.remove(&name);
            properties.push(Property { argument, name, file, encoding });
        }
        Shape::Object { properties }
    } else {
        let argument = names.next().unwrap_or_default();
        if needed {
            required.push(argument.clone());
        }
        if let Some(fields) = schema.as_object_mut()
            && !description.is_empty()
            && !fields.contains_key("description")
        {
            fields.insert("description".into(), Value::from(description));
        }
        arguments.insert(argument.clone(), schema);
        Shape::Whole { argument }
    };
    BodyPlan { media, content_type, required: needed, shape }
}

/// The schema of a file's argument in the place of the document's `format: binary`; `None` for what is no file.
fn upload(schema: &Value, definitions: &Map<String, Value>) -> Option<Value> {
    let meant = object::meant(schema, definitions);
    let is_file = |schema: &Value| {
        let encoded = schema.get("contentEncoding").is_some();
        schema.get("format").is_some_and(|it| it == "binary") || (schema.get("contentMediaType").is_some() && !encoded)
    };
    let description = schema.get("description").or_else(|| meant.get("description"));
    let mut made = if is_file(meant) {
        file_schema()
    } else {
        let items = meant.get("items").map(|items| object::meant(items, definitions)).filter(|items| is_file(items));
        items.map(|_| json!({"type": "array", "items": file_schema()}))?
    };
    if let (Some(description), Some(fields)) = (description, made.as_object_mut()) {
        fields.insert("description".into(), description.clone());
    }
    Some(made)
}

/// A file as an agent gives it.
fn file_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]+$", "minLength": 1, "maxLength": bound::FILE_NAME_CHARS_MAX},
            "data": {"type": "string", "contentEncoding": "base64", "description": "The content in base64"},
            "media_type": {"type": "string", "pattern": "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$", "maxLength": 127},
        },
        "required": ["name", "data"],
        "additionalProperties": false,
    })
}

/// A step of an upload by the names of arguments.
fn step_of_arguments(step: UploadStep, parameters: &[Argument], body: Option<&BodyPlan>) -> Result<UploadStep, String> {
    let properties = match body.map(|body| &body.shape) {
        Some(Shape::Object { properties }) => properties.as_slice(),
        Some(Shape::Whole { .. }) | None => &[],
    };
    let argument = |name: String| {
        let of_parameter = parameters.iter().find(|it| it.name == name).map(|it| &it.argument);
        let found = of_parameter.or_else(|| properties.iter().find(|it| it.name == name).map(|it| &it.argument));
        found.cloned().ok_or_else(|| format!("its x-sekisho-upload names {name:?}, which the operation has not"))
    };
    Ok(match step {
        UploadStep::Begin { name, size, answer } => {
            UploadStep::Begin { name: argument(name)?, size: argument(size)?, answer }
        }
        UploadStep::Piece { upload, number, content, first } => UploadStep::Piece {
            upload: argument(upload)?,
            number: argument(number)?,
            content: argument(content)?,
            first,
        },
        UploadStep::Finish { upload } => UploadStep::Finish { upload: argument(upload)? },
    })
}
