//! The file that holds the vault's secret: read with care, replaced through a draft, removed for good.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::source::{self, SourceError};
use crate::base::id::{hex, unhex};
use crate::base::secret::Secret;
use crate::crypto::aead::SealingKey;
use crate::crypto::derive::derive;

/// What the key that seals a derived key is for, and the context of the sealed text.
const DERIVED: &[u8] = b"sekisho derived key beside a key file 1";

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

/// The key that was derived from `secret`, the one in the file, where it was kept: a file of the same mode beside it,
/// sealed by the secret, which saves a derivation at each start. Left behind without the secret it opens nothing.
pub fn derived(path: &Path, secret: &Secret) -> Option<Secret> {
    // Whatever is wrong with it: the secret itself is there.
    let text = read(&derived_of(path)).ok()?;
    let sealed = unhex(std::str::from_utf8(text.expose_secret()).ok()?)?;
    sealing(secret)?.open(&sealed, DERIVED).ok().map(Secret::new)
}

/// Keeps a key that was derived from `secret`. It is a convenience: where it cannot be kept, each start derives.
pub fn keep_derived(path: &Path, secret: &Secret, key: &Secret) {
    let place = derived_of(path);
    let Some(sealed) = sealing(secret).and_then(|sealing| sealing.seal(key.expose_secret(), DERIVED).ok()) else {
        return;
    };
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = place.with_file_name(name);
    fs::remove_file(&draft).ok();
    let text = Secret::new(hex(&sealed));
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

/// What seals a derived key: only a secret that we made, for a passphrase could be guessed by this much faster than by
/// its derivation.
fn sealing(secret: &Secret) -> Option<SealingKey> {
    let text = std::str::from_utf8(secret.expose_secret()).ok()?;
    let random = unhex(text).filter(|bytes| bytes.len() == 32).map(Secret::new)?;
    SealingKey::new(&derive(&random, &[], DERIVED).ok()?).ok()
}

/// Removes the key that was kept beside the file, whose secret comes from elsewhere now or opens nothing any more.
pub fn forget_derived(path: &Path) -> Result<(), SourceError> {
    let place = derived_of(path);
    match fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SourceError::file(&place, error)),
        _ => Ok(()),
    }
}

/// Where the key that was derived from the secret in the file is kept.
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
        let first = read(&path).unwrap();
        keep_derived(&path, &first, &Secret::new([7; 32]));
        assert_eq!(derived(&path, &first), Some(Secret::new([7; 32])));
        let third = draft(&path).unwrap();
        publish(&path).unwrap();
        assert!(!derived_of(&path).exists(), "it was that of another secret");
        assert_eq!((read(&path).unwrap(), drafted(&path).unwrap()), (third, None));
        remove(&path).unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn a_derived_key_that_was_left_behind_opens_by_its_own_secret_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault-key");
        let (secret, key) = (source::make_key_file(&path).unwrap(), Secret::new([7; 32]));
        keep_derived(&path, &secret, &key);
        let kept = fs::read_to_string(derived_of(&path)).unwrap();
        assert!(!kept.contains(&hex(key.expose_secret())), "it stands there in the clear");
        assert_eq!(derived(&path, &Secret::new("0".repeat(64))), None);
        assert_eq!(derived(&path, &secret), Some(key.clone()));
        // One from before it was sealed is none.
        fs::remove_file(derived_of(&path)).unwrap();
        source::write_key_file(&derived_of(&path), &Secret::new(hex(key.expose_secret()))).unwrap();
        assert_eq!(derived(&path, &secret), None);
        // A passphrase could be guessed by it.
        forget_derived(&path).unwrap();
        keep_derived(&path, &Secret::new("correct horse battery"), &key);
        assert!(!derived_of(&path).exists());
    }
}
