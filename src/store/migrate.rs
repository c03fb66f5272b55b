//! Numbered migrations: each in one transaction with the number it brings, an older file copied first.

#[path = "../../migrations/0001_first_tables.rs"]
mod m0001_first_tables;
#[path = "../../migrations/0002_strongroom.rs"]
mod m0002_strongroom;
#[path = "../../migrations/0003_gate.rs"]
mod m0003_gate;
#[path = "../../migrations/0004_classified_credentials.rs"]
mod m0004_classified_credentials;
#[path = "../../migrations/0005_connectors.rs"]
mod m0005_connectors;
#[path = "../../migrations/0006_connector_tokens.rs"]
mod m0006_connector_tokens;
#[path = "../../migrations/0007_incidents.rs"]
mod m0007_incidents;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase as _, TableDefinition, WriteTransaction};

use super::disk::{self, Disk};
use super::engine::{self, Live};
use super::table::Table;
use super::{Batch, Put, Store, StoreError};

/// One step from schema `number - 1` to `number`.
pub(super) struct Migration {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) apply: fn(&WriteTransaction) -> Result<(), StoreError>,
}

/// All migrations, in order, from 1 without a gap.
const ALL: &[Migration] = &[
    Migration { number: 1, name: "first_tables", apply: m0001_first_tables::apply },
    Migration { number: 2, name: "strongroom", apply: m0002_strongroom::apply },
    Migration { number: 3, name: "gate", apply: m0003_gate::apply },
    Migration { number: 4, name: "classified_credentials", apply: m0004_classified_credentials::apply },
    Migration { number: 5, name: "connectors", apply: m0005_connectors::apply },
    Migration { number: 6, name: "connector_tokens", apply: m0006_connector_tokens::apply },
    Migration { number: 7, name: "incidents", apply: m0007_incidents::apply },
];

/// The newest schema that this binary knows.
#[allow(clippy::cast_possible_truncation, reason = "there are few migrations")]
pub const SCHEMA: u32 = ALL.len() as u32;

const KEY_SCHEMA: &[u8] = b"schema";

/// Brings a new, empty database to the newest schema and writes `first` with it.
pub(super) fn initialise(database: &Database, first: &[Put]) -> Result<(), StoreError> {
    for migration in ALL {
        apply(database, migration)?;
    }
    super::write::write(database, [&Batch::puts(first.to_vec())].into_iter(), &[]).map(drop)
}

/// Applies what is missing. The database is copied first, and the copy checked, so that a failed migration costs
/// nothing.
pub(super) fn bring_up_to_date(live: Live, disk: &dyn Disk) -> Result<Live, StoreError> {
    bring_up_to_date_by(live, disk, ALL)
}

/// Refuses a schema that is newer than this binary.
pub(super) fn check_known(database: &Database) -> Result<(), StoreError> {
    known_schema_of(database, ALL).map(drop)
}

fn known_schema_of(database: &Database, all: &[Migration]) -> Result<u32, StoreError> {
    let known = u32::try_from(all.len()).unwrap_or(u32::MAX);
    match schema_of(database)? {
        found if found > known => Err(StoreError::Newer { found, known }),
        found => Ok(found),
    }
}

fn bring_up_to_date_by(live: Live, disk: &dyn Disk, all: &[Migration]) -> Result<Live, StoreError> {
    let path = disk.path();
    let found = known_schema_of(&live.database, all).map_err(|error| match error {
        StoreError::Newer { .. } => error,
        other => StoreError::Damaged { path: path.to_owned(), reason: other.to_string() },
    })?;
    let missing = all.get(found as usize..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(live);
    }
    // Copying a live file is unsafe: close, copy, open again.
    live.database.close()?;
    let copy = copy_before(disk, found)?;
    let live = engine::open(disk)?;
    for migration in missing {
        apply(&live.database, migration).map_err(|error| StoreError::Migration {
            number: migration.number,
            name: migration.name,
            reason: error.to_string(),
            copy: copy.clone(),
        })?;
    }
    Ok(live)
}

fn apply(database: &Database, migration: &Migration) -> Result<(), StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    (migration.apply)(&transaction)?;
    transaction
        .open_table(Table::Migrations.definition())?
        .insert(migration.number.to_be_bytes().as_slice(), migration.name.as_bytes())?;
    transaction.open_table(Table::Meta.definition())?.insert(KEY_SCHEMA, migration.number.to_le_bytes().as_slice())?;
    transaction.commit()?;
    Ok(())
}

fn schema_of(database: &Database) -> Result<u32, StoreError> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(Table::Meta.definition())?;
    let value = meta.get(KEY_SCHEMA)?.ok_or_else(|| StoreError::Engine("it has no schema number".into()))?;
    let bytes = value.value().try_into().map_err(|_| StoreError::Engine("its schema number is malformed".into()))?;
    Ok(u32::from_le_bytes(bytes))
}

/// `sekisho.redb` with schema 3 becomes `sekisho.redb.schema-3.copy`, durable and checked before the first migration.
/// What an earlier attempt left under that name is replaced only by a copy that was found sound.
fn copy_before(disk: &dyn Disk, schema: u32) -> Result<PathBuf, StoreError> {
    let copy = beside(disk.path(), &format!(".schema-{schema}.copy"));
    let unchecked = beside(disk.path(), &format!(".schema-{schema}.copy.new"));
    match fs::remove_file(&unchecked) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::copying(&unchecked, error)),
        _ => {}
    }
    disk.copy_to(&unchecked).map_err(|error| StoreError::copying(&unchecked, error))?;
    Store::is_sound(&unchecked)?;
    fs::rename(&unchecked, &copy).map_err(|error| StoreError::copying(&copy, error))?;
    disk::sync_directory_of(&copy).map_err(|error| StoreError::copying(&copy, error))?;
    Ok(copy)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Creates tables, so that a reader never meets a missing one. Each migration names those that it brings: what
