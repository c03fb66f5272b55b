//! The configuration of the servers that Sekisho replaces, in Sekisho's words: what maps, and what does not and why.

use serde_json::Value;

use super::file::{self, ConfigError};
use super::preset;
use super::target::HostPattern;
use crate::base::bound;

/// What an old configuration became.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// Where it stood, our key, and the value there.
    pub mapped: Vec<Mapped>,
    /// What has no place here, and what to do about it.
    pub unmapped: Vec<Unmapped>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    pub pointer: String,
    pub key: &'static str,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmapped {
    pub pointer: String,
    pub why: String,
}

/// Why an old configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("a configuration has at most {} bytes, this one has {found}", bound::CONFIG_BYTES_MAX)]
    TooLarge { found: u64 },
    #[error("expected JSON or YAML: {0}")]
    Syntax(String),
    #[error("expected an object with keys, found {0}")]
    NoObject(&'static str),
    #[error("what came out of it is not valid:\n{0}")]
    Invalid(ConfigError),
}

/// How a value changes on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conversion {
    Same,
    /// `true` is "required": everybody shows a credential. `false` is "none".
    Authentication,
    /// One scheme, or a list of them.
    Schemes,
    /// A port of this machine.
    Port,
    /// Hosts to connect to, or never to; where a path speaks of a server, they are names that it answers to.
    Hosts,
}

/// The end of an old key's path, in snake case and with dots; ours; how the value changes. The first that fits counts,
/// so what is longer stands first.
const KEYS: &[(&str, &str, Conversion)] = &[
    ("session_timeout_minutes", "session.timeout_minutes", Conversion::Same),
    ("session.timeout_minutes", "session.timeout_minutes", Conversion::Same),
    ("sessions.timeout_minutes", "session.timeout_minutes", Conversion::Same),
    ("session_management.timeout_minutes", "session.timeout_minutes", Conversion::Same),
    ("idle_timeout_minutes", "session.idle_timeout_minutes", Conversion::Same),
    ("max_concurrent_sessions", "session.max_concurrent_sessions", Conversion::Same),
    ("session_rotation_minutes", "session.rotation_minutes", Conversion::Same),
    ("session_rotation", "session.rotation", Conversion::Same),
    ("requests_per_session", "rate.per_session", Conversion::Same),
    ("per_session", "rate.per_session", Conversion::Same),
    ("requests_per_minute", "rate.per_minute", Conversion::Same),
    ("per_minute", "rate.per_minute", Conversion::Same),
    ("burst_limit", "rate.burst_limit", Conversion::Same),
    ("max_tool_args_size_bytes", "inspect.max_tool_args_size_bytes", Conversion::Same),
    ("sandboxing_enabled", "tool_execution.sandboxing_enabled", Conversion::Same),
    ("max_memory_mb", "tool_execution.max_memory_mb", Conversion::Same),
    ("max_file_reads", "tool_execution.max_file_reads", Conversion::Same),
    ("max_network_requests", "tool_execution.max_network_requests", Conversion::Same),
    ("max_resource_uri_length", "inspect.max_resource_uri_length", Conversion::Same),
    ("max_query_length", "inspect.max_query_length", Conversion::Same),
    ("sanitize_file_paths", "inspect.sanitize_file_paths", Conversion::Same),
    ("validate_json_schema", "inspect.validate_json_schema", Conversion::Same),
    ("prevent_code_injection", "inspect.prevent_code_injection", Conversion::Same),
    ("allowed_origins", "http.allowed_origins", Conversion::Same),
    ("cors.origins", "http.allowed_origins", Conversion::Same),
    ("jwt_expiry_seconds", "auth.jwt_expiry_seconds", Conversion::Same),
    ("jwt_expiry", "auth.jwt_expiry_seconds", Conversion::Same),
    ("jwt.expiry", "auth.jwt_expiry_seconds", Conversion::Same),
    ("authentication.enabled", "http.authentication", Conversion::Authentication),
    ("auth.enabled", "http.authentication", Conversion::Authentication),
    ("authentication_required", "http.authentication", Conversion::Authentication),
    ("authentication.method", "auth.schemes", Conversion::Schemes),
    ("authentication.methods", "auth.schemes", Conversion::Schemes),
    ("auth.method", "auth.schemes", Conversion::Schemes),
    ("auth_method", "auth.schemes", Conversion::Schemes),
    ("tls.certificate", "http.tls_certificate", Conversion::Same),
    ("tls.cert_file", "http.tls_certificate", Conversion::Same),
    ("tls.cert_path", "http.tls_certificate", Conversion::Same),
    ("tls.key", "http.tls_key", Conversion::Same),
    ("tls.key_file", "http.tls_key", Conversion::Same),
    ("tls.key_path", "http.tls_key", Conversion::Same),
    ("logging.level", "log.level", Conversion::Same),
    ("log.level", "log.level", Conversion::Same),
    ("log_level", "log.level", Conversion::Same),
    ("logging.format", "log.format", Conversion::Same),
    ("log.format", "log.format", Conversion::Same),
    ("logging.retention_days", "log.keep_days", Conversion::Same),
    ("log.retention_days", "log.keep_days", Conversion::Same),
    ("audit.retention_days", "audit.retention_days", Conversion::Same),
    ("metrics.port", "metrics.listen", Conversion::Port),
    ("metrics.prefix", "metrics.prefix", Conversion::Same),
    ("server.port", "http.listen", Conversion::Port),
    ("allowed_hosts", "egress.allowed_hosts", Conversion::Hosts),
    ("blocked_hosts", "egress.blocked_hosts", Conversion::Hosts),
];

