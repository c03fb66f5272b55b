//! The program's log: rolling in the data directory, masked, sealed where asked for, never blocking a call.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::folder::Keep;
use super::rolling::{Plan, RollingWriter};
use super::sealed::FileKey;
use super::security::{SecurityLog, Style};
use super::supply::KeySupply;
use crate::base::bound;
use crate::base::clock::Clock;
use crate::config::Log;
use crate::config::mask::{Masker, NotSearchable};
use crate::config::raw::{LogFormat, LogLevel};

/// Keeps the log's thread alive; dropping it writes out what is queued.
#[must_use]
#[derive(Debug)]
pub struct LogGuard {
    _worker: WorkerGuard,
    dropped: Dropped,
    handle: LogHandle,
}

impl LogGuard {
    pub fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }

    /// What other rooms are given of the log.
    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }
}

/// What can be done with a log that was started; the default is of none. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LogHandle {
    security: SecurityLog,
    sealing: Option<Sealing>,
}

#[derive(Clone, Debug)]
struct Sealing {
    keys: Arc<KeySupply>,
    lines: NonBlocking,
}

impl LogHandle {
    pub fn security(&self) -> SecurityLog {
        self.security.clone()
    }

    /// Where the keys of sealed files go; `None` where files are not sealed.
    pub fn keys(&self) -> Option<&KeySupply> {
        self.sealing.as_ref().map(|sealing| &*sealing.keys)
    }

    /// Gives a key for one file; lines that waited for it are written.
    pub fn supply(&self, key: FileKey) {
        if let Some(sealing) = &self.sealing {
            sealing.keys.put(key);
            sealing.nudge();
        }
    }

    /// The keyring was closed or has another key: no line is sealed any more under a key from before.
    pub fn forget_keys(&self) {
        if let Some(sealing) = &self.sealing {
            sealing.keys.clear();
            sealing.nudge();
        }
    }
}

impl Sealing {
    /// An empty line is none, but the writer looks up.
    fn nudge(&self) {
        self.lines.clone().write_all(b"").ok();
    }
}

/// Counts the lines that were given up, because the disk was slower than the program, failed or was full, or because
/// no key came to seal them.
#[derive(Clone, Debug)]
pub struct Dropped {
    queue: ErrorCounter,
    writer: Arc<AtomicU64>,
}

impl Dropped {
    pub fn lines(&self) -> u64 {
        (self.queue.dropped_lines() as u64).saturating_add(self.writer.load(Ordering::Relaxed))
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("no log can be written in {}: {error}", directory.display())]
    Directory { directory: PathBuf, error: io::Error },
    #[error("a log was set up before")]
    Twice,
    #[error(transparent)]
    Mask(#[from] NotSearchable),
}

/// Sends everything that the program says from now on to `directory`.
pub fn start(directory: &Path, log: Log, clock: Arc<dyn Clock>) -> Result<LogGuard, LogError> {
    let dropped = Arc::new(AtomicU64::default());
    let keys = log.encrypt.then(Arc::<KeySupply>::default);
    let plan = Plan {
        directory: directory.to_owned(),
        bytes_max: log.bytes_max,
        keep: Keep { days: log.keep_days, total_bytes_max: log.total_bytes_max },
    };
    let writer = RollingWriter::new(plan, Arc::clone(&clock), keys.clone(), Arc::clone(&dropped))
        .map_err(|error| LogError::Directory { directory: directory.to_owned(), error })?;
    // Lossy: when the disk is slow, lines are dropped and calls are not.
    let (writer, worker) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(bound::LOG_LINES_QUEUED_MAX).finish(writer);
    let dropped = Dropped { queue: writer.error_counter(), writer: dropped };
    let masker = Arc::new(Masker::of_logs()?);
    let style = Style { format: log.format, mask_addresses: log.mask_addresses, masker: Arc::clone(&masker) };
    let handle = LogHandle {
        security: SecurityLog::new(writer.clone(), clock, style),
        sealing: keys.map(|keys| Sealing { keys, lines: writer.clone() }),
    };
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    };
    // rmcp logs results and error data: contents of documents, which have no place in a log.
    let filter = EnvFilter::new(format!("{level},rmcp=off,tantivy=warn,hyper=warn,h2=warn"));
    let masking = Masking { writer, masker };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(masking);
    let set = match log.format {
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().finish()),
        LogFormat::Text => tracing::subscriber::set_global_default(builder.finish()),
    };
    set.map_err(|_| LogError::Twice)?;
    Ok(LogGuard { _worker: worker, dropped, handle })
}

/// Masks each line on its way to the file.
struct Masking {
    writer: NonBlocking,
    masker: Arc<Masker>,
}

impl<'a> MakeWriter<'a> for Masking {
    type Writer = MaskedLine;

    fn make_writer(&'a self) -> MaskedLine {
        MaskedLine { writer: self.writer.clone(), masker: Arc::clone(&self.masker) }
    }
}

/// One event; tracing-subscriber writes it in one piece.
struct MaskedLine {
    writer: NonBlocking,
    masker: Arc<Masker>,
}

impl Write for MaskedLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.writer.write_all(self.masker.masked_line(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
