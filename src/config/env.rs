//! The only place that reads the environment: where things are, and `SEKISHO_*` on top of the file.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;

use super::exposed;
use super::mask::Masker;
use crate::base::secret::Secret;

const PREFIX: &str = "SEKISHO_";

/// What Sekisho takes from the environment, read once at start.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `SEKISHO_DATA_DIR`
    pub data_dir: Option<PathBuf>,
    /// `SEKISHO_CONFIG`
    pub config: Option<PathBuf>,
    /// Other `SEKISHO_*` variables, without the prefix: `HTTP_LISTEN`.
    pub settings: BTreeMap<String, String>,
    pub home: Option<PathBuf>,
    pub xdg_config_home: Option<PathBuf>,
    pub xdg_data_home: Option<PathBuf>,
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `SYSTEMD_UNIT_PATH`: where units of systemd lie, in the place of the usual folders (systemd.unit(5)).
    pub systemd_unit_path: Option<Vec<PathBuf>>,
    /// `CREDENTIALS_DIRECTORY`: where systemd puts a service's credentials.
    pub credentials_directory: Option<PathBuf>,
    /// `JOURNAL_STREAM` is set: what is printed ends in the journal (systemd.exec(5)).
    pub journal: bool,
    /// What a supervisor wants to hear.
    pub supervised: Supervised,
    /// `SEKISHO_VAULT_SECRET`: the weakest place for it.
    pub vault_secret: Option<Secret>,
    pub replaced: Replaced,
    /// Names of all variables whose values are, or look like, secrets; the values are not kept.
    pub exposed: Vec<String>,
    /// `--offline`: of the command line, and stronger than every setting.
    pub offline: bool,
}

/// How a supervisor hears of us (`sd_notify(3)`, `sd_watchdog_enabled(3)`).
#[derive(Clone, Debug, Default)]
pub struct Supervised {
    /// `NOTIFY_SOCKET`: a path, or an abstract name behind an `@`.
    pub socket: Option<PathBuf>,
    /// `WATCHDOG_USEC`: we are killed when we are silent for so long.
    pub watchdog: Option<Duration>,
}

impl Supervised {
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    fn read() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let socket = std::env::var_os("NOTIFY_SOCKET").map(PathBuf::from);
        // A watchdog that waits for another process is none of ours.
        let is_ours = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| *usec > 0 && is_ours).map(Duration::from_micros);
        let is_address =
            |socket: &PathBuf| socket.is_absolute() || socket.as_os_str().as_encoded_bytes().starts_with(b"@");
        Self { socket: socket.filter(is_address), watchdog }
    }
}

/// What a replaced system took from the environment; a `SEKISHO_*` variable comes before each.
#[derive(Clone, Debug, Default)]
pub struct Replaced {
    /// `MCP_AUTH_ENABLED`: true or false.
    pub auth_enabled: Option<String>,
    /// `MCP_AUTH_METHOD`: basic or jwt.
    pub auth_method: Option<String>,
    /// `MCP_JWT_EXPIRY`, in seconds.
    pub jwt_expiry: Option<String>,
    /// `MCP_USERNAME`
    pub username: Option<String>,
    /// `MCP_PASSWORD`
    pub password: Option<Secret>,
    /// `MCP_JWT_SECRET`
    pub jwt_secret: Option<Secret>,
}

impl Replaced {
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            auth_enabled: text("MCP_AUTH_ENABLED"),
            auth_method: text("MCP_AUTH_METHOD"),
            jwt_expiry: text("MCP_JWT_EXPIRY"),
            username: text("MCP_USERNAME"),
            password: text("MCP_PASSWORD").map(Secret::new),
            jwt_secret: text("MCP_JWT_SECRET").map(Secret::new),
        }
    }

    /// The settings that stand for these, as `SEKISHO_*` without the prefix: variable, name, value.
    pub fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut settings = Vec::new();
        if let Some(enabled) = &self.auth_enabled {
            let value = match enabled.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => "required",
                "false" | "0" | "no" => "none",
                _ => enabled,
            };
            settings.push(("MCP_AUTH_ENABLED", "HTTP_AUTHENTICATION", value.to_owned()));
        }
        if let Some(method) = &self.auth_method {
            let method = format!("[{:?}]", method.to_ascii_lowercase());
            settings.push(("MCP_AUTH_METHOD", "AUTH_SCHEMES", method));
        }
        if let Some(expiry) = &self.jwt_expiry {
            settings.push(("MCP_JWT_EXPIRY", "AUTH_JWT_EXPIRY_SECONDS", expiry.clone()));
        }
        settings
    }
}

impl Environment {
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn read() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let variables = std::env::vars_os().map(|(name, value)| (name.into_string(), value.into_string()));
        let mut settings = settings_among(variables.filter_map(|(name, value)| Some((name.ok()?, value.ok()?))));
        let vault_secret = settings.remove("VAULT_SECRET").filter(|text| !text.is_empty()).map(Secret::new);
        Self {
            data_dir: path("SEKISHO_DATA_DIR"),
            config: path("SEKISHO_CONFIG"),
            settings,
            home: path("HOME"),
            xdg_config_home: path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
            xdg_data_home: path("XDG_DATA_HOME").filter(|path| path.is_absolute()),
            xdg_runtime_dir: path("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()),
            systemd_unit_path: path("SYSTEMD_UNIT_PATH").map(|paths| std::env::split_paths(&paths).collect()),
            credentials_directory: path("CREDENTIALS_DIRECTORY").filter(|path| path.is_absolute()),
            journal: path("JOURNAL_STREAM").is_some(),
            supervised: Supervised::read(),
            vault_secret,
            replaced: Replaced::read(),
            exposed: variables_with_secrets(),
            offline: false,
        }
    }

