//! What is done now and then while the app runs.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::base::bound;
use crate::library::Libraries;
use crate::operation::Change;

impl App {
    pub(super) fn begin_chores(&self, libraries: &Arc<Libraries>) {
        self.refresh(libraries);
        self.follow(libraries);
        self.keep_gate();
        self.write_used();
        self.keep_policies();
        tokio::spawn(Arc::clone(self.custody.keeper()).run(self.stop.clone()));
        tokio::spawn(Arc::clone(&self.custody).run(self.stop.clone()));
    }

    /// Clients hear of each set that comes into force: what they may call and read is another matter then.
    fn keep_policies(&self) {
        tokio::spawn(self.policies.clone().run(self.config.policy.look, self.stop.clone()));
        let mut changes = self.policies.policy().changes();
        let (catalog, stop) = (Arc::clone(self.pipeline.catalog()), self.stop.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
                for change in [Change::Tools, Change::Prompts, Change::Resources(None)] {
                    catalog.announce(change);
                }
            }
        });
    }

    fn write_used(&self) {
        let (authenticator, stop) = (Arc::clone(&self.authenticator), self.stop.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(bound::USED_FLUSH_SECONDS));
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => if let Err(error) = authenticator.write_used().await {
                        tracing::error!(%error, "when accounts and tokens were last used could not be written down");
                    }
                }
            }
        });
    }

    /// Sweeps and writes what is remembered of callers, now and then.
    fn keep_gate(&self) {
        let (pipeline, stop) = (Arc::clone(&self.pipeline), self.stop.clone());
        tokio::spawn(async move {
            let mut sweeps = tokio::time::interval(Duration::from_secs(bound::SESSION_SWEEP_SECONDS));
            let mut flushes = tokio::time::interval(Duration::from_secs(bound::GATE_FLUSH_SECONDS));
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = sweeps.tick() => pipeline.sweep().await,
                    _ = flushes.tick() => pipeline.flush().await,
                }
            }
        });
    }
}
