//! Where things lie in the data directory.

use std::path::{Path, PathBuf};

use super::env::Environment;

/// The paths of one installation.
#[derive(Clone, Debug)]
pub struct Places {
    pub data: PathBuf,
    pub config: PathBuf,
    pub control: PathBuf,
    /// The user's home: units of the user's own systemd lie below it.
    pub home: Option<PathBuf>,
    /// Folders of the system's units, the first one before the others.
    pub units: Vec<PathBuf>,
}

/// Where units of the system lie (systemd.unit(5)).
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The longest path that a Unix socket's address can hold on Linux, without its final NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Places {
    /// `None` when neither a flag, a variable nor a home directory says where.
    pub fn find(data_dir: Option<&Path>, config: Option<&Path>, environment: &Environment) -> Option<Self> {
        let data = environment.data_dir(data_dir)?;
        // Everything below may outlive a change of the working directory, and is printed to be pasted elsewhere.
        let data = std::path::absolute(&data).unwrap_or(data);
        let config = config
            .map(Path::to_owned)
            .or_else(|| environment.config.clone())
            .map_or_else(|| data.join("sekisho.toml"), |path| std::path::absolute(&path).unwrap_or(path));
        let control = control_socket(&data, environment);
        let units = environment.systemd_unit_path.clone();
        let units = units.unwrap_or_else(|| UNITS.into_iter().map(PathBuf::from).collect());
        Some(Self { data, config, control, home: environment.home.clone(), units })
    }

    pub fn database(&self) -> PathBuf {
        self.data.join("sekisho.redb")
    }

    pub fn index(&self) -> PathBuf {
        self.data.join("index")
    }

    /// Pages of web sites that libraries mirror; can be deleted, and are fetched again then.
    pub fn mirrors(&self) -> PathBuf {
        self.data.join("web")
    }

    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// The secret that opens the vault, unless `vault.key_file` or a systemd credential says otherwise.
    pub fn vault_key(&self) -> PathBuf {
        self.data.join("vault-key")
    }

    /// Policies of the operator, unless `policy.directory` says where.
    pub fn policies(&self) -> PathBuf {
        self.data.join("policies")
    }

    /// Signed checkpoints of the audit log, unless `audit.checkpoint_file` says where.
    pub fn checkpoints(&self) -> PathBuf {
        self.data.join("checkpoints.log")
    }

    /// The database of advisories about crates, once one was imported.
    pub fn advisories(&self) -> PathBuf {
        self.data.join("advisories.db")
    }

    /// The bearer token of the HTTP client that `init` sets up, mode 0600.
    pub fn http_token(&self) -> PathBuf {
        self.data.join("http-token")
    }
}

fn control_socket(data: &Path, environment: &Environment) -> PathBuf {
    let here = data.join("control.sock");
    if here.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return here;
    }
    // A socket's address is short; the runtime directory's is, and the data directory's digest tells them apart.
    let runtime = environment.xdg_runtime_dir.clone().unwrap_or_else(|| PathBuf::from("/run/sekisho"));
    let digest = data.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        // FNV-1a: a name, no secret.
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    runtime.join(format!("sekisho-{digest:016x}.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_data_directory_has_its_socket_in_the_runtime_directory() {
        let environment = Environment { xdg_runtime_dir: Some("/run/user/1".into()), ..Environment::default() };
        let short = Places::find(Some(Path::new("/data")), None, &environment).unwrap();
        assert_eq!(short.control, Path::new("/data/control.sock"));
        let long = format!("/{}", "d".repeat(120));
        let long = Places::find(Some(Path::new(&long)), None, &environment).unwrap();
        assert!(long.control.starts_with("/run/user/1"));
        assert!(long.control.as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
    }
}
