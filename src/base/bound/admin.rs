//! Limits of administration: what one look at the security events costs, and how long a drain may take.

/// Security events of one answer: a page that a person can look through.
pub const EVENTS_MAX: usize = 1_000;
/// Entries that one look for security events reads, from the newest back: about a second of work. The answer says
/// where to go on.
pub const EVENTS_LOOKED_AT_MAX: u64 = 50_000;
/// How long a drain waits for what is under way, unless it is told otherwise.
pub const DRAIN_SECONDS: u64 = 60;
/// The longest that it can be told to wait.
pub const DRAIN_SECONDS_MAX: u64 = 3_600;
/// How often a drain looks whether something is still under way.
pub const DRAIN_LOOK_MS: u64 = 25;
/// When a client that met a server on its way out should ask again: by then another one is there.
pub const DRAIN_RETRY_SECONDS: u64 = 5;
/// Values of one argument in a query, such as scopes.
pub const QUERY_VALUES_MAX: usize = 64;
