//! Where the database lies: the seam between the store and the file system, and the file that is behind it.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::base::bound;

/// A place for one database. The store does all that it does to a disk through this, so that a test can stand a
/// disk in its way that fails, fills up or loses power.
pub trait Disk: Send + Sync + Debug {
    /// Names the database in errors, and is the file if there is one.
    fn path(&self) -> &Path;

    /// The database as it is; [`io::ErrorKind::NotFound`] if there is none. Makes nothing.
    fn open(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// A new, empty file beside the database; whatever an interrupted creation left there is gone.
    /// [`io::ErrorKind::AlreadyExists`] if there is a database.
    fn draft(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// Makes the draft, closed and synced, the database: whole or not at all, and durable on return.
    /// [`io::ErrorKind::AlreadyExists`] if there is a database.
    fn publish(&self) -> io::Result<()>;

    /// Copies the database, byte for byte, to a new file that only its owner may read, durable on return. Gives its
    /// length. Nobody may write meanwhile.
    fn copy_to(&self, path: &Path) -> io::Result<u64>;

    /// Bytes that this process could still write.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Whether the ballast is there, with all its blocks.
    fn has_ballast(&self) -> io::Result<bool>;

    /// Sets [`bound::BALLAST_BYTES`] of real blocks aside; leaves nothing where that fails.
    fn make_ballast(&self) -> io::Result<()>;

    /// Gives the blocks back. No ballast is no error.
    fn release_ballast(&self) -> io::Result<()>;
}

/// Whether an error says that there is no room: a full file system, or a used-up quota.
pub(super) fn is_no_room(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A file in a directory of its own file system: what every installation has.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
}

impl FileDisk {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// `sekisho.redb` has its ballast in `sekisho.redb.ballast`.
    fn ballast(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".ballast");
        self.path.with_file_name(name)
    }

    fn refuse_to_replace(&self) -> io::Result<()> {
        if self.path.try_exists()? { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(()) }
    }

    fn drafted(&self) -> PathBuf {
        self.path.with_extension("redb.new")
    }
}

impl Disk for FileDisk {
    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        backend(OpenOptions::new().read(true).write(true).open(&self.path)?)
    }

    fn draft(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.refuse_to_replace()?;
        remove_if_there(&self.drafted())?;
        backend(new_file(&self.drafted())?)
    }

    fn publish(&self) -> io::Result<()> {
        // Whoever creates holds the directory's lock, so nothing comes between this look and the rename.
        self.refuse_to_replace()?;
        fs::rename(self.drafted(), &self.path)?;
        sync_directory_of(&self.path)
    }

    fn copy_to(&self, path: &Path) -> io::Result<u64> {
        let mut from = File::open(&self.path)?;
        let mut to = new_file(path)?;
        // `io::copy` has the kernel copy, which shares the blocks where the file system can.
        let copied = io::copy(&mut from, &mut to).and_then(|bytes| {
            to.sync_all()?;
            sync_directory_of(path)?;
            Ok(bytes)
        });
        if copied.is_err() {
            // Half a copy must not be taken for one. Of the two errors the first tells more.
            remove_if_there(path).ok();
        }
        copied
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let status = rustix::fs::statvfs(directory_of(&self.path))?;
        // Some network and user-space file systems do not tell; there a failed write has to.
        if status.f_blocks == 0 {
            return Ok(u64::MAX);
        }
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }

    fn has_ballast(&self) -> io::Result<bool> {
        match fs::metadata(self.ballast()) {
            // Restored from an archive it may be a hole, which frees nothing. `blocks` are of 512 bytes, always.
            Ok(metadata) => {
                Ok(metadata.len() == bound::BALLAST_BYTES && metadata.blocks() * 512 >= bound::BALLAST_BYTES)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn make_ballast(&self) -> io::Result<()> {
        let path = self.ballast();
        remove_if_there(&path)?;
        let made = new_file(&path).and_then(|mut file| {
            file.write_all(&incompressible(bound::BALLAST_BYTES))?;
            file.sync_all()
        });
        if made.is_err() {
            // What is left of it takes the room that is missing; the next attempt removes it, if this does not.
            remove_if_there(&path).ok();
        }
        made
    }

    fn release_ballast(&self) -> io::Result<()> {
        remove_if_there(&self.ballast())
    }
}

fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// `parent` of a bare file name is the empty path, which cannot be opened.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes what was created or renamed there survive a power loss.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// Bytes that no file system stores in less room than they have (`SplitMix64`): zeros would become a hole.
fn incompressible(bytes: u64) -> Vec<u8> {
    (1..=bytes.div_ceil(8))
        .flat_map(|count| {
            let mut word = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (word ^ (word >> 31)).to_le_bytes()
        })
        .take(usize::try_from(bytes).unwrap_or(usize::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_ballast_has_real_blocks_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(&directory.path().join("sekisho.redb"));
        assert!(!disk.has_ballast().unwrap());
        disk.make_ballast().unwrap();
        assert!(disk.has_ballast().unwrap());
        let metadata = fs::metadata(directory.path().join("sekisho.redb.ballast")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(metadata.blocks() * 512 >= bound::BALLAST_BYTES, "{} blocks", metadata.blocks());
        disk.release_ballast().unwrap();
        disk.release_ballast().unwrap();
        assert!(!disk.has_ballast().unwrap());
    }

    #[test]
    fn half_a_ballast_is_none_and_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(&directory.path().join("sekisho.redb"));
        fs::write(directory.path().join("sekisho.redb.ballast"), [1; 4096]).unwrap();
        assert!(!disk.has_ballast().unwrap());
        disk.make_ballast().unwrap();
        assert!(disk.has_ballast().unwrap());
    }

    #[test]
    fn a_copy_is_private_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("sekisho.redb"), directory.path().join("copy"));
        fs::write(&from, b"content").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(FileDisk::new(&from).copy_to(&to).unwrap(), 7);
        assert_eq!(fs::read(&to).unwrap(), b"content");
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        let error = FileDisk::new(&from).copy_to(&to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"content");
    }

    #[test]
    fn free_bytes_are_those_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FileDisk::new(&directory.path().join("not-there-yet.redb"));
        assert!(disk.free_bytes().unwrap() > 0);
    }
}
