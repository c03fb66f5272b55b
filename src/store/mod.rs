//! The one file that matters: point reads, bounded scans, and a group-commit writer over redb.

pub mod codec;
pub mod lock;
pub mod migrate;
pub mod table;
pub mod disk;
mod backend;
mod engine;
mod error;
mod submit;
mod write;
mod writer;
#[cfg(test)]
pub(crate) mod no_log;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _};
use tokio::sync::watch;

use crate::base::bound;
use crate::base::clock::{Clock, SystemClock};
use disk::{Disk, FileDisk};
pub use engine::{Commits, Health};
use engine::{Engine, Live, builder};
pub use error::StoreError;
use table::Table;
pub use write::{Acknowledgement, Batch, CommitHook, Put, Removal, Sealed};

/// The opened database. Reads see the last durable commit; writes go through [`Store::commit`].
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
    writer: submit::Submit,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// A database that is open and migrated, but has no writer yet: the hook that seals audit entries
/// reads its own state from here first.
pub struct Opened {
    disk: Arc<dyn Disk>,
    live: Live,
    health: Health,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl Opened {
    pub fn read<T, E: From<StoreError>>(&self, look: impl FnOnce(&Snapshot) -> Result<T, E>) -> Result<T, E> {
        look(&Snapshot::of(&self.live.database)?)
    }

    /// Starts the writer's thread; `hook` joins every commit from now on.
    pub fn start(self, hook: Box<dyn CommitHook>) -> Result<Store, StoreError> {
        self.start_with_clock(hook, Arc::new(SystemClock::default()))
    }

    /// As [`Opened::start`], with the clock that tells when a failing or full disk is tried again.
    pub fn start_with_clock(self, hook: Box<dyn CommitHook>, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        let engine = Arc::new(Engine::new(self.disk, self.live, self.health));
        let writer = submit::Submit::start(Arc::clone(&engine), hook, clock)?;
        Ok(Store { engine, writer })
    }

    /// Closes the file, which still writes to it: an error means that it is as after a crash.
    pub fn close(self) -> Result<(), StoreError> {
        Ok(self.live.database.close()?)
    }
}

/// A copy of the database was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    /// How long commits waited for it.
    pub paused: Duration,
}

impl Store {
    /// Makes a new database at `path`, whole or not at all.
    pub fn create(path: &Path, first: &[Put]) -> Result<(), StoreError> {
        Self::create_on(&FileDisk::new(path), first)
    }

    /// Makes a new database, whole or not at all: a draft is filled, closed and then published, because redb killed
    /// at its first sync leaves a file that never opens.
    pub fn create_on(disk: &dyn Disk, first: &[Put]) -> Result<(), StoreError> {
        let failed = |error| StoreError::file(disk.path(), error);
        let (backend, fault) = backend::Traced::over(disk.draft().map_err(failed)?);
        let filled = fill(backend, first);
        if filled.is_err() && fault.is_no_room() {
            return Err(StoreError::Full { path: disk.path().to_owned() });
        }
        filled?;
        disk.publish().map_err(failed)
    }

