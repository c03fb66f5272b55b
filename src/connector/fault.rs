//! An API's word that it did not do what it was asked: status, code, message and details, and nothing of its headers.

use http::StatusCode;
use serde_json::{Value, json};

use super::media_type::{essence, is_json};
use super::upstream::Answered;
use crate::base::bound::connector as bound;

/// What an error says of itself.
#[derive(Debug, Default, PartialEq)]
struct Fault {
    code: Option<String>,
    message: Option<String>,
    details: Option<Value>,
}

/// What is told of it, and the same for programs.
pub(super) fn told(connector: &str, answered: &Answered, retry_after_seconds: Option<u64>) -> (String, Value) {
    let status = answered.status;
    if status.is_redirection() {
        let text = format!(
            "{connector} answered with a redirect (status {}), which is not followed; an operator looks at its base URL.",
            status.as_u16()
        );
        return (text, json!({"status": status.as_u16()}));
    }
    let fault = fault(answered);
    let mut structured = json!({"status": status.as_u16()});
    let mut said = vec![format!("{connector} answered {}", status.as_u16())];
    if let Some(code) = &fault.code {
        said.push(format!(" {code}"));
        structured["code"] = code.as_str().into();
    }
    if let Some(message) = &fault.message {
        said.push(format!(": {message}"));
        structured["message"] = message.as_str().into();
    } else if let Some(reason) = status.canonical_reason() {
        said.push(format!(": {reason}"));
    }
    if let Some(details) = fault.details {
        said.push(format!("\nDetails: {details}"));
        structured["details"] = details;
    }
    match status {
        StatusCode::UNAUTHORIZED => said.push(
            "\n[The API does not take the credential that is bound to this connector, or wants one; an operator looks.]"
                .into(),
        ),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            if let Some(seconds) = retry_after_seconds {
                said.push(format!("\n[Come back in {seconds} s.]"));
                structured["retry_after_seconds"] = seconds.into();
            }
        }
        _ => {}
    }
    (said.concat(), structured)
}

/// `{code, message, details}`, problem details (RFC 9457), or either of them in the field `error`.
fn fault(answered: &Answered) -> Fault {
    let kind = essence(&answered.headers).unwrap_or_default();
    if kind == "text/plain" {
        return Fault { message: short(&String::from_utf8_lossy(&answered.body)), ..Fault::default() };
    }
    if !is_json(&kind) {
        // A page of some server between here and there says nothing that an agent could use.
        return Fault::default();
    }
    let Ok(value) = serde_json::from_slice::<Value>(&answered.body) else { return Fault::default() };
    let value = if value["error"].is_object() { &value["error"] } else { &value };
    let first = |names: &[&str]| {
        names.iter().find_map(|name| match &value[*name] {
            Value::String(text) => short(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    let details = ["details", "errors"].iter().map(|name| &value[*name]).find(|found| !found.is_null());
    let details = details.filter(|details| details.to_string().len() <= bound::ANSWER_DETAILS_BYTES_MAX).cloned();
    let message = first(&["message", "detail", "title", "error_description"]);
    Fault { code: first(&["code", "error", "type"]), message, details }
}

/// One line, within its bound.
fn short(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(bound::ANSWER_MESSAGE_CHARS_MAX)
        .collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
