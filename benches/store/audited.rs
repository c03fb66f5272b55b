//! The audit as the server composes it: a store, an open vault, a keeper that signs, and callers with names.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use sekisho::audit::Audit;
use sekisho::audit::entry::{Draft, Event, Outcome};
use sekisho::audit::keep::Keeper;
use sekisho::audit::log::LogHook;
use sekisho::base::clock::{Clock, SystemClock};
use sekisho::base::id::random_bytes;
use sekisho::base::secret::Secret;
use sekisho::crypto::password::Iterations;
use sekisho::store::table::Table;
use sekisho::store::{Batch, Put, Store};
use sekisho::vault;
use sekisho::vault::door::{Door, Key};
use tokio_util::sync::CancellationToken;

use crate::Caller;

pub(crate) struct Audited {
    audit: Audit,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

/// A new database with the rows in `first`, and the Merkle log.
pub(crate) fn open_store(path: &Path, first: &[Put]) -> anyhow::Result<Store> {
    Store::create(path, first)?;
    let opened = Store::open(path)?;
    let hook = LogHook::of(&opened)?;
    Ok(opened.start(Box::new(hook))?)
}

impl Audited {
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let id = random_bytes::<16>()?;
        let store = open_store(path, &[Put::new(Table::Meta, b"database_id", id.to_vec())])?;
        let secret = Secret::new(random_bytes::<32>()?);
        let made = vault::create(id, &secret, Iterations::default(), clock.now())?;
        store.commit(Batch::puts(made.rows)).await?;
        let door = Arc::new(Door::new(store.read(vault::state)?, Arc::clone(&clock)));
        door.unseal(&Key::Secret(&secret))?;
        let audit = Audit::new(store, Arc::clone(&clock), door);
        let stop = CancellationToken::new();
        let keeper = Keeper::new(audit.clone(), &id, path.with_extension("checkpoints"), false);
        tokio::spawn(Arc::new(keeper).run(stop.clone()));
        Ok(Self { audit, clock, stop })
    }

    /// The leaf of an entry.
    pub(crate) async fn sample(&self) -> anyhow::Result<Vec<u8>> {
        let sequence = self.audit.append(self.draft(0), Outcome::Done, None).await?;
        let leaves = self.audit.leaves(sequence, 1)?;
        leaves.into_iter().next().map(|(_, leaf)| leaf).context("the entry that was just written is not there")
    }

    /// A caller of its own name.
    pub(crate) fn caller(&self, number: usize) -> Caller {
        Caller::Audit(self.audit.clone(), Box::new(self.draft(number)))
    }

    /// What a call over HTTP leaves.
    fn draft(&self, number: usize) -> Draft {
        let mut draft = Draft::new(Event::Call, "http", self.clock.now());
        draft.role = Some("reader".into());
        draft.scheme = Some("bearer".into());
        draft.session = Some("0123456789ab".into());
        draft.operation = Some("search_documents".into());
        draft.argument_digest = Some(format!("d1-{}", "0123456789abcdef".repeat(4)));
        draft.argument_bytes = 37;
        draft.output_bytes = 12_345;
        draft.personal.principal = Some(format!("token:agent-{number:03}"));
        draft.personal.peer = Some(format!("192.0.2.1:{}", 40_000 + number));
        draft
    }

    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.audit.store().close().await;
    }
}

pub(crate) async fn append(audit: &Audit, draft: &Draft) -> anyhow::Result<()> {
    let draft = Draft { started: audit.now(), ..draft.clone() };
    audit.append(draft, Outcome::Done, None).await?;
    Ok(())
}
