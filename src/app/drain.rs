//! Drains a server: it begins nothing new, and has drained when nothing is under way any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::pipeline::Pipeline;

/// Whether this process is to end by itself, and until when it waits.
#[derive(Debug)]
pub(super) struct Drainer {
    /// Weak: the pipeline's catalogue holds us.
    pipeline: Weak<Pipeline>,
    is_server: AtomicBool,
    /// When it ends at the latest.
    deadline: watch::Sender<Option<Instant>>,
}

impl Drainer {
    pub(super) fn new(pipeline: Weak<Pipeline>) -> Self {
        Self { pipeline, is_server: AtomicBool::new(false), deadline: watch::channel(None).0 }
    }

    /// What is drained, while it is there.
    pub(super) fn pipeline(&self) -> Result<Arc<Pipeline>, Refusal> {
        self.pipeline.upgrade().ok_or_else(|| Refusal::internal("the pipeline is gone"))
    }

    /// Begins; asked again, it only waits for another time. Gives how many calls are under way.
    pub(super) fn begin(&self, patience: Duration) -> Result<usize, Refusal> {
        let pipeline = self.pipeline.upgrade().filter(|_| self.is_server.load(Ordering::Relaxed));
        let Some(pipeline) = pipeline else {
            let public =
                format!("Process {} is no server: it ends with its client or its command.", std::process::id());
            return Err(Refusal::new(Code::Conflict, public));
        };
        pipeline.begin_draining();
        self.deadline.send_replace(Some(Instant::now() + patience));
        let under_way = pipeline.under_way();
        tracing::info!(under_way, patience_s = patience.as_secs(), "draining");
        Ok(under_way)
    }

    /// From now on this process can be drained. Returns when it has been.
    pub(super) async fn drained(&self) {
        self.is_server.store(true, Ordering::Relaxed);
        let mut asked = self.deadline.subscribe();
        // The sender is ours, so there is no error; if there were, nobody could drain us.
        if asked.wait_for(Option::is_some).await.is_err() {
            return std::future::pending().await;
        }
        loop {
            let deadline = *self.deadline.borrow();
            let left = self.pipeline.upgrade().map_or(0, |pipeline| pipeline.under_way());
            if left == 0 || deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                tracing::info!(left, "drained");
                return;
            }
            sleep(Duration::from_millis(bound::DRAIN_LOOK_MS)).await;
        }
    }
}
