//! Keeps the index and the store in step: after a crash, after a removal, and when the index was lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

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

/// What indexing again came to.
#[derive(Default)]
pub(super) struct Again {
    indexed: usize,
    /// Documents whose text is damaged or lost, with their keys.
    pub(super) unreadable: Vec<(Vec<u8>, DocumentRecord)>,
}

/// Puts the documents of `library` that are newer than `mark` into the index again: of each its newest generation that
/// is visible. One that cannot be read is left out, because a server that does not start serves nobody.
pub(super) fn index_again(
    libraries: &Libraries,
    writer: &mut Writer,
    library: &LibraryRecord,
    mark: Option<u64>,
) -> Result<Again, LibraryError> {
    // An index from after the store's last backup knows documents that are no more.
    let mark = mark.filter(|mark| *mark <= library.generation);
    if mark.is_none() {
        writer.remove_library(&library.name)?;
    }
    let mut again = Again::default();
    let mut newest: Option<(Vec<u8>, DocumentRecord)> = None;
    let mut from = record::library_prefix(&library.name);
    let end = after_prefix(&from);
    loop {
        let rows =
            libraries.store.read(|snapshot| snapshot.scan(Table::Documents, &from, &end, bound::SCAN_ROWS_MAX))?;
        let Some((last, _)) = rows.last() else { break };
        from = [last.as_slice(), &[0]].concat();
        for (key, value) in rows {
            let Some((_, path, generation)) = record::parse_document_key(&key) else { continue };
            if generation > library.generation || mark.is_some_and(|mark| generation <= mark) {
                continue;
            }
            let is_same = |(known, _): &(Vec<u8>, DocumentRecord)| {
                record::parse_document_key(known).is_some_and(|(_, known, _)| known == path)
            };
            // Generations of one path follow each other, oldest first.
            if !newest.as_ref().is_some_and(is_same) {
                put_again(libraries, writer, library, newest.take(), &mut again)?;
            }
            let document = record::decode_document(&value)?;
            newest = Some((key, document));
        }
    }
    put_again(libraries, writer, library, newest, &mut again)?;
    Ok(again)
}

fn put_again(
    libraries: &Libraries,
    writer: &mut Writer,
    library: &LibraryRecord,
    newest: Option<(Vec<u8>, DocumentRecord)>,
    again: &mut Again,
) -> Result<(), LibraryError> {
    let Some((key, document)) = newest else { return Ok(()) };
    let Some((_, path, _)) = record::parse_document_key(&key) else { return Ok(()) };
    let at = DocumentKey { library: &library.name, path };
    if document.removed {
        return Ok(writer.remove(&at)?);
    }
    let body =
        libraries.store.read(|snapshot| Ok::<_, LibraryError>(page::body(snapshot, &key, document.body_bytes)))?;
    if let Some(body) = body {
        writer.put(&at, &document.facets, &passages(&document, &body))?;
        again.indexed += 1;
    } else {
        tracing::warn!(library = library.name, path, "the stored text of a document is damaged; a sync reads it again");
        writer.remove(&at)?;
        again.unreadable.push((key, document));
    }
    Ok(())
}

/// Has the next sync read again what these documents were made of, although their sources did not change.
pub(super) fn forget_sources(
    libraries: &Libraries,
    runtime: &tokio::runtime::Handle,
    documents: Vec<(Vec<u8>, DocumentRecord)>,
) -> Result<(), LibraryError> {
    for (key, document) in documents {
        let unknown = DocumentRecord { source_hash: [0; 32], source_modified_ns: 0, ..document };
        let put = Put::new(Table::Documents, key, codec::encode(&unknown)?);
        runtime.block_on(libraries.store.commit(Batch::puts(vec![put])))?;
    }
    Ok(())
}
