//! `events`: recent security events.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};
use crate::base::bound;

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// From this time on: RFC 3339, a date, or a span before now such as 2h or 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only this kind, such as authentication_failure, access_denied or ban
    #[arg(long)]
    kind: Option<String>,
    /// Only what is at least as severe
    #[arg(long)]
    severity: Option<Severity>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=bound::EVENTS_MAX as u64))]
    limit: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Severity {
    Low,
    Medium,
    High,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

pub(super) async fn run(context: &Context, Events { since, kind, severity, limit }: Events) -> Result<u8, Failure> {
    let mut arguments = json!({"limit": limit});
    let given = [("since", since), ("kind", kind), ("severity", severity.map(|least| least.as_str().to_owned()))];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        arguments[name] = value.into();
    }
    let reach = Reach::find(context).await?;
    let answer = reach.ask("event.list", arguments).await;
    reach.close().await;
    let result = answer?;
    tell(context, &result, || list(&result))
}

fn list(result: &Value) -> Result<(), Failure> {
    let items = result["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        print::line("There are no such events.")?;
    }
    for item in items {
        let text = |key: &str| print::harmless(item[key].as_str().unwrap_or("-"));
        let style = match item["severity"].as_str() {
            Some("high") => print::BAD,
            Some("medium") => print::WARNING,
            _ => print::FAINT,
        };
        let who = item["principal"].as_str().or(item["peer"].as_str()).map_or_else(|| "-".into(), print::harmless);
        let kind = print::painted(style, &format!("{:<23}", text("kind")));
        print::line(&format!("{:<25} {kind} {who:<24} {:<20} {}", text("at"), text("operation"), text("reason")))?;
    }
    match result["next"].as_u64() {
        Some(next) => print::line(&format!("Looked back as far as entry {next}; there may be older ones.")),
        None => Ok(()),
    }
}
