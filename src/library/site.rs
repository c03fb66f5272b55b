//! Libraries of web sites: the way to them, where their pages are kept, and when they are due.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::record::{LibraryRecord, Source};
use super::report::SyncProgress;
use super::sync::Progress;
use super::web::crawl::{self, Outcome};
use super::web::{Fetch, Kept, WebError};
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
    ) -> Result<Outcome, LibraryError> {
        let Source::Web(_) = self.get(name)?.source else { return Ok(Outcome::default()) };
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
    ) -> Result<Outcome, LibraryError> {
        let Source::Web(site) = self.get(name)?.source else { return Ok(Outcome::default()) };
        self.has_tried(name);
        let folder = self.mirror_of(name)?;
        let fetch = self.way.get().map(Arc::clone).ok_or(WebError::NoWay)?;
        let told = |done, total, path| progress(SyncProgress { done, total, path });
        let known = || {
            self.known_urls(name).unwrap_or_else(|error| {
                tracing::warn!(%error, library = name, "the URLs of its documents cannot be read");
                HashMap::new()
            })
        };
        let kept = Kept { folder: &folder, known: &known };
        let outcome = crawl::mirror(&site, kept, &*fetch, &*self.clock, &self.pace, cancel, &told).await;
        // It may have taken hours to fail.
        self.has_tried(name);
        Ok(outcome?)
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

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;

    use super::super::Changes;
    use super::super::shape::Plain;
    use super::super::web::{Asked, Got, Site};
    use super::*;
    use crate::audit::log::LogHook;
    use crate::base::classification::Classification;
    use crate::base::clock::{Clock, ManualClock, Timestamp};
    use crate::sandbox::Launch;
    use crate::search::Index;
    use crate::store::Store;

    struct Nobody;

    impl Changes for Nobody {
        fn documents(&self, _library: &LibraryRecord, _changed: &[String], _list_changed: bool) {}
        fn libraries(&self) {}
    }

    /// One page, and no rules for robots.
    struct OnePage;

    impl Fetch for OnePage {
        fn get<'a>(&'a self, _: &'a Site, asked: Asked) -> BoxFuture<'a, Result<Got, String>> {
            let is_page = asked.url.ends_with("/docs/");
            let page = || Got {
                status: 200,
                content_type: "text/html".into(),
                body: b"<main><h1>Tea</h1><p>zebra</p></main>".to_vec(),
                ..Got::default()
            };
            Box::pin(async move { Ok(if is_page { page() } else { Got { status: 404, ..Got::default() } }) })
        }

        fn wait(&self, _: Duration) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(flavor = "multi_thread")]
    async fn a_site_is_due_when_its_hours_have_passed_since_its_last_sync() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("database");
        Store::create(&path, &[]).unwrap();
        let opened = Store::open(&path).unwrap();
        let hook = LogHook::of(&opened).unwrap();
        let store = opened.start(Box::new(hook)).unwrap();
        let index = Index::open(&directory.path().join("index")).unwrap().index;
        let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000)));
        let sandbox = Arc::new(Sandbox::new(Launch { program: "/bin/false".into(), arguments: Vec::new() }));
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let libraries =
            Libraries::new(store.clone(), Arc::new(index), time, Arc::new(Nobody), Arc::new(Plain), sandbox);
        let libraries = Arc::new(libraries.mirrored_in(directory.path().join("mirrors")));
        libraries.reach(Arc::new(OnePage));
        for (name, refresh_hours) in [("often", 6), ("never", 0), ("seldom", 48)] {
            let site = Site { start: "https://docs.example/docs/".into(), refresh_hours, ..Site::default() };
            let source = Source::Web(site.checked().unwrap());
            libraries.add(name, source, Classification::Public, None).await.unwrap();
        }
        assert!(libraries.due().unwrap().is_empty(), "what was never synced waits for whoever adds it");
        for name in ["often", "never", "seldom"] {
            assert_eq!(libraries.sync(name, CancellationToken::new(), |_| {}).await.unwrap().documents, 1);
        }
        clock.advance((6 * HOUR).saturating_sub(Duration::from_millis(1)));
        assert!(libraries.due().unwrap().is_empty());
        clock.advance(Duration::from_millis(1));
        assert_eq!(libraries.due().unwrap(), ["often"]);
        // A sync that somebody asks for counts as well.
        libraries.sync("often", CancellationToken::new(), |_| {}).await.unwrap();
        assert!(libraries.due().unwrap().is_empty());
        clock.advance(42 * HOUR);
        assert_eq!(libraries.due().unwrap(), ["often", "seldom"]);
        store.close().await;
    }
}
