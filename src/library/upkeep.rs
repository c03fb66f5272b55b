//! Keeps the index and the store in step: after a crash, after a removal, and when the index was lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::record::{self, LibraryRecord};
use super::reindex::{forget_sources, index_again};
use super::{Libraries, LibraryError, sync};
use crate::base::bound;
use crate::search::Writer;
use crate::store::table::Table;
use crate::store::{Batch, Put, after_prefix};

impl Libraries {
    /// Makes the index agree with the store, after a crash between the two or when the index was lost.
    /// `marks` is what the index says that it holds. Returns how many documents were indexed again.
    pub async fn catch_up(self: &Arc<Self>, marks: BTreeMap<String, u64>) -> Result<usize, LibraryError> {
        let this = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let known = this.list()?;
            sweep_orphans(&this, &runtime, &known)?;
            let current: BTreeMap<String, u64> = generations(&known);
            this.marks.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&marks);
            if current == marks {
                return Ok(0);
            }
            let _writer = runtime.block_on(Arc::clone(&this.index_writer).lock_owned());
            let mut writer = this.index.writer()?;
            for name in marks.keys().filter(|name| !current.contains_key(*name)) {
                writer.remove_library(name)?;
            }
            let mut indexed = 0;
            let mut unreadable = Vec::new();
            for library in &known {
                let mark = marks.get(&library.name).copied();
                if mark != Some(library.generation) {
                    let again = index_again(&this, &mut writer, library, mark)?;
                    indexed += again.indexed;
                    unreadable.extend(again.unreadable);
                }
            }
            forget_sources(&this, &runtime, unreadable)?;
            writer.commit(&current)?;
            *this.marks.lock().unwrap_or_else(PoisonError::into_inner) = current;
            Ok(indexed)
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
    }

    /// The generation of a library that the index holds.
    pub(super) fn mark(&self, name: &str) -> Option<u64> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// Makes visible what was written of one library. Of the others the index says what it said before: one whose commit
    /// failed must not be taken for complete.
    pub(super) fn commit_index(&self, writer: Writer, name: &str, generation: Option<u64>) -> Result<(), LibraryError> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match generation {
            Some(generation) => marks.insert(name.to_owned(), generation),
            None => marks.remove(name),
        };
        writer.commit(&marks)?;
        *self.marks.lock().unwrap_or_else(PoisonError::into_inner) = marks;
        Ok(())
    }
}

impl Libraries {
    /// Documents that syncs which did not end have left, by library; with `delete` they go. A library that is being
    /// synced has none: its sync deletes them.
    pub async fn leftovers(self: &Arc<Self>, delete: bool) -> Result<Vec<(String, usize)>, LibraryError> {
        let this = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            for library in this.list()? {
                let Ok(_busy) = this.occupy(&library.name) else { continue };
                let count = sync::leftovers(&this, &runtime, &library.name, delete)?;
                if count > 0 {
                    found.push((library.name, count));
                }
            }
            Ok(found)
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
    }

    /// Folders of mirrors of libraries that are no more; with `delete` they go.
    pub fn stale_mirrors(&self, delete: bool) -> Result<Vec<PathBuf>, LibraryError> {
        let Some(mirrors) = &self.mirrors else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in fs::read_dir(mirrors).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A library that is being added is not in the list yet.
            let Ok(_busy) = self.occupy(&name) else { continue };
            if matches!(self.get(&name), Err(LibraryError::NoLibrary(_)))
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
            {
                if delete {
                    fs::remove_dir_all(entry.path()).map_err(|error| LibraryError::Worker(error.to_string()))?;
                }
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

/// Deletes what a removed library left behind: rows, and what is in the index.
pub(super) async fn forget(libraries: &Libraries, name: &str) -> Result<(), LibraryError> {
    delete_rows(libraries, name).await?;
    let _writer = libraries.index_writer.lock().await;
    let mut writer = libraries.index.writer()?;
    writer.remove_library(name)?;
    libraries.commit_index(writer, name, None)
}

async fn delete_rows(libraries: &Libraries, name: &str) -> Result<(), LibraryError> {
    for table in [Table::Documents, Table::Bodies] {
        let from = record::library_prefix(name);
        let to = after_prefix(&from);
        loop {
            let rows = libraries.store.read(|snapshot| snapshot.scan(table, &from, &to, bound::SCAN_ROWS_MAX))?;
            if rows.is_empty() {
                break;
            }
            let puts = rows.into_iter().map(|(key, _)| Put::delete(table, key)).collect();
            libraries.store.commit(Batch::puts(puts)).await?;
        }
    }
    Ok(())
}

/// Which generation of each library an index would hold that lacks nothing.
fn generations(known: &[LibraryRecord]) -> BTreeMap<String, u64> {
    known
        .iter()
        .filter(|library| library.synced.is_some())
        .map(|library| (library.name.clone(), library.generation))
        .collect()
}

/// Rows of libraries that are no more: a removal was killed between its two steps.
fn sweep_orphans(
    libraries: &Libraries,
    runtime: &tokio::runtime::Handle,
    known: &[LibraryRecord],
) -> Result<(), LibraryError> {
    for table in [Table::Documents, Table::Bodies] {
        let mut from = Vec::new();
        loop {
            let rows = libraries.store.read(|snapshot| snapshot.scan(table, &from, &[u8::MAX; 4], 1))?;
            let Some((key, _)) = rows.first() else { break };
            let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
            if !known.iter().any(|library| library.name.as_bytes() == name) {
                runtime.block_on(delete_rows(libraries, &String::from_utf8_lossy(name)))?;
            }
            from = after_prefix(&[name, &[0]].concat());
        }
    }
    Ok(())
}
