//! Every limit, with its reason. Names end in their unit.

mod admin;
pub mod archive;
pub mod bundle;
pub mod client;
mod connection;
pub mod connector;
pub mod egress;
pub mod follow;
mod gate;
pub mod incident;
pub mod oauth;
pub mod parse;
pub mod plot;
pub mod profile;
pub mod report;
pub mod sandbox;
pub mod scan;
pub mod search;
pub mod service;
pub mod ui;
mod watch;
pub mod web;

pub use admin::{
    DRAIN_LOOK_MS, DRAIN_RETRY_SECONDS, DRAIN_SECONDS, DRAIN_SECONDS_MAX, EVENTS_LOOKED_AT_MAX, EVENTS_MAX,
    QUERY_VALUES_MAX,
};
pub use connection::{
    ACCEPT_PAUSE_MS, HTTP_BODY_BYTES_CEILING, HTTP_BODY_BYTES_UNKNOWN_MAX, HTTP_ERROR_RESETS_MAX, HTTP_GOODBYE_MS,
    HTTP_HEADER_BYTES_MAX, HTTP_LOOPBACK_CONNECTIONS_FACTOR, HTTP_RESETS_MAX, HTTP_STREAMS_MAX,
    METRICS_CONNECTIONS_MAX, METRICS_HEADER_TIMEOUT_MS, TCP_UNREAD_MS, TLS_AUTHORITY_DAYS, TLS_CLOCK_SKEW_MS,
    TLS_DAYS_MAX, TLS_EXPIRY_WARNING_DAYS, TLS_FILE_BYTES_MAX, TLS_HANDSHAKE_MS, TLS_LOOK_SECONDS, TLS_TRUST_END_MS,
    TLS_TRUST_SECONDS_MAX, TLS_WARNING_SECONDS,
};
pub use gate::{
    ACCOUNT_NAME_BYTES_MAX, ACCOUNTS_MAX, BAN_FAILURES_MAX, BAN_MEMORY_SECONDS, BAN_NETWORKS_MAX, BAN_PREFIX_MIN,
    BAN_REASON_CHARS_MAX, BAN_SUSPECTS_MAX, BANS_MAX, DENIALS_MAX, GATE_FLUSH_ROWS_MAX, GATE_FLUSH_SECONDS,
    GATE_LIST_ROWS_MAX, JWKS_BYTES_MAX, JWKS_KEYS_MAX, JWKS_LOOK_MS, JWT_BYTES_MAX, JWT_EXPIRY_SECONDS_MAX,
    JWT_FOREIGN_SECONDS, JWT_KEYS_MAX, JWT_LEEWAY_SECONDS_MAX, JWT_SECRET_BYTES_MIN, JWTS_MAX, LOOPBACK_RATE_FACTOR,
    PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, PASSWORD_DELAY_MS, PASSWORD_DELAY_MS_MAX, PASSWORD_FAILURES_MAX,
    PASSWORD_WAIT_MS, PASSWORD_WAITING_LOOPBACK_MAX, PASSWORD_WAITING_MAX, PASSWORD_WAITING_PER_ADDRESS_MAX,
    POLICIES_MAX, POLICY_DECISIONS_MAX, POLICY_FILE_BYTES_MAX, POLICY_FILES_MAX, POLICY_ID_CHARS_MAX, PROXY_HOPS_MAX,
    RATE_METERS_MAX, SCOPE_BYTES_MAX, SCOPES_MAX, SESSION_ENDS_WRITTEN_MAX, SESSION_INITIALIZE_BYTES_MAX,
    SESSION_NEWS_MAX, STRANGERS_PER_SECOND_MAX, STREAM_LOOK_SECONDS, STREAM_LOOKS_AT_CHANGES_ONLY, TOKEN_DAYS_MAX,
    TOKENS_MAX, TOOL_RATES_MAX, USED_FLUSH_SECONDS, VERIFIED_MAX, VERIFIED_SECONDS,
};
pub use parse::{
    HTML_ATTRIBUTES_MAX, HTML_DEPTH_MAX, HTML_INDENT_LEVELS_MAX, JSX_STATEMENT_BYTES_MAX, JSX_TAG_BYTES_MAX,
    JSX_WASTE_RATIO_MAX, LINK_BYTES_MAX, MARKDOWN_NESTING_MAX, TABLE_COLUMNS_MAX,
};
pub use watch::{
    ALERT_AGE_MAX, ALERT_ATTEMPTS_MAX, ALERT_BATCH_MAX, ALERT_DETAIL_CHARS_MAX, ALERT_FOLD, ALERT_FOLDS_MAX,
    ALERT_LIST_MAX, ALERT_RETRY_MS, ALERT_RETRY_MS_MAX, ALERT_ROWS_MAX, BASELINE_ADDRESSES_MAX, BASELINE_BYTES_FLOOR,
    BASELINE_CALLS_FLOOR, BASELINE_INTERVAL_MS, BASELINE_INTERVALS_MIN, BASELINE_OPERATIONS_MAX,
    BASELINE_PRINCIPALS_MAX, BASELINE_REPLAY_ENTRIES_MAX, BASELINE_WEIGHT, CHECKPOINT_POST_SECONDS,
    EGRESS_ADDRESSES_MAX, EGRESS_CONNECT_MS, EGRESS_RESPONSE_BYTES_MAX, EGRESS_TLS_MS, EGRESS_TOLD_CHARS_MAX,
    EGRESS_TOLD_QUEUED_MAX, EGRESS_TOTAL_MS, SMTP_LINE_BYTES_MAX, SMTP_LINES_MAX, SYSLOG_STREAM_BYTES_MAX,
    SYSLOG_UDP_BYTES_MAX, WATCH_AT_ONCE, WATCH_SUBJECTS_MAX, WATCH_TICK_MS, WATCH_WINDOW_SLICES,
};

