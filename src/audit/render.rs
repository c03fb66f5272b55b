//! One entry as people and their systems read it: as JSON lines, CEF, CSV or ECS; one entry is one line.
//!
//! **Invariant:** no text from outside ends a line, breaks out of its field, or commands a terminal; see `text`.
//!
//! **Invariant:** an entry's rendition never changes: bundles hold renditions and are checked by making them again,
//! years later (see `audit::bundle`). A different one is a new version of the bundle format. Tests hold each format to
//! its literal bytes.

pub mod cef;
mod csv;
mod ecs;
pub(super) mod jsonl;
pub(crate) mod text;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use super::entry::{Entry, Outcome, Personal};

/// An entry with its place in the log, and as much of its personal part as may be shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub sequence: u64,
    pub entry: &'a Entry,
    pub personal: Option<&'a Personal>,
}

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A JSON object a line (RFC 8259), all fields, lossless.
    Jsonl,
    /// `ArcSight` Common Event Format 0, for SIEMs.
    Cef,
    /// Comma-separated values with a header line (RFC 4180), for spreadsheets.
    Csv,
    /// Elastic Common Schema 8, a JSON object a line.
    Ecs,
}

/// All of them, for help.
pub const FORMATS: [Format; 4] = [Format::Jsonl, Format::Cef, Format::Csv, Format::Ecs];

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of the formats jsonl, cef, csv and ecs, found {0:?}")]
pub struct NotAFormat(String);

impl Format {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Cef => "cef",
            Self::Csv => "csv",
            Self::Ecs => "ecs",
        }
    }

    /// Of a file in this format, without the leading dot; no two formats share one.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Cef => "cef",
            Self::Csv => "csv",
            Self::Ecs => "ecs.jsonl",
        }
    }

    /// Whether lines of this format name the version of the program that is said to have made them.
    pub fn names_version(self) -> bool {
        self == Self::Cef
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = NotAFormat;

    fn from_str(name: &str) -> Result<Self, NotAFormat> {
        let found = FORMATS.into_iter().find(|format| format.as_str() == name);
        found.ok_or_else(|| NotAFormat(text::excerpt(name)))
    }
}

/// The version of this program, as its renditions name it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes entries in one format.
#[derive(Clone, Debug)]
pub struct Renderer {
    format: Format,
    version: String,
}

impl Renderer {
    pub fn new(format: Format) -> Self {
        Self::of_version(format, VERSION)
    }

    /// As a program of this version writes it; only [`Format::Cef`] tells.
    pub fn of_version(format: Format, version: &str) -> Self {
        Self { format, version: version.to_owned() }
    }

    /// What stands before the first entry: the header line of CSV, nothing else.
    pub fn heading(&self, out: &mut impl Write) -> io::Result<()> {
        match self.format {
            Format::Csv => csv::heading(out),
            Format::Jsonl | Format::Cef | Format::Ecs => Ok(()),
        }
    }

    /// One line, with its end. Errors are those of `out`.
    pub fn entry(&self, shown: &Shown<'_>, out: &mut impl Write) -> io::Result<()> {
        match self.format {
            Format::Jsonl => jsonl::line(shown, out),
            Format::Cef => out.write_all(cef::line(shown, &self.version).as_bytes()),
            Format::Csv => csv::line(shown, out),
            Format::Ecs => ecs::line(shown, out),
        }
    }
}

/// The fields of an entry, in the order in which JSON lines and CSV have them.
const FIELDS: [&str; 21] = [
    "sequence",
    "at",
    "event",
    "outcome",
    "reason",
    "transport",
    "subject",
    "principal",
    "role",
    "scheme",
    "peer",
    "user_agent",
    "session",
    "operation",
    "target",
    "argument_digest",
    "arguments",
    "argument_bytes",
    "output_bytes",
    "duration_ms",
    "intent",
];

/// What stands in a field.
enum Field<'a> {
    Absent,
    Text(Cow<'a, str>),
    Number(u64),
}

impl<'a> Field<'a> {
    fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    fn maybe(text: Option<&'a String>) -> Self {
        text.map_or(Self::Absent, |text| Self::text(text))
    }
}

impl<'a> Shown<'a> {
    /// The values of [`FIELDS`]. `principal`, `peer`, `user_agent` and `arguments` come from the personal part only.
    fn fields(&self) -> [Field<'a>; FIELDS.len()] {
        let entry = self.entry;
        [
            Field::Number(self.sequence),
            Field::Text(Cow::Owned(entry.at.rfc3339())),
            Field::text(entry.event.as_str()),
            Field::text(entry.outcome.as_str()),
            Field::maybe(entry.reason.as_ref()),
            Field::text(&entry.transport),
            Field::maybe(entry.subject.as_ref()),
            Field::maybe(self.principal()),
            Field::maybe(entry.role.as_ref()),
            Field::maybe(entry.scheme.as_ref()),
            Field::maybe(self.peer()),
            Field::maybe(self.user_agent()),
            Field::maybe(entry.session.as_ref()),
            Field::maybe(entry.operation.as_ref()),
            Field::maybe(entry.target.as_ref()),
            Field::maybe(entry.argument_digest.as_ref()),
            Field::maybe(self.arguments()),
            Field::Number(entry.argument_bytes),
            Field::Number(entry.output_bytes),
            Field::Number(entry.duration_ms),
            entry.intent.map_or(Field::Absent, Field::Number),
        ]
    }

    fn principal(&self) -> Option<&'a String> {
        self.personal?.principal.as_ref()
    }

    fn peer(&self) -> Option<&'a String> {
        self.personal?.peer.as_ref()
    }

    fn user_agent(&self) -> Option<&'a String> {
        self.personal?.user_agent.as_ref()
    }

    fn arguments(&self) -> Option<&'a String> {
        self.personal?.arguments.as_ref()
    }

    /// The outcome in the words that CEF and ECS have for it. What is not over yet is neither success nor failure; what
    /// was done is a success, also when nobody was left to be told.
    fn success(&self) -> &'static str {
        match self.entry.outcome {
            Outcome::Done | Outcome::Undelivered => "success",
            Outcome::Failed | Outcome::Refused => "failure",
            Outcome::Intent | Outcome::InputRequired | Outcome::Deferred => "unknown",
        }
    }
}

#[cfg(test)]
mod tests;