/// Parts of a path that have no place here, and what to do instead.
const NOTES: &[(&str, &str)] = &[
    ("redis", "Sekisho needs no Redis: what it remembers is in its own database"),
    ("typesense", "Sekisho needs no Typesense: its search index is built in"),
    ("password", "a secret is not copied; make an account with `sekisho account add NAME`"),
    ("username", "make an account with `sekisho account add NAME`"),
    ("secret", "a secret is not copied; tokens are made with `sekisho token issue`"),
    ("token", "a secret is not copied; tokens are made with `sekisho token issue`"),
    ("api_key", "a secret is not copied; keep it with `sekisho credential set NAME`"),
    ("blocked_hosts", "these are no hosts to connect to; who may reach the server, a firewall or a ban says"),
    ("allowed_hosts", "these look like names that the server answers to: http.allowed_hosts takes them"),
];

/// Reads an old configuration, JSON or YAML.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    if text.len() as u64 > bound::CONFIG_BYTES_MAX {
        return Err(ImportError::TooLarge { found: text.len() as u64 });
    }
    // JSON is YAML.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: bound::CONFIG_IMPORT_DEPTH_MAX,
            max_nodes: bound::CONFIG_IMPORT_NODES_MAX,
        },
    };
    let value: Value =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| ImportError::Syntax(error.to_string()))?;
    let Value::Object(fields) = value else {
        return Err(ImportError::NoObject(match value {
            Value::Array(_) => "a list",
            Value::Null => "nothing",
            _ => "a single value",
        }));
    };
    let mut imported = Imported::default();
    for (name, value) in fields {
        walk(&mut imported, &format!("/{}", escaped(&name)), &snake(&name), value);
    }
    // What is wrong is told now, with all of it, and not when the server starts.
    file::parse(
        &imported.to_toml(),
        std::path::Path::new("the new configuration"),
        &super::env::Environment::default(),
    )
    .map_err(ImportError::Invalid)?;
    Ok(imported)
}

impl Imported {
    /// The configuration file: every key as `init` writes it, with these in force.
    pub fn to_toml(&self) -> String {
        let values: Vec<(&str, Value)> = self.mapped.iter().map(|mapped| (mapped.key, mapped.value.clone())).collect();
        preset::commented_with(&values)
    }
}

