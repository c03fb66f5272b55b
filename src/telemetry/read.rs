//! Reads log files back, plain and sealed: what is damaged is told with its place, and the rest goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Take};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Deserialize;

use super::folder::LogName;
use super::sealed::{Header, LineOpener};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;

/// One line as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Line {
        text: String,
    },
    /// This is not as it was written.
    Damaged {
        reason: String,
    },
    /// The end of a sealed file that a kill cut, or that is being written.
    Cut,
}

/// A piece, and the line of the file that it stands in, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub place: u64,
    pub piece: Piece,
}

/// Why nothing of a file can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("its first line is no header of a sealed log: it was changed, or cut before its first line was whole")]
    Header,
    #[error("{0}")]
    Key(String),
}

/// One file, as long as it was when it was opened.
#[derive(Debug)]
pub struct LogReader {
    lines: BufReader<Take<File>>,
    place: u64,
    opener: Option<LineOpener>,
    /// The number that the next sealed line should have.
    expected: u64,
}

impl LogReader {
    /// `unwrap` gives the key of a sealed file.
    pub fn open(
        directory: &Path,
        name: LogName,
        unwrap: impl FnOnce(&Header) -> Result<Secret, String>,
    ) -> Result<Self, ReadError> {
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(no_follow).open(directory.join(name.to_string()))?;
        let bytes = file.metadata()?.len();
        let mut reader = Self { lines: BufReader::new(file.take(bytes)), place: 0, opener: None, expected: 1 };
        if name.is_sealed {
            let header = header_of(&mut reader.lines)?;
            reader.place = 1;
            let key = unwrap(&header).map_err(ReadError::Key)?;
            let opener = LineOpener::new(header.id, &key).map_err(|error| ReadError::Key(error.to_string()))?;
            reader.opener = Some(opener);
        }
        Ok(reader)
    }

    /// The next pieces, some hundred; none at the end.
    pub fn page(&mut self) -> io::Result<Vec<Placed>> {
        let mut pieces = Vec::new();
        let mut bytes = 0;
        while bytes < bound::LOG_PAGE_BYTES {
            let Some(line) = self.line()? else { break };
            bytes += line.len();
            self.read(&line, &mut pieces);
        }
        Ok(pieces)
    }

    /// With its end, if it has one.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let most = bound::LOG_STORED_LINE_BYTES_MAX as u64;
        (&mut self.lines).take(most).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.place += 1;
        if line.len() as u64 == most && !line.ends_with(b"\n") {
            self.lines.skip_until(b'\n')?;
            line.push(b'\n');
        }
        Ok(Some(line))
    }

    fn read(&mut self, line: &[u8], pieces: &mut Vec<Placed>) {
        let place = self.place;
        let mut push = |piece| pieces.push(Placed { place, piece });
        let whole = line.strip_suffix(b"\n");
        let text = String::from_utf8_lossy(whole.unwrap_or(line));
        let Some(opener) = &self.opener else {
            return push(Piece::Line { text: text.into_owned() });
        };
        if whole.is_none() {
            return push(Piece::Cut);
        }
        let Some((number, text)) = opener.open(&text) else {
            // It stands where this number is expected.
            self.expected += 1;
            return push(Piece::Damaged { reason: "it does not open: it was changed, or is not from here".into() });
        };
        let expected = std::mem::replace(&mut self.expected, number.saturating_add(1));
        if number > expected {
            push(Piece::Damaged { reason: format!("lines {expected} to {} are missing before it", number - 1) });
        } else if number < expected {
            push(Piece::Damaged { reason: format!("line {number} stands where {expected} should be") });
        }
        push(Piece::Line { text: String::from_utf8_lossy(&text).into_owned() });
    }
}

/// What a sealed file says of itself.
pub fn header(directory: &Path, name: LogName) -> Result<Header, ReadError> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_follow).open(directory.join(name.to_string()))?;
    header_of(&mut BufReader::new(file.take(bound::LOG_HEADER_BYTES_MAX as u64)))
}

fn header_of(lines: &mut BufReader<Take<File>>) -> Result<Header, ReadError> {
    let mut line = Vec::new();
    lines.take(bound::LOG_HEADER_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").ok_or(ReadError::Header)?;
    std::str::from_utf8(line).ok().and_then(Header::parse).ok_or(ReadError::Header)
}

/// How severe a line is, the least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Debug,
    Info,
    Warn,
    Error,
    Security,
}

impl Severity {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "trace" | "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "security" => Self::Security,
            _ => return None,
        })
    }
}

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    pub since: Option<Timestamp>,
    pub severity_min: Option<Severity>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    timestamp: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    level: std::borrow::Cow<'a, str>,
}

impl Wanted {
    /// A line in neither format of ours is wanted: what nobody understands should be seen.
    pub fn matches(&self, line: &str) -> bool {
        if self.since.is_none() && self.severity_min.is_none() {
            return true;
        }
        let (timestamp, level) = if let Ok(head) = serde_json::from_str::<Head<'_>>(line) {
            (head.timestamp.into_owned(), head.level.into_owned())
        } else {
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next().unwrap_or_default(), words.next().unwrap_or_default())
        };
        let at = timestamp.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
        let (Some(at), Some(severity)) = (at, Severity::parse(&level)) else { return true };
        self.since.is_none_or(|since| at >= since.0) && self.severity_min.is_none_or(|least| severity >= least)
    }
}

#[cfg(test)]
#[path = "tests_read.rs"]
mod tests;
