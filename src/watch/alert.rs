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
}

impl Record for AlertRecord {
    const TABLE: &'static str = "alerts";
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
        let (kind, systems, description) = match self.event {
            SecurityEvent::Incident => incident_of(&self.detail),
            event => (event.as_str(), vec![event.system()], self.detail.as_str()),
        };
        json!({
            "severity": self.severity.as_str(),
            "type": kind,
            "timestamp": self.last.rfc3339(),
            "affected_systems": systems,
            "description": if description.is_empty() { self.event.about() } else { description },
        })
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

/// What stands between the parts of an incident's detail.
const AFFECTED: &str = "; affected: ";

/// The detail of an alert about an incident: its type, what is known, what it concerns.
pub fn incident_detail(kind: &str, description: &str, systems: &[String]) -> String {
    format!("{kind}: {description}{AFFECTED}{}", systems.join(", "))
}

fn incident_of(detail: &str) -> (&str, Vec<&str>, &str) {
    let (kind, rest) = detail.split_once(": ").unwrap_or((SecurityEvent::Incident.as_str(), detail));
    let (description, systems) = rest.rsplit_once(AFFECTED).unwrap_or((rest, ""));
    (kind, systems.split(", ").filter(|system| !system.is_empty()).collect(), description)
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
    rows.into_iter().map(|(key, value)| Ok((sequence(key)?, codec::decode(&value)?))).collect()
}

pub fn get(snapshot: &Snapshot, id: u64) -> Result<Option<AlertRecord>, StoreError> {
    snapshot.get(Table::Alerts, &id.to_be_bytes())?.map(|bytes| codec::decode(&bytes)).transpose()
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
