//! What a running server looks at by itself, so that neglect is noticed before it hurts: scans, verifications, room on
//! the disk, and how the data directory grows.
//!
//! Rows of the table `meta`, as JSON: `upkeep/scan`, the last [`Scanned`]; `upkeep/disk` and `upkeep/disk-of-backups`, why
//! there is too little room, where there is; `upkeep/sizes`, a [`Sizes`] for each of the last days; `upkeep/*-tried`, when
//! something was begun that could not be done or not be written down. What a full disk does not take is kept in memory
//! ([`Unwritten`](super::unwritten::Unwritten)): nothing is done again each minute because of that.

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
use crate::scan::facts::Disk;
use crate::scan::finding::{Finding, Severity};
use crate::scan::{self, gather};
use crate::store::table::Table;
use crate::store::{Batch, Put, StoreError};

const KEY_SCAN: &[u8] = b"upkeep/scan";
const KEY_SCAN_TRIED: &[u8] = b"upkeep/scan-tried";
const KEY_AUDIT_TRIED: &[u8] = b"upkeep/audit-tried";
const KEY_BACKUP_TRIED: &[u8] = b"upkeep/backup-tried";
const KEY_DISK: &[u8] = b"upkeep/disk";
const KEY_BACKUP_DISK: &[u8] = b"upkeep/disk-of-backups";
const KEY_SIZES: &[u8] = b"upkeep/sizes";

/// What the last scan by schedule found that is medium or graver.
#[derive(Default, Serialize, Deserialize)]
struct Scanned {
    at: Timestamp,
    /// Check, place and severity of each.
    known: Vec<(String, String, Severity)>,
}

impl Scanned {
    /// Whether a finding was there at the last scan, and as grave as now.
    fn knows(&self, finding: &Finding) -> bool {
        let (check, place) = finding.identity();
        let is_it = |(known, there, severity): &(String, String, Severity)| {
            known == check && there == place && *severity >= finding.severity
        };
        self.known.iter().any(is_it)
    }
}

