//! Limits of logging in to the APIs of connectors by OAuth 2.0.

/// One request to an authorization server, from the name to the last byte: people wait for it, and so do calls.
pub const OAUTH_REQUEST_MS: u64 = 15_000;
/// An answer of an authorization server: tokens and metadata have a few KiB.
pub const OAUTH_ANSWER_BYTES_MAX: usize = 64 << 10;
/// A token, a code, a state: the largest that go into a header of ours with everything else.
pub const OAUTH_TOKEN_BYTES_MAX: usize = 8 << 10;
/// A client's id.
pub const OAUTH_CLIENT_ID_BYTES_MAX: usize = 256;
/// Scopes that are asked for.
pub const OAUTH_SCOPES_MAX: usize = 64;
/// One scope: some are URLs.
pub const OAUTH_SCOPE_BYTES_MAX: usize = 256;
/// A URL of an authorization server, as an operator types it or as its metadata names it.
pub const OAUTH_URL_BYTES_MAX: usize = 1024;
/// How long before its end an access token is refreshed; of a short-lived one a tenth of its life.
pub const OAUTH_EARLY_SECONDS: u64 = 60;
/// An access token's life that is believed: a year. Beyond, a 401 says that it is over.
pub const OAUTH_LIFE_SECONDS_MAX: u64 = 366 * 86_400;
/// How long an authorization server that failed is left alone, so that waiting calls do not storm it.
pub const OAUTH_RETRY_SECONDS: u64 = 5;
/// The longest that it is left alone because it said so: an hour. A day would outlast what keeps people waiting for it.
pub const OAUTH_RETRY_SECONDS_MAX: u64 = 3_600;
/// How often tokens that the API refused are replaced within [`OAUTH_RENEWALS_SECONDS`]: once is usual. An API that
/// refuses whatever it is shown would make every call a refresh.
pub const OAUTH_RENEWALS_MAX: u32 = 3;
/// See [`OAUTH_RENEWALS_MAX`].
pub const OAUTH_RENEWALS_SECONDS: u64 = 30;
/// How long a person has for logging in, a second factor included.
pub const OAUTH_LOGIN_SECONDS: u64 = 600;
/// Logins that wait for their person.
pub const OAUTH_LOGINS_MAX: usize = 256;
/// Logins of one principal that wait: each connector's newest, and a browser that was closed. Nobody takes the places of
/// all others.
pub const OAUTH_LOGINS_PER_PRINCIPAL_MAX: usize = 8;
/// Identities whose tokens are in memory; more are read again from the store.
pub const OAUTH_SLOTS_MAX: usize = 4_096;
/// What an authorization server sent back through the browser, as a query.
pub const OAUTH_CALLBACK_BYTES_MAX: usize = 16 << 10;
/// How often a device asks whether its person has logged in, where the server does not say (RFC 8628, section 3.2).
pub const OAUTH_POLL_SECONDS: u64 = 5;
/// The longest time between two such questions that is believed.
pub const OAUTH_POLL_SECONDS_MAX: u64 = 60;
/// The head of a request to the command line's own listener: a browser's, with its cookies for this machine.
pub const OAUTH_LISTENER_BYTES_MAX: usize = 32 << 10;
/// Connections that the command line's listener looks at before it gives up: browsers ask for icons too.
pub const OAUTH_LISTENER_REQUESTS_MAX: usize = 64;
/// How long one of them may take: the browser is on this machine.
pub const OAUTH_LISTENER_READ_MS: u64 = 5_000;
/// A name and a password that a person types.
pub const OAUTH_PASSWORD_BYTES_MAX: usize = 1024;
/// The port of a redirect address that nobody listens to, for whoever pastes it.
pub const OAUTH_PASTE_PORT: u16 = 33_418;
