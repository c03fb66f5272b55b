//! The valid configuration: every value checked once, at the edge, and typed.

pub mod auth;
pub mod contacts;
pub mod egress;
pub mod env;
pub mod execution;
pub mod exposed;
pub mod file;
pub mod import;
mod inspect;
mod line;
mod metrics;
pub mod mask;
pub mod origin;
mod personal;
pub mod place;
pub mod preset;
pub mod raw;
pub mod target;
pub mod upkeep;
pub mod watch;
mod gate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::bound;
use crate::base::network::Network;
pub use auth::Auth;
use raw::{Authentication, LogFormat, LogLevel, Raw, TlsClient, TlsVersion};

/// What the program runs with. Made by [`file::load`] only.
#[derive(Clone, Debug)]
pub struct Config {
    pub http: Http,
    pub auth: Auth,
    pub session: Session,
    pub rate: Rate,
    pub ban: Ban,
    pub limits: Limits,
    pub tool_execution: execution::ToolExecution,
    pub audit: Audit,
    pub vault: Vault,
    pub policy: Policy,
    pub profile: Profile,
    pub backup: Backup,
    pub metrics: metrics::Metrics,
    pub watch: watch::Watch,
    pub upkeep: upkeep::Upkeep,
    pub contacts: contacts::Contacts,
    pub egress: egress::Egress,
    pub log: Log,
    pub inspect: Inspect,
    pub redact: raw::Redact,
    /// As written, defaults and overrides included: what `config show` prints.
    pub raw: Raw,
    pub origins: origin::Origins,
}

#[derive(Clone, Debug)]
pub struct Http {
    pub listen: SocketAddr,
    /// Host names that a request may name, loopback names included.
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub authentication: Authentication,
    /// Without a slash at its end.
    pub public_url: Option<String>,
    pub proxies: Proxies,
    /// Listened on beside the port.
    pub unix_socket: Option<PathBuf>,
    pub tls: Option<Tls>,
    pub body_bytes_max: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    /// For connections without a request.
    pub idle_timeout: Duration,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub shutdown_timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub version_min: TlsVersion,
    pub client: Option<ClientTls>,
}

/// Which client certificates are asked for and believed.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub authorities: PathBuf,
    pub revoked: Option<PathBuf>,
    pub is_required: bool,
}

/// Whose word on the client's address is taken, and where it stands.
#[derive(Clone, Debug)]
pub struct Proxies {
    pub trusted: Vec<Network>,
    pub header: raw::ClientAddressHeader,
}

#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub timeout: Duration,
    pub idle_timeout: Duration,
    /// Sessions of one principal at once; `None` sets no bound.
    pub concurrent_max: Option<usize>,
    pub when_full: raw::WhenFull,
    /// How often a session in use gets a new id; `None`: never, not even when it is renewed.
    pub rotation: Option<Duration>,
    pub bind: raw::Bind,
}

#[derive(Clone, Debug)]
pub struct Rate {
    pub per_minute: u32,
    pub burst_limit: u32,
    /// Within an hour.
    pub per_session: u32,
    /// Within a minute.
    pub per_address: u32,
    /// Names of tools, and calls of each within a minute.
    pub per_tool: Vec<(String, u32)>,
}

/// When an address is banned for its failed authentications.
#[derive(Clone, Copy, Debug)]
pub struct Ban {
    /// `None`: never.
    pub failures: Option<usize>,
    pub window: Duration,
    /// Of the first one.
    pub length: Duration,
    pub length_max: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub in_flight_per_session_max: usize,
    pub in_flight_max: usize,
    pub call_timeout: Duration,
    pub output_bytes_max: usize,
}

#[derive(Clone, Debug)]
pub struct Audit {
    /// Lists are recorded too.
    pub all: bool,
    /// Arguments are kept, sealed.
    pub arguments: bool,
    pub retention: Retention,
    pub checkpoint_file: Option<PathBuf>,
    pub checkpoint_syslog: bool,
    pub checkpoint_webhook: Option<target::Url>,
}

