//! Brings a library up to date with its source: only what changed is read, the new generation becomes
//! visible last, and a crash at any point leaves the last good one.

mod mend;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::parse::{Page, Parsed};
use super::passage::{document_of, passages};
use super::record::{self, DocumentRecord, LibraryRecord};
use super::report::{Failure, SyncProgress, SyncReport};
use super::source::{self, Found, Listing};
use super::{Libraries, LibraryError, foreign, page};
use crate::base::bound;
use crate::crypto::digest::{Hash, sha256};
use crate::sandbox::Session;
use crate::search::{DocumentKey, Writer};
use crate::store::table::Table;
use crate::store::{Batch, Put, after_prefix, codec};

/// What is known of a document before the sync.
#[derive(Clone, Copy)]
struct Before {
    generation: u64,
    bytes: u64,
    modified_ns: u64,
    hash: Hash,
    body_bytes: u64,
    sections: u64,
}

impl Libraries {
    /// Syncs `name`. `progress` is called often and must be quick.
    pub async fn sync(
        self: &Arc<Self>,
        name: &str,
        cancel: CancellationToken,
        progress: impl Fn(SyncProgress) + Send + std::marker::Sync + 'static,
    ) -> Result<SyncReport, LibraryError> {
        let this = Arc::clone(self);
        let name = name.to_owned();
        // It goes on to its end although the caller goes away: only `cancel` ends it before.
        let work = tokio::spawn(async move {
            let _busy = this.occupy(&name)?;
            let progress: Progress = Arc::new(progress);
            // Before the index is asked for: a site may take an hour, and others want to sync meanwhile.
            let left_aside = this.mirror_apart(&name, &cancel, &progress).await?;
            // Only who has the index takes a blocking thread: searches, passwords and names wait for these, too.
            let writer = tokio::select! {
                () = cancel.cancelled() => return Err(LibraryError::Cancelled),
                writer = Arc::clone(&this.index_writer).lock_owned() => writer,
            };
            let runtime = tokio::runtime::Handle::current();
            // Reading, parsing and indexing block; the commits in between are awaited from there.
            let work = tokio::task::spawn_blocking(move || {
                let _writer = writer;
                Sync::begin(&this, &runtime, &name)?.run(left_aside, &cancel, &*progress)
            });
            work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
    }
}

/// How many documents of older generations a sync that did not end has left; with `delete` they go.
pub(super) fn leftovers(
    libraries: &Libraries,
    runtime: &tokio::runtime::Handle,
    name: &str,
    delete: bool,
) -> Result<usize, LibraryError> {
    let mut sync = Sync::look(libraries, runtime, name)?;
    let count = sync.old.len();
    if delete {
        sync.delete_old()?;
    }
    Ok(count)
}
/// Who is told how far a sync is.
pub(super) type Progress = Arc<dyn Fn(SyncProgress) + Send + std::marker::Sync>;

/// One sync under way.
struct Sync<'a> {
    libraries: &'a Libraries,
    runtime: &'a tokio::runtime::Handle,
    library: LibraryRecord,
    /// The generation that this sync writes.
    generation: u64,
    /// Of the rules by which facets are derived now.
    shape: Option<Hash>,
    before: HashMap<String, Before>,
    batch: Batch,
    batch_bytes: usize,
    /// Opened with the first change: a sync that finds none costs no memory.
    writer: Option<Writer>,
    /// Where foreign formats are read.
    session: Session,
    /// Documents that are in the source.
    seen: HashSet<String>,
    report: SyncReport,
    changed_paths: Vec<String>,
    /// Rows of older generations, deleted once nothing needs them.
    old: Vec<Vec<u8>>,
}

impl<'a> Sync<'a> {
    fn begin(libraries: &'a Libraries, runtime: &'a tokio::runtime::Handle, name: &str) -> Result<Self, LibraryError> {
        let mut sync = Self::look(libraries, runtime, name)?;
        sync.mend_index()?;
        sync.delete_old()?;
        Ok(sync)
    }

