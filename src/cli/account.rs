//! `account add|passwd|role|disable|enable|remove|review`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print, secret};
use crate::auth::account;
use crate::base::principal::Role;
use crate::base::secret::Secret;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Make an account; its password is typed, or comes on standard input
    Add {
        /// A name of A-Z a-z 0-9 . _ - @
        name: String,
        /// reader, auditor, operator or admin
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Set another password; the old one is refused from then on
    Passwd { name: String },
    /// Give an account another role; its password and its JWTs have it from their next request on
    Role {
        name: String,
        /// reader, auditor, operator or admin
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Refuse an account's password and JWTs until it is enabled again
    Disable { name: String },
    /// Take them again
    Enable { name: String },
    /// Remove an account, and revoke its JWTs
    Remove { name: String },
    /// Show all accounts: role, valid tokens, last use, wrong passwords
    Review,
}

/// A role's name on the command line.
pub(super) fn role(name: &str) -> Result<Role, String> {
    let names = || Role::ALL.map(Role::as_str).join(", ");
    Role::named(name).ok_or_else(|| format!("there is no role {name:?}; there are: {}", names()))
}

pub(super) async fn run(context: &Context, command: Account) -> Result<u8, Failure> {
    // What is typed comes before the directory is taken: others should not wait for a person.
    let (operation, arguments) = match &command {
        Account::Add { name, role } => {
            let password = password(name)?;
            ("account.add", json!({"name": name, "role": role, "value": secret::text(&password)?}))
        }
        Account::Passwd { name } => {
            let password = password(name)?;
            ("account.passwd", json!({"name": name, "value": secret::text(&password)?}))
        }
        Account::Role { name, role } => ("account.role", json!({"name": name, "role": role})),
        Account::Disable { name } => ("account.disable", json!({"name": name})),
        Account::Enable { name } => ("account.enable", json!({"name": name})),
        Account::Remove { name } => ("account.remove", json!({"name": name})),
        Account::Review => ("account.review", json!({})),
    };
    let reach = Reach::find(context).await?;
    let answer = reach.ask(operation, arguments).await;
    reach.close().await;
    let result = answer?;
    tell(context, &result, || match command {
        Account::Add { name, role } | Account::Role { name, role } => {
            print::line(&format!("{name} is {}.", role.as_str()))
        }
        Account::Passwd { name } => print::line(&format!("{name} has another password.")),
        Account::Disable { name } => print::line(&format!("{name} is disabled.")),
        Account::Enable { name } => print::line(&format!("{name} is enabled.")),
        Account::Remove { name } => print::line(&format!("Removed {name}; JWTs for it are revoked.")),
        Account::Review => review(&result["accounts"]),
    })
}

fn password(name: &str) -> Result<Secret, Failure> {
    account::check_name(name).map_err(Failure::usage)?;
    let password = secret::read_new(&format!("Password of {name}: "))?;
    account::check_password(name, &password).map_err(Failure::usage)?;
    Ok(password)
}

fn review(accounts: &Value) -> Result<(), Failure> {
    let accounts = accounts.as_array().map(Vec::as_slice).unwrap_or_default();
    if accounts.is_empty() {
        return print::line("There are no accounts. Make one: sekisho account add NAME --role reader");
    }
    accounts.iter().try_for_each(|account| {
        let text = |key: &str| print::harmless(account[key].as_str().unwrap_or("never"));
        let mut notes = Vec::new();
        if account["disabled"] == true {
            notes.push("disabled".to_owned());
        }
        if account["from_environment"] == true {
            notes.push("from the environment".to_owned());
        }
        if account["failures"].as_u64().is_some_and(|failures| failures > 0) {
            notes.push(format!("{} wrong passwords", account["failures"]));
        }
        print::line(&format!(
            "{:<24} {:<9} tokens {:<3} last used {:<25} {}",
            text("name"),
            text("role"),
            account["keys"],
            text("last_used"),
            print::painted(print::WARNING, &notes.join(", ")),
        ))
    })
}
