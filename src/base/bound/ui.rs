//! Bounds of the dashboard: its sessions in browsers, its streams, and how much one page shows.

/// How long a browser's session lives at the most without a page that somebody asked for, whatever
/// `session.idle_timeout_minutes` says: half an hour is a long telephone call, and a screen that was left alone is closed
/// after it.
pub const UI_IDLE_SECONDS: u64 = 30 * 60;

/// How long it lives at all, whatever `session.timeout_minutes` says: a working day. Then its person logs in again.
pub const UI_SESSION_SECONDS: u64 = 10 * 3600;

/// Sessions of all browsers at once: there are few operators, and what many logins leave must not grow.
pub const UI_SESSIONS_MAX: usize = 256;

/// Sessions of one account at the most, or `session.max_concurrent_sessions`: one for each screen of a person. One more
/// ends the one that was quiet longest.
pub const UI_SESSIONS_PER_ACCOUNT_MAX: usize = 8;

/// Streams of live events that one browser's session has open: a tab or two. Each holds a place among the calls that run.
pub const UI_STREAMS_MAX: usize = 2;

/// How long one stream lives. The browser opens another one by itself, and shows its cookie again to do so.
pub const UI_STREAM_SECONDS: u64 = 300;

/// How often a stream looks whether its session still holds, and tells the browser that it is there.
pub const UI_STREAM_LOOK_SECONDS: u64 = 3;

/// After how many seconds whoever wants to verify the log while it is verified asks again: ten thousand entries take less.
pub const VERIFY_RETRY_SECONDS: u64 = 5;

/// Entries that the page of live events begins with.
pub const UI_LIVE_ENTRIES: usize = 50;

/// Rows of one table on a page: more than anybody reads; a search narrows them.
pub const UI_ROWS_MAX: usize = 200;

/// Fields of one form that are looked at; the largest form has a dozen.
pub const UI_FIELDS_MAX: usize = 64;

/// Lines that an operation tells while it runs and that one page takes up; as many entries as `audit.search` gives.
pub const UI_LINES_MAX: usize = 10_000;

/// Bytes of one form. The largest holds a password and a few names.
pub const UI_FORM_BYTES_MAX: usize = 64 << 10;

/// Entries that a look over the log goes through, newest first. It takes a tenth of a second, once: the next look goes on
/// from it. What is older is in the report, which takes its time.
pub const ACTIVITY_ENTRIES_MAX: u64 = 20_000;

/// Bars of one chart: as many as are told apart at a glance.
pub const ACTIVITY_BUCKETS_MAX: u64 = 60;

/// Rows of operations and of reasons in a look over the log.
pub const ACTIVITY_ROWS_MAX: usize = 8;

/// Looks that are kept, to go on from: one for each span that the first page offers.
pub const ACTIVITY_KEPT_MAX: usize = 4;

/// Names that are counted in such a look: refused names can be made up by anybody.
pub const ACTIVITY_NAMES_MAX: usize = 512;