    /// As [`Sync::begin`], and changes nothing.
    fn look(libraries: &'a Libraries, runtime: &'a tokio::runtime::Handle, name: &str) -> Result<Self, LibraryError> {
        let library = libraries.get(name)?;
        let now = libraries.clock.now();
        let mut sync = Self {
            libraries,
            runtime,
            // By the clock, so that a library removed and added again never meets its old numbers.
            generation: now.0.max(library.generation + 1),
            shape: library.profile.as_deref().and_then(|profile| libraries.shape.mark(profile)),
            library,
            before: HashMap::new(),
            batch: Batch::default(),
            batch_bytes: 0,
            writer: None,
            session: libraries.sandbox.session(),
            seen: HashSet::new(),
            report: SyncReport { library: name.to_owned(), ..SyncReport::default() },
            changed_paths: Vec::new(),
            old: Vec::new(),
        };
        sync.look_back()?;
        Ok(sync)
    }

    /// Learns what there is, and what a sync that did not end has left.
    fn look_back(&mut self) -> Result<(), LibraryError> {
        let mut from = record::library_prefix(&self.library.name);
        let end = after_prefix(&from);
        loop {
            let rows = self
                .libraries
                .store
                .read(|snapshot| snapshot.scan(Table::Documents, &from, &end, bound::SCAN_ROWS_MAX))?;
            let Some((last, _)) = rows.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in rows {
                let Some((_, path, generation)) = record::parse_document_key(&key) else { continue };
                if generation > self.library.generation {
                    self.old.push(key);
                    continue;
                }
                let document: DocumentRecord = codec::decode(&value)?;
                let before = Before {
                    generation,
                    bytes: document.source_bytes,
                    modified_ns: document.source_modified_ns,
                    hash: document.source_hash,
                    body_bytes: document.body_bytes,
                    sections: document.sections.len() as u64,
                };
                let path = path.to_owned();
                let superseded =
                    if document.removed { self.before.remove(&path) } else { self.before.insert(path.clone(), before) };
                if let Some(superseded) = superseded {
                    self.old.push(record::document_key(&self.library.name, &path, superseded.generation));
                }
                if document.removed {
                    self.old.push(key);
                }
            }
        }
        Ok(())
    }

    fn run(
        mut self,
        left_aside: Vec<(String, String)>,
        cancel: &CancellationToken,
        progress: &dyn Fn(SyncProgress),
    ) -> Result<SyncReport, LibraryError> {
        for (url, reason) in left_aside {
            self.report.fail(&url, reason);
        }
        let mirror = self.libraries.mirror_of(&self.library.name).ok();
        let mut opened =
            source::Opened::open(&self.library.source, mirror.as_deref(), &self.libraries.sandbox, self.runtime)?;
        self.report.revision = opened.revision();
        let listing = opened.list()?;
        for (path, reason) in &listing.passed_over {
            self.report.fail(path, reason);
        }
        let total = listing.files.len();
        for (done, file) in listing.files.iter().enumerate() {
            if cancel.is_cancelled() {
                return Err(LibraryError::Cancelled);
            }
            if self.seen.insert(file.path.clone()) {
                self.file(&mut opened, file)?;
            } else {
                self.report.fail(&file.path, "another document has this path");
            }
            progress(SyncProgress { done: done + 1, total, path: file.path.clone() });
        }
        self.remove_unseen(&listing)?;
        self.make_visible()?;
        Ok(self.report)
    }

    fn file(&mut self, opened: &mut source::Opened, file: &Found) -> Result<(), LibraryError> {
        let before = self.before.get(&file.path).copied();
        // Under other rules a file that did not change has other facets.
        let same_rules = self.shape == self.library.shaped;
        if before.is_some_and(|before| {
            same_rules && before.bytes == file.bytes && before.modified_ns == file.modified_ns && file.modified_ns > 0
        }) {
            self.keep(before);
            self.keep_pages(file);
            return Ok(());
        }
        if file.bytes > bound::DOCUMENT_BYTES_MAX as u64 {
            let reason = format!(
                "it has {} bytes, more than the {} of a document; split it or leave it out",
                file.bytes,
                bound::DOCUMENT_BYTES_MAX
            );
            self.fail(file, reason, before);
            return Ok(());
        }
        let bytes = match opened.read(&file.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.fail(file, error, before);
                return Ok(());
            }
        };
        let hash = sha256(&[&bytes]);
        if let Some(known) = before.filter(|before| same_rules && before.hash == hash) {
            // The same content under another time: the record learns the time, nothing else happens.
            self.touch(file, known)?;
            self.keep(before);
            self.keep_pages(file);
            return Ok(());
        }
        let pages = match foreign::read(&mut self.session, self.runtime, &file.path, file.format, &bytes) {
            Ok(pages) => pages,
            Err(error) => {
                self.fail(file, error, before);
                return Ok(());
            }
        };
        for Page { suffix, parsed } in pages {
            if suffix.is_empty() {
                self.page(file, hash, &parsed, before)?;
            } else {
                self.other_page(file, &suffix, &parsed)?;
            }
        }
        Ok(())
    }

