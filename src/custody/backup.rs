//! Backups: a copy of the running database, checked, sealed as a stream under a key of its own, and read back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::backup_file::{Header, Reading, Temporary, check, preamble, with_suffix};
use super::{Custody, CustodyError};
use crate::base::clock::Timestamp;
use crate::base::id::{hex, random_bytes};
use crate::config;
use crate::crypto::digest::Hasher;
use crate::crypto::stream::{self, StreamKey};
use crate::scan::facts::Verification;
use crate::store::migrate;
use crate::vault::Open;

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub path: PathBuf,
    pub bytes: u64,
    /// How long commits waited.
    pub paused: Duration,
    pub header: Header,
}

impl Custody {
    /// Backs the database up into a new file. Commits wait only while the file is copied; the copy is then checked,
    /// sealed, and the sealed file read back before it gets its name.
    pub async fn backup(&self, path: &Path) -> Result<Made, CustodyError> {
        // It goes along with the work, which ends also when nobody waits for it any more.
        let one = Arc::clone(&self.backing_up).lock_owned().await;
        if path.exists() {
            return Err(CustodyError::FileExists(path.to_owned()));
        }
        // Before the whole database is copied for nothing.
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            return Err(CustodyError::NoFolder(folder.to_owned()));
        }
        let open = self.vault.opened()?;
        // Beside the database: a plain copy belongs nowhere else.
        let copy = Temporary(self.store().path().with_extension("redb.backup-copy"));
        fs::remove_file(&copy.0).or_else(absent).map_err(CustodyError::file(&copy.0))?;
        let copied = self.store().copy_to(&copy.0).await?;
        let id = random_bytes::<16>().map_err(crate::vault::VaultError::from)?;
        let key = StreamKey::fresh().map_err(crate::vault::VaultError::from)?;
        let wrapped = open.wrap_backup_key(&id, key.secret())?;
        if let Some(reservation) = wrapped.reservation {
            let rows = vec![reservation];
            self.store().commit(crate::store::Batch::puts(rows.clone())).await?;
            open.confirm(&rows);
        }
        let (path, now, wrapped) = (path.to_owned(), self.now(), wrapped.bytes);
        let sealing = tokio::task::spawn_blocking(move || {
            // Dropped in reverse: the copy goes before others may make one.
            let _one = one;
            let copy = copy;
            let header = describe(&copy.0, &open, id, &wrapped, now)?;
            let bytes = seal(&copy.0, &path, &header, key, &open)?;
            Ok(Made { path, bytes, paused: copied.paused, header })
        });
        sealing.await.map_err(|error| CustodyError::Failed(error.to_string()))?
    }

    /// A backup into the folder of scheduled ones, due or not; old ones go when it is there. `None`: no folder is set.
    pub async fn backup_now(&self) -> Result<Option<Made>, CustodyError> {
        let Some(directory) = &self.backup.directory else { return Ok(None) };
        let now = self.now();
        let mut there = scheduled_in(directory, now)?;
        let made = self.backup(&directory.join(format!("sekisho-{}.backup", now.0))).await?;
        there.push((now, made.path.clone()));
        for (_, old) in there.iter().rev().skip(self.backup.keep) {
            fs::remove_file(old).map_err(CustodyError::file(old))?;
        }
        Ok(Some(made))
    }

    /// The newest scheduled backup.
    pub fn newest_backup(&self) -> Result<Option<PathBuf>, CustodyError> {
        let Some(directory) = &self.backup.directory else { return Ok(None) };
        Ok(scheduled_in(directory, self.now())?.pop().map(|(_, path)| path))
    }

    /// The backups that are there, newest first, and how they are made. Other files in the folder are left out.
    pub fn backups(&self) -> Result<Shelf, CustodyError> {
        let config::Backup { directory, every, keep } = self.backup.clone();
        let there = directory.as_deref().map_or(Ok(Vec::new()), |directory| scheduled_in(directory, self.now()))?;
        let item = |(made, path): &(Timestamp, PathBuf)| Listed {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            made: *made,
            // Whoever removes one meanwhile is no error.
            bytes: fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default(),
        };
        let verified = self.store().read(super::verified::of_backup)?;
        Ok(Shelf { verified, items: there.iter().rev().map(item).collect(), directory, every, keep })
    }
}

/// Where backups are made by themselves, how often, and those that are there.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub directory: Option<PathBuf>,
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
    pub items: Vec<Listed>,
    /// The last time that one of them was opened and checked.
    pub verified: Option<Verification>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Listed {
    pub name: String,
    pub made: Timestamp,
    pub bytes: u64,
}

/// Scheduled backups, oldest first; other files in the folder are left alone. What is empty or no file is none, and a
/// name from the future is none yet: it would hold back every other until then.
pub(super) fn scheduled_in(directory: &Path, now: Timestamp) -> Result<Vec<(Timestamp, PathBuf)>, CustodyError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(CustodyError::file(directory))? {
        let entry = entry.map_err(CustodyError::file(directory))?;
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let made = name.strip_prefix("sekisho-").and_then(|rest| rest.strip_suffix(".backup"));
        let Some(made) = made.and_then(|made| made.parse().ok()).map(Timestamp) else { continue };
        // Whoever removes one meanwhile is no error.
        let is_one = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        if is_one && made <= now {
            found.push((made, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Opens the copy, checks all of it, and counts what it holds.
fn describe(copy: &Path, open: &Open, id: [u8; 16], wrapped: &[u8], made: Timestamp) -> Result<Header, CustodyError> {
    let (sound, rows) = check(copy)?;
    let database_bytes = fs::metadata(copy).map_err(CustodyError::file(copy))?.len();
    Ok(Header {
        version: env!("CARGO_PKG_VERSION").into(),
        made,
        schema: migrate::SCHEMA,
        rows,
        audit_entries: sound.size,
        audit_root: hex(&sound.root),
        database_bytes,
        id: hex(&id),
        keys: STANDARD.encode(open.backup_keys()?),
        stream_key: STANDARD.encode(wrapped),
    })
}

/// Writes the sealed file beside its place, reads it back, and gives it its name.
fn seal(copy: &Path, path: &Path, header: &Header, key: StreamKey, open: &Open) -> Result<u64, CustodyError> {
    // A name of its own: beside a backup may lie what is not ours.
    let draft = Temporary(with_suffix(path, &format!(".{}.new", header.id)));
    let preamble = preamble(header)?;
    let mut plain = Digesting { inner: File::open(copy).map_err(CustodyError::file(copy))?, hasher: Hasher::default() };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft.0)
        .map_err(CustodyError::file(&draft.0))?;
    let mut out = BufWriter::new(file);
    out.write_all(&preamble).map_err(CustodyError::file(&draft.0))?;
    stream::seal_stream(key, &preamble, &mut plain, &mut out)
        .map_err(|error| CustodyError::Stream { path: draft.0.clone(), error })?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error).map_err(CustodyError::file(&draft.0))?;
    file.sync_all().map_err(CustodyError::file(&draft.0))?;
    let mut back = Digesting { inner: io::sink(), hasher: Hasher::default() };
    Reading::begin(&draft.0)?.open_into(open, &mut back)?;
    if back.hasher.finish() != plain.hasher.finish() {
        return Err(CustodyError::NotAsBefore("what was read back is not what was written".into()));
    }
    fs::rename(&draft.0, path).map_err(CustodyError::file(path))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(CustodyError::file(directory))?;
    Ok(fs::metadata(path).map_err(CustodyError::file(path))?.len())
}

/// Hashes what passes.
struct Digesting<T> {
    inner: T,
    hasher: Hasher,
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

impl<T: Write> Write for Digesting<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
