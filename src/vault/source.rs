//! Where the vault's secret comes from: a systemd credential, a key file, a person, or the environment.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, RenameFlags};
use zeroize::Zeroizing;

use crate::base::bound;
use crate::base::id::{NoEntropy, hex};
use crate::base::secret::Secret;

/// The name under which systemd is given the secret: `LoadCredentialEncrypted=sekisho-vault:...`.
pub const SYSTEMD_CREDENTIAL: &str = "sekisho-vault";

/// Where to look, as the environment and the configuration say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places<'a> {
    /// `$CREDENTIALS_DIRECTORY`, which systemd sets for a service that has credentials.
    pub credentials_directory: Option<&'a Path>,
    /// A file that must be there if it is named here; whoever has only a usual place for it looks first.
    pub key_file: Option<&'a Path>,
    /// `$SEKISHO_VAULT_SECRET`.
    pub variable: Option<&'a Secret>,
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    SystemdCredential(PathBuf),
    KeyFile(PathBuf),
    Prompt,
    Environment,
}

#[derive(Debug)]
pub struct Found {
    pub secret: Secret,
    pub from: Origin,
    /// What an operator should know about this place.
    pub warning: Option<String>,
}

/// Looks in order: systemd's credential, the key file, `prompt`, the environment. The first place that has a secret
/// counts, even if it is a wrong one; `prompt` gives none where nobody can be asked. `None`: there is no secret.
///
/// One newline at the end of a file is not part of the secret, nor of what was typed; an empty secret is an error.
pub fn find(
    places: Places<'_>,
    prompt: impl FnOnce() -> io::Result<Option<Secret>>,
) -> Result<Option<Found>, SourceError> {
    let found = |secret, from, warning| Ok(Some(Found { secret, from, warning }));
    if let Some(path) = places.credentials_directory.map(|directory| directory.join(SYSTEMD_CREDENTIAL))
        && let Some(secret) = systemd_credential(&path)?
    {
        return found(secret, Origin::SystemdCredential(path), None);
    }
    if let Some(path) = places.key_file {
        return found(key_file(path)?, Origin::KeyFile(path.to_owned()), None);
    }
    if let Some(typed) = prompt().map_err(SourceError::Prompt)? {
        return found(trimmed(&typed, || "what was typed".into())?, Origin::Prompt, None);
    }
    if let Some(variable) = places.variable {
        let secret = trimmed(variable, || "the variable SEKISHO_VAULT_SECRET".into())?;
        let warning = "the vault's secret came from the variable SEKISHO_VAULT_SECRET, which other processes of this \
                       user can read; a systemd credential or a key file of mode 0400 keeps it better";
        return found(secret, Origin::Environment, Some(warning.into()));
    }
    Ok(None)
}

/// Makes a key file with a new random secret of 256 bits, in hexadecimal digits and a newline: mode 0400, whole or not
/// at all, and never in the place of something that is there. Gives the secret as [`find`] will.
pub fn make_key_file(path: &Path) -> Result<Secret, SourceError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let secret = Secret::new(hex(Secret::random()?.expose_secret()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let made = write_key_file(&temporary, &secret).and_then(|()| rename_new(&temporary, path));
    if let Err(error) = made {
        // What stays behind is ours and unfinished; the first error is the one to tell.
        std::fs::remove_file(&temporary).unwrap_or_default();
        return Err(match error.kind() {
            io::ErrorKind::AlreadyExists => SourceError::Exists(path.to_owned()),
            _ => SourceError::file(path, error),
        });
    }
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(|error| SourceError::file(directory, error))?;
    Ok(secret)
}

/// Why there is no secret from a place that should have one.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is no regular file, as a file with the vault's secret must be", .0.display())]
    NotRegular(PathBuf),
    #[error(
        "the key file {} belongs to the user with id {owner}, not to {user} who reads it; run `chown {user} {}`, or run this as its owner",
        path.display(), path.display()
    )]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "the key file {} has mode {mode:04o}, expected 0400 or 0600 so that nobody else reads it; run `chmod 0400 {}`",
        path.display(), path.display()
    )]
    Mode { path: PathBuf, mode: u32 },
    #[error("{0} is empty; the vault needs a secret")]
    Empty(String),
    #[error("{} has more than the {} bytes that a vault's secret may have", .0.display(), bound::VAULT_SECRET_BYTES_MAX)]
    TooLong(PathBuf),
    #[error("{} exists already; it was left as it is", .0.display())]
    Exists(PathBuf),
    #[error("the secret could not be asked for: {0}")]
    Prompt(io::Error),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl SourceError {
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }
}

/// A service may have other credentials and not this one. Owner and mode are systemd's affair, and vary.
fn systemd_credential(path: &Path) -> Result<Option<Secret>, SourceError> {
    match open(path) {
        Ok(file) => read(&file, path).map(Some),
        Err(SourceError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn key_file(path: &Path) -> Result<Secret, SourceError> {
    let file = open(path)?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(|error| SourceError::file(path, error))?;
    if !metadata.is_file() {
        return Err(SourceError::NotRegular(path.to_owned()));
    }
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(SourceError::Foreign { path: path.to_owned(), owner, user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode != 0o400 && mode != 0o600 {
        return Err(SourceError::Mode { path: path.to_owned(), mode });
    }
    read(&file, path)
}

/// Follows no link in the last place, and does not wait for whoever would write into a pipe.
fn open(path: &Path) -> Result<File, SourceError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        Err(rustix::io::Errno::LOOP) => Err(SourceError::NotRegular(path.to_owned())),
        Err(error) => Err(SourceError::file(path, error.into())),
    }
}

fn read(file: &File, path: &Path) -> Result<Secret, SourceError> {
    let failed = |error| SourceError::file(path, error);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(SourceError::NotRegular(path.to_owned()));
    }
    // Room for one byte more than is read, so that the buffer never moves and leaves a copy.
    let limit = bound::VAULT_SECRET_BYTES_MAX;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or_default() + 2));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(SourceError::TooLong(path.to_owned()));
    }
    trimmed(&Secret::new(std::mem::take(&mut *bytes)), || path.display().to_string())
}

