//! Step 3: is what they ask for of a form that may be looked at. Sizes, the operation's JSON Schema, and patterns of
//! attacks where a field could reach an interpreter.

use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::admit::Admitted;
use super::request::Asked;
use crate::auth::session::Permit;
use crate::base::bound;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::config;
use crate::guardrail::field::FieldClass;
use crate::guardrail::{Finding, Guardrail, Lengths, Wrong};
use crate::operation::{About, Catalog, Kind, Registered};
use crate::schema::{self, Mismatch};

/// Asked for something that exists, in its form.
#[derive(Debug)]
pub struct Checked {
    pub(super) principal: Principal,
    pub(super) asked: Asked,
    pub(super) permit: Permit,
    pub(super) registered: Arc<Registered>,
    /// What was found in the arguments and did not refuse them.
    pub(super) findings: Vec<Finding>,
}

/// What inspecting needs.
pub(super) struct Look<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) guardrail: &'a Guardrail,
    pub(super) settings: &'a config::Inspect,
}

/// What an entry may have of the arguments.
pub(super) struct Measured<'a> {
    /// As JSON text.
    pub(super) bytes: &'a [u8],
    /// The same without the content of files.
    pub(super) kept: &'a [u8],
    pub(super) is_secret: bool,
}

/// `measure` is told of the arguments, for the audit entry.
pub(super) fn inspect(
    look: &Look<'_>,
    admitted: Admitted,
    measure: impl FnOnce(&Measured<'_>),
) -> Result<Checked, Refusal> {
    let asked = admitted.asked();
    let bytes = Zeroizing::new(serde_json::to_vec(&asked.arguments).map_err(Refusal::internal)?);
    let found = look.catalog.get(asked.kind, &asked.name);
    let about = found.as_ref().map(|registered| &registered.about);
    let is_secret = about.is_some_and(|about| about.secret_arguments);
    let kept = about.and_then(|about| without_content(&asked.arguments, &about.content_arguments));
    let kept = kept.map(|kept| kept.to_string());
    measure(&Measured { bytes: &bytes, kept: kept.as_ref().map_or(&bytes, |kept| kept.as_bytes()), is_secret });
    let registered = found.ok_or_else(|| unknown(asked))?;
    let about = &registered.about;
    let bytes_max = argument_bytes_max(about, look.settings);
    if bytes.len() > bytes_max {
        let public = format!(
            "The arguments of {} may have {bytes_max} bytes of JSON; these have {}. Send less.",
            about.name,
            bytes.len()
        );
        return Err(Refusal::new(Code::TooLarge, public));
    }
    schema::within_bounds(&asked.arguments).map_err(|mismatch| misfit(about, mismatch))?;
    // A completion gives only the argument that is being typed, so the schema of the whole does not apply.
    if asked.completion.is_none() && look.settings.validate_json_schema {
        registered.input.check(&asked.arguments).map_err(|mismatch| misfit(about, mismatch))?;
    }
    let findings = suspicious(look, &registered, asked)?;
    let (principal, asked, permit) = admitted.into_parts();
    Ok(Checked { principal, asked, permit, registered, findings })
}

/// The arguments with the size of each file in the place of its content; `None` where there are no files.
fn without_content(arguments: &Value, content: &[String]) -> Option<Value> {
    if content.is_empty() {
        return None;
    }
    let mut kept = arguments.clone();
    for pointer in content {
        if let Some(value) = kept.pointer_mut(pointer) {
            *value = format!("[{} bytes of JSON]", value.to_string().len()).into();
        }
    }
    Some(kept)
}

/// The setting is what agents' operations get that declare nothing of their own.
fn argument_bytes_max(about: &About, settings: &config::Inspect) -> usize {
    let declared = about.kind == Kind::Admin || about.argument_bytes_max != bound::ARGUMENT_BYTES_MAX;
    if declared { about.argument_bytes_max.max(settings.argument_bytes_max) } else { settings.argument_bytes_max }
}

fn misfit(about: &About, mismatch: Mismatch) -> Refusal {
    let Mismatch { pointer, message } = mismatch;
    if about.secret_arguments {
        // The message may quote what it is about.
        let public = format!("The argument at {pointer:?} does not fit the input schema of {}.", about.name);
        return Refusal::new(Code::Invalid, public).with_data(json!({"pointer": pointer}));
    }
    let public = if pointer.is_empty() {
        format!("The arguments of {} do not fit its input schema: {message}.", about.name)
    } else {
        format!("The argument at {pointer} does not fit the input schema of {}: {message}.", about.name)
    };
    Refusal::new(Code::Invalid, public).with_data(json!({"pointer": pointer, "message": message}))
}

/// Looks for attacks. What blocks is a refusal that names rule and field and quotes nothing: an attack that comes
/// back in an answer is an attack on whoever reads it.
fn suspicious(look: &Look<'_>, registered: &Registered, asked: &Asked) -> Result<Vec<Finding>, Refusal> {
    let about = &registered.about;
    if about.secret_arguments {
        // A password may look like anything, and a finding would tell of it.
        return Ok(Vec::new());
    }
    let outer = if asked.kind == Kind::Prompt { FieldClass::FreeText } else { FieldClass::Other };
    let agents = asked.kind != Kind::Admin;
    let lengths = agents.then_some(Lengths {
        query_chars_max: look.settings.query_chars_max,
        uri_chars_max: look.settings.uri_chars_max,
    });
    let own = registered.operation.schema_for(&asked.arguments);
    let schema = own.as_ref().unwrap_or(&about.input);
    let mut inspected = look.guardrail.inspect(schema, outer, &asked.arguments, lengths);
    if let Some((argument, start)) = &asked.completion {
        let mut typed = serde_json::Map::new();
        typed.insert(argument.clone(), Value::String(start.clone()));
        let typed = look.guardrail.inspect(&about.input, outer, &Value::Object(typed), lengths);
        inspected.findings.extend(typed.findings);
        inspected.wrong = inspected.wrong.or(typed.wrong);
    }
    match inspected.wrong {
        Some(Wrong::FilterName { pointer }) => {
            let public = format!(
                "A name in {pointer} is not one of a filter: names are letters, digits and \"_\", or are declared in inspect.filter_names."
            );
            return Err(
                Refusal::new(Code::Invalid, public).with_data(json!({"pointer": pointer, "rule": "filter_name"}))
            );
        }
        Some(Wrong::TooLong { pointer, setting, chars_max }) => {
            let public = format!("The text at {pointer} may have {chars_max} characters ({setting}); it has more.");
            return Err(Refusal::new(Code::Invalid, public).with_data(json!({"pointer": pointer})));
        }
        None => {}
    }
    match inspected.findings.iter().find(|finding| finding.blocks) {
        None => Ok(inspected.findings),
        Some(finding) => {
            let Finding { rule, pointer, .. } = finding;
            let public = format!(
                "The argument at {pointer} of {} looks like an attack (rule {}), so it is refused. If it is none, write it otherwise, or ask the operator to switch the rule off (inspect.rules_off).",
                about.name, rule.id
            );
            let data = json!({"pointer": pointer, "rule": rule.id});
            Err(Refusal::new(Code::Invalid, public).with_private(finding).with_data(data))
        }
    }
}

pub(super) fn unknown(asked: &Asked) -> Refusal {
    let name: String = asked.name.chars().take(crate::base::bound::AUDIT_NAME_CHARS_MAX).collect();
    let public = match asked.kind {
        Kind::Tool => format!("Unknown tool: {name}. tools/list names those that there are."),
        Kind::Prompt => format!("Unknown prompt: {name}. prompts/list names those that there are."),
        Kind::Protocol | Kind::List => format!("Unknown method: {name}."),
        Kind::Admin => format!("Unknown operation: {name}."),
    };
    Refusal::new(Code::NotFound, public).with_data(json!({"unknown": name}))
}
