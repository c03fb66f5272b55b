//! From a tool and its arguments to a request: method, URL, headers, body. Pure; whoever sends it adds the credential.
//!
//! Origin, base path and method come from the operator and the document. An argument ends up encoded in the one place
//! that the document declares for it, and the finished URL is read again by a parser that had no part in making it.

use serde_json::{Map, Value};
use url::Url;

use super::base_url::BaseUrl;
use super::request::{WireError, WireRequest};
use super::tool::{Argument, Tool};
use super::{form, segment, style};
use crate::base::bound::connector as bound;
use crate::base::id::NoEntropy;
use crate::openapi::{Form, Part, Place, is_settable_header};
use crate::schema::{NotASchema, Schema};

/// A tool whose schema is compiled.
#[derive(Debug)]
pub struct Ready {
    tool: Tool,
    schema: Schema,
}

impl Ready {
    pub fn new(tool: Tool) -> Result<Self, NotASchema> {
        let schema = Schema::compile(&tool.input)?;
        Ok(Self { tool, schema })
    }

    pub fn tool(&self) -> &Tool {
        &self.tool
    }

    /// The request for these arguments. `random` gives the boundary of a multipart body, from the operating system.
    pub fn request(
        &self,
        base: &BaseUrl,
        arguments: &Value,
        random: &dyn Fn() -> Result<[u8; 16], NoEntropy>,
    ) -> Result<WireRequest, WireError> {
        self.schema
            .check(arguments)
            .map_err(|mismatch| WireError::Mismatch { pointer: mismatch.pointer, message: mismatch.message })?;
        let nothing = Map::new();
        let arguments = arguments.as_object().unwrap_or(&nothing);
        let given = |place: Place| {
            self.tool
                .parameters
                .iter()
                .filter_map(move |it| Some((it, arguments.get(&it.argument)?)))
                .filter(move |(it, value)| it.place == place && !value.is_null())
        };
        let path = self.path(base, given(Place::Path).collect())?;
        let mut query = Vec::new();
        for (parameter, value) in given(Place::Query) {
            query.extend(pairs(parameter, value)?);
        }
        let mut headers = Vec::new();
        for (parameter, value) in given(Place::Header) {
            headers.push(header(parameter, value)?);
        }
        let mut cookies = Vec::new();
        for (parameter, value) in given(Place::Cookie) {
            // A comma is no part of a cookie (RFC 6265, section 4.1.1).
            let pairs = pairs(parameter, value)?.into_iter();
            cookies.extend(pairs.map(|(name, value)| format!("{name}={}", value.replace(',', "%2C"))));
        }
        if !cookies.is_empty() {
            let text = cookies.join("; ");
            if text.len() > bound::WIRE_HEADER_BYTES_MAX {
                return Err(WireError::TooLarge {
                    what: "cookies",
                    found: text.len(),
                    most: bound::WIRE_HEADER_BYTES_MAX,
                });
            }
            headers.push(("cookie".into(), text));
        }
        let boundary = || random().map_err(WireError::from);
        let body = self.tool.body.as_ref().map(|plan| form::body(plan, arguments, &boundary)).transpose()?.flatten();
        let query = query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let url = checked(base, &path, &query)?;
        Ok(WireRequest { method: self.tool.method, url, headers, body })
    }

    /// The path with its arguments, behind the base path.
    fn path(&self, base: &BaseUrl, given: Vec<(&Argument, &Value)>) -> Result<String, WireError> {
        let mut path = base.path().to_owned();
        let last = self.tool.template.segments.len().saturating_sub(1);
        for (n, parts) in self.tool.template.segments.iter().enumerate() {
            let mut segment = String::new();
            for part in parts {
                match part {
                    Part::Literal(text) => segment.push_str(text),
                    Part::Parameter(name) => {
                        let found = given.iter().find(|(parameter, _)| parameter.name == *name);
                        let (parameter, value) =
                            found.ok_or_else(|| WireError::refused(name, "it is a part of the path"))?;
                        segment.push_str(&in_path(parameter, value)?);
                    }
                }
            }
            let is_slash_at_the_end = parts.is_empty() && n == last;
            if !is_slash_at_the_end && !segment::check_segment(&segment) {
                return Err(WireError::refused(
                    &names(parts),
                    "together with what stands beside it, it would be `.` or `..`",
                ));
            }
            path.push('/');
            path.push_str(&segment);
        }
        Ok(path)
    }
}

