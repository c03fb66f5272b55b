//! Incidents: what is on record of each, from its detection to the lessons, and the rows that keep it.
//!
//! Rows: `incidents` by number u64 BE, [`IncidentRecord`]. What is written here is written by operators, in the clear:
//! the manual tells them to name persons as the audit log does.

pub mod evidence;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::bound::incident as most;
use crate::base::clock::Timestamp;
use crate::base::severity::Severity;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};

/// Where the response to an incident stands: the six phases of the runbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    Detection,
    Containment,
    Investigation,
    Remediation,
    Recovery,
    PostIncident,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Detection,
        Self::Containment,
        Self::Investigation,
        Self::Remediation,
        Self::Recovery,
        Self::PostIncident,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::Containment => "containment",
            Self::Investigation => "investigation",
            Self::Remediation => "remediation",
            Self::Recovery => "recovery",
            Self::PostIncident => "post-incident",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }
}

/// What somebody wrote down, or what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub at: Timestamp,
    /// The principal.
    pub by: String,
    pub phase: Phase,
    pub text: String,
}

/// How an incident ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub at: Timestamp,
    pub by: String,
    /// What is done otherwise from now on.
    pub lessons: String,
    /// Who was told: authorities, customers, insurers. Empty where nobody had to be.
    pub notified: Vec<String>,
}

/// An incident as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRecord {
    pub id: u64,
    pub title: String,
    pub severity: Severity,
    /// What kind it is, such as `credential_leak`.
    pub kind: String,
    /// What it concerns: machines, connectors, libraries.
    pub systems: Vec<String>,
    pub description: String,
    pub opened: Timestamp,
    pub by: String,
    /// The alert that it began with.
    pub alert: Option<u64>,
    pub phase: Phase,
    /// Nothing happened: it is practised.
    pub is_drill: bool,
    pub notes: Vec<Note>,
    pub closed: Option<Closed>,
}

impl Record for IncidentRecord {
    const TABLE: &'static str = "incidents";
}