    /// What a service gets whose unit sets these variables and nothing else. What is secret among them is left out.
    pub fn of_unit(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut settings = settings_among(variables);
        settings.remove("VAULT_SECRET");
        Self { settings, ..Self::default() }
    }

    /// A variable that a command names, for importing what is in it.
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn variable(&self, name: &str) -> Option<Secret> {
        std::env::var(name).ok().map(Secret::new)
    }

    /// The data directory: as asked, else `SEKISHO_DATA_DIR`, else the XDG data directory.
    pub fn data_dir(&self, asked: Option<&Path>) -> Option<PathBuf> {
        let xdg = || {
            let base = self.xdg_data_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/share")));
            base.map(|base| base.join("sekisho"))
        };
        asked.map(Path::to_owned).or_else(|| self.data_dir.clone()).or_else(xdg)
    }
}

/// Those that are ours, without their prefix. Where things are is no setting; the last two are the test runner's.
fn settings_among(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    variables
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value)))
        .filter(|(setting, _)| !["DATA_DIR", "CONFIG", "CORPORA", "SOAK"].contains(&setting.as_str()))
        .collect()
}

/// Variables that hold a secret by their name, or what looks like one.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
fn variables_with_secrets() -> Vec<String> {
    const OWN: [&str; 3] = ["SEKISHO_VAULT_SECRET", "MCP_PASSWORD", "MCP_JWT_SECRET"];
    let Ok(masker) = Masker::of_results(false) else { return Vec::new() };
    let mut names: Vec<String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, Secret::new(value.into_string().ok()?))))
        .filter(|(name, value)| {
            let Ok(text) = std::str::from_utf8(value.expose_secret()) else { return false };
            // Some keys have no form of their own, and are known by their variable.
            let line = Secret::new(format!("{name}={text}"));
            let line = std::str::from_utf8(line.expose_secret()).unwrap_or_default();
            // Our own settings name what is in the vault.
            let is_called_so = !name.starts_with(PREFIX) && exposed::is_under_its_name(name, text);
            !text.is_empty()
                && (OWN.contains(&name.as_str())
                    || is_called_so
                    || exposed::has_password(text)
                    || masker.masked(line) != line)
        })
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    names
}

/// Sockets that a supervisor opened before it started us (`sd_listen_fds(3)`).
#[derive(Debug, Default)]
pub struct Inherited {
    pub tcp: Option<TcpListener>,
    pub unix: Option<UnixListener>,
}

/// Why inherited sockets are not used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    #[error("expected at most one TCP and one Unix socket from the supervisor, found more of one kind")]
    TooMany,
    #[error("socket {number} of the supervisor is not one that listens for TCP or on a Unix path: {error}")]
    Unfit { number: usize, error: io::Error },
}

impl Inherited {
    /// Takes them, once. The crate reads `LISTEN_FDS` and `LISTEN_PID` itself and removes them, so this belongs before
    /// any thread; making a socket of a descriptor's number is unsafe, and so is not done here.
    pub fn take() -> Result<Self, InheritedError> {
        let mut sockets = ListenFd::from_env();
        let mut inherited = Self::default();
        for number in 0..sockets.len() {
            let unfit = |error| InheritedError::Unfit { number, error };
            if let Ok(Some(tcp)) = sockets.take_tcp_listener(number) {
                is_listening(&tcp).map_err(unfit)?;
                if inherited.tcp.replace(tcp).is_some() {
                    return Err(InheritedError::TooMany);
                }
            } else if let Some(unix) = sockets.take_unix_listener(number).map_err(unfit)? {
                is_listening(&unix).map_err(unfit)?;
                if inherited.unix.replace(unix).is_some() {
                    return Err(InheritedError::TooMany);
                }
            }
        }
        Ok(inherited)
    }
}

/// With `Accept=yes` systemd hands over connections instead.
fn is_listening(socket: impl AsFd) -> io::Result<()> {
    if rustix::net::sockopt::socket_acceptconn(socket)? {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen (is Accept=no set?)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_as_asked_then_as_set_then_by_xdg() {
        let mut environment = Environment { home: Some("/home/ann".into()), ..Environment::default() };
        let check = |environment: &Environment, asked: Option<&str>, expect: &str| {
            assert_eq!(environment.data_dir(asked.map(Path::new)), Some(PathBuf::from(expect)));
        };
        check(&environment, None, "/home/ann/.local/share/sekisho");
        environment.xdg_data_home = Some("/xdg".into());
        check(&environment, None, "/xdg/sekisho");
        environment.data_dir = Some("/set".into());
        check(&environment, None, "/set");
        check(&environment, Some("/asked"), "/asked");
        assert_eq!(Environment::default().data_dir(None), None);
    }
}
