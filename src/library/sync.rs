//! Brings a library up to date with its source: only what changed is read, the new generation becomes
//! visible last, and a crash at any point leaves the last good one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::bundle::{BundleError, generation_before};
use super::change::{Also, Change, to_sweep};
use super::parse::{Page, Parsed};
use super::passage::document_of;
use super::record::{self, DocumentRecord, Source};
use super::report::{Failure, SyncProgress, SyncReport};
use super::source::{self, Found, Listing};
use super::web::crawl::Outcome;
use super::{Libraries, LibraryError, foreign, web};
use crate::base::bound;
use crate::crypto::digest::{Hash, sha256};
use crate::sandbox::Session;
use crate::store::table::Table;
use crate::store::{Put, after_prefix, codec};

/// What is known of a document before the sync.
#[derive(Clone, Copy)]
struct Before {
    generation: u64,
    bytes: u64,
    modified_ns: u64,
    hash: Hash,
    body_bytes: u64,
    sections: u64,
    /// It is not known to be from where the mirror says: a page of another URL has its file now, or it was read before
    /// URLs were kept.
    is_moved: bool,
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
            if let Source::Bundle(_) = this.get(&name)?.source {
                return Err(BundleError::NoSync(name).into());
            }
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
    let library = match libraries.get(name) {
        Err(LibraryError::NoLibrary(_)) => return Ok(0),
        found => found?,
    };
    // As long as the index lacks something, the old rows say what.
    if libraries.mark(name) != library.synced.map(|_| library.generation) {
        return Ok(0);
    }
    if let Source::Bundle(_) = library.source {
        // It keeps the generation before, to be taken back to.
        let before = libraries.store.read(|snapshot| generation_before(snapshot, name))?;
        let keep: Vec<u64> = before.into_iter().chain([library.generation]).collect();
        let count = to_sweep(libraries, name, &keep)?;
        if delete && count > 0 {
            Change::new(libraries, runtime, library).sweep(&keep)?;
        }
        return Ok(count);
    }
    let mut sync = Sync::look(libraries, runtime, name, HashMap::new())?;
    let count = sync.change.old.len();
    if delete {
        sync.change.delete_old()?;
    }
    Ok(count)
}

/// Who is told how far a sync is.
pub(super) type Progress = Arc<dyn Fn(SyncProgress) + Send + std::marker::Sync>;

/// One sync under way.
struct Sync<'a> {
    change: Change<'a>,
    /// Of the rules by which facets are derived now.
    shape: Option<Hash>,
    before: HashMap<String, Before>,
    /// URLs of a web site's documents by their paths.
    addresses: HashMap<String, String>,
    /// Where foreign formats are read.
    session: Session,
    /// Documents that are in the source.
    seen: HashSet<String>,
}

impl<'a> Sync<'a> {
    fn begin(libraries: &'a Libraries, runtime: &'a tokio::runtime::Handle, name: &str) -> Result<Self, LibraryError> {
        let mut lost = None;
        let addresses = match libraries.get(name)?.source {
            Source::Web(_) => match web::addresses(&libraries.mirror_of(name)?) {
                Ok(found) => found,
                Err(error) => {
                    lost = Some(format!("the URLs of its pages could not be read ({error}): they stay what they were"));
                    libraries.known_urls(name)?
                }
            },
            _ => HashMap::new(),
        };
        let mut sync = Self::look(libraries, runtime, name, addresses)?;
        if let Some(lost) = lost {
            sync.change.report.fail(name, lost);
        }
        sync.change.mend_index()?;
        sync.change.delete_old()?;
        Ok(sync)
    }

    /// As [`Sync::begin`], and changes nothing.
    fn look(
        libraries: &'a Libraries,
        runtime: &'a tokio::runtime::Handle,
        name: &str,
        addresses: HashMap<String, String>,
    ) -> Result<Self, LibraryError> {
        let library = libraries.get(name)?;
        let mut sync = Self {
            shape: library.profile.as_deref().and_then(|profile| libraries.shape.mark(profile)),
            change: Change::new(libraries, runtime, library),
            before: HashMap::new(),
            addresses,
            session: libraries.sandbox.session(),
            seen: HashSet::new(),
        };
        sync.look_back()?;
        Ok(sync)
    }

    /// Learns what there is, and what a sync that did not end has left.
    fn look_back(&mut self) -> Result<(), LibraryError> {
        let mut from = record::library_prefix(&self.change.library.name);
        let end = after_prefix(&from);
        loop {
            let rows = self
                .change
                .libraries
                .store
                .read(|snapshot| snapshot.scan(Table::Documents, &from, &end, bound::SCAN_ROWS_MAX))?;
            let Some((last, _)) = rows.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in rows {
                let Some((_, path, generation)) = record::parse_document_key(&key) else { continue };
                if generation > self.change.library.generation {
                    self.change.old.push(key);
                    continue;
                }
                let document = record::decode_document(&value)?;
                let before = Before {
                    generation,
                    bytes: document.source_bytes,
                    modified_ns: document.source_modified_ns,
                    hash: document.source_hash,
                    body_bytes: document.body_bytes,
                    sections: document.sections.len() as u64,
                    is_moved: document.url.as_ref() != self.addresses.get(path),
                };
                let path = path.to_owned();
                let superseded =
                    if document.removed { self.before.remove(&path) } else { self.before.insert(path.clone(), before) };
                if let Some(superseded) = superseded {
                    self.change.old.push(record::document_key(&self.change.library.name, &path, superseded.generation));
                }
                if document.removed {
                    self.change.old.push(key);
                }
            }
        }
        Ok(())
    }