/// How long entries are kept; `None` sets no bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    pub age_max: Option<Duration>,
    pub bytes_max: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Vault {
    pub key_file: Option<PathBuf>,
    /// Age at which data keys are rotated; `None`: never by themselves.
    pub rotation: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    /// `None`: where [`place::Places::policies`] says.
    pub directory: Option<PathBuf>,
    pub look: Duration,
}

#[derive(Clone, Debug)]
pub struct Profile {
    /// `None`: only shipped profiles.
    pub directory: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Backup {
    pub directory: Option<PathBuf>,
    pub every: Duration,
    pub keep: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    pub keep_days: usize,
    pub bytes_max: u64,
    pub total_bytes_max: u64,
    pub mask_addresses: bool,
    pub encrypt: bool,
}

#[derive(Clone, Debug)]
pub struct Inspect {
    pub argument_bytes_max: usize,
    pub uri_chars_max: usize,
    pub query_chars_max: usize,
    pub validate_json_schema: bool,
    pub sanitize_file_paths: bool,
    pub prevent_code_injection: bool,
    pub free_text: raw::Mode,
    pub paths: raw::Mode,
    pub other: raw::Mode,
    /// Ids; whether there are such rules is known where the rules are.
    pub rules_off: Vec<String>,
    pub group_modes: Vec<GroupMode>,
    pub filter_names: Vec<String>,
}

/// The mode of a group of rules in a class of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMode {
    pub group: String,
    pub class: String,
    pub mode: raw::Mode,
}

/// A value that has the right type and still cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// Dotted key, `http.listen`.
    pub key: &'static str,
    pub expected: String,
    pub found: String,
}

impl Config {
    /// Checks what was written. All impossible values are named, not only the first.
    pub fn of(raw: Raw) -> Result<Self, Vec<Impossible>> {
        let mut check = Check::default();
        let config = Self {
            http: check.http(&raw.http),
            auth: check.auth(&raw.auth),
            session: check.session(&raw.session),
            rate: check.rates(&raw.rate),
            ban: check.ban(&raw.ban),
            limits: check.limits(&raw.limits),
            tool_execution: check.tool_execution(&raw.tool_execution),
            audit: check.audit(&raw.audit),
            vault: Vault {
                key_file: check.path("vault.key_file", raw.vault.key_file.as_deref()),
                rotation: check.days("vault.rotation_days", raw.vault.rotation_days),
            },
            policy: Policy {
                directory: check.path("policy.directory", raw.policy.directory.as_deref()),
                look: Duration::from_secs(check.within("policy.look_seconds", raw.policy.look_seconds, 1, 3600)),
            },
            profile: Profile { directory: check.path("profile.directory", raw.profile.directory.as_deref()) },
            backup: Backup {
                directory: check.path("backup.directory", raw.backup.directory.as_deref()),
                every: Duration::from_secs(3600 * check.within("backup.every_hours", raw.backup.every_hours, 1, 8760)),
                keep: check.size("backup.keep", raw.backup.keep, 1, 1000),
            },
            metrics: check.metrics(&raw.metrics),
            watch: check.watch(&raw.watch, raw.rate.per_session),
            upkeep: check.upkeep(&raw.upkeep),
            contacts: check.contacts(&raw.contacts),
            egress: check.egress(&raw.egress),
            log: check.log(&raw.log),
            inspect: check.inspect(&raw.inspect),
            redact: raw.redact,
            raw,
            origins: origin::Origins::default(),
        };
        if check.problems.is_empty() { Ok(config) } else { Err(check.problems) }
    }
}

/// Gathers what cannot be.
#[derive(Default)]
struct Check {
    problems: Vec<Impossible>,
}

