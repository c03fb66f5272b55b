//! `library export|import|rollback`: libraries in bundles, for sites without a network.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::sync::{report, with_progress};
use super::{Context, print};
use crate::base::classification::Classification;

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The library
    name: String,
    /// The file to make
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The bundle
    file: PathBuf,
    /// What the library is called here [default: as where it comes from]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A key that may have signed the bundle, as `library export` showed it (may be given again)
    #[arg(long, value_name = "KEY")]
    vkey: Vec<String>,
    /// Take a bundle that is not newer than what is there
    #[arg(long)]
    allow_older: bool,
    /// At least this confidential: public, internal, confidential or restricted
    #[arg(long, value_name = "LEVEL")]
    classification: Option<Classification>,
    /// Read the library by this profile in the place of the bundle's
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
}

pub(super) async fn export(context: &Context, reach: &Reach, command: Export) -> Result<u8, Failure> {
    // Relative to where the person stands, not to where a server was started.
    let path = std::path::absolute(&command.file).map_err(Failure::internal)?;
    reach.open_vault(context).await?;
    let arguments = json!({"name": command.name, "path": path.display().to_string()});
    let result = with_progress(reach, "library.export", arguments).await?;
    tell(context, &result, || {
        let text = |key: &str| print::harmless(result[key].as_str().unwrap_or_default());
        print::line(&format!(
            "{} carries {}: {} documents, {} bytes, serial {}.",
            path.display(),
            text("library"),
            result["documents"],
            result["bytes"],
            result["serial"]
        ))?;
        print::line(&format!("  sha256 {}", text("sha256")))?;
        print::line("Tell the other site this key, by another way than the file:")?;
        print::line(&format!("  {}", text("verifying_key")))
    })
}

pub(super) async fn import(context: &Context, reach: &Reach, command: Import) -> Result<u8, Failure> {
    let Import { file, name, vkey, allow_older, classification, profile } = command;
    let path = std::path::absolute(&file).map_err(Failure::internal)?;
    let arguments = json!({
        "path": path.display().to_string(),
        "name": name,
        "keys": vkey,
        "allow_older": allow_older,
        "classification": classification,
        "profile": profile,
    });
    let result = with_progress(reach, "library.import", arguments).await?;
    tell(context, &result, || {
        report(&result["report"])?;
        let text = |key: &str| print::harmless(result[key].as_str().unwrap_or_default());
        let before = result["before"].as_u64().map_or_else(String::new, |before| format!("; it was {before}"));
        print::line(&format!("  serial {}{before}", result["serial"]))?;
        print::line(&format!("  signed by {}", text("signer")))
    })
}

pub(super) async fn roll_back(context: &Context, reach: &Reach, name: String) -> Result<u8, Failure> {
    let result = reach.ask("library.rollback", json!({"name": name})).await?;
    tell(context, &result, || {
        report(&result["report"])?;
        let line = format!("  serial {}; it was {}. To go back: the same again.", result["serial"], result["before"]);
        print::line(&line)
    })
}

/// Whether a library comes from a bundle: then there is nothing to sync.
pub(super) fn is_bundle(library: &Value) -> bool {
    !library["bundle"].is_null()
}