fn walk(imported: &mut Imported, pointer: &str, path: &str, value: Value) {
    let of_server = path.split('.').any(|step| ["cors", "server", "http"].contains(&step));
    let known = KEYS.iter().find(|(end, _, conversion)| {
        (path == *end || path.ends_with(&format!(".{end}"))) && !(of_server && *conversion == Conversion::Hosts)
    });
    if let Some((_, key, conversion)) = known {
        if let Some(value) = converted(*conversion, &value) {
            match imported.mapped.iter().find(|mapped| mapped.key == *key && mapped.value != value) {
                None => imported.mapped.push(Mapped { pointer: pointer.to_owned(), key, value }),
                Some(other) => {
                    let why = format!("{} says otherwise of {key}, and stands first", other.pointer);
                    imported.unmapped.push(Unmapped { pointer: pointer.to_owned(), why });
                }
            }
        } else {
            let why = format!("this value has no form that fits {key}");
            imported.unmapped.push(Unmapped { pointer: pointer.to_owned(), why });
        }
        return;
    }
    let note =
        NOTES.iter().find(|(part, _)| path.split('.').any(|step| step == *part || step.ends_with(&format!("_{part}"))));
    match (note, value) {
        (Some((_, why)), _) => {
            imported.unmapped.push(Unmapped { pointer: pointer.to_owned(), why: (*why).to_owned() });
        }
        (None, Value::Object(fields)) => {
            for (name, value) in fields {
                walk(imported, &format!("{pointer}/{}", escaped(&name)), &format!("{path}.{}", snake(&name)), value);
            }
        }
        (None, _) => {
            let why = "Sekisho has no key for it".to_owned();
            imported.unmapped.push(Unmapped { pointer: pointer.to_owned(), why });
        }
    }
}

fn converted(conversion: Conversion, value: &Value) -> Option<Value> {
    match conversion {
        Conversion::Same => Some(value.clone()).filter(|value| !value.is_null() && !value.is_object()),
        Conversion::Authentication => value.as_bool().map(|on| Value::from(if on { "required" } else { "none" })),
        Conversion::Schemes => {
            let names: Vec<&str> = match value {
                Value::String(name) => vec![name],
                Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<_>>()?,
                _ => return None,
            };
            let ours = |name: &&str| ["basic", "jwt", "api_key", "mtls"].contains(name);
            names.iter().all(ours).then(|| Value::from(names))
        }
        Conversion::Hosts => {
            let names = value.as_array()?;
            let is_host = |name: &Value| name.as_str().and_then(HostPattern::parse).is_some();
            names.iter().all(is_host).then(|| value.clone())
        }
        Conversion::Port => {
            let port = value.as_u64().and_then(|port| u16::try_from(port).ok())?;
            Some(Value::from(format!("127.0.0.1:{port}")))
        }
    }
}

/// `maxConcurrentSessions` and `max-concurrent-sessions` are `max_concurrent_sessions`.
fn snake(name: &str) -> String {
    let mut written = String::new();
    let mut before_is_small = false;
    for char in name.chars() {
        if char.is_ascii_uppercase() && before_is_small {
            written.push('_');
        }
        before_is_small = char.is_ascii_lowercase() || char.is_ascii_digit();
        written.push(if matches!(char, '-' | ' ') { '_' } else { char.to_ascii_lowercase() });
    }
    written
}