// Store.

/// redb's page cache. Its default is 1 GiB; a laptop should not feel us.
pub const STORE_CACHE_BYTES: usize = 64 << 20;
/// redb takes longer keys; ours are a library's name, a path and numbers.
pub const KEY_BYTES_MAX: usize = 2048;
/// One record: a document with thousands of headings fits, and a hostile length does not.
pub const RECORD_BYTES_MAX: usize = 512 << 10;
/// Room that a record is given at first: most fit, and growing costs a copy.
pub const RECORD_BYTES_TYPICAL: usize = 384;
/// One commit: larger ones would stall every acknowledgement behind them.
pub const COMMIT_BYTES_MAX: usize = 1 << 20;
/// Rows that one removal takes in one commit: a prune of thousands is quick, and nobody waits a second behind it.
pub const REMOVAL_ROWS_MAX: usize = 10_000;
/// Least time between two attempts to reopen a failing database, or two looks for room on a full disk: reopening
/// reads the whole file, and refused callers come by the hundred.
pub const STORE_RETRY_INTERVAL_MS: u64 = 1000;
/// Blocks kept aside for a full disk: an alarm and a prune are a few copied pages each, far below a mebibyte.
pub const BALLAST_BYTES: u64 = 1 << 20;
/// Room beyond the ballast before a full disk counts as free again: two commits of the largest size with their
/// copied pages, so that the store does not swing between full and writable.
pub const BALLAST_MARGIN_BYTES: u64 = 4 << 20;
/// Batches in one commit; more gains nothing measurable.
pub const COMMIT_BATCHES_MAX: usize = 1024;
/// How often the writer lets others run before it commits fewer than it did the last time: some tens of microseconds,
/// beside a commit of some hundreds.
pub const COMMIT_YIELDS_MAX: usize = 64;
/// Batches that wait for the writer; whoever comes then waits to queue.
pub const COMMIT_QUEUE_BATCHES_MAX: usize = 4096;
/// Rows of one scan, so that a snapshot stays short.
pub const SCAN_ROWS_MAX: usize = 256;

// Audit.

