//! Housekeeping of a running Sekisho: old keys, old entries, backups, a disk that fails or is full.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Custody;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::base::bound;
use crate::store::Health;

impl Custody {
    /// Until `stop`. What fails is logged and tried again at the next round.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut health = self.store().health();
        let first = Duration::from_secs(bound::HOUSE_FIRST_SECONDS);
        let every = Duration::from_secs(bound::HOUSE_SECONDS);
        let mut rounds = tokio::time::interval_at(tokio::time::Instant::now() + first, every);
        let mut probes = tokio::time::interval(Duration::from_millis(bound::STORE_PROBE_MS));
        probes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = rounds.tick() => {
                    self.keep_house().await;
                    self.kept.send_replace(true);
                }
                () = self.rotated.notified() => self.reseal_all().await,
                () = self.log_key_taken() => self.supply_log_keys_or_say().await,
                changed = health.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = *health.borrow_and_update();
                    self.note_health(now).await;
                }
                _ = probes.tick() => {
                    if *health.borrow() != Health::Writable
                        && let Err(error) = self.store().probe().await
                    {
                        tracing::debug!(%error, "the store is not well yet");
                    }
                }
            }
        }
    }

    /// Until the first round is over, and with it the backup that was due.
    pub async fn has_kept_house(&self) {
        // It ends with us, who are there.
        self.kept.subscribe().wait_for(|kept| *kept).await.map(drop).unwrap_or_default();
    }

    /// Does all that is due by now. A server does so every ten minutes.
    pub async fn keep_house(&self) {
        if let Some(open) = self.vault.open() {
            let due = open.rotation_due(self.now(), self.rotation);
            if !due.is_empty()
                && let Err(error) = self.rotate(&due).await
            {
                tracing::error!(%error, "keys that are due could not be rotated");
            }
        }
        self.prune_old().await;
        self.prune_logs();
        // What a commit that failed left undone.
        self.supply_log_keys_or_say().await;
        self.backup_by_schedule().await;
    }

    async fn prune_old(&self) {
        if self.retention.age_max.is_none() && self.retention.bytes_max.is_none() {
            // What an interrupted prune left.
            if let Err(error) = self.audit.remove_pruned().await {
                tracing::warn!(%error, "rows of pruned entries are still there");
            }
            return;
        }
        let draft = Draft::new(Event::Audit, "internal", self.now());
        match self.audit.prune(self.retention, draft).await {
            Ok(pruned) if pruned.entries > 0 => {
                if let Err(error) = self.keeper.checkpoint().await {
                    tracing::error!(%error, "no checkpoint after a prune");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "old entries could not be pruned"),
        }
    }

    async fn reseal_all(&self) {
        if !self.is_open() {
            return;
        }
        match self.reseal().await {
            Ok(done) if done.records > 0 || done.keys_destroyed > 0 => {
                let reason = format!("{} rows sealed anew, {} old keys destroyed", done.records, done.keys_destroyed);
                tracing::info!(reason, "after a rotation");
                self.note("key.reseal", Outcome::Done, reason).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "sealing anew stopped; it goes on at the next start or rotation");
                self.note("key.reseal", Outcome::Failed, error.to_string()).await;
            }
        }
    }

    /// The alarm of a full disk is written with the room that the ballast gave.
    async fn note_health(&self, health: Health) {
        let (outcome, reason) = match health {
            Health::Full => {
                (Outcome::Failed, "the disk is full: calls are refused until there is room; prune, or make room")
            }
            Health::Failing => {
                tracing::error!("the store fails");
                return;
            }
            Health::Writable => (Outcome::Done, "the store takes entries again"),
        };
        tracing::warn!(reason, "store");
        self.note("store.health", outcome, reason.to_owned()).await;
        if health == Health::Full {
            self.prune_old().await;
        }
    }

    /// Gives whether it is in the log.
    pub(super) async fn note(&self, operation: &str, outcome: Outcome, reason: String) -> bool {
        let mut draft = Draft::new(Event::Audit, "internal", self.now());
        draft.operation = Some(operation.to_owned());
        let appended = self.audit.append_urgent(draft, outcome, Some(reason)).await;
        if let Err(error) = &appended {
            tracing::error!(%error, operation, "an event could not be recorded");
        }
        appended.is_ok()
    }
}
