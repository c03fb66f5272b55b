//! Limits of the watch, of alerts, and of connections to other machines.

use std::time::Duration;

/// How often the watch looks for storms that are over, and tries again what the store would not take.
pub const WATCH_TICK_MS: u64 = 1000;
/// Slices of a sliding window: a count is at the most one sixtieth of the window behind.
pub const WATCH_WINDOW_SLICES: usize = 60;
/// Callers that one rule counts at once; about 600 bytes each. Whoever was seen longest ago makes room.
pub const WATCH_SUBJECTS_MAX: usize = 4096;
/// The window of rules that fire at the first event; how long it is makes no difference.
pub const WATCH_AT_ONCE: Duration = Duration::from_mins(1);
/// Principals whose habits are known; about 30 KB each at the most.
pub const BASELINE_PRINCIPALS_MAX: usize = 1024;
/// Operations that one principal is known to use. The catalogue has fewer today; connectors add hundreds.
pub const BASELINE_OPERATIONS_MAX: usize = 256;
/// Addresses that one principal is known to come from.
pub const BASELINE_ADDRESSES_MAX: usize = 64;
/// Habits are measured in intervals of 10 minutes: shorter ones tell bursts, longer ones tell too late.
pub const BASELINE_INTERVAL_MS: u64 = 10 * 60 * 1000;
/// Intervals with any call before an amount can be unusual: fewer make no mean.
pub const BASELINE_INTERVALS_MIN: u64 = 12;
/// Weight of the newest interval in the mean: about the last twenty count.
pub const BASELINE_WEIGHT: f64 = 0.1;
/// Calls in an interval that are never unusual: small numbers vary by large factors.
pub const BASELINE_CALLS_FLOOR: f64 = 100.0;
/// Bytes given out in an interval that are never unusual: a few long documents.
pub const BASELINE_BYTES_FLOOR: f64 = 1024.0 * 1024.0;
/// Entries of the past from which the habits are learnt anew at a start: a second's work in the background.
pub const BASELINE_REPLAY_ENTRIES_MAX: u64 = 20_000;
/// Characters of an entry's reason that an alert quotes.
pub const ALERT_DETAIL_CHARS_MAX: usize = 400;
/// The same event of the same subject within this time is one alert with a count.
pub const ALERT_FOLD: Duration = Duration::from_mins(5);
/// Alerts that are folded at once; beyond it each is told by itself.
pub const ALERT_FOLDS_MAX: usize = 4096;
/// Rows of alerts that are kept, delivered or not: the oldest go. About 3 MB.
pub const ALERT_ROWS_MAX: u64 = 10_000;
/// Alerts of one answer to `alert list`.
pub const ALERT_LIST_MAX: usize = 1000;
/// Alerts that one place is given in one go before its cursor is written.
pub const ALERT_BATCH_MAX: usize = 32;
/// Attempts to deliver one alert: with the waits below they span about six hours.
pub const ALERT_ATTEMPTS_MAX: u32 = 32;
/// The first wait after a failed delivery; it doubles each time.
pub const ALERT_RETRY_MS: u64 = 1000;
/// The longest wait between two attempts: a receiver that is back is used within a quarter of an hour.
pub const ALERT_RETRY_MS_MAX: u64 = 15 * 60 * 1000;
/// Age beyond which an alert is not delivered any more: what is a day old is read in the list.
pub const ALERT_AGE_MAX: Duration = Duration::from_hours(24);

// Egress.

/// Between two checkpoints that are posted: each is a connection of its own, and the newest covers the others.
pub const CHECKPOINT_POST_SECONDS: u64 = 10;
/// Connections that wait to be written into the audit log; beyond it they are only logged.
pub const EGRESS_TOLD_QUEUED_MAX: usize = 256;
/// A TCP connection to another machine: three retransmitted SYNs.
pub const EGRESS_CONNECT_MS: u64 = 5000;
/// A TLS handshake with another machine.
pub const EGRESS_TLS_MS: u64 = 5000;
/// One exchange with another machine, from looking up its name to the end of its answer.
pub const EGRESS_TOTAL_MS: u64 = 15_000;
/// Addresses of one name that are tried, in order.
pub const EGRESS_ADDRESSES_MAX: usize = 4;
/// An answer of a webhook: only its status is used, and the beginning is told where it is an error.
pub const EGRESS_RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// Characters of another machine's error that are told.
pub const EGRESS_TOLD_CHARS_MAX: usize = 200;
/// Lines of an SMTP server's answer, and bytes of one (RFC 5321, section 4.5.3.1.5, allows 512).
pub const SMTP_LINES_MAX: usize = 64;
/// See [`SMTP_LINES_MAX`]; servers exceed the 512 of the RFC.
pub const SMTP_LINE_BYTES_MAX: usize = 2048;
/// A syslog message that every receiver takes over UDP without fragments (RFC 5426, section 3.2).
pub const SYSLOG_UDP_BYTES_MAX: usize = 2048;
/// A syslog message over a stream: what most receivers take (RFC 5425, section 4.3.1, asks for 8192).
pub const SYSLOG_STREAM_BYTES_MAX: usize = 8192;