fn names(parts: &[Part]) -> String {
    let names = parts.iter().filter_map(|part| match part {
        Part::Parameter(name) => Some(name.as_str()),
        Part::Literal(_) => None,
    });
    names.collect::<Vec<_>>().join(", ")
}

fn in_path(parameter: &Argument, value: &Value) -> Result<String, WireError> {
    let argument = &parameter.argument;
    match parameter.form {
        Form::Json => {
            let text = value.to_string();
            segment::check_argument(&text, argument)?;
            Ok(style::encode(&text))
        }
        Form::Style { style, explode } => {
            let parts = style::parts(value, argument)?;
            let each: Vec<&String> = match &parts {
                style::Parts::One(text) => vec![text],
                style::Parts::List(items) => items.iter().collect(),
                style::Parts::Fields(fields) => fields.iter().flat_map(|(key, value)| [key, value]).collect(),
            };
            if each.is_empty() {
                return Err(WireError::refused(argument, "it is a part of the path and cannot be empty"));
            }
            each.into_iter().try_for_each(|text| segment::check_argument(text, argument))?;
            Ok(style::in_path(style, explode, &parameter.name, parts))
        }
    }
}

fn pairs(parameter: &Argument, value: &Value) -> Result<Vec<(String, String)>, WireError> {
    match parameter.form {
        Form::Json => Ok(vec![(style::encode(&parameter.name), style::encode(&value.to_string()))]),
        Form::Style { style, explode } => {
            style::pairs(style, explode, &parameter.name, value, &parameter.keys, &parameter.argument)
        }
    }
}

fn header(parameter: &Argument, value: &Value) -> Result<(String, String), WireError> {
    let argument = &parameter.argument;
    if !is_settable_header(&parameter.name) {
        return Err(WireError::refused(argument, "no argument sets this header"));
    }
    let text = match parameter.form {
        Form::Json => style::in_header(false, style::Parts::One(value.to_string()), argument)?,
        Form::Style { explode, .. } => style::in_header(explode, style::parts(value, argument)?, argument)?,
    };
    Ok((parameter.name.to_ascii_lowercase(), text))
}

/// Puts the URL together and reads it again.
fn checked(base: &BaseUrl, path: &str, query: &str) -> Result<String, WireError> {
    let mut text = format!("{}{path}", base.origin());
    if !query.is_empty() {
        text.push('?');
        text.push_str(query);
    }
    if text.len() > bound::WIRE_URL_BYTES_MAX {
        return Err(WireError::TooLarge { what: "URL", found: text.len(), most: bound::WIRE_URL_BYTES_MAX });
    }
    let url = Url::parse(&text).map_err(|_| WireError::Astray("it is no URL"))?;
    let uri: http::Uri = text.parse().map_err(|_| WireError::Astray("it is no URI"))?;
    let read = [
        (url.origin().ascii_serialization() == base.origin(), "another origin"),
        (url.username().is_empty() && url.password().is_none(), "it names a user"),
        (url.fragment().is_none(), "it has a fragment"),
        (url.path() == path && uri.path() == path, "another path"),
        (path.strip_prefix(base.path()).is_some_and(|rest| rest.starts_with('/')), "outside of the base path"),
        (url.query().unwrap_or_default() == query && uri.query().unwrap_or_default() == query, "another query"),
    ];
    match read.into_iter().find(|(good, _)| !good) {
        Some((_, astray)) => Err(WireError::Astray(astray)),
        None => Ok(text),
    }
}
