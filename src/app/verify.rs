//! Checks a database, or a bundle, that is not at work: on a private copy, for redb's own check writes.

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::{AppError, at};
use crate::audit::bundle;
use crate::audit::verify::{Against, Sound, Verdict, verify};
use crate::base::id::{hex, random_bytes};
use crate::store::Store;

/// What a file that can be checked begins with.
const DATABASE: &[u8] = b"redb";
const BACKUP: &[u8] = b"SEKISHO-BACKUP";

/// Checks `path`. The copy is made in `scratch`, and is gone afterwards.
pub fn file(path: &Path, scratch: &Path, against: &Against) -> Result<Verdict, AppError> {
    let mut start = [0; 16];
    let mut opened = File::open(path).map_err(at(path))?;
    let length = opened.read(&mut start).map_err(at(path))?;
    if start[..length].starts_with(BACKUP) {
        let reason = "it is a backup, which only its keys open: restore it into a directory of its own, and check that";
        return Ok(Verdict::Incomplete { reason: reason.into() });
    }
    if !start[..length].starts_with(DATABASE) {
        return of_bundle(path, against);
    }
    database(path, scratch, against)
}

/// As [`file()`], for what must be a database: that it does not even begin like one is told as that.
pub fn database(path: &Path, scratch: &Path, against: &Against) -> Result<Verdict, AppError> {
    let private = Private::make(scratch)?;
    let copy = private.0.join("sekisho.redb");
    fs::copy(path, &copy).map_err(at(&copy))?;
    match Store::open(&copy) {
        Ok(opened) => {
            let verdict = verify(&opened, against)?;
            opened.close()?;
            Ok(verdict)
        }
        // Cut off, or overwritten in places: what is left cannot be read in order.
        Err(error) => {
            // The copy is gone when this is read.
            let reason = error.to_string().replace(&copy.display().to_string(), &path.display().to_string());
            Ok(Verdict::Incomplete { reason })
        }
    }
}

/// A directory of our own, removed with all that is in it.
struct Private(PathBuf);

impl Private {
    fn make(scratch: &Path) -> Result<Self, AppError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = scratch.join(format!(".sekisho-verify-{}", hex(&random_bytes::<8>()?)));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(at(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // What stays is a copy that only its owner reads.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Checks the evidence of an incident, which brings all that the check needs.
pub fn evidence(path: &Path, against: &Against) -> Result<Verdict, AppError> {
    let verdict = crate::incident::evidence::verify(path, &against.keys).map_err(at(path))?;
    Ok(verdict.map(of_sound))
}

/// Checks an exported bundle, which brings all that the check needs.
fn of_bundle(path: &Path, against: &Against) -> Result<Verdict, AppError> {
    let file = File::open(path).map_err(at(path))?;
    let verdict = bundle::verify(&mut BufReader::new(file), &against.keys, &against.checkpoints).map_err(at(path))?;
    Ok(verdict.map(of_sound))
}

fn of_sound(sound: bundle::Sound) -> Sound {
    let end = sound.first + sound.count;
    Sound { size: end, root: sound.root, first: sound.first, checkpoints: sound.compared + 1, signed_size: end }
}
