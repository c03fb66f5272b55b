//! Elastic Common Schema 8 (<https://www.elastic.co/docs/reference/ecs>), a JSON object a line, for Elasticsearch and
//! what understands it. Fields that the schema does not have stand under `sekisho`.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::{Shown, jsonl};
use crate::audit::entry::{Event, Outcome};

/// The version of the schema that is followed.
const ECS_VERSION: &str = "8.11.0";

/// The schema's `long`: Elasticsearch refuses a document with a larger number.
const LONG_MAX: u64 = i64::MAX.unsigned_abs();

pub(super) fn line(shown: &Shown<'_>, out: &mut impl Write) -> io::Result<()> {
    jsonl::write(&Document::of(shown), out)
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: String,
    ecs: Ecs,
    event: About<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<UserAgent<'a>>,
    sekisho: Ours<'a>,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

#[derive(Serialize)]
struct About<'a> {
    kind: &'static str,
    category: [&'static str; 1],
    #[serde(rename = "type")]
    types: &'static [&'static str],
    /// The operation, or the event where there is none.
    action: &'a str,
    /// success, failure or unknown; ours is in `sekisho.outcome`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    sequence: u64,
    /// Nanoseconds.
    duration: u64,
    provider: &'static str,
    dataset: &'static str,
}

#[derive(Serialize)]
struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// "Unique user hash to correlate information for a user in anonymized form": the pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<[&'a str; 1]>,
}

#[derive(Serialize)]
struct Source<'a> {
    /// As it is, also where it is no address of the network.
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

#[derive(Serialize)]
struct UserAgent<'a> {
    original: &'a str,
}

#[derive(Serialize)]
struct Ours<'a> {
    event: &'static str,
    outcome: &'static str,
    transport: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    argument_digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    argument_bytes: u64,
    output_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<u64>,
}

impl<'a> Document<'a> {
    fn of(shown: &Shown<'a>) -> Self {
        let entry = shown.entry;
        let (category, types) = place(entry.event, entry.outcome);
        let user = User {
            name: shown.principal().map(String::as_str),
            hash: entry.subject.as_deref(),
            roles: entry.role.as_deref().map(|role| [role]),
        };
        let is_known = user.name.is_some() || user.hash.is_some() || user.roles.is_some();
        Self {
            timestamp: entry.at.rfc3339(),
            ecs: Ecs { version: ECS_VERSION },
            event: About {
                kind: "event",
                category: [category],
                types,
                action: entry.operation.as_deref().unwrap_or(entry.event.as_str()),
                outcome: shown.success(),
                reason: entry.reason.as_deref(),
                sequence: shown.sequence,
                duration: entry.duration_ms.saturating_mul(1_000_000).min(LONG_MAX),
                provider: "sekisho",
                dataset: "sekisho.audit",
            },
            user: is_known.then_some(user),
            source: shown.peer().map(|peer| Source { address: peer, ip: peer.parse().ok() }),
            user_agent: shown.user_agent().map(|user_agent| UserAgent { original: user_agent }),
            sekisho: Ours {
                event: entry.event.as_str(),
                outcome: entry.outcome.as_str(),
                transport: &entry.transport,
                scheme: entry.scheme.as_deref(),
                session: entry.session.as_deref(),
                target: entry.target.as_deref(),
                argument_digest: entry.argument_digest.as_deref(),
                arguments: shown.arguments().map(String::as_str),
                argument_bytes: entry.argument_bytes,
                output_bytes: entry.output_bytes,
                intent: entry.intent,
            },
        }
    }
}

/// `event.category` and `event.type`. Only types that the schema expects of the category; a refused credential is no
/// `denied` there, for that is of authorisation: `event.outcome` says it.
fn place(event: Event, outcome: Outcome) -> (&'static str, &'static [&'static str]) {
    let refused = outcome == Outcome::Refused;
    match event {
        Event::Call if refused => ("api", &["access", "denied"]),
        Event::Call => ("api", &["access"]),
        Event::Administration if refused => ("api", &["admin", "denied"]),
        Event::Administration => ("api", &["admin"]),
        Event::Authentication => ("authentication", &["info"]),
        Event::Session => ("session", &["info"]),
        Event::Lifecycle => ("process", &["info"]),
        Event::Vault => ("configuration", &["info"]),
        Event::Configuration => ("configuration", &["change"]),
        // Entries pruned, a subject's keys destroyed.
        Event::Audit => ("database", &["change"]),
        Event::Alert => ("intrusion_detection", &["info"]),
        Event::Egress if refused => ("network", &["connection", "denied"]),
        Event::Egress => ("network", &["connection", "allowed"]),
    }
}
