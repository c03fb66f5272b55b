//! Lines of the log that a watcher of security looks for: one form, masked, whatever the log's level is.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;
use tracing_appender::non_blocking::NonBlocking;

use crate::base::bound;
use crate::base::clock::Clock;
use crate::config::mask::{self, Masker};
use crate::config::raw::LogFormat;

const LEVEL: &str = "SECURITY";
const PAYLOAD: &str = "***SANITIZED***";

/// One event. Nothing of what was sent is in it.
#[derive(Clone, Copy, Debug)]
pub struct SecurityLine<'a> {
    /// From a closed list of whoever writes it.
    pub event_type: &'static str,
    pub severity: &'static str,
    /// Cut to its short form.
    pub session: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    /// An IP address; where there is none, how the peer is known (`uid 1000`).
    pub peer: Option<&'a str>,
    /// What was violated, such as a refusal's code or a rule's name.
    pub violation: &'static str,
    /// Whether it was stopped, or only seen.
    pub blocked: bool,
}

/// Writes security lines to the log; where none was started, nowhere. Cheap to clone, and never waits.
#[derive(Clone, Debug, Default)]
pub struct SecurityLog(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    lines: NonBlocking,
    clock: Arc<dyn Clock>,
    style: Style,
}

/// How lines look.
#[derive(Clone, Debug)]
pub(super) struct Style {
    pub(super) format: LogFormat,
    pub(super) mask_addresses: bool,
    pub(super) masker: Arc<Masker>,
}

impl SecurityLog {
    pub(super) fn new(lines: NonBlocking, clock: Arc<dyn Clock>, style: Style) -> Self {
        Self(Some(Arc::new(Inner { lines, clock, style })))
    }

    pub fn write(&self, line: &SecurityLine<'_>) {
        let Some(inner) = &self.0 else { return };
        let text = rendered(line, &inner.clock.now().rfc3339(), &inner.style);
        // It only queues; what does not fit is counted there.
        inner.lines.clone().write_all(text.as_bytes()).ok();
    }
}

fn rendered(line: &SecurityLine<'_>, timestamp: &str, style: &Style) -> String {
    let session = line.session.map(|session| session.chars().take(bound::LOG_SESSION_CHARS).collect::<String>());
    let user_agent = line.user_agent.map(|agent| style.masker.masked(&without_comments(agent)).into_owned());
    let peer = line.peer.map(|peer| if style.mask_addresses { without_host(peer) } else { peer.to_owned() });
    match style.format {
        LogFormat::Json => {
            let value = json!({
                "timestamp": timestamp,
                "level": LEVEL,
                "event_type": line.event_type,
                "severity": line.severity,
                "session_id": session,
                "user_agent": user_agent,
                "ip_address": peer,
                "details": {"violation_type": line.violation, "blocked": line.blocked, "payload": PAYLOAD},
            });
            format!("{value}\n")
        }
        LogFormat::Text => {
            let mut text = format!("{timestamp} {LEVEL} {} severity={}", line.event_type, line.severity);
            for (name, value) in [("session_id", session), ("ip_address", peer), ("user_agent", user_agent)] {
                if let Some(value) = value {
                    // Writing to a String cannot fail; quoting leaves a line one line.
                    write!(text, " {name}={value:?}").ok();
                }
            }
            let (violation, blocked) = (line.violation, line.blocked);
            write!(text, " violation_type={violation} blocked={blocked} payload={PAYLOAD}").ok();
            text.push('\n');
            text
        }
    }
}

/// What a client calls itself, without what stands in brackets: there browsers name the machine and its system.
fn without_comments(user_agent: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    for char in user_agent.chars().take(bound::AUDIT_USER_AGENT_CHARS_MAX) {
        match char {
            '(' => {
                if depth == 0 {
                    out.push_str("(***)");
                }
                depth += 1;
            }
            ')' => depth = depth.saturating_sub(1),
            char if depth == 0 && !char.is_control() => out.push(char),
            _ => {}
        }
    }
    out
}

/// The network, without the host: 24 bits of IPv4, the first 48 of IPv6.
fn without_host(peer: &str) -> String {
    let of_four = |[a, b, c, _]: [u8; 4]| format!("{a}.{b}.{c}.***");
    match peer.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => of_four(address.octets()),
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:***")
        }
        // A uid of this machine is no address.
        Err(_) if peer.starts_with("uid ") => peer.to_owned(),
        Err(_) => mask::MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(format: LogFormat, mask_addresses: bool) -> Style {
        Style { format, mask_addresses, masker: Arc::new(Masker::of_logs().unwrap()) }
    }

    fn line() -> SecurityLine<'static> {
        SecurityLine {
            event_type: "authentication_failure",
            severity: "medium",
            session: Some("0123456789abcdef0123"),
            user_agent: Some("Mozilla/5.0 (X11; Linux (a)) Gecko/20\u{1b}100101"),
            peer: Some("192.0.2.77"),
            violation: "unauthenticated",
            blocked: true,
        }
    }

    #[test]
    fn a_line_of_json_has_every_field_and_no_payload() {
        let text = rendered(&line(), "2026-11-22T07:00:00.000Z", &style(LogFormat::Json, true));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({
                "timestamp": "2026-11-22T07:00:00.000Z",
                "level": "SECURITY",
                "event_type": "authentication_failure",
                "severity": "medium",
                "session_id": "0123456789ab",
                "user_agent": "Mozilla/5.0 (***) Gecko/20100101",
                "ip_address": "192.0.2.***",
                "details": {"violation_type": "unauthenticated", "blocked": true, "payload": "***SANITIZED***"},
            })
        );
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn a_line_of_text_has_the_same_facts() {
        let text = rendered(&line(), "2026-11-22T07:00:00.000Z", &style(LogFormat::Text, true));
        assert_eq!(
            text,
            "2026-11-22T07:00:00.000Z SECURITY authentication_failure severity=medium session_id=\"0123456789ab\" \
             ip_address=\"192.0.2.***\" user_agent=\"Mozilla/5.0 (***) Gecko/20100101\" \
             violation_type=unauthenticated blocked=true payload=***SANITIZED***\n"
        );
    }

    #[test]
    fn addresses_lose_their_host_and_nothing_else_passes() {
        for (peer, expected) in [
            ("192.0.2.77", "192.0.2.***"),
            ("::ffff:192.0.2.77", "192.0.2.***"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:***"),
            ("::1", "0:0:0:***"),
            ("uid 1000", "uid 1000"),
            ("host.example", mask::MASK),
        ] {
            assert_eq!(without_host(peer), expected, "{peer}");
        }
        let open = rendered(&line(), "", &style(LogFormat::Json, false));
        assert!(open.contains("192.0.2.77"), "{open}");
    }

    #[test]
    fn a_token_in_a_user_agent_is_masked() {
        let token = format!("sks_{}", "0f".repeat(32));
        let agent = format!("curl/8 {token}");
        let text = rendered(&SecurityLine { user_agent: Some(&agent), ..line() }, "", &style(LogFormat::Json, true));
        assert!(!text.contains(&token) && text.contains(mask::MASK), "{text}");
    }

    #[test]
    fn where_no_log_was_started_nothing_is_written() {
        SecurityLog::default().write(&line());
    }
}
