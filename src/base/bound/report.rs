//! Limits of reports: what a person reads, and what an answer may carry.

/// Steps that a report's time is cut into: bars that a page shows beside each other.
pub const STEPS_MAX: u64 = 120;
/// Rows of each list of entries; the others are counted. Together with the other lists it stays below the largest answer.
pub const ROWS_MAX: usize = 200;
/// Rows of keys, credentials, tokens and accounts.
pub const AGES_MAX: usize = 500;
/// Operations whose durations are told.
pub const LATENCIES_MAX: usize = 50;
/// Characters of an entry's reason that a report quotes.
pub const REASON_CHARS_MAX: usize = 300;
/// Acknowledgements of alerts that are remembered while a log is read: as many as alerts are kept.
pub const ACKNOWLEDGED_MAX: usize = 10_000;
/// An account or token that was not used for so many days is told as stale: a quarter, the usual time between reviews.
pub const STALE_DAYS: u64 = 90;
/// What PCI DSS 4.0.1, requirement 10.5.1, asks of the history of an audit log: a year.
pub const YEAR_DAYS: u64 = 365;
/// What 45 CFR 164.316(b)(2)(i) asks of documentation: six years.
pub const SIX_YEARS_DAYS: u64 = 2190;
