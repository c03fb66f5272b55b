//! The writer under the log's queue: a new file each day and when one is full, sealed where that is asked for.
//!
//! It runs on the thread of tracing-appender's worker. It never fails and never waits: what the disk does not take is
//! counted and given up, and the next line is tried anew.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::Date;

use super::folder::{self, Keep, LogName};
use super::sealed::{self, FileKey, LineSealer};
use super::supply::KeySupply;
use crate::base::bound;
use crate::base::clock::Clock;

/// A file that lines are appended to: the seam through which tests fill the disk.
pub(super) trait Sink: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Takes back what a failed append left.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

impl Sink for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

/// Opens a file for appending; a new one where `new`.
type Opener = Box<dyn FnMut(&Path, bool) -> io::Result<Box<dyn Sink>> + Send>;

/// Where and how much.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) directory: PathBuf,
    /// A file that would grow beyond is full.
    pub(super) bytes_max: u64,
    pub(super) keep: Keep,
}

pub(super) struct RollingWriter {
    plan: Plan,
    clock: Arc<dyn Clock>,
    /// Where lines are sealed.
    keys: Option<Arc<KeySupply>>,
    dropped: Arc<AtomicU64>,
    open: Opener,
    current: Option<Current>,
    /// Taken for a file that could not be begun.
    spare: Option<(FileKey, u64)>,
    /// Lines from before there is a key.
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
}

/// The file that is being written.
struct Current {
    date: Date,
    bytes: u64,
    has_lines: bool,
    sink: Box<dyn Sink>,
    /// With the epoch in which it may seal.
    sealer: Option<(LineSealer, u64)>,
}

