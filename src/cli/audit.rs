//! `audit verify` and `audit tail`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::reach::{Event, Reach};
use super::{Context, print};

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check every entry against the Merkle tree: exit 0 if sound, 1 if tampered with, 2 if it could not be checked
    Verify,
    /// Show the last entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1000))]
        entries: u64,
        /// Go on with entries as they come
        #[arg(short, long)]
        follow: bool,
    },
}

pub(super) async fn run(context: &Context, command: Audit) -> Result<u8, Failure> {
    let reach = Reach::find(context)
        .await
        .map_err(|failure| if matches!(command, Audit::Verify) { failure.incomplete() } else { failure })?;
    let result = match command {
        Audit::Verify => verify(context, &reach).await.map_err(Failure::incomplete),
        Audit::Tail { entries, follow } => tail(context, &reach, entries, follow).await,
    };
    reach.close().await;
    result
}

async fn verify(context: &Context, reach: &Reach) -> Result<u8, Failure> {
    let verdict = reach.ask("audit.verify", json!({})).await?;
    let sound = verdict["sound"] == true;
    let text = |key: &str| verdict[key].as_str().unwrap_or_default();
    if context.json {
        print::line(&verdict.to_string())?;
    } else if sound {
        print::line(&format!(
            "{} {} entries, root {}",
            print::painted(print::GOOD, "sound:"),
            verdict["entries"],
            text("root")
        ))?;
    } else {
        let place = verdict["sequence"].as_u64().map_or_else(String::new, |sequence| format!(" at entry {sequence}"));
        print::line(&format!(
            "{}{place} expected {}, found {}",
            print::painted(print::BAD, "tampered with:"),
            text("expected"),
            text("found")
        ))?;
    }
    Ok(if sound { 0 } else { NO })
}

async fn tail(context: &Context, reach: &Reach, entries: u64, follow: bool) -> Result<u8, Failure> {
    let mut show = |event: Event| match event {
        Event::Entry(entry) if context.json => print::line(&entry.to_string()),
        Event::Entry(entry) => print::line(&in_words(&entry)),
        Event::Progress { .. } => Ok(()),
    };
    let arguments = json!({"entries": entries, "follow": follow});
    let told = tokio::select! {
        told = reach.call("audit.tail", arguments, &mut show) => told.map(drop),
        // The way to end following.
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    told.map(|()| 0)
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
    for key in ["principal", "operation", "target", "reason"] {
        let value = text(key);
        if !value.is_empty() {
            line.push(' ');
            line.push_str(&value);
        }
    }
    format!("{line} {}", print::painted(print::FAINT, &format!("{} ms", entry["duration_ms"])))
}
