//! A client's configuration file on the disk: read whole, kept beside before a change, replaced at once.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::base::bound::client as bound;

/// Owner only: what we make may hold a token.
const MODE_PRIVATE: u32 = 0o600;

/// Why a file was not read or not changed. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{} is a link that leads nowhere; remove it, or make the file it names", .0.display())]
    DanglingLink(PathBuf),
    #[error("{} is no file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} has more than {} bytes", .0.display(), bound::CLIENT_FILE_BYTES_MAX)]
    TooLarge(PathBuf),
    #[error("{} is not UTF-8; save it as UTF-8 with its client's editor", .0.display())]
    NotUtf8(PathBuf),
    #[error("{} was changed by somebody else just now; close its client and try again", .0.display())]
    Changed(PathBuf),
    #[error("{} belongs to another user, and would not any more; run this as that user", .0.display())]
    OtherOwner(PathBuf),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError::Io { path, error }
}

/// A file as it was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies, behind any links.
    pub path: PathBuf,
    /// None where there is no file yet.
    pub text: Option<String>,
    /// Permission bits.
    mode: u32,
    owner: Option<(u32, u32)>,
}

// Its text may hold the secrets of other servers.
impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Found {
    /// Looks at `path`; a link is followed, so that it stays one.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let link = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: path.to_owned(), text: None, mode: MODE_PRIVATE, owner: None });
            }
            other => other.map_err(at(path))?,
        };
        let path = if link.is_symlink() {
            fs::canonicalize(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FileError::DanglingLink(path.to_owned()),
                _ => at(path)(error),
            })?
        } else {
            path.to_owned()
        };
        let metadata = fs::metadata(&path).map_err(at(&path))?;
        if !metadata.is_file() {
            return Err(FileError::NotAFile(path));
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(at(&path))?;
        file.take(bound::CLIENT_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(at(&path))?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len > bound::CLIENT_FILE_BYTES_MAX) {
            return Err(FileError::TooLarge(path));
        }
        let Ok(text) = String::from_utf8(bytes) else { return Err(FileError::NotUtf8(path)) };
        let owner = Some((metadata.uid(), metadata.gid()));
        Ok(Self { path, text: Some(text), mode: metadata.permissions().mode() & 0o7777, owner })
    }

    /// Whether somebody beside its owner may read it.
    pub fn is_open(&self) -> bool {
        self.mode & 0o077 != 0
    }

    /// The same, from now on for its owner only.
    pub fn made_private(mut self) -> Self {
        self.mode &= !0o077;
        self
    }

    /// Where a copy of it is kept before it is changed.
    pub fn backup(&self) -> PathBuf {
        let mut name = self.path.file_name().map(OsString::from).unwrap_or_default();
        name.push(".before-sekisho");
        self.path.with_file_name(name)
    }

    /// Keeps a copy, for its owner only: it may hold the secrets of other servers.
    pub fn keep(&self) -> Result<(), FileError> {
        let Some(text) = &self.text else { return Ok(()) };
        self.replace(&self.backup(), text, MODE_PRIVATE)
    }

    /// Puts `text` in its place at once, unless somebody changed it since it was read. Folders are made.
    pub fn write(&self, text: &str) -> Result<(), FileError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        self.check_unchanged()?;
        self.replace(&self.path, text, self.mode)
    }

    /// Removes it, unless somebody changed it since it was read.
    pub fn remove(&self) -> Result<(), FileError> {
        self.check_unchanged()?;
        fs::remove_file(&self.path).map_err(at(&self.path))
    }

    /// Clients write these files, too. Between this look and the change is no time in which one usually does.
    fn check_unchanged(&self) -> Result<(), FileError> {
        if Self::read(&self.path)?.text == self.text { Ok(()) } else { Err(FileError::Changed(self.path.clone())) }
    }

    /// Writes a draft beside `path`, and renames it: a reader sees the old text or the new one, whole.
    fn replace(&self, path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".sekisho-{}", std::process::id()));
        let draft = Draft(path.with_file_name(name));
        let opened = OpenOptions::new().write(true).create_new(true).mode(MODE_PRIVATE).open(&draft.0);
        let mut file = opened.map_err(at(&draft.0))?;
        if let Some((user, group)) = self.owner {
            let made = file.metadata().map_err(at(&draft.0))?;
            let is_same = (made.uid(), made.gid()) == (user, group);
            // A group that we are not in is given up; another owner is not.
            if !is_same && std::os::unix::fs::fchown(&file, Some(user), Some(group)).is_err() && made.uid() != user {
                return Err(FileError::OtherOwner(path.to_owned()));
            }
        }
        let written = file.write_all(text.as_bytes());
        let written = written.and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)));
        written.and_then(|()| file.sync_all()).map_err(at(&draft.0))?;
        fs::rename(&draft.0, path).map_err(at(path))?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
        }
        Ok(())
    }
}

/// A draft that goes when it did not take the file's place.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is none.
        fs::remove_file(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_links_stay_and_no_draft_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.json", &link).unwrap();
        let found = Found::read(&link).unwrap();
        found.keep().unwrap();
        found.write("new").unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
        let backup = folder.path().join("real.json.before-sekisho");
        assert_eq!(fs::read_to_string(&backup).unwrap(), "old");
        assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "a draft is left");
        assert_eq!(Found::read(&link).unwrap().made_private().mode, 0o600);
    }

    #[test]
    fn what_changed_since_it_was_read_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let absent = Found::read(&path).unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(matches!(absent.write("ours"), Err(FileError::Changed(_))));
        let found = Found::read(&path).unwrap();
        fs::write(&path, "theirs again").unwrap();
        assert!(matches!(found.write("ours"), Err(FileError::Changed(_))));
        assert!(matches!(found.remove(), Err(FileError::Changed(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs again");
    }

    #[test]
    fn what_is_no_text_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(matches!(Found::read(folder.path()), Err(FileError::NotAFile(_))));
        std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
        assert!(matches!(Found::read(&path("dangling")), Err(FileError::DanglingLink(_))));
        fs::write(path("latin1"), b"{\"a\": \"\xe9\"}").unwrap();
        assert!(matches!(Found::read(&path("latin1")), Err(FileError::NotUtf8(_))));
    }
}
