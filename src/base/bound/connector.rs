//! Limits of connectors: the document that describes an API, what is made of it, and what goes over the wire.

/// An OpenAPI document: GitHub's, the largest that is in daily use, has 13 MB.
pub const OPENAPI_DOCUMENT_BYTES_MAX: usize = 32 << 20;
/// The URL of a document that is fetched.
pub const DOCUMENT_URL_BYTES_MAX: usize = 1_024;
/// For fetching a document: a large one over a slow line, and an operator who waits.
pub const DOCUMENT_FETCH_MS: u64 = 30_000;
/// Values of a document: GitHub's has 260,000. Each takes up to 100 bytes once it is read.
pub const OPENAPI_NODES_MAX: usize = 1_000_000;
/// Nesting of a document: real ones reach 40. Schemas are walked recursively.
pub const OPENAPI_DEPTH_MAX: usize = 96;
/// Aliases of a YAML document, of each anchor too: hand-written ones repeat a few blocks.
pub const OPENAPI_ALIASES_MAX: usize = 1_000;
/// Events that aliases of a YAML document may repeat: what an alias bomb is measured by.
pub const OPENAPI_ALIAS_EVENTS_MAX: usize = 100_000;
/// Operations of one document: GitHub has 1,200, the largest cloud providers 3,000.
pub const OPENAPI_OPERATIONS_MAX: usize = 4_000;
/// References that are followed to one thing: real documents have chains of two or three.
pub const OPENAPI_REFERENCES_MAX: usize = 16;
/// Definitions that mean one another in a row about the very same value: inheritance has three or four levels.
pub const OPENAPI_CHAIN_MAX: usize = 24;
/// Definitions of one operation: validators walk from one into the next.
pub const OPENAPI_DEFINITIONS_MAX: usize = 400;
/// Values of the schema of one result. Beyond, it is not told: see [`TOOL_OUTPUT_BYTES_MAX`].
pub const OPENAPI_RESULT_NODES_MAX: usize = 2_000;
/// Values of the schemas of one operation, those that it refers to included. Beyond, the operation is left out.
pub const OPENAPI_SCHEMA_NODES_MAX: usize = 20_000;
/// All schemas of one document together, in values: each operation has its own copy of what others use too. GitHub's
/// have a fifth of it.
pub const OPENAPI_SCHEMAS_NODES_MAX: usize = 2_000_000;
/// Parameters of one operation, and properties of one body that become arguments.
pub const OPENAPI_PARAMETERS_MAX: usize = 256;
/// Tags of one operation.
pub const OPENAPI_TAGS_MAX: usize = 16;
/// Content types and responses of one operation that are looked at.
pub const OPENAPI_RESPONSES_MAX: usize = 64;
/// A name in a document: of a parameter, a property, a tag. Longer ones are no names.
pub const OPENAPI_NAME_BYTES_MAX: usize = 256;
/// A path with its parameters, and the path of a server.
pub const OPENAPI_PATH_BYTES_MAX: usize = 1024;
/// A one-line text of a document that an agent reads.
pub const OPENAPI_SUMMARY_CHARS_MAX: usize = 160;
/// A description of an operation: two paragraphs. It is untrusted text in the agent's context, and costs tokens.
pub const OPENAPI_DESCRIPTION_CHARS_MAX: usize = 1_000;
/// A description of one value in a schema.
pub const OPENAPI_VALUE_DESCRIPTION_CHARS_MAX: usize = 300;
/// A default, constant or enumerated value in a schema, as JSON.
pub const OPENAPI_VALUE_BYTES_MAX: usize = 4 << 10;
/// Parts of operations left out that a report lists; the rest is counted. Whole operations are listed up to
/// [`OPENAPI_OPERATIONS_MAX`].
pub const OPENAPI_LEFT_OUT_MAX: usize = 1_000;

