//! Gathers what the machine says: modes of files, the certificate, units of systemd, room on the disk. It only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::advisory::{keep, lock};
use super::facts::{Advisories, Backups, Checkpoints, Disk, FileFact, Machine, Unit, What};
use crate::base::bound::scan as bound;
use crate::base::clock::Timestamp;
use crate::base::process;
use crate::base::secret::Secret;
use crate::config::exposed::{has_password, is_secret_line};
use crate::config::file::settings;
use crate::config::mask::Masker;
use crate::config::place::Places;
use crate::config::{Config, Tls};
use crate::crypto::sign::VerifyingKey;
use crate::crypto::tls::Material;

/// Looks at the machine. `keys` are those whose signature under the database of advisories counts.
pub fn machine(places: &Places, config: &Config, keys: &[VerifyingKey], now: Timestamp) -> Machine {
    let data = device(&places.data);
    let beside = |path: &Path| data.is_some() && device(path) == data;
    let checkpoints = config.audit.checkpoint_file.clone().unwrap_or_else(|| places.checkpoints());
    let key_file = config.vault.key_file.clone().unwrap_or_else(|| places.vault_key());
    Machine {
        user: rustix::process::geteuid().as_raw(),
        files: files(places, config, &key_file, &checkpoints),
        secret_lines: secret_lines(config.origins.file()),
        certificate: config.http.tls.as_ref().map(|tls| {
            let served = Material::read(tls).and_then(|material| material.server());
            served.map(|served| served.certificate).map_err(|error| error.to_string())
        }),
        tls_directory: config.http.tls.as_ref().and_then(tls_directory),
        are_core_dumps_possible: process::are_core_dumps_possible(),
        has_systemd: Path::new("/run/systemd/system").is_dir(),
        units: units(places),
        keys_beside: keys_beside(places, &key_file),
        owner: fs::metadata(&places.data).map(|data| (data.uid(), data.gid())).unwrap_or_default(),
        since: since(places, config),
        backups: config.backup.directory.as_deref().map(|directory| backups(directory, beside(directory), now)),
        checkpoints: Checkpoints { is_on_same_disk: beside(&checkpoints), file: checkpoints },
        disk: disk(&places.data),
        advisories: match keep::read(&places.advisories(), keys) {
            Ok(Some(database)) => Advisories::There(Arc::new(database)),
            Ok(None) => Advisories::Missing,
            Err(error) => Advisories::Broken(error.to_string()),
        },
        crates: lock::crates(),
    }
}

/// Where `sekisho tls init` made the pair, or would: one of another authority is not ours to replace.
fn tls_directory(tls: &Tls) -> Option<PathBuf> {
    let directory = tls.certificate.parent()?;
    let is_named_so = tls.certificate.ends_with("server.pem") && tls.key == directory.join("server-key.pem");
    let is_made_there = directory.join("ca.pem").exists() || !tls.certificate.exists();
    (is_named_so && is_made_there).then(|| directory.to_owned())
}

