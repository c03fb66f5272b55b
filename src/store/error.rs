//! What can go wrong with the database, and what to do then.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::is_no_room;
use crate::base::bound;

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no Sekisho database at {}; make one with `sekisho init`", .0.display())]
    Missing(PathBuf),
    #[error("{} exists already; it was left as it is", .0.display())]
    Exists(PathBuf),
    #[error("another process has {} open", .0.display())]
    InUse(PathBuf),
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is not a database that Sekisho can open ({reason}); restore a backup, or move it away and run `sekisho init`", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "the database has schema {found}, made by a newer Sekisho; this one knows schemas up to {known}: use the newer version, or restore the copy that it made before migrating"
    )]
    Newer { found: u32, known: u32 },
    #[error("migration {number} ({name}) failed: {reason}; the copy made before it is {}", copy.display())]
    Migration { number: u32, name: &'static str, reason: String, copy: PathBuf },
    /// A copy of a database, not the database itself.
    #[error("{} is no sound copy of a database ({reason}); make another copy, and look at the disk that holds it", path.display())]
    Unsound { path: PathBuf, reason: String },
    #[error("a record of table {table} does not decode: {reason}")]
    Record { table: &'static str, reason: String },
    #[error("the store takes at most {limit} bytes in one commit, this one has {found}")]
    BatchTooLarge { found: usize, limit: usize },
    /// Not attempted, or failed for want of room; either way it is not acknowledged.
    #[error(
        "the disk that holds {} is full or its quota used up, so nothing can be recorded; free more than {} MiB there, and Sekisho goes on by itself",
        path.display(),
        (bound::BALLAST_BYTES + bound::BALLAST_MARGIN_BYTES) >> 20
    )]
    Full { path: PathBuf },
    /// Not attempted.
    #[error(
        "{} cannot be used at the moment ({reason}); it is opened again as soon as its disk answers: try again shortly, and look at the disk if this lasts",
        path.display()
    )]
    Unavailable { path: PathBuf, reason: String },
    /// Attempted: redb cannot tell whether a commit that failed reached the disk.
    #[error("the commit failed ({reason}); it counts as not done, though its rows may be found later: try again")]
    NotDurable { reason: String },
    /// Not attempted.
    #[error("somebody is reading the database for long, so nothing was moved; try again, or `sekisho drain` first")]
    Reading,
    #[error("the store is closed")]
    Closed,
    #[error("the store failed: {0}")]
    Engine(String),
}

impl StoreError {
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            kind if is_no_room(kind) => Self::Full { path: path.to_owned() },
            io::ErrorKind::AlreadyExists => Self::Exists(path.to_owned()),
            _ => Self::File { path: path.to_owned(), error },
        }
    }

    /// A copy may lie on another disk than the database: that this one is full stops nothing but the copy.
    pub(super) fn copying(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path.to_owned()),
            _ => Self::File { path: path.to_owned(), error },
        }
    }

    pub(super) fn opening(path: &Path, error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse(path.to_owned()),
            redb::DatabaseError::Storage(redb::StorageError::Io(error))
                if error.kind() != io::ErrorKind::InvalidData =>
            {
                Self::file(path, error)
            }
            other => Self::Damaged { path: path.to_owned(), reason: other.to_string() },
        }
    }
}

macro_rules! engine_errors {
    ($($kind:ty),+) => {
        $(impl From<$kind> for StoreError {
            fn from(error: $kind) -> Self {
                Self::Engine(error.to_string())
            }
        })+
    };
}
engine_errors!(redb::DatabaseError, redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);
