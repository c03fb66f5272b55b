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

/// Databases from before a migration or a restore, whole and in the clear.
const COPIES: [&str; 2] = ["sekisho.redb.schema-", "sekisho.redb.before-restore-"];

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
            gone.extend(files(&self.places.data, what).map_err(Refusal::internal)?);
            Ok(gone)
        })
    }

    fn vacuum(&self) -> BoxFuture<'_, Result<Vacuumed, Refusal>> {
        Box::pin(async { Ok(self.custody.vacuum().await?) })
    }
}

/// Stale files of the data directory.
fn files(data: &Path, what: What) -> std::io::Result<Vec<Gone>> {
    let mut gone = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(data)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = if TEMPORARY.contains(&name.as_str()) || name.starts_with(VERIFYING) {
            "interrupted work"
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