/// A step of a JSON pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{
        "security": {
            "authentication": {"enabled": true, "method": "jwt", "jwtSecret": "do-not-copy-me", "jwt_expiry": 1800},
            "session_management": {"session_timeout_minutes": 30, "maxConcurrentSessions": 3, "session_rotation": true},
            "rate_limiting": {"requests_per_session": 1000, "requests_per_minute": 60, "burst_limit": 10},
            "input_validation": {"max_tool_args_size_bytes": 4096, "sanitize_file_paths": true}
        },
        "redis": {"url": "redis://localhost"},
        "server": {"port": 8080, "colour": "red"}
    }"#;

    fn key<'a>(imported: &'a Imported, key: &str) -> Option<&'a Value> {
        imported.mapped.iter().find(|mapped| mapped.key == key).map(|mapped| &mapped.value)
    }

    #[test]
    fn every_key_that_an_old_one_becomes_is_ours() {
        let settings = file::settings();
        for (old, key, _) in KEYS {
            assert!(settings.iter().any(|setting| setting.dotted() == *key), "{old} becomes {key}, which is none");
        }
    }

    #[test]
    fn an_old_configuration_becomes_ours_and_the_rest_is_named() {
        let imported = import(OLD).unwrap();
        assert_eq!(key(&imported, "session.timeout_minutes"), Some(&Value::from(30)));
        assert_eq!(key(&imported, "session.max_concurrent_sessions"), Some(&Value::from(3)));
        assert_eq!(key(&imported, "rate.per_session"), Some(&Value::from(1000)));
        assert_eq!(key(&imported, "http.authentication"), Some(&Value::from("required")));
        assert_eq!(key(&imported, "http.listen"), Some(&Value::from("127.0.0.1:8080")));
        let unmapped: Vec<&str> = imported.unmapped.iter().map(|unmapped| unmapped.pointer.as_str()).collect();
        assert_eq!(unmapped, ["/security/authentication/jwtSecret", "/redis", "/server/colour"]);
        let toml = imported.to_toml();
        assert!(!toml.contains("do-not-copy-me") && !format!("{imported:?}").contains("do-not-copy-me"));
        let read = file::parse(&toml, std::path::Path::new("new"), &super::super::env::Environment::default()).unwrap();
        assert_eq!(read.session.timeout.as_secs(), 1800);
    }

    #[test]
    fn hosts_to_connect_to_are_the_egress_and_names_of_a_server_are_not() {
        let text = r#"{
            "network": {"allowedHosts": ["api.example.org", "*.example.net"], "blocked_hosts": ["192.0.2.7"]},
            "cors": {"allowed_hosts": ["app.example.org"]},
            "server": {"blocked_hosts": ["x"]}
        }"#;
        let imported = import(text).unwrap();
        let names = serde_json::json!(["api.example.org", "*.example.net"]);
        assert_eq!(key(&imported, "egress.allowed_hosts"), Some(&names));
        assert_eq!(key(&imported, "egress.blocked_hosts"), Some(&serde_json::json!(["192.0.2.7"])));
        assert_eq!(key(&imported, "http.allowed_hosts"), None);
        let unmapped: Vec<&str> = imported.unmapped.iter().map(|unmapped| unmapped.pointer.as_str()).collect();
        assert_eq!(unmapped, ["/cors/allowed_hosts", "/server/blocked_hosts"]);
        let imported = import(r#"{"allowed_hosts": ["*"]}"#).unwrap();
        assert!(imported.unmapped[0].why.contains("no form that fits egress.allowed_hosts"), "{imported:?}");
    }

    #[test]
    fn yaml_is_read_too_and_a_contradiction_is_told() {
        let imported = import("session:\n  timeout_minutes: 5\nsession_timeout_minutes: 7\n").unwrap();
        assert_eq!(key(&imported, "session.timeout_minutes"), Some(&Value::from(5)));
        assert_eq!(imported.unmapped[0].pointer, "/session_timeout_minutes");
        assert!(imported.unmapped[0].why.contains("/session/timeout_minutes says otherwise"));
    }

    #[test]
    fn what_is_no_configuration_or_makes_none_is_refused_with_its_reason() {
        assert!(matches!(import("[1]"), Err(ImportError::NoObject("a list"))));
        assert!(matches!(import("{\"a\": "), Err(ImportError::Syntax(_))));
        let error = import("rate_limiting: {burst_limit: 0}").unwrap_err().to_string();
        assert!(error.contains("rate.burst_limit must be"), "{error}");
        let error = import("rate_limiting: {burst_limit: many}").unwrap_err().to_string();
        assert!(error.contains("invalid type"), "{error}");
    }
}
