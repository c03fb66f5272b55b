//! Reads an OpenAPI document, 3.0 or 3.1, into operations. Pure: no I/O, no clock, nothing but the bytes.
//!
//! The document is hostile until shown otherwise: it came from outside, and an agent will read its words. So there are
//! bounds on everything, texts are cut and cleaned, references are followed within the document only, and what cannot
//! be expressed is left out with its place and the reason ([`LeftOut`]) instead of being guessed at.
//!
//! It reads over [`serde_json::Value`] and not through a crate of typed documents. `openapiv3` knows 3.0 only, `oas3`
//! 3.1 only, and both fail the whole document at the first field of a wrong type; real documents have some, and one
//! bad operation must not cost the other thousand. Schemas would be read as values all the same.

mod body;
mod clean;
mod cycle;
mod hidden;
mod media_type;
mod operation;
mod parameter;
mod path;
mod pointer;
mod schema;
mod security;
mod text;
mod upload;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use parameter::is_settable_header;
pub use path::{Part, PathTemplate};
pub use upload::UploadStep;

/// Reads a document, JSON or YAML.
pub fn read(bytes: &[u8]) -> Result<Document, OpenApiError> {
    operation::document(&text::read(bytes)?)
}

/// Why a document gives nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenApiError {
    #[error("this document cannot be read: {0}")]
    Syntax(String),
    #[error("this document has {found} {what}, and may have {most}")]
    TooLarge { what: &'static str, found: usize, most: usize },
    #[error("this document is nested deeper than {} levels", crate::base::bound::connector::OPENAPI_DEPTH_MAX)]
    TooDeep,
    #[error("expected an OpenAPI document of version 3.0 or 3.1, found {0}; convert it first")]
    Version(String),
    #[error("this document has no `paths` with operations in them")]
    NoPaths,
}

/// What a document says, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub title: String,
    /// The API's own version, as the document has it.
    pub version: String,
    pub dialect: Dialect,
    /// The first server as it is written, for people: where calls go to, an operator says.
    pub server: Option<String>,
    pub operations: Vec<Operation>,
    pub security: BTreeMap<String, SecurityScheme>,
    pub left_out: Vec<LeftOut>,
    /// How many more than `left_out` can hold.
    pub left_out_more: usize,
    /// JSON Pointers of texts with characters that are not seen, and these texts as they came: no operation has the
    /// characters any more.
    pub hidden: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    #[serde(rename = "3.0")]
    V30,
    #[serde(rename = "3.1")]
    V31,
}

/// Something that the document has and Sekisho has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// JSON Pointer (RFC 6901) into the document.
    pub pointer: String,
    /// The whole operation, and not only a part of it.
    pub operation: bool,
    pub reason: String,
}

/// One operation of an API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    pub method: Method,
    /// As the document writes it; [`PathTemplate`] takes it apart.
    pub path: String,
    /// The path of the document's server, such as `/v1`: no slash at its end, empty if there is none.
    pub server_path: String,
    /// `operationId`.
    pub id: Option<String>,
    pub tags: Vec<String>,
    pub summary: String,
    pub description: String,
    pub deprecated: bool,
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
    pub responses: Vec<Response>,
    /// What `#/$defs/NAME` in the schemas of parameters and body means.
    pub definitions: serde_json::Map<String, Value>,
    /// Names of schemes, of which each inner list is one sufficient way in.
    pub security: Vec<Vec<String>>,
    /// `x-sekisho-upload`: which step of an upload in pieces it is.
    pub upload: Option<UploadStep>,
    /// JSON Pointer into the document.
    pub pointer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Of either case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name))
    }

    /// RFC 9110, section 9.2.1, without the methods that are not here.
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// RFC 9110, section 9.2.2.
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

/// Where a parameter stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

impl Place {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// As it goes over the wire.
    pub name: String,
    /// `x-sekisho-argument`: another name for the agent's argument.
    pub argument: Option<String>,
    pub place: Place,
    pub required: bool,
    pub form: Form,
    /// JSON Schema, 2020-12, which may refer to the operation's `definitions`.
    pub schema: Value,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    Style {
        style: Style,
        explode: bool,
    },
    /// `content: application/json`: as one JSON text.
    Json,
}

/// OpenAPI 3.1, section 4.8.12.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

/// What an operation is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Body {
    pub media: Media,
    /// As the document writes it, such as `application/vnd.api+json`.
    pub content_type: String,
    pub required: bool,
    pub description: String,
    pub schema: Value,
    /// Properties that only the server sets: no argument is made of them, wherever they are required.
    pub read_only: Vec<String>,
    /// How properties of forms are written, where the document says so.
    pub encoding: BTreeMap<String, Encoding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    pub content_type: Option<String>,
    pub style: Option<Style>,
    pub explode: Option<bool>,
}

/// What an operation answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// `200`, `4XX`, `default`.
    pub status: String,
    pub description: String,
    /// Without their parameters; an answer may have any of them.
    pub content_types: Vec<String>,
    /// JSON Schema with its own `$defs`, for JSON only.
    pub schema: Option<Value>,
}

impl Response {
    /// Of status 200 to 299.
    pub fn is_success(&self) -> bool {
        self.status.starts_with('2')
    }
}

/// How a caller shows who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum SecurityScheme {
    ApiKey {
        name: String,
        place: Place,
    },
    /// `basic`, `bearer`: RFC 9110, section 11.
    Http {
        scheme: String,
    },
    OAuth2 {
        flows: BTreeMap<String, Flow>,
    },
    OpenIdConnect {
        url: String,
    },
    MutualTls,
}

/// One way of OAuth 2.0. The URLs are the document's words: nobody connects to them because of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    pub authorization_url: Option<String>,
    pub token_url: Option<String>,
    pub refresh_url: Option<String>,
    pub scopes: Vec<String>,
}
