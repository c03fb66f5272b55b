//! `config check|schema|show`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::{Context, print};
use crate::config::file;
use crate::guardrail::Guardrail;

#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// Check the configuration file and the environment
    Check,
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print what is in force, and which values are not the default
    Show,
}

pub(super) fn run(context: &Context, command: &Settings) -> Result<u8, Failure> {
    if matches!(command, Settings::Schema) {
        print::line(&serde_json::to_string_pretty(&file::schema()).map_err(Failure::internal)?)?;
        return Ok(0);
    }
    let places = context.places()?;
    let config = file::load(&places.config, &context.environment)?;
    // What names rules is valid only where there are such rules.
    Guardrail::new(&config.inspect).map_err(Failure::config)?;
    match command {
        Settings::Check if context.json => {
            print::line(&json!({"valid": true, "config": places.config.display().to_string()}).to_string())?;
        }
        Settings::Check if places.config.exists() => print::line(&format!("{} is valid.", places.config.display()))?,
        Settings::Check => {
            print::line(&format!("There is no {}; the defaults are in force.", places.config.display()))?;
        }
        Settings::Show if context.json => {
            print::line(&serde_json::to_value(&config.raw).map_err(Failure::internal)?.to_string())?;
        }
        Settings::Show | Settings::Schema => {
            let now = serde_json::to_value(&config.raw).map_err(Failure::internal)?;
            let mut table = String::new();
            for setting in file::settings() {
                if setting.table != table {
                    table.clone_from(&setting.table);
                    print::line(&format!("\n[{table}]"))?;
                }
                let value = &now[&setting.table][&setting.key];
                let from_environment = context.environment.settings.contains_key(&setting.variable());
                print::line(&shown(&setting.key, value, &setting.default, from_environment, &setting.variable()))?;
            }
        }
    }
    Ok(0)
}

fn shown(key: &str, value: &Value, default: &Value, from_environment: bool, variable: &str) -> String {
    if value.is_null() {
        return print::painted(print::FAINT, &format!("# {key} is not set"));
    }
    let line = format!("{key} = {value}");
    match (value == default, from_environment) {
        (_, true) => format!("{line}  # from SEKISHO_{variable}"),
        (true, false) => print::painted(print::FAINT, &line),
        (false, false) => format!("{line}  # from the file; the default is {default}"),
    }
}
