//! One alert as it is stored, and the rows of those that wait: alerts in order, and how far each place has come.
//!
//! Rows: `alerts` by sequence u64 BE, [`AlertRecord`]; `meta` by `watch/cursor/PLACE`, the sequence u64 BE up to which the
//! place was given everything. A row with `update` tells the places how an alert went on; lists leave it out.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event::SecurityEvent;
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::severity::Severity;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Batch, Put, Removal, Snapshot, StoreError};

/// An alert. Nothing in it tells who somebody is, but to those who can read the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// Sequence of its first row.
    pub id: u64,
    pub event: SecurityEvent,
    pub severity: Severity,
    pub first: Timestamp,
    pub last: Timestamp,
    /// How often it came; the others were folded into this one.
    pub count: u64,
    /// The pseudonym under which the audit log knows whom it is about.
    pub subject: Option<String>,
    /// Sequence of the audit entry that made the rule fire.
    pub entry: Option<u64>,
    /// What was found.
    pub detail: String,
    /// What was done about it.
    pub action: Option<String>,
    pub acknowledged: Option<Timestamp>,
    /// It is told once more, for it went on.
    pub update: bool,
    /// Of an incident: what whoever opened it said of it.
    pub incident: Option<OfIncident>,
}

/// What an incident's alert carries beside its line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfIncident {
    /// Its type.
    pub kind: String,
    /// What it concerns.
    pub systems: Vec<String>,
    /// Its number and its title.
    pub title: String,
    /// What is known; may be empty.
    pub description: String,
}

impl OfIncident {
    /// In one line.
    pub fn line(&self) -> String {
        format!("{}: {}; affected: {}", self.kind, self.title, self.systems.join(", "))
    }

    fn told(&self) -> String {
        let known = Some(&self.description).filter(|known| !known.is_empty());
        known.map_or_else(|| self.title.clone(), |known| format!("{}. {known}", self.title))
    }
}

impl Record for AlertRecord {
    const TABLE: &'static str = "alerts";
    const FORMAT: u8 = 2;
}

/// As rows were before alerts of incidents had fields of their own.
#[derive(Serialize, Deserialize)]
struct Former {
    id: u64,
    event: SecurityEvent,
    severity: Severity,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    subject: Option<String>,
    entry: Option<u64>,
    detail: String,
    action: Option<String>,
    acknowledged: Option<Timestamp>,
    update: bool,
}

impl Record for Former {
    const TABLE: &'static str = "alerts";
}

fn decode(row: &[u8]) -> Result<AlertRecord, StoreError> {
    if row.first() != Some(&Former::FORMAT) {
        return codec::decode(row);
    }
    let Former { id, event, severity, first, last, count, subject, entry, detail, action, acknowledged, update } =
        codec::decode(row)?;
    let incident = None;
    Ok(AlertRecord {
        id,
        event,
        severity,
        first,
        last,
        count,
        subject,
        entry,
        detail,
        action,
        acknowledged,
        update,
        incident,
    })
}

impl AlertRecord {
    /// As administrators and receivers see it.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "event": self.event.as_str(),
            "severity": self.severity.as_str(),
            "about": self.event.about(),
            "first": self.first.rfc3339(),
            "last": self.last.rfc3339(),
            "count": self.count,
            "subject": self.subject,
            "audit_entry": self.entry,
            "detail": self.detail,
            "action": self.action,
            "acknowledged": self.acknowledged.map(Timestamp::rfc3339),
        })
    }

    /// What incident management asks of a notification, in its words.
    pub fn notification(&self) -> Value {
        let system = self.event.system().to_owned();
        let (kind, systems, description) = match &self.incident {
            Some(incident) => (incident.kind.as_str(), incident.systems.clone(), incident.told()),
            None => (self.event.as_str(), vec![system], self.detail.clone()),
        };
        json!({
            "severity": self.severity.as_str(),
            "type": kind,
            "timestamp": self.last.rfc3339(),
            "affected_systems": systems,
            "description": if description.is_empty() { self.event.about() } else { &description },
        })
    }

    /// An incident of high severity or above is told to every place, whatever else that wants to hear of.
    pub fn is_grave_incident(&self) -> bool {
        self.event == SecurityEvent::Incident && self.severity >= Severity::High
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let mut line = format!("{} ({})", self.event.as_str(), self.severity);
        if self.count > 1 {
            // Writing to a String cannot fail.
            let _never = write!(line, ", {} times", self.count);
        }
        for part in [Some(&self.detail).filter(|detail| !detail.is_empty()), self.action.as_ref()].into_iter().flatten()
        {
            line.push_str("; ");
            line.push_str(part);
        }
        line
    }
}

