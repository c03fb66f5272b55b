//! Common Event Format 0 (Micro Focus, "Implementing `ArcSight` Common Event Format", version 25), for SIEMs.
//!
//! | key | what it holds |
//! |---|---|
//! | event class id, name | the event; the event and its outcome in words |
//! | severity | by outcome: 2 for what runs or went well, 3 undelivered, 5 failed, 6 refused |
//! | `rt` | when it was written, in milliseconds since 1970 |
//! | `externalId` | the entry's sequence |
//! | `act`, `outcome` | our outcome; success, failure or unknown |
//! | `app` | the transport |
//! | `reason`, `requestClientApplication`, `spriv` | reason, user agent, role |
//! | `suid`, `suser` | the subject's pseudonym, the principal's name |
//! | `src`, `c6a2`, `flexString1` | the peer: an IPv4 address, an IPv6 address, anything else |
//! | `in`, `out` | bytes of the arguments, of the output |
//! | `cn1`, `cn2` | duration in milliseconds, sequence of the intent |
//! | `cs1` to `cs6` | operation, target, session, digest of the arguments, scheme, arguments |
//!
//! What is absent is left out; what is longer than the key's length in the dictionary is cut.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::Shown;
use super::text::{cut, stand_in};
use crate::audit::entry::{Event, Outcome};
use crate::base::bound;

/// One line, ended by LF.
pub(super) fn line(shown: &Shown<'_>, version: &str) -> String {
    let entry = shown.entry;
    let mut line = String::from("CEF:0|Sekisho|sekisho");
    header(&mut line, version);
    header(&mut line, entry.event.as_str());
    header(&mut line, &format!("{} {}", words(entry.event), entry.outcome.as_str().replace('_', " ")));
    header(&mut line, severity(entry.outcome));
    // Milliseconds, one of the two forms that are taken: no time zone can be misread.
    let _never = write!(line, "|rt={} externalId={}", entry.at.0, shown.sequence);
    pair(&mut line, "act", Some(entry.outcome.as_str()));
    pair(&mut line, "outcome", Some(shown.success()));
    pair(&mut line, "app", Some(&cut(&entry.transport, bound::CEF_APPLICATION_CHARS_MAX)));
    pair(&mut line, "reason", entry.reason.as_deref());
    pair(&mut line, "suid", entry.subject.as_deref());
    pair(&mut line, "suser", shown.principal().map(String::as_str));
    pair(&mut line, "spriv", entry.role.as_deref());
    peer(&mut line, shown.peer().map(String::as_str));
    pair(&mut line, "requestClientApplication", shown.user_agent().map(String::as_str));
    let _never = write!(line, " in={} out={}", entry.argument_bytes, entry.output_bytes);
    custom(&mut line, "cs1", "operation", entry.operation.as_deref());
    custom(&mut line, "cs2", "target", entry.target.as_deref());
    custom(&mut line, "cs3", "session", entry.session.as_deref());
    custom(&mut line, "cs4", "argumentDigest", entry.argument_digest.as_deref());
    custom(&mut line, "cs5", "scheme", entry.scheme.as_deref());
    custom(&mut line, "cs6", "arguments", shown.arguments().map(String::as_str));
    custom(&mut line, "cn1", "durationMs", Some(&entry.duration_ms.to_string()));
    custom(&mut line, "cn2", "intent", entry.intent.map(|intent| intent.to_string()).as_deref());
    line.push('\n');
    line
}

/// Event names in words, for people who read a list of alerts.
fn words(event: Event) -> &'static str {
    match event {
        Event::Call => "Call",
        Event::Authentication => "Authentication",
        Event::Session => "Session",
        Event::Lifecycle => "Start or stop",
        Event::Administration => "Administration",
        Event::Vault => "Vault",
        Event::Configuration => "Configuration",
        Event::Audit => "Audit log",
        Event::Alert => "Alert",
        Event::Egress => "Outbound connection",
    }
}

/// 0 to 3 is low, 4 to 6 medium. A refusal is the checkpoint doing its work, and what a SIEM is there to count.
fn severity(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Intent | Outcome::Done | Outcome::InputRequired | Outcome::Deferred => "2",
        Outcome::Undelivered => "3",
        Outcome::Failed => "5",
        Outcome::Refused => "6",
    }
}

/// The other end, under the key that is for such an address. Processes at this machine have none.
fn peer(line: &mut String, peer: Option<&str>) {
    match peer.map(|peer| (peer, peer.parse().map(|address: IpAddr| address.to_canonical()))) {
        Some((_, Ok(IpAddr::V4(address)))) => pair(line, "src", Some(&address.to_string())),
        Some((_, Ok(IpAddr::V6(address)))) => custom(line, "c6a2", "Source IPv6 Address", Some(&address.to_string())),
        Some((peer, Err(_))) => custom(line, "flexString1", "peer", Some(&cut(peer, bound::CEF_TEXT_CHARS_MAX))),
        None => {}
    }
}

/// A field of the header. Backslashes and pipes are escaped; there may be no line break.
pub fn header(line: &mut String, field: &str) {
    line.push('|');
    for char in field.chars() {
        if matches!(char, '\\' | '|') {
            line.push('\\');
        }
        line.push(stand_in(char));
    }
}

/// A key of the dictionary, and its value.
pub fn pair(line: &mut String, key: &str, value: Option<&str>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    let _never = write!(line, " {key}=");
    escape(line, &cut(value, bound::CEF_TEXT_CHARS_MAX));
}

/// A custom key, its value and its label.
pub fn custom(line: &mut String, key: &str, label: &str, value: Option<&str>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    let _never = write!(line, " {key}Label={label} {key}=");
    escape(line, &cut(value, bound::CEF_CUSTOM_CHARS_MAX));
}

/// A value of the extension. Backslashes, equal signs and line breaks are escaped; pipes are not.
fn escape(line: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '\\' => line.push_str("\\\\"),
            '=' => line.push_str("\\="),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            _ => line.push(stand_in(char)),
        }
    }
}
