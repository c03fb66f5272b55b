//! A request to an API as it is to be sent, and why there is none.

use std::fmt;

use serde_json::json;

use crate::base::id::NoEntropy;
use crate::base::refusal::{Code, Refusal};
use crate::crypto::digest::Hash;
use crate::openapi::Method;

/// What is to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct WireRequest {
    pub method: Method,
    pub url: String,
    /// Names in lower case. Neither credentials nor those of the body.
    pub headers: Vec<(String, String)>,
    pub body: Option<WireBody>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct WireBody {
    pub content_type: String,
    pub bytes: Vec<u8>,
    /// What the log may know of the files in it.
    pub files: Vec<SentFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentFile {
    pub name: String,
    pub bytes: usize,
    pub sha256: Hash,
    /// Where in a multipart body it stands; empty where it stands in base64.
    pub at: std::ops::Range<usize>,
}

/// Arguments are nobody's business: neither query nor headers nor body are shown.
impl fmt::Debug for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.as_ref().map_or(0, |body| body.bytes.len());
        write!(f, "WireRequest({} and {bytes} bytes)", self.method.as_str())
    }
}

impl fmt::Debug for WireBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireBody({}, {} bytes)", self.content_type, self.bytes.len())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the arguments do not fit: {}: {message}", if pointer.is_empty() { "/" } else { pointer })]
    Mismatch { pointer: String, message: String },
    #[error("the argument {argument} cannot be sent: {reason}")]
    Refused { argument: String, reason: String },
    #[error("the {what} would have {found} bytes, and may have {most}")]
    TooLarge { what: &'static str, found: usize, most: usize },
    /// Our own bug, or a record that was changed from outside.
    #[error("the finished URL is not the one that was to be made: {0}")]
    Astray(&'static str),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl WireError {
    pub(super) fn refused(argument: &str, reason: &str) -> Self {
        Self::Refused { argument: argument.to_owned(), reason: reason.to_owned() }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        match &error {
            WireError::Mismatch { pointer, .. } => {
                let pointer = json!({"pointer": pointer});
                Self::new(Code::Invalid, format!("{error}.")).with_data(pointer)
            }
            WireError::Refused { argument, .. } => {
                let pointer = json!({"pointer": format!("/{argument}")});
                Self::new(Code::Invalid, format!("{error}.")).with_data(pointer)
            }
            WireError::TooLarge { .. } => Self::new(Code::TooLarge, format!("{error}.")),
            WireError::Astray(_) | WireError::NoEntropy(_) => Self::internal(error),
        }
    }
}
