//! Limits of the gate: rates, sessions, bans, policies, accounts and tokens.

/// Callers of one kind (principals, sessions, addresses) whose rates are counted one by one; when so many are at work
/// at once, all others share one count. Each takes about 400 bytes.
pub const RATE_METERS_MAX: usize = 100_000;
/// Rules in `rate.per_tool`: an installation has a few dozen tools.
pub const TOOL_RATES_MAX: usize = 256;
/// What an address of this machine may ask, as a multiple of `rate.per_address`: all its users and tools share it.
pub const LOOPBACK_RATE_FACTOR: u32 = 10;
/// How often used rates and the last use of sessions are written: what a crash forgets at the most.
pub const GATE_FLUSH_SECONDS: u64 = 5;
/// Rows of one such commit: below [`super::COMMIT_BYTES_MAX`] with room to spare.
pub const GATE_FLUSH_ROWS_MAX: usize = 500;
/// Bans at once; a list of more is a job for a firewall. A new one of Sekisho's own takes the place of the one that
/// ends first.
pub const BANS_MAX: usize = 10_000;
/// Banned networks of more than one address: each is looked at for each request.
pub const BAN_NETWORKS_MAX: usize = 1_000;
/// The widest networks that can be banned, in bits of IPv4 and IPv6: what is wider is a slip.
pub const BAN_PREFIX_MIN: (u8, u8) = (8, 16);
/// How long after its end an address's ban is remembered, so that the next one is longer.
pub const BAN_MEMORY_SECONDS: u64 = 24 * 3600;
/// The most that `ban.authentication_failures` can be set to: their times are kept.
pub const BAN_FAILURES_MAX: usize = 100;
/// Addresses whose failed authentications are counted; the quietest make room. Each takes up to 900 bytes.
pub const BAN_SUSPECTS_MAX: usize = 10_000;
/// Characters of the reason of a ban.
pub const BAN_REASON_CHARS_MAX: usize = 256;
/// Credentials whose session an administrator ended and that were not issued again.
pub const DENIALS_MAX: usize = 100_000;
/// Rows of an answer that lists sessions or bans.
pub const GATE_LIST_ROWS_MAX: usize = 1_000;
/// Sessions that ended together and get an entry each; more share one.
pub const SESSION_ENDS_WRITTEN_MAX: usize = 8;
/// Hops that a header of proxies may name: real ones have two or three.
pub const PROXY_HOPS_MAX: usize = 32;
/// What a client says of itself when it begins a session of an older protocol, as far as it is kept: a client with
/// more to say begins anew after a restart.
pub const SESSION_INITIALIZE_BYTES_MAX: usize = 8 << 10;
/// News of ended sessions that a slow listener may lag behind; it then looks at all of its own.
pub const SESSION_NEWS_MAX: usize = 1024;
/// Policy files: people read them all to know what is allowed.
pub const POLICY_FILES_MAX: usize = 256;
/// One policy file, in bytes: a thousand policies.
pub const POLICY_FILE_BYTES_MAX: usize = 256 << 10;
/// Policies in force, the shipped ones included: each new question is put to all of them.
pub const POLICIES_MAX: usize = 5000;
/// A policy's `@id`: it stands in audit entries.
pub const POLICY_ID_CHARS_MAX: usize = 64;
/// Decisions that are remembered, at about 300 bytes each.
pub const POLICY_DECISIONS_MAX: usize = 10_000;
/// Bearer tokens of one installation.
pub const TOKENS_MAX: usize = 10_000;
/// Accounts of one installation: people and services, not customers.
pub const ACCOUNTS_MAX: usize = 10_000;
/// Bytes of an account's or a token's name: it stands in keys, claims and audit entries.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 64;
/// Characters of an account's password at the least (NIST SP 800-63B asks for eight, and for more where it is alone).
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Bytes of a password: a long passphrase in any script fits, and nobody makes us hash a file.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Callers that wait for their password to be hashed: at a tenth of a second each, the last one waits some seconds.
pub const PASSWORD_WAITING_MAX: usize = 64;
/// Of these callers, those of one address (of IPv6: one /64): whoever sends wrong passwords for many names leaves the
/// other places to others.
pub const PASSWORD_WAITING_PER_ADDRESS_MAX: usize = 8;
/// The same for this machine, whose users and proxies share one address; some places stay free all the same.
pub const PASSWORD_WAITING_LOOPBACK_MAX: usize = 32;
/// How long a caller waits for its turn at hashing before it is told to come back.
pub const PASSWORD_WAIT_MS: u64 = 10_000;
/// The first pause before the next hash of an account with a wrong password; each further failure doubles it.
pub const PASSWORD_DELAY_MS: u64 = 100;
/// The longest such pause: it makes guessing slow and keeps nobody out.
pub const PASSWORD_DELAY_MS_MAX: u64 = 5_000;
/// Names whose failures are remembered, known or not; beyond, those that failed least recently are forgotten.
pub const PASSWORD_FAILURES_MAX: usize = 10_000;
/// How long a verified credential is remembered, so that not every request costs a hash.
pub const VERIFIED_SECONDS: u64 = 300;
/// Verified credentials that are remembered: beyond, all are verified anew.
pub const VERIFIED_MAX: usize = 10_000;
/// How often it is written down when accounts and tokens were last used.
pub const USED_FLUSH_SECONDS: u64 = 60;
/// Scopes of one token, and the bytes of one: a short list that an operator types.
pub const SCOPES_MAX: usize = 32;
/// Bytes of a scope such as `library:manual`.
pub const SCOPE_BYTES_MAX: usize = 128;
/// Days that a token may be valid: whoever needs longer leaves its end out.
pub const TOKEN_DAYS_MAX: u64 = 3650;
/// A JWT in a header: claims of the largest known authorization servers fit into half of it.
pub const JWT_BYTES_MAX: usize = 8 << 10;
/// An HS256 secret: as many bits as the hash has (RFC 7518, section 3.2).
pub const JWT_SECRET_BYTES_MIN: usize = 32;
/// The most that clocks may differ, in seconds: more would keep expired tokens alive.
pub const JWT_LEEWAY_SECONDS_MAX: u64 = 60;
/// How long an issued JWT may be valid, in seconds: 90 days. Longer wants an API key, which says when it was used.
pub const JWT_EXPIRY_SECONDS_MAX: u64 = 90 * 86_400;
/// How long the revocation of a JWT that was issued elsewhere is kept: until nobody accepts it any more.
pub const JWT_FOREIGN_SECONDS: u64 = 366 * 86_400;
/// JWTs that are remembered as issued or revoked.
pub const JWTS_MAX: usize = 10_000;
/// Secrets that verify JWTs: rotations overlap by the life of one token.
pub const JWT_KEYS_MAX: usize = 64;
/// A file with the public keys of an authorization server; real ones have a few kilobytes.
pub const JWKS_BYTES_MAX: u64 = 256 << 10;
/// Keys of such a file.
pub const JWKS_KEYS_MAX: usize = 64;
/// Least time between two looks whether that file changed.
pub const JWKS_LOOK_MS: u64 = 2_000;
/// How often it is looked whether the credential behind an open stream still holds.
pub const STREAM_LOOK_SECONDS: u64 = 5;
/// Of those looks, so many in turn only ask whether anything was changed: what expires is found within a minute.
pub const STREAM_LOOKS_AT_CHANGES_ONLY: u32 = 12;
/// Refusals of addresses that show nothing get so many entries of their own in a second, from all addresses together; the
/// rest is counted into one: somebody with a thousand networks must not fill the disk.
pub const STRANGERS_PER_SECOND_MAX: usize = 64;
