//! The valid configuration: every value checked once, at the edge, and typed.

pub mod env;
pub mod file;
pub mod mask;
pub mod place;
pub mod raw;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::bound;
use raw::{Authentication, LogFormat, LogLevel, Raw};

/// What the program runs with. Made by [`file::load`] only.
#[derive(Clone, Debug)]
pub struct Config {
    pub http: Http,
    pub session: Session,
    pub rate: Rate,
    pub limits: Limits,
    pub audit_all: bool,
    pub log: Log,
    /// As written, defaults and overrides included: what `config show` prints.
    pub raw: Raw,
}

#[derive(Clone, Debug)]
pub struct Http {
    pub listen: SocketAddr,
    /// Host names that a request may name, loopback names included.
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub authentication: Authentication,
    pub tls: Option<Tls>,
    pub body_bytes_max: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub connections_max: usize,
    pub shutdown_timeout: Duration,
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub timeout: Duration,
    pub idle_timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub per_minute: u32,
    pub burst_limit: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub in_flight_per_session_max: usize,
    pub in_flight_max: usize,
    pub call_timeout: Duration,
    pub output_bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    pub keep_days: usize,
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
        let mut problems = Vec::new();
        let listen = raw.http.listen.parse::<SocketAddr>().unwrap_or_else(|_| {
            problems.push(Impossible {
                key: "http.listen",
                expected: "an address and port such as 127.0.0.1:3000 or [::1]:3000".into(),
                found: raw.http.listen.clone(),
            });
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        let tls = match (&raw.http.tls_certificate, &raw.http.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls { certificate: certificate.into(), key: key.into() }),
            (None, None) => None,
            (certificate, _) => {
                let (key, missing) = if certificate.is_some() {
                    ("http.tls_key", "tls_key")
                } else {
                    ("http.tls_certificate", "tls_certificate")
                };
                problems.push(Impossible {
                    key,
                    expected: "tls_certificate and tls_key together, or neither".into(),
                    found: format!("no {missing}"),
                });
                None
            }
        };
        for origin in &raw.http.allowed_origins {
            if !(origin.starts_with("https://") || origin.starts_with("http://")) {
                problems.push(Impossible {
                    key: "http.allowed_origins",
                    expected: "origins with a scheme, such as https://app.example.org".into(),
                    found: origin.clone(),
                });
            }
        }
        let mut within = |key: &'static str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                problems.push(Impossible {
                    key,
                    expected: format!("a number from {least} to {most}"),
                    found: value.to_string(),
                });
            }
            value.clamp(least, most)
        };
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let rate = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let (http, session, limits) = (&raw.http, &raw.session, &raw.limits);
        let config = Self {
            http: Http {
                listen,
                allowed_hosts: http.allowed_hosts.clone(),
                allowed_origins: http.allowed_origins.clone(),
                authentication: http.authentication,
                tls,
                body_bytes_max: size(within(
                    "http.body_bytes_max",
                    http.body_bytes_max,
                    1024,
                    bound::HTTP_BODY_BYTES_CEILING as u64,
                )),
                header_timeout: Duration::from_millis(within(
                    "http.header_timeout_ms",
                    http.header_timeout_ms,
                    100,
                    600_000,
                )),
                body_timeout: Duration::from_millis(within("http.body_timeout_ms", http.body_timeout_ms, 100, 600_000)),
                connections_max: size(within("http.connections_max", http.connections_max, 1, 100_000)),
                shutdown_timeout: Duration::from_millis(within(
                    "http.shutdown_timeout_ms",
                    http.shutdown_timeout_ms,
                    100,
                    600_000,
                )),
            },
            session: Session {
                timeout: Duration::from_secs(
                    60 * within("session.timeout_minutes", session.timeout_minutes, 1, 10_080),
                ),
                idle_timeout: Duration::from_secs(
                    60 * within("session.idle_timeout_minutes", session.idle_timeout_minutes, 1, 10_080),
                ),
            },
            rate: Rate {
                per_minute: rate(within("rate.per_minute", raw.rate.per_minute, 1, 100_000_000)),
                burst_limit: rate(within("rate.burst_limit", raw.rate.burst_limit, 1, 100_000_000)),
            },
            limits: Limits {
                in_flight_per_session_max: size(within(
                    "limits.in_flight_per_session_max",
                    limits.in_flight_per_session_max,
                    1,
                    10_000,
                )),
                in_flight_max: size(within("limits.in_flight_max", limits.in_flight_max, 1, 100_000)),
                call_timeout: Duration::from_millis(within(
                    "limits.call_timeout_ms",
                    limits.call_timeout_ms,
                    10,
                    600_000,
                )),
                output_bytes_max: size(within("limits.output_bytes_max", limits.output_bytes_max, 4096, 64 << 20)),
            },
            audit_all: raw.audit.level == raw::AuditLevel::All,
            log: Log {
                level: raw.log.level,
                format: raw.log.format,
                keep_days: size(within("log.keep_days", raw.log.keep_days, 1, 3650)),
            },
            raw: raw.clone(),
        };
        if problems.is_empty() { Ok(config) } else { Err(problems) }
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
        let keys: Vec<_> = Config::of(raw).unwrap_err().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["http.listen", "http.tls_certificate", "rate.burst_limit"]);
    }
}
