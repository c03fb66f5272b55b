//! The operations `audit.search`, `audit.report` and `audit.export`: looks at many entries, page by page.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::to_json;
use super::request::{Request, about, parse};
use crate::audit::bundle::{self, BundleError, Contents};
use crate::audit::entry::{EVENTS, Entry, OUTCOMES, Personal};
use crate::audit::filter::{Filter, Needle, Pattern, time};
use crate::audit::render::{Format, Shown};
use crate::audit::report::Summary;
use crate::audit::retain::frontier_at;
use crate::audit::{Audit, AuditError, Disclosed, Numbered, keep, proof};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::{hex, random_bytes};
use crate::base::refusal::{Code, Refusal};
use crate::crypto::sign::VerifyingKey;
use crate::custody::{Custody, CustodyError};
use crate::operation::{Catalog, Cx, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, audit: &Audit, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let log = audit.clone();
    let mut search = about::<Search>("audit.search", "Find entries", Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    (search.tells, search.urgent) = (true, true);
    catalog.add(Arc::new(Request::new(search, move |cx, arguments| {
        let audit = log.clone();
        Box::pin(async move { find(cx, audit, parse(arguments)?).await })
    })))?;
    let log = audit.clone();
    let report = about::<Range>("audit.report", "Sum the log up", Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    catalog.add(Arc::new(Request::new(report, move |cx, arguments| {
        let audit = log.clone();
        Box::pin(async move { report_on(cx, audit, &parse(arguments)?).await })
    })))?;
    let (log, keeper) = (audit.clone(), Arc::clone(custody));
    let mut export = about::<Export>("audit.export", "Write entries with their proofs into a file", Effect::Changes)
        .in_group(ActionGroup::AuditRead);
    export.argument_bytes_max *= 4;
    export.at_machine = true;
    catalog.add(Arc::new(Request::new(export, move |_, arguments| {
        let (audit, custody) = (log.clone(), Arc::clone(&keeper));
        Box::pin(async move {
            let asked: Export = parse(arguments)?;
            let note = custody.keeper().checkpoint_now().await.map_err(CustodyError::from)?;
            let keys = custody.keeper().keys().map_err(CustodyError::from)?;
            let work = move || write_bundle(&audit, &asked, &note, &keys);
            tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?
        })
    })))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Range {
    /// From this time on: RFC 3339, a date, or a span before now such as 2h or 7d.
    #[serde(default)]
    #[schemars(length(max = 64))]
    from: Option<String>,
    /// Before this time.
    #[serde(default)]
    #[schemars(length(max = 64))]
    to: Option<String>,
}

impl Range {
    /// Sequences: the first entry that is meant, and the first that is not any more.
    fn sequences(&self, audit: &Audit) -> Result<(u64, u64), Refusal> {
        let now = audit.now();
        let at =
            |text: &str| time::parse_time(text, now).map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")));
        let failed = |error: AuditError| Refusal::from(CustodyError::from(error));
        let first = match &self.from {
            Some(from) => audit.first_since(at(from)?).map_err(failed)?,
            None => audit.first().map_err(failed)?,
        };
        let end = match &self.to {
            Some(to) => audit.first_since(at(to)?).map_err(failed)?,
            None => audit.size().map_err(failed)?,
        };
        Ok((first, end.max(first)))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(flatten)]
    range: Range,
    /// About one of these: a principal, `peer:ADDRESS`, or a pseudonym.
    #[serde(default)]
    #[schemars(length(max = 32))]
    subjects: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    events: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    outcomes: Vec<String>,
    /// An operation, or several with `*`.
    #[serde(default)]
    #[schemars(length(max = 256))]
    operation: Option<String>,
    #[serde(default)]
    #[schemars(length(max = 256))]
    text: Option<String>,
    /// At most so many, the newest.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 10_000))]
    limit: usize,
}

fn hundred() -> usize {
    100
}

impl Search {
    fn filter(&self) -> Result<Filter, Refusal> {
        let unknown = |what: &str, name: &str, known: Vec<&str>| {
            Refusal::new(Code::Invalid, format!("There is no {what} {name:?}; there are: {}.", known.join(", ")))
        };
        let mut filter = Filter { subjects: self.subjects.clone(), ..Filter::default() };
        for name in &self.events {
            let found = EVENTS.into_iter().find(|event| event.as_str() == name);
            let known = || EVENTS.iter().map(|event| event.as_str()).collect();
            filter.events.push(found.ok_or_else(|| unknown("event", name, known()))?);
        }
        for name in &self.outcomes {
            let found = OUTCOMES.into_iter().find(|outcome| outcome.as_str() == name);
            let known = || OUTCOMES.iter().map(|outcome| outcome.as_str()).collect();
            filter.outcomes.push(found.ok_or_else(|| unknown("outcome", name, known()))?);
        }
        let pattern = self.operation.as_deref().map(Pattern::parse).transpose();
        filter.operation = pattern.map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))?;
        filter.text = self.text.as_deref().map(Needle::new);
        Ok(filter)
    }
}

/// From the newest back, until enough are found; they are told in the order of the log.
async fn find(cx: &Cx, audit: Audit, search: Search) -> Result<Value, Refusal> {
    let filter = search.filter()?;
    let (first, mut end) = search.range.sequences(&audit)?;
    let cancel = cx.cancel.clone();
    let limit = search.limit;
    let work = move || {
        let mut found: Vec<Numbered> = Vec::new();
        let mut seen = 0_u64;
        while end > first && found.len() < limit && !cancel.is_cancelled() {
            let from = end.saturating_sub(bound::AUDIT_PAGE_ENTRIES_MAX as u64).max(first);
            let page = audit.read(from, usize::try_from(end - from).unwrap_or(usize::MAX))?;
            seen += page.len() as u64;
            found.extend(page.into_iter().rev().filter(|it| filter.matches(&it.entry, it.open_personal())));
            end = from;
        }
        found.truncate(limit);
        Ok((found, seen))
    };
    let worked = tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?;
    let (found, seen) = worked.map_err(|error: AuditError| Refusal::from(CustodyError::from(error)))?;
    for entry in found.iter().rev() {
        cx.caller.log(to_json(entry)).await;
    }
    Ok(json!({"found": found.len(), "looked_at": seen}))
}

async fn report_on(cx: &Cx, audit: Audit, range: &Range) -> Result<Value, Refusal> {
    let (mut next, end) = range.sequences(&audit)?;
    let cancel = cx.cancel.clone();
    let work = move || {
        let mut summary = Summary::default();
        while next < end && !cancel.is_cancelled() {
            let entries_max = usize::try_from(end - next).unwrap_or(usize::MAX);
            let page = audit.read(next, entries_max)?;
            let Some(last) = page.last() else { break };
            next = last.sequence + 1;
            for it in &page {
                summary.add(&Shown { sequence: it.sequence, entry: &it.entry, personal: it.open_personal() });
            }
        }
        Ok(summary)
    };
    let worked = tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?;
    let summary = worked.map_err(|error: AuditError| Refusal::from(CustodyError::from(error)))?;
    Ok(json!({"report": summary.to_json(), "text": summary.to_text()}))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Export {
    #[serde(flatten)]
    range: Range,
    /// "jsonl", "cef", "csv" or "ecs".
    #[schemars(length(max = 16))]
    format: String,
    /// An absolute path of a new file on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
    /// Disclose what is personal, in a file of its own.
    #[serde(default)]
    personal: bool,
}

fn write_bundle(audit: &Audit, asked: &Export, note: &str, keys: &[VerifyingKey]) -> Result<Value, Refusal> {
    let invalid = |text: String| Refusal::new(Code::Invalid, text);
    let path = PathBuf::from(&asked.path);
    let Some(directory) = path.parent().filter(|_| path.is_absolute()) else {
        return Err(invalid(format!("The path must be absolute; found {:?}.", asked.path)));
    };
    let format: Format = asked.format.parse().map_err(|error| invalid(format!("{error}.")))?;
    let (first, end) = asked.range.sequences(audit)?;
    write_part(audit, &Part { path: &path, directory, format, personal: asked.personal, first, end }, note, keys)
}

/// Writes the entries from `from` on, up to but without `end`, into a new file.
pub(super) fn write_bundle_since(
    audit: &Audit,
    from: Timestamp,
    end: u64,
    path: &Path,
    note: &str,
    keys: &[VerifyingKey],
) -> Result<Value, Refusal> {
    let first = audit.first_since(from).map_err(|error| Refusal::from(CustodyError::from(error)))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    write_part(audit, &Part { path, directory, format: Format::Jsonl, personal: false, first, end }, note, keys)
}

/// Which entries go where.
struct Part<'a> {
    path: &'a Path,
    directory: &'a Path,
    format: Format,
    personal: bool,
    first: u64,
    end: u64,
}

fn write_part(audit: &Audit, part: &Part<'_>, note: &str, keys: &[VerifyingKey]) -> Result<Value, Refusal> {
    let Part { path, directory, format, personal, first, end } = *part;
    let invalid = |text: String| Refusal::new(Code::Invalid, text);
    let failed = |error: AuditError| Refusal::from(CustodyError::from(error));
    let checkpoint = crate::audit::checkpoint::Checkpoint::open(note, keys).map_err(Refusal::internal)?;
    let end = end.min(checkpoint.size());
    let (before, consistency) = audit
        .store()
        .read(|snapshot| {
            let before = frontier_at(snapshot, first)?;
            let nodes = keep::nodes(snapshot);
            let refused = |error: proof::ProofError<_>| AuditError::Refused(error.to_string());
            let consistency = match end {
                _ if end == checkpoint.size() || end == 0 => Vec::new(),
                _ => proof::consistency(&nodes, end, checkpoint.size()).map_err(refused)?,
            };
            Ok::<_, AuditError>((before, consistency))
        })
        .map_err(failed)?;
    let mut disclose = |_: u64, entry: &Entry| personal_of(audit, entry);
    let contents = Contents {
        before: &before,
        checkpoint: note,
        keys,
        consistency: &consistency,
        format,
        disclose: personal.then_some(&mut disclose as &mut bundle::Disclose<'_, AuditError>),
        scratch: directory,
    };
    let at = |error: std::io::Error| Refusal::new(Code::Unavailable, format!("{}: {error}.", path.display()));
    if path.exists() {
        return Err(Refusal::new(Code::Conflict, format!("{} exists already; it was left as it is.", path.display())));
    }
    let draft = draft_beside(path)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(at)?;
    let mut out = BufWriter::new(file);
    let written = bundle::write(contents, leaves(audit, first, end), &mut out).map_err(|error| match error {
        BundleError::Empty => invalid("There is no entry in that range.".into()),
        other => Refusal::new(Code::Unavailable, format!("{}: {other}.", path.display())),
    });
    let written = written.and_then(|written| {
        out.flush().map_err(at)?;
        out.get_ref().sync_all().map_err(at)?;
        std::fs::rename(&draft, path).map_err(at)?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(at)?;
        Ok(written)
    });
    if written.is_err() {
        // Half a bundle is none.
        std::fs::remove_file(&draft).ok();
    }
    let written = written?;
    Ok(json!({
        "path": path.display().to_string(),
        "first": written.first,
        "entries": written.count,
        "size": written.size,
        "root": hex(&written.root),
        "disclosed": written.disclosed,
        "bytes": written.bytes,
        "verifying_keys": keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

/// A name of its own: beside a bundle may lie what is not ours.
fn draft_beside(path: &Path) -> Result<PathBuf, Refusal> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", hex(&random_bytes::<8>().map_err(Refusal::internal)?)));
    Ok(path.with_file_name(name))
}

/// The leaves of `first..end`, read page by page.
fn leaves(audit: &Audit, first: u64, end: u64) -> impl Iterator<Item = Result<(u64, Vec<u8>), AuditError>> {
    let mut next = first;
    let mut page = Vec::new().into_iter();
    std::iter::from_fn(move || {
        if let Some(leaf) = page.next() {
            return Some(Ok(leaf));
        }
        if next >= end {
            return None;
        }
        match audit.leaves(next, usize::try_from(end - next).unwrap_or(usize::MAX)) {
            Ok(found) => {
                next = found.last().map_or(end, |(sequence, _)| sequence + 1);
                page = found.into_iter();
                page.next().map(Ok)
            }
            Err(error) => {
                next = end;
                Some(Err(error))
            }
        }
    })
}

/// What an export may disclose of an entry.
fn personal_of(audit: &Audit, entry: &Entry) -> Result<Option<Personal>, AuditError> {
    match audit.disclosed(entry)? {
        Disclosed::Open(personal) => Ok(Some((*personal).clone()).filter(|it| *it != Personal::default())),
        Disclosed::Sealed | Disclosed::Erased | Disclosed::Damaged => Ok(None),
    }
}
