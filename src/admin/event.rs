//! The operation `event.list`: recent security events, read back from the audit log.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::{Request, answering, parse, written};
use crate::audit::entry::{Entry, Event, Outcome};
use crate::audit::filter::time;
use crate::audit::{Audit, AuditError, Numbered, word};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::base::severity::Severity;
use crate::custody::CustodyError;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, audit: &Audit) -> Result<(), NotASchema> {
    let audit = audit.clone();
    let title = "List recent security events, the newest first";
    let mut list = answering::<List, Events>("event.list", title, Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    list.urgent = true;
    catalog.add(Arc::new(Request::new(list, move |cx, arguments| {
        let (audit, cancel) = (audit.clone(), cx.cancel.clone());
        Box::pin(async move {
            let asked: List = parse(arguments)?;
            let work = move || look_back(&audit, &asked, &|| cancel.is_cancelled());
            tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?
        })
    })))
}

/// What of the log is a security event, and how much it matters.
const KINDS: [(&str, Severity); 13] = [
    ("authentication_failure", Severity::Medium),
    ("access_denied", Severity::Medium),
    ("rate_limit_exceeded", Severity::Medium),
    ("suspicious_pattern", Severity::High),
    ("flagged_pattern", Severity::Low),
    ("session_hijack", Severity::Critical),
    ("session_ended", Severity::Low),
    ("ban", Severity::High),
    ("ban_lifted", Severity::Low),
    ("foreign_origin", Severity::Medium),
    ("vault", Severity::High),
    ("egress_refused", Severity::High),
    // Its own says how much it matters.
    ("alert", Severity::High),
];

fn kind_names() -> Vec<&'static str> {
    KINDS.iter().map(|(kind, _)| *kind).collect()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// From this time on: RFC 3339, a date, or a span before now such as 2h or 7d.
    #[serde(default)]
    #[schemars(length(max = 64))]
    since: Option<String>,
    /// Only this kind.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = kind_names()))]
    kind: Option<String>,
    /// Only what is at least as severe.
    #[serde(default)]
    #[schemars(with = "Severity")]
    severity: Option<Severity>,
    /// Only what was written before the entry of this number: the `next` of the answer before.
    #[serde(default)]
    #[schemars(with = "u64")]
    before: Option<u64>,
    /// At most so many.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = bound::EVENTS_MAX))]
    limit: usize,
}

fn hundred() -> usize {
    100
}

#[derive(Serialize, JsonSchema)]
struct Events {
    /// The newest first.
    items: Vec<Fact>,
    /// How many entries were looked at.
    looked_at: u64,
    /// Ask with `before` at this number to go on; none where the log, or the time asked for, is at its end.
    next: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Fact {
    /// The number of its entry in the audit log.
    sequence: u64,
    /// RFC 3339.
    at: String,
    #[schemars(extend("enum" = kind_names()))]
    kind: &'static str,
    severity: Severity,
    outcome: &'static str,
    operation: Option<String>,
    target: Option<String>,
    /// Not there while the vault is sealed, or once the subject was erased.
    principal: Option<String>,
    peer: Option<String>,
    /// The beginning of the session's id.
    session: Option<String>,
    transport: String,
    reason: Option<String>,
}

/// From the newest back, a bounded way.
fn look_back(audit: &Audit, asked: &List, is_cancelled: &dyn Fn() -> bool) -> Result<Value, Refusal> {
    let failed = |error: AuditError| Refusal::from(CustodyError::from(error));
    let first = match &asked.since {
        None => audit.first().map_err(failed)?,
        Some(text) => {
            let since = time::parse_time(text, audit.now()).map_err(|error| {
                Refusal::new(Code::Invalid, format!("{error}.")).with_data(serde_json::json!({"pointer": "/since"}))
            })?;
            audit.first_since(since).map_err(failed)?
        }
    };
    let size = audit.size().map_err(failed)?;
    let mut end = asked.before.map_or(size, |before| before.min(size)).max(first);
    let newest = end;
    let mut items = Vec::new();
    while end > first && items.len() < asked.limit && newest - end < bound::EVENTS_LOOKED_AT_MAX && !is_cancelled() {
        let from = end.saturating_sub(bound::AUDIT_PAGE_ENTRIES_MAX as u64).max(first);
        let page = audit.read(from, usize::try_from(end - from).unwrap_or(usize::MAX)).map_err(failed)?;
        end = from;
        for numbered in page.iter().rev() {
            let Some((kind, severity)) = event_of(&numbered.entry) else { continue };
            let is_kind = asked.kind.as_deref().is_none_or(|wanted| wanted == kind);
            if !is_kind || asked.severity.is_some_and(|least| severity < least) {
                continue;
            }
            items.push(fact(numbered, kind, severity));
            if items.len() == asked.limit {
                end = numbered.sequence;
                break;
            }
        }
    }
    written(&Events { items, looked_at: newest - end, next: (end > first).then_some(end) })
}

fn event_of(entry: &Entry) -> Option<(&'static str, Severity)> {
    let kind = kind_of(entry)?;
    let (kind, severity) = KINDS.into_iter().find(|(known, _)| *known == kind)?;
    let of_alert = || {
        // "ban (medium); ...": see `AlertRecord::line`.
        let (_, rest) = entry.reason.as_deref()?.split_once(" (")?;
        rest.split(')').next()?.parse().ok()
    };
    Some((kind, if kind == "alert" { of_alert().unwrap_or(severity) } else { severity }))
}

fn kind_of(entry: &Entry) -> Option<&'static str> {
    let reason = entry.reason.as_deref().unwrap_or_default();
    let operation = entry.operation.as_deref().unwrap_or_default();
    // A refusal's reason begins with its code.
    let code = reason.split_once(": ").map_or("", |(code, _)| code);
    match (entry.event, entry.outcome) {
        (_, Outcome::Intent) => None,
        (Event::Alert, _) => Some("alert"),
        (Event::Egress, outcome) => (outcome == Outcome::Refused).then_some("egress_refused"),
        (_, Outcome::Done) if operation == word::WATCH_BLOCK || operation == word::CONTAINED => Some("ban"),
        (Event::Vault, Outcome::Failed | Outcome::Refused) => Some("vault"),
        (Event::Session, Outcome::Refused) => Some("session_hijack"),
        (Event::Session, _) => reason.starts_with("ended: ").then_some("session_ended"),
        (_, Outcome::Refused)
            if reason.strip_prefix("invalid: ").is_some_and(|it| it.starts_with(word::SUSPICIOUS_PATTERN)) =>
        {
            Some("suspicious_pattern")
        }
        (_, Outcome::Refused) => match code {
            "unauthenticated" => Some("authentication_failure"),
            "forbidden" => Some("access_denied"),
            "too_many_requests" => Some("rate_limit_exceeded"),
            _ if ["host ", "origin "].iter().any(|start| reason.starts_with(start)) => Some("foreign_origin"),
            _ => None,
        },
        (_, Outcome::Done) if operation == "ban.add" => Some("ban"),
        (_, Outcome::Done) if operation == "ban.lift" => Some("ban_lifted"),
        _ => reason.contains("flagged: ").then_some("flagged_pattern"),
    }
}

