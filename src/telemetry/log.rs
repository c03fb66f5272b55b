//! The program's log: rolling daily in the data directory, masked, never blocking a call.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::base::bound;
use crate::config::Log;
use crate::config::mask::{Masker, NotSearchable};
use crate::config::raw::{LogFormat, LogLevel};

/// Keeps the log's thread alive; dropping it writes out what is queued.
#[must_use]
#[derive(Debug)]
pub struct LogGuard {
    _worker: WorkerGuard,
    dropped: Dropped,
}

impl LogGuard {
    pub fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }
}

/// Counts the lines that were given up because the disk was slower than the program.
#[derive(Clone, Debug)]
pub struct Dropped(ErrorCounter);

impl Dropped {
    pub fn lines(&self) -> u64 {
        self.0.dropped_lines() as u64
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("no log can be written in {directory}: {reason}")]
    Directory { directory: String, reason: String },
    #[error("a log was set up before")]
    Twice,
    #[error(transparent)]
    Mask(#[from] NotSearchable),
}

/// Sends everything that the program says from now on to `directory`.
pub fn start(directory: &Path, log: Log) -> Result<LogGuard, LogError> {
    let failed = |reason: &dyn std::fmt::Display| LogError::Directory {
        directory: directory.display().to_string(),
        reason: reason.to_string(),
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("sekisho")
        .filename_suffix("log")
        .max_log_files(log.keep_days)
        .build(directory)
        .map_err(|error| failed(&error))?;
    // Lossy: when the disk is slow, lines are dropped and calls are not.
    let (writer, worker) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(bound::LOG_LINES_QUEUED_MAX).finish(appender);
    let dropped = Dropped(writer.error_counter());
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    };
    // rmcp logs results and error data: contents of documents, which have no place in a log.
    let filter = EnvFilter::new(format!("{level},rmcp=off,tantivy=warn,hyper=warn,h2=warn"));
    let masking = Masking { writer, masker: Arc::new(Masker::of_logs()?) };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(masking);
    let set = match log.format {
        LogFormat::Json => tracing::subscriber::set_global_default(builder.json().finish()),
        LogFormat::Text => tracing::subscriber::set_global_default(builder.finish()),
    };
    set.map_err(|_| LogError::Twice)?;
    Ok(LogGuard { _worker: worker, dropped })
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
