//! `init`, and what to paste into which client.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::{Failure, NO};
use super::reach::Reach;
use super::vault::Derivation;
use super::{Context, print, secret, vault};
use crate::app::AppError;
use crate::app::init::{self, Choice, Made};
use crate::client::{Client, Way};
use crate::config::env::Environment;
use crate::config::place::Places;
use crate::config::preset::Preset;
use crate::config::{Config, file};
use crate::crypto::password::Iterations;
use crate::vault::{RecoveryKey, source};

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Open the vault with a passphrase, which is typed or comes on standard input, instead of a key file
    #[arg(long)]
    passphrase: bool,
    /// What the new sekisho.toml sets: "production" has sessions of 30 minutes, 3 of them for each caller, and 1000 calls in each
    #[arg(long, value_name = "PRESET")]
    preset: Option<PresetName>,
    #[command(flatten)]
    derivation: Derivation,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetName {
    Standard,
    Production,
}

pub(super) async fn init(context: &Context, init: Init) -> Result<u8, Failure> {
    let places = context.places()?;
    let config = file::load(&places.config, &context.environment)?;
    let Derivation { kdf_iterations, allow_weak_kdf } = init.derivation;
    let iterations = Iterations::new(kdf_iterations, allow_weak_kdf).map_err(Failure::usage)?;
    let secret =
        if init.passphrase && !places.database().exists() { Some(secret::read_new_passphrase()?) } else { None };
    let preset = match init.preset {
        Some(PresetName::Production) => Preset::Production,
        Some(PresetName::Standard) | None => Preset::Standard,
    };
    if init.preset.is_some() && places.config.exists() {
        return Err(Failure::usage(format!(
            "{} is there already, and a preset is for a new one. Set its keys yourself: {}",
            places.config.display(),
            preset.values().iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
        )));
    }
    let made = make(context, &places, &config, Some(Choice { secret, iterations, preset }))?;
    // What was made now holds. Of what was there before, the owner of the database knows; where nobody can be asked,
    // whoever comes next says why.
    let holds = made.anything() || token_holds(context).await.unwrap_or(true);
    if context.json {
        let shown = made.recovery.as_ref().filter(|_| !context.environment.journal);
        let recovery = shown.map(RecoveryKey::text);
        let recovery = recovery.as_ref().map(secret::text).transpose()?;
        let report = json!({
            "data_directory": places.data.display().to_string(),
            "config": places.config.display().to_string(),
            "http_token": places.http_token().display().to_string(),
            "http_token_holds": holds,
            "recovery": recovery,
            "made": {"directory": made.directory, "config": made.config, "database": made.database, "token": made.token, "key_file": made.key_file},
        });
        print::line(&report.to_string())?;
        return Ok(if holds { 0 } else { NO });
    }
    if !holds {
        print::error_line(&format!("sekisho: {}", dead_token(&places)));
        return Ok(NO);
    }
    tell(context, &places, &key_file(&places, &config), &made)?;
    print::line(
        "\nNext: sekisho library add NAME PATH, then sekisho serve (or let a desktop client run sekisho stdio).",
    )?;
    Ok(0)
}

/// Whether the token in the file opens anything, as the owner of the database says.
pub(super) async fn token_holds(context: &Context) -> Result<bool, Failure> {
    let reach = Reach::find(context).await?;
    let status = reach.ask("status", json!({})).await;
    reach.close().await;
    Ok(status?["http_token_known"] != false)
}

/// What is wrong where it does not, and the way out.
pub(super) fn dead_token(places: &Places) -> String {
    let file = places.http_token();
    let file = file.display();
    format!(
        "the token in {file} was revoked, has expired, or is not one that the database knows: clients that have it are \
         refused. Stop the server, delete the file and run `sekisho init`; then connect your clients again"
    )
}

/// Makes what is missing. The vault is opened by what the choice says, or a secret that stands ready (a systemd
/// credential, the environment), or a key file that is made.
pub(super) fn make(
    context: &Context,
    places: &Places,
    config: &Config,
    choice: Option<Choice>,
) -> Result<Made, AppError> {
    let mut choice = choice.unwrap_or_default();
    if choice.secret.is_none() {
        let sources = source::Places {
            credentials_directory: context.environment.credentials_directory.as_deref(),
            key_file: None,
            variable: context.environment.vault_secret.as_ref(),
        };
        choice.secret = source::find(sources, || Ok(None))?.map(|found| found.secret);
    }
    init::init(places, &key_file(places, config), choice)
}

