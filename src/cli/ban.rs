//! `ban add|list|lift`.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};

#[derive(Debug, Subcommand)]
pub(crate) enum Ban {
    /// Ban something, for some time or until it is lifted
    Add {
        kind: Kind,
        /// An address or network, a principal, a session's short id, or a credential
        name: String,
        /// For how long; without it until the ban is lifted
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=5_256_000))]
        minutes: Option<u64>,
        /// Why, for whoever reads the list and the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// List the bans, newest first
    List,
    /// Lift a ban
    Lift { kind: Kind, name: String },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    Address,
    Principal,
    Session,
    Credential,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Principal => "principal",
            Self::Session => "session",
            Self::Credential => "credential",
        }
    }
}

pub(super) async fn run(context: &Context, command: Ban) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

async fn answer(context: &Context, reach: &Reach, command: Ban) -> Result<u8, Failure> {
    match command {
        Ban::List => {
            let result = reach.ask("ban.list", json!({})).await?;
            tell(context, &result, || list(&result))
        }
        Ban::Add { kind, name, minutes, reason } => {
            let arguments = json!({"kind": kind.as_str(), "name": name, "minutes": minutes, "reason": reason});
            let result = reach.ask("ban.add", arguments).await?;
            tell(context, &result, || line(&result))
        }
        Ban::Lift { kind, name } => {
            let result = reach.ask("ban.lift", json!({"kind": kind.as_str(), "name": name})).await?;
            tell(context, &result, || {
                print::line(&format!("The {} {} is not banned any more.", kind.as_str(), print::harmless(&name)))
            })
        }
    }
}

fn list(result: &Value) -> Result<(), Failure> {
    let items = result["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return print::line("Nothing is banned.");
    }
    items.iter().try_for_each(line)?;
    let all = result["all"].as_u64().unwrap_or_default();
    let more = all.saturating_sub(items.len() as u64);
    if more > 0 { print::line(&format!("And {more} more.")) } else { Ok(()) }
}

fn line(item: &Value) -> Result<(), Failure> {
    let text = |key: &str| print::harmless(item[key].as_str().unwrap_or_default());
    let until =
        item["until"].as_str().map_or_else(|| "until it is lifted".to_owned(), |until| format!("until {until}"));
    print::line(&format!("{:<10} {:<40} {until}, by {}  {}", text("kind"), text("name"), text("by"), text("reason")))
}
