//! What an API answered, as an agent may have it: of the declared type, within bounds, errors with their words and
//! without their headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use super::fault;
use super::media_type::{essence, is_json};
use super::tool::Tool;
use super::upstream::Answered;
use crate::base::bound::USED_SECRET_BYTES_MIN;
use crate::base::bound::connector as bound;
use crate::base::id::hex;
use crate::base::secret::Secret;
use crate::crypto::digest::sha256;
use crate::openapi::Method;
use crate::schema::Schema;

/// What is passed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The call was not done, or what came of it cannot be passed on.
    pub failed: bool,
    pub parts: Vec<Part>,
    pub structured: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// Markup that whoever shows it would run: it is made inert on its way.
    Markup {
        text: String,
        media_type: String,
        id: String,
    },
    /// In base64.
    Binary {
        data: String,
        media_type: String,
        id: String,
    },
}

impl Reply {
    /// In Sekisho's own words.
    pub(super) fn failure(text: impl Into<String>, structured: Value) -> Self {
        Self { failed: true, parts: vec![Part::Text(text.into())], structured: Some(structured) }
    }
}

/// What reading an answer needs to know.
pub(super) struct Reader<'a> {
    pub(super) connector: &'a str,
    pub(super) tool: &'a Tool,
    pub(super) output: Option<&'a Schema>,
    /// Gives where the answer goes on.
    pub(super) next: &'a dyn Fn(&HeaderMap, Option<&Value>) -> Option<Value>,
    /// What the request carried.
    pub(super) secrets: &'a [Secret],
}

impl Reader<'_> {
    pub(super) fn read(&self, answered: &Answered, retry_after_seconds: Option<u64>) -> Reply {
        let status = answered.status;
        if !status.is_success() {
            let (text, structured) = fault::told(self.connector, answered, retry_after_seconds);
            return Reply::failure(text, structured);
        }
        let encoded = answered.headers.get(header::CONTENT_ENCODING);
        if encoded.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return self.unfit(status, "it came compressed, which was not asked for");
        }
        if answered.body.is_empty() || self.tool.method == Method::Head || status == StatusCode::NO_CONTENT {
            return self.empty(status);
        }
        let written = essence(&answered.headers);
        let declared = declared(self.tool, status);
        let Some(found) = written.or_else(|| declared.is_empty().then(|| "application/octet-stream".to_owned())) else {
            return self.unfit(status, "it has no content type, and the document declares one");
        };
        if !declared.is_empty() && !declared.iter().any(|wanted| matches(wanted, &found)) {
            let expected = declared.join(", ");
            return self.unfit(status, &format!("it is {found}, and the document declares {expected}"));
        }
        if is_json(&found) {
            return match serde_json::from_slice::<Value>(&answered.body) {
                Ok(value) => self.json(status, value, &answered.headers),
                Err(_) => self.unfit(status, &format!("it says that it is {found}, and is no JSON")),
            };
        }
        let parts = match other(&found, &answered.body, self.secrets) {
            Ok(part) => vec![part],
            Err(reason) => return self.unfit(status, &reason),
        };
        let next = (self.next)(&answered.headers, None);
        self.promised(Reply { failed: false, parts, structured: next.map(|next| json!({"next": next})) }, status)
    }

    fn empty(&self, status: StatusCode) -> Reply {
        let text = format!("{} answered {} with nothing else: it was done.", self.connector, status.as_u16());
        self.promised(Reply { failed: false, parts: vec![Part::Text(text)], structured: None }, status)
    }

    /// JSON as it came, as text and for programs.
    fn json(&self, status: StatusCode, value: Value, headers: &HeaderMap) -> Reply {
        let next = (self.next)(headers, Some(&value));
        let mut text = value.to_string();
        let structured = match value {
            Value::Object(fields) if !self.tool.wrapped => fields,
            value => Map::from_iter([("result".to_owned(), value)]),
        };
        if let Some(next) = next {
            text.push_str("\n\n[There is more: call this again with these arguments in place of the same ones: ");
            text.push_str(&next["arguments"].to_string());
            text.push(']');
            // A schema may forbid what it does not know, and the API may mean something else by the name.
            let taken = structured.contains_key("next");
            let mut with = structured.clone();
            with.insert("next".into(), next);
            let with = Value::Object(with);
            if !taken && self.output.is_none_or(|schema| schema.check(&with).is_ok()) {
                return Reply { failed: false, parts: vec![Part::Text(text)], structured: Some(with) };
            }
        }
        self.promised(
            Reply { failed: false, parts: vec![Part::Text(text)], structured: Some(Value::Object(structured)) },
            status,
        )
    }

    /// Clients hold a result against the schema that they were told. One that does not fit is given as an error that
    /// says that the call was done: an agent that believed otherwise would do it again.
    fn promised(&self, mut reply: Reply, status: StatusCode) -> Reply {
        let Some(schema) = self.output else { return reply };
        let fits = match &reply.structured {
            Some(value) => schema.check(value).err().map(|mismatch| mismatch.pointer),
            None => Some(String::new()),
        };
        if let Some(pointer) = fits {
            let at = if pointer.is_empty() { "/" } else { &pointer };
            let note = format!(
                "{} carried this out (status {}). What it answered is not as its document declares it, at {at}:",
                self.connector,
                status.as_u16()
            );
            reply.failed = true;
            reply.structured = None;
            reply.parts.insert(0, Part::Text(note));
        }
        reply
    }

    /// Carried out, and its answer is not passed on.
    fn unfit(&self, status: StatusCode, reason: &str) -> Reply {
        let text = format!(
            "{} carried this out (status {}), but its answer is not passed on: {reason}.",
            self.connector,
            status.as_u16()
        );
        Reply::failure(text, json!({"status": status.as_u16(), "refused": reason}))
    }
}

