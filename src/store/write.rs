//! The writer: one thread takes what is queued, commits it once, and only then acknowledges.

use std::sync::Arc;

use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::table::{self, Table};
use super::{Shared, StoreError};
use crate::base::bound;

/// One row to write, or to delete where `value` is `None`.
#[derive(Clone, Debug)]
pub struct Put {
    pub table: Table,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

impl Put {
    pub fn new(table: Table, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        Self { table, key: key.into(), value: Some(value) }
    }

    pub fn delete(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: None }
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// What must become durable together: rows, and leaves for the audit log.
#[derive(Debug, Default)]
pub struct Batch {
    pub puts: Vec<Put>,
    /// Canonical bytes of audit entries; the hook gives them their place in the log.
    pub leaves: Vec<Vec<u8>>,
}

impl Batch {
    pub fn puts(puts: Vec<Put>) -> Self {
        Self { puts, leaves: Vec::new() }
    }

    pub fn leaf(leaf: Vec<u8>) -> Self {
        Self { puts: Vec::new(), leaves: vec![leaf] }
    }

    /// What this batch weighs against [`bound::COMMIT_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        self.puts.iter().map(Put::bytes).sum::<usize>() + self.leaves.iter().map(Vec::len).sum::<usize>()
    }
}

/// The batch is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The sequence of the batch's first leaf, if it had one.
    pub sequence: Option<u64>,
}

/// Joins every commit: turns leaves into rows and keeps what sums them up in the same transaction.
/// `audit::log` is the one implementation; the store does not know what a Merkle tree is.
pub trait CommitHook: Send + 'static {
    /// Rows for `leaves`, in order. Nothing may be remembered before [`CommitHook::committed`].
    fn seal(&mut self, leaves: &[&[u8]]) -> Sealed;
    /// The rows of the last `seal` are durable.
    fn committed(&mut self);
}

/// What a hook adds to a commit.
#[derive(Debug, Default)]
pub struct Sealed {
    /// Sequence of the first of the leaves.
    pub first_sequence: u64,
    pub puts: Vec<Put>,
}

/// Handle onto the writer's thread.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Commit { batch: Batch, reply: oneshot::Sender<Result<Acknowledgement, StoreError>> },
    Close { reply: oneshot::Sender<()> },
}

impl Writer {
    pub(super) fn start(database: Arc<Shared>, hook: Box<dyn CommitHook>) -> Result<Self, StoreError> {
        let (queue, messages) = mpsc::channel(bound::COMMIT_QUEUE_BATCHES_MAX);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&database, hook, messages))
            .map_err(|error| StoreError::Engine(format!("the writer's thread did not start: {error}")))?;
        Ok(Self { queue })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Acknowledgement, StoreError> {
        let found = batch.bytes();
        if found > bound::COMMIT_BYTES_MAX {
            return Err(StoreError::BatchTooLarge { found, limit: bound::COMMIT_BYTES_MAX });
        }
        let (reply, answer) = oneshot::channel();
        self.queue.send(Message::Commit { batch, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Message::Close { reply }).await.is_ok() {
            // An error means that the thread has ended already, which is what was asked for.
            answer.await.unwrap_or_default();
        }
    }
}

type Waiting = (Batch, oneshot::Sender<Result<Acknowledgement, StoreError>>);

fn run(database: &Shared, mut hook: Box<dyn CommitHook>, mut messages: mpsc::Receiver<Message>) {
    while let Some(message) = messages.blocking_recv() {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut bytes = 0;
        let mut close = None;
        let mut next = Some(message);
        // No timer: whatever queued up while the last commit was under way goes into this one.
        while let Some(message) = next.take() {
            match message {
                Message::Commit { batch, reply } => {
                    bytes += batch.bytes();
                    waiting.push((batch, reply));
                }
                Message::Close { reply } => {
                    close = Some(reply);
                    break;
                }
            }
            if waiting.len() < bound::COMMIT_BATCHES_MAX && bytes < bound::COMMIT_BYTES_MAX {
                next = messages.try_recv().ok();
            }
        }
        if !waiting.is_empty() {
            commit_all(database, hook.as_mut(), waiting);
        }
        if let Some(reply) = close {
            messages.close();
            // Whoever asked for the close may be gone; closed it is.
            reply.send(()).unwrap_or_default();
            return;
        }
    }
}

fn commit_all(database: &Shared, hook: &mut dyn CommitHook, waiting: Vec<Waiting>) {
    let leaves: Vec<&[u8]> = waiting.iter().flat_map(|(batch, _)| batch.leaves.iter().map(Vec::as_slice)).collect();
    let sealed = if leaves.is_empty() { Sealed::default() } else { hook.seal(&leaves) };
    let puts = waiting.iter().flat_map(|(batch, _)| &batch.puts).chain(&sealed.puts);
    let outcome = database.with(|database| write(database, puts));
    if outcome.is_ok() && !leaves.is_empty() {
        hook.committed();
    }
    let mut sequence = sealed.first_sequence;
    for (batch, reply) in waiting {
        let answer = match &outcome {
            Ok(()) => {
                let first = (!batch.leaves.is_empty()).then_some(sequence);
                sequence += batch.leaves.len() as u64;
                Ok(Acknowledgement { sequence: first })
            }
            Err(error) => Err(StoreError::Engine(error.to_string())),
        };
        // The caller may have been cancelled while it waited; the commit stands all the same.
        reply.send(answer).unwrap_or_default();
    }
}

/// One transaction, two-phase and durable. Each table is opened once.
pub(super) fn write<'a>(database: &Database, puts: impl Iterator<Item = &'a Put>) -> Result<(), StoreError> {
    let mut of_table: [Vec<&Put>; table::ALL.len()] = Default::default();
    for put in puts {
        of_table[put.table as usize].push(put);
    }
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    for (table, puts) in table::ALL.into_iter().zip(&of_table) {
        if puts.is_empty() {
            continue;
        }
        let mut opened = transaction.open_table(table.definition())?;
        for put in puts {
            match &put.value {
                Some(value) => drop(opened.insert(put.key.as_slice(), value.as_slice())?),
                None => drop(opened.remove(put.key.as_slice())?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}
