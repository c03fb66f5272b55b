//! `alert list|acknowledge|test`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};
use crate::base::severity::Severity;

#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// List the alerts, newest first
    List {
        /// Only those since a time (2026-09-21T14:00:00Z), a date, or a span before now (2h, 7d)
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only those of at least this severity: low, medium, high, critical
        #[arg(long, value_name = "SEVERITY")]
        severity: Option<Severity>,
    },
    /// Note that an alert was looked at
    Acknowledge { id: u64 },
    /// Send a test alert everywhere, and say what each place answered
    Test,
}

pub(super) async fn run(context: &Context, command: Alert) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = answer(context, &reach, command).await;
    reach.close().await;
    result
}

async fn answer(context: &Context, reach: &Reach, command: Alert) -> Result<u8, Failure> {
    match command {
        Alert::List { since, severity } => {
            let severity = severity.unwrap_or_default();
            let result = reach.ask("alert.list", json!({"since": since, "severity": severity.as_str()})).await?;
            tell(context, &result, || list(&result["alerts"]))
        }
        Alert::Acknowledge { id } => {
            let result = reach.ask("alert.acknowledge", json!({"id": id})).await?;
            tell(context, &result, || print::line(&format!("Alert {id} was looked at.")))
        }
        Alert::Test => {
            // What is signed or needs a password wants an open vault.
            reach.open_vault(context).await?;
            let result = reach.ask("alert.test", json!({})).await?;
            let places = result["places"].as_array().cloned().unwrap_or_default();
            tell(context, &result, || {
                for place in &places {
                    let text = |key: &str| place[key].as_str().unwrap_or_default().to_owned();
                    let mark = if place["delivered"] == true { "delivered" } else { "FAILED" };
                    print::line(&format!("{:<8} {mark:<9} {}: {}", text("place"), text("target"), text("answer")))?;
                }
                if places.len() == 1 {
                    print::line("No webhook, mail server or syslog receiver is configured in [watch].")?;
                }
                Ok(())
            })?;
            Ok(u8::from(places.iter().any(|place| place["delivered"] != true)))
        }
    }
}

fn list(alerts: &Value) -> Result<(), Failure> {
    let alerts = alerts.as_array().map(Vec::as_slice).unwrap_or_default();
    if alerts.is_empty() {
        return print::line("There are no alerts.");
    }
    for alert in alerts {
        let text = |key: &str| alert[key].as_str().unwrap_or_default();
        let mark = if alert["acknowledged"].is_null() { " " } else { "v" };
        let count = alert["count"].as_u64().unwrap_or(1);
        let count = if count > 1 { format!(" x{count}") } else { String::new() };
        print::line(&format!(
            "{:>6} {mark} {} {:<8} {}{count}  {}",
            alert["id"],
            text("last"),
            text("severity"),
            text("event"),
            text("detail")
        ))?;
        for (name, key) in [("done", "action"), ("subject", "subject")] {
            if !text(key).is_empty() {
                print::line(&format!("         {name}: {}", text(key)))?;
            }
        }
    }
    Ok(())
}
