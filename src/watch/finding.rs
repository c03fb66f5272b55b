//! What fired, about whom, and what follows: what rules and the baseline give.

use super::event::SecurityEvent;
use crate::audit::entry::{Entry, Personal};
use crate::base::network::Network;

/// What follows when a rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Alert,
    /// Block the session, or the address where there is no session, and alert.
    Block,
}

/// Whom an alert is about. Only the pseudonym may leave this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub pseudonym: Option<String>,
    pub principal: Option<String>,
    pub peer: Option<String>,
    /// The short form of the session's id.
    pub session: Option<String>,
}

impl Who {
    pub fn of(entry: &Entry, personal: Option<&Personal>) -> Self {
        Self {
            pseudonym: entry.subject.clone(),
            principal: personal.and_then(|personal| personal.principal.clone()),
            peer: personal.and_then(|personal| personal.peer.clone()),
            session: entry.session.clone(),
        }
    }

    /// What tells callers apart within this process: the principal, else the other end, else the pseudonym.
    pub fn key(&self) -> String {
        match (&self.principal, &self.peer, &self.pseudonym) {
            (Some(principal), ..) => principal.clone(),
            (None, Some(peer), _) => {
                let subscriber = peer.parse().map(|address| Network::of_subscriber(address).to_string());
                format!("peer:{}", subscriber.as_deref().unwrap_or(peer))
            }
            (None, None, pseudonym) => pseudonym.clone().unwrap_or_default(),
        }
    }
}

/// A rule that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub event: SecurityEvent,
    pub who: Who,
    /// The entry that made it fire.
    pub sequence: Option<u64>,
    /// What was found, without anything personal.
    pub detail: String,
    pub action: Action,
}