/// A connector's name: it begins the names of its tools, and leaves 39 characters for the rest.
pub const CONNECTOR_NAME_BYTES_MAX: usize = 24;
/// Connectors of one installation.
pub const CONNECTORS_MAX: usize = 100;
/// A tool's name: what clients and models take.
pub const TOOL_NAME_CHARS_MAX: usize = 64;
/// Hexadecimal digits of the digest that makes a shortened name unique.
pub const TOOL_NAME_DIGEST_CHARS: usize = 8;
/// The schema of a tool's arguments, as JSON: about 16,000 tokens. Longer ones lose their descriptions first.
pub const TOOL_INPUT_BYTES_MAX: usize = 64 << 10;
/// The schema of a tool's result, as JSON. A longer one is not told.
pub const TOOL_OUTPUT_BYTES_MAX: usize = 32 << 10;
/// A base URL, as an operator types it.
pub const BASE_URL_BYTES_MAX: usize = 512;
/// A URL that is asked for: what servers take at the least.
pub const WIRE_URL_BYTES_MAX: usize = 8 << 10;
/// One header or cookie that an argument sets.
pub const WIRE_HEADER_BYTES_MAX: usize = 4 << 10;
/// A body: the largest argument that is taken, and its frame.
pub const WIRE_BODY_BYTES_MAX: usize = 8 << 20;
/// Times that a path segment is decoded in search of a way out of its place.
pub const SEGMENT_DECODE_ROUNDS_MAX: usize = 4;
/// Nesting of an object that is written as `name[key][key]`.
pub const DEEP_OBJECT_DEPTH_MAX: usize = 8;
/// The name of an uploaded file.
pub const FILE_NAME_CHARS_MAX: usize = 255;
/// Values that a difference between two versions of an operation lists; the rest is counted.
pub const DIFF_CHANGES_MAX: usize = 50;
/// Characters of one such value, before and after.
pub const DIFF_VALUE_CHARS_MAX: usize = 200;
/// A document as an argument: LZ4 in base64. GitHub's needs a tenth.
pub const DOCUMENT_ARGUMENT_BYTES_MAX: usize = 4 << 20;
/// Picks of one kind, and operations that are switched at once.
pub const PICKS_MAX: usize = 256;
/// Words of a question for operations; more say nothing new.
pub const FIND_WORDS_MAX: usize = 32;
/// Operations that one search gives: an agent reads ten.
pub const FIND_HITS_MAX: usize = 50;
/// Security schemes of a document, as JSON: one or two are usual.
pub const SECURITY_BYTES_MAX: usize = 64 << 10;
/// Content types of one response that are remembered.
pub const OPENAPI_CONTENT_TYPES_MAX: usize = 16;

/// Texts of a document with characters that are not seen, which are remembered until it was looked at.
pub const OPENAPI_HIDDEN_MAX: usize = 64;
/// Findings in the words of one tool: the first ones say enough.
pub const TOOL_FINDINGS_MAX: usize = 4;
/// Findings in the words of a document that belong to no tool.
pub const DOCUMENT_FLAGS_MAX: usize = 8;
/// Names of tools with findings that a refusal lists; the rest is counted.
pub const FLAGGED_NAMES_MAX: usize = 20;

// Uploads.

