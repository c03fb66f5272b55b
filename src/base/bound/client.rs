//! Limits of what is read and shown of other programs' configuration files.

/// A client's configuration file: the largest ones, which keep a history in it, have a few MiB.
pub const CLIENT_FILE_BYTES_MAX: u64 = 64 << 20;
/// Levels of nesting in one: its parser calls itself for each, and real files have ten.
pub const CLIENT_FILE_DEPTH_MAX: usize = 128;
/// Characters of a line of a change that is shown: some clients write their whole file as one line.
pub const CLIENT_DIFF_LINE_CHARS_MAX: usize = 160;
