//! What a running server looks at by itself, so that neglect is noticed before it hurts: scans, verifications, room on
//! the disk, and how the data directory grows.
//!
//! Rows of the table `meta`, as JSON: `upkeep/scan`, the last [`Scanned`]; `upkeep/disk`, why there was too little room
//! at the last look, where there was; `upkeep/sizes`, a [`Sizes`] for each of the last days.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::App;
use super::facts::Facts;
use super::prune::bytes_below;
use crate::admin::scan::Survey as _;
use crate::admin::status::Sizes;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::custody::verified;
use crate::scan::finding::{Finding, Severity};
use crate::scan::{self, gather};
use crate::store::table::Table;
use crate::store::{Batch, Put, StoreError};

const KEY_SCAN: &[u8] = b"upkeep/scan";
/// When a backup was looked at that could not be: its keys are gone, or there was no room.
const KEY_TRIED: &[u8] = b"upkeep/backup-tried";
const KEY_DISK: &[u8] = b"upkeep/disk";
const KEY_SIZES: &[u8] = b"upkeep/sizes";

/// What the last scan by schedule found that is medium or graver.
#[derive(Default, Serialize, Deserialize)]
struct Scanned {
    at: Timestamp,
    /// Check and place of each.
    known: Vec<(String, String)>,
}

impl App {
    /// A server looks after itself from now on, until it stops.
    pub(super) fn begin_upkeep(&self) {
        let (facts, stop) = (Arc::clone(&self.facts), self.stop.clone());
        tokio::spawn(async move {
            let first = tokio::time::Instant::now() + Duration::from_secs(bound::HOUSE_FIRST_SECONDS);
            let mut looks = tokio::time::interval_at(first, Duration::from_secs(bound::scan::UPKEEP_SECONDS));
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = looks.tick() => facts.look_after().await,
                }
            }
        });
    }

    /// Does all that is due by now. A server does so each minute.
    pub async fn look_after(&self) {
        self.facts.look_after().await;
    }
}

impl Facts {
    pub(super) async fn look_after(&self) {
        let upkeep = &self.config.upkeep;
        self.watch_disk().await;
        self.measure().await;
        let scanned = self.row::<Scanned>(KEY_SCAN).map(|scanned| scanned.at);
        if self.is_due(upkeep.scan, scanned) {
            self.scan().await;
        }
        let verified = self.store.read(verified::of_audit).ok().flatten();
        if self.is_due(upkeep.audit_verify, verified.map(|verified| verified.at)) {
            match self.custody.verify_audit_and_note().await {
                Ok(None) => tracing::info!("the whole audit log was verified"),
                Ok(Some(fault)) => self.note("audit.verify_scheduled", Outcome::Failed, fault).await,
                Err(error) => tracing::error!(%error, "the audit log could not be verified"),
            }
        }
        let verified = self.store.read(verified::of_backup).ok().flatten();
        let tried = self.row::<Timestamp>(KEY_TRIED);
        if self.custody.is_open()
            && self.is_due(upkeep.backup_verify, verified.map(|verified| verified.at))
            && self.is_due(Some(Duration::from_hours(24)), tried)
        {
            self.verify_backup().await;
        }
    }

    fn is_due(&self, every: Option<Duration>, last: Option<Timestamp>) -> bool {
        let now = self.audit.now();
        // A clock that went back does not stop what is done by schedule.
        every.is_some_and(|every| last.is_none_or(|last| last > now || now.since(last) >= every))
    }

    async fn scan(&self) {
        let found = match self.survey().await {
            Ok(facts) => scan::run(&facts),
            Err(refusal) => {
                tracing::error!(reason = refusal.public, "the scan by schedule could not be made");
                return;
            }
        };
        let grave: Vec<&Finding> = found.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
        let known = self.row::<Scanned>(KEY_SCAN).unwrap_or_default().known;
        let is_new = |finding: &&&Finding| {
            let (check, place) = finding.identity();
            !known.iter().any(|(known, there)| known == check && there == place)
        };
        let new: Vec<&Finding> = grave.iter().filter(is_new).copied().collect();
        if let Some(worst) = new.iter().map(|finding| finding.severity).max() {
            let operation = if worst >= Severity::High { "scan.grave" } else { "scan.finding" };
            self.note(operation, Outcome::Failed, in_words(&new)).await;
        }
        let known = grave.iter().map(|finding| (finding.check.clone(), finding.place.clone())).collect();
        self.put(KEY_SCAN, &Scanned { at: self.audit.now(), known }).await;
    }

