//! `token issue|list|revoke|rotate`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, account, print};
use crate::base::principal::Role;

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Issue an API key, or a JWT; it is printed this once
    Issue {
        /// The API key's name, or the JWT's subject
        name: String,
        /// reader, auditor, operator or admin [default: reader; for a JWT that of the account NAME]
        #[arg(long, value_parser = account::role)]
        role: Option<Role>,
        /// Confine it, for example to library:manual (may be given again)
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Days until it expires [default: never; for a JWT auth.jwt_expiry_seconds]
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u64>,
        /// A signed token (JWT) instead of an API key
        #[arg(long)]
        jwt: bool,
    },
    /// List API keys and JWTs: how they begin or their id, role, expiry, last use
    List,
    /// Revoke an API key by its name or beginning, or a JWT by its id; it is refused at once
    Revoke {
        /// Name, beginning, or id
        id: String,
    },
    /// Sign JWTs with another secret from now on; tokens of the old one stay valid until they expire
    Rotate {
        /// Refuse tokens of the old secrets at once
        #[arg(long)]
        at_once: bool,
    },
}

pub(super) async fn run(context: &Context, command: Token) -> Result<u8, Failure> {
    let (operation, arguments, needs_vault) = match &command {
        Token::Issue { name, role, scopes, expires_days, jwt } => {
            let mut arguments = json!({"name": name, "scopes": scopes, "jwt": jwt});
            if let Some(role) = role {
                arguments["role"] = role.as_str().into();
            }
            if let Some(days) = expires_days {
                arguments["expires_days"] = (*days).into();
            }
            ("token.issue", arguments, *jwt)
        }
        Token::List => ("token.list", json!({}), false),
        Token::Revoke { id } => ("token.revoke", json!({"id": id}), false),
        Token::Rotate { at_once } => ("token.rotate", json!({"at_once": at_once}), true),
    };
    let reach = Reach::find(context).await?;
    let unlocked = if needs_vault { reach.open_vault(context).await } else { Ok(()) };
    let answer = match unlocked {
        Ok(()) => reach.ask(operation, arguments).await,
        Err(failure) => Err(failure),
    };
    reach.close().await;
    let mut result = answer?;
    if let Token::Issue { .. } = command {
        let token = joined(&result);
        if let Some(object) = result.as_object_mut() {
            object.retain(|key, _| key != "parts" && key != "joint");
            object.insert("token".into(), token.into());
        }
    }
    tell(context, &result, || match command {
        Token::Issue { .. } => {
            // Alone on standard output, so that it can go straight into a file.
            print::line(result["token"].as_str().unwrap_or_default())?;
            let expires =
                result["expires"].as_str().map_or_else(|| "does not expire".into(), |at| format!("expires {at}"));
            let (id, role) = (result["id"].as_str().unwrap_or_default(), result["role"].as_str().unwrap_or_default());
            print::error_line(&format!(
                "It is {id}, a token for {role}, {expires}. It is shown this once: keep it now."
            ));
            Ok(())
        }
        Token::List => list(&result["items"]),
        Token::Revoke { id } => print::line(&format!("Revoked {}.", print::harmless(&id))),
        Token::Rotate { at_once: true } => {
            print::line("Another secret signs from now on. All earlier JWTs are refused.")
        }
        Token::Rotate { .. } => {
            print::line("Another secret signs from now on. Earlier JWTs stay valid until they expire.")
        }
    })
}

/// A token comes in its parts, because a whole one is masked wherever it turns up.
fn joined(result: &Value) -> String {
    let parts = result["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
    parts.join(result["joint"].as_str().unwrap_or_default())
}

fn list(items: &Value) -> Result<(), Failure> {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return print::line("There are no tokens. Issue one: sekisho token issue NAME");
    }
    items.iter().try_for_each(|item| {
        let text = |key: &str| print::harmless(item[key].as_str().filter(|text| !text.is_empty()).unwrap_or("-"));
        let scopes: Vec<&str> = item["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let standing = match (item["revoked"] == true, item["expired"] == true) {
            (true, _) => print::painted(print::BAD, "revoked"),
            (_, true) => print::painted(print::WARNING, "expired"),
            _ => String::new(),
        };
        print::line(&format!(
            "{:<32} {:<8} {:<24} {:<9} expires {:<25} last used {:<25} {} {standing}",
            text("id"),
            text("kind").replace("api_key", "API key").replace("jwt", "JWT"),
            text("name"),
            text("role"),
            text("expires"),
            text("last_used"),
            print::harmless(&scopes.join(" ")),
        ))
    })
}
