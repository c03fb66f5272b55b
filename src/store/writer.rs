//! The writer: one thread takes what is queued, commits it once, acknowledges it, and mends what breaks meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::engine::{self, Engine, Health, Live};
use super::write::{self, Acknowledgement, Batch, CommitHook, Sealed};
use super::{Copied, Snapshot, StoreError};
use crate::base::bound;
use crate::base::clock::Clock;

/// What the writer is asked to do, in order.
pub(super) enum Message {
    Commit { batch: Batch, reply: oneshot::Sender<Result<Acknowledgement, StoreError>> },
    Copy { path: PathBuf, reply: oneshot::Sender<Result<Copied, StoreError>> },
    Probe { reply: oneshot::Sender<Health> },
    Compact { reply: oneshot::Sender<Result<bool, StoreError>> },
    Close { reply: oneshot::Sender<()> },
}

type Waiting = (Batch, oneshot::Sender<Result<Acknowledgement, StoreError>>);

/// The state of the writer's thread.
///
/// A commit that fails is answered with an error, and then the database is closed and opened again, because redb
/// answers nothing after an I/O error. While that fails too it is tried once in
/// [`bound::STORE_RETRY_INTERVAL_MS`], when somebody wants to commit or probes.
///
/// A panic, redb's or the hook's, is such a failure: the thread survives it, its callers get an error, and the
/// database is opened again before anything else is written. Ending the process instead would turn one bad batch
/// into an outage of everybody, as often as it is sent. Until somebody commits or probes, readers are refused too.
pub(super) struct Writer {
    engine: Arc<Engine>,
    hook: Box<dyn CommitHook>,
    clock: Arc<dyn Clock>,
    /// How many were committed together the last time.
    group: usize,
    /// The disk was full and no room has been seen since.
    is_full: bool,
    /// When the database was last opened again; `None` once a commit worked.
    reopened: Option<Duration>,
    /// When room was last looked for.
    looked: Option<Duration>,
}

impl Writer {
    pub(super) fn new(engine: Arc<Engine>, hook: Box<dyn CommitHook>, clock: Arc<dyn Clock>) -> Self {
        let is_full = *engine.health().borrow() == Health::Full;
        Self { engine, hook, clock, group: 0, is_full, reopened: None, looked: None }
    }

    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            let (waiting, other) = collect(message, &mut messages, self.group);
            self.group = waiting.len();
            if !waiting.is_empty() {
                self.guarded(|writer| writer.commit(waiting));
            }
            match other {
                None => {}
                Some(Message::Copy { path, reply }) => self.guarded(|writer| {
                    // Whoever asked may be gone; so it is for all replies here. The work stands all the same.
                    reply.send(writer.copy(path)).unwrap_or_default();
                }),
                Some(Message::Probe { reply }) => self.guarded(|writer| {
                    reply.send(writer.probe()).unwrap_or_default();
                }),
                Some(Message::Compact { reply }) => self.guarded(|writer| {
                    reply.send(writer.compact()).unwrap_or_default();
                }),
                Some(Message::Close { reply }) => {
                    messages.close();
                    self.engine.close();
                    reply.send(()).unwrap_or_default();
                    return;
                }
                // `collect` takes these.
                Some(Message::Commit { .. }) => {}
            }
        }
    }

    /// A panic drops the replies, which tells their callers, and leaves a database that must not be written to.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!("the store's writer panicked; the database is opened again before the next commit");
            self.engine.set_health(Health::Failing);
            self.engine.set_gap("the writer panicked".into(), false);
        }
    }

    fn commit(&mut self, waiting: Vec<Waiting>) {
        if let Err(reason) = self.make_ready() {
            return refuse(waiting, || self.engine.unavailable(&reason));
        }
        let is_refused = |writer: &Self, batch: &Batch| writer.is_full && !batch.urgent;
        if waiting.iter().any(|(batch, _)| is_refused(self, batch)) && self.is_due(self.looked) {
            self.look_for_room();
        }
        let (refused, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(batch, _)| is_refused(self, batch));
        refuse(refused, || self.engine.full());
        if !waiting.is_empty() {
            self.commit_now(waiting);
        }
    }

    fn commit_now(&mut self, mut waiting: Vec<Waiting>) {
        let counts: Vec<usize> = waiting.iter().map(|(batch, _)| batch.leaves.len()).collect();
        let leaves: Vec<Vec<u8>> =
            waiting.iter_mut().flat_map(|(batch, _)| std::mem::take(&mut batch.leaves)).collect();
        let has_leaves = !leaves.is_empty();
        let sealed = if has_leaves { self.hook.seal(leaves) } else { Sealed::default() };
        let batches = waiting.iter().map(|(batch, _)| batch);
        let begun = self.clock.monotonic();
        match self.engine.with(|database| write::write(database, batches, &sealed.puts)) {
            Ok(removed_rows) => {
                self.engine.count_commit(self.clock.monotonic().saturating_sub(begun));
                if has_leaves {
                    self.hook.committed();
                }
                self.reopened = None;
                acknowledge(waiting, &counts, sealed.first_sequence, removed_rows);
            }
            Err(error) => self.fail(waiting, &error),
        }
    }

    /// Callers are told before the database is opened again, which can take long.
    fn fail(&mut self, waiting: Vec<Waiting>, error: &StoreError) {
        let reason = self.engine.trouble().unwrap_or_else(|| error.to_string());
        tracing::error!(reason, "a commit failed");
        self.engine.set_health(Health::Failing);
        if self.engine.met_no_room() {
            refuse(waiting, || self.engine.full());
        } else {
            refuse(waiting, || StoreError::NotDurable { reason: reason.clone() });
        }
        self.release_if_full();
        if self.is_due(self.reopened) {
            self.reopen(reason);
        } else {
            self.engine.set_gap(reason, false);
        }
    }

    /// Opens the database again where that is needed and due. The error is the reason why nothing can be written.
    fn make_ready(&mut self) -> Result<(), String> {
        let Some(reason) = self.engine.trouble() else { return Ok(()) };
        self.engine.set_health(Health::Failing);
        if !self.is_due(self.reopened) {
            return Err(reason);
        }
        self.release_if_full();
        self.reopen(reason);
        self.engine.trouble().map_or(Ok(()), Err)
    }

    fn release_if_full(&mut self) {
        if self.engine.met_no_room() {
            self.release();
        }
    }

    fn release(&mut self) {
        self.is_full = true;
        let path = self.engine.disk().path().display();
        tracing::error!(%path, "the disk is full: only alarms and removals are written until there is room");
        if let Err(error) = self.engine.disk().release_ballast() {
            tracing::error!(%error, %path, "the blocks kept aside for a full disk could not be given back");
        }
    }

    fn reopen(&mut self, reason: String) {
        self.reopened = Some(self.clock.monotonic());
        self.engine.set_gap(reason, true);
        let mut opened = self.open_again();
        if matches!(opened, Err(StoreError::Full { .. })) && !self.is_full {
            self.release();
            opened = self.open_again();
        }
        match opened {
            Ok(live) => {
                self.engine.set_live(live);
                self.engine.set_health(self.health_when_open());
                tracing::info!("the database was opened again");
            }
            Err(error) => {
                tracing::error!(%error, "the database could not be opened again");
                self.engine.set_gap(error.to_string(), false);
            }
        }
    }

    fn open_again(&mut self) -> Result<Live, StoreError> {
        let live = engine::open(self.engine.disk())?;
        self.hook.reload(&Snapshot::of(&live.database)?)?;
        Ok(live)
    }

    fn health_when_open(&self) -> Health {
        if self.is_full { Health::Full } else { Health::Writable }
    }

    fn look_for_room(&mut self) {
        self.looked = Some(self.clock.monotonic());
        if engine::has_room(self.engine.disk()) {
            self.is_full = false;
            self.engine.set_health(Health::Writable);
            tracing::info!("there is room on the disk again");
        }
    }

    /// An explicit look waits for no interval: whoever asks for it has one of their own.
    fn probe(&mut self) -> Health {
        self.reopened = None;
        if self.make_ready().is_err() {
            return Health::Failing;
        }
        if self.is_full {
            self.look_for_room();
        }
        self.health_when_open()
    }

    /// Gives pages that nothing uses back to the file system; on a full disk, that may be all that was missing.
    fn compact(&mut self) -> Result<bool, StoreError> {
        self.make_ready().map_err(|reason| self.engine.unavailable(&reason))?;
        let given_back = self.engine.compact()?;
        if self.is_full {
            self.look_for_room();
        }
        Ok(given_back)
    }

    /// Between two commits everything that was acknowledged is in the file, and nobody else writes to it.
    fn copy(&mut self, path: PathBuf) -> Result<Copied, StoreError> {
        self.make_ready().map_err(|reason| self.engine.unavailable(&reason))?;
        let begun = self.clock.monotonic();
        let bytes = self.engine.disk().copy_to(&path).map_err(|error| StoreError::copying(&path, error))?;
        Ok(Copied { bytes, paused: self.clock.monotonic().saturating_sub(begun) })
    }

    fn is_due(&self, last: Option<Duration>) -> bool {
        let interval = Duration::from_millis(bound::STORE_RETRY_INTERVAL_MS);
        last.is_none_or(|last| self.clock.monotonic().saturating_sub(last) >= interval)
    }
}

