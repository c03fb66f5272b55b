//! A bundle: a part of the log in one file, with all that is needed to check it on another machine.
//!
//! A bundle is a tar archive of these members, in this order, and nothing else:
//!
//! | member | what it holds |
//! |---|---|
//! | `README.txt` | what this is and how to check it; the same bytes in each bundle of this version |
//! | `manifest.json` | see `manifest::Manifest` |
//! | `checkpoint.txt` | a signed checkpoint of the log, at least as large as the last entry's sequence |
//! | `leaves.jsonl` | `{"sequence":N,"leaf":"BASE64"}` a line: the leaf's exact bytes |
//! | `entries.EXTENSION` | the rendition that is made from the leaves alone, without personal parts |
//! | `personal.jsonl` | optional: `{"sequence":N,"principal":...}` a line, as it was disclosed |
//!
//! For given contents there is one archive, and any other byte is noticed; see [`crate::archive`].
//!
//! **What it proves.** The manifest is not signed, and need not be: each of its claims is checked against the root that
//! is. First sequence and peaks make, with the leaves, the root of the first `first + count` leaves; the consistency
//! proof leads from that root to the signed one, and a tree of a given size has one root. A leaf that was changed, left
//! out, added or moved gives another root. Size and origin are those of the checkpoint. The listed keys are those that
//! signed it. The readable file is made again and compared. The digests of the files only tell damage early and are
//! compared too. So whoever changes the manifest either changes nothing, or is found.
//!
//! **What it does not prove.** That the signing key is the right one, unless it was pinned: a bundle brings its own keys,
//! and a forger brings others. That nobody was shown another log: hold it against checkpoints from elsewhere. That
//! entries say what happened. What `personal.jsonl` says: the tree covers the sealed bytes, not what was opened from
//! them, and whoever changes that file can change its digest with it. The signatures of others (witnesses) in the note:
//! they are kept, and only the log's own are checked.

mod check;
mod leaf;
mod manifest;
mod marks;
mod personal;
mod spool;

use std::io::{self, Read, Write};
use std::path::Path;

use super::checkpoint::CheckpointError;
use super::entry::{Entry, Personal};
use super::proof::Wrong;
use super::render::text::excerpt;
use super::render::{FORMATS, Format};
use super::tree::Frontier;
use crate::archive::Fault;
use crate::base::bound;
use crate::base::id::NoEntropy;
use crate::crypto::digest::Hash;
use crate::crypto::sign::VerifyingKey;
use crate::store::StoreError;

const README: &str = "README.txt";
const MANIFEST: &str = "manifest.json";
const CHECKPOINT: &str = "checkpoint.txt";
const LEAVES: &str = "leaves.jsonl";
const PERSONAL: &str = "personal.jsonl";

/// The text of [`README`]. It belongs to the version of the format, so that it cannot be made to lie: a change of it is
/// a new version.
const README_TEXT: &str = include_str!("bundle/readme.txt");

/// Opens the personal part of the entry with this sequence; `None` where there is none, or its key was destroyed.
pub type Disclose<'a, E> = dyn FnMut(u64, &Entry) -> Result<Option<Personal>, E> + 'a;

/// What a bundle is made of, beside its leaves.
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Contents<'a, E> {
    /// The frontier of the leaves before the first one of the bundle; its size is the first sequence.
    pub before: &'a Frontier,
    /// A signed checkpoint that covers all leaves of the bundle.
    pub checkpoint: &'a str,
    /// The log's verifying keys. Those that signed the checkpoint go into the bundle.
    pub keys: &'a [VerifyingKey],
    /// The consistency proof from the leaf after the last one to the checkpoint's size; empty if they are the same.
    pub consistency: &'a [Hash],
    /// Of the readable file.
    pub format: Format,
    /// Whether, and how, personal parts are disclosed in a file of their own.
    pub disclose: Option<&'a mut Disclose<'a, E>>,
    /// A directory for temporary files of the bundle's size, on a disk that may hold what the bundle holds. They have no
    /// name there, and are gone when this process is.
    pub scratch: &'a Path,
}

/// A bundle that was written, and checks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub first: u64,
    pub count: u64,
    /// The size and root of the checkpoint.
    pub size: u64,
    pub root: Hash,
    /// Entries whose personal part was disclosed.
    pub disclosed: u64,
    /// Of the archive.
    pub bytes: u64,
}