pub(super) fn key_file(places: &Places, config: &Config) -> PathBuf {
    config.vault.key_file.clone().unwrap_or_else(|| places.vault_key())
}

pub(super) fn tell(context: &Context, places: &Places, key_file: &Path, made: &Made) -> Result<(), Failure> {
    if !made.anything() {
        return print::line(&format!("Everything is in place in {}; nothing was changed.", places.data.display()));
    }
    let say = |what: &str, path: &Path, fresh: bool| {
        let note = if fresh { "made" } else { "was there" };
        print::line(&format!("  {what:<15} {} ({note})", path.display()))
    };
    say("data directory", &places.data, made.directory)?;
    say("configuration", &places.config, made.config)?;
    say("database", &places.database(), made.database)?;
    say("HTTP token", &places.http_token(), made.token)?;
    if made.key_file {
        say("vault key", key_file, true)?;
    }
    match &made.recovery {
        // A journal keeps it for everybody who reads journals.
        Some(_) if context.environment.journal => {
            print::line("The recovery key is not written into the journal. Get one at a terminal: sekisho key recovery")
        }
        Some(key) => vault::recovery(secret::text(&key.text())?),
        None => Ok(()),
    }
}

/// The words that start this program on this data directory from anywhere. A client, and a person in another terminal,
/// has another environment and may not have us on its path: what is not the default must be said.
fn invocation(context: &Context, places: &Places) -> Result<(String, Vec<String>), Failure> {
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let mut arguments: Vec<String> = Vec::new();
    let elsewhere = Environment { data_dir: None, config: None, ..context.environment.clone() };
    let default = Places::find(None, None, &elsewhere);
    if default.as_ref().is_none_or(|default| default.data != places.data) {
        arguments.extend(["--data-dir".into(), places.data.display().to_string()]);
    }
    if places.config != places.data.join("sekisho.toml") {
        arguments.extend(["--config".into(), places.config.display().to_string()]);
    }
    Ok((program.display().to_string(), arguments))
}

/// As [`invocation`], to be typed into a shell.
pub(super) fn typed(context: &Context, places: &Places) -> Result<String, Failure> {
    let (program, arguments) = invocation(context, places)?;
    let words: Vec<String> = std::iter::once(program).chain(arguments).map(|word| quoted(&word)).collect();
    Ok(words.join(" "))
}

/// How a client starts us.
pub(super) fn over_stdio(context: &Context, places: &Places) -> Result<Way, Failure> {
    let (program, mut arguments) = invocation(context, places)?;
    arguments.push("stdio".into());
    Ok(Way::Stdio { program, arguments })
}

/// What each client wants to be told, with nothing secret in it.
pub(super) fn snippets(context: &Context, places: &Places, url: &str) -> Result<String, Failure> {
    let way = over_stdio(context, places)?;
    let pretty = |client: Client| serde_json::to_string_pretty(&client.snippet(&way)?).map_err(Failure::internal);
    let typed = typed(context, places)?;
    let names = "claude-desktop, claude-code, cursor, vscode or zed";
    Ok(format!(
        "Write it into your client's configuration ({names}):\n\n  {typed} connect CLIENT\n\n\
         or paste it. Claude Desktop (claude_desktop_config.json) and Cursor (~/.cursor/mcp.json):\n\n{}\n\n\
         VS Code (.vscode/mcp.json):\n\n{}\n\n\
         Zed (settings.json):\n\n{}\n\n\
         Claude Code:\n\n  claude mcp add sekisho -- {typed} stdio\n\n\
         Any client over HTTP: the URL is {url}, and the token lies in {}. To let Sekisho write both:\n\n  \
         {typed} connect claude-code --http",
        pretty(Client::Cursor)?,
        pretty(Client::VsCode)?,
        pretty(Client::Zed)?,
        places.http_token().display(),
    ))
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:=@%".contains(&byte));
    if plain && !word.is_empty() { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expect) in
            [("/a/b.c", "/a/b.c"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), expect);
        }
    }
}