    fn run(
        mut self,
        left_aside: Outcome,
        cancel: &CancellationToken,
        progress: &dyn Fn(SyncProgress),
    ) -> Result<SyncReport, LibraryError> {
        for (url, reason) in left_aside.failed {
            self.change.report.fail(&url, reason);
        }
        let noted = left_aside.noted.into_iter().map(|(path, reason)| Failure { path, reason });
        self.change.report.noted = noted.collect();
        let mirror = self.change.libraries.mirror_of(&self.change.library.name).ok();
        let mut opened = source::Opened::open(
            &self.change.library.source,
            mirror.as_deref(),
            &self.change.libraries.sandbox,
            self.change.runtime,
        )?;
        self.change.report.revision = opened.revision();
        let listing = opened.list()?;
        for (path, reason) in &listing.passed_over {
            let name = if path.is_empty() { opened.name() } else { path.clone() };
            self.change.report.fail(&name, reason);
        }
        let total = listing.files.len();
        for (done, file) in listing.files.iter().enumerate() {
            if cancel.is_cancelled() {
                return Err(LibraryError::Cancelled);
            }
            if self.seen.insert(file.path.clone()) {
                self.file(&mut opened, file)?;
            } else {
                self.change.report.fail(&file.path, "another document has this path");
            }
            progress(SyncProgress { done: done + 1, total, path: file.path.clone() });
        }
        self.remove_unseen(&listing)?;
        self.change.library.shaped = self.shape;
        let revision = self.change.report.revision.clone().map(String::into_bytes);
        let key = record::revision_key(&self.change.library.name).into_bytes();
        let also = Also { puts: vec![Put { table: Table::Meta, key, value: revision }], always: false };
        self.change.make_visible(also)?;
        Ok(self.change.report)
    }

    fn file(&mut self, opened: &mut source::Opened, file: &Found) -> Result<(), LibraryError> {
        let before = self.before.get(&file.path).copied();
        // Under other rules a file that did not change has other facets.
        let same_rules = self.shape == self.change.library.shaped;
        if let Some(known) = before.filter(|before| {
            same_rules && before.bytes == file.bytes && before.modified_ns == file.modified_ns && file.modified_ns > 0
        }) {
            if known.is_moved {
                self.touch(file, known)?;
            }
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
            // The same content under another time or URL: the record learns these, nothing else happens.
            self.touch(file, known)?;
            self.keep(before);
            self.keep_pages(file);
            return Ok(());
        }
        let pages = match foreign::read(&mut self.session, self.change.runtime, &file.path, file.format, &bytes) {
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
            self.change.report.fail(&path, format!("its path has more than {} bytes", bound::DOCUMENT_PATH_BYTES_MAX));
            return Ok(());
        }
        let before = self.before.get(&path).copied();
        if !self.seen.insert(path.clone()) {
            self.change.report.fail(&path, "another document has this path");
            return Ok(());
        }
        // Under other rules a page that did not change has other facets.
        if before.is_some_and(|before| before.hash == hash && self.shape == self.change.library.shaped) {
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
        if self.change.report.warned.len() < bound::SYNC_FAILURES_LISTED_MAX {
            self.change.report.warned.extend(
                parsed.warnings.iter().map(|warning| Failure { path: file.path.clone(), reason: warning.clone() }),
            );
        }
        self.put(file, hash, parsed, before)
    }

    fn put(&mut self, file: &Found, hash: Hash, parsed: &Parsed, before: Option<Before>) -> Result<(), LibraryError> {
        let url = self.addresses.get(&file.path).cloned();
        let mut document = DocumentRecord { url, ..document_of(file, hash, parsed) };
        self.change.shape(&mut document, &file.path, &parsed.facets);
        let value = match codec::encode(&document) {
            Ok(value) => value,
            Err(error) => {
                self.fail(file, error, before);
                return Ok(());
            }
        };
        self.change.put(&file.path, &document, value, &parsed.markdown, before.is_some())?;
        if let Some(before) = before {
            self.change.old.push(record::document_key(&self.change.library.name, &file.path, before.generation));
        }
        Ok(())
    }

    fn touch(&mut self, file: &Found, known: Before) -> Result<(), LibraryError> {
        let key = record::document_key(&self.change.library.name, &file.path, known.generation);
        let Some(bytes) = self.change.libraries.store.read(|snapshot| snapshot.get(Table::Documents, &key))? else {
            return Ok(());
        };
        let mut document = record::decode_document(&bytes)?;
        let url = self.addresses.get(&file.path);
        if document.source_modified_ns == file.modified_ns && document.url.as_ref() == url {
            return Ok(());
        }
        document.source_modified_ns = file.modified_ns;
        document.url = url.cloned();
        self.change.write(Put::new(Table::Documents, key, codec::encode(&document)?))
    }

    fn fail(&mut self, file: &Found, reason: impl ToString, before: Option<Before>) {
        self.change.report.fail(&file.path, reason);
        if before.is_some() {
            self.keep_pages(file);
        }
        if let Some(before) = before {
            self.change.count(before.body_bytes, before.sections);
        }
    }

    fn keep(&mut self, before: Option<Before>) {
        if let Some(before) = before {
            self.change.keep(before.body_bytes, before.sections);
        }
    }

    fn remove_unseen(&mut self, listing: &Listing) -> Result<(), LibraryError> {
        let mut gone: Vec<(String, u64)> = self
            .before
            .iter()
            .filter(|(path, _)| !self.seen.contains(path.as_str()))
            .map(|(path, before)| (path.clone(), before.generation))
            .collect();
        gone.sort_unstable();
        for (path, generation) in gone {
            if listing.may_hide(&path) {
                self.keep(self.before.get(&path).copied());
                continue;
            }
            let tombstone = self.change.bury(&path)?;
            self.change.old.push(record::document_key(&self.change.library.name, &path, generation));
            self.change.old.push(tombstone);
        }
        Ok(())
    }
}