/// Leaves of a tree that is built or proved: nobody writes as many, and sums of two sizes cannot overflow.
pub const TREE_LEAVES_MAX: u64 = 1 << 63;
/// Hashes of a proof that is read: a tree of 2^64 leaves needs 64, and one more where a consistency proof begins.
pub const PROOF_HASHES_MAX: usize = 65;
/// Tiles that one reader of proofs keeps: a consistency proof touches at most two on each of four levels.
pub const TILES_CACHED_MAX: usize = 8;
/// A signed note: the 16 signatures of 5 kB that its specification demands fit twice, and the text of a checkpoint.
pub const NOTE_BYTES_MAX: usize = 256 << 10;
/// Signatures of one note, of which each may cost a verification; the specification demands 16.
pub const NOTE_SIGNATURES_MAX: usize = 64;
/// The name of a key that signs notes: the longest origin that witnesses of checkpoints take.
pub const KEY_NAME_BYTES_MAX: usize = 255;
/// Entries that a slow follower of the live feed may lag behind.
pub const AUDIT_FEED_ENTRIES_MAX: usize = 4096;
/// Entries read at once.
pub const AUDIT_PAGE_ENTRIES_MAX: usize = 1000;
/// Addresses whose refusals are folded separately.
pub const FOLDED_CALLERS_MAX: usize = 4096;
/// A name from outside in an entry; longer ones are cut.
pub const AUDIT_NAME_CHARS_MAX: usize = 256;

/// Hashes of one tile of the Merkle tree, as tiled transparency logs have it.
pub const TILE_HASHES: usize = 256;
/// Signed checkpoints that the file keeps, newest last: an hour and more at one a second.
pub const CHECKPOINTS_KEPT_MAX: usize = 4096;
/// Time between checkpoints while the log grows: what was written since is what nobody has vouched for yet.
pub const CHECKPOINT_MS: u64 = 1000;
/// Verifying keys and checkpoints that a log is held against, as JSON: thousands of them.
pub const VERIFY_ARGUMENT_BYTES_MAX: usize = 4 << 20;
/// The end of a file of exported checkpoints that is read at a start and by default for a check: some two hundred.
pub const EXPORT_TAIL_BYTES: u64 = 64 << 10;
/// A file of exported checkpoints: months of them; then it begins anew beside the one before.
pub const EXPORT_FILE_BYTES_MAX: u64 = 64 << 20;
/// Rows that one commit of a prune removes; other commits go between.
pub const PRUNE_ROWS_MAX: usize = 2048;
/// Subjects whose keys are kept at hand; beyond, all are looked up anew.
pub const SUBJECTS_CACHED_MAX: usize = 4096;
/// Uses of a subject's key that are counted ahead, so that not every entry writes the count.
pub const SUBJECT_USES_RESERVED: u64 = 4096;
/// Arguments that an entry keeps, sealed, where the operator asked for it; longer ones are cut.
pub const AUDIT_ARGUMENT_BYTES_MAX: usize = 8 << 10;
/// A user agent in an entry; longer ones are cut.
pub const AUDIT_USER_AGENT_CHARS_MAX: usize = 256;

// Audit: exports, bundles, reports.

