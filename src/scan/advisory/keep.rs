//! The database of advisories in the data directory: read for a scan, and replaced by a newer one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{Database, DatabaseError};
use crate::base::bound::scan as bound;
use crate::crypto::sign::VerifyingKey;

/// Reads and checks the database at `path`; `None` where there is none.
pub fn read(path: &Path, keys: &[VerifyingKey]) -> Result<Option<Database>, DatabaseError> {
    match text_of(path) {
        Err(DatabaseError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => Database::open(&text?, keys).map(Some),
    }
}

/// Checks the whole of `file` with `keys`, and puts it in the place of the database at `path`, unless that one is newer.
/// `trusted` are all keys that counted so far: another key now is no way back to an older database. One at a time: two
/// would share the draft.
pub fn import(
    file: &Path,
    path: &Path,
    keys: &[VerifyingKey],
    trusted: &[VerifyingKey],
) -> Result<Database, DatabaseError> {
    let text = text_of(file)?;
    let offered = Database::open(&text, keys)?;
    // One that is broken, or of a key that never counted, holds nothing back.
    if let Ok(Some(there)) = read(path, trusted)
        && there.made > offered.made
    {
        return Err(DatabaseError::Older { there: there.made.rfc3339(), offered: offered.made.rfc3339() });
    }
    let fault = |error| DatabaseError::File { path: path.display().to_string(), error };
    let draft = path.with_extension("new");
    let written = write(&draft, &text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // Of the two errors the first tells more.
        fs::remove_file(&draft).ok();
    }
    written.map_err(fault)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(fault)?;
    Ok(offered)
}

fn write(draft: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn text_of(path: &Path) -> Result<String, DatabaseError> {
    let fault = |error| DatabaseError::File { path: path.display().to_string(), error };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bound::ADVISORIES_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(fault)?;
    if bytes.len() as u64 > bound::ADVISORIES_BYTES_MAX {
        return Err(DatabaseError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|_| DatabaseError::Form("it is no UTF-8 text"))
}
