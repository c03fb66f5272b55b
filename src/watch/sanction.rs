//! What the watch may do to a caller; other rooms do it, and `app` injects them.

use std::time::Duration;

use futures::future::BoxFuture;

use super::event::SecurityEvent;
use super::finding::Who;
use crate::base::clock::Timestamp;

/// Whom to shut out, until when, and why.
#[derive(Clone, Debug)]
pub struct Block {
    pub principal: Option<String>,
    /// The short form of the session's id, where a session is known.
    pub session: Option<String>,
    pub address: Option<String>,
    pub until: Timestamp,
    /// Holds nothing personal.
    pub reason: String,
}

/// Shuts callers out.
pub trait Sanctions: Send + Sync + std::fmt::Debug {
    /// Refuses a principal's session until the time is over. The error says in words why that was not done.
    fn block_session<'a>(&'a self, block: &'a Block) -> BoxFuture<'a, Result<(), String>>;
    /// Refuses an address until the time is over. This machine is never refused.
    fn ban_address<'a>(&'a self, block: &'a Block) -> BoxFuture<'a, Result<(), String>>;
}

/// Blocks the session of somebody who is known, or else the address; gives what was done, in words.
pub(super) async fn block(
    sanctions: &dyn Sanctions,
    who: &Who,
    event: SecurityEvent,
    now: Timestamp,
    span: Duration,
) -> String {
    let until = now.plus(span);
    let block = Block {
        principal: who.principal.clone(),
        session: who.session.clone(),
        address: who.peer.clone(),
        until,
        reason: event.as_str().to_owned(),
    };
    let (what, done) = if block.principal.is_some() {
        ("session", sanctions.block_session(&block).await)
    } else if block.address.is_some() {
        ("address", sanctions.ban_address(&block).await)
    } else {
        ("caller", Err("nobody is known".to_owned()))
    };
    match done {
        Ok(()) => format!("the {what} is blocked until {}", until.rfc3339()),
        Err(reason) => format!("the {what} is not blocked: {reason}"),
    }
}
