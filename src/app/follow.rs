//! Syncs libraries by themselves: those of folders as their files change, those of web sites by schedule.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::App;
use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::base::bound;
use crate::library::follow::Follower;
use crate::library::record::LibraryRecord;
use crate::library::report::SyncReport;
use crate::library::{Libraries, LibraryError};

impl App {
    /// Syncs libraries whose files changed, where `library.follow` asks for it.
    pub(super) fn follow(&self, libraries: &Arc<Libraries>) {
        if !self.config.raw.library.follow {
            return;
        }
        let (libraries, audit, stop) = (Arc::clone(libraries), self.audit.clone(), self.stop.clone());
        let data = self.facts.places.data.clone();
        let look = Duration::from_millis(bound::follow::FOLLOW_LOOK_MS);
        let follow = async move {
            tokio::time::sleep(look).await;
            let mut follower = Follower::new(&data);
            loop {
                // Looking at folders blocks, for a moment; counting them only when a library is new.
                match libraries.list() {
                    Ok(known) => match watched(follower, known).await {
                        Some(watching) => follower = watching,
                        None => return tracing::error!("files of libraries are not followed any more"),
                    },
                    Err(error) => tracing::warn!(%error, "which libraries there are could not be read"),
                }
                for name in follower.rested(Instant::now() + look).await {
                    match libraries.sync(&name, stop.child_token(), |_| {}).await {
                        // Somebody else syncs it: perhaps before the last change.
                        Err(LibraryError::Busy(_)) => follower.again(&name),
                        Err(LibraryError::NoLibrary(_)) => {}
                        Ok(report) if report.added + report.changed + report.removed == 0 => {}
                        synced => recorded(&audit, &name, &synced, "its files changed").await,
                    }
                }
            }
        };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = follow => {}
            }
        });
    }

    /// Syncs the libraries of web sites whose time has come.
    pub(super) fn refresh(&self, libraries: &Arc<Libraries>) {
        let (libraries, audit, stop) = (Arc::clone(libraries), self.audit.clone(), self.stop.clone());
        tokio::spawn(async move {
            let between = Duration::from_secs(bound::web::WEB_LOOK_SECONDS);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(between) => {}
                }
                for name in libraries.due().unwrap_or_default() {
                    let synced = libraries.sync(&name, stop.child_token(), |_| {}).await;
                    recorded(&audit, &name, &synced, "by schedule").await;
                    if stop.is_cancelled() {
                        return;
                    }
                }
            }
        });
    }
}

/// `None` after a panic, which is in the log, and at the end of the process.
async fn watched(mut follower: Follower, known: Vec<LibraryRecord>) -> Option<Follower> {
    let watch = tokio::task::spawn_blocking(move || {
        follower.watch(&known);
        follower
    });
    watch.await.ok()
}

/// Leaves an entry, as if an operator had asked for the sync.
async fn recorded(audit: &Audit, name: &str, synced: &Result<SyncReport, LibraryError>, why: &str) {
    let mut draft = Draft::new(Event::Administration, "internal", audit.now());
    draft.operation = Some("library.sync".into());
    draft.target = Some(name.to_owned());
    let (outcome, reason) = match synced {
        Ok(report) => (
            Outcome::Done,
            format!("{why}: {} added, {} changed, {} removed", report.added, report.changed, report.removed),
        ),
        Err(error) => (Outcome::Failed, format!("{why}: {error}")),
    };
    if let Err(error) = audit.append(draft, outcome, Some(reason)).await {
        tracing::error!(%error, library = name, "a sync that nobody asked for could not be recorded");
    }
}
