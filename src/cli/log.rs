//! `log cat|list`: the program's log, plain and sealed, read back.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::print::tell;
use super::reach::{Event, Reach};
use super::{Context, print};
use crate::audit::filter::time;
use crate::base::clock::{Clock as _, SystemClock};

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Print the log, plain and sealed files, oldest first. Exit code 1 if something in it is damaged
    Cat {
        /// One file, by its name
        file: Option<String>,
        /// The files of one day (UTC), such as 2026-11-22
        #[arg(long, value_name = "DATE", conflicts_with = "file")]
        date: Option<String>,
        /// From this time on: 2026-11-22T08:00:00Z, 2026-11-22, or a span before now such as 2h or 7d
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Nothing less severe than: debug, info, warn, error, security
        #[arg(long, value_name = "LEVEL")]
        level: Option<String>,
    },
    /// List the files of the log
    List,
}

pub(super) async fn run(context: &Context, command: Log) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

async fn answer(context: &Context, reach: &Reach, command: Log) -> Result<u8, Failure> {
    let listed = reach.ask("log.list", json!({})).await?;
    let files = listed["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    match command {
        Log::List => tell(context, &listed, || list(files)),
        Log::Cat { file, date, since, level } => {
            if files.iter().any(|file| file["sealed"] == true) {
                reach.open_vault(context).await?;
            }
            let now = SystemClock::default().now();
            let since = since.map(|since| time::parse_time(&since, now)).transpose().map_err(Failure::usage)?;
            let asked = json!({"file": file, "date": date, "since_ms": since.map(|since| since.0), "level": level});
            let mut hear = |event: Event| match event {
                Event::Entry(piece) => show(context, &piece),
                Event::Progress { .. } => Ok(()),
            };
            let result = reach.call("log.read", asked, &mut hear).await?;
            Ok(if result["damaged"].as_u64() == Some(0) { 0 } else { NO })
        }
    }
}

fn show(context: &Context, piece: &Value) -> Result<(), Failure> {
    if context.json {
        return print::line(&piece.to_string());
    }
    if let Some(text) = piece["text"].as_str() {
        return print::line(&print::harmless(text));
    }
    let place = format!("{} line {}", piece["file"].as_str().unwrap_or_default(), piece["place"]);
    match piece["damaged"].as_str() {
        Some(reason) => {
            print::line(&format!("{} {place}: {}", print::painted(print::BAD, "damaged:"), print::harmless(reason)))
        }
        None => print::line(&format!(
            "{} {place}: it ends within a line: a kill cut it, or it is being written",
            print::painted(print::WARNING, "cut:")
        )),
    }
}

fn list(files: &[Value]) -> Result<(), Failure> {
    if files.is_empty() {
        return print::line("There is no log file yet.");
    }
    files.iter().try_for_each(|file| {
        let sealed = if file["sealed"] == true { "sealed" } else { "" };
        print::line(&format!("{:<40} {:>12} bytes {sealed}", file["file"].as_str().unwrap_or_default(), file["bytes"]))
    })
}
