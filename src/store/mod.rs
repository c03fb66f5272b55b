//! The one file that matters: point reads, bounded scans, and a group-commit writer over redb.

pub mod codec;
pub mod lock;
pub mod migrate;
pub mod table;
mod write;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _};

use crate::base::bound;
use table::Table;
pub use write::{Acknowledgement, Batch, CommitHook, Put, Sealed};

/// The opened database. Reads see the last durable commit; writes go through [`Store::commit`].
#[derive(Clone)]
pub struct Store {
    database: Arc<Shared>,
    writer: write::Writer,
}

/// The database until it is closed. Whoever still holds a [`Store`] then is told so; the file is free.
struct Shared {
    /// Read for the length of a look or a commit, never across an await.
    database: RwLock<Option<Database>>,
}

impl Shared {
    fn with<T, E: From<StoreError>>(&self, work: impl FnOnce(&Database) -> Result<T, E>) -> Result<T, E> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(StoreError::Closed)?)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// A database that is open and migrated, but has no writer yet: the hook that seals audit entries
/// reads its own state from here first.
pub struct Opened {
    database: Database,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl Opened {
    pub fn read<T, E: From<StoreError>>(&self, look: impl FnOnce(&Snapshot) -> Result<T, E>) -> Result<T, E> {
        look(&Snapshot::of(&self.database)?)
    }

    /// Starts the writer's thread; `hook` joins every commit from now on.
    pub fn start(self, hook: Box<dyn CommitHook>) -> Result<Store, StoreError> {
        let database = Arc::new(Shared { database: RwLock::new(Some(self.database)) });
        let writer = write::Writer::start(Arc::clone(&database), hook)?;
        Ok(Store { database, writer })
    }
}

impl Store {
    /// Makes a new database at `path`, whole or not at all: a temporary file is filled, closed, renamed
    /// and the directory synced, because redb killed at its first sync leaves a file that never opens.
    pub fn create(path: &Path, first: &[Put]) -> Result<(), StoreError> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let temporary = path.with_extension("redb.new");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::file(&temporary, error)),
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|error| StoreError::file(&temporary, error))?;
        let database = builder().create_with_backend(FileBackend::new(file)?)?;
        migrate::initialise(&database, first)?;
        drop(database);
        if path.exists() {
            return Err(StoreError::Exists(path.to_owned()));
        }
        fs::rename(&temporary, path).map_err(|error| StoreError::file(path, error))?;
        let handle = File::open(directory).map_err(|error| StoreError::file(directory, error))?;
        handle.sync_all().map_err(|error| StoreError::file(directory, error))
    }

    /// Opens what `create` made, checks it, and brings an older schema up to date after a copy.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let database = builder().open(path).map_err(|error| StoreError::opening(path, error))?;
        let database = migrate::bring_up_to_date(database, path)?;
        Ok(Opened { database })
    }

    /// Looks at one consistent snapshot. Keep it short: a snapshot pins pages while others write.
    pub fn read<T, E: From<StoreError>>(&self, look: impl FnOnce(&Snapshot) -> Result<T, E>) -> Result<T, E> {
        self.database.with(|database| look(&Snapshot::of(database)?))
    }

    /// Writes one batch. The answer comes only after the commit that holds it is durable.
    pub async fn commit(&self, batch: Batch) -> Result<Acknowledgement, StoreError> {
        self.writer.commit(batch).await
    }

    /// Waits until everything submitted so far is durable, stops the writer and closes the file.
    pub async fn close(&self) {
        self.writer.close().await;
        drop(self.database.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether the last commit worked; an empty commit finds out.
    pub async fn is_writable(&self) -> bool {
        self.writer.commit(Batch::default()).await.is_ok()
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(bound::STORE_CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// One consistent view of all tables.
pub struct Snapshot {
    transaction: redb::ReadTransaction,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

impl Snapshot {
    fn of(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { transaction: database.begin_read()? })
    }

    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let opened = self.transaction.open_table(table.definition())?;
        Ok(opened.get(key)?.map(|value| value.value().to_vec()))
    }

    /// The rows of `from..to` in key order, at most `rows_max` of them.
    pub fn scan(&self, table: Table, from: &[u8], to: &[u8], rows_max: usize) -> Result<Vec<Row>, StoreError> {
        let opened = self.transaction.open_table(table.definition())?;
        let mut rows = Vec::new();
        for entry in opened.range(from..to)?.take(rows_max) {
            let (key, value) = entry?;
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(rows)
    }

    /// The last row of `from..to`.
    pub fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        let opened = self.transaction.open_table(table.definition())?;
        let Some(entry) = opened.range(from..to)?.next_back() else { return Ok(None) };
        let (key, value) = entry?;
        Ok(Some((key.value().to_vec(), value.value().to_vec())))
    }
}

/// The first key after all keys that start with `prefix`.
pub fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return end;
        }
        end.pop();
    }
    vec![u8::MAX; bound::KEY_BYTES_MAX]
}

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no Sekisho database at {}; make one with `sekisho init`", .0.display())]
    Missing(PathBuf),
    #[error("{} exists already; it was left as it is", .0.display())]
    Exists(PathBuf),
    #[error("another process has {} open", .0.display())]
    InUse(PathBuf),
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is not a database that Sekisho can open ({reason}); restore a backup, or move it away and run `sekisho init`", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "the database has schema {found}, made by a newer Sekisho; this one knows schemas up to {known}: use the newer version, or restore the copy that it made before migrating"
    )]
    Newer { found: u32, known: u32 },
    #[error("migration {number} ({name}) failed: {reason}; the copy made before it is {}", copy.display())]
    Migration { number: u32, name: &'static str, reason: String, copy: PathBuf },
    #[error("a record of table {table} does not decode: {reason}")]
    Record { table: &'static str, reason: String },
    #[error("the store takes at most {limit} bytes in one commit, this one has {found}")]
    BatchTooLarge { found: usize, limit: usize },
    #[error("the store is closed")]
    Closed,
    #[error("the store failed: {0}")]
    Engine(String),
}

impl StoreError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }

    fn opening(path: &Path, error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse(path.to_owned()),
            redb::DatabaseError::Storage(redb::StorageError::Io(error))
                if error.kind() != io::ErrorKind::InvalidData =>
            {
                Self::file(path, error)
            }
            other => Self::Damaged { path: path.to_owned(), reason: other.to_string() },
        }
    }
}

macro_rules! engine_errors {
    ($($kind:ty),+) => {
        $(impl From<$kind> for StoreError {
            fn from(error: $kind) -> Self {
                Self::Engine(error.to_string())
            }
        })+
    };
}
engine_errors!(redb::DatabaseError, redb::TransactionError, redb::TableError, redb::StorageError, redb::CommitError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_prefix_is_the_first_key_beyond() {
        assert_eq!(after_prefix(b"ab"), b"ac");
        assert_eq!(after_prefix(&[1, 0xff]), [2]);
        assert!(after_prefix(&[0xff]) > vec![0xff, 0xff]);
    }

    #[test]
    fn create_leaves_an_existing_database_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sekisho.redb");
        Store::create(&path, &[]).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(Store::create(&path, &[]), Err(StoreError::Exists(_))));
        assert_eq!(before, fs::read(&path).unwrap());
    }

    #[test]
    fn what_is_no_database_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sekisho.redb");
        assert!(matches!(Store::open(&path), Err(StoreError::Missing(_))));
        for content in [&b""[..], b"hello", &[0; 8192]] {
            fs::write(&path, content).unwrap();
            let error = Store::open(&path).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. } | StoreError::File { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }
}
