//! What no store can beat: records appended to a file and synced, one by one, or all that wait behind one queue.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use sekisho::base::bound;
use tokio::sync::{mpsc, oneshot};

use crate::Turn;
use crate::common::Watch;

/// A file with a queue in front of it, and another for one caller alone.
#[derive(Clone)]
pub(crate) struct Raw {
    queue: mpsc::Sender<Record>,
    alone: PathBuf,
}

type Record = (Vec<u8>, oneshot::Sender<()>);

impl Raw {
    pub(crate) fn create(directory: &Path) -> anyhow::Result<Self> {
        let file = File::create_new(directory.join("raw"))?;
        let alone = directory.join("raw-alone");
        File::create_new(&alone)?;
        let (queue, records) = mpsc::channel(bound::COMMIT_QUEUE_BATCHES_MAX);
        // An error drops the queue, which tells the callers.
        std::thread::spawn(move || append_groups(file, records));
        Ok(Self { queue, alone })
    }

    pub(crate) async fn append(&self, record: Vec<u8>) -> anyhow::Result<()> {
        let (reply, durable) = oneshot::channel();
        self.queue.send((record, reply)).await.ok().context("the thread that appends has ended")?;
        durable.await.context("the append failed")
    }

    /// One caller, on this thread, with nothing between it and the file.
    pub(crate) fn single(&self, record: &[u8], turn: Duration) -> anyhow::Result<Turn> {
        let mut file = File::options().append(true).open(&self.alone)?;
        let (watch, mut times) = (Watch::start(), Vec::new());
        let mut begun = watch.elapsed();
        while begun < turn {
            file.write_all(record)?;
            file.sync_data()?;
            let ended = watch.elapsed();
            times.push(ended.saturating_sub(begun));
            begun = ended;
        }
        Ok(Turn { took: begun, times })
    }
}

fn append_groups(mut file: File, mut records: mpsc::Receiver<Record>) -> std::io::Result<()> {
    while let Some(first) = records.blocking_recv() {
        let queued = std::iter::from_fn(|| records.try_recv().ok());
        let group = std::iter::once(first).chain(queued).take(bound::COMMIT_BATCHES_MAX);
        let (bytes, waiting): (Vec<_>, Vec<_>) = group.unzip();
        file.write_all(&bytes.concat())?;
        file.sync_data()?;
        for reply in waiting {
            // Whoever gave up waiting needs no answer.
            reply.send(()).unwrap_or_default();
        }
    }
    Ok(())
}
