//! `backup` and `restore`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print, secret, unlock};
use crate::app::offline;
use crate::config::file;
use crate::custody::With;
use crate::vault::RecoveryKey;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to make
    file: PathBuf,
    /// Make nothing: open the backup that is there, and check all that is in it
    #[arg(long)]
    verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// Put the database that is there aside
    #[arg(long)]
    overwrite: bool,
    /// Open the backup with the recovery key, which is typed or comes on standard input
    #[arg(long)]
    recovery: bool,
}

pub(super) async fn backup(context: &Context, command: Backup) -> Result<u8, Failure> {
    // Relative to where the person stands, not to where a server was started.
    let path = std::path::absolute(&command.file).map_err(Failure::internal)?;
    let operation = if command.verify { "backup.verify" } else { "backup.make" };
    let reach = Reach::find(context).await?;
    let result = async {
        reach.open_vault(context).await?;
        reach.ask(operation, json!({"path": path.display().to_string()})).await
    }
    .await;
    reach.close().await;
    let result = result?;
    if command.verify {
        return tell(context, &result, || {
            let made = print::harmless(result["made"].as_str().unwrap_or_default());
            print::line(&format!(
                "{} is good: made at {made}, {} audit entries.",
                path.display(),
                result["audit_entries"]
            ))
        });
    }
    tell(context, &result, || {
        print::line(&format!(
            "{} is a checked backup: {} bytes, {} audit entries; writing paused for {} ms.",
            path.display(),
            result["bytes"],
            result["audit_entries"],
            result["paused_ms"]
        ))
    })
}

pub(super) async fn restore(context: &Context, command: Restore) -> Result<u8, Failure> {
    let places = context.places()?;
    let config = file::load(&places.config, &context.environment)?;
    // Before a secret is asked for.
    readable(&command.file)?;
    let with = if command.recovery {
        let typed = secret::read("Recovery key: ")?;
        With::Recovery(RecoveryKey::parse(&typed).map_err(Failure::usage)?)
    } else {
        let found = unlock::find(context, &places, &config, true)?;
        let found = found.ok_or_else(|| {
            Failure::not_allowed("there is no secret to open the backup with; give the recovery key: --recovery")
        })?;
        With::Secret(found.secret)
    };
    let restored = offline::restore(&places, &config, &command.file, with, command.overwrite).await?;
    let result = json!({
        "audit_entries": restored.header.audit_entries,
        "made": restored.header.made.rfc3339(),
        "erased": restored.erased,
        "put_aside": restored.put_aside.as_ref().map(|path| path.display().to_string()),
        "new_key_file": restored.new_key_file,
    });
    tell(context, &result, || {
        print::line(&format!(
            "Restored what the backup held at {}: {} audit entries.",
            restored.header.made.rfc3339(),
            restored.header.audit_entries
        ))?;
        if restored.erased > 0 {
            print::line(&format!("{} subjects were erased after it was made, and are erased again.", restored.erased))?;
        }
        if let Some(aside) = &restored.put_aside {
            print::line(&format!("The database of before is {}.", aside.display()))?;
        }
        if restored.new_key_file {
            print::line("The vault has a new secret, in the key file; get a new recovery key: sekisho key recovery")?;
        }
        print::line("The index is made anew at the next start.")
    })
}

fn readable(path: &Path) -> Result<(), Failure> {
    std::fs::File::open(path).map(drop).map_err(|error| Failure::no_input(format!("{}: {error}", path.display())))
}
