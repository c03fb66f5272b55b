//! Takes away what is good for nothing any more, and gives the room of removed rows back. The audit log is left alone:
//! it has a command of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;

use super::facts::Facts;
use crate::admin::prune::{CleanUp, Gone, What};
use crate::base::refusal::Refusal;
use crate::custody::vacuum::Vacuumed;

/// Work that was interrupted: only the owner of the directory makes them, and it has just begun or ended when it asks.
/// A draft of the vault's key is none: it may be what opens the vault.
const TEMPORARY: [&str; 3] = ["sekisho.redb.restoring", "sekisho.redb.rekeying", "advisories.new"];

/// A plain copy of somebody who was killed while a backup was made or checked, and ballasts of such copies. Gone only
/// while nobody makes any.
const OF_COPIES: [&str; 3] =
    ["sekisho.redb.backup-copy", "sekisho.redb.backup-copy.ballast", "sekisho.redb.vacuum-copy.ballast"];

/// Databases from before a migration, a restore or a compaction, whole and in the clear.
const COPIES: [&str; 3] = ["sekisho.redb.schema-", "sekisho.redb.before-restore-", VACUUM_COPY];

const VACUUM_COPY: &str = "sekisho.redb.vacuum-copy";

/// A folder in which a log was verified.
const VERIFYING: &str = ".sekisho-verify-";

impl CleanUp for Facts {
    fn prune(&self, what: What) -> BoxFuture<'_, Result<Vec<Gone>, Refusal>> {
        Box::pin(async move {
            let delete = !what.dry_run;
            let mut gone = Vec::new();
            for file in self.custody.surplus_logs(delete)? {
                let path = self.places.logs().join(file.name.to_string());
                gone.push(Gone::file("old log", &path, file.bytes));
            }
            for path in self.libraries.stale_mirrors(false)? {
                gone.push(Gone::file("mirror of a removed library", &path, bytes_below(&path)));
            }
            if delete {
                let libraries = Arc::clone(&self.libraries);
                let deleting = tokio::task::spawn_blocking(move || libraries.stale_mirrors(true));
                deleting.await.map_err(Refusal::internal)??;
            }
            for (library, count) in self.libraries.leftovers(delete).await? {
                gone.push(Gone::rows("documents of a sync that did not end", library, count));
            }
            if let Some(pipeline) = self.pipeline.upgrade() {
                let spent = pipeline.authenticator().spent_tokens(delete).await?;
                if spent > 0 {
                    gone.push(Gone::rows("revoked or expired tokens", "API keys and JWTs".into(), spent));
                }
                if delete {
                    // Sessions and bans that are over go by themselves; now instead of within a minute.
                    pipeline.sweep().await;
                }
            }
            let alone = self.custody.without_copies();
            gone.extend(files(&self.places.data, what, alone.is_some()).map_err(Refusal::internal)?);
            Ok(gone)
        })
    }

    fn vacuum(&self) -> BoxFuture<'_, Result<Vacuumed, Refusal>> {
        Box::pin(async { Ok(self.custody.vacuum().await?) })
    }
}

/// Stale files of the data directory. `alone`: nobody makes a copy of the database now.
fn files(data: &Path, what: What, alone: bool) -> std::io::Result<Vec<Gone>> {
    let mut gone = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(data)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_of_copies = OF_COPIES.contains(&name.as_str());
        let kind = if TEMPORARY.contains(&name.as_str()) || name.starts_with(VERIFYING) || (is_of_copies && alone) {
            "interrupted work"
        } else if (is_of_copies || name == VACUUM_COPY) && !alone {
            continue;
        } else if what.copies && COPIES.iter().any(|start| name.starts_with(start)) {
            "copy of an older database"
        } else {
            continue;
        };
        // A link is not ours, and what it leads to even less.
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_symlink() {
            continue;
        }
        gone.push(Gone::file(kind, &path, bytes_below(&path)));
        if !what.dry_run {
            if metadata.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }?;
        }
    }
    Ok(gone)
}

/// Of a file, or of all files below a folder; links are not followed.
pub(super) fn bytes_below(path: &Path) -> u64 {
    let files = walkdir::WalkDir::new(path).follow_links(false).into_iter().flatten();
    files
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| entry.metadata().ok())
        .map(|file| file.len())
        .sum()
}