/// Places in which an answer may name the upload that it begins.
pub const UPLOAD_POINTERS_MAX: usize = 16;
/// Uploads in pieces that are followed at once: each costs some hundred bytes, and 32 for each piece.
pub const UPLOADS_MAX: usize = 256;
/// Uploads in pieces of one principal that are followed at once: nobody takes the places of all others.
pub const UPLOADS_PER_PRINCIPAL_MAX: usize = 16;
/// Pieces of one upload: 10,000, as object stores have it.
pub const UPLOAD_PIECES_MAX: usize = 10_000;
/// The name by which an API calls an upload.
pub const UPLOAD_ID_BYTES_MAX: usize = 256;
/// How long an upload in pieces is followed after its last piece.
pub const UPLOAD_IDLE_MS: u64 = 3_600_000;
/// An upload in pieces that a scanner looks at when it is whole; until then it is held in memory. clamd takes 25 MiB
/// unless it is told otherwise.
pub const UPLOAD_SCANNED_BYTES_MAX: usize = 32 << 20;
/// All uploads that are held for a scanner.
pub const UPLOADS_SCANNED_BYTES_MAX: usize = 128 << 20;
/// Those of one principal: what one begins and leaves keeps nobody else out.
pub const UPLOADS_SCANNED_PER_PRINCIPAL_BYTES_MAX: usize = 64 << 20;
/// How long an upload is held for a scanner after its last piece: it costs memory, which others wait for.
pub const UPLOAD_HELD_IDLE_MS: u64 = 300_000;
/// How often it is looked for uploads that nobody goes on with.
pub const UPLOAD_LOOK_MS: u64 = 60_000;
/// Asking a scanner about one file, from the connection to its verdict.
pub const SCAN_MS_MAX: u64 = 20_000;
/// What a scanner answers: a line.
pub const SCAN_ANSWER_BYTES_MAX: usize = 4 << 10;
/// The name of what a scanner found, as it is told.
pub const SCAN_NAME_CHARS_MAX: usize = 120;
/// A piece of a file on its way to a scanner.
pub const SCAN_CHUNK_BYTES: usize = 64 << 10;

// Settings of one connector.

/// Where a scanner or a proxy is, as an operator types it.
pub const PLACE_BYTES_MAX: usize = 512;
/// Authorities of one connector, in PEM: a site has one or two, of some thousand bytes.
pub const AUTHORITIES_BYTES_MAX: usize = 64 << 10;
/// Networks that one connector's host may be in.
pub const NETWORKS_MAX: usize = 16;

// Calls.

/// What an entry says of a call beside its end: the credential, the files, the requests.
pub const CALL_NOTES_MAX: usize = 32;
/// Arguments of an operation without a body: a long query and its names.
pub const CALL_ARGUMENT_BYTES_MAX: usize = 64 << 10;
/// Arguments of an operation with a body, in JSON: a file of 4 MiB in base64 and what stands beside it.
pub const CALL_BODY_ARGUMENT_BYTES_MAX: usize = 6 << 20;
/// An answer of an API, in bytes: ten times what a result may have by default, so that what is cut is told.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;
/// An answer that is neither JSON nor text and is passed on in base64: it fits a result of the default size.
pub const ANSWER_BINARY_BYTES_MAX: usize = 512 << 10;
/// Characters of another machine's word on an error: its code, its message.
pub const ANSWER_MESSAGE_CHARS_MAX: usize = 1_000;
/// Details of another machine's error, as JSON; longer ones are left out.
pub const ANSWER_DETAILS_BYTES_MAX: usize = 8 << 10;
/// Redirects that one call of an operation that reads follows: APIs have one, to a name with a slash or to a store.
pub const REDIRECTS_MAX: u32 = 3;
/// Attempts of one call of an idempotent operation: more only make an outage worse.
pub const CALL_ATTEMPTS_MAX: u32 = 3;
/// The first wait before another attempt; it doubles, and between half and all of it is waited.
pub const CALL_RETRY_MS: u64 = 200;
/// What must be left of a call's time for another attempt to be worth its while.
pub const CALL_RETRY_LEFT_MS_MIN: u64 = 50;
/// The longest `Retry-After` that is believed: a day.
pub const RETRY_AFTER_SECONDS_MAX: u64 = 86_400;
/// Failures in a row after which a connector's API is left alone for a while.
pub const BREAKER_FAILURES_MAX: u32 = 5;
/// Breakers that remember a failure: one for each connector, and one for each principal whose calls failed.
pub const BREAKERS_MAX: usize = 4096;
/// How long it is left alone before one call tries it again.
pub const BREAKER_OPEN_MS: u64 = 30_000;
/// A header or parameter that carries a credential.
pub const BINDING_NAME_BYTES_MAX: usize = 64;
/// Operations that one search of an agent gives unless it asks for more.
pub const FIND_HITS_DEFAULT: usize = 8;