    async fn verify_backup(&self) {
        // A scan says that there is none.
        let Ok(Some(newest)) = self.custody.newest_backup() else { return };
        match self.custody.verify_backup_and_note(&newest).await {
            Ok(_) => tracing::info!(path = %newest.display(), "the newest backup was verified"),
            Err(error) => {
                self.put(KEY_TRIED, &self.audit.now()).await;
                let reason = format!("{} could not be verified: {error}", newest.display());
                self.note("backup.verify_scheduled", Outcome::Failed, reason).await;
            }
        }
    }

    /// Says once when room gets short, and once when there is enough again.
    async fn watch_disk(&self) {
        let Some(disk) = gather::disk(&self.places.data) else { return };
        let short = self.config.upkeep.is_short(disk.free_bytes, disk.total_bytes);
        let was_short = self.row::<String>(KEY_DISK).is_some();
        match short {
            Some(why) if !was_short => {
                self.put(KEY_DISK, &why).await;
                self.note("disk.space", Outcome::Failed, why).await;
            }
            None if was_short => {
                self.commit(Put::delete(Table::Meta, KEY_DISK)).await;
                self.note("disk.space", Outcome::Done, "there is enough room on the disk again".to_owned()).await;
            }
            _ => {}
        }
    }

    /// Writes down once a day how large everything is.
    async fn measure(&self) {
        let mut sizes = self.history();
        if !self.is_due(Some(Duration::from_hours(24)), sizes.last().map(|last| last.at)) {
            return;
        }
        sizes.push(self.sizes().await);
        let surplus = sizes.len().saturating_sub(bound::scan::SIZES_KEPT_MAX);
        sizes.drain(..surplus);
        self.put(KEY_SIZES, &sizes).await;
    }

    /// How large everything was, a row for each day, the oldest first.
    pub(super) fn history(&self) -> Vec<Sizes> {
        self.row(KEY_SIZES).unwrap_or_default()
    }

    /// How large everything is. Looks at every file, so it belongs to a thread that may wait.
    pub(super) async fn sizes(&self) -> Sizes {
        let (places, backups, at) = (self.places.clone(), self.config.backup.directory.clone(), self.audit.now());
        let looking = tokio::task::spawn_blocking(move || {
            let parts =
                [places.database(), places.index(), places.logs(), places.mirrors()].map(|path| bytes_below(&path));
            let [database_bytes, index_bytes, log_bytes, mirror_bytes] = parts;
            let other_bytes = bytes_below(&places.data).saturating_sub(parts.iter().sum());
            let backup_bytes = backups.map(|directory| bytes_below(&directory)).unwrap_or_default();
            Sizes { at, database_bytes, index_bytes, log_bytes, mirror_bytes, backup_bytes, other_bytes }
        });
        looking.await.unwrap_or_default()
    }

    /// Why there is too little room on the disk, as of the last look.
    pub(super) fn disk_warning(&self) -> Option<String> {
        self.row(KEY_DISK)
    }

    fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Option<T> {
        // One of another version is as good as none.
        let row = self.store.read(|snapshot| snapshot.get(Table::Meta, key));
        row.ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    async fn put<T: Serialize>(&self, key: &[u8], value: &T) {
        self.commit(Put::new(Table::Meta, key, serde_json::to_vec(value).unwrap_or_default())).await;
    }

    async fn commit(&self, row: Put) {
        let committed: Result<_, StoreError> = self.store.commit(Batch::puts(vec![row])).await;
        if let Err(error) = committed {
            tracing::error!(%error, "what was looked at could not be written down");
        }
    }

    async fn note(&self, operation: &str, outcome: Outcome, reason: String) {
        let mut draft = Draft::new(Event::Audit, "internal", self.audit.now());
        draft.operation = Some(operation.to_owned());
        if let Err(error) = self.audit.append_urgent(draft, outcome, Some(reason)).await {
            tracing::error!(%error, operation, "an event could not be recorded");
        }
    }
}

/// Which checks found something. Not where: a place may be a person's account, and this stands in the log in the clear.
fn in_words(new: &[&Finding]) -> String {
    let mut told: Vec<String> = new.iter().map(|finding| format!("{} {}", finding.severity, finding.check)).collect();
    told.dedup();
    told.truncate(bound::scan::FINDINGS_TOLD_MAX);
    format!("{} new findings, see sekisho scan: {}", new.len(), told.join(", "))
}
