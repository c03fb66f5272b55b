//! Keeps the index and the store in step: after a crash, after a removal, and when the index was lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::passage::passages;
use super::record::{self, DocumentRecord, LibraryRecord};
use super::{Libraries, LibraryError, page, sync};
use crate::base::bound;
use crate::search::{DocumentKey, Writer};
use crate::store::table::Table;
use crate::store::{Batch, Put, after_prefix, codec};

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
            if current == marks {
                return Ok(0);
            }
            let _writer = runtime.block_on(this.index_writer.lock());
            let mut writer = this.index.writer()?;
            for name in marks.keys().filter(|name| !current.contains_key(*name)) {
                writer.remove_library(name)?;
            }
            let mut indexed = 0;
            for library in &known {
                let mark = marks.get(&library.name).copied();
                if mark != Some(library.generation) {
                    indexed += index_again(&this, &mut writer, library, mark)?;
                }
            }
            writer.commit(&current)?;
            Ok(indexed)
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
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
        let known = self.list()?;
        let mut found = Vec::new();
        for entry in fs::read_dir(mirrors).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A library that is being added is not in the list yet.
            let Ok(_busy) = self.occupy(&name) else { continue };
            if known.iter().all(|library| library.name != name) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
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
    let known = libraries.list()?;
    let mut writer = libraries.index.writer()?;
    writer.remove_library(name)?;
    writer.commit(&generations(&known))?;
    Ok(())
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

pub(super) fn generations(known: &[LibraryRecord]) -> BTreeMap<String, u64> {
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

/// Puts the documents of `library` that are newer than `mark` into the index again.
fn index_again(
    libraries: &Libraries,
    writer: &mut Writer,
    library: &LibraryRecord,
    mark: Option<u64>,
) -> Result<usize, LibraryError> {
    if mark.is_none() {
        writer.remove_library(&library.name)?;
    }
    let mut indexed = 0;
    let mut from = record::library_prefix(&library.name);
    let end = after_prefix(&from);
    loop {
        let rows =
            libraries.store.read(|snapshot| snapshot.scan(Table::Documents, &from, &end, bound::SCAN_ROWS_MAX))?;
        let Some((last, _)) = rows.last() else { return Ok(indexed) };
        from = [last.as_slice(), &[0]].concat();
        for (key, value) in &rows {
            let Some((_, path, generation)) = record::parse_document_key(key) else { continue };
            if generation > library.generation || mark.is_some_and(|mark| generation <= mark) {
                continue;
            }
            let document: DocumentRecord = codec::decode(value)?;
            let at = DocumentKey { library: &library.name, path };
            if document.removed {
                writer.remove(&at)?;
                continue;
            }
            let body = libraries
                .store
                .read(|snapshot| Ok::<_, LibraryError>(page::body(snapshot, key, document.body_bytes)))?;
            let body = body.ok_or_else(|| LibraryError::Body(format!("{}/{path}", library.name)))?;
            writer.put(&at, &document.facets, &passages(&document, &body))?;
            indexed += 1;
        }
    }
}
