//! A generation of a library under way: its rows are written in small commits, and become visible in one, at the end.

use std::collections::BTreeMap;

use super::passage::passages;
use super::record::{self, DocumentRecord, LibraryRecord};
use super::reindex::{forget_sources, index_again};
use super::report::{Failure, SyncReport};
use super::{Libraries, LibraryError, page};
use crate::base::bound;
use crate::search::{DocumentKey, Writer};
use crate::store::table::Table;
use crate::store::{Batch, Put, after_prefix, codec};

/// What a sync, an import or a rollback does to a library.
pub(super) struct Change<'a> {
    pub(super) libraries: &'a Libraries,
    pub(super) runtime: &'a tokio::runtime::Handle,
    /// As it will be; nobody sees it before [`Change::make_visible`].
    pub(super) library: LibraryRecord,
    /// The generation that is written.
    pub(super) generation: u64,
    pub(super) report: SyncReport,
    pub(super) changed_paths: Vec<String>,
    /// Rows of older generations, deleted once nothing needs them.
    pub(super) old: Vec<Vec<u8>>,
    batch: Batch,
    batch_bytes: usize,
    /// Opened with the first change: a sync that finds none costs no memory.
    writer: Option<Writer>,
}

/// What else becomes true when a change becomes visible.
#[derive(Default)]
pub(super) struct Also {
    /// In the same commit. Together they are smaller than one.
    pub(super) puts: Vec<Put>,
    /// There is a new generation even if no document is another one.
    pub(super) always: bool,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        libraries: &'a Libraries,
        runtime: &'a tokio::runtime::Handle,
        library: LibraryRecord,
    ) -> Change<'a> {
        let now = libraries.clock.now();
        Change {
            libraries,
            runtime,
            // By the clock, so that a library removed and added again never meets its old numbers.
            generation: now.0.max(library.generation + 1),
            report: SyncReport { library: library.name.clone(), ..SyncReport::default() },
            // Counted anew.
            library: LibraryRecord { bytes: 0, ..library },
            changed_paths: Vec::new(),
            old: Vec::new(),
            batch: Batch::default(),
            batch_bytes: 0,
            writer: None,
        }
    }

    /// Adds what the library's profile makes of path and front matter. What it says goes before what is written.
    pub(super) fn shape(&self, document: &mut DocumentRecord, path: &str, front: &BTreeMap<String, Vec<String>>) {
        let Some(profile) = self.library.profile.as_deref() else { return };
        for (name, values) in self.libraries.shape.facets(profile, path, front) {
            document.facets.retain(|(known, _)| *known != name);
            let values = values.into_iter().take(bound::FACET_VALUES_MAX);
            document.facets.extend(values.map(|value| (name.clone(), value)));
        }
    }

    /// Writes a document; `value` is its record, encoded. Whether it takes the place of another one is for the report.
    pub(super) fn put(
        &mut self,
        path: &str,
        document: &DocumentRecord,
        value: Vec<u8>,
        markdown: &str,
        replaces: bool,
    ) -> Result<(), LibraryError> {
        let key = record::document_key(&self.library.name, path, self.generation);
        // First: by it the next sync finds what one that was killed here has left.
        self.write(Put::new(Table::Documents, key.clone(), value))?;
        for row in page::body_rows(&key, markdown) {
            self.write(row)?;
        }
        let passages = passages(document, markdown);
        let at = DocumentKey { library: &self.library.name, path };
        writer(&mut self.writer, self.libraries)?.put(&at, &document.facets, &passages)?;
        if replaces {
            self.report.changed += 1;
            self.changed_paths.push(path.to_owned());
        } else {
            self.report.added += 1;
        }
        self.count(document.body_bytes, document.sections.len() as u64);
        Ok(())
    }

    /// Writes that a document is no more; gives the key of the row that says so.
    pub(super) fn bury(&mut self, path: &str) -> Result<Vec<u8>, LibraryError> {
        let key = record::document_key(&self.library.name, path, self.generation);
        let tombstone = codec::encode(&DocumentRecord::tombstone())?;
        self.write(Put::new(Table::Documents, key.clone(), tombstone))?;
        let at = DocumentKey { library: &self.library.name, path };
        writer(&mut self.writer, self.libraries)?.remove(&at)?;
        self.report.removed += 1;
        self.changed_paths.push(path.to_owned());
        Ok(key)
    }

    /// A document that is in the new generation.
    pub(super) fn count(&mut self, body_bytes: u64, sections: u64) {
        self.report.documents += 1;
        self.report.sections += sections;
        self.library.bytes += body_bytes;
    }

    /// A document that stays as it is.
    pub(super) fn keep(&mut self, body_bytes: u64, sections: u64) {
        self.report.unchanged += 1;
        self.count(body_bytes, sections);
    }

    /// The last step: one small commit flips the generation, then the index follows, then old rows go.
    pub(super) fn make_visible(&mut self, also: Also) -> Result<(), LibraryError> {
        let anything = self.report.added + self.report.changed + self.report.removed > 0;
        let flips = anything || also.always || self.library.synced.is_none();
        if flips {
            self.library.generation = self.generation;
        }
        self.library.synced = Some(self.libraries.clock.now());
        self.library.documents = self.report.documents;
        self.library.sections = self.report.sections;
        let record = codec::encode(&self.library)?;
        // What is said of the library changes with it, so that no commit may come between.
        self.flush()?;
        self.batch.puts.extend(also.puts);
        self.batch.puts.push(Put::new(Table::Libraries, self.library.name.as_bytes(), record));
        self.flush()?;
        // A crash here is mended at the next start, and a failure at the next change: the index says what it has.
        if flips {
            writer(&mut self.writer, self.libraries)?;
        }
        if let Some(writer) = self.writer.take() {
            self.libraries.commit_index(writer, &self.library.name, Some(self.library.generation))?;
        }
        self.delete_old()?;
        let list_changed = self.report.added + self.report.removed > 0;
        if anything {
            self.libraries.changes.documents(&self.library, &self.changed_paths, list_changed);
        }
        Ok(())
    }

    /// As [`Change::make_visible`], and sweeps all but the generations `keep`. What fails after the generation became
    /// visible is a warning of the report: it is there, and what is missing beside it is made up by the next start or
    /// the next change.
    pub(super) fn show(&mut self, also: Also, keep: &[u64]) -> Result<(), LibraryError> {
        let settled = self.make_visible(also).and_then(|()| self.sweep(keep));
        let Err(error) = settled else { return Ok(()) };
        let is_visible = self.libraries.get(&self.library.name).is_ok_and(|now| now.generation == self.generation);
        if !is_visible {
            return Err(error);
        }
        tracing::error!(%error, library = self.library.name, "a library has its new generation, and not all beside it");
        let reason = format!("searches may not find all of it until the next start or import: {error}");
        self.report.warned.push(Failure { path: self.library.name.clone(), reason });
        Ok(())
    }

    /// Deletes all rows of the library but those that show it at the generations `keep`.
    pub(super) fn sweep(&mut self, keep: &[u64]) -> Result<(), LibraryError> {
        let mut rows = Rows::new(&self.library.name);
        while let Some((path, generations)) = rows.next(self.libraries)? {
            let unneeded = unneeded(keep, &generations).into_iter();
            self.old.extend(unneeded.map(|generation| record::document_key(&self.library.name, &path, generation)));
            if self.old.len() > bound::SCAN_ROWS_MAX {
                self.delete_old()?;
            }
        }
        self.delete_old()
    }

    /// Puts into the index what it lacks of this library: its last commit failed, or another library left something
    /// under this name.
    pub(super) fn mend_index(&mut self) -> Result<(), LibraryError> {
        let mark = self.libraries.mark(&self.library.name);
        if mark == self.library.synced.map(|_| self.library.generation) {
            return Ok(());
        }
        let mark = mark.filter(|_| self.library.synced.is_some());
        let writer = writer(&mut self.writer, self.libraries)?;
        let again = index_again(self.libraries, writer, &self.library, mark)?;
        forget_sources(self.libraries, self.runtime, again.unreadable)?;
        // At once: rows that say what was removed go next, and what is under way may yet fail.
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let generation = self.library.synced.map(|_| self.library.generation);
        self.libraries.commit_index(writer, &self.library.name, generation)
    }

    /// Deletes documents of generations that are superseded, each with its text.
    pub(super) fn delete_old(&mut self) -> Result<(), LibraryError> {
        for key in std::mem::take(&mut self.old) {
            let (from, to) = (record::body_key(&key, 0), record::body_key(&key, u32::MAX));
            let chunks = self
                .libraries
                .store
                .read(|snapshot| snapshot.scan(Table::Bodies, &from, &to, bound::BODY_CHUNKS_MAX))?;
            let mut puts: Vec<Put> = chunks.into_iter().map(|(chunk, _)| Put::delete(Table::Bodies, chunk)).collect();
            puts.push(Put::delete(Table::Documents, key));
            // In one commit: a document without its text could not be read, and a text without its document not be found.
            let bytes: usize = puts.iter().map(|put| put.key.len()).sum();
            if self.batch_bytes + bytes > bound::SYNC_BATCH_BYTES {
                self.flush()?;
            }
            self.batch_bytes += bytes;
            self.batch.puts.extend(puts);
        }
        self.flush()
    }

    pub(super) fn write(&mut self, put: Put) -> Result<(), LibraryError> {
        let bytes = put.key.len() + put.value.as_ref().map_or(0, Vec::len);
        if self.batch_bytes + bytes > bound::SYNC_BATCH_BYTES {
            self.flush()?;
        }
        self.batch_bytes += bytes;
        self.batch.puts.push(put);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LibraryError> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if !batch.puts.is_empty() {
            self.runtime.block_on(self.libraries.store.commit(batch))?;
        }
        Ok(())
    }
}