/// Also what a change of `vault.key_file` left behind: whoever copies the folder has it. A file whose secret is nowhere
/// else is not left behind: a mend would remove the only one.
fn keys_beside(places: &Places, key_file: &Path) -> Vec<PathBuf> {
    let usual = places.vault_key();
    let secret = |file: &Path| fs::read(file).ok().map(Secret::new);
    let mut found = Vec::new();
    for file in [key_file.to_owned(), usual.clone(), derived_of(key_file), derived_of(&usual)] {
        let is_only_one = file == usual && file != key_file && secret(&file) != secret(key_file);
        if file.starts_with(&places.data) && file.exists() && !is_only_one && !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// When the database was made or the configuration last changed, whichever is later.
fn since(places: &Places, config: &Config) -> Option<Timestamp> {
    let made = fs::metadata(places.database()).and_then(|database| database.created());
    let changed = fs::metadata(config.origins.file()).and_then(|file| file.modified());
    let since = [made, changed].into_iter().flatten().max()?;
    let since = since.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(since).ok().map(Timestamp)
}

/// The disk of a file, or of the folder where it would be.
fn device(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.dev())
}

/// Whether two places are on one disk; where one does not say, they are not.
pub fn is_same_disk(one: &Path, other: &Path) -> bool {
    device(one).is_some_and(|one| device(other) == Some(one))
}

/// Bytes free and in all on the disk of `path`; `None` where it does not say.
pub fn disk(path: &Path) -> Option<Disk> {
    let status = rustix::fs::statvfs(path).ok().filter(|status| status.f_blocks > 0)?;
    Some(Disk {
        free_bytes: status.f_bavail.saturating_mul(status.f_frsize),
        total_bytes: status.f_blocks.saturating_mul(status.f_frsize),
    })
}

fn files(places: &Places, config: &Config, key_file: &Path, checkpoints: &Path) -> Vec<FileFact> {
    let mut found = Vec::new();
    let mut look = |what, path: &Path| found.extend(fact(what, path));
    look(What::DataDirectory, &places.data);
    look(What::Database, &places.database());
    look(What::Token, &places.http_token());
    look(What::VaultKey, key_file);
    look(What::VaultKey, &derived_of(key_file));
    look(What::ControlSocket, &places.control);
    if let Some(socket) = &config.http.unix_socket {
        look(What::HttpSocket, socket);
    }
    look(What::Configuration, config.origins.file());
    if let Some(tls) = &config.http.tls {
        look(What::TlsKey, &tls.key);
        look(What::Certificate, &tls.certificate);
        if let Some(client) = &tls.client {
            look(What::Certificate, &client.authorities);
        }
    }
    look(What::Checkpoints, checkpoints);
    let policies = config.policy.directory.clone().unwrap_or_else(|| places.policies());
    let folders = [
        (What::Policies, Some(policies)),
        (What::Logs, Some(places.logs())),
        (What::Backups, config.backup.directory.clone()),
    ];
    for (what, folder) in folders {
        let Some(folder) = folder else { continue };
        look(what, &folder);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten().take(bound::SCAN_FILES_MAX) {
            // A link says nothing about what it leads to, and is not ours.
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                look(what, &entry.path());
            }
        }
    }
    found
}

/// Beside a key file: what the vault derived from the secret in it.
fn derived_of(key_file: &Path) -> PathBuf {
    let mut name = key_file.file_name().unwrap_or_default().to_owned();
    name.push(".derived");
    key_file.with_file_name(name)
}

/// What is not there has no mode.
fn fact(what: What, path: &Path) -> Option<FileFact> {
    let metadata = fs::metadata(path).ok()?;
    Some(FileFact {
        what,
        path: path.to_owned(),
        mode: metadata.mode() & 0o7777,
        owner: metadata.uid(),
        is_directory: metadata.is_dir(),
    })
}

/// Lines that hold what looks like a secret: a key of a known form, a password in a URL, or what is called one.
fn secret_lines(file: &Path) -> Vec<usize> {
    let (Ok(text), Ok(masker)) = (fs::read_to_string(file), Masker::of_results(false)) else { return Vec::new() };
    let settings: BTreeSet<String> = settings().into_iter().map(|setting| setting.key).collect();
    let is_secret = |line: &str| {
        masker.masked(line) != line
            || has_password(line)
            || is_secret_line(line, |key| settings.contains(key.rsplit('.').next().unwrap_or(key)))
    };
    (1..).zip(text.lines()).filter(|(_, line)| is_secret(line)).map(|(number, _)| number).collect()
}

/// Units of systemd that serve this data directory, each with the variables that it sets for the service.
pub fn environments(places: &Places) -> Vec<(PathBuf, Vec<(String, String)>)> {
    let mut found = Vec::new();
    for unit in units(places).into_iter().filter(|unit| unit.path.ends_with("sekisho.service")) {
        let variables = unit.environment();
        let data = variables.iter().rev().find(|(name, _)| name == "SEKISHO_DATA_DIR").map(|(_, value)| value);
        // A person's own unit says nothing of it where the usual place is meant.
        if data.map_or(unit.is_of_user, |data| Path::new(data) == places.data) {
            found.push((unit.path, variables));
        }
    }
    found
}

