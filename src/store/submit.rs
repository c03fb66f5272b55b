//! The handle onto the writer's thread: what is asked of it is queued, and answered when it is durable.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::engine::{Engine, Health};
use super::write::{Acknowledgement, Batch, CommitHook};
use super::writer::{Message, Writer};
use super::{Copied, StoreError};
use crate::base::bound;
use crate::base::clock::Clock;

/// Handle onto the writer's thread.
#[derive(Clone)]
pub(super) struct Submit {
    queue: mpsc::Sender<Message>,
    engine: Arc<Engine>,
}

impl Submit {
    pub(super) fn start(
        engine: Arc<Engine>,
        hook: Box<dyn CommitHook>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let (queue, messages) = mpsc::channel(bound::COMMIT_QUEUE_BATCHES_MAX);
        let writer = Writer::new(Arc::clone(&engine), hook, clock);
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(messages))
            .map_err(|error| StoreError::Engine(format!("the writer's thread did not start: {error}")))?;
        Ok(Self { queue, engine })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Acknowledgement, StoreError> {
        let found = batch.bytes();
        if found > bound::COMMIT_BYTES_MAX {
            return Err(StoreError::BatchTooLarge { found, limit: bound::COMMIT_BYTES_MAX });
        }
        // Opening reads the whole file: callers that come meanwhile are told so instead of waiting for it.
        if let Some(reason) = self.engine.reopening() {
            return Err(self.engine.unavailable(&reason));
        }
        self.ask(|reply| Message::Commit { batch, reply }).await?
    }

    pub(super) async fn copy_to(&self, path: PathBuf) -> Result<Copied, StoreError> {
        self.ask(|reply| Message::Copy { path, reply }).await?
    }

    pub(super) async fn probe(&self) -> Result<Health, StoreError> {
        self.ask(|reply| Message::Probe { reply }).await
    }

    pub(super) async fn compact(&self) -> Result<bool, StoreError> {
        self.ask(|reply| Message::Compact { reply }).await?
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(message(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::NotDurable { reason: "the writer broke off in the middle of it".into() })
    }

    pub(super) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Message::Close { reply }).await.is_ok() {
            // An error means that the thread has ended already, which is what was asked for.
            answer.await.unwrap_or_default();
        }
    }
}