/// Why an incident is not changed.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    #[error("there is no incident {0}; `sekisho incident list` lists those there are")]
    Unknown(u64),
    #[error("incident {0} was closed; open another one, and name this one in its description")]
    Closed(u64),
    #[error("incident {0} has {max} notes, which is the most; close it, and go on in another one", max = most::NOTES_MAX)]
    TooManyNotes(u64),
    #[error("there are {max} incidents, which is the most", max = most::INCIDENTS_MAX)]
    TooMany,
    #[error("{what} has 1 to {bytes_max} bytes, this one {found}")]
    Length { what: &'static str, bytes_max: usize, found: usize },
    #[error("{0} is one line, without line breaks and other control characters")]
    Lines(&'static str),
    #[error(
        "there is no phase {0:?}; there are detection, containment, investigation, remediation, recovery and post-incident"
    )]
    Phase(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An incident that is opened.
#[derive(Clone, Debug)]
pub struct New {
    pub title: String,
    pub severity: Severity,
    pub kind: String,
    pub systems: Vec<String>,
    pub description: String,
    pub alert: Option<u64>,
    pub is_drill: bool,
}

/// A text that has its length.
fn checked(what: &'static str, text: &str, bytes_max: usize) -> Result<String, IncidentError> {
    let text = text.trim();
    if text.is_empty() || text.len() > bytes_max {
        return Err(IncidentError::Length { what, bytes_max, found: text.len() });
    }
    Ok(text.to_owned())
}

/// What stands in lists: with a line break in it, it would make up lines of its own.
fn one_line(what: &'static str, text: &str) -> Result<String, IncidentError> {
    let text = checked(what, text, most::TITLE_BYTES_MAX)?;
    if text.chars().any(char::is_control) { Err(IncidentError::Lines(what)) } else { Ok(text) }
}

impl IncidentRecord {
    /// An incident that is there once its row is; its number is [`next`].
    pub fn new(id: u64, new: New, by: &str, now: Timestamp) -> Result<Self, IncidentError> {
        let systems = new.systems.iter().take(most::SYSTEMS_MAX);
        Ok(Self {
            id,
            title: one_line("a title", &new.title)?,
            severity: new.severity,
            kind: one_line("a type", &new.kind)?,
            systems: systems.map(|name| one_line("the name of a system", name)).collect::<Result<_, _>>()?,
            description: new.description.trim().chars().take(most::TEXT_BYTES_MAX / 4).collect(),
            opened: now,
            by: by.to_owned(),
            alert: new.alert,
            phase: Phase::Detection,
            is_drill: new.is_drill,
            notes: Vec::new(),
            closed: None,
        })
    }

    /// Adds a note; with a phase, the response goes on to it.
    pub fn note(&mut self, text: &str, phase: Option<Phase>, by: &str, now: Timestamp) -> Result<(), IncidentError> {
        if self.closed.is_some() {
            return Err(IncidentError::Closed(self.id));
        }
        if self.notes.len() >= most::NOTES_MAX {
            return Err(IncidentError::TooManyNotes(self.id));
        }
        let text = checked("a note", text, most::TEXT_BYTES_MAX)?;
        self.phase = phase.unwrap_or(self.phase);
        self.notes.push(Note { at: now, by: by.to_owned(), phase: self.phase, text });
        Ok(())
    }

    /// Ends it, with what was learnt and who was told.
    pub fn close(&mut self, lessons: &str, notified: &[String], by: &str, now: Timestamp) -> Result<(), IncidentError> {
        if self.closed.is_some() {
            return Err(IncidentError::Closed(self.id));
        }
        let lessons = checked("what was learnt", lessons, most::TEXT_BYTES_MAX)?;
        let notified = notified.iter().take(most::SYSTEMS_MAX);
        let notified = notified.map(|who| one_line("the name of who was told", who));
        self.phase = Phase::PostIncident;
        self.closed =
            Some(Closed { at: now, by: by.to_owned(), lessons, notified: notified.collect::<Result<_, _>>()? });
        Ok(())
    }

    pub fn row(&self) -> Result<Put, StoreError> {
        Ok(Put::new(Table::Incidents, self.id.to_be_bytes(), codec::encode(self)?))
    }

    /// In one line of a list.
    pub fn summary(&self) -> Value {
        json!({
            "id": self.id,
            "title": self.title,
            "severity": self.severity,
            "type": self.kind,
            "opened": self.opened.rfc3339(),
            "phase": self.phase.as_str(),
            "drill": self.is_drill,
            "closed": self.closed.as_ref().map(|closed| closed.at.rfc3339()),
        })
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        let note = |note: &Note| json!({"at": note.at.rfc3339(), "by": note.by, "phase": note.phase.as_str(), "text": note.text});
        let mut value = self.summary();
        value["affected_systems"] = self.systems.clone().into();
        value["description"] = self.description.clone().into();
        value["by"] = self.by.clone().into();
        value["alert"] = self.alert.into();
        value["notes"] = self.notes.iter().map(note).collect();
        if let Some(closed) = &self.closed {
            value["closed_by"] = closed.by.clone().into();
            value["lessons"] = closed.lessons.clone().into();
            value["notified"] = closed.notified.clone().into();
        }
        value
    }
}

/// After all rows.
const AFTER_ALL: [u8; 9] = [u8::MAX; 9];

fn number(key: Vec<u8>) -> Result<u64, StoreError> {
    key.try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| StoreError::Record { table: Table::Incidents.name(), reason: "its key is not a number".into() })
}

/// The number of the next incident.
pub fn next(snapshot: &Snapshot) -> Result<u64, IncidentError> {
    if snapshot.count(Table::Incidents)? >= most::INCIDENTS_MAX {
        return Err(IncidentError::TooMany);
    }
    match snapshot.last(Table::Incidents, &[], &AFTER_ALL)? {
        Some((key, _)) => Ok(number(key)?.saturating_add(1)),
        None => Ok(1),
    }
}