fn trimmed(secret: &Secret, place: impl FnOnce() -> String) -> Result<Secret, SourceError> {
    let bytes = secret.expose_secret();
    let bytes = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(SourceError::Empty(place()));
    }
    Ok(Secret::new(bytes))
}

pub(super) fn write_key_file(path: &Path, secret: &Secret) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(secret.expose_secret())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Renames unless `to` exists. A file system that cannot do that at once is asked before.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let here = rustix::fs::CWD;
    match rustix::fs::renameat_with(here, from, here, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if to.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn put(path: &Path, content: &[u8], mode: u32) {
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn nobody_asked() -> io::Result<Option<Secret>> {
        Ok(None)
    }

    #[test]
    fn the_places_are_asked_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("vault-key");
        let credential = directory.path().join(SYSTEMD_CREDENTIAL);
        put(&key, b"from file\n", 0o600);
        put(&credential, b"from systemd\n", 0o440);
        let variable = Secret::new("from variable");
        let mut places =
            Places { credentials_directory: Some(directory.path()), key_file: Some(&key), variable: Some(&variable) };
        let check = |places: Places<'_>, typed: Option<&str>, secret: &str, from: Origin, warns: bool| {
            let found = find(places, || Ok(typed.map(Secret::new))).unwrap().unwrap();
            assert_eq!(found.secret, Secret::new(secret));
            assert_eq!(found.from, from);
            assert_eq!(found.warning.is_some(), warns);
        };
        check(places, Some("typed"), "from systemd", Origin::SystemdCredential(credential.clone()), false);
        std::fs::remove_file(&credential).unwrap();
        check(places, Some("typed"), "from file", Origin::KeyFile(key.clone()), false);
        places.key_file = None;
        check(places, Some("typed\n"), "typed", Origin::Prompt, false);
        check(places, None, "from variable", Origin::Environment, true);
        assert!(find(Places::default(), nobody_asked).unwrap().is_none());
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault-key");
        for mode in [0o440, 0o604, 0o640, 0o644, 0o700, 0o4400, 0o000] {
            put(&path, b"secret", mode);
            let places = Places { key_file: Some(&path), ..Places::default() };
            match find(places, nobody_asked) {
                Err(SourceError::Mode { mode: found, .. }) => assert_eq!(found, mode),
                // Who is not root cannot even open it.
                Err(SourceError::File { .. }) if mode == 0 => {}
                other => panic!("{mode:o}: {other:?}"),
            }
            std::fs::remove_file(&path).unwrap();
        }
        let error = SourceError::Mode { path: path.clone(), mode: 0o640 }.to_string();
        assert!(error.contains("0640") && error.contains("chmod 0400"), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, link, real) =
            (directory.path().join("pipe"), directory.path().join("link"), directory.path().join("real"));
        put(&real, b"secret", 0o400);
        std::os::unix::fs::symlink(&real, &link).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for path in [&pipe, &link, &directory.path().to_owned()] {
            let places = Places { key_file: Some(path), ..Places::default() };
            let error = find(places, nobody_asked).unwrap_err();
            assert!(matches!(error, SourceError::NotRegular(_)), "{error}");
        }
        let missing = directory.path().join("missing");
        let places = Places { key_file: Some(&missing), ..Places::default() };
        assert!(matches!(find(places, nobody_asked), Err(SourceError::File { .. })));
    }

    #[test]
    fn one_newline_goes_and_an_empty_secret_is_none() {
        let check = |text: &str, expect: Option<&str>| {
            let trimmed = trimmed(&Secret::new(text), || "it".into()).ok();
            assert_eq!(trimmed, expect.map(Secret::new), "{text:?}");
        };
        check("secret", Some("secret"));
        check("secret\n", Some("secret"));
        check("secret\r\n", Some("secret"));
        check("secret\n\n", Some("secret\n"));
        check(" secret ", Some(" secret "));
        check("\n", None);
        check("", None);
    }

    #[test]
    fn a_secret_longer_than_its_bound_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault-key");
        let places = Places { key_file: Some(&path), ..Places::default() };
        put(&path, &[b'a'; 4096], 0o600);
        assert_eq!(find(places, nobody_asked).unwrap().unwrap().secret, Secret::new([b'a'; 4096]));
        put(&path, &[b'a'; 4097], 0o600);
        assert!(matches!(find(places, nobody_asked), Err(SourceError::TooLong(_))));
    }

    #[test]
    fn a_key_file_that_was_made_is_found_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault-key");
        let secret = make_key_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o400);
        let places = Places { key_file: Some(&path), ..Places::default() };
        assert_eq!(find(places, nobody_asked).unwrap().unwrap().secret, secret);
        assert_eq!(secret.expose_secret().len(), 64);
        assert!(matches!(make_key_file(&path), Err(SourceError::Exists(_))));
        assert_eq!(find(places, nobody_asked).unwrap().unwrap().secret, secret);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing unfinished stays");
        assert!(make_key_file(&directory.path().join("none/vault-key")).is_err());
    }
}
