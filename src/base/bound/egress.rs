//! Limits of connections to other machines.

/// The head of a proxy's answer: a status, and a few headers of which none is used.
pub const EGRESS_PROXY_BYTES_MAX: usize = 8 << 10;
/// The head of an answer: what common servers and clients take.
pub const EGRESS_HEAD_BYTES_MAX: usize = 64 << 10;
/// Headers of an answer.
pub const EGRESS_HEADERS_MAX: usize = 128;
/// The most redirects that a caller can ask to be followed: browsers stop at 20, and real chains have three.
pub const EGRESS_REDIRECTS_MAX: u32 = 10;
/// How long a connection waits for a route's next request: common servers close theirs after a minute or later.
pub const EGRESS_IDLE_MS: u64 = 30_000;
/// How long a connection lives at the most: then its name is looked up again.
pub const EGRESS_AGE_MS: u64 = 300_000;
/// Connections of one route that wait at once: as many as its calls are under way in a busy moment.
pub const EGRESS_IDLE_MAX: usize = 64;
/// A secret that is looked for in a redirect: shorter ones occur in URLs by chance.
pub const EGRESS_SECRET_BYTES_MIN: usize = 8;
/// One question to a DNS server, which may be lost on the way.
pub const DNS_QUESTION_MS: u64 = 2000;
/// Times that a question is asked over UDP.
pub const DNS_ATTEMPTS_MAX: u32 = 2;
/// An answer over UDP without extensions (RFC 1035, section 4.2.1); longer ones come over TCP.
pub const DNS_UDP_BYTES_MAX: usize = 512;
/// An answer over TCP or HTTPS: its length has 16 bits.
pub const DNS_ANSWER_BYTES_MAX: usize = 65_535;
/// Names that stand for one another in a row.
pub const DNS_ALIASES_MAX: usize = 8;
/// Fetching the keys of an authorization server, from the look-up of its name to the last byte: a caller waits for it.
pub const JWKS_FETCH_MS: u64 = 5_000;
/// Least time between two such fetches: whoever invents names of keys asks the other server no more often.
pub const JWKS_FETCH_BETWEEN_MS: u64 = 30_000;
/// How long such keys are used before they are fetched again: what was withdrawn there is then withdrawn here.
pub const JWKS_FRESH_MS: u64 = 3_600_000;
/// How long they are used where that fails: a server that is broken for a night shuts nobody out, and a
/// withdrawn key does not live for ever by it.
pub const JWKS_KEPT_MS: u64 = 86_400_000;
