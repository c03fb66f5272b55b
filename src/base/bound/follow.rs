//! Limits of following files that change.

/// How long files must rest before their library is synced: an editor saves in steps, a checkout writes thousands.
pub const FOLLOW_QUIET_MS: u64 = 1_000;
/// How long changes wait at the most where something is written without an end.
pub const FOLLOW_WAIT_MS_MAX: u64 = 30_000;
/// Changes that wait to be looked at; with more, each library is synced, which costs a look at each file.
pub const FOLLOW_EVENTS_MAX: usize = 4_096;
/// Folders of one library: each takes one of the kernel's watches, of which a user has some ten thousand.
pub const FOLLOW_FOLDERS_MAX: usize = 10_000;
/// How long it takes until what could not be watched is tried again: each try looks at all folders of the library.
pub const FOLLOW_RETRY_MS: u64 = 60_000;
/// How often it is looked which libraries there are. Also how long a process lives before it follows anything: a
/// command that is done before does not begin.
pub const FOLLOW_LOOK_MS: u64 = 3_000;