    /// A page beside the file's first one: a document with a name of its own, told from others by its content.
    fn other_page(&mut self, file: &Found, suffix: &str, parsed: &Parsed) -> Result<(), LibraryError> {
        let hash = sha256(&[parsed.title.as_bytes(), &[0], parsed.markdown.as_bytes()]);
        let path = format!("{}{suffix}", file.path);
        if path.len() > bound::DOCUMENT_PATH_BYTES_MAX {
            self.report.fail(&path, format!("its path has more than {} bytes", bound::DOCUMENT_PATH_BYTES_MAX));
            return Ok(());
        }
        let before = self.before.get(&path).copied();
        if !self.seen.insert(path.clone()) {
            self.report.fail(&path, "another document has this path");
            return Ok(());
        }
        // Under other rules a page that did not change has other facets.
        if before.is_some_and(|before| before.hash == hash && self.shape == self.library.shaped) {
            self.keep(before);
            return Ok(());
        }
        let bytes = parsed.markdown.len() as u64;
        self.page(&Found { path, format: file.format, bytes, modified_ns: 0 }, hash, parsed, before)
    }

    /// The file is as it was, and so are its other pages.
    fn keep_pages(&mut self, file: &Found) {
        if !file.format.is_many() {
            return;
        }
        let below = format!("{}/", file.path);
        let pages: Vec<(String, Before)> = self
            .before
            .iter()
            .filter(|(path, _)| path.starts_with(&below))
            .map(|(path, it)| (path.clone(), *it))
            .collect();
        for (path, before) in pages {
            self.seen.insert(path);
            self.keep(Some(before));
        }
    }

    fn page(&mut self, file: &Found, hash: Hash, parsed: &Parsed, before: Option<Before>) -> Result<(), LibraryError> {
        if parsed.markdown.len() > bound::BODY_BYTES_MAX {
            let reason = format!(
                "its text has {} bytes, more than the {} of a document",
                parsed.markdown.len(),
                bound::BODY_BYTES_MAX
            );
            self.fail(file, reason, before);
            return Ok(());
        }
        if self.report.warned.len() < bound::SYNC_FAILURES_LISTED_MAX {
            self.report.warned.extend(
                parsed.warnings.iter().map(|warning| Failure { path: file.path.clone(), reason: warning.clone() }),
            );
        }
        self.put(file, hash, parsed, before)
    }

    fn put(&mut self, file: &Found, hash: Hash, parsed: &Parsed, before: Option<Before>) -> Result<(), LibraryError> {
        let mut document = document_of(file, hash, parsed);
        self.shape(&mut document, &file.path, parsed);
        let key = record::document_key(&self.library.name, &file.path, self.generation);
        let value = match codec::encode(&document) {
            Ok(value) => value,
            Err(error) => {
                self.fail(file, error, before);
                return Ok(());
            }
        };
        // First: by it the next sync finds what one that was killed here has left.
        self.write(Put::new(Table::Documents, key.clone(), value))?;
        for row in page::body_rows(&key, &parsed.markdown) {
            self.write(row)?;
        }
        let at = DocumentKey { library: &self.library.name, path: &file.path };
        let passages = passages(&document, &parsed.markdown);
        writer(&mut self.writer, self.libraries)?.put(&at, &document.facets, &passages)?;
        match before {
            Some(before) => {
                self.report.changed += 1;
                self.changed_paths.push(file.path.clone());
                self.old.push(record::document_key(&self.library.name, &file.path, before.generation));
            }
            None => self.report.added += 1,
        }
        self.count(document.body_bytes, document.sections.len() as u64);
        Ok(())
    }

