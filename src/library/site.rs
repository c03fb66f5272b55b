//! Libraries of web sites: the way to them, where their pages are kept, and when they are due.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::record::{LibraryRecord, Source};
use super::sync::SyncProgress;
use super::web::{self, Fetch, WebError};
use super::{Libraries, LibraryError};

/// How libraries of web sites come about. The room above injects it.
pub struct Way {
    pub fetch: Arc<dyn Fetch>,
    /// Below it, a folder for each site.
    pub mirrors: PathBuf,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("mirrors", &self.mirrors).finish_non_exhaustive()
    }
}

impl Libraries {
    /// Opens the way to web sites. Only the first one counts.
    pub fn reach(&self, way: Way) {
        drop(self.way.set(way));
    }

    /// Where the pages of a site are kept.
    pub(super) fn mirror_of(&self, name: &str) -> Result<PathBuf, WebError> {
        Ok(self.way.get().ok_or(WebError::NoWay)?.mirrors.join(name))
    }

    /// Libraries of web sites whose time has come.
    pub fn due(&self) -> Result<Vec<String>, LibraryError> {
        let now = self.clock.now();
        let is_due = |library: &LibraryRecord| {
            let Source::Web(site) = &library.source else { return false };
            let hours = Duration::from_secs(3600 * u64::from(site.refresh_hours));
            !hours.is_zero() && library.synced.is_some_and(|synced| now.since(synced) >= hours)
        };
        Ok(self.list()?.into_iter().filter(is_due).map(|library| library.name).collect())
    }

    /// Brings the mirror of a web site up to date; of other sources there is none. Gives what was left aside.
    pub(super) async fn mirror(
        &self,
        name: &str,
        cancel: &CancellationToken,
        progress: &(dyn Fn(SyncProgress) + Sync),
    ) -> Result<Vec<(String, String)>, LibraryError> {
        let Source::Web(site) = self.get(name)?.source else { return Ok(Vec::new()) };
        let folder = self.mirror_of(name)?;
        let fetch = self.way.get().map(|way| Arc::clone(&way.fetch)).ok_or(WebError::NoWay)?;
        let told = |done, total, path| progress(SyncProgress { done, total, path });
        let outcome = web::mirror(&site, &folder, &*fetch, &*self.clock, cancel, &told).await?;
        Ok(outcome.failed)
    }

    /// Deletes the pages of a removed library; what stays is in nobody's way.
    pub(super) async fn forget_mirror(&self, record: &LibraryRecord) {
        if let (Source::Web(_), Ok(mirror)) = (&record.source, self.mirror_of(&record.name))
            && let Err(error) = tokio::fs::remove_dir_all(&mirror).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, mirror = %mirror.display(), "the mirror of a removed library stays");
        }
    }
}
