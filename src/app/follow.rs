//! Syncs libraries by themselves: those of folders as their files change, those of web sites by schedule.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::base::bound;
use crate::library::follow::Follower;
use crate::library::record::LibraryRecord;
use crate::library::report::SyncReport;
use crate::library::{Libraries, LibraryError};
use crate::pipeline::freeze::Frozen;

impl App {
    /// Syncs libraries whose files changed, where `library.follow` asks for it.
    pub(super) fn follow(&self, libraries: &Arc<Libraries>) {
        if !self.config.raw.library.follow {
            return;
        }
        let (libraries, audit, stop) = (Arc::clone(libraries), self.audit.clone(), self.stop.clone());
        let (data, freezes) = (self.facts.places.data.clone(), self.pipeline.freezes());
        let look = Duration::from_millis(bound::follow::FOLLOW_LOOK_MS);
        self.syncs.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(look) => {}
            }
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
                let rested = tokio::select! {
                    () = stop.cancelled() => return,
                    rested = follower.rested(Instant::now() + look) => rested,
                };
                // A stop ends a sync soon; what it did is recorded all the same.
                for name in rested {
                    let sync = |cancel| libraries.sync(&name, cancel, |_| {});
                    match unless_frozen(&stop, freezes.clone(), sync).await {
                        // It waits until the freeze is lifted. Or somebody else syncs it: perhaps before the last
                        // change.
                        None | Some(Err(LibraryError::Busy(_))) => follower.again(&name),
                        Some(Err(LibraryError::NoLibrary(_))) => {}
                        Some(Ok(report)) if report.added + report.changed + report.removed == 0 => {}
                        Some(synced) => recorded(&audit, &name, &synced, "its files changed").await,
                    }
                    if stop.is_cancelled() {
                        return;
                    }
                }
            }
        });
    }

    /// Syncs the libraries of web sites whose time has come.
    pub(super) fn refresh(&self, libraries: &Arc<Libraries>) {
        let (libraries, audit, stop) = (Arc::clone(libraries), self.audit.clone(), self.stop.clone());
        let freezes = self.pipeline.freezes();
        self.syncs.spawn(async move {
            let between = Duration::from_secs(bound::web::WEB_LOOK_SECONDS);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(between) => {}
                }
                for name in libraries.due().unwrap_or_default() {
                    // What is due stays due: it begins when the freeze is lifted.
                    let sync = |cancel| libraries.sync(&name, cancel, |_| {});
                    let Some(synced) = unless_frozen(&stop, freezes.clone(), sync).await else { break };
                    recorded(&audit, &name, &synced, "by schedule").await;
                    if stop.is_cancelled() {
                        return;
                    }
                }
            }
        });
    }
}

/// Does work that Sekisho does by itself, unless everything is frozen: then `None`, and it was not begun. A freeze
/// cancels work that is under way.
async fn unless_frozen<T, F: Future<Output = T>>(
    stop: &CancellationToken,
    mut freezes: watch::Receiver<Option<Arc<Frozen>>>,
    begin: impl FnOnce(CancellationToken) -> F,
) -> Option<T> {
    if freezes.borrow_and_update().is_some() {
        return None;
    }
    let cancel = stop.child_token();
    let freeze = async {
        if freezes.wait_for(Option::is_some).await.is_err() {
            // The pipeline is gone, and with it whoever could freeze.
            std::future::pending::<()>().await;
        }
    };
    let mut work = std::pin::pin!(begin(cancel.clone()));
    tokio::select! {
        done = &mut work => return Some(done),
        () = freeze => cancel.cancel(),
    }
    Some(work.await)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;

    fn frozen() -> Arc<Frozen> {
        Arc::new(Frozen { since: Timestamp(1), by: "local:0".into(), reason: String::new() })
    }

    #[tokio::test]
    async fn frozen_nothing_begins_by_itself_and_what_is_under_way_is_cancelled() {
        let stop = CancellationToken::new();
        let (freeze, freezes) = watch::channel(None);
        let done = unless_frozen(&stop, freezes.clone(), |_| async { "synced" }).await;
        assert_eq!(done, Some("synced"));
        // It ends because it is cancelled, and for no other reason.
        let under_way = unless_frozen(&stop, freezes.clone(), |cancel| async move {
            freeze.send_replace(Some(frozen()));
            cancel.cancelled().await;
            freeze
        });
        let _freeze = under_way.await.unwrap();
        assert!(!stop.is_cancelled(), "the server goes on");
        let begun = unless_frozen(&stop, freezes, |_| async { unreachable!("it was begun") }).await;
        assert_eq!(begun, None::<()>);
    }
}