/// Of one path's generations those without which it is shown at each of `keep` as with them.
fn unneeded(keep: &[u64], generations: &[(u64, bool)]) -> Vec<u64> {
    let shown = |at: &u64| generations.iter().rev().find(|(generation, _)| generation <= at);
    let needed: Vec<u64> = keep.iter().filter_map(shown).map(|(generation, _)| *generation).collect();
    let mut hides = false;
    let mut unneeded = Vec::new();
    for (generation, removed) in generations {
        // A tombstone is needed as long as there is something below it.
        if needed.contains(generation) && (!removed || hides) {
            hides = true;
        } else {
            unneeded.push(*generation);
        }
    }
    unneeded
}

/// How many rows [`Change::sweep`] would delete.
pub(super) fn to_sweep(libraries: &Libraries, name: &str, keep: &[u64]) -> Result<usize, LibraryError> {
    let (mut rows, mut count) = (Rows::new(name), 0);
    while let Some((_, generations)) = rows.next(libraries)? {
        count += unneeded(keep, &generations).len();
    }
    Ok(count)
}

fn writer<'a>(slot: &'a mut Option<Writer>, libraries: &Libraries) -> Result<&'a mut Writer, LibraryError> {
    Ok(match slot {
        Some(writer) => writer,
        None => slot.insert(libraries.index.writer()?),
    })
}