/// An application protocol in CEF (`app`): the length that its dictionary gives.
pub const CEF_APPLICATION_CHARS_MAX: usize = 31;
/// A text in CEF (`suser`, `reason`, ...): the length that its dictionary gives.
pub const CEF_TEXT_CHARS_MAX: usize = 1023;
/// A custom string in CEF (`cs1` to `cs6`): the length that its dictionary gives.
pub const CEF_CUSTOM_CHARS_MAX: usize = 4000;
/// A bundle's README.txt: the one that we know has 4 KB, one of a later version may be longer.
pub const BUNDLE_README_BYTES_MAX: usize = 64 << 10;
/// A bundle's manifest.json: 63 peaks, 65 hashes and 64 long keys take half of it.
pub const BUNDLE_MANIFEST_BYTES_MAX: usize = 64 << 10;
/// A line of a bundle's leaves.jsonl: the largest record in base64, and its sequence.
pub const BUNDLE_LEAF_LINE_BYTES_MAX: usize = RECORD_BYTES_MAX / 3 * 4 + 128;
/// A line of a bundle's personal.jsonl: the largest record, should each of its bytes need six in JSON.
pub const BUNDLE_PERSONAL_LINE_BYTES_MAX: usize = 6 * RECORD_BYTES_MAX + 1024;
/// Bytes of a bundle that are read or copied at once.
pub const BUNDLE_CHUNK_BYTES: usize = 64 << 10;
/// Places in a bundle's readable file that are remembered to tell where it was changed: 48 bytes each.
pub const BUNDLE_MARKS_MAX: usize = 4096;
/// What a verdict quotes of a bundle, which may be hostile; a line on a terminal.
pub const BUNDLE_EXCERPT_CHARS_MAX: usize = 120;
/// The version of a program in a bundle's manifest; ours has 5, and a build's name may follow.
pub const PROGRAM_VERSION_BYTES_MAX: usize = 64;
/// A time on the command line; the longest form that is taken has 35 characters, a span of many units is longer.
pub const TIME_TEXT_CHARS_MAX: usize = 64;
/// A pattern of a filter: as long as a name in an entry.
pub const FILTER_PATTERN_CHARS_MAX: usize = AUDIT_NAME_CHARS_MAX;
/// Names that one table of a report tells apart: exact up to here, with a stated error beyond.
pub const REPORT_NAMES_MAX: usize = 1024;
/// Operations whose durations a report keeps apart: each takes 4 KiB, and no Sekisho has as many operations.
pub const REPORT_OPERATIONS_MAX: usize = 256;
/// Periods in a report: a month of hours; beyond, periods become longer.
pub const REPORT_PERIODS_MAX: usize = 31 * 24;
/// Intents without an outcome that a report remembers; what is beyond is only counted.
pub const REPORT_INTENTS_MAX: usize = 16_384;
/// Subjects that a report names: those with the most calls.
pub const REPORT_SUBJECTS_MAX: usize = 10;
/// Rows of any other table of a report: more is for a query, not for a report.
pub const REPORT_ROWS_MAX: usize = 50;
/// Periods that a report shows on a terminal, the newest ones: a day of hours.
pub const REPORT_PERIODS_SHOWN_MAX: usize = 24;
/// A name in a report on a terminal; longer ones are cut.
pub const REPORT_NAME_CHARS_MAX: usize = 60;
/// The longest bar of a report on a terminal.
pub const REPORT_BAR_CHARS_MAX: usize = 40;

// Vault.