/// What is neither JSON nor empty, or why it is not passed on.
fn other(media_type: &str, body: &[u8], secrets: &[Secret]) -> Result<Part, String> {
    let id = hex(&sha256(&[body])).chars().take(16).collect();
    if is_text(media_type) {
        let text = String::from_utf8_lossy(body).into_owned();
        let is_markup = ["text/html", "application/xhtml+xml", "image/svg+xml"].contains(&media_type);
        return Ok(if is_markup {
            Part::Markup { text, media_type: media_type.to_owned(), id }
        } else {
            Part::Text(text)
        });
    }
    if body.len() > bound::ANSWER_BINARY_BYTES_MAX {
        return Err(format!(
            "it is {media_type} of {} bytes, and {} are passed on at the most",
            body.len(),
            bound::ANSWER_BINARY_BYTES_MAX
        ));
    }
    // In base64 nobody would find it any more, and a part of a picture cannot be masked.
    let shows = |secret: &Secret| {
        let secret = secret.expose_secret();
        secret.len() >= USED_SECRET_BYTES_MIN && body.windows(secret.len()).any(|window| window == secret)
    };
    if secrets.iter().any(shows) {
        return Err("it holds the credential that the call was made with".into());
    }
    Ok(Part::Binary { data: STANDARD.encode(body), media_type: media_type.to_owned(), id })
}

/// The content types that the document declares for a status: its own, its class's, or the default.
fn declared(tool: &Tool, status: StatusCode) -> Vec<&str> {
    let class = format!("{}XX", status.as_u16() / 100);
    let exact = status.as_u16().to_string();
    let of = |wanted: &str| tool.answers.iter().find(|answer| answer.status.eq_ignore_ascii_case(wanted));
    let answer = of(&exact).or_else(|| of(&class)).or_else(|| of("default"));
    answer.map(|answer| answer.content_types.iter().map(String::as_str).collect()).unwrap_or_default()
}

/// Whether an answer of type `found` is what `wanted` declares. JSON by another name is JSON.
fn matches(wanted: &str, found: &str) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    match wanted.strip_suffix("/*") {
        Some("*") => true,
        Some(kind) => found.split('/').next() == Some(kind),
        None => wanted == found || (is_json(&wanted) && is_json(found)),
    }
}

fn is_text(essence: &str) -> bool {
    essence.starts_with("text/")
        || essence.ends_with("+xml")
        || ["application/xml", "application/yaml", "application/x-ndjson", "application/javascript"].contains(&essence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_holds_the_calls_own_credential_is_not_passed_on() {
        let secrets = [Secret::new("short"), Secret::new("a-key-of-many-bytes")];
        let of = |body: &[u8]| other("image/png", body, &secrets);
        of(b"\x89PNG short and a-key-of-many-byte").unwrap();
        assert!(of(b"\x89PNG\0a-key-of-many-bytes\0").unwrap_err().contains("credential"));
        // A text is masked on its way out.
        other("text/plain", b"a-key-of-many-bytes", &secrets).unwrap();
    }
}
