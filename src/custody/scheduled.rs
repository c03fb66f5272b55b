//! Backups by schedule, and how often it is told that they fail: when that begins, once a day while it lasts, when it ends.
//!
//! A row of the table `meta`, as JSON: `upkeep/backup-failing`, a [`Failing`], is there while they fail. It is kept in
//! memory as well, because a full disk takes no row.

use std::sync::PoisonError;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backup::scheduled_in;
use super::{Custody, CustodyError};
use crate::audit::entry::Outcome;
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::store::table::Table;
use crate::store::{Batch, Put, StoreError};

const KEY_FAILING: &[u8] = b"upkeep/backup-failing";

/// Since when they fail, and what was told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failing {
    since: Timestamp,
    /// Kinds of reasons ([`kind`]) and when each was told last.
    told: Vec<(String, Timestamp)>,
}

/// What is known of it: nothing before the row was looked for.
pub(super) type Known = Option<Option<Failing>>;

impl Failing {
    /// Whether a reason is told at `now`; it counts as told then.
    fn tells(&mut self, reason: &str, now: Timestamp) -> bool {
        let (kind, again) = (kind(reason), Duration::from_secs(bound::scan::BACKUP_FAILS_AGAIN_SECONDS));
        // A clock that went back does not keep anything from being told.
        self.told.retain(|(_, told)| *told <= now && now.since(*told) < again);
        let is_new = !self.told.iter().any(|(known, _)| *known == kind);
        if !is_new || self.told.len() >= bound::scan::BACKUP_FAILS_REASONS_MAX {
            return false;
        }
        self.told.push((kind, now));
        true
    }
}

/// A reason without what differs at each try, such as the time in a file's name: words with a digit in them.
fn kind(reason: &str) -> String {
    let words = reason.split(|it: char| !it.is_alphanumeric());
    words
        .filter(|word| !word.is_empty() && !word.contains(|it: char| it.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// What came of a look at whether a backup is due.
enum Look {
    /// None is wanted, or the vault is sealed: this says nothing of whether one could be made.
    Nothing,
    NotDue,
    /// What the entry says of it.
    Made(String),
}

impl Custody {
    /// Makes the scheduled backup, if one is due, and says how that went. One that failed is tried again at each round.
    pub(super) async fn backup_by_schedule(&self) {
        let before = self.failing();
        let for_whom = before.as_ref().map(|failing| format!("they had failed since {}", failing.since.rfc3339()));
        match self.backup_if_due().await {
            Ok(Look::Nothing) => {}
            Ok(Look::Made(told)) => {
                let told =
                    for_whom.map_or(told.clone(), |since| format!("{told}; backups by schedule work again: {since}"));
                self.note("backup.scheduled", Outcome::Done, told).await;
                self.is_failing(before.as_ref(), None).await;
            }
            Ok(Look::NotDue) => {
                if let Some(since) = for_whom {
                    let told = format!("backups by schedule work again: {since}; none is due yet");
                    self.note("backup.resumed", Outcome::Done, told).await;
                    self.is_failing(before.as_ref(), None).await;
                }
            }
            Err(error) => {
                tracing::error!(%error, "the scheduled backup failed");
                let (reason, now) = (error.to_string(), self.now());
                let mut after = before.clone().unwrap_or(Failing { since: now, told: Vec::new() });
                // What is not in the log is not told.
                if after.tells(&reason, now) && self.note("backup.scheduled", Outcome::Failed, reason).await {
                    self.is_failing(before.as_ref(), Some(after)).await;
                }
            }
        }
    }

    /// The scheduled backup, if one is due; old ones go when a new one is there.
    async fn backup_if_due(&self) -> Result<Look, CustodyError> {
        let Some(directory) = &self.backup.directory else { return Ok(Look::Nothing) };
        let newest = scheduled_in(directory, self.now())?.last().map(|(made, _)| *made);
        if newest.is_some_and(|newest| self.now().since(newest) < self.backup.every) {
            return Ok(Look::NotDue);
        }
        if !self.is_open() {
            return Ok(Look::Nothing);
        }
        let Some(made) = self.backup_now().await? else { return Ok(Look::Nothing) };
        tracing::info!(path = %made.path.display(), bytes = made.bytes, "scheduled backup");
        let (path, entries) = (made.path.display(), made.header.audit_entries);
        Ok(Look::Made(format!("{path}: {} bytes, {entries} audit entries, read back", made.bytes)))
    }

    fn failing(&self) -> Option<Failing> {
        let mut known = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let row: Result<_, StoreError> = self.store().read(|snapshot| snapshot.get(Table::Meta, KEY_FAILING));
            // One of another version is as good as none: it is told once more.
            row.ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok())
        };
        known.get_or_insert_with(read).clone()
    }

    async fn is_failing(&self, before: Option<&Failing>, after: Option<Failing>) {
        if before == after.as_ref() {
            return;
        }
        let put = match &after {
            Some(failing) => Put::new(Table::Meta, KEY_FAILING, serde_json::to_vec(failing).unwrap_or_default()),
            None => Put::delete(Table::Meta, KEY_FAILING),
        };
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = Some(after);
        if let Err(error) = self.store().commit(Batch::puts(vec![put])).await {
            tracing::warn!(%error, "whether backups fail could not be written down; it is kept in memory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_a_day_whatever_differs_in_its_names() {
        let day = bound::scan::BACKUP_FAILS_AGAIN_SECONDS * 1_000;
        let mut failing = Failing { since: Timestamp(0), told: Vec::new() };
        let no_room = |round: u64| format!("/srv/sekisho-170000{round}.backup.{round:x}f.new: no space left on device");
        assert!(failing.tells(&no_room(1), Timestamp(day)));
        assert!(!failing.tells(&no_room(2), Timestamp(day + 1)));
        assert!(failing.tells("/srv: not found", Timestamp(day + 2)), "another reason is told at once");
        assert!(!failing.tells(&no_room(3), Timestamp(day + 3)), "also when they take turns");
        assert!(failing.tells(&no_room(4), Timestamp(2 * day)));
        assert!(!failing.tells("/srv: not found", Timestamp(2 * day + 1)));
        assert!(failing.tells(&no_room(5), Timestamp(day)), "a clock that went back holds nothing up");
        let told = (0..100u32).filter(|number| failing.tells(&"x".repeat(*number as usize), Timestamp(day))).count();
        assert!(told < bound::scan::BACKUP_FAILS_REASONS_MAX, "{told}");
    }
}