/// PBKDF2-HMAC-SHA256 iterations of a new vault, and the fewest it may have: OWASP's figure, a tenth of a second here.
pub const KDF_ITERATIONS_DEFAULT: u32 = 600_000;
/// The fewest that may be asked for explicitly: what older configurations have.
pub const KDF_ITERATIONS_WEAK: u32 = 100_000;
/// More would hang us for seconds at every try: a file that says so is hostile.
pub const KDF_ITERATIONS_MAX: u32 = 10_000_000;
/// A passphrase, or the content of a key file: four times a 4096-bit key in hexadecimal digits.
pub const VAULT_SECRET_BYTES_MAX: u64 = 4096;
/// How long the longest wait after wrong secrets is: it stops guessing, and a person who mistyped still gets in.
pub const UNSEAL_WAIT_SECONDS_MAX: u64 = 60;
/// Uses of a key that are counted ahead, so that not every sealing writes the count.
pub const NONCE_RESERVATION: u64 = 65_536;
/// Rows in turn that hold one key's count: a commit that comes late overwrites a count that is this many blocks old.
pub const NONCE_COUNT_ROWS_MAX: u64 = 64;
/// Uses after which a key is to be rotated: `OpenBao`'s figure, from NIST SP 800-38D, section 8.3, for random nonces.
pub const KEY_USES_ROTATE: u64 = 3_865_470_566;
/// Uses after which a key seals no more: 2^32, the bound of NIST SP 800-38D, section 8.3, itself.
pub const KEY_USES_MAX: u64 = 1 << 32;
/// Versions of one key in the keyring: all of them fit into a record, and a rotation each day lasts most of a year.
pub const KEY_VERSIONS_MAX: usize = 256;
/// A chunk of a sealed stream: what is read ahead of its check, and 16 bytes of tag are nothing beside it.
pub const STREAM_CHUNK_BYTES: usize = 64 << 10;
/// Credentials of one installation.
pub const CREDENTIALS_MAX: u64 = 1000;
/// Rows of history of removed credentials before a removal takes its history along; the audit log remembers longer.
pub const CREDENTIAL_HISTORY_ROWS_MAX: u64 = 20_000;
/// A credential's name stands in keys and on command lines.
pub const CREDENTIAL_NAME_BYTES_MAX: usize = 64;
/// A credential's value: a certificate chain with its key fits many times.
pub const CREDENTIAL_VALUE_BYTES_MAX: usize = 64 << 10;
/// What an operator notes about a credential.
pub const CREDENTIAL_NOTE_CHARS_MAX: usize = 500;
/// Old versions of one credential, with their sealed values.
pub const CREDENTIAL_VERSIONS_MAX: usize = 16;
/// A page of re-sealed rows stays below [`COMMIT_BYTES_MAX`], which others share.
pub const RESEAL_BATCH_BYTES: usize = 512 << 10;
/// A `.env` file that is imported.
pub const IMPORT_BYTES_MAX: usize = 1 << 20;

// Custody.

/// Characters of a passphrase at the least: shorter ones are guessed in spite of PBKDF2.
pub const PASSPHRASE_CHARS_MIN: usize = 12;
/// A secret on standard input: a certificate chain with its key fits.
pub const SECRET_INPUT_BYTES_MAX: usize = 64 << 10;
/// First round of housekeeping after the start, when the start itself is over.
pub const HOUSE_FIRST_SECONDS: u64 = 30;
/// Time between rounds of housekeeping: retention and backups count in hours.
pub const HOUSE_SECONDS: u64 = 600;
/// Time between looks at a store that is not well.
pub const STORE_PROBE_MS: u64 = 1000;
/// The header of a backup: keys and a manifest.
pub const BACKUP_HEADER_BYTES_MAX: usize = 64 << 10;

// Configuration and log.

/// Nesting of an old configuration that is imported: real ones have four levels.
pub const CONFIG_IMPORT_DEPTH_MAX: usize = 32;
/// Values of an old configuration that is imported: real ones have a hundred.
pub const CONFIG_IMPORT_NODES_MAX: usize = 10_000;
/// A configuration file: a thousand times the commented one would be a mistake.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Log lines waiting for the disk before lines are dropped.
pub const LOG_LINES_QUEUED_MAX: usize = 16_384;
/// One line of the log; longer ones are cut. No message of ours comes near.
pub const LOG_LINE_BYTES_MAX: usize = 64 << 10;
/// The same line sealed, in base64, with its number; what is longer in a file was not written by us.
pub const LOG_STORED_LINE_BYTES_MAX: usize = LOG_LINE_BYTES_MAX / 3 * 4 + 256;
/// The first line of a sealed log file: 150 bytes with a key that AES-256-GCM wrapped.
pub const LOG_HEADER_BYTES_MAX: usize = 1024;
/// Lines that wait for the vault to open before lines are dropped: a start writes some kilobytes.
pub const LOG_WAITING_BYTES_MAX: usize = 1 << 20;
/// Keys for sealed log files that are made ahead: the writer takes the next one while the first is being replaced.
pub const LOG_KEYS_READY: usize = 2;
/// Sealed log files whose keys a rekey carries over: the newest; a year of days with a dozen restarts each.
pub const LOG_KEYS_CARRIED_MAX: usize = 5_000;
/// Bytes of a log that are read at once for whoever asks.
pub const LOG_PAGE_BYTES: usize = 256 << 10;
/// Characters of a session's id in a security line: enough to tell sessions apart, too few to use one.
pub const LOG_SESSION_CHARS: usize = 12;

