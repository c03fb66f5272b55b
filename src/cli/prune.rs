//! `prune` and `vacuum`: makes room.

use clap::Args;
use serde_json::json;

use super::exit::Failure;
use super::print::tell;
use super::reach::Reach;
use super::{Context, print};

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Databases from before a migration, a restore or a compaction, too
    #[arg(long)]
    copies: bool,
}

pub(super) async fn prune(context: &Context, command: Prune) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = reach.ask("prune", json!({"dry_run": command.dry_run, "copies": command.copies})).await;
    reach.close().await;
    let result = result?;
    tell(context, &result, || {
        let items = result["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        for item in items {
            let (kind, place) = (item["kind"].as_str().unwrap_or_default(), item["place"].as_str().unwrap_or_default());
            let size =
                if item["rows"] == 0 { format!("{} bytes", item["bytes"]) } else { format!("{} rows", item["rows"]) };
            print::line(&format!("{:<36} {size:>16}  {}", kind, print::harmless(place)))?;
        }
        let (verb, bytes) = (if command.dry_run { "would go" } else { "went" }, &result["bytes"]);
        let end = if items.is_empty() {
            "There is nothing to prune.".to_owned()
        } else {
            format!("{} {verb}, {bytes} bytes of files.", items.len())
        };
        print::line(&end)
    })
}

pub(super) async fn vacuum(context: &Context) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = reach.ask("vacuum", json!({})).await;
    reach.close().await;
    let result = result?;
    tell(context, &result, || {
        print::line(&format!(
            "The database has {} bytes, before {}; its {} audit entries were verified, and the safety copy is gone.",
            result["after_bytes"], result["before_bytes"], result["audit_entries"]
        ))
    })
}