fn fact(numbered: &Numbered, kind: &'static str, severity: Severity) -> Fact {
    let entry = &numbered.entry;
    let personal = numbered.open_personal();
    Fact {
        sequence: numbered.sequence,
        at: entry.at.rfc3339(),
        kind,
        severity,
        outcome: entry.outcome.as_str(),
        operation: entry.operation.clone(),
        target: entry.target.clone(),
        principal: personal.and_then(|personal| personal.principal.clone()),
        peer: personal.and_then(|personal| personal.peer.clone()),
        session: entry.session.clone(),
        transport: entry.transport.clone(),
        reason: entry.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::entry::{Draft, of_draft};
    use crate::base::clock::Timestamp;

    fn entry(event: Event, outcome: Outcome, operation: &str, reason: &str) -> Entry {
        let mut draft = Draft::new(event, "http", Timestamp(0));
        draft.operation = Some(operation.to_owned());
        let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
        of_draft(draft, outcome, reason, Timestamp(0))
    }

    #[test]
    fn what_the_gate_did_is_an_event_and_daily_work_and_mistakes_are_none() {
        use Event::{Administration, Alert, Authentication, Call, Egress, Session, Vault};
        use Outcome::{Done, Failed, Intent, Refused};

        let check = |event, outcome, operation, reason, expect: Option<&str>| {
            let found = event_of(&entry(event, outcome, operation, reason)).map(|(kind, _)| kind);
            assert_eq!(found, expect, "{operation} {reason}");
        };
        check(Authentication, Refused, "", "unauthenticated: wrong password", Some("authentication_failure"));
        check(Call, Refused, "read_document", "forbidden: denied by a.cedar#1", Some("access_denied"));
        check(Call, Refused, "read_document", "too_many_requests: x", Some("rate_limit_exceeded"));
        check(Call, Refused, "read_document", "invalid: suspicious_pattern a.b at /path", Some("suspicious_pattern"));
        check(Call, Done, "search_documents", "flagged: suspicious_pattern a.b at /query", Some("flagged_pattern"));
        check(Call, Refused, "http", "host evil.example", Some("foreign_origin"));
        check(Session, Refused, "", "not_found: session of another principal", Some("session_hijack"));
        check(Session, Done, "", "ended: idle for too long", Some("session_ended"));
        check(Session, Done, "", "began", None);
        check(Authentication, Done, "ban.add", "the address is banned", Some("ban"));
        check(Administration, Done, "ban.lift", "", Some("ban_lifted"));
        check(Administration, Intent, "ban.add", "", None);
        check(Vault, Failed, "vault.unseal", "wrong secret", Some("vault"));
        check(Vault, Done, "key.rotate", "", None);
        check(Call, Refused, "read_document", "invalid: no such field", None);
        check(Call, Done, "search_documents", "classification internal", None);
        check(Alert, Done, "alert.ban", "ban (medium)", Some("alert"));
        check(Session, Done, "watch.block", "the session is banned", Some("ban"));
        check(Egress, Refused, "egress.alert", "it leads to 10.0.0.1", Some("egress_refused"));
        check(Egress, Done, "egress.alert", "connected", None);
    }
}
