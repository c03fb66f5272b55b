//! What an agent is told where there is no answer to pass on: why, and whether its call was carried out all the same.

use std::time::Duration;

use serde_json::json;

use super::oauth::setup::Whose;
use super::reply::Reply;
use super::tool::{Class, Tool};
use super::upstream::Unsent;
use crate::base::budget::Meter;
use crate::base::refusal::whole_seconds;

/// While the breaker is open.
pub(super) fn left_alone(meter: &Meter, name: &str, left: Duration) -> Reply {
    let seconds = whole_seconds(left);
    meter.note("not sent: the circuit breaker is open");
    let text = format!(
        "{name} failed several times in a row, so nothing is sent to it for a while. Come back in {seconds} s."
    );
    Reply::failure(text, json!({"refused": "circuit breaker open", "retry_after_seconds": seconds}))
}

/// In our own words: what a resolver or a TLS library says is for the log.
pub(super) fn unanswered(name: &str, tool: &Tool, unsent: &Unsent) -> Reply {
    let (reason, text) = match unsent {
        Unsent::Refused(_) => (
            "not allowed",
            format!("Sekisho's settings do not let calls go to {name}; an operator finds the reason in the audit log."),
        ),
        Unsent::Unreached(_) => ("not reached", format!("{name} cannot be reached; nothing was sent.")),
        Unsent::Interrupted(_) if tool.method.is_idempotent() => {
            ("no answer", format!("{name} gave no whole answer in time; this can be called again."))
        }
        Unsent::Interrupted(_) => (
            "no answer",
            format!(
                "{name} gave no whole answer in time, and it is not known whether this was carried out. Look first, then call again."
            ),
        ),
        Unsent::Redirected(_) => {
            ("redirected", format!("{name} answered with a redirect that is not followed.{}", perhaps_done(tool)))
        }
        Unsent::TooLarge(bytes_max) => (
            "too large",
            format!(
                "The answer of {name} has more than {bytes_max} bytes and is not passed on; ask for less.{}",
                perhaps_done(tool)
            ),
        ),
    };
    Reply::failure(text, json!({"refused": reason}))
}

/// One operation may refuse whom others take; where all of them do, the login is over, and nobody can refresh it.
pub(super) fn log_in_again(name: &str, whose: Whose) -> String {
    let how = match whose {
        Whose::Service => format!("an operator logs in again: sekisho connector login {name}"),
        Whose::Each => format!("call {name}_logout, then {name}_login"),
    };
    format!("[If nothing of {name} works any more, its login is over: {how}.]")
}

/// It was answered: whoever believes that it was not done does it again.
fn perhaps_done(tool: &Tool) -> &'static str {
    if tool.class() == Class::Read { "" } else { " It was probably carried out: look first, before you call it again." }
}
