//! Which refusals are security events, and where they are told: the log's security lines and the metrics.

use super::Pipeline;
use crate::audit::entry::Draft;
use crate::base::refusal::{Code, Refusal};
use crate::telemetry::security::SecurityLine;

/// A kind of event, and how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    kind: &'static str,
    severity: &'static str,
}

/// The event that a refusal is, if it is one: most refusals are mistakes of a program, or our own state.
const fn event_of(code: Code) -> Option<Event> {
    let (kind, severity) = match code {
        Code::Unauthenticated => ("authentication_failure", "medium"),
        Code::Forbidden => ("access_denied", "medium"),
        Code::TooManyRequests => ("rate_limit_exceeded", "medium"),
        Code::NotFound
        | Code::Invalid
        | Code::TooLarge
        | Code::Busy
        | Code::Timeout
        | Code::Cancelled
        | Code::Conflict
        | Code::MissingCapability
        | Code::Unavailable
        | Code::Internal => return None,
    };
    Some(Event { kind, severity })
}

impl Pipeline {
    /// Tells whoever watches, if `refusal` is something to watch.
    pub(super) fn report(&self, draft: &Draft, refusal: &Refusal) {
        let Some(Event { kind, severity }) = event_of(refusal.code) else { return };
        self.metrics.violated(kind, severity);
        self.security.write(&SecurityLine {
            event_type: kind,
            severity,
            session: draft.session.as_deref(),
            user_agent: draft.personal.user_agent.as_deref(),
            peer: draft.personal.peer.as_deref(),
            violation: refusal.code.as_str(),
            blocked: true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gate_refuses_is_an_event_and_a_mistake_is_none() {
        assert_eq!(event_of(Code::Unauthenticated).map(|event| event.kind), Some("authentication_failure"));
        assert_eq!(event_of(Code::TooManyRequests).map(|event| event.kind), Some("rate_limit_exceeded"));
        assert_eq!(event_of(Code::Forbidden).map(|event| event.kind), Some("access_denied"));
        assert_eq!(event_of(Code::Invalid), None);
        assert_eq!(event_of(Code::Internal), None);
    }
}
