//! Numbered migrations: each in one transaction with the number it brings, an older file copied first.

#[path = "../../migrations/0001_first_tables.rs"]
mod m0001_first_tables;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase as _, WriteTransaction};

use super::table::{self, Table};
use super::{Put, StoreError, builder};

/// One step from schema `number - 1` to `number`.
pub(super) struct Migration {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) apply: fn(&WriteTransaction) -> Result<(), StoreError>,
}

/// All migrations, in order, from 1 without a gap.
const ALL: &[Migration] = &[Migration { number: 1, name: "first_tables", apply: m0001_first_tables::apply }];

/// The newest schema that this binary knows.
#[allow(clippy::cast_possible_truncation, reason = "there are few migrations")]
pub const SCHEMA: u32 = ALL.len() as u32;

const KEY_SCHEMA: &[u8] = b"schema";

/// Brings a new, empty database to the newest schema and writes `first` with it.
pub(super) fn initialise(database: &Database, first: &[Put]) -> Result<(), StoreError> {
    for migration in ALL {
        apply(database, migration)?;
    }
    super::write::write(database, first.iter())
}

/// Applies what is missing. `path` is copied first, so that a failed migration costs nothing.
pub(super) fn bring_up_to_date(database: Database, path: &Path) -> Result<Database, StoreError> {
    bring_up_to_date_by(database, path, ALL)
}

fn bring_up_to_date_by(database: Database, path: &Path, all: &[Migration]) -> Result<Database, StoreError> {
    let known = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let found = schema_of(&database)
        .map_err(|error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found == known {
        return Ok(database);
    }
    // Copying a live file is unsafe: close, copy, open again.
    drop(database);
    let copy = copy_before(path, found)?;
    let database = builder().open(path).map_err(|error| StoreError::opening(path, error))?;
    for migration in &all[found as usize..] {
        apply(&database, migration).map_err(|error| StoreError::Migration {
            number: migration.number,
            name: migration.name,
            reason: error.to_string(),
            copy: copy.clone(),
        })?;
    }
    Ok(database)
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

/// `sekisho.redb` with schema 3 becomes `sekisho.redb.schema-3.copy`, durable before the first migration.
fn copy_before(path: &Path, schema: u32) -> Result<PathBuf, StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".schema-{schema}.copy"));
    let copy = path.with_file_name(name);
    fs::copy(path, &copy).map_err(|error| StoreError::file(&copy, error))?;
    let synced = File::open(&copy).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::file(&copy, error))?;
    Ok(copy)
}

/// Creates every table, so that a reader never meets a missing one. For the first migration only:
/// later ones create what they bring.
pub(super) fn create_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    for table in table::ALL {
        transaction.open_table(table.definition())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(directory: &Path) -> (PathBuf, Database) {
        let path = directory.join("sekisho.redb");
        super::super::Store::create(&path, &[]).unwrap();
        let database = builder().open(&path).unwrap();
        (path, database)
    }

    fn mark(transaction: &WriteTransaction) -> Result<(), StoreError> {
        transaction.open_table(Table::Meta.definition())?.insert(b"mark".as_slice(), b"made".as_slice())?;
        Ok(())
    }

    fn fail(transaction: &WriteTransaction) -> Result<(), StoreError> {
        mark(transaction)?;
        Err(StoreError::Engine("as the test wants".into()))
    }

    fn later(apply: fn(&WriteTransaction) -> Result<(), StoreError>) -> [Migration; 2] {
        [
            Migration { number: 1, name: "first_tables", apply: m0001_first_tables::apply },
            Migration { number: 2, name: "later", apply },
        ]
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
        let (path, database) = database(directory.path());
        let database = bring_up_to_date_by(database, &path, &later(mark)).unwrap();
        assert_eq!(schema_of(&database).unwrap(), 2);
        let copy = builder().open(directory.path().join("sekisho.redb.schema-1.copy")).unwrap();
        assert_eq!(schema_of(&copy).unwrap(), 1);
    }

    #[test]
    fn a_failed_migration_leaves_the_old_schema() {
        let directory = tempfile::tempdir().unwrap();
        let (path, database) = database(directory.path());
        let error = bring_up_to_date_by(database, &path, &later(fail)).unwrap_err();
        assert!(error.to_string().contains("schema-1.copy"), "{error}");
        let database = builder().open(&path).unwrap();
        assert_eq!(schema_of(&database).unwrap(), 1);
        let read = database.begin_read().unwrap();
        assert!(read.open_table(Table::Meta.definition()).unwrap().get(b"mark".as_slice()).unwrap().is_none());
    }

    #[test]
    fn a_newer_file_is_refused_with_both_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let (path, database) = database(directory.path());
        drop(bring_up_to_date_by(database, &path, &later(mark)).unwrap());
        let error = super::super::Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, known: SCHEMA }), "{error}");
    }
}
