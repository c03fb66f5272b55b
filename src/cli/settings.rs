//! `config check|schema|show|import`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};
use crate::config::env::Environment;
use crate::config::place::Places;
use crate::config::{Config, file, import};
use crate::guardrail::Guardrail;
use crate::scan::gather;

#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// Check the configuration file and the environment
    Check,
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print what is in force, and which values are not the default
    Show {
        /// Ask the running server, instead of reading the file as it is now
        #[arg(long)]
        live: bool,
    },
    /// Turn the configuration of a server that Sekisho replaces (JSON or YAML) into sekisho.toml, and list what has no place there
    Import {
        /// The old configuration
        file: PathBuf,
        /// Where the new one goes; it must not exist. Without this it is printed
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(super) fn run(context: &Context, command: &Settings) -> Result<u8, Failure> {
    if matches!(command, Settings::Schema) {
        print::line(&serde_json::to_string_pretty(&file::schema()).map_err(Failure::internal)?)?;
        return Ok(0);
    }
    if let Settings::Import { file, output } = command {
        return import(context, file, output.as_deref());
    }
    let places = context.places()?;
    let config = file::load(&places.config, &context.environment)?;
    // What names rules is valid only where there are such rules.
    Guardrail::new(&config.inspect).map_err(Failure::config)?;
    match command {
        Settings::Check if context.json => {
            let warnings: Vec<&str> = config.unheard_contacts().into_iter().collect();
            let path = places.config.display().to_string();
            let notes = overridden(&places, &config);
            print::line(&json!({"valid": true, "config": path, "warnings": warnings, "notes": notes}).to_string())?;
        }
        Settings::Check if places.config.exists() => print::line(&format!("{} is valid.", places.config.display()))?,
        Settings::Check => {
            print::line(&format!("There is no {}; the defaults are in force.", places.config.display()))?;
        }
        Settings::Show { .. } if context.json => {
            print::line(&serde_json::to_value(&config.raw).map_err(Failure::internal)?.to_string())?;
        }
        Settings::Show { .. } | Settings::Schema | Settings::Import { .. } => {
            let now = serde_json::to_value(&config.raw).map_err(Failure::internal)?;
            let mut table = String::new();
            for setting in file::settings() {
                if setting.table != table {
                    table.clone_from(&setting.table);
                    print::line(&format!("\n[{table}]"))?;
                }
                let value = &now[&setting.table][&setting.key];
                let from_environment = context.environment.settings.contains_key(&setting.variable());
                let mut line = shown(&setting.key, value, &setting.default, from_environment, &setting.variable());
                let mut overridden = config.origins.overridden().iter();
                if let Some(overridden) = overridden.find(|it| it.key == setting.dotted()) {
                    line = format!("{line}; the file has {}", overridden.written);
                }
                print::line(&line)?;
            }
        }
    }
    if matches!(command, Settings::Check) && !context.json {
        if let Some(warning) = config.unheard_contacts() {
            print::error_line(&print::painted(print::WARNING, &format!("Warning: {warning}.")));
        }
        for note in overridden(&places, &config) {
            print::error_line(&format!("Note: {note}."));
        }
    }
    Ok(0)
}

/// What stands in the file to no effect: by the environment here, or by that of a unit of systemd, which is what the
/// service gets that it starts.
pub(super) fn overridden(places: &Places, config: &Config) -> Vec<String> {
    let file = &places.config;
    let mut told: Vec<String> = config.origins.overridden().iter().map(|it| it.told(file, None)).collect();
    for (unit, variables) in gather::environments(places) {
        match file::load(file, &Environment::of_unit(variables.into_iter())) {
            Ok(config) => told.extend(config.origins.overridden().iter().map(|it| it.told(file, Some(&unit)))),
            Err(error) => told.push(format!("with the variables of {} it is not valid: {error}", unit.display())),
        }
    }
    told.iter().map(|told| print::harmless(told)).collect()
}

/// What the server that runs has in force, which may be older than the file.
pub(super) async fn show_live(context: &Context) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let answer = reach.ask("config.show", json!({})).await;
    reach.close().await;
    let result = answer?;
    tell(context, &result, || {
        for setting in result["settings"].as_array().into_iter().flatten() {
            let text = |key: &str| print::harmless(setting[key].as_str().unwrap_or_default());
            let line = format!("{} = {}", text("setting"), print::harmless(&setting["value"].to_string()));
            let line = match text("source").as_str() {
                "default" => print::painted(print::FAINT, &line),
                "environment" => format!("{line}  # from {}", text("variable")),
                "command_line" => format!("{line}  # from the command line"),
                _ => format!("{line}  # from the file; the default is {}", setting["default"]),
            };
            print::line(&line)?;
        }
        Ok(())
    })
}

fn import(context: &Context, old: &Path, output: Option<&Path>) -> Result<u8, Failure> {
    let text = fs::read_to_string(old).map_err(|error| Failure::usage(format!("{}: {error}", old.display())))?;
    let imported = import::import(&text).map_err(|error| Failure::config(format!("{}: {error}", old.display())))?;
    if context.json {
        let mapped: Vec<Value> = imported
            .mapped
            .iter()
            .map(|mapped| json!({"from": mapped.pointer, "to": mapped.key, "value": mapped.value}))
            .collect();
        let unmapped: Vec<Value> =
            imported.unmapped.iter().map(|unmapped| json!({"from": unmapped.pointer, "why": unmapped.why})).collect();
        print::line(&json!({"mapped": mapped, "not_mapped": unmapped, "config": imported.to_toml()}).to_string())?;
    } else if output.is_none() {
        print::line(&imported.to_toml())?;
    }
    if let Some(path) = output {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = file.as_mut().map(|file| file.write_all(imported.to_toml().as_bytes()));
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Failure::usage(format!("{}: {error}", path.display()))),
            Err(error) => return Err(Failure::usage(format!("{}: {error}", path.display()))),
        }
    }
    for mapped in &imported.mapped {
        print::error_line(&format!("{} is now {} = {}", mapped.pointer, mapped.key, mapped.value));
    }
    for unmapped in &imported.unmapped {
        print::error_line(&format!("{} is not mapped: {}", unmapped.pointer, unmapped.why));
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