impl App {
    /// A server looks after itself from now on, until it stops.
    pub(super) fn begin_upkeep(&self) {
        let (facts, stop) = (Arc::clone(&self.facts), self.stop.clone());
        tokio::spawn(async move {
            let first = tokio::time::Instant::now() + Duration::from_secs(bound::HOUSE_FIRST_SECONDS);
            let mut looks = tokio::time::interval_at(first, Duration::from_secs(bound::scan::UPKEEP_SECONDS));
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            // A scan does not warn of a backup that is being made. One that takes long does not keep it from all else.
            let patience = Duration::from_secs(bound::scan::UPKEEP_HOUSE_SECONDS);
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tokio::time::timeout(patience, facts.custody.has_kept_house()) => {}
            }
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
        self.watch_disks().await;
        self.measure().await;
        let scanned = || self.row::<Scanned>(KEY_SCAN).map(|scanned| scanned.at);
        if self.is_due(upkeep.scan, scanned()) && self.may_try(KEY_SCAN_TRIED) {
            self.scan().await;
            if self.is_due(upkeep.scan, scanned()) {
                self.tried(KEY_SCAN_TRIED).await;
            }
        }
        let verified = || self.store.read(verified::of_audit).ok().flatten().map(|verified| verified.at);
        if self.is_due(upkeep.audit_verify, verified()) && self.may_try(KEY_AUDIT_TRIED) {
            self.verify_audit().await;
            if self.is_due(upkeep.audit_verify, verified()) {
                self.tried(KEY_AUDIT_TRIED).await;
            }
        }
        let verified = || self.store.read(verified::of_backup).ok().flatten().map(|verified| verified.at);
        if self.custody.is_open() && self.is_due(upkeep.backup_verify, verified()) && self.may_try(KEY_BACKUP_TRIED) {
            let was_there = self.verify_backup().await;
            if was_there && self.is_due(upkeep.backup_verify, verified()) {
                self.tried(KEY_BACKUP_TRIED).await;
            }
        }
    }

    /// Whether what is due was not begun just now.
    fn may_try(&self, key: &'static [u8]) -> bool {
        let again = match key {
            // Its keys are gone or there is no room: an alert a day says it.
            KEY_BACKUP_TRIED => bound::scan::UPKEEP_BACKUP_RETRY_SECONDS,
            _ => bound::scan::UPKEEP_RETRY_SECONDS,
        };
        self.is_due(Some(Duration::from_secs(again)), self.row(key))
    }

    /// It was begun, and is due all the same.
    async fn tried(&self, key: &'static [u8]) {
        self.put(key, &self.audit.now()).await;
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
        let before = self.row::<Scanned>(KEY_SCAN).unwrap_or_default();
        let new: Vec<&Finding> = grave.iter().filter(|finding| !before.knows(finding)).copied().collect();
        if let Some(worst) = new.iter().map(|finding| finding.severity).max() {
            let operation = if worst >= Severity::High { "scan.grave" } else { "scan.finding" };
            self.note(operation, Outcome::Failed, in_words(&new)).await;
        }
        let known =
            grave.iter().map(|finding| (finding.check.clone(), finding.place.clone(), finding.severity)).collect();
        self.put(KEY_SCAN, &Scanned { at: self.audit.now(), known }).await;
    }

    /// An entry says how it went: that a log was verified, and when, is evidence.
    async fn verify_audit(&self) {
        match self.custody.verify_audit_and_note().await {
            Ok(None) => {
                tracing::info!("the whole audit log was verified");
                let reason = "the whole audit log was verified against all that left the file: it is sound";
                self.note("audit.verify_scheduled", Outcome::Done, reason.to_owned()).await;
            }
            Ok(Some(fault)) => self.note("audit.verify_scheduled", Outcome::Failed, fault).await,
            Err(error) => tracing::error!(%error, "the audit log could not be verified"),
        }
    }

    /// Whether there is a backup; where there is none a scan says it.
    async fn verify_backup(&self) -> bool {
        let Ok(Some(newest)) = self.custody.newest_backup() else { return false };
        let path = newest.display();
        match self.custody.verify_backup_and_note(&newest).await {
            Ok(checked) => {
                tracing::info!(%path, "the newest backup was verified");
                let reason = format!("{path} of {}: {} audit entries, is good", checked.made, checked.audit_entries);
                self.note("backup.verify_scheduled", Outcome::Done, reason).await;
            }
            Err(error) => {
                let reason = format!("{path} could not be verified: {error}");
                self.note("backup.verify_scheduled", Outcome::Failed, reason).await;
            }
        }
        true
    }

    /// The disk of the data, and that of backups where it is another one.
    async fn watch_disks(&self) {
        self.watch_disk(KEY_DISK, "the disk", gather::disk(&self.places.data)).await;
        let (data, backups) = (self.places.data.clone(), self.config.backup.directory.clone());
        // It may be far away, and take its time to answer.
        let looking = tokio::task::spawn_blocking(move || {
            backups.filter(|backups| !gather::is_same_disk(&data, backups)).map(|backups| gather::disk(&backups))
        });
        match looking.await.unwrap_or_default() {
            Some(disk) => self.watch_disk(KEY_BACKUP_DISK, "the disk of the backups", disk).await,
            None if self.row::<String>(KEY_BACKUP_DISK).is_some() => self.write(KEY_BACKUP_DISK, None).await,
            None => {}
        }
    }

    /// Says once when room gets short, and once when there is clearly enough again: a disk at the limit would be told
    /// of each minute.
    async fn watch_disk(&self, key: &'static [u8], what: &str, disk: Option<Disk>) {
        let Some(disk) = disk else { return };
        let upkeep = &self.config.upkeep;
        if self.row::<String>(key).is_some() {
            if !upkeep.is_still_short(disk.free_bytes, disk.total_bytes) {
                self.write(key, None).await;
                self.note("disk.space", Outcome::Done, format!("there is enough room on {what} again")).await;
            }
        } else if let Some(why) = upkeep.is_short(disk.free_bytes, disk.total_bytes) {
            let why = format!("{what}: {why}");
            self.put(key, &why).await;
            self.note("disk.space", Outcome::Failed, why).await;
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
        self.row(KEY_DISK).or_else(|| self.row(KEY_BACKUP_DISK))
    }

    fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Option<T> {
        let row = self.meanwhile.unwritten.row(key, || {
            let row: Result<_, StoreError> = self.store.read(|snapshot| snapshot.get(Table::Meta, key));
            row.ok().flatten()
        });
        // One of another version is as good as none.
        row.and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    async fn put<T: Serialize>(&self, key: &'static [u8], value: &T) {
        self.write(key, Some(serde_json::to_vec(value).unwrap_or_default())).await;
    }

    /// `None` takes the row away.
    async fn write(&self, key: &'static [u8], row: Option<Vec<u8>>) {
        let put = match &row {
            Some(bytes) => Put::new(Table::Meta, key, bytes.clone()),
            None => Put::delete(Table::Meta, key),
        };
        match self.store.commit(Batch::puts(vec![put])).await {
            Ok(_) => self.meanwhile.unwritten.forget(key),
            Err(error) => {
                tracing::error!(%error, "what was looked at could not be written down; it is kept in memory");
                self.meanwhile.unwritten.keep(key, row);
            }
        }
    }

    /// What failed is written on a full disk, too.
    async fn note(&self, operation: &str, outcome: Outcome, reason: String) {
        let mut draft = Draft::new(Event::Audit, "internal", self.audit.now());
        draft.operation = Some(operation.to_owned());
        let appended = match outcome {
            Outcome::Done => self.audit.append(draft, outcome, Some(reason)).await,
            _ => self.audit.append_urgent(draft, outcome, Some(reason)).await,
        };
        if let Err(error) = appended {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_graver_is_new_and_what_became_better_is_not() {
        let finding =
            |severity| Finding { check: "files.secrets".into(), ..Finding::new(severity, "/data/x", "so", "do") };
        let known = vec![("files.secrets".to_owned(), "/data/x".to_owned(), Severity::High)];
        let before = Scanned { at: Timestamp(1), known };
        assert!(before.knows(&finding(Severity::High)) && before.knows(&finding(Severity::Medium)));
        assert!(!before.knows(&finding(Severity::Critical)));
        assert!(!before.knows(&Finding { check: "files.logs".into(), ..finding(Severity::High) }));
        // A row that says nothing of severities is from before: all is new once.
        assert!(serde_json::from_str::<Scanned>(r#"{"at":1,"known":[["a","b"]]}"#).is_err());
    }
}
