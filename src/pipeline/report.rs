//! Which refusals are security events, and where they are told: the log's security lines and the metrics.

use super::Pipeline;
use crate::audit::entry::Draft;
use crate::audit::word;
use crate::base::refusal::{Code, Refusal};
use crate::telemetry::security::SecurityLine;

/// A kind of event, and how much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    kind: &'static str,
    severity: &'static str,
}

/// The event that a refusal is, if it is one: most refusals are mistakes of a program, or our own state.
fn event_of(refusal: &Refusal) -> Option<Event> {
    let (kind, severity) = match refusal.code {
        _ if refusal.private.starts_with(word::FOREIGN_SESSION) => ("session_hijack", "critical"),
        Code::Invalid if refusal.private.starts_with(word::SUSPICIOUS_PATTERN) => ("suspicious_patterns", "high"),
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
        let Some(Event { kind, severity }) = event_of(refusal) else { return };
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
        let kind =
            |code, private: &str| event_of(&Refusal::new(code, "x").with_private(private)).map(|event| event.kind);
        assert_eq!(kind(Code::Unauthenticated, "x"), Some("authentication_failure"));
        assert_eq!(kind(Code::TooManyRequests, "x"), Some("rate_limit_exceeded"));
        assert_eq!(kind(Code::Forbidden, "x"), Some("access_denied"));
        assert_eq!(kind(Code::Invalid, "suspicious_pattern sql_union at /path"), Some("suspicious_patterns"));
        assert_eq!(kind(Code::NotFound, "session of another principal"), Some("session_hijack"));
        assert_eq!(kind(Code::NotFound, "x"), None);
        assert_eq!(kind(Code::Invalid, "x"), None);
        assert_eq!(kind(Code::Internal, "x"), None);
    }
}