/// Units whose name begins with ours, with their drop-ins. The first folder that has a unit hides those behind it.
fn units(places: &Places) -> Vec<Unit> {
    let mut folders = vec![];
    if let Some(home) = &places.home {
        folders.push((home.join(".config/systemd/user"), true));
    }
    folders.extend(places.units.iter().map(|folder| (folder.clone(), false)));
    let mut found: Vec<Unit> = Vec::new();
    let mut seen = BTreeSet::new();
    for (folder, is_of_user) in &folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_ours = name.starts_with("sekisho") && name.ends_with(".service");
            if !is_ours || !seen.insert((name.clone(), *is_of_user)) || is_masked(&entry.path()) {
                continue;
            }
            let mut directives = service_section(&read_unit(&entry.path()));
            // systemd sorts them by name, wherever they lie; of those with one name the first folder's is in force.
            let mut drop_ins: BTreeMap<OsString, PathBuf> = BTreeMap::new();
            for (folder, _) in folders.iter().filter(|(_, of_user)| of_user == is_of_user) {
                for entry in fs::read_dir(folder.join(format!("{name}.d"))).into_iter().flatten().flatten() {
                    let path = entry.path();
                    if path.extension().is_some_and(|extension| extension == "conf") {
                        drop_ins.entry(entry.file_name()).or_insert(path);
                    }
                }
            }
            directives.extend(drop_ins.values().flat_map(|path| service_section(&read_unit(path))));
            found.push(Unit { path: entry.path(), directives, is_of_user: *is_of_user });
        }
    }
    found
}

/// A unit that is empty or leads to `/dev/null` cannot be started, and hides those of its name behind it.
fn is_masked(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|unit| unit.len() == 0) // a device has no length either
}

fn read_unit(path: &Path) -> String {
    let mut text = String::new();
    // A unit that cannot be read has no directives, and is found to lack them.
    File::open(path).and_then(|file| file.take(bound::UNIT_BYTES_MAX).read_to_string(&mut text)).unwrap_or_default();
    text
}

