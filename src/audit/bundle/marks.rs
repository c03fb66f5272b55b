//! Marks in the readable file: its digest at the ends of some lines, so that a change can be told from what entry on.

use std::io::{self, Read};

use super::Stop;
use crate::archive::Member;
use crate::audit::render::{Renderer, Shown};
use crate::base::bound;
use crate::crypto::digest::{Hash, Hasher};

/// The readable file as the leaves make it, of which only digests are kept.
///
/// The first entries are all marked. When there are [`bound::BUNDLE_MARKS_MAX`] marks, every second is dropped, and from
/// then on half as many are set; so a change in a bundle of 4,096 entries is told to the entry, in one of a million to
/// the 256 around it.
pub(super) struct Marks {
    renderer: Renderer,
    hasher: Hasher,
    bytes: u64,
    line: Vec<u8>,
    ends: Vec<Mark>,
    /// Entries from one mark to the next.
    stride: u64,
    /// Entries since the last mark.
    unmarked: u64,
    first: u64,
    next: u64,
}

/// An end of a line.
struct Mark {
    /// The entry after it.
    next: u64,
    /// Bytes of the file up to here, and their digest.
    bytes: u64,
    hash: Hash,
}

/// Where the file in a bundle differs first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The first entry of the range, or none if it is not in the lines of entries.
    pub(super) sequence: Option<u64>,
    /// The range in words.
    pub(super) place: String,
}

impl Marks {
    pub(super) fn new(renderer: Renderer, first: u64) -> io::Result<Self> {
        let mut line = Vec::new();
        renderer.heading(&mut line)?;
        let mut hasher = Hasher::default();
        hasher.update(&line);
        let bytes = line.len() as u64;
        let mut marks =
            Self { renderer, hasher, bytes, line, ends: Vec::new(), stride: 1, unmarked: 0, first, next: first };
        marks.set();
        Ok(marks)
    }

    /// Adds the line of the next entry.
    pub(super) fn add(&mut self, shown: &Shown<'_>) -> io::Result<()> {
        self.line.clear();
        self.renderer.entry(shown, &mut self.line)?;
        self.hasher.update(&self.line);
        self.bytes += self.line.len() as u64;
        self.next += 1;
        self.unmarked += 1;
        if self.unmarked == self.stride {
            self.set();
        }
        Ok(())
    }

    fn set(&mut self) {
        if self.ends.len() >= bound::BUNDLE_MARKS_MAX {
            // The first is the end of the heading, and stays.
            let mut number = 0;
            self.ends.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.stride *= 2;
        }
        self.ends.push(Mark { next: self.next, bytes: self.bytes, hash: self.hasher.clone().finish() });
        self.unmarked = 0;
    }

    /// Holds the file against what was added, and tells where it differs first. Reads up to there.
    pub(super) fn compare<R: Read>(&mut self, member: &mut Member<'_, R>) -> Result<Option<Difference>, Stop> {
        if self.unmarked > 0 {
            self.set();
        }
        let mut hasher = Hasher::default();
        let mut at = 0;
        let mut from = self.first;
        let mut chunk = vec![0; bound::BUNDLE_CHUNK_BYTES];
        for mark in &self.ends {
            while at < mark.bytes {
                let wanted = usize::try_from(mark.bytes - at).unwrap_or(usize::MAX).min(chunk.len());
                let got = member.read(chunk.get_mut(..wanted).unwrap_or_default())?;
                if got == 0 {
                    break;
                }
                at += got as u64;
                hasher.update(chunk.get(..got).unwrap_or_default());
            }
            if at < mark.bytes || hasher.clone().finish() != mark.hash {
                return Ok(Some(Difference::between(from, mark.next)));
            }
            from = mark.next;
        }
        let is_longer = member.bytes() > self.bytes;
        Ok(is_longer.then(|| Difference { sequence: None, place: "after the last entry".to_owned() }))
    }
}

impl Difference {
    fn between(from: u64, next: u64) -> Self {
        match next - from {
            0 => Self { sequence: None, place: "before the first entry".to_owned() },
            1 => Self { sequence: Some(from), place: format!("in entry {from}") },
            _ => Self { sequence: Some(from), place: format!("in entries {from} to {}", next - 1) },
        }
    }
}