impl Check {
    fn http(&mut self, http: &raw::Http) -> Http {
        Http {
            listen: self.listen("http.listen", &http.listen),
            allowed_hosts: http.allowed_hosts.clone(),
            allowed_origins: self.origins(&http.allowed_origins),
            authentication: http.authentication,
            public_url: self.public_url(http.public_url.as_deref()),
            proxies: self.proxies(http),
            unix_socket: self.path("http.unix_socket", http.unix_socket.as_deref()),
            tls: self.tls(http),
            body_bytes_max: self.size(
                "http.body_bytes_max",
                http.body_bytes_max,
                1024,
                bound::HTTP_BODY_BYTES_CEILING as u64,
            ),
            header_timeout: self.wait("http.header_timeout_ms", http.header_timeout_ms),
            body_timeout: self.wait("http.body_timeout_ms", http.body_timeout_ms),
            idle_timeout: self.wait("http.idle_timeout_ms", http.idle_timeout_ms),
            connections_max: self.size("http.connections_max", http.connections_max, 1, 100_000),
            connections_per_address_max: self.size(
                "http.connections_per_address_max",
                http.connections_per_address_max,
                1,
                100_000,
            ),
            shutdown_timeout: self.wait("http.shutdown_timeout_ms", http.shutdown_timeout_ms),
        }
    }

    fn limits(&mut self, limits: &raw::Limits) -> Limits {
        let per_session = limits.in_flight_per_session_max;
        Limits {
            in_flight_per_session_max: self.size("limits.in_flight_per_session_max", per_session, 1, 10_000),
            in_flight_max: self.size("limits.in_flight_max", limits.in_flight_max, 1, 100_000),
            call_timeout: self.wait("limits.call_timeout_ms", limits.call_timeout_ms),
            output_bytes_max: self.size("limits.output_bytes_max", limits.output_bytes_max, 4096, 64 << 20),
        }
    }

    fn audit(&mut self, audit: &raw::Audit) -> Audit {
        let bytes = audit.retention_bytes_max;
        let bytes_max = (bytes > 0).then(|| self.within("audit.retention_bytes_max", bytes, 1 << 20, 1 << 50));
        Audit {
            all: audit.level == raw::AuditLevel::All,
            arguments: audit.arguments == raw::AuditArguments::Sealed,
            retention: Retention { age_max: self.days("audit.retention_days", audit.retention_days), bytes_max },
            checkpoint_file: self.path("audit.checkpoint_file", audit.checkpoint_file.as_deref()),
            checkpoint_syslog: audit.checkpoint_syslog,
            checkpoint_webhook: self.url("audit.checkpoint_webhook", audit.checkpoint_webhook.as_ref()),
        }
    }

    fn log(&mut self, log: &raw::Log) -> Log {
        let bytes_max = self.within("log.bytes_max", log.bytes_max, 4096, 1 << 40);
        Log {
            level: log.level,
            format: log.format,
            keep_days: self.size("log.keep_days", log.keep_days, 1, 3650),
            bytes_max,
            total_bytes_max: self.within("log.total_bytes_max", log.total_bytes_max, bytes_max, 1 << 50),
            mask_addresses: log.mask_addresses,
            encrypt: log.encrypt,
        }
    }

    /// A path that means the same from any directory.
    fn path(&mut self, key: &'static str, path: Option<&str>) -> Option<PathBuf> {
        let path = PathBuf::from(path.filter(|path| !path.is_empty())?);
        if !path.is_absolute() {
            self.impossible(key, "an absolute path", &path.display().to_string());
        }
        Some(path)
    }

    /// Zero sets no bound.
    fn days(&mut self, key: &'static str, value: u64) -> Option<Duration> {
        (value > 0).then(|| Duration::from_secs(86_400 * self.within(key, value, 1, 36_500)))
    }