/// Why a line is in no file.
enum Failed {
    NoKey,
    Lost,
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl RollingWriter {
    pub(super) fn new(
        plan: Plan,
        clock: Arc<dyn Clock>,
        keys: Option<Arc<KeySupply>>,
        dropped: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        folder::make(&plan.directory)?;
        let mut writer = Self {
            plan,
            clock,
            keys,
            dropped,
            open: Box::new(open_file),
            current: None,
            spare: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        };
        writer.prune(folder::day_of(writer.clock.now()));
        if writer.keys.is_none() {
            // Whether a log can be written at all is better known at the start.
            match writer.begin_with(folder::day_of(writer.clock.now()), 0, None) {
                Ok(current) => writer.current = Some(current),
                // It goes on when there is room.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                Err(error) => return Err(error),
            }
        }
        Ok(writer)
    }

    fn take(&mut self, line: &[u8]) {
        if self.keys.is_none() {
            if self.put(line).is_err() {
                self.count(1);
            }
            return;
        }
        if self.waiting_bytes + line.len() > bound::LOG_WAITING_BYTES_MAX {
            self.count(1);
        } else {
            self.waiting_bytes += line.len();
            self.waiting.push_back(line.to_vec());
        }
        self.write_waiting();
    }

    /// Writes what waits, as far as there is a key.
    fn write_waiting(&mut self) {
        self.forget_if_told();
        while let Some(line) = self.waiting.pop_front() {
            match self.put(&line) {
                Err(Failed::NoKey) => {
                    self.waiting.push_front(line);
                    return;
                }
                result => {
                    self.waiting_bytes -= line.len();
                    if result.is_err() {
                        self.count(1);
                    }
                }
            }
        }
    }

    /// Gives up keys of an earlier epoch: the vault was closed, or has another key.
    fn forget_if_told(&mut self) {
        let Some(keys) = &self.keys else { return };
        let now = keys.epoch();
        let is_old = |epoch: u64| epoch != now;
        self.spare.take_if(|(_, epoch)| is_old(*epoch));
        self.current.take_if(|current| current.sealer.as_ref().is_none_or(|(_, epoch)| is_old(*epoch)));
    }

    fn put(&mut self, line: &[u8]) -> Result<(), Failed> {
        let line = bounded(line);
        let today = folder::day_of(self.clock.now());
        let bytes = if self.keys.is_some() { sealed::stored_bytes_max(line.len()) } else { line.len() } as u64;
        let is_full =
            |current: &Current| current.has_lines && current.bytes.saturating_add(bytes) > self.plan.bytes_max;
        if self.current.as_ref().is_none_or(|current| current.date != today || is_full(current)) {
            self.current = None;
            self.begin(today, bytes)?;
            self.prune(today);
        }
        let Some(current) = &mut self.current else { return Err(Failed::Lost) };
        let sealed;
        let bytes = match &current.sealer {
            Some((sealer, _)) => {
                sealed = sealer.seal(&line).map_err(|_| Failed::Lost)?;
                &sealed
            }
            None => &*line,
        };
        if let Err(error) = current.sink.append(bytes) {
            if current.sink.cut(current.bytes).is_err() {
                self.current = None;
            }
            return Err(error.into());
        }
        current.bytes += bytes.len() as u64;
        current.has_lines = true;
        if let Some((sealer, _)) = &mut current.sealer {
            sealer.advance();
        }
        Ok(())
    }

    /// Opens the file for today's next line: the last one if it has room and its key is at hand, else a new one.
    fn begin(&mut self, today: Date, line_bytes: u64) -> Result<(), Failed> {
        let key = match &self.keys {
            None => None,
            Some(keys) => Some(self.spare.take().or_else(|| keys.take()).ok_or(Failed::NoKey)?),
        };
        let begun = self.begin_with(today, line_bytes, key.as_ref());
        match begun {
            Ok(current) => {
                self.current = Some(current);
                Ok(())
            }
            Err(error) => {
                self.spare = key;
                Err(error.into())
            }
        }
    }

    fn begin_with(&mut self, today: Date, line_bytes: u64, key: Option<&(FileKey, u64)>) -> io::Result<Current> {
        folder::make(&self.plan.directory)?;
        let files = folder::list(&self.plan.directory)?;
        let last = files.iter().rfind(|file| file.name.date == today);
        if let Some(last) = last.filter(|last| key.is_none() && !last.name.is_sealed)
            && last.bytes.saturating_add(line_bytes) <= self.plan.bytes_max
        {
            let path = self.plan.directory.join(last.name.to_string());
            if ends_whole(&path)? {
                let sink = (self.open)(&path, false)?;
                return Ok(Current { date: today, bytes: last.bytes, has_lines: last.bytes > 0, sink, sealer: None });
            }
        }
        let index = last.map_or(0, |last| last.name.index.saturating_add(1));
        let name = LogName { date: today, index, is_sealed: key.is_some() };
        let path = self.plan.directory.join(name.to_string());
        let mut sink = (self.open)(&path, true)?;
        let Some((key, epoch)) = key else {
            return Ok(Current { date: today, bytes: 0, has_lines: false, sink, sealer: None });
        };
        let header = format!("{}\n", key.header);
        let sealer = LineSealer::new(key).map_err(io::Error::other)?;
        if let Err(error) = sink.append(header.as_bytes()) {
            // Ours, and empty or with half a header: on a full disk each line would leave another one.
            fs::remove_file(&path)?;
            return Err(error);
        }
        let bytes = header.len() as u64;
        Ok(Current { date: today, bytes, has_lines: false, sink, sealer: Some((sealer, *epoch)) })
    }

    /// What cannot be removed now is tried again with the next file.
    fn prune(&self, today: Date) {
        folder::prune(&self.plan.directory, self.plan.keep, today).ok();
    }

    fn count(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Write for RollingWriter {
    /// One line; the queue hands them over one by one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.take(line);
        Ok(line.len())
    }

    /// Called when the queue is empty, and once at the end.
    fn flush(&mut self) -> io::Result<()> {
        self.write_waiting();
        Ok(())
    }
}

impl Drop for RollingWriter {
    fn drop(&mut self) {
        // Never in clear: what waited for a key that did not come is lost.
        self.count(self.waiting.len() as u64);
    }
}

fn open_file(path: &Path, new: bool) -> io::Result<Box<dyn Sink>> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().append(true).create_new(new).mode(0o600).custom_flags(no_follow).open(path)?;
    Ok(Box::new(file))
}

/// Whether the last line has its end: a kill may have cut it.
fn ends_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// A line that a reader takes.
fn bounded(line: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match line.get(..bound::LOG_LINE_BYTES_MAX) {
        Some(start) if line.len() > bound::LOG_LINE_BYTES_MAX => [start, b" [cut]\n"].concat().into(),
        _ => line.into(),
    }
}

#[cfg(test)]
#[path = "tests_rolling.rs"]
mod tests;
