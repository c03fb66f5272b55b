//! The file that holds the vault's secret: read with care, replaced through a draft, removed for good.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::source::{self, SourceError};
use crate::base::id::{hex, unhex};
use crate::base::secret::Secret;

/// The secret in the file, which nobody else may be able to read.
pub fn read(path: &Path) -> Result<Secret, SourceError> {
    source::key_file(path)
}

/// A new random secret in a draft beside the file: the vault is to take it before the file has it.
pub fn draft(path: &Path) -> Result<Secret, SourceError> {
    let draft = draft_of(path);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SourceError::file(&draft, error)),
        _ => source::make_key_file(&draft),
    }
}

/// The secret in a draft that never became the file, for a change may have been killed between the two.
pub fn drafted(path: &Path) -> Result<Option<Secret>, SourceError> {
    let draft = draft_of(path);
    if draft.exists() { read(&draft).map(Some) } else { Ok(None) }
}

/// The key that was derived from the secret in the file, where it was kept: a file of the same mode beside it, which
/// says no more than the secret does, and saves a derivation at each start.
pub fn derived(path: &Path) -> Option<Secret> {
    // Whatever is wrong with it: the secret itself is there.
    let text = read(&derived_of(path)).ok()?;
    unhex(std::str::from_utf8(text.expose_secret()).ok()?).map(Secret::new)
}

/// Keeps a derived key. It is a convenience: where it cannot be kept, each start derives.
pub fn keep_derived(path: &Path, key: &Secret) {
    let place = derived_of(path);
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = place.with_file_name(name);
    fs::remove_file(&draft).ok();
    let text = Secret::new(hex(key.expose_secret()));
    if source::write_key_file(&draft, &text).and_then(|()| fs::rename(&draft, &place)).is_err() {
        fs::remove_file(&draft).ok();
    }
}

/// Puts the draft in the place of the file.
pub fn publish(path: &Path) -> Result<(), SourceError> {
    fs::rename(draft_of(path), path).map_err(|error| SourceError::file(path, error))?;
    forget_derived(path)?;
    sync_directory(path)
}

/// Removes the file: what is in it opens nothing any more.
pub fn remove(path: &Path) -> Result<(), SourceError> {
    fs::remove_file(path).map_err(|error| SourceError::file(path, error))?;
    forget_derived(path)?;
    sync_directory(path)
}

fn forget_derived(path: &Path) -> Result<(), SourceError> {
    let place = derived_of(path);
    match fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SourceError::file(&place, error)),
        _ => Ok(()),
    }
}

fn derived_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".derived");
    path.with_file_name(name)
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".draft");
    path.with_file_name(name)
}

fn sync_directory(path: &Path) -> Result<(), SourceError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(|error| SourceError::file(directory, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_takes_the_files_place_and_until_then_both_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault-key");
        let first = source::make_key_file(&path).unwrap();
        assert_eq!(drafted(&path).unwrap(), None);
        let second = draft(&path).unwrap();
        assert_eq!((read(&path).unwrap(), drafted(&path).unwrap()), (first, Some(second)));
        keep_derived(&path, &Secret::new([7; 32]));
        assert_eq!(derived(&path), Some(Secret::new([7; 32])));
        let third = draft(&path).unwrap();
        publish(&path).unwrap();
        assert_eq!((read(&path).unwrap(), drafted(&path).unwrap()), (third, None));
        assert_eq!(derived(&path), None, "it was that of another secret");
        remove(&path).unwrap();
        assert!(read(&path).is_err());
    }
}