/// The directives of `[Service]`, with continued lines joined (systemd.syntax(7)).
pub(super) fn service_section(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", " ");
    let mut is_service = false;
    let mut found = Vec::new();
    for line in joined.lines().map(str::trim) {
        if line.starts_with('[') {
            is_service = line == "[Service]";
        } else if is_service
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            found.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// Scheduled backups are named by the time at which they were made. What is empty or no file is none.
fn backups(directory: &Path, is_on_same_disk: bool, now: Timestamp) -> Backups {
    let (directory, disk) = (directory.to_owned(), disk(directory));
    let mut backups = Backups { directory, error: None, newest: None, future: None, is_on_same_disk, disk };
    match fs::read_dir(&backups.directory) {
        Err(error) => backups.error = Some(error.to_string()),
        Ok(entries) => {
            let made = |entry: fs::DirEntry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let made = name.strip_prefix("sekisho-")?.strip_suffix(".backup")?.parse().ok()?;
                let is_one = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
                is_one.then(|| (Timestamp(made), entry.path()))
            };
            let (future, past): (Vec<_>, Vec<_>) =
                entries.flatten().filter_map(made).partition(|(made, _)| *made > now);
            backups.newest = past.into_iter().max();
            backups.future = future.into_iter().max().map(|(_, path)| path);
        }
    }
    backups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_beside_the_database_is_found_and_the_only_secret_is_not_called_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let environment = crate::config::env::Environment::default();
        let places = Places::find(Some(&folder.path().join("data")), None, &environment).unwrap();
        let (usual, elsewhere) = (places.vault_key(), folder.path().join("vault-key"));
        fs::create_dir(&places.data).unwrap();
        assert_eq!(keys_beside(&places, &usual), [] as [PathBuf; 0]);
        fs::write(derived_of(&usual), "x").unwrap();
        assert_eq!(keys_beside(&places, &usual), [derived_of(&usual)]);
        fs::write(&usual, "secret").unwrap();
        assert_eq!(keys_beside(&places, &usual), [usual.clone(), derived_of(&usual)]);
        assert_eq!(keys_beside(&places, &elsewhere), [derived_of(&usual)], "nothing is elsewhere yet");
        fs::write(&elsewhere, "secret").unwrap();
        assert_eq!(keys_beside(&places, &elsewhere), [usual.clone(), derived_of(&usual)]);
    }

    #[test]
    fn the_service_section_of_a_unit_is_read_as_systemd_does() {
        let text = "[Unit]\nUser=no\n[Service]\n# User=comment\nUser=sekisho\nSystemCallFilter=@a \\\n  @b\n\n[Install]\nUser=no\n";
        let unit = Unit { directives: service_section(text), ..Unit::default() };
        assert_eq!(unit.get("user"), Some("sekisho"));
        assert!(unit.get("SystemCallFilter").unwrap().ends_with("@b"));
        let reset = Unit { directives: service_section("[Service]\nUser=a\nUser=\n"), ..Unit::default() };
        assert_eq!(reset.get("User"), None);
    }

    #[test]
    fn the_newest_backup_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sekisho-5.backup", "sekisho-40.backup", "sekisho-x.backup", "other-99.backup"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::write(folder.path().join("sekisho-50.backup"), "").unwrap();
        fs::create_dir(folder.path().join("sekisho-60.backup")).unwrap();
        let found = backups(folder.path(), false, Timestamp(70));
        assert_eq!(found.newest, Some((Timestamp(40), folder.path().join("sekisho-40.backup"))));
        assert_eq!(found.future, None);
        let found = backups(folder.path(), false, Timestamp(39));
        assert_eq!(found.newest, Some((Timestamp(5), folder.path().join("sekisho-5.backup"))));
        assert_eq!(found.future, Some(folder.path().join("sekisho-40.backup")));
        assert!(backups(&folder.path().join("nowhere"), false, Timestamp(70)).error.is_some());
    }

    #[test]
    fn variables_of_a_unit_are_read_as_systemd_does() {
        let text = "[Service]\nEnvironment=X=0\nEnvironment=\nEnvironment=A=1 \"B=two words\" 'C=it'\n\
                    Environment=A=100%% D=a\\\\b E\n[Install]\nEnvironment=F=1";
        let unit = Unit { directives: service_section(text), ..Unit::default() };
        let expected = [("A", "1"), ("B", "two words"), ("C", "it"), ("A", "100%"), ("D", "a\\b")];
        assert_eq!(unit.environment(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_hides_a_unit_or_a_drop_in_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let [etc, usr] = ["etc", "usr"].map(|name| folder.path().join(name));
        for (path, text) in [
            (usr.join("sekisho.service"), "[Service]\nUser=a\n"),
            (usr.join("sekisho.service.d/10-user.conf"), "[Service]\nUser=root\n"),
            (etc.join("sekisho.service.d/10-user.conf"), "[Service]\nUser=b\n"),
            (usr.join("sekisho-backup.service"), "[Service]\nUser=root\n"),
            (usr.join("sekisho-old.service"), "[Service]\nUser=root\n"),
            (etc.join("sekisho-old.service"), ""),
        ] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", etc.join("sekisho-backup.service")).unwrap();
        let environment = crate::config::env::Environment::default();
        let mut places = Places::find(Some(folder.path()), None, &environment).unwrap();
        places.home = None;
        places.units = vec![etc, usr.clone()];
        let found = units(&places);
        assert_eq!(found.iter().map(|unit| unit.path.clone()).collect::<Vec<_>>(), [usr.join("sekisho.service")]);
        assert_eq!(found[0].get("User"), Some("b"), "the first folder's drop-in hides the other of its name");
    }

    proptest! {
        #[test]
        fn hostile_text_is_never_a_panic(text: String) {
            let _any = (service_section(&text), service_section(&format!("[Service]\n{text}")));
        }
    }
}
