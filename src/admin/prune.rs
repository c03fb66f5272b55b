//! The operations `prune` and `vacuum`: what is good for nothing any more goes, and the database gives room back.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{Nothing, Request, answering, parse, written};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::Refusal;
use crate::custody::vacuum::Vacuumed;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

/// Cleans up; injected by `app`, which alone sees every room.
pub trait CleanUp: Send + Sync {
    fn prune(&self, what: What) -> BoxFuture<'_, Result<Vec<Gone>, Refusal>>;

    /// Compacts the database, with a copy beside it until that has been checked.
    fn vacuum(&self) -> BoxFuture<'_, Result<Vacuumed, Refusal>>;
}

/// What is to go.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct What {
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
    /// Databases from before a migration, a restore or a compaction, too.
    #[serde(default)]
    pub copies: bool,
}

/// Something that went, or would go.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Gone {
    pub kind: &'static str,
    /// A path, or what the rows belonged to.
    pub place: String,
    /// Of a file or a folder.
    pub bytes: u64,
    /// Rows of the database; their room is used again, and `vacuum` gives it back.
    pub rows: usize,
}

impl Gone {
    pub fn file(kind: &'static str, path: &Path, bytes: u64) -> Self {
        Self { kind, place: path.display().to_string(), bytes, rows: 0 }
    }

    pub fn rows(kind: &'static str, place: String, rows: usize) -> Self {
        Self { kind, place, bytes: 0, rows }
    }
}

pub(super) fn register(catalog: &Catalog, cleaner: &Arc<dyn CleanUp>) -> Result<(), NotASchema> {
    let pruner = Arc::clone(cleaner);
    let title = "Take away what is good for nothing any more: old logs, spent tokens, mirrors, interrupted work";
    let mut prune = answering::<What, Pruned>("prune", title, Effect::Destroys).in_group(ActionGroup::Operate);
    // It makes room.
    (prune.urgent, prune.at_machine) = (true, true);
    catalog.add(Arc::new(Request::new(prune, move |_, arguments| {
        let pruner = Arc::clone(&pruner);
        Box::pin(async move {
            let what: What = parse(arguments)?;
            let items = pruner.prune(what).await?;
            let bytes = items.iter().map(|gone| gone.bytes).sum();
            written(&Pruned { dry_run: what.dry_run, bytes, items })
        })
    })))?;
    let cleaner = Arc::clone(cleaner);
    let title = "Give the room of removed rows back to the file system";
    let mut vacuum = answering::<Nothing, Vacuumed>("vacuum", title, Effect::Changes).in_group(ActionGroup::Operate);
    vacuum.at_machine = true;
    catalog.add(Arc::new(Request::new(vacuum, move |_, _| {
        let cleaner = Arc::clone(&cleaner);
        Box::pin(async move { written(&cleaner.vacuum().await?) })
    })))
}

#[derive(Serialize, JsonSchema)]
struct Pruned {
    /// Nothing went.
    dry_run: bool,
    /// Of all files.
    bytes: u64,
    items: Vec<Gone>,
}
