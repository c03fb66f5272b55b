//! Libraries of web sites: the way to them, where their pages are kept, and when they are due.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::record::{LibraryRecord, Source};
use super::report::SyncProgress;
use super::sync::Progress;
use super::web::{self, Fetch, WebError};
use super::{Libraries, LibraryError};
use crate::base::bound::web as bound;
use crate::sandbox::Sandbox;

impl Libraries {
    /// Keeps the pages of web sites below this folder.
    pub fn mirrored_in(self, mirrors: PathBuf) -> Self {
        Self { mirrors: Some(mirrors), ..self }
    }

    /// Opens the way to web sites. Only the first one counts.
    pub fn reach(&self, way: Arc<dyn Fetch>) {
        drop(self.way.set(way));
    }

    /// Where untrusted documents are read.
    pub fn sandbox(&self) -> Arc<Sandbox> {
        Arc::clone(&self.sandbox)
    }

    /// Where the pages of a site are kept.
    pub(super) fn mirror_of(&self, name: &str) -> Result<PathBuf, WebError> {
        Ok(self.mirrors.as_ref().ok_or(WebError::NoWay)?.join(name))
    }

    /// Libraries of web sites whose time has come. One whose last sync failed is given an hour.
    pub fn due(&self) -> Result<Vec<String>, LibraryError> {
        let now = self.clock.now();
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_due = |library: &LibraryRecord| {
            let Source::Web(site) = &library.source else { return false };
            let hours = Duration::from_secs(3600 * u64::from(site.refresh_hours));
            let again = hours.min(Duration::from_secs(bound::WEB_RETRY_SECONDS));
            !hours.is_zero()
                && library.synced.is_some_and(|synced| now.since(synced) >= hours)
                && tried.get(&library.name).is_none_or(|tried| now.since(*tried) >= again)
        };
        Ok(self.list()?.into_iter().filter(is_due).map(|library| library.name).collect())
    }

    /// As [`Libraries::mirror`], on a thread of its own: it reads and writes files for as long as a site is large, and
    /// the blocking threads are for what ends soon.
    pub(super) async fn mirror_apart(
        self: &Arc<Self>,
        name: &str,
        cancel: &CancellationToken,
        progress: &Progress,
    ) -> Result<Vec<(String, String)>, LibraryError> {
        let Source::Web(_) = self.get(name)?.source else { return Ok(Vec::new()) };
        let failed = |error: &dyn std::fmt::Display| LibraryError::Worker(error.to_string());
        let place = tokio::select! {
            () = cancel.cancelled() => return Err(WebError::Cancelled.into()),
            place = Arc::clone(&self.mirroring).acquire_owned() => place.map_err(|error| failed(&error))?,
        };
        let (this, name, cancel, progress) = (Arc::clone(self), name.to_owned(), cancel.clone(), Arc::clone(progress));
        let runtime = tokio::runtime::Handle::current();
        let (done, mirrored) = tokio::sync::oneshot::channel();
        let work = move || {
            let _place = place;
            // Whoever waits for it may be gone, and then nobody is.
            drop(done.send(runtime.block_on(this.mirror(&name, &cancel, &*progress))));
        };
        std::thread::Builder::new().name("mirror".into()).spawn(work).map_err(|error| failed(&error))?;
        mirrored.await.map_err(|error| failed(&error))?
    }

    /// Brings the mirror of a web site up to date; of other sources there is none. Gives what was left aside.
    async fn mirror(
        &self,
        name: &str,
        cancel: &CancellationToken,
        progress: &(dyn Fn(SyncProgress) + Sync),
    ) -> Result<Vec<(String, String)>, LibraryError> {
        let Source::Web(site) = self.get(name)?.source else { return Ok(Vec::new()) };
        self.has_tried(name);
        let folder = self.mirror_of(name)?;
        let fetch = self.way.get().map(Arc::clone).ok_or(WebError::NoWay)?;
        let told = |done, total, path| progress(SyncProgress { done, total, path });
        let outcome = web::mirror(&site, &folder, &*fetch, &*self.clock, &self.pace, cancel, &told).await;
        // It may have taken hours to fail.
        self.has_tried(name);
        Ok(outcome?.failed)
    }

    fn has_tried(&self, name: &str) {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), self.clock.now());
    }

    /// Deletes the pages of a removed library; what stays is in nobody's way.
    pub(super) async fn forget_mirror(&self, record: &LibraryRecord) {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).remove(&record.name);
        if let (Source::Web(_), Ok(mirror)) = (&record.source, self.mirror_of(&record.name))
            && let Err(error) = tokio::fs::remove_dir_all(&mirror).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, mirror = %mirror.display(), "the mirror of a removed library stays");
        }
    }
}
