//! Limits of connections: HTTP, TLS, and the port of the metrics.

/// The most that `http.body_bytes_max` can be set to.
pub const HTTP_BODY_BYTES_CEILING: usize = 64 << 20;
/// A body of somebody who is not known yet: an `initialize` fits many times.
pub const HTTP_BODY_BYTES_UNKNOWN_MAX: usize = 16 << 10;
/// All request headers together.
pub const HTTP_HEADER_BYTES_MAX: usize = 32 << 10;
/// Streams of one HTTP/2 connection.
pub const HTTP_STREAMS_MAX: u32 = 128;
/// Streams of one HTTP/2 connection that were reset before they were looked at; then the connection ends (rapid reset,
/// CVE-2023-44487).
pub const HTTP_RESETS_MAX: usize = 20;
/// Streams of one HTTP/2 connection that we reset for the client's errors; then the connection ends.
pub const HTTP_ERROR_RESETS_MAX: usize = 128;
/// How long a connection that was quiet for too long has to say goodbye.
pub const HTTP_GOODBYE_MS: u64 = 1000;
/// Loopback is one address for everybody on this machine, and for a proxy on it.
pub const HTTP_LOOPBACK_CONNECTIONS_FACTOR: usize = 8;
/// How long sent data may go unread by a client: one that takes nothing must not hold an answer for ever.
pub const TCP_UNREAD_MS: u32 = 30_000;
/// Calls of a client whose certificate is not believed any more may finish in this time; streams end.
pub const TLS_TRUST_END_MS: u64 = 5000;
/// A connection with a client certificate lives a year at the most: timers reach no further.
pub const TLS_TRUST_SECONDS_MAX: u64 = 31_536_000;
/// A TLS handshake; less where `http.header_timeout_ms` is less.
pub const TLS_HANDSHAKE_MS: u64 = 5000;
/// A PEM file of TLS: chains and revocation lists of many authorities fit.
pub const TLS_FILE_BYTES_MAX: u64 = 4 << 20;
/// Pause between two looks at the files of TLS: a renewed certificate may wait that long, and hashing them is cheap.
pub const TLS_LOOK_SECONDS: u64 = 5;
/// A certificate that ends within this many days is warned of: time for two weekends.
pub const TLS_EXPIRY_WARNING_DAYS: u64 = 14;
/// The warning is said again after a day, not at every look.
pub const TLS_WARNING_SECONDS: u64 = 86_400;
/// How long before now a new certificate begins: clocks differ.
pub const TLS_CLOCK_SKEW_MS: u64 = 3_600_000;
/// How long a certificate of the local authority may be made for, in days.
pub const TLS_DAYS_MAX: u64 = 3650;
/// The local authority itself: renewing it means going to every client again.
pub const TLS_AUTHORITY_DAYS: u64 = 3650;
/// Pause after `accept` failed, for example because descriptors ran out.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// Scrapes of metrics at once: one Prometheus has one, and two of them watch each other.
pub const METRICS_CONNECTIONS_MAX: usize = 16;
/// How long somebody who reads metrics may take to send headers.
pub const METRICS_HEADER_TIMEOUT_MS: u64 = 5_000;