    fn listen(&mut self, key: &'static str, listen: &str) -> SocketAddr {
        listen.parse().unwrap_or_else(|_| {
            let expected = "an address and port such as 127.0.0.1:3000 or [::1]:3000";
            self.impossible(key, expected, listen);
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn origins(&mut self, origins: &[String]) -> Vec<String> {
        for origin in origins.iter().filter(|origin| !origin.starts_with("https://") && !origin.starts_with("http://"))
        {
            self.impossible("http.allowed_origins", "origins with a scheme, such as https://app.example.org", origin);
        }
        origins.to_vec()
    }

    fn tls(&mut self, http: &raw::Http) -> Option<Tls> {
        let expected = "tls_certificate and tls_key together, or neither";
        let set = |path: &Option<String>| path.clone().filter(|path| !path.is_empty()).map(PathBuf::from);
        let client = self.client_tls(http, set(&http.tls_client_ca), set(&http.tls_client_crl));
        match (set(&http.tls_certificate), set(&http.tls_key)) {
            (Some(certificate), Some(key)) => {
                return Some(Tls { certificate, key, version_min: http.tls_min_version, client });
            }
            // A port that should check certificates and does not would be worse than none.
            (None, None) if client.is_some() => {
                self.impossible("http.tls_client_ca", "tls_certificate and tls_key as well", "neither");
            }
            (None, None) => {}
            (Some(_), None) => self.impossible("http.tls_key", expected, "no tls_key"),
            (None, Some(_)) => self.impossible("http.tls_certificate", expected, "no tls_certificate"),
        }
        None
    }

    fn client_tls(&mut self, http: &raw::Http, ca: Option<PathBuf>, revoked: Option<PathBuf>) -> Option<ClientTls> {
        let is_required = http.tls_client == TlsClient::Required;
        if ca.is_none() && is_required {
            self.impossible("http.tls_client", "tls_client_ca as well", "\"required\" alone");
        }
        if ca.is_none() && revoked.is_some() {
            self.impossible("http.tls_client_crl", "tls_client_ca as well", "tls_client_crl alone");
        }
        ca.map(|authorities| ClientTls { authorities, revoked, is_required })
    }

    fn wait(&mut self, key: &'static str, value_ms: u64) -> Duration {
        Duration::from_millis(self.within(key, value_ms, 10, 600_000))
    }

    fn minutes(&mut self, key: &'static str, value: u64) -> Duration {
        Duration::from_secs(60 * self.within(key, value, 1, 10_080))
    }

    fn rate(&mut self, key: &'static str, value: u64) -> u32 {
        u32::try_from(self.within(key, value, 1, 100_000_000)).unwrap_or(u32::MAX)
    }

    fn size(&mut self, key: &'static str, value: u64, least: u64, most: u64) -> usize {
        usize::try_from(self.within(key, value, least, most)).unwrap_or(usize::MAX)
    }

    fn within(&mut self, key: &'static str, value: u64, least: u64, most: u64) -> u64 {
        if !(least..=most).contains(&value) {
            self.impossible(key, &format!("a number from {least} to {most}"), &value.to_string());
        }
        value.clamp(least, most)
    }

    fn impossible(&mut self, key: &'static str, expected: &str, found: &str) {
        let found = exposed::without_userinfo(found).into_owned();
        self.problems.push(Impossible { key, expected: expected.to_owned(), found });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Config::of(Raw::default()).unwrap();
    }

    #[test]
    fn every_impossible_value_is_named() {
        let mut raw = Raw::default();
        raw.http.listen = "localhost".into();
        raw.http.tls_key = Some("key.pem".into());
        raw.rate.burst_limit = 0;
        raw.inspect.max_query_length = 1;
        raw.inspect.group_modes = vec!["sql.path=block".into(), "sql=never".into()];
        let keys: Vec<_> = Config::of(raw).unwrap_err().into_iter().map(|problem| problem.key).collect();
        let expect = ["http.listen", "http.tls_certificate", "rate.burst_limit", "inspect.max_query_length"];
        assert_eq!(keys, [&expect[..], &["inspect.group_modes"]].concat());
    }

    #[test]
    fn no_message_about_a_url_shows_the_password_in_it() {
        let mut raw = Raw::default();
        let url = || "https://ann:hunter2@a.example/x".to_owned();
        raw.watch.webhook_url = Some(url());
        raw.watch.syslog = Some("ann:hunter2@a.example".into());
        raw.egress.proxy = Some(url());
        raw.egress.dns = url();
        raw.audit.checkpoint_webhook = Some(url());
        raw.http.public_url = Some(url());
        raw.http.allowed_origins = vec!["ftp://ann:hunter2@a.example".into()];
        raw.auth.authorization_servers = vec!["http://ann:hunter2@a.example".into()];
        let problems = Config::of(raw).unwrap_err();
        assert!(problems.len() >= 6, "{problems:?}");
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }
}
