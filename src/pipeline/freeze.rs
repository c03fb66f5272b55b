//! A frozen installation: nothing is done for anybody but looking at its health and its log, until somebody at this
//! machine lifts it. It outlasts a restart: the row `freeze` of the table `meta`, JSON of [`Frozen`].

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Pipeline;
use super::identify::Known;
use super::request::Asked;
use crate::auth::policy::ask::ActionGroup;
use crate::auth::standing::Standing;
use crate::base::bound::incident as bound;
use crate::base::clock::Timestamp;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Kind};
use crate::store::table::Table;
use crate::store::{Batch, Put, Store, StoreError};

const KEY: &[u8] = b"freeze";

/// Since when, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    pub since: Timestamp,
    /// The principal.
    pub by: String,
    pub reason: String,
}

/// Whether it is.
#[derive(Debug)]
pub(super) struct Freezer {
    now: watch::Sender<Option<Arc<Frozen>>>,
}

impl Freezer {
    /// As the store has it. What cannot be read holds: thawing by damage would be a way out.
    pub(super) fn restored(store: &Store) -> Result<Self, StoreError> {
        let row = store.read(|snapshot| snapshot.get(Table::Meta, KEY))?;
        let unreadable = || Frozen { since: Timestamp(0), by: String::new(), reason: "the row cannot be read".into() };
        let frozen = row.map(|row| Arc::new(serde_json::from_slice(&row).unwrap_or_else(|_| unreadable())));
        Ok(Self { now: watch::channel(frozen).0 })
    }

    fn get(&self) -> Option<Arc<Frozen>> {
        self.now.borrow().clone()
    }

    /// Freezes, and writes it down: also what held before, for that may not have been written. Gives what holds, and
    /// whether it is new; an error is that it is not written.
    async fn freeze(&self, store: &Store, new: Frozen) -> (Arc<Frozen>, bool, Result<(), StoreError>) {
        let before = self.get();
        let is_new = before.is_none();
        let frozen = before.unwrap_or_else(|| Arc::new(new));
        // First here: it holds also where it cannot be written, and whoever asked is told that.
        self.set(Some(Arc::clone(&frozen)));
        let row = Put::new(Table::Meta, KEY, serde_json::to_vec(&*frozen).unwrap_or_default());
        let written = store.commit(Batch::puts(vec![row]).urgent()).await.map(drop);
        (frozen, is_new, written)
    }

    fn set(&self, frozen: Option<Arc<Frozen>>) {
        self.now.send_replace(frozen);
    }
}

/// What goes on while everything else is frozen.
fn goes_on(about: &About) -> bool {
    about.in_freeze || about.action_group == ActionGroup::AuditRead
}

impl Pipeline {
    pub fn frozen(&self) -> Option<Arc<Frozen>> {
        self.freezer.get()
    }

    /// As it is, and as it comes to be: what Sekisho does by itself rests while it is.
    pub fn freezes(&self) -> watch::Receiver<Option<Arc<Frozen>>> {
        self.freezer.now.subscribe()
    }

    /// From now on nothing but health and the log is served, to nobody. Frozen again, it keeps its beginning, and is
    /// written again: the first time may have failed.
    pub async fn freeze(&self, by: &str, reason: &str) -> Result<Arc<Frozen>, Refusal> {
        let reason = reason.chars().take(bound::REASON_CHARS_MAX).collect();
        let new = Frozen { since: self.audit.now(), by: by.to_owned(), reason };
        let (frozen, is_new, written) = self.freezer.freeze(self.audit.store(), new).await;
        written.map_err(|error| {
            let public = "Frozen until Sekisho stops: it could not be written down, so the next start is not frozen.";
            Refusal::new(Code::Unavailable, public).with_private(error)
        })?;
        if is_new {
            tracing::warn!(target: "security", reason = frozen.reason, "frozen");
        }
        Ok(frozen)
    }

    /// Everything is served again. Gives what held; nothing, if nothing did.
    pub async fn unfreeze(&self) -> Result<Option<Arc<Frozen>>, Refusal> {
        let Some(frozen) = self.frozen() else { return Ok(None) };
        let deletion = Put::delete(Table::Meta, KEY);
        self.audit.store().commit(Batch::puts(vec![deletion]).urgent()).await.map_err(Refusal::internal)?;
        self.freezer.set(None);
        tracing::warn!(target: "security", "not frozen any more");
        Ok(Some(frozen))
    }

    /// Whether what is asked for goes on while everything is frozen. Nobody is exempt, not even at this machine.
    pub(super) fn is_thawed_for(&self, asked: &Asked) -> Result<(), Refusal> {
        let Some(frozen) = self.frozen() else { return Ok(()) };
        if self.goes_on(asked.kind, &asked.name) { Ok(()) } else { Err(refusal(&frozen)) }
    }

    /// Whether nothing is frozen, or this goes on.
    fn goes_on(&self, kind: Kind, name: &str) -> bool {
        let is_exempt = || self.catalog.get(kind, name).is_some_and(|registered| goes_on(&registered.about));
        self.frozen().is_none() || is_exempt()
    }

    /// Whether somebody who was recognised once would be let in now: of streams that live longer than their request.
    pub fn holds(&self, known: &Known, standing: &mut Standing) -> bool {
        self.frozen().is_none() && self.stands(known, standing)
    }

    /// The same of whoever asked for this operation, which may be one that goes on in a freeze.
    pub fn holds_for(&self, known: &Known, kind: Kind, name: &str, standing: &mut Standing) -> bool {
        self.goes_on(kind, name) && self.stands(known, standing)
    }

    /// The same, of all that agents ask for.
    pub(super) fn is_thawed(&self) -> Result<(), Refusal> {
        self.frozen().map_or(Ok(()), |frozen| Err(refusal(&frozen)))
    }
}

/// "Busy" and not "forbidden": refusals of this code are folded, and everybody is refused now.
fn refusal(frozen: &Frozen) -> Refusal {
    let public = "This installation is frozen while an incident is looked into: only its health, its log and incidents are served. `sekisho unfreeze`, at its machine, lifts it.";
    Refusal::new(Code::Busy, public)
        .with_private(format!("frozen since {}: {}", frozen.since.rfc3339(), frozen.reason))
        .with_retry_after(Duration::from_secs(bound::FREEZE_RETRY_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::no_log::NoLog;

    #[tokio::test]
    async fn a_freeze_that_could_not_be_written_is_written_when_it_is_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sekisho.redb");
        Store::create(&path, &[]).unwrap();
        let start = || Store::open(&path).unwrap().start(Box::new(NoLog)).unwrap();
        let new = |reason: &str| Frozen { since: Timestamp(1), by: "local:0".into(), reason: reason.into() };
        let store = start();
        let freezer = Freezer::restored(&store).unwrap();
        store.close().await;
        let (_, is_new, written) = freezer.freeze(&store, new("the first")).await;
        assert!(is_new && written.is_err() && freezer.get().is_some(), "it holds, and is not written");
        drop(store);

        let store = start();
        assert!(Freezer::restored(&store).unwrap().get().is_none());
        let (frozen, is_new, written) = freezer.freeze(&store, new("the second")).await;
        written.unwrap();
        assert_eq!((is_new, frozen.reason.as_str()), (false, "the first"));
        assert_eq!(Freezer::restored(&store).unwrap().get(), Some(frozen));
        store.close().await;
    }
}
