//! `contain`, `freeze` and `unfreeze`: what is done first when something is wrong.

use clap::Args;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};

#[derive(Debug, Args)]
pub(crate) struct Contain {
    /// End its sessions, revoke its tokens, ban it
    #[arg(long)]
    principal: Option<String>,
    /// End and ban the session with this short id
    #[arg(long)]
    session: Option<String>,
    /// Ban an address or a network
    #[arg(long)]
    address: Option<String>,
    /// Switch the connector off
    #[arg(long)]
    connector: Option<String>,
    /// How long bans hold; without it until they are lifted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=5_256_000))]
    minutes: Option<u64>,
    /// Ban a principal or a session that nobody knows here, too, such as the subject of another issuer's JWTs
    #[arg(long)]
    anyway: bool,
    /// The incident whose record says so, too
    #[arg(long, value_name = "ID")]
    incident: Option<u64>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Freeze {
    /// Why, for whoever meets it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

pub(super) async fn contain(context: &Context, command: Contain) -> Result<u8, Failure> {
    let what = [&command.principal, &command.session, &command.address, &command.connector];
    if what.iter().all(|what| what.is_none()) {
        let message = "say what to contain: --principal, --session, --address, --connector, or several of them";
        return Err(Failure::usage(message));
    }
    let arguments = json!({
        "principal": command.principal, "session": command.session, "address": command.address,
        "connector": command.connector, "minutes": command.minutes, "incident": command.incident,
        "reason": command.reason, "anyway": command.anyway,
    });
    let result = asked(context, "contain", arguments).await?;
    tell(context, &result, || {
        let list = |key: &str| -> String {
            let items: Vec<String> =
                result[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(print::harmless).collect();
            if items.is_empty() { "none".to_owned() } else { items.join(", ") }
        };
        for (name, key) in [("Sessions ended", "ended"), ("Tokens revoked", "revoked"), ("Banned", "banned")] {
            print::line(&format!("{name}: {}", list(key)))?;
        }
        if let Some(connector) = result["disabled"].as_str() {
            print::line(&format!("Switched off: {connector}"))?;
        }
        print::line(&format!("Audit entry {} says so.", result["audit_entry"]))
    })
}

pub(super) async fn freeze(context: &Context, command: Freeze) -> Result<u8, Failure> {
    let result = asked(context, "freeze", json!({"reason": command.reason})).await?;
    tell(context, &result, || {
        print::line(&format!(
            "Frozen since {}: only health, the audit log, reports and incidents are served. Lift it: sekisho unfreeze",
            result["since"].as_str().unwrap_or_default()
        ))
    })
}

pub(super) async fn unfreeze(context: &Context) -> Result<u8, Failure> {
    let result = asked(context, "unfreeze", json!({})).await?;
    tell(context, &result, || match result["since"].as_str() {
        Some(since) => print::line(&format!("Everything is served again; it was frozen since {since}.")),
        None => print::line("It was not frozen."),
    })
}

async fn asked(context: &Context, operation: &str, arguments: Value) -> Result<Value, Failure> {
    let reach = Reach::find(context).await?;
    let result = reach.ask(operation, arguments).await;
    reach.close().await;
    result
}
