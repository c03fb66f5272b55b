//! `session list|end`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// List the sessions, last used first
    List,
    /// End a session, or all of a principal; a credential whose session it was holds no more until it is issued again
    End(End),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct End {
    /// The session, as `session list` shows it
    session: Option<String>,
    /// All sessions of this principal, such as token:quickstart
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
}

pub(super) async fn run(context: &Context, command: Session) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

async fn answer(context: &Context, reach: &Reach, command: Session) -> Result<u8, Failure> {
    match command {
        Session::List => {
            let result = reach.ask("session.list", json!({})).await?;
            tell(context, &result, || list(&result))
        }
        Session::End(End { session, principal }) => {
            let arguments = match (session, principal) {
                (Some(session), _) => json!({"session": session}),
                (None, principal) => json!({"principal": principal}),
            };
            let result = reach.ask("session.end", arguments).await?;
            tell(context, &result, || ended(&result))
        }
    }
}

fn list(result: &Value) -> Result<(), Failure> {
    let items = result["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return print::line("There are no sessions.");
    }
    for item in items {
        let text = |key: &str| print::harmless(item[key].as_str().unwrap_or_default());
        let busy = match item["in_flight"].as_u64() {
            Some(count @ 1..) => format!(", {count} under way"),
            _ => String::new(),
        };
        print::line(&format!(
            "{}  {:<28} {:<8} since {}  last {}  {} calls{busy}",
            text("session"),
            text("principal"),
            text("transport"),
            text("began"),
            text("seen"),
            item["calls"]
        ))?;
    }
    let all = result["all"].as_u64().unwrap_or_default();
    let more = all.saturating_sub(items.len() as u64);
    if more > 0 { print::line(&format!("And {more} more.")) } else { Ok(()) }
}

fn ended(result: &Value) -> Result<(), Failure> {
    let texts = |key: &str| -> Vec<String> {
        let values = result[key].as_array().into_iter().flatten();
        values.filter_map(Value::as_str).map(print::harmless).collect()
    };
    print::line(&format!("Ended {}.", texts("ended").join(", ")))?;
    for credential in texts("denied") {
        print::line(&format!("The credential {credential} holds no more until it is issued again."))?;
    }
    Ok(())
}
