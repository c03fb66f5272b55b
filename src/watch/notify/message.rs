//! An alert in the words of its receivers: JSON, RFC 5424, the Common Event Format, a mail.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::alert::AlertRecord;
use crate::audit::render::{VERSION, cef};

/// Facility 10, security and authorisation messages (RFC 5424, section 6.2.1).
const FACILITY: u8 = 10;

/// The body of a post.
pub(super) fn json(alert: &AlertRecord) -> String {
    let (update, notification) = (alert.update, alert.notification());
    json!({"type": "sekisho.alert", "update": update, "alert": alert.to_json(), "notification": notification})
        .to_string()
}

/// Who sends syslog messages.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The machine's name, or `-`.
    pub host: String,
    pub process: u32,
}

impl Sender {
    /// A name of ASCII that has its place in the header (RFC 5424, section 6).
    pub fn new(host: &str, process: u32) -> Self {
        let host: String = host.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
        Self { host: if host.is_empty() { "-".into() } else { host }, process }
    }

    /// Up to the structured data: priority, version, time, host, application, process, kind of message.
    fn header(&self, alert: &AlertRecord) -> String {
        let priority = FACILITY * 8 + alert.severity.syslog();
        let Self { host, process } = self;
        // MSGID has at most 32 characters.
        let event: String = alert.event.as_str().chars().take(32).collect();
        format!("<{priority}>1 {} {host} sekisho {process} {event}", alert.last.rfc3339())
    }

    /// A message of RFC 5424 with structured data. 32473 is the number for examples (RFC 5612); Sekisho has none.
    pub(super) fn rfc5424(&self, alert: &AlertRecord) -> String {
        let mut line = format!("{} [alert@32473", self.header(alert));
        let mut parameter = |name: &str, value: Option<String>| {
            let Some(value) = value.filter(|value| !value.is_empty()) else { return };
            // Writing to a String cannot fail.
            let _never = write!(line, " {name}=\"");
            for char in value.chars().filter(|char| !char.is_control()) {
                if matches!(char, '"' | '\\' | ']') {
                    line.push('\\');
                }
                line.push(char);
            }
            line.push('"');
        };
        parameter("id", Some(alert.id.to_string()));
        parameter("event", Some(alert.event.as_str().into()));
        parameter("severity", Some(alert.severity.as_str().into()));
        parameter("count", Some(alert.count.to_string()));
        parameter("subject", alert.subject.clone());
        parameter("entry", alert.entry.map(|entry| entry.to_string()));
        parameter("action", alert.action.clone());
        line.push_str("] ");
        line.extend(alert.line().chars().filter(|char| !char.is_control()));
        line
    }

    /// A message of RFC 5424 without structured data, whose text is one line of the Common Event Format.
    pub(super) fn cef(&self, alert: &AlertRecord) -> String {
        let mut line = format!("{} - CEF:0|Sekisho|sekisho", self.header(alert));
        cef::header(&mut line, VERSION);
        cef::header(&mut line, alert.event.as_str());
        cef::header(&mut line, alert.event.about());
        cef::header(&mut line, &alert.severity.cef().to_string());
        let _never = write!(line, "|rt={} start={} cnt={}", alert.last.0, alert.first.0, alert.count);
        cef::pair(&mut line, "externalId", Some(&alert.id.to_string()));
        cef::pair(&mut line, "suid", alert.subject.as_deref());
        cef::pair(&mut line, "act", alert.action.as_deref());
        cef::pair(&mut line, "msg", Some(&alert.detail));
        cef::custom(&mut line, "cn1", "auditEntry", alert.entry.map(|entry| entry.to_string()).as_deref());
        line
    }
}

/// The subject and the text of a mail.
pub(super) fn mail(alert: &AlertRecord) -> (String, String) {
    let again = if alert.update { " (update)" } else { "" };
    let subject = format!("[sekisho] {}: {}{again}", alert.severity, alert.event.as_str());
    let mut text = format!("{}.\n\n", alert.event.about());
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let value: String = value.chars().filter(|char| !char.is_control()).collect();
            let _never = writeln!(text, "{name:<9}{value}");
        }
    };
    field("Alert", Some(alert.id.to_string()));
    field("Severity", Some(alert.severity.to_string()));
    let told = alert.notification();
    field("Type", told["type"].as_str().map(str::to_owned));
    let systems = told["affected_systems"].as_array().into_iter().flatten().filter_map(Value::as_str);
    field("Affected", Some(systems.collect::<Vec<_>>().join(", ")));
    if alert.incident.is_some() {
        field("Known", told["description"].as_str().map(str::to_owned));
    }
    field("First", Some(alert.first.rfc3339()));
    field("Last", Some(alert.last.rfc3339()));
    field("Count", Some(alert.count.to_string()));
    field("Subject", alert.subject.clone());
    field("Found", Some(alert.detail.clone()));
    field("Done", alert.action.clone());
    field("Entry", alert.entry.map(|entry| entry.to_string()));
    text.push_str("\nWho the subject is, the audit log says: sekisho audit search\n");
    (subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::severity::Severity;
    use crate::watch::event::SecurityEvent;

    fn alert() -> AlertRecord {
        AlertRecord {
            id: 7,
            event: SecurityEvent::SuspiciousPatterns,
            severity: Severity::High,
            first: Timestamp(1_790_000_000_000),
            last: Timestamp(1_790_000_000_123),
            count: 2,
            subject: Some("p1-ab".into()),
            entry: Some(41),
            detail: "a \"quoted\" ]\\ =|x\ny".into(),
            action: Some("blocked".into()),
            acknowledged: None,
            update: false,
            incident: None,
        }
    }

    #[test]
    fn a_syslog_message_is_one_line_whose_values_end_where_they_should() {
        let line = Sender::new("host.example", 9).rfc5424(&alert());
        assert_eq!(
            line,
            "<83>1 2026-09-21T14:13:20.123Z host.example sekisho 9 suspicious_patterns [alert@32473 id=\"7\" \
             event=\"suspicious_patterns\" severity=\"high\" count=\"2\" subject=\"p1-ab\" entry=\"41\" \
             action=\"blocked\"] suspicious_patterns (high), 2 times; a \"quoted\" ]\\ =|xy; blocked"
        );
        let mut quoted = alert();
        quoted.action = Some("a\"]\\b\n".into());
        let line = Sender::new("", 9).rfc5424(&quoted);
        assert!(line.contains(" action=\"a\\\"\\]\\\\b\"] ") && line.contains("123Z - sekisho"), "{line}");
    }

    #[test]
    fn a_line_of_the_common_event_format_escapes_what_outsiders_wrote() {
        let line = Sender::new("h", 9).cef(&alert());
        assert!(
            line.starts_with("<83>1 2026-09-21T14:13:20.123Z h sekisho 9 suspicious_patterns - CEF:0|Sekisho|"),
            "{line}"
        );
        assert!(
            line.contains("|suspicious_patterns|One caller sent") && line.contains("|8|rt=1790000000123 "),
            "{line}"
        );
        assert!(line.contains(" msg=a \"quoted\" ]\\\\ \\=|x\\ny cn1Label=auditEntry cn1=41"), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn a_mail_has_no_control_characters_from_outside() {
        let (subject, text) = mail(&alert());
        assert_eq!(subject, "[sekisho] high: suspicious_patterns");
        assert!(text.contains("Found    a \"quoted\" ]\\ =|xy\n"), "{text}");
    }
}
