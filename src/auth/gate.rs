//! What is remembered of callers between their calls: sessions, rates and bans, in memory and in the store.

use std::sync::Arc;

use super::ban::{Banned, Bans};
use super::quota::Quota;
use super::session::{Ended, Handle, Restored, Sessions};
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::{Audit, AuditError};
use crate::base::bound;
use crate::base::clock::Clock;
use crate::base::principal::Principal;
use crate::config::Config;
use crate::store::{Batch, Put, Store, StoreError};

/// All three.
#[derive(Clone, Debug)]
pub struct Gate {
    pub sessions: Arc<Sessions>,
    pub quota: Arc<Quota>,
    pub bans: Arc<Bans>,
    pub store: Store,
}

impl Gate {
    /// As the store has them. Also gives what of it is over; see [`Restored`].
    pub fn open(store: &Store, config: &Config, clock: &Arc<dyn Clock>) -> Result<(Self, Restored), StoreError> {
        let gate = Self {
            sessions: Arc::new(Sessions::new(Arc::clone(clock), config.session, config.limits)),
            quota: Arc::new(Quota::new(config.rate.clone(), Arc::clone(clock))),
            bans: Arc::new(Bans::new(config.ban, config.http.proxies.trusted.clone(), Arc::clone(clock))),
            store: store.clone(),
        };
        let restored = store.read(|snapshot| {
            gate.quota.restore(snapshot)?;
            gate.bans.restore(snapshot)?;
            gate.sessions.restore(snapshot, &|short| gate.bans.of_session(short).is_some())
        })?;
        Ok((gate, restored))
    }

    /// A credential was issued again: it holds from now on, also if an administrator had ended its session.
    pub async fn allow_again(&self, credential: &str) -> Result<(), StoreError> {
        self.sessions.allow_again(&self.store, credential).await.map(drop)
    }

    /// Writes what was used since the last time: one commit of its own for all callers together, every few seconds.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.sessions.flush(&self.store).await?;
        self.quota.flush(&self.store).await
    }

    /// Whether the session that this principal has behind `handle` is shut out.
    pub fn banned_session(&self, principal: &Principal, handle: &Handle) -> Option<Banned> {
        if self.bans.is_empty() {
            return None;
        }
        let (short, former) = self.sessions.shorts_of(principal, handle)?;
        self.bans.of_session(&short).or_else(|| self.bans.of_session(&former?))
    }

    /// As [`Gate::write_end`], for those that ended together; many share one entry.
    pub async fn write_ends(&self, audit: &Audit, ended: Vec<Ended>) -> Result<(), AuditError> {
        if ended.len() <= bound::SESSION_ENDS_WRITTEN_MAX {
            for ended in ended {
                self.write_end(audit, ended).await?;
            }
            return Ok(());
        }
        let count = ended.len();
        let why = ended.first().map_or("", |ended| ended.why);
        for ended in &ended {
            self.quota.forget(&ended.handle);
        }
        self.sessions.settled().await;
        self.delete(ended.into_iter().flat_map(|ended| ended.rows).collect()).await?;
        let draft = Draft::new(Event::Session, "internal", audit.now());
        let note = format!("ended: {count} sessions together: {why}");
        audit.append(draft, Outcome::Done, Some(note)).await.map(drop)
    }

    /// Writes down that a session ended, in one commit with what that changes.
    pub async fn write_end(&self, audit: &Audit, ended: Ended) -> Result<(), AuditError> {
        self.quota.forget(&ended.handle);
        let mut draft = Draft::new(Event::Session, "internal", audit.now());
        draft.personal.principal = Some(ended.principal.to_string());
        draft.session = Some(ended.id.short().to_owned());
        let denied = if ended.denied { "; its credential holds no more until it is issued again" } else { "" };
        self.sessions.settled().await;
        let note = Some(format!("ended: {}{denied}", ended.why));
        audit.append_with(Batch::puts(ended.rows), draft, Outcome::Done, note).await.map(drop)
    }

    /// Ends what has timed out and is not shut out.
    pub fn sweep_sessions(&self) -> Vec<Ended> {
        self.sessions.sweep(&|short| self.bans.of_session(short).is_some())
    }

    /// Drops counts and bans that are over.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        self.quota.sweep();
        self.delete(self.bans.sweep()).await
    }

    /// Deletes rows, however many.
    pub async fn delete(&self, rows: Vec<Put>) -> Result<(), StoreError> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some = rows.by_ref().take(bound::GATE_FLUSH_ROWS_MAX).collect();
            self.store.commit(Batch::puts(some)).await?;
        }
        Ok(())
    }
}