/// Why a bundle was not written. What `out` has got then is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError<E> {
    #[error("the entries could not be read: {0}")]
    Source(E),
    #[error("a bundle has at least one entry; choose a range that has some")]
    Empty,
    #[error("expected entry {expected}, found {found}: the entries of a bundle follow each other")]
    Sequence { expected: u64, found: u64 },
    #[error(
        "entry {sequence} has {found} bytes, more than the {max} of any record: the log is damaged",
        max = bound::RECORD_BYTES_MAX
    )]
    TooLong { sequence: u64, found: usize },
    #[error("entry {sequence} cannot be read: {error}")]
    Leaf { sequence: u64, error: StoreError },
    #[error("the checkpoint does not open with the log's keys: {0}")]
    Checkpoint(#[from] CheckpointError),
    #[error("the entries end at {end}, the checkpoint covers only {size}; sign the log again, or choose fewer entries")]
    Beyond { end: u64, size: u64 },
    #[error("the entries do not lead to the signed root ({0}): verify the log")]
    Proof(#[from] Wrong),
    #[error("temporary files in {directory}: {error}")]
    Scratch { directory: String, error: io::Error },
    #[error("the bundle could not be written: {0}")]
    Write(io::Error),
    #[error("the manifest would have {found} bytes, more than {max}", max = bound::BUNDLE_MANIFEST_BYTES_MAX)]
    Manifest { found: usize },
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Writes a bundle of these leaves: `(sequence, bytes)`, in order, from the first sequence on, at least one.
///
/// A tar header needs the size of its member and the manifest the digests of all, so the leaves are passed through
/// temporary files; memory holds one entry. What is written was checked as [`verify`] does, but for the signatures of
/// the others.
pub fn write<E>(
    contents: Contents<'_, E>,
    leaves: impl Iterator<Item = Result<(u64, Vec<u8>), E>>,
    out: &mut impl Write,
) -> Result<Written, BundleError<E>> {
    spool::write(contents, leaves, out)
}

/// What a check of a bundle found.
pub type Verdict = super::verify::Verdict<Sound>;

/// What a sound bundle holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// The log's name, harmless for terminals.
    pub origin: String,
    pub first: u64,
    pub count: u64,
    /// The size and root of the checkpoint.
    pub size: u64,
    pub root: Hash,
    /// Whether a key signed that was known before, and not only one that the bundle names.
    pub pinned: bool,
    /// Checkpoints from outside that were compared with the bundle, and agree.
    pub compared: usize,
}

/// Checks a bundle, from its first byte to its last, and writes nothing. Memory holds one entry.
///
/// `keys` are those whose signatures count; empty: those that the bundle names, which proves less. `checkpoints` are
/// other signed notes to hold it against: those of this log, of a size from the bundle's first to its last entry, or of
/// its own checkpoint's size, are compared; those of other sizes cannot be. An error is one of reading `bundle`.
pub fn verify(bundle: &mut impl Read, keys: &[VerifyingKey], checkpoints: &[String]) -> io::Result<Verdict> {
    verify_each(bundle, keys, checkpoints, &mut |_| {})
}

/// As [`verify`], and shows each entry to `seen` while it is read. What was shown is proved only where the verdict is
/// sound.
pub fn verify_each(
    bundle: &mut impl Read,
    keys: &[VerifyingKey],
    checkpoints: &[String],
    seen: &mut dyn FnMut(&Entry),
) -> io::Result<Verdict> {
    match check::check(bundle, keys, checkpoints, seen) {
        Ok(sound) => Ok(Verdict::Sound(sound)),
        Err(Stop::Verdict(verdict)) => Ok(verdict),
        Err(Stop::Read(error)) => Err(error),
    }
}

/// Why a check ends early.
enum Stop {
    Verdict(Verdict),
    Read(io::Error),
}

impl Stop {
    fn tampered(sequence: Option<u64>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Verdict(Verdict::Tampered { sequence, expected: expected.into(), found: found.into() })
    }

    fn incomplete(reason: impl Into<String>) -> Self {
        Self::Verdict(Verdict::Incomplete { reason: reason.into() })
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Read(error) => Self::Read(error),
            Fault::Foreign => Self::incomplete("this is no audit bundle: it does not begin as one does"),
            Fault::Missing(name) => Self::incomplete(format!("the bundle has no {name} where it belongs")),
            Fault::Cut(_) => Self::incomplete(fault.to_string()),
            Fault::Changed { expected, found } => Self::tampered(None, expected, excerpt(&found)),
        }
    }
}

/// The name of the readable file.
fn entries_name(extension: &str) -> String {
    format!("entries.{extension}")
}

/// What members of a bundle may be called.
fn member_names() -> Vec<String> {
    let entries = FORMATS.map(|format| entries_name(format.extension()));
    [README, MANIFEST, CHECKPOINT, LEAVES, PERSONAL].into_iter().map(str::to_owned).chain(entries).collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_damaged;
#[cfg(test)]
mod tests_forged;
