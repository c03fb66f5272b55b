//! Step 3: is what they ask for of a form that may be looked at. Sizes, and the operation's JSON Schema.

use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::admit::Admitted;
use super::request::Asked;
use crate::auth::session::Permit;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Catalog, Kind, Registered};

/// Asked for something that exists, in its form.
#[derive(Debug)]
pub struct Checked {
    pub(super) principal: Principal,
    pub(super) asked: Asked,
    pub(super) permit: Permit,
    pub(super) registered: Arc<Registered>,
}

/// `measure` is given the arguments as JSON text, and whether they are secret, for the audit entry.
pub(super) fn inspect(
    catalog: &Catalog,
    admitted: Admitted,
    measure: impl FnOnce(&[u8], bool),
) -> Result<Checked, Refusal> {
    let asked = admitted.asked();
    let bytes = Zeroizing::new(serde_json::to_vec(&asked.arguments).map_err(Refusal::internal)?);
    let found = catalog.get(asked.kind, &asked.name);
    measure(&bytes, found.as_ref().is_some_and(|registered| registered.about.secret_arguments));
    let registered = found.ok_or_else(|| unknown(asked))?;
    let about = &registered.about;
    if bytes.len() > about.argument_bytes_max {
        let public = format!(
            "The arguments of {} may have {} bytes of JSON; these have {}. Send less.",
            about.name,
            about.argument_bytes_max,
            bytes.len()
        );
        return Err(Refusal::new(Code::TooLarge, public));
    }
    // A completion gives only the argument that is being typed, so the schema of the whole does not apply.
    if asked.completion.is_none()
        && let Err(mismatch) = registered.input.check(&asked.arguments)
    {
        if about.secret_arguments {
            // The message may quote what it is about.
            let public =
                format!("The argument at {:?} does not fit the input schema of {}.", mismatch.pointer, about.name);
            return Err(Refusal::new(Code::Invalid, public).with_data(json!({"pointer": mismatch.pointer})));
        }
        let public = if mismatch.pointer.is_empty() {
            format!("The arguments of {} do not fit its input schema: {}.", about.name, mismatch.message)
        } else {
            format!(
                "The argument at {} does not fit the input schema of {}: {}.",
                mismatch.pointer, about.name, mismatch.message
            )
        };
        return Err(Refusal::new(Code::Invalid, public)
            .with_data(json!({"pointer": mismatch.pointer, "message": mismatch.message})));
    }
    let (principal, asked, permit) = admitted.into_parts();
    Ok(Checked { principal, asked, permit, registered })
}

fn unknown(asked: &Asked) -> Refusal {
    let name: String = asked.name.chars().take(crate::base::bound::AUDIT_NAME_CHARS_MAX).collect();
    let public = match asked.kind {
        Kind::Tool => format!("Unknown tool: {name}. tools/list names those that there are."),
        Kind::Prompt => format!("Unknown prompt: {name}. prompts/list names those that there are."),
        Kind::Protocol | Kind::List => format!("Unknown method: {name}."),
        Kind::Admin => format!("Unknown operation: {name}."),
    };
    Refusal::new(Code::NotFound, public).with_data(json!({"unknown": name}))
}