// Requests.

/// Upper bounds of the histogram of calls, in seconds: from a cached look-up to a call that uses its whole budget.
pub const CALL_SECONDS_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 3.0, 30.0];
/// Arguments of an operation that does not declare another size.
pub const ARGUMENT_BYTES_MAX: usize = 2048;
/// Bytes of one text that patterns are matched against: no field that reaches an interpreter may be as long.
pub const PATTERN_TEXT_BYTES_MAX: usize = 64 << 10;
/// Times that a text is decoded before it is matched: whoever encodes more often is refused for that.
pub const DECODE_ROUNDS_MAX: usize = 3;
/// A compiled set of patterns, and its cache: the shipped ones need a tenth.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 32 << 20;
/// Bytes behind an anchor that an expression for documents looks at: a sentence.
pub const ANCHORED_BYTES_MAX: usize = 256;
/// Zero-width characters in a row that are no accident: joiners of emoji and scripts stand alone.
pub const INVISIBLE_ROW_CHARS: usize = 4;
/// Findings of one call that are noted; more says nothing new.
pub const FINDINGS_MAX: usize = 16;
/// A name in the pointer of a finding; longer ones are cut.
pub const POINTER_NAME_CHARS_MAX: usize = 64;
/// A secret that a call used is looked for in its result from this size up: shorter ones stand in texts by chance.
pub const USED_SECRET_BYTES_MIN: usize = 16;
/// Secrets that one call may use.
pub const USED_SECRETS_MAX: usize = 64;
/// Keys of all objects in the arguments together: the largest tool has eight.
pub const JSON_KEYS_MAX: usize = 10_000;
/// One string in the arguments: a log that is verified and the body of an upload fit.
pub const JSON_STRING_BYTES_MAX: usize = 4 << 20;
/// Numbers beyond 2^53 are not the same in every reader of JSON (RFC 7493, section 2.2).
pub const JSON_NUMBER_MAX: f64 = 9_007_199_254_740_992.0;
/// One line of JSON-RPC over stdio.
pub const LINE_BYTES_MAX: usize = 4 << 20;
/// Requests of one stdio client that wait for an answer.
pub const RELAY_PENDING_MAX: usize = 1024;
/// How long a relay looks for a server before it gives up.
pub const RELAY_RECONNECT_MS: u64 = 10_000;
/// Bytes between a relay and a server in the same process.
pub const RELAY_BUFFER_BYTES: usize = 64 << 10;
/// Lines of a client that wait for a server.
pub const RELAY_LINES_MAX: usize = 64;
/// How long a process that gave the directory to a starting server waits for that server.
pub const YIELD_PATIENCE_MS: u64 = 3000;
/// Pause between two looks.
pub const RELAY_RETRY_MS: u64 = 20;
/// JSON nested deeper is hostile.
pub const JSON_DEPTH_MAX: usize = 64;
/// JSON with more values is hostile.
pub const JSON_NODES_MAX: usize = 100_000;
/// A schema mismatch can quote the whole value; a caller needs its beginning.
pub const SCHEMA_MESSAGE_CHARS_MAX: usize = 300;
/// Sessions at once; the quietest make room. Each takes about 300 bytes.
pub const SESSIONS_MAX: usize = 100_000;
/// Sessions that end together when there are too many: looking for the quietest reads the whole table once for as
/// many newcomers.
pub const SESSIONS_ENDED_FOR_ROOM: usize = 1_000;
/// HTTP sessions of the older protocols at once: each holds a task and its channels.
pub const HTTP_SESSIONS_MAX: usize = 10_000;
/// How often sessions are looked for that timed out, or whose credential holds no more.
pub const SESSION_SWEEP_SECONDS: u64 = 5;
/// How long a question to a person, and its sealed state, stay open.
pub const ASK_SECONDS_MAX: u64 = 600;
/// Questions that are open at once.
pub const ASKS_MAX: usize = 10_000;
/// How often a call that waits for a person is looked at.
pub const WAIT_POLL_MS: u64 = 50;
/// Changes that a slow listener may lag behind.
pub const CHANGES_MAX: usize = 1024;
/// Items in one page of a list.
pub const LIST_PAGE_ITEMS: usize = 100;
/// Values that a completion gives; the protocol allows no more.
pub const COMPLETION_VALUES_MAX: usize = 100;
/// Resources that one legacy session may subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 256;
/// Tasks kept at once, finished ones included.
pub const TASKS_MAX: usize = 1000;
/// Administrative work (a sync of a large library) may take this long.
pub const ADMIN_BUDGET_SECONDS: u64 = 24 * 3600;
/// How long an answer of /ready stands: each look is a commit, and anybody may ask.
pub const READY_CACHE_MS: u64 = 1000;
/// Events that wait for a slow reader of a streamed admin reply.
pub const STREAM_EVENTS_MAX: usize = 256;
/// A control socket's reply, read as a whole.
pub const CONTROL_LINE_BYTES_MAX: usize = 64 << 20;