    /// Adds what the library's profile makes of path and front matter. What it says goes before what is written.
    fn shape(&self, document: &mut DocumentRecord, path: &str, parsed: &Parsed) {
        let Some(profile) = self.library.profile.as_deref() else { return };
        for (name, values) in self.libraries.shape.facets(profile, path, &parsed.facets) {
            document.facets.retain(|(known, _)| *known != name);
            let values = values.into_iter().take(bound::FACET_VALUES_MAX);
            document.facets.extend(values.map(|value| (name.clone(), value)));
        }
    }

    fn touch(&mut self, file: &Found, known: Before) -> Result<(), LibraryError> {
        let key = record::document_key(&self.library.name, &file.path, known.generation);
        let Some(bytes) = self.libraries.store.read(|snapshot| snapshot.get(Table::Documents, &key))? else {
            return Ok(());
        };
        let mut document: DocumentRecord = codec::decode(&bytes)?;
        if document.source_modified_ns == file.modified_ns {
            return Ok(());
        }
        document.source_modified_ns = file.modified_ns;
        self.write(Put::new(Table::Documents, key, codec::encode(&document)?))
    }

    fn fail(&mut self, file: &Found, reason: impl ToString, before: Option<Before>) {
        self.report.fail(&file.path, reason);
        if before.is_some() {
            self.keep_pages(file);
        }
        if let Some(before) = before {
            self.count(before.body_bytes, before.sections);
        }
    }

    fn keep(&mut self, before: Option<Before>) {
        if let Some(before) = before {
            self.report.unchanged += 1;
            self.count(before.body_bytes, before.sections);
        }
    }

    fn count(&mut self, body_bytes: u64, sections: u64) {
        self.report.documents += 1;
        self.report.sections += sections;
        self.library.bytes += body_bytes;
    }

    fn remove_unseen(&mut self, listing: &Listing) -> Result<(), LibraryError> {
        let mut gone: Vec<(String, u64)> = self
            .before
            .iter()
            .filter(|(path, _)| !self.seen.contains(path.as_str()))
            .map(|(path, before)| (path.clone(), before.generation))
            .collect();
        gone.sort_unstable();
        let tombstone = codec::encode(&DocumentRecord::tombstone())?;
        for (path, generation) in gone {
            if listing.may_hide(&path) {
                self.keep(self.before.get(&path).copied());
                continue;
            }
            let key = record::document_key(&self.library.name, &path, self.generation);
            self.write(Put::new(Table::Documents, key.clone(), tombstone.clone()))?;
            let at = DocumentKey { library: &self.library.name, path: &path };
            writer(&mut self.writer, self.libraries)?.remove(&at)?;
            self.old.push(record::document_key(&self.library.name, &path, generation));
            self.old.push(key);
            self.report.removed += 1;
            self.changed_paths.push(path);
        }
        Ok(())
    }

    /// The last step: one small commit flips the generation, then the index follows, then old rows go.
    fn make_visible(&mut self) -> Result<(), LibraryError> {
        let anything = self.report.added + self.report.changed + self.report.removed > 0;
        let flips = anything || self.library.synced.is_none();
        if flips {
            self.library.generation = self.generation;
        }
        self.library.shaped = self.shape;
        self.library.synced = Some(self.libraries.clock.now());
        self.library.documents = self.report.documents;
        self.library.sections = self.report.sections;
        let record = codec::encode(&self.library)?;
        self.write(Put::new(Table::Libraries, self.library.name.as_bytes(), record))?;
        let revision = self.report.revision.clone().map(String::into_bytes);
        self.write(Put {
            table: Table::Meta,
            key: record::revision_key(&self.library.name).into_bytes(),
            value: revision,
        })?;
        self.flush()?;
        // A crash here is mended at the next start, and a failure at the next sync: the index says what it has.
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

    fn write(&mut self, put: Put) -> Result<(), LibraryError> {
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

fn writer<'a>(slot: &'a mut Option<Writer>, libraries: &Libraries) -> Result<&'a mut Writer, LibraryError> {
    Ok(match slot {
        Some(writer) => writer,
        None => slot.insert(libraries.index.writer()?),
    })
}
