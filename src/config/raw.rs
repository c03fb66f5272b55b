//! The configuration as it is written. These doc comments are the manual: the JSON Schema, the commented
//! file of `init` and the list of environment variables derive from them.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "as above")]

pub mod contacts;
pub mod egress;
pub mod upkeep;
pub mod watch;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod execution;
mod gate;

pub use execution::ToolExecution;
pub use gate::{Admin, Auth, AuthScheme, Ban, Bind, Rate, Session, WhenFull};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    /// The HTTP listener: MCP at /mcp, /health, /ready.
    pub http: Http,
    /// How callers over HTTP prove who they are.
    pub auth: Auth,
    /// Administration over HTTP.
    pub admin: Admin,
    /// Sessions: how long a caller is remembered.
    pub session: Session,
    /// How often one principal, one session and one address may call.
    pub rate: Rate,
    /// Addresses that are shut out for a while because their credentials failed.
    pub ban: Ban,
    /// What one call, and all calls together, may use.
    pub limits: Limits,
    /// What one call of an agent may use beside the time of limits.call_timeout_ms.
    pub tool_execution: ToolExecution,
    /// What is written into the audit log, how long it is kept, and where its checkpoints go.
    pub audit: Audit,
    /// The vault: where its secret comes from, and how old its keys may grow.
    pub vault: Vault,
    /// Policies: who may do what. Roles come with Sekisho, files of yours add to them.
    pub policy: Policy,
    /// Profiles: what is special about one set of documents. Some come with Sekisho, folders of yours add to them.
    pub profile: Profile,
    /// Libraries of documents: whether they follow their files, and whose bundles are taken.
    pub library: Library,
    /// Backups that are made by themselves.
    pub backup: Backup,
    /// Figures for Prometheus, on a port of their own.
    pub metrics: Metrics,
    /// Rules over the audit log, and where their alerts go.
    pub watch: watch::Watch,
    /// What a running server looks at by itself, so that neglect is noticed before it hurts.
    pub upkeep: upkeep::Upkeep,
    /// Who hears of incidents and grave alerts, and who is named to whoever finds a weakness.
    pub contacts: contacts::Contacts,
    /// Connections to other machines: none but those that settings name.
    pub egress: egress::Egress,
    /// The program's own log, in the data directory's logs/.
    pub log: Log,
    /// What the arguments of a call must look like before anything is done with them.
    pub inspect: Inspect,
    /// What may not leave in a result.
    pub redact: Redact,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on. Port 0 takes any free port.
    pub listen: String,
    /// Host names, with or without a port, that requests may name beside localhost, 127.0.0.1 and [::1]. Anything else is refused (DNS rebinding).
    pub allowed_hosts: Vec<String>,
    /// Web origins, such as "https://app.example.org", whose pages may call. Requests without an Origin header are not affected.
    pub allowed_origins: Vec<String>,
    /// "required" (or "bearer", its older name): each request to /mcp shows a credential. "none": whoever reaches the port and shows none is the reader "anonymous"; only on loopback.
    pub authentication: Authentication,
    /// How clients reach this server, such as "https://mcp.example.org": named in challenges and metadata. Empty: as the client's Host header says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Networks of proxies in front of Sekisho, such as "10.0.0.0/8" or "192.0.2.7", whose word on the client's address is taken. Everybody else's is ignored.
    pub trusted_proxies: Vec<String>,
    /// The header in which those proxies name the client: "x-forwarded-for", "forwarded" (RFC 7239), "x-real-ip".
    pub client_address_header: ClientAddressHeader,
    /// A Unix socket, such as "/run/sekisho/http.sock", that is listened on as well: MCP at /mcp for users of the socket's group (mode 0660). Tokens are asked for as over TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix_socket: Option<String>,
    /// PEM file with the certificate chain, such as "/etc/sekisho/chain.pem"; TLS is served when it and tls_key are set. Changed files are taken without a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<String>,
    /// PEM file with the private key of tls_certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<String>,
    /// "1.3", or "1.2" for clients that know nothing newer.
    pub tls_min_version: TlsVersion,
    /// PEM file with the authorities whose client certificates are believed (mTLS). Empty: no certificate is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<String>,
    /// "optional": a client may show a certificate of tls_client_ca. "required": without one there is no connection.
    pub tls_client: TlsClient,
    /// PEM file with a revocation list of each authority in tls_client_ca. An expired list admits no certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_crl: Option<String>,
    /// The largest request body, in bytes.
    pub body_bytes_max: u64,
    /// How long a client may take to send its headers, in milliseconds.
    pub header_timeout_ms: u64,
    /// How long a client may take to send its body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a connection may stay open without a request, in milliseconds. HTTP/1.1 waits no longer than header_timeout_ms.
    pub idle_timeout_ms: u64,
    /// How many connections may be open at once; more are closed at once.
    pub connections_max: u64,
    /// How many of them one address may have (an IPv6 /64 is one address); loopback may have eight times as many.
    pub connections_per_address_max: u64,
    /// How long a shutdown waits for calls in flight, in milliseconds.
    pub shutdown_timeout_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:3000".into(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            authentication: Authentication::Required,
            public_url: None,
            trusted_proxies: Vec::new(),
            client_address_header: ClientAddressHeader::XForwardedFor,
            unix_socket: None,
            tls_certificate: None,
            tls_key: None,
            tls_min_version: TlsVersion::Tls13,
            tls_client_ca: None,
            tls_client: TlsClient::Optional,
            tls_client_crl: None,
            body_bytes_max: 1 << 20,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 60_000,
            connections_max: 1024,
            connections_per_address_max: 128,
            shutdown_timeout_ms: 10_000,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    #[default]
    #[serde(alias = "bearer")]
    Required,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddressHeader {
    #[default]
    XForwardedFor,
    Forwarded,
    XRealIp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TlsClient {
    #[default]
    Optional,
    Required,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Calls of one session that may run at once; more are refused.
    pub in_flight_per_session_max: u64,
    /// Calls of all sessions that may run at once; more are refused.
    pub in_flight_max: u64,
    /// How long an operation may work, in milliseconds, unless it declares another time itself.
    pub call_timeout_ms: u64,
    /// The largest result, in bytes; what is longer is cut, with a notice.
    pub output_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight_per_session_max: 64, in_flight_max: 512, call_timeout_ms: 3000, output_bytes_max: 1 << 20 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// "calls": every call, refusal, authentication, session and administrative event. "all": lists too.
    pub level: AuditLevel,
    /// "digest": an entry has only a keyed digest of a call's arguments. "sealed": the arguments too, sealed with the subject's key.
    pub arguments: AuditArguments,
    /// Days after which entries are pruned, in whole tiles of 256. 0 keeps them for ever.
    pub retention_days: u64,
    /// Bytes of entries after which the oldest are pruned, in whole tiles of 256. 0 sets no bound.
    pub retention_bytes_max: u64,
    /// File to which signed checkpoints are appended: put it on another disk or a mounted share, where whoever changes the database cannot change it. Empty: checkpoints.log in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_file: Option<String>,
    /// Send signed checkpoints to the system log as well.
    pub checkpoint_syslog: bool,
    /// URL to which the newest signed checkpoint is posted, at most every 10 seconds: https://..., or http:// to this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_webhook: Option<String>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            level: AuditLevel::Calls,
            arguments: AuditArguments::Digest,
            retention_days: 0,
            retention_bytes_max: 0,
            checkpoint_file: None,
            checkpoint_syslog: false,
            checkpoint_webhook: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditArguments {
    #[default]
    Digest,
    Sealed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vault {
    /// File with the secret that opens the vault, mode 0400. Empty: vault-key in the data directory. A systemd credential named sekisho-vault comes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Days after which data keys are rotated by themselves. 0 leaves it to you.
    pub rotation_days: u64,
}

impl Default for Vault {
    fn default() -> Self {
        Self { key_file: None, rotation_days: 90 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Folder with your policies, files named *.cedar. Empty: policies in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Seconds between looks at the folder: what changed there comes into force by itself.
    pub look_seconds: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { directory: None, look_seconds: 30 }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Folder whose folders are profiles of yours; one with the name of a shipped profile takes its place. Empty: only those that are shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Library {
    /// Sync the libraries of folders, files and archives by themselves when files change, a second after the last change. Off: after "sekisho library sync".
    pub follow: bool,
    /// Keys (NAME+ID+KEY) that may have signed a bundle that is imported, beside those that the import names.
    pub trusted_keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// Folder for backups that a running server makes by itself. Empty: none are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Hours between them.
    pub every_hours: u64,
    /// How many are kept; the oldest go.
    pub keep: u64,
}

impl Default for Backup {
    fn default() -> Self {
        Self { directory: None, every_hours: 24, keep: 7 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditLevel {
    #[default]
    Calls,
    All,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port of http://ADDRESS/metrics. Empty: none. Where the port is taken, the server runs without, and says so.
    pub listen: String,
    /// What the names begin with: "expo_mcp" keeps the dashboards of that server.
    pub prefix: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9090".into(), prefix: "sekisho".into() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least severe message that is written: "error", "warn", "info", "debug".
    pub level: LogLevel,
    /// "json": one JSON object a line. "text": for people.
    pub format: LogFormat,
    /// How many days of log files are kept, today included.
    pub keep_days: u64,
    /// A log file that would grow beyond so many bytes is full, and another one is begun.
    pub bytes_max: u64,
    /// All log files together have at most about so many bytes; the oldest go.
    pub total_bytes_max: u64,
    /// Addresses in security lines lose their last octet (IPv4) or their last 80 bits (IPv6).
    pub mask_addresses: bool,
    /// Log files are sealed under the vault's key for logs; `sekisho log cat` shows them. Files that are there stay as they are.
    pub encrypt: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Json,
            keep_days: 14,
            bytes_max: 64 << 20,
            total_bytes_max: 1 << 30,
            mask_addresses: true,
            encrypt: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Json,
    Text,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inspect {
    /// The largest arguments of an agent's call, in bytes of JSON; operations that need more declare it themselves.
    pub max_tool_args_size_bytes: u64,
    /// The longest URI of a resource, in characters.
    pub max_resource_uri_length: u64,
    /// The longest query or question, in characters.
    pub max_query_length: u64,
    /// Check arguments against the JSON Schema of their operation.
    pub validate_json_schema: bool,
    /// Refuse paths, URIs and names that lead out of their place, in every encoding.
    pub sanitize_file_paths: bool,
    /// Look for SQL, shell, template, LDAP, header and script injection.
    pub prevent_code_injection: bool,
    /// The most that patterns do in queries, messages and prompts: "off", "flag" (note it in the audit log), "block" (refuse the call).
    pub free_text: Mode,
    /// The same in paths, URIs and names.
    pub paths: Mode,
    /// The same in all other fields.
    pub other: Mode,
    /// Rules that are not looked for, by id, such as "sql.union_select". The manual's page "inspection" lists them.
    pub rules_off: Vec<String>,
    /// Modes of groups of rules, whatever the keys above say: "GROUP.CLASS=MODE", such as "sql.free_text=block". Classes: free_text, path, other, document.
    pub group_modes: Vec<String>,
    /// Names of filters that may be used beside those made of letters, digits and "_", such as "page-type".
    pub filter_names: Vec<String>,
}

impl Default for Inspect {
    fn default() -> Self {
        Self {
            max_tool_args_size_bytes: 2048,
            max_resource_uri_length: 512,
            max_query_length: 500,
            validate_json_schema: true,
            sanitize_file_paths: true,
            prevent_code_injection: true,
            free_text: Mode::Flag,
            paths: Mode::Block,
            other: Mode::Block,
            rules_off: Vec::new(),
            group_modes: Vec::new(),
            filter_names: Vec::new(),
        }
    }
}

/// What is done when a pattern is found, from nothing up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Off,
    Flag,
    Block,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redact {
    /// E-mail addresses, card numbers, US social security numbers and telephone numbers in results: "off" leaves them, "mask" puts ***MASKED*** in their place. In the log they are always masked.
    pub personal_data: PersonalData,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonalData {
    #[default]
    Off,
    Mask,
}
