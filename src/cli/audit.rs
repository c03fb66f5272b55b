//! `audit verify|tail|search|report|export|checkpoint|prove|prune|erase`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::{Failure, INCOMPLETE, NO};
use super::print::tell;
use super::reach::{self, Event, Reach};
use super::{Context, print};
use crate::app::{self, AppError};
use crate::audit::export;
use crate::audit::filter::time;
use crate::audit::verify::Against;
use crate::base::clock::{Clock as _, SystemClock};
use crate::config::file;
use crate::crypto::sign::VerifyingKey;
use crate::store::lock::{DirectoryLock, LockError};

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check the log: exit 0 if sound, 1 if tampered with, 2 if something for the check is missing. Needs no secret
    Verify(Verify),
    /// Show the last entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1000))]
        entries: u64,
        /// Go on with entries as they come
        #[arg(short, long)]
        follow: bool,
    },
    /// Find entries
    Search(Search),
    /// Sum the log up: what happened how often, how long it took, what was refused
    Report {
        #[command(flatten)]
        range: Range,
    },
    /// Write entries into a bundle that proves itself on another machine
    Export(Export),
    /// Sign the log as it is now, and show the signed checkpoint
    Checkpoint,
    /// Prove that an entry is in the log, and that the log of an earlier size is its beginning
    Prove {
        /// The entry's sequence
        sequence: u64,
        /// An earlier size of the log
        #[arg(long, value_name = "SIZE")]
        old_size: Option<u64>,
    },
    /// Remove old entries, in whole tiles of 256; the log stays verifiable
    Prune(Prune),
    /// Destroy the keys of a subject, so that nobody can read what its entries hold of it
    Erase {
        /// A principal such as token:quickstart, an address as peer:192.0.2.7, or a pseudonym
        subject: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A database or an exported bundle; otherwise the log of this data directory
    file: Option<PathBuf>,
    /// A verifying key whose signatures count (may be given again); otherwise the keys that the log names itself, which proves less
    #[arg(long, value_name = "KEY")]
    vkey: Vec<String>,
    /// A file of signed checkpoints that left the database before (may be given again)
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Range {
    /// From this time on: 2026-11-22T08:00:00Z, 2026-11-22, or a span before now such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// In reason, operation, target, session, principal or peer
    text: Option<String>,
    #[command(flatten)]
    range: Range,
    /// About this principal, peer:ADDRESS or pseudonym (may be given again)
    #[arg(long, value_name = "SUBJECT")]
    principal: Vec<String>,
    /// Of this kind: call, administration, authentication, session, lifecycle, vault, configuration, audit
    #[arg(long)]
    event: Vec<String>,
    /// With this outcome: done, failed, refused, intent, input_required, deferred, undelivered
    #[arg(long)]
    outcome: Vec<String>,
    /// This operation, or several with *
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// At most so many, the newest
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file to make
    file: PathBuf,
    #[command(flatten)]
    range: Range,
    /// How the entries are written: jsonl, cef, csv or ecs
    #[arg(long, default_value = "jsonl")]
    format: String,
    /// Disclose what is personal, in a file of its own within the bundle
    #[arg(long)]
    personal: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Prune {
    /// Entries before this time
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Entries older than so many days
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u64>,
    /// The oldest entries, until so many bytes are left
    #[arg(long, value_name = "BYTES")]
    keep_bytes: Option<u64>,
}

pub(super) async fn run(context: &Context, command: Audit) -> Result<u8, Failure> {
    match command {
        Audit::Verify(verify) => verify_log(context, verify).await.map_err(Failure::incomplete),
        command => {
            let reach = Reach::find(context).await?;
            let result = answer(context, &reach, command).await;
            reach.close().await;
            result
        }
    }
}

async fn answer(context: &Context, reach: &Reach, command: Audit) -> Result<u8, Failure> {
    reach.open_vault(context).await?;
    match command {
        // Dealt with before anything is opened.
        Audit::Verify(_) => Ok(0),
        Audit::Tail { entries, follow } => {
            let arguments = json!({"entries": entries, "follow": follow});
            show(context, reach, "audit.tail", arguments).await.map(|_| 0)
        }
        Audit::Search(search) => {
            let arguments = json!({
                "from": search.range.from, "to": search.range.to, "subjects": search.principal,
                "events": search.event, "outcomes": search.outcome, "operation": search.operation,
                "text": search.text, "limit": search.limit,
            });
            let result = show(context, reach, "audit.search", arguments).await?;
            let found = result["found"].as_u64().unwrap_or_default();
            if !context.json {
                print::error_line(&format!("{found} found; {} entries looked at", result["looked_at"]));
            }
            Ok(if found == 0 { NO } else { 0 })
        }
        Audit::Report { range } => {
            let result = reach.ask("audit.report", json!({"from": range.from, "to": range.to})).await?;
            let text = result["text"].as_str().unwrap_or_default().to_owned();
            tell(context, &result["report"], || print::line(text.trim_end()))
        }
        Audit::Export(export) => {
            // Relative to where the person stands, not to where a server was started.
            let path = std::path::absolute(&export.file).map_err(Failure::internal)?;
            let arguments = json!({
                "path": path.display().to_string(), "format": export.format, "personal": export.personal,
                "from": export.range.from, "to": export.range.to,
            });
            let result = reach.ask("audit.export", arguments).await?;
            tell(context, &result, || exported(&path, &result))
        }
        Audit::Checkpoint => {
            let result = reach.ask("audit.checkpoint", json!({})).await?;
            tell(context, &result, || {
                print::line(result["note"].as_str().unwrap_or_default())?;
                print::error_line("Verifying keys of this log, oldest first:");
                keys(&result)
            })
        }
        Audit::Prove { sequence, old_size } => {
            let result = reach.ask("audit.prove", json!({"sequence": sequence, "old_size": old_size})).await?;
            print::line(&serde_json::to_string_pretty(&result).map_err(Failure::internal)?).map(|()| 0)
        }
        Audit::Prune(prune) => {
            let now = SystemClock::default().now();
            let before =
                prune.before.map(|before| time::parse_time(&before, now)).transpose().map_err(Failure::usage)?;
            let arguments = json!({
                "before_ms": before.map(|before| before.0), "keep_days": prune.keep_days, "keep_bytes": prune.keep_bytes,
            });
            let result = reach.ask("audit.prune", arguments).await?;
            tell(context, &result, || {
                print::line(&format!(
                    "{} entries were pruned; the first one now is {}.",
                    result["pruned"], result["first"]
                ))
            })
        }
        Audit::Erase { subject } => {
            let result = reach.ask("audit.erase", json!({"subject": subject})).await?;
            tell(context, &result, || {
                print::line("The subject's keys are destroyed: nobody can read any more what entries hold of it.")
            })
        }
    }
}

fn exported(path: &Path, result: &Value) -> Result<(), Failure> {
    print::line(&format!(
        "{}: {} entries from {} on, {} bytes. Check it on any machine, with a key that you were given another way:",
        path.display(),
        result["entries"],
        result["first"],
        result["bytes"]
    ))?;
    let key = result["verifying_keys"].as_array().and_then(|keys| keys.last()).and_then(Value::as_str);
    print::line(&format!("  sekisho audit verify {} --vkey {}", path.display(), key.unwrap_or_default()))
}

fn keys(result: &Value) -> Result<(), Failure> {
    let keys = result["verifying_keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    keys.into_iter().try_for_each(print::line)
}

/// The log of this directory: a running server checks its own; where none runs, a private copy is checked, and the
/// database is left as it is.
async fn verify_log(context: &Context, verify: Verify) -> Result<u8, Failure> {
    let keys = verify.vkey.iter().map(|key| VerifyingKey::parse(key)).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(Failure::usage)?;
    let mut checkpoints = Vec::new();
    for path in &verify.checkpoint {
        let found = export::checkpoints_in(path);
        checkpoints.extend(found.map_err(|error| Failure::no_input(format!("{}: {error}", path.display())))?);
    }
    let against = Against { keys, checkpoints };
    if let Some(file) = &verify.file {
        let scratch = std::env::temp_dir();
        let is_pinned = !against.keys.is_empty();
        return report(context, app::verify::file(file, &scratch, &against)?.to_json(), is_pinned);
    }
    let places = context.places()?;
    if !places.database().exists() {
        return Err(AppError::Store(crate::store::StoreError::Missing(places.database())).into());
    }
    match DirectoryLock::acquire(&places.data) {
        Ok(_lock) => {
            let config = file::load(&places.config, &context.environment)?;
            let outside = config.audit.checkpoint_file.unwrap_or_else(|| places.checkpoints());
            let mut against = against;
            if verify.checkpoint.is_empty() {
                against.checkpoints = export::newest_in(&outside).unwrap_or_default();
            }
            let is_pinned = !against.keys.is_empty();
            report(context, app::verify::database(&places.database(), &places.data, &against)?.to_json(), is_pinned)
        }
        Err(LockError::Held { .. } | LockError::Foreign { .. }) if reach::is_answering(&places.control).await => {
            let remote = Reach::Remote { socket: places.control };
            // The newest say the most, and a request has its bound.
            let newest: Vec<&String> = against.checkpoints.iter().rev().take(1000).collect();
            let verdict = remote.ask("audit.verify", json!({"keys": verify.vkey, "checkpoints": newest})).await?;
            report(context, verdict, !verify.vkey.is_empty())
        }
        Err(error) => Err(AppError::Lock(error).into()),
    }
}

/// `is_pinned`: the keys whose signatures count were given, and not taken from what was checked.
pub(super) fn report(context: &Context, mut verdict: Value, is_pinned: bool) -> Result<u8, Failure> {
    if verdict["verdict"] == "sound" {
        verdict["pinned"] = is_pinned.into();
    }
    let verdict = &verdict;
    let text = |key: &str| print::harmless(verdict[key].as_str().unwrap_or_default());
    let (code, line) = match verdict["verdict"].as_str() {
        Some("sound") => (0, format!("{} {}", print::painted(print::GOOD, "sound:"), sound(verdict))),
        Some("tampered") => {
            let place =
                verdict["sequence"].as_u64().map_or_else(String::new, |sequence| format!(" at entry {sequence}"));
            let found = format!("expected {}, found {}", text("expected"), text("found"));
            (NO, format!("{}{place} {found}", print::painted(print::BAD, "tampered with:")))
        }
        _ => (INCOMPLETE, format!("{} {}", print::painted(print::WARNING, "incomplete:"), text("reason"))),
    };
    print::line(&if context.json { verdict.to_string() } else { line })?;
    Ok(code)
}

fn sound(verdict: &Value) -> String {
    let root = verdict["root"].as_str().unwrap_or_default();
    let mut parts = vec![format!("{} entries, root {root}", verdict["entries"])];
    if let Some(first) = verdict["first"].as_u64().filter(|first| *first > 0) {
        parts.push(format!("the first {first} are not among them"));
    }
    if let Some(checkpoints) = verdict["checkpoints"].as_u64() {
        parts.push(format!("{checkpoints} signed checkpoints agree"));
    }
    let unsigned = verdict["entries"].as_u64().zip(verdict["signed_entries"].as_u64());
    if let Some(unsigned) = unsigned.map(|(all, signed)| all.saturating_sub(signed)).filter(|count| *count > 0) {
        parts.push(format!("the last {unsigned} are not signed yet"));
    }
    // Whoever makes a log up signs it with a key of their own.
    if verdict["pinned"] == false {
        parts.push("by the keys that it names itself; give --vkey to hold it against a key that you trust".to_owned());
    }
    parts.join("; ")
}

/// Runs an operation that tells entries, and shows them.
async fn show(context: &Context, reach: &Reach, operation: &str, arguments: Value) -> Result<Value, Failure> {
    let mut hear = |event: Event| match event {
        Event::Entry(entry) if context.json => print::line(&entry.to_string()),
        Event::Entry(entry) => print::line(&in_words(&entry)),
        Event::Progress { .. } => Ok(()),
    };
    tokio::select! {
        told = reach.call(operation, arguments, &mut hear) => told,
        // The way to end following.
        _ = tokio::signal::ctrl_c() => Ok(Value::Null),
    }
}

fn in_words(entry: &Value) -> String {
    let text = |key: &str| print::harmless(entry[key].as_str().unwrap_or_default());
    let outcome = text("outcome");
    let style = match outcome.as_str() {
        "done" => print::GOOD,
        "refused" | "failed" => print::BAD,
        _ => print::WARNING,
    };
    let mut line =
        format!("{:>6} {} {:<14} {}", entry["sequence"], text("at"), text("event"), print::painted(style, &outcome));
    // Whose name nobody can read has a pseudonym.
    let who = if entry["principal"].is_null() { "subject" } else { "principal" };
    for key in [who, "operation", "target", "reason"] {
        let value = text(key);
        if !value.is_empty() {
            line.push(' ');
            line.push_str(&value);
        }
    }
    format!("{line} {}", print::painted(print::FAINT, &format!("{} ms", entry["duration_ms"])))
}
