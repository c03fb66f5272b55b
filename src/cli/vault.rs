//! `vault status|unseal|seal` and `key status|rotate|passphrase|recovery|rekey`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print, secret, unlock};
use crate::app::offline;
use crate::config::file;

#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    /// Say whether the vault is open, and where its secret came from
    Status,
    /// Open the vault of a running server; the passphrase is typed, or comes on standard input
    Unseal {
        /// Open it with the recovery key
        #[arg(long)]
        recovery: bool,
    },
    /// Make a running server forget the keys
    Seal,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Show the keys: purpose, versions, age, uses; never the keys themselves
    Status,
    /// Make new data keys; what was sealed before is sealed again in the background
    Rotate {
        /// Only these; otherwise all but pseudonyms and signing, whose old versions stay for ever
        purposes: Vec<String>,
    },
    /// Change the secret that opens the vault
    Passphrase {
        /// Put a new random secret into the key file, instead of a passphrase
        #[arg(long)]
        key_file: bool,
        #[command(flatten)]
        derivation: Derivation,
    },
    /// Make a new recovery key and show it, once; the one before no longer works
    Recovery,
    /// After a compromise: a new root key, new data keys, a new file. No server may run
    Rekey {
        /// Say the word
        #[arg(long, required = true)]
        full: bool,
    },
}

/// How slowly a key is made of the secret.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Derivation {
    /// Iterations of PBKDF2-HMAC-SHA256
    #[arg(long, value_name = "N", default_value_t = crate::base::bound::KDF_ITERATIONS_DEFAULT)]
    pub(super) kdf_iterations: u32,
    /// Accept fewer iterations than a new vault should have
    #[arg(long)]
    pub(super) allow_weak_kdf: bool,
}

pub(super) async fn vault(context: &Context, command: Vault) -> Result<u8, Failure> {
    let (operation, arguments) = match command {
        Vault::Status => ("vault.status", json!({})),
        Vault::Seal => ("vault.seal", json!({})),
        Vault::Unseal { recovery } => {
            let prompt = if recovery { "Recovery key: " } else { "Passphrase: " };
            let secret = secret::read(prompt)?;
            let kind = if recovery { "recovery" } else { "passphrase" };
            ("vault.unseal", json!({"with": kind, "value": secret::text(&secret)?}))
        }
    };
    let reach = Reach::find(context).await?;
    if operation != "vault.status" && matches!(reach, Reach::Here { .. }) {
        reach.close().await;
        return Err(Failure::unavailable(
            "no server runs here; commands that work by themselves open the vault themselves",
        ));
    }
    let result = reach.ask(operation, arguments).await;
    reach.close().await;
    let result = result?;
    tell(context, &result, || {
        let from = result["from"].as_str().map_or_else(String::new, |from| format!(", by {}", print::harmless(from)));
        print::line(&format!("The vault is {}{from}.", result["standing"].as_str().unwrap_or_default()))
    })
}

pub(super) async fn key(context: &Context, command: Key) -> Result<u8, Failure> {
    let (operation, arguments) = match command {
        Key::Rekey { .. } => return rekey(context).await,
        Key::Status => ("key.status", json!({})),
        Key::Recovery => ("key.recovery", json!({})),
        Key::Rotate { purposes } => ("key.rotate", json!({"purposes": purposes})),
        Key::Passphrase { key_file, derivation } => {
            let value = if key_file { None } else { Some(secret::read_new_passphrase()?) };
            let value = value.as_ref().map(secret::text).transpose()?;
            let arguments = json!({
                "value": value,
                "iterations": derivation.kdf_iterations,
                "allow_weak": derivation.allow_weak_kdf,
            });
            ("key.passphrase", arguments)
        }
    };
    let reach = Reach::find(context).await?;
    let result = match reach.open_vault(context).await {
        Ok(()) => reach.ask(operation, arguments).await,
        Err(failure) => Err(failure),
    };
    reach.close().await;
    let result = result?;
    tell(context, &result, || match operation {
        "key.status" => status(&result),
        "key.recovery" => recovery(result["recovery"].as_str().unwrap_or_default()),
        "key.rotate" => {
            let names: Vec<&str> =
                result["rotated"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            print::line(&format!(
                "New keys for {}; what was sealed before is sealed again in the background.",
                names.join(", ")
            ))?;
            if names.contains(&"signing") {
                print::line("Auditors need the new verifying key: sekisho audit checkpoint shows it.")?;
            }
            Ok(())
        }
        _ => print::line(&format!("The vault's secret is changed. {}", result["note"].as_str().unwrap_or_default())),
    })
}

/// Shows a recovery key: the one time that it is seen.
pub(super) fn recovery(key: &str) -> Result<(), Failure> {
    print::line(&format!(
        "\nRecovery key (shown this once; write it down, and keep it away from this machine):\n\n    {}\n\n\
         It opens the vault, and every backup made from now on, when the secret is lost.",
        print::painted(print::TITLE, key)
    ))
}

async fn rekey(context: &Context) -> Result<u8, Failure> {
    let places = context.places()?;
    let config = file::load(&places.config, &context.environment)?;
    let secret = unlock::find(context, &places, &config, true)?;
    let made = offline::rekey(&places, &config, secret).await?;
    let key = made.recovery.text();
    let shown = secret::text(&key)?;
    let result = json!({"recovery": shown, "resealed": made.resealed, "log_files": made.logs});
    tell(context, &result, || {
        print::line(&format!(
            "The database was written anew under new keys; {} sealed records were sealed again, and {} sealed log files open as before. Destroy old backups: the old keys open them.",
            made.resealed, made.logs
        ))?;
        recovery(shown)
    })
}

fn status(result: &Value) -> Result<(), Failure> {
    print::line(&format!(
        "The vault is {}; its key is derived with {} iterations of PBKDF2-HMAC-SHA256.",
        result["standing"].as_str().unwrap_or_default(),
        result["iterations"]
    ))?;
    print::line(&format!("{:<22} {:>7}  {:<10} {:<24} {:>12}", "purpose", "version", "state", "made", "uses"))?;
    result["keys"].as_array().into_iter().flatten().try_for_each(|key| {
        let text = |name: &str| print::harmless(key[name].as_str().unwrap_or_default());
        let line = format!(
            "{:<22} {:>7}  {:<10} {:<24} {:>12}",
            text("purpose"),
            key["version"],
            text("state"),
            text("made"),
            key["uses"]
        );
        print::line(&line)
    })?;
    let key = print::harmless(result["bundle_key"].as_str().unwrap_or_default());
    print::line(&format!("Bundles of libraries are signed by {key}"))
}
