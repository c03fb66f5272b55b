//! `advisories import|show|make`: a signed database of advisories about crates, for sites that reach no other machine.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::id::{hex, random_bytes, unhex};
use crate::base::secret::Secret;
use crate::crypto::sign::SigningKey;
use crate::scan::advisory::{Database, DatabaseError, rustsec};

#[derive(Debug, Subcommand)]
pub(crate) enum Advisories {
    /// Take a newer database; all of it is checked before it replaces the one in use, and an older one is refused
    Import {
        /// The file that `advisories make` made
        file: PathBuf,
        /// The verifying key whose signature counts, from whoever makes the database [default: upkeep.advisories_vkey]
        #[arg(long, value_name = "KEY")]
        vkey: Option<String>,
    },
    /// Say how old the database is, and what it holds
    Show,
    /// Make a signed database of a checkout of RustSec's advisories, on a machine that has one
    Make {
        /// The checkout
        directory: PathBuf,
        /// The database to make
        file: PathBuf,
        /// File with the key that signs; it is made where there is none, and stays on that machine
        #[arg(long, value_name = "FILE")]
        signing_key: PathBuf,
        /// What a new key is called, such as example.org/advisories
        #[arg(long, value_name = "NAME", default_value = "sekisho/advisories")]
        name: String,
    },
}

pub(super) async fn run(context: &Context, command: Advisories) -> Result<u8, Failure> {
    let (operation, arguments) = match command {
        Advisories::Make { directory, file, signing_key, name } => {
            return make(context, &directory, &file, &signing_key, &name);
        }
        Advisories::Show => ("advisories.show", json!({})),
        Advisories::Import { file, vkey } => {
            // Relative to where the person stands, not to where a server was started.
            let path = std::path::absolute(&file).map_err(Failure::internal)?;
            ("advisories.import", json!({"path": path.display().to_string(), "verifier": vkey}))
        }
    };
    let reach = Reach::find(context).await?;
    let result = reach.ask(operation, arguments).await;
    reach.close().await;
    let result = result?;
    tell(context, &result, || said(&result))
}

fn said(result: &Value) -> Result<(), Failure> {
    let text = |key: &str| print::harmless(result[key].as_str().unwrap_or_default());
    match result["state"].as_str() {
        Some("there") => {
            let signers: Vec<&str> =
                result["signers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            print::line(&format!(
                "{} advisories of {}, signed by {}; {} speak of the {} crates in this program.",
                result["advisories"],
                text("made"),
                print::harmless(&signers.join(", ")),
                result["affecting"],
                result["crates"]
            ))
        }
        Some("broken") => print::line(&format!("The database of advisories cannot be used: {}.", text("fault"))),
        _ => print::line("There is no database of advisories. Import one: sekisho advisories import FILE --vkey KEY"),
    }
}

fn make(context: &Context, directory: &Path, file: &Path, key_file: &Path, name: &str) -> Result<u8, Failure> {
    let advisories = rustsec::read(directory).map_err(refused)?;
    if advisories.is_empty() {
        return Err(Failure::no_input(format!("{} holds no advisories of RustSec", directory.display())));
    }
    let key = signing_key(key_file, name)?;
    let text = Database::sign(SystemClock::default().now(), &advisories, &key).map_err(refused)?;
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(file);
    let written = written.and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()));
    written.map_err(|error| Failure::exists(format!("{}: {error}", file.display())))?;
    let vkey = key.verifying_key().to_string();
    let result = json!({
        "file": file.display().to_string(), "advisories": advisories.len(), "bytes": text.len(), "verifier": vkey,
    });
    tell(context, &result, || {
        print::line(&format!(
            "{}: {} advisories, {} bytes. Take it in where it is needed:",
            file.display(),
            advisories.len(),
            text.len()
        ))?;
        print::line(&format!("  sekisho advisories import {} --vkey {vkey}", file.display()))
    })
}

fn refused(error: DatabaseError) -> Failure {
    match error {
        DatabaseError::File { .. } => Failure::no_input(error),
        _ => Failure::usage(error),
    }
}

/// The key in the file: its name, and its seed in hexadecimal, a line each.
fn signing_key(path: &Path, name: &str) -> Result<SigningKey, Failure> {
    let at = |error: &dyn std::fmt::Display| Failure::no_input(format!("{}: {error}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Secret::new(text);
            let lines = std::str::from_utf8(text.expose_secret()).unwrap_or_default();
            let (name, seed) = lines.split_once('\n').ok_or_else(|| at(&"expected a name and a seed, a line each"))?;
            let seed = Secret::new(unhex(seed.trim()).ok_or_else(|| at(&"its seed is not hexadecimal"))?);
            SigningKey::new(name, &seed).map_err(|error| at(&error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let seed = random_bytes::<32>().map_err(Failure::internal)?;
            let key = SigningKey::new(name, &Secret::new(seed)).map_err(Failure::usage)?;
            let text = Secret::new(format!("{name}\n{}\n", hex(&seed)));
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let written = file.and_then(|mut file| file.write_all(text.expose_secret()).and_then(|()| file.sync_all()));
            written.map_err(|error| Failure::exists(format!("{}: {error}", path.display())))?;
            Ok(key)
        }
        Err(error) => Err(at(&error)),
    }
}