/// The row of an alert at `sequence`.
pub fn row(sequence: u64, alert: &AlertRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Alerts, sequence.to_be_bytes(), codec::encode(alert)?))
}

/// What writes new rows, and removes the oldest where there would be too many.
pub fn append(snapshot: &Snapshot, next: u64, puts: Vec<Put>) -> Result<Batch, StoreError> {
    let surplus = (snapshot.count(Table::Alerts)? + puts.len() as u64).saturating_sub(bound::ALERT_ROWS_MAX);
    let mut batch = Batch::puts(puts);
    if surplus > 0 {
        batch.removals.push(Removal {
            table: Table::Alerts,
            from: Vec::new(),
            to: next.to_be_bytes().to_vec(),
            rows_max: usize::try_from(surplus).unwrap_or(usize::MAX),
        });
    }
    Ok(batch)
}

/// After all rows.
const AFTER_ALL: [u8; 9] = [u8::MAX; 9];

/// The sequence of the next row.
pub fn next(snapshot: &Snapshot) -> Result<u64, StoreError> {
    let last = snapshot.last(Table::Alerts, &[], &AFTER_ALL)?;
    last.map_or(Ok(1), |(key, _)| Ok(sequence(key)?.saturating_add(1)))
}

/// Rows after `after`, oldest first, at most `rows_max`.
pub fn after(snapshot: &Snapshot, after: u64, rows_max: usize) -> Result<Vec<(u64, AlertRecord)>, StoreError> {
    let from = after.saturating_add(1).to_be_bytes();
    let rows = snapshot.scan(Table::Alerts, &from, &AFTER_ALL, rows_max)?;
    rows.into_iter().map(|(key, value)| Ok((sequence(key)?, decode(&value)?))).collect()
}

pub fn get(snapshot: &Snapshot, id: u64) -> Result<Option<AlertRecord>, StoreError> {
    snapshot.get(Table::Alerts, &id.to_be_bytes())?.map(|bytes| decode(&bytes)).transpose()
}

fn sequence(key: Vec<u8>) -> Result<u64, StoreError> {
    key.try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| StoreError::Record { table: Table::Alerts.name(), reason: "its key is not a sequence".into() })
}

/// How far a place has come; none if it was never given anything.
pub fn cursor(snapshot: &Snapshot, place: &str) -> Result<Option<u64>, StoreError> {
    let row = snapshot.get(Table::Meta, cursor_key(place).as_bytes())?;
    Ok(row.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes))
}

pub fn cursor_row(place: &str, sequence: u64) -> Put {
    Put::new(Table::Meta, cursor_key(place).into_bytes(), sequence.to_be_bytes().to_vec())
}

fn cursor_key(place: &str) -> String {
    format!("watch/cursor/{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(incident: Option<OfIncident>) -> AlertRecord {
        AlertRecord {
            id: 7,
            event: SecurityEvent::Incident,
            severity: Severity::High,
            first: Timestamp(1_790_000_000_000),
            last: Timestamp(1_790_000_000_123),
            count: 1,
            subject: None,
            entry: None,
            detail: "a detail".into(),
            action: None,
            acknowledged: None,
            update: false,
            incident,
        }
    }

    #[test]
    fn a_notification_tells_what_was_said_whatever_stands_in_it() {
        let incident = OfIncident {
            kind: "leak: of a token".into(),
            systems: vec!["crm, the old one".into(), "host: a".into()],
            title: "incident 2: found; affected: all".into(),
            description: "on a pastebin".into(),
        };
        let told = of(Some(incident)).notification();
        assert_eq!(told["type"], "leak: of a token");
        assert_eq!(told["affected_systems"], json!(["crm, the old one", "host: a"]));
        assert_eq!(told["description"], "incident 2: found; affected: all. on a pastebin");
    }

    #[test]
    fn a_row_of_before_is_read() {
        let alert = of(None);
        let former = Former {
            id: alert.id,
            event: alert.event,
            severity: alert.severity,
            first: alert.first,
            last: alert.last,
            count: alert.count,
            subject: None,
            entry: None,
            detail: alert.detail.clone(),
            action: None,
            acknowledged: None,
            update: false,
        };
        assert_eq!(decode(&codec::encode(&former).unwrap()).unwrap(), alert);
        assert_eq!(decode(&codec::encode(&alert).unwrap()).unwrap(), alert);
    }
}