pub fn get(snapshot: &Snapshot, id: u64) -> Result<IncidentRecord, IncidentError> {
    let row = snapshot.get(Table::Incidents, &id.to_be_bytes())?.ok_or(IncidentError::Unknown(id))?;
    Ok(codec::decode(&row)?)
}

/// All of them, newest first.
pub fn list(snapshot: &Snapshot) -> Result<Vec<IncidentRecord>, StoreError> {
    let rows_max = usize::try_from(most::INCIDENTS_MAX).unwrap_or(usize::MAX);
    let rows = snapshot.scan(Table::Incidents, &[], &AFTER_ALL, rows_max)?;
    rows.iter().rev().map(|(_, row)| codec::decode(row)).collect()
}

/// Those with a number below `before`, or the newest, newest first: at most [`most::INCIDENTS_LISTED_MAX`], and how many
/// older ones there are.
pub fn page(snapshot: &Snapshot, before: Option<u64>) -> Result<(Vec<IncidentRecord>, u64), StoreError> {
    let newest = snapshot.last(Table::Incidents, &[], &AFTER_ALL)?.map_or(Ok(0), |(key, _)| number(key))?;
    // They are numbered from 1 on, and none is ever removed.
    let end = before.unwrap_or(u64::MAX).min(newest.saturating_add(1)).max(1);
    let first = end.saturating_sub(most::INCIDENTS_LISTED_MAX).max(1);
    let rows_max = usize::try_from(most::INCIDENTS_LISTED_MAX).unwrap_or(usize::MAX);
    let rows = snapshot.scan(Table::Incidents, &first.to_be_bytes(), &end.to_be_bytes(), rows_max)?;
    let records: Result<_, _> = rows.iter().rev().map(|(_, row)| codec::decode(row)).collect();
    Ok((records?, first - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(title: &str) -> New {
        New {
            title: title.into(),
            severity: Severity::High,
            kind: "credential_leak".into(),
            systems: vec!["connector crm".into()],
            description: "found on a pastebin".into(),
            alert: Some(3),
            is_drill: false,
        }
    }

    fn opened() -> IncidentRecord {
        IncidentRecord::new(1, new("a leak"), "local:0", Timestamp(7)).unwrap()
    }

    #[test]
    fn an_incident_goes_through_its_phases_and_ends_once() {
        let mut incident = opened();
        assert_eq!((incident.id, incident.phase), (1, Phase::Detection));
        incident.note("revoked it", Some(Phase::Containment), "local:0", Timestamp(8)).unwrap();
        incident.note("and told ann", None, "local:0", Timestamp(9)).unwrap();
        assert_eq!(incident.notes[1].phase, Phase::Containment, "a note without a phase is of the present one");
        assert!(matches!(incident.close(" ", &[], "local:0", Timestamp(9)), Err(IncidentError::Length { .. })));
        incident.close("shorter lives for tokens", &["the authority".into()], "local:0", Timestamp(10)).unwrap();
        assert!(matches!(incident.note("x", None, "local:0", Timestamp(11)), Err(IncidentError::Closed(1))));
        assert!(matches!(incident.close("x", &[], "local:0", Timestamp(11)), Err(IncidentError::Closed(1))));
        let told = incident.to_json();
        assert_eq!((&told["phase"], &told["notified"][0]), (&"post-incident".into(), &"the authority".into()));
    }

    #[test]
    fn the_largest_record_fits_a_row() {
        let mut incident = opened();
        for _ in 0..most::NOTES_MAX {
            incident.note(&"x".repeat(most::TEXT_BYTES_MAX), None, &"p".repeat(256), Timestamp(u64::MAX)).unwrap();
        }
        assert!(matches!(incident.note("x", None, "y", Timestamp(0)), Err(IncidentError::TooManyNotes(1))));
        incident.close(&"x".repeat(most::TEXT_BYTES_MAX), &[], "p", Timestamp(1)).unwrap();
        incident.row().unwrap();
    }

    #[test]
    fn phases_are_known_by_their_names() {
        for phase in Phase::ALL {
            assert_eq!(Phase::named(phase.as_str()), Some(phase));
        }
        assert_eq!(Phase::named("panic"), None);
    }
}