// Libraries.

/// Libraries of one installation.
pub const LIBRARIES_MAX: usize = 1000;
/// A library's name stands in URIs and keys.
pub const LIBRARY_NAME_BYTES_MAX: usize = 64;
/// Files of one library.
pub const LIBRARY_FILES_MAX: usize = 500_000;
/// A document's path below its root.
pub const DOCUMENT_PATH_BYTES_MAX: usize = 1024;
/// A document's text as Markdown: conversion from HTML adds a little to the largest source.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// A piece of a body in one row.
pub const BODY_CHUNK_BYTES: usize = 256 << 10;
/// Pieces of the largest body, should it not compress at all.
pub const BODY_CHUNKS_MAX: usize = 2 * BODY_BYTES_MAX / BODY_CHUNK_BYTES;
/// A sync's commits stay below [`COMMIT_BYTES_MAX`], which others share.
pub const SYNC_BATCH_BYTES: usize = 640 << 10;
/// Failures that a sync report lists; the rest is counted.
pub const SYNC_FAILURES_LISTED_MAX: usize = 100;
/// Threads for blocking work: searches, a sync, reading documents.
pub const BLOCKING_THREADS_MAX: usize = 32;
/// Searches at once: each takes a blocking thread and a core.
pub const SEARCHES_MAX: usize = 8;
/// Hits of one page.
pub const HITS_PER_PAGE_MAX: usize = 50;
/// A search may skip this many hits; whoever wants more should ask more precisely.
pub const HITS_OFFSET_MAX: usize = 900;
/// Characters of a query in a schema, until the setting `inspect.max_query_length` takes its place.
pub const QUERY_CHARS_MAX: usize = 500;
/// The arguments of a search: the longest query that can be set, 2000 Japanese characters, escaped.
pub const SEARCH_ARGUMENT_BYTES_MAX: usize = 16 << 10;
/// Tokens of a page of a document, unless asked otherwise.
pub const PAGE_TOKENS_DEFAULT: usize = 2000;
/// The most tokens of a page.
pub const PAGE_TOKENS_MAX: usize = 50_000;

// Search.

