//! One process owns a data directory; whoever comes second learns its process id.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Held as long as this process owns the data directory. The kernel lets go of it when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    /// Locked with flock(2); dropping it unlocks.
    _file: File,
}

impl DirectoryLock {
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("sekisho.lock");
        let owner =
            fs::metadata(directory).map_err(|error| LockError::File { path: directory.to_owned(), error })?.uid();
        // Only root could do this harm: any other user is kept out by the directory's mode, or let in on purpose.
        if owner != 0 && rustix::process::geteuid().is_root() {
            return Err(LockError::Foreign { directory: directory.to_owned(), owner });
        }
        let failed = |error| LockError::File { path: path.clone(), error };
        // Not truncated on opening: until we hold the lock, the content is the owner's.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                return Err(LockError::Held { directory: directory.to_owned(), process });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Why the data directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{} is in use by another Sekisho{}; stop that one first, or choose another --data-dir", directory.display(), of_process(*process))]
    Held { directory: PathBuf, process: Option<u32> },
    /// What this process wrote there, the owner could not open.
    #[error("{} belongs to the user with id {owner}; run this as that user, for example with `sudo -u '#{owner}'`", directory.display())]
    Foreign { directory: PathBuf, owner: u32 },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
}

fn of_process(process: Option<u32>) -> String {
    process.map_or_else(String::new, |id| format!(" (process {id})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_does_not_write_into_somebody_elses_directory() {
        let directory = tempfile::tempdir().unwrap();
        let nobody = rustix::process::Uid::from_raw(65_534);
        // Only root can give a directory away; for everybody else there is nothing to refuse.
        let given = rustix::fs::chown(directory.path(), Some(nobody), None).is_ok();
        let refused = matches!(DirectoryLock::acquire(directory.path()), Err(LockError::Foreign { owner: 65_534, .. }));
        assert_eq!(refused, given);
    }

    #[test]
    fn the_second_owner_is_told_the_first_ones_process() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
    }
}
