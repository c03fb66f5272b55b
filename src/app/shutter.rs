//! What the watch does to a caller: bans for a time, written down with the entry that tells of them.

use std::time::Duration;

use futures::future::BoxFuture;

use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::{Audit, word};
use crate::auth::ban::Target;
use crate::auth::gate::Gate;
use crate::base::network::Network;
use crate::base::principal::ANONYMOUS;
use crate::store::Batch;
use crate::watch::sanction::{Block, Sanctions};

/// Who is named as the maker of such bans.
const BY: &str = "watch";

/// Bans whom the watch names.
#[derive(Debug)]
pub(super) struct Shutter {
    pub(super) gate: Gate,
    pub(super) audit: Audit,
}

impl Shutter {
    async fn shut(&self, target: Target, block: &Block) -> Result<(), String> {
        let now = self.audit.now();
        let length = block.until.since(now).max(Duration::from_secs(1));
        let added = self.gate.bans.add(&target, &block.reason, Some(length), BY);
        let (record, row) = added.map_err(|error| error.to_string())?;
        // It holds in memory even where it cannot be written.
        self.gate.bans.added(target.clone(), record);
        let mut draft = Draft::new(Event::Session, "internal", now);
        draft.operation = Some(word::WATCH_BLOCK.into());
        draft.session.clone_from(&block.session);
        draft.personal.principal.clone_from(&block.principal);
        draft.personal.peer.clone_from(&block.address);
        let note = format!("the {} is banned until {}: {}", target.kind(), block.until.rfc3339(), block.reason);
        let written = self.audit.append_with(Batch::puts(vec![row]), draft, Outcome::Done, Some(note)).await;
        if let Err(error) = written {
            tracing::error!(%error, "a ban could not be written down; it holds until Sekisho stops");
        }
        Ok(())
    }
}

impl Sanctions for Shutter {
    /// The session where one is known, else the principal: whoever is refused before a session is looked at has none.
    fn block_session<'a>(&'a self, block: &'a Block) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            // All who show nothing share a name and a session: one of them must not shut out the others.
            if block.principal.as_deref() == Some(ANONYMOUS) {
                return self.ban_address(block).await;
            }
            let target = match (&block.session, &block.principal) {
                (Some(session), _) => Target::Session(session.clone()),
                (None, Some(principal)) => Target::Principal(principal.clone()),
                (None, None) => return Err("nobody is known".to_owned()),
            };
            self.shut(target, block).await
        })
    }

    fn ban_address<'a>(&'a self, block: &'a Block) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let address = block.address.as_deref().and_then(|address| address.parse().ok());
            let address = address.ok_or("its address is not known")?;
            if self.gate.bans.spares(address) {
                return Err("it is this machine, or a proxy behind which others stand".to_owned());
            }
            self.shut(Target::Address(Network::of_subscriber(address)), block).await
        })
    }
}
