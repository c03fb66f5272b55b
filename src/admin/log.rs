//! The operations `log.list` and `log.read`: the program's log, plain and sealed.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Nothing, Request, about, parse};
use crate::auth::policy::ask::ActionGroup;
use crate::base::clock::Timestamp;
use crate::base::refusal::{Code, Refusal};
use crate::custody::{Custody, CustodyError};
use crate::operation::{About, Catalog, Cx, Effect, Operation, Outcome, Output};
use crate::schema::NotASchema;
use crate::telemetry::folder::{LogFile, LogName};
use crate::telemetry::read::{LogReader, Piece, Placed, ReadError, Severity, Wanted};

pub(super) fn register(catalog: &Catalog, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let mut list = about::<Nothing>("log.list", "List the files of the program's log", Effect::ReadOnly)
        .in_group(ActionGroup::AuditRead);
    list.urgent = true;
    let keeper = Arc::clone(custody);
    catalog.add(Arc::new(Request::new(list, move |_, _| {
        let listed = keeper.log_files().map_err(Refusal::from);
        Box::pin(async { Ok(json!({"files": listed?.iter().map(facts).collect::<Vec<_>>()})) })
    })))?;
    let mut read =
        about::<Read>("log.read", "Read the program's log", Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    (read.tells, read.urgent) = (true, true);
    catalog.add(Arc::new(ReadLog { about: read, custody: Arc::clone(custody) }))
}

fn facts(file: &LogFile) -> Value {
    json!({
        "file": file.name.to_string(),
        "date": file.name.date.to_string(),
        "bytes": file.bytes,
        "sealed": file.name.is_sealed,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Read {
    /// One file; otherwise all of them, oldest first.
    #[serde(default)]
    #[schemars(length(max = 64))]
    file: Option<String>,
    /// The files of one day (UTC), as 2026-11-22.
    #[serde(default)]
    #[schemars(length(max = 10))]
    date: Option<String>,
    /// Lines from this time on, in milliseconds since 1970.
    #[serde(default)]
    since_ms: Option<u64>,
    /// The least severe lines that are wanted: "debug", "info", "warn", "error" or "security".
    #[serde(default)]
    #[schemars(length(max = 16))]
    level: Option<String>,
}

impl Read {
    /// The files that are meant, oldest first.
    fn files(&self, custody: &Custody) -> Result<Vec<LogName>, Refusal> {
        let names = custody.log_files()?.into_iter().map(|file| file.name);
        let names: Vec<LogName> = match (&self.file, &self.date) {
            (Some(file), _) => names.filter(|name| name.to_string() == *file).collect(),
            (None, Some(date)) => {
                let date = date.parse::<jiff::civil::Date>().map_err(|_| {
                    Refusal::new(Code::Invalid, format!("A date looks like 2026-11-22; found {date:?}."))
                })?;
                names.filter(|name| name.date == date).collect()
            }
            (None, None) => names.collect(),
        };
        if names.is_empty() && (self.file.is_some() || self.date.is_some()) {
            let public = "The log has no such file; `sekisho log list` shows those that are there.";
            return Err(Refusal::new(Code::NotFound, public));
        }
        Ok(names)
    }

    fn wanted(&self) -> Result<Wanted, Refusal> {
        let level = |name: &String| {
            Severity::parse(name).ok_or_else(|| {
                let public = format!("There is no level {name:?}; there are: debug, info, warn, error, security.");
                Refusal::new(Code::Invalid, public)
            })
        };
        let severity_min = self.level.as_ref().map(level).transpose()?;
        Ok(Wanted { since: self.since_ms.map(Timestamp), severity_min })
    }
}

struct ReadLog {
    about: About,
    custody: Arc<Custody>,
}

/// What was told so far.
#[derive(Default)]
struct Told {
    lines: u64,
    damaged: u64,
}

impl ReadLog {
    async fn tell_file(&self, cx: &Cx, name: LogName, wanted: Wanted, told: &mut Told) -> Result<(), Refusal> {
        let Some(directory) = self.custody.log_directory().map(Path::to_owned) else { return Ok(()) };
        let custody = Arc::clone(&self.custody);
        let open = move || {
            let unwrap = |header: &_| custody.log_key(header).map_err(|error: CustodyError| error.to_string());
            LogReader::open(&directory, name, unwrap)
        };
        let mut reader = match tokio::task::spawn_blocking(open).await.map_err(Refusal::internal)? {
            Ok(reader) => reader,
            // It became too old meanwhile.
            Err(ReadError::File(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                told.damaged += 1;
                let file = name.to_string();
                cx.caller.log(json!({"file": file, "place": 1, "damaged": error.to_string()})).await;
                return Ok(());
            }
        };
        loop {
            if cx.cancel.is_cancelled() {
                return Err(Refusal::new(Code::Cancelled, "The caller left."));
            }
            let page = move || {
                let page = reader.page();
                (reader, page)
            };
            let (back, page) = tokio::task::spawn_blocking(page).await.map_err(Refusal::internal)?;
            reader = back;
            let page = page.map_err(|error| Refusal::internal(format!("{name}: {error}")))?;
            if page.is_empty() {
                return Ok(());
            }
            for Placed { place, piece } in page {
                let mut event = json!({"file": name.to_string(), "place": place});
                match piece {
                    Piece::Line { text } if wanted.matches(&text) => {
                        told.lines += 1;
                        event["text"] = text.into();
                    }
                    Piece::Line { .. } => continue,
                    Piece::Damaged { reason } => {
                        told.damaged += 1;
                        event["damaged"] = reason.into();
                    }
                    Piece::Cut => event["cut"] = true.into(),
                }
                cx.caller.log(event).await;
            }
        }
    }
}

impl Operation for ReadLog {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let asked: Read = parse(arguments)?;
            let wanted = asked.wanted()?;
            let names = asked.files(&self.custody)?;
            let mut told = Told::default();
            for name in &names {
                self.tell_file(cx, *name, wanted, &mut told).await?;
            }
            let result = json!({"files": names.len(), "lines": told.lines, "damaged": told.damaged});
            Ok(Outcome::Done(Output::structured(result, String::new())))
        })
    }
}