/// Bytes of a query that are read: a pasted error with its stack fits, a pasted file does not.
pub const QUERY_BYTES_MAX: usize = 2048;
/// Distinct terms of a query that are looked up: a long claim has 40, and each costs four dictionary look-ups.
pub const QUERY_TERMS_MAX: usize = 64;
/// A repeated term counts at most this often, so that one word said a hundred times cannot drown the others.
pub const QUERY_REPEATS_MAX: u32 = 4;
/// Neighbouring pairs of terms looked for as phrases: position lists are the costly part of an index.
pub const QUERY_PHRASES_MAX: usize = 12;
/// Index terms that stand in for one query term without an exact hit (prefix of the last word, single CJK character).
pub const QUERY_EXPANSIONS_MAX: usize = 32;
/// Dictionary entries read to find those expansions: one letter can begin a hundred thousand terms.
pub const EXPANSION_SCAN_MAX: usize = 4096;
/// Characters of an index term: longer runs are data, not words. Counted in characters, or Japanese gets a third.
pub const TERM_CHARS_MAX: usize = 64;
/// Combining marks taken with one character: more is noise made to be slow, and is cut into several characters.
pub const MARKS_CHARS_MAX: usize = 16;
/// Hits in one answer: an agent reads 10, an operator's table shows 100.
pub const HITS_MAX: usize = 100;
/// How deep paging goes: whoever is not served by a thousand hits needs another query.
pub const RANKED_HITS_MAX: usize = 1000;
/// Passages of one document in a ranking, so that one long page cannot fill the answer.
pub const DOCUMENT_HITS_MAX: u32 = 2;
/// Characters of a snippet: about three lines, enough to judge a passage and cheap for ten of them.
pub const SNIPPET_CHARS_MAX: usize = 240;
/// Bytes of a passage that are searched for its snippet: keeps a page of hits under a millisecond.
pub const SNIPPET_SOURCE_BYTES_MAX: usize = 12 * 1024;
/// Bytes of a library's name and a path together: an index term holds 65,535, a path on disk 4,096.
pub const DOCUMENT_KEY_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one `name=value` facet: beyond that it is text, and is cut (also when asked for).
pub const FACET_BYTES_MAX: usize = 256;
/// Bytes of a document's prose that are indexed a second time as a whole: the largest page of the known corpora has
/// 350 KB. What a longer one says after that still counts for its own passages.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Memory of the one indexing thread before it writes a segment; 15 MB is tantivy's own minimum.
pub const INDEX_WRITER_MEMORY_BYTES: usize = 50 * 1000 * 1000;
/// An index up to this size is read through and its checksums verified when opened: about a quarter of a second.
pub const INDEX_VERIFY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Part of a segment's passages that may be deleted before it is merged; tantivy's own 1.0 never merges for deletes.
pub const INDEX_DELETED_RATIO_MAX: f32 = 0.2;

// Parsing.

/// A document file. The largest page of the known corpora is 350 KB; a file of 16 MiB is a data dump, not a page.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Sections of one document. The largest known page has 170; ten thousand would let one file drown the index.
pub const DOCUMENT_SECTIONS_MAX: usize = 10_000;
/// A section is cut at block boundaries above this: about 2,000 tokens, what an agent reads in one sitting.
pub const SECTION_BYTES_MAX: usize = 8 * 1024;
/// A code fence stays whole up to this, for half a program is of little use; above it is data, and is cut between lines.
pub const FENCE_BYTES_MAX: usize = 64 * 1024;
/// A heading or title in plain text. It is repeated in every trail below it, so a huge one would multiply.
pub const HEADING_BYTES_MAX: usize = 512;
/// Front matter, before it is given to a YAML or TOML parser. Real ones stay below 4 KB.
pub const FRONT_MATTER_BYTES_MAX: usize = 64 * 1024;
/// Nesting of front matter values, for they are walked recursively.
pub const FRONT_MATTER_DEPTH_MAX: usize = 32;
/// Values of the front matter after expansion of YAML aliases: what an alias bomb is measured by.
pub const FRONT_MATTER_NODES_MAX: usize = 10_000;
/// Entries of broken front matter that are read one by one; real ones have a dozen.
pub const FRONT_MATTER_ENTRIES_MAX: usize = 256;
/// Facets of one document: each is a field that the index has to carry.
pub const DOCUMENT_FACETS_MAX: usize = 64;
/// Values of one facet: a list longer than this is data, not a label.
pub const FACET_VALUES_MAX: usize = 64;
/// One facet value: a label that fits on a line, not prose.
pub const FACET_VALUE_BYTES_MAX: usize = 128;
/// Warnings kept for one document: the first ones tell the story.
pub const DOCUMENT_WARNINGS_MAX: usize = 16;