/// Whatever queued up while the last commit was under way goes into this one. Where that is less than the last group
/// was, whoever was just acknowledged is about to come back: they get the processor a few times first. There is no
/// timer, and a lone caller waits for nobody. Something other than a commit ends the group and comes after it.
fn collect(
    message: Message,
    messages: &mut mpsc::Receiver<Message>,
    last_group: usize,
) -> (Vec<Waiting>, Option<Message>) {
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut bytes = 0;
    let mut yields = 0;
    let mut next = Some(message);
    while let Some(message) = next.take() {
        match message {
            Message::Commit { batch, reply } => {
                bytes += batch.bytes();
                waiting.push((batch, reply));
            }
            other => return (waiting, Some(other)),
        }
        if waiting.len() >= bound::COMMIT_BATCHES_MAX || bytes >= bound::COMMIT_BYTES_MAX {
            break;
        }
        next = messages.try_recv().ok();
        while next.is_none() && waiting.len() < last_group && yields < bound::COMMIT_YIELDS_MAX {
            yields += 1;
            std::thread::yield_now();
            next = messages.try_recv().ok();
        }
    }
    (waiting, None)
}

/// `leaves` says how many each of them had.
fn acknowledge(waiting: Vec<Waiting>, leaves: &[usize], first_sequence: u64, removed_rows: Vec<u64>) {
    let mut sequence = first_sequence;
    for (((_, reply), leaves), removed_rows) in waiting.into_iter().zip(leaves).zip(removed_rows) {
        let first = (*leaves > 0).then_some(sequence);
        sequence += *leaves as u64;
        // The caller may have been cancelled while it waited; the commit stands all the same.
        reply.send(Ok(Acknowledgement { sequence: first, removed_rows })).unwrap_or_default();
    }
}

fn refuse(waiting: Vec<Waiting>, error: impl Fn() -> StoreError) {
    for (_, reply) in waiting {
        reply.send(Err(error())).unwrap_or_default();
    }
}
