//! Puts changed policies in force, and writes each change down: by request, and by looking now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::source::PolicyError;
use super::{Policy, Summary};
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::{Audit, AuditError};
use crate::base::clock::Timestamp;
use crate::store::table::Table;
use crate::store::{Batch, Put, Store};

/// SHA-256 of the set that was last written down, in hexadecimal.
const KEY_LAST: &[u8] = b"policy/last";

/// Keeps the policies in step with their folder.
#[derive(Clone, Debug)]
pub struct PolicyKeeper {
    policy: Arc<Policy>,
    audit: Audit,
}

/// Why a reload came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl PolicyKeeper {
    pub fn new(policy: Arc<Policy>, audit: Audit) -> Self {
        Self { policy, audit }
    }

    pub fn now(&self) -> Timestamp {
        self.audit.now()
    }

    pub fn store(&self) -> &Store {
        self.audit.store()
    }

    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Puts in force what lies in the folder. What changed is one entry; so is what is wrong.
    pub async fn reload(&self) -> Result<Summary, KeepError> {
        match self.policy.reload() {
            Ok(summary) => {
                self.record().await?;
                Ok(summary)
            }
            Err(error) => {
                tracing::error!(%error, "the policies stay as they were");
                let reason = format!("the policies stay as they were: {error}");
                self.audit.append(self.draft(), Outcome::Failed, Some(reason)).await?;
                Err(error.into())
            }
        }
    }

    /// Writes down which set is in force, if the last entry names another.
    pub async fn record(&self) -> Result<(), AuditError> {
        let summary = self.policy.summary();
        let before = self.audit.store().read(|snapshot| snapshot.get(Table::Meta, KEY_LAST))?;
        let before = before.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if before.as_deref() == Some(&summary.sha256) {
            return Ok(());
        }
        let reason = format!(
            "policies of sha256 {} are in force: {} in {} files and the shipped one; before: {}",
            summary.sha256,
            summary.policies,
            summary.files,
            before.as_deref().unwrap_or("none")
        );
        let row = Put::new(Table::Meta, KEY_LAST, summary.sha256.into_bytes());
        self.audit.append_with(Batch::puts(vec![row]), self.draft(), Outcome::Done, Some(reason)).await?;
        Ok(())
    }

    /// Looks at the folder every `every`, until `stop`.
    pub async fn run(self, every: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.policy.is_stale() {
                // It is logged and written down; status shows it until it is mended.
                self.reload().await.ok();
            }
        }
    }

    fn draft(&self) -> Draft {
        let mut draft = Draft::new(Event::Configuration, "internal", self.audit.now());
        draft.operation = Some("policy".into());
        draft
    }
}