    /// Opens what `create` made, checks it, and brings an older schema up to date after a copy.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        Self::open_on(Arc::new(FileDisk::new(path)))
    }

    /// As [`Store::open`], from any disk. Sees to the ballast: on a full disk it is given back, and the store opens
    /// as [`Health::Full`].
    pub fn open_on(disk: Arc<dyn Disk>) -> Result<Opened, StoreError> {
        let mut was_full = false;
        let live = match engine::open(disk.as_ref()) {
            Err(StoreError::Full { path }) => {
                was_full = true;
                disk.release_ballast().map_err(|error| StoreError::file(&path, error))?;
                engine::open(disk.as_ref())?
            }
            other => other?,
        };
        let live = migrate::bring_up_to_date(live, disk.as_ref())?;
        let is_full = was_full || !engine::has_room(disk.as_ref());
        Ok(Opened { disk, live, health: if is_full { Health::Full } else { Health::Writable } })
    }

    /// Opens a private copy of a database: checks every page, and migrates nothing. The check writes to the file, so
    /// it may be nobody else's, and a copy that is to stay byte for byte as it is wants a copy of its own.
    /// [`StoreError::Unsound`] says why it is no good; [`StoreError::Newer`] names both schemas.
    pub fn open_copy(path: &Path) -> Result<Opened, StoreError> {
        let disk = Arc::new(FileDisk::new(path));
        let live = engine::open(disk.as_ref()).map_err(|error| unsound(path, error))?;
        migrate::check_known(&live.database).map_err(|error| unsound(path, error))?;
        Ok(Opened { disk, live, health: Health::Writable })
    }

    /// Whether a copy opens; see [`Store::open_copy`].
    pub fn is_sound(path: &Path) -> Result<(), StoreError> {
        Self::open_copy(path)?.close().map_err(|error| unsound(path, error))
    }

    /// Looks at one consistent snapshot. Keep it short: a snapshot pins pages while others write.
    pub fn read<T, E: From<StoreError>>(&self, look: impl FnOnce(&Snapshot) -> Result<T, E>) -> Result<T, E> {
        // Only the beginning needs the database: whoever reads for long holds nobody up who opens it again.
        let snapshot = self.engine.with(Snapshot::of)?;
        look(&snapshot)
    }

    /// Writes one batch. The answer comes only after the commit that holds it is durable.
    pub async fn commit(&self, batch: Batch) -> Result<Acknowledgement, StoreError> {
        self.writer.commit(batch).await
    }

    /// Copies the database to a new file at `path`, which only its owner may read, and syncs it. Commits wait for as
    /// long as that takes, reads go on. Check it with [`Store::is_sound`], which takes nobody's time.
    pub async fn copy_to(&self, path: &Path) -> Result<Copied, StoreError> {
        self.writer.copy_to(path.to_owned()).await
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.engine.path()
    }

    /// How it stands with the store, and every change of that.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.engine.health()
    }

    /// What was committed since the start.
    pub fn commits(&self) -> Commits {
        self.engine.commits()
    }

    /// Bytes that are free on the store's disk.
    pub fn free_bytes(&self) -> std::io::Result<u64> {
        self.engine.disk().free_bytes()
    }

    /// Opens a failing database again, or looks whether a full disk has room, without waiting for somebody to
    /// commit; for a task that does it every few seconds. Gives the health after that.
    pub async fn probe(&self) -> Result<Health, StoreError> {
        self.writer.probe().await
    }

    /// Gives the space of removed rows back to the file system, and looks whether a full disk has room then. Whether
    /// there was any. Commits wait, for as long as it takes to move what stands at the end of the file.
    pub async fn compact(&self) -> Result<bool, StoreError> {
        self.writer.compact().await
    }

    /// Waits until everything submitted so far is durable, stops the writer and closes the file.
    pub async fn close(&self) {
        self.writer.close().await;
        // Once more for a writer that had ended before.
        self.engine.close();
    }

    /// Whether an ordinary commit works; an empty one finds out.
    pub async fn is_writable(&self) -> bool {
        self.writer.commit(Batch::default()).await.is_ok()
    }
}

fn fill(backend: backend::Traced, first: &[Put]) -> Result<(), StoreError> {
    let database = builder().create_with_backend(backend)?;
    migrate::initialise(&database, first)?;
    Ok(database.close()?)
}

/// Says of a copy what is said of the database itself otherwise: its ways out are not those of a copy.
fn unsound(path: &Path, error: StoreError) -> StoreError {
    let reason = match error {
        StoreError::Damaged { reason, .. } | StoreError::Engine(reason) => reason,
        StoreError::File { error, .. } => error.to_string(),
        StoreError::Missing(_) => "there is no such file".into(),
        StoreError::Full { .. } => "its disk is full, and checking it needs a little room".into(),
        other => return other,
    };
    StoreError::Unsound { path: path.to_owned(), reason }
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

    /// How many rows the table has.
    pub fn count(&self, table: Table) -> Result<u64, StoreError> {
        Ok(self.transaction.open_table(table.definition())?.len()?)
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

#[cfg(test)]
mod tests;