/// All rows of a library's documents, those of one path together.
pub(super) struct Rows {
    from: Vec<u8>,
    end: Vec<u8>,
    page: std::vec::IntoIter<(String, u64, bool)>,
    /// Read, and of the next path.
    ahead: Option<(String, u64, bool)>,
}

/// A path, and its generations from the oldest on, each with whether it says that the document is no more.
pub(super) type Generations = (String, Vec<(u64, bool)>);

impl Rows {
    pub(super) fn new(library: &str) -> Self {
        let from = record::library_prefix(library);
        Self { end: after_prefix(&from), from, page: Vec::new().into_iter(), ahead: None }
    }

    /// The next path. Each page is a snapshot of its own: whoever calls keeps others from changing the library.
    pub(super) fn next(&mut self, libraries: &Libraries) -> Result<Option<Generations>, LibraryError> {
        let ahead = self.ahead.take();
        let first = if ahead.is_some() { ahead } else { self.row(libraries)? };
        let Some((path, generation, removed)) = first else { return Ok(None) };
        let mut generations = vec![(generation, removed)];
        while let Some((other, generation, removed)) = self.row(libraries)? {
            if other != path {
                self.ahead = Some((other, generation, removed));
                break;
            }
            generations.push((generation, removed));
        }
        Ok(Some((path, generations)))
    }

    fn row(&mut self, libraries: &Libraries) -> Result<Option<(String, u64, bool)>, LibraryError> {
        loop {
            if let Some(row) = self.page.next() {
                return Ok(Some(row));
            }
            let rows = libraries
                .store
                .read(|snapshot| snapshot.scan(Table::Documents, &self.from, &self.end, bound::SCAN_ROWS_MAX))?;
            let Some((last, _)) = rows.last() else { return Ok(None) };
            self.from = [last.as_slice(), &[0]].concat();
            let mut page = Vec::with_capacity(rows.len());
            for (key, value) in rows {
                let Some((_, path, generation)) = record::parse_document_key(&key) else { continue };
                let document = record::decode_document(&value)?;
                page.push((path.to_owned(), generation, document.removed));
            }
            self.page = page.into_iter();
        }
    }
}
