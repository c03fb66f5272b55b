//! Backups: a copy of the running database, checked, sealed as a stream under a key of its own, and read back.
//!
//! A backup file: `SEKISHO-BACKUP 1` and a newline, the length of the header in bytes (u32 BE), the header (JSON, see
//! [`Header`]), then the database as a sealed stream ([`crate::crypto::stream`]) whose associated data is all before it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Custody, CustodyError};
use crate::audit::verify::{Against, Sound, Verdict, verify};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::{hex, random_bytes};
use crate::config;
use crate::crypto::digest::Hasher;
use crate::crypto::stream::{self, StreamKey};
use crate::scan::facts::Verification;
use crate::store::{Store, migrate, table};
use crate::vault::{Open, Sealed};

const MAGIC: &[u8] = b"SEKISHO-BACKUP 1\n";

/// What a backup says of itself, in the clear; the stream does not open under a changed one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The Sekisho that made it.
    pub version: String,
    pub made: Timestamp,
    pub schema: u32,
    /// Rows of each table.
    pub rows: Vec<(String, u64)>,
    pub audit_entries: u64,
    /// Root of the Merkle tree over them, hexadecimal.
    pub audit_root: String,
    pub database_bytes: u64,
    /// What tells this backup from others, hexadecimal; the stream's key is bound to it.
    pub id: String,
    /// The slots and the keyring, sealed: a passphrase or the recovery key opens them on any machine. Base64.
    pub keys: String,
    /// The stream's key under the vault's key for backups. Base64.
    pub stream_key: String,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub path: PathBuf,
    pub bytes: u64,
    /// How long commits waited.
    pub paused: Duration,
    pub header: Header,
}

/// Removes a file that nobody should find.
pub(super) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may never have been made, or have been renamed by now; opened as a store it has a ballast beside it.
        fs::remove_file(&self.0).ok();
        fs::remove_file(with_suffix(&self.0, ".ballast")).ok();
    }
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

/// Opens a private copy with all checks; what its log and tables hold.
pub(super) fn check(copy: &Path) -> Result<(Sound, Vec<(String, u64)>), CustodyError> {
    let opened = Store::open_copy(copy)?;
    let verdict = verify(&opened, &Against::default())?;
    let Verdict::Sound(sound) = verdict else {
        return Err(CustodyError::NotAsBefore(format!("its audit log is not sound: {}", verdict.to_json())));
    };
    let rows = opened.read(|snapshot| {
        table::ALL
            .into_iter()
            .map(|table| Ok((table.name().to_owned(), snapshot.count(table)?)))
            .collect::<Result<_, CustodyError>>()
    })?;
    opened.close()?;
    Ok((sound, rows))
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

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn preamble(header: &Header) -> Result<Vec<u8>, CustodyError> {
    let json = serde_json::to_vec(header).map_err(|error| CustodyError::Failed(error.to_string()))?;
    let length = u32::try_from(json.len()).map_err(|error| CustodyError::Failed(error.to_string()))?;
    Ok([MAGIC, &length.to_be_bytes(), &json].concat())
}

/// A backup that is being read.
pub(super) struct Reading {
    path: PathBuf,
    pub(super) header: Header,
    preamble: Vec<u8>,
    rest: BufReader<File>,
}

impl Reading {
    pub(super) fn begin(path: &Path) -> Result<Self, CustodyError> {
        let none = |reason: &str| CustodyError::NoBackup { path: path.to_owned(), reason: reason.to_owned() };
        let file = File::open(path).map_err(CustodyError::file(path))?;
        let mut rest = BufReader::new(file);
        let mut start = [0; MAGIC.len() + 4];
        rest.read_exact(&mut start).map_err(|_| none("it is too short"))?;
        let (magic, length) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(none("it does not begin like one"));
        }
        let length = length.try_into().map_or(u32::MAX, u32::from_be_bytes) as usize;
        if length > bound::BACKUP_HEADER_BYTES_MAX {
            return Err(none("its header is too long"));
        }
        let mut json = vec![0; length];
        rest.read_exact(&mut json).map_err(|_| none("its header is cut short"))?;
        let header: Header = serde_json::from_slice(&json).map_err(|error| none(&format!("its header: {error}")))?;
        Ok(Self { path: path.to_owned(), header, preamble: [start.as_slice(), &json].concat(), rest })
    }

    /// The vault of the backup, which its header carries.
    pub(super) fn vault(&self) -> Result<Sealed, CustodyError> {
        Ok(Sealed::from_backup(&self.decoded(&self.header.keys)?)?)
    }

    /// Opens the stream into `writer`, which is to be thrown away if this fails.
    pub(super) fn open_into(mut self, open: &Open, writer: impl Write) -> Result<Header, CustodyError> {
        let wrapped = self.decoded(&self.header.stream_key)?;
        let id = self.id()?;
        let key = open.unwrap_backup_key(&id, &wrapped)?;
        stream::open_stream(&key, &self.preamble, &mut self.rest, writer)
            .map_err(|error| CustodyError::Stream { path: self.path.clone(), error })?;
        Ok(self.header)
    }

    fn decoded(&self, text: &str) -> Result<Vec<u8>, CustodyError> {
        STANDARD.decode(text).map_err(|error| CustodyError::NoBackup {
            path: self.path.clone(),
            reason: format!("its header holds a key that is no base64: {error}"),
        })
    }

    fn id(&self) -> Result<Vec<u8>, CustodyError> {
        crate::base::id::unhex(&self.header.id).ok_or_else(|| CustodyError::NoBackup {
            path: self.path.clone(),
            reason: "its id is not hexadecimal".into(),
        })
    }
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