/// [`table::ALL`] has grown to since is not its affair.
fn create_tables(transaction: &WriteTransaction, names: &[&str]) -> Result<(), StoreError> {
    for name in names {
        transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::disk::FileDisk;
    use super::*;

    fn database(directory: &Path) -> (FileDisk, Live) {
        let path = directory.join("sekisho.redb");
        Store::create(&path, &[]).unwrap();
        let disk = FileDisk::new(&path);
        let live = engine::open(&disk).unwrap();
        (disk, live)
    }

    fn mark(transaction: &WriteTransaction) -> Result<(), StoreError> {
        transaction.open_table(Table::Meta.definition())?.insert(b"mark".as_slice(), b"made".as_slice())?;
        Ok(())
    }

    fn fail(transaction: &WriteTransaction) -> Result<(), StoreError> {
        mark(transaction)?;
        Err(StoreError::Engine("as the test wants".into()))
    }

    const NEXT: u32 = SCHEMA + 1;

    fn later(apply: fn(&WriteTransaction) -> Result<(), StoreError>) -> Vec<Migration> {
        let now = ALL.iter().map(|known| Migration { number: known.number, name: known.name, apply: known.apply });
        now.chain([Migration { number: NEXT, name: "later", apply }]).collect()
    }

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        for (index, migration) in ALL.iter().enumerate() {
            assert_eq!(migration.number as usize, index + 1);
        }
    }

    #[test]
    fn an_older_file_is_copied_then_migrated() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, live) = database(directory.path());
        let live = bring_up_to_date_by(live, &disk, &later(mark)).unwrap();
        assert_eq!(schema_of(&live.database).unwrap(), NEXT);
        let copy = directory.path().join(format!("sekisho.redb.schema-{SCHEMA}.copy"));
        let copy = Store::open_copy(&copy).unwrap();
        assert_eq!(schema_of(&copy.live.database).unwrap(), SCHEMA);
    }

    #[test]
    fn what_an_earlier_attempt_left_makes_no_difference() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, live) = database(directory.path());
        let copy = directory.path().join(format!("sekisho.redb.schema-{SCHEMA}.copy"));
        let unchecked = directory.path().join(format!("sekisho.redb.schema-{SCHEMA}.copy.new"));
        for path in [&copy, &unchecked] {
            fs::write(path, b"half a copy").unwrap();
        }
        bring_up_to_date_by(live, &disk, &later(mark)).unwrap();
        Store::is_sound(&copy).unwrap();
        assert!(!unchecked.exists());
    }

    /// A disk that reads well and copies badly.
    #[derive(Debug)]
    struct BadCopies(FileDisk);

    impl Disk for BadCopies {
        fn path(&self) -> &Path {
            self.0.path()
        }

        fn open(&self) -> io::Result<Box<dyn redb::StorageBackend>> {
            self.0.open()
        }

        fn draft(&self) -> io::Result<Box<dyn redb::StorageBackend>> {
            self.0.draft()
        }

        fn publish(&self) -> io::Result<()> {
            self.0.publish()
        }

        fn copy_to(&self, path: &Path) -> io::Result<u64> {
            let mut content = fs::read(self.path())?;
            let middle = content.len() / 2;
            content.truncate(middle);
            fs::write(path, &content)?;
            Ok(content.len() as u64)
        }

        fn free_bytes(&self) -> io::Result<u64> {
            self.0.free_bytes()
        }

        fn has_ballast(&self) -> io::Result<bool> {
            self.0.has_ballast()
        }

        fn make_ballast(&self) -> io::Result<()> {
            self.0.make_ballast()
        }

        fn release_ballast(&self) -> io::Result<()> {
            self.0.release_ballast()
        }
    }

    #[test]
    fn nothing_is_migrated_after_a_copy_that_is_not_sound() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, live) = database(directory.path());
        let disk = BadCopies(disk);
        let error = bring_up_to_date_by(live, &disk, &later(mark)).err().unwrap();
        assert!(matches!(error, StoreError::Unsound { .. }), "{error}");
        let copy = format!("sekisho.redb.schema-{SCHEMA}.copy");
        assert!(error.to_string().contains(&copy), "{error}");
        assert_eq!(schema_of(&engine::open(&disk).unwrap().database).unwrap(), SCHEMA);
        assert!(!directory.path().join(copy).exists());
    }

    #[test]
    fn a_failed_migration_leaves_the_old_schema() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, live) = database(directory.path());
        let error = bring_up_to_date_by(live, &disk, &later(fail)).err().unwrap();
        assert!(error.to_string().contains(&format!("schema-{SCHEMA}.copy")), "{error}");
        let database = engine::open(&disk).unwrap().database;
        assert_eq!(schema_of(&database).unwrap(), SCHEMA);
        let read = database.begin_read().unwrap();
        assert!(read.open_table(Table::Meta.definition()).unwrap().get(b"mark".as_slice()).unwrap().is_none());
    }

    #[test]
    fn a_newer_file_is_refused_with_both_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, live) = database(directory.path());
        bring_up_to_date_by(live, &disk, &later(mark)).unwrap().database.close().unwrap();
        for error in [Store::open(disk.path()).unwrap_err(), Store::is_sound(disk.path()).unwrap_err()] {
            assert!(matches!(error, StoreError::Newer { found: NEXT, known: SCHEMA }), "{error}");
        }
    }
}
