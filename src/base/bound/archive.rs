//! Limits of archives that documents come in.

/// An archive file. It is held in memory while it is read; the documentation of a large project has 30 MB.
pub const ARCHIVE_BYTES_MAX: usize = 128 << 20;
/// Files and folders in an archive.
pub const ARCHIVE_ENTRIES_MAX: usize = 200_000;
/// Documents of one archive, unpacked: what a bomb is measured by.
pub const ARCHIVE_DOCUMENTS_BYTES_MAX: u64 = 512 << 20;
/// All of a tar archive, unpacked, the files that are no documents included.
pub const ARCHIVE_STREAM_BYTES_MAX: u64 = 2 << 30;
/// Files of an archive over which its reader may be stopped before the rest is given up: each costs its time.
pub const ARCHIVE_STOPS_MAX: usize = 5;
