//! `report`: what happened between two times, as a page or as JSON.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};
use crate::report::{self, page};

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// From this time on: 2026-11-22T08:00:00Z, 2026-11-22, or a span before now such as 2h or 7d [default: the first entry]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// A page that opens with no network, or JSON [default: html, and json with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write it into this new file, and not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Html,
    Json,
}

pub(super) async fn run(context: &Context, command: Report) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let made = async {
        reach.open_vault(context).await?;
        reach.ask("report.make", json!({"from": command.from, "to": command.to})).await
    }
    .await;
    reach.close().await;
    let made = made?;
    let usual = if context.json { Format::Json } else { Format::Html };
    let text = match command.format.unwrap_or(usual) {
        Format::Json => serde_json::to_string_pretty(&made).map_err(Failure::internal)? + "\n",
        Format::Html => {
            let report: report::Report = serde_json::from_value(made.clone()).map_err(Failure::internal)?;
            page::html(&report).map_err(Failure::internal)?
        }
    };
    let Some(path) = command.out else { return print::bytes(text.as_bytes()) };
    write_new(&path, &text)?;
    let told = json!({"path": path.display().to_string(), "bytes": text.len(), "totals": made["totals"]});
    tell(context, &told, || {
        print::line(&format!(
            "{}: {} calls, {} entries, {} bytes",
            path.display(),
            made["totals"]["calls"],
            made["totals"]["entries"],
            text.len()
        ))
    })
}

/// What stands in a report is for few: nobody else reads the file, and no other file is replaced.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let told = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::exists(format!("{} exists already; it was left as it is", path.display()))
        }
        _ => Failure::exists(format!("{}: {error}", path.display())),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(told)
}
