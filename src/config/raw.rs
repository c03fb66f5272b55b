//! The configuration as it is written. These doc comments are the manual: the JSON Schema, the commented
//! file of `init` and the list of environment variables derive from them.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "as above")]

pub mod watch;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    /// The HTTP listener: MCP at /mcp, /health, /ready.
    pub http: Http,
    /// Sessions: how long a caller is remembered.
    pub session: Session,
    /// How often one principal may call.
    pub rate: Rate,
    /// What one call, and all calls together, may use.
    pub limits: Limits,
    /// What is written into the audit log, how long it is kept, and where its checkpoints go.
    pub audit: Audit,
    /// The vault: where its secret comes from, and how old its keys may grow.
    pub vault: Vault,
    /// Backups that are made by themselves.
    pub backup: Backup,
    /// Figures for Prometheus, on a port of their own.
    pub metrics: Metrics,
    /// Rules over the audit log, and where their alerts go.
    pub watch: watch::Watch,
    /// Connections to other machines: none but those that settings name.
    pub egress: watch::Egress,
    /// The program's own log, in the data directory's logs/.
    pub log: Log,
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
    /// "bearer": each request to /mcp shows a token. "none": anybody who reaches the port is the reader "anonymous"; only on loopback.
    pub authentication: Authentication,
    /// PEM file with the certificate chain, such as "/etc/sekisho/chain.pem"; TLS 1.3 is served when it and tls_key are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<String>,
    /// PEM file with the private key of tls_certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<String>,
    /// The largest request body, in bytes.
    pub body_bytes_max: u64,
    /// How long a client may take to send its headers, in milliseconds.
    pub header_timeout_ms: u64,
    /// How long a client may take to send its body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How many connections may be open at once; more are closed at once.
    pub connections_max: u64,
    /// How long a shutdown waits for calls in flight, in milliseconds.
    pub shutdown_timeout_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:3000".into(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            authentication: Authentication::Bearer,
            tls_certificate: None,
            tls_key: None,
            body_bytes_max: 1 << 20,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            connections_max: 1024,
            shutdown_timeout_ms: 10_000,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    #[default]
    Bearer,
    None,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// A session lives this long at the most, in minutes; then it is renewed, or ends with its credential.
    pub timeout_minutes: u64,
    /// A session that is not used for this long, in minutes, is ended.
    pub idle_timeout_minutes: u64,
}

impl Default for Session {
    fn default() -> Self {
        Self { timeout_minutes: 60, idle_timeout_minutes: 15 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Calls that one principal may make in a minute, on average.
    pub per_minute: u64,
    /// Calls that one principal may make at once before the average counts.
    pub burst_limit: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_minute: 600, burst_limit: 100 }
    }
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
    /// How many days of log files are kept.
    pub keep_days: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Json, keep_days: 14 }
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
