//! The index on disk: opening it or making it anew, writing it in one commit.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Term};

use crate::base::bound::{
    DOCUMENT_KEY_BYTES_MAX, INDEX_DELETED_RATIO_MAX, INDEX_VERIFY_BYTES_MAX, INDEX_WRITER_MEMORY_BYTES,
};
use crate::search::analyze::{Analyzer, Speller};
use crate::search::choice::Choices;
use crate::search::language::Detector;
use crate::search::schema::{Fields, SCHEMA_VERSION, SPELLER, TOKENIZER, key_term, schema};
use crate::search::synonym::Synonyms;
use crate::search::{DocumentKey, Passage, SearchError};

/// What every commit carries.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    version: u64,
    marks: BTreeMap<String, u64>,
}

/// A full-text index; share it behind an `Arc`.
pub struct Index {
    inner: tantivy::Index,
    pub(super) reader: IndexReader,
    pub(super) fields: Fields,
    pub(super) choices: Choices,
    /// By library. Held for a look-up.
    synonyms: RwLock<BTreeMap<String, Arc<Synonyms>>>,
}

#[derive(Debug)]
pub struct Opened {
    pub index: Index,
    /// Library name -> generation that the index holds; empty when new.
    pub marks: BTreeMap<String, u64>,
    /// Why the old files were thrown away, in plain words; `None` if they are fine or there were none.
    pub rebuilt: Option<String>,
}

impl Index {
    /// Opens the index in `dir`. What cannot be used is removed and made anew: the caller then indexes again
    /// whatever `marks` lacks.
    pub fn open(dir: &Path) -> Result<Opened, SearchError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SearchError::Directory)?;
        let mut rebuilt = None;
        if dir.join("meta.json").exists() {
            // tantivy promises no panic on damaged files and checksums find most damage, but a cache of documents must
            // never keep the server from starting.
            let found = catch_unwind(AssertUnwindSafe(|| Self::open_existing(dir)));
            match found.unwrap_or_else(|_| Err("its files are damaged beyond reading".to_owned())) {
                Ok((index, marks)) => {
                    return Ok(Opened { index, marks, rebuilt: None });
                }
                Err(reason) => rebuilt = Some(reason),
            }
        }
        clear(dir).map_err(SearchError::Directory)?;
        let directory = MmapDirectory::open(dir).map_err(tantivy::TantivyError::from)?;
        let index = Self::create(directory, Choices::default())?;
        Ok(Opened { index, marks: BTreeMap::new(), rebuilt })
    }

    pub fn in_memory() -> Result<Self, SearchError> {
        Self::in_memory_by(Choices::default())
    }

    /// One that is made and asked by other choices than all, to measure what one is worth.
    pub fn in_memory_by(choices: Choices) -> Result<Self, SearchError> {
        Self::create(tantivy::directory::RamDirectory::create(), choices)
    }

    /// A writer for one sync; the only one until it is dropped or committed.
    pub fn writer(&self) -> Result<Writer, SearchError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(INDEX_WRITER_MEMORY_BYTES)
            .build();
        let writer = self.inner.writer_with_options(options)?;
        // A writer that was killed leaves files behind under the very names that this one will choose; whatever no
        // commit and no reader knows goes first.
        writer.garbage_collect_files().wait()?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(INDEX_DELETED_RATIO_MAX);
        writer.set_merge_policy(Box::new(policy));
        let detector = Detector::new(self.choices);
        Ok(Writer { inner: writer, reader: self.reader.clone(), fields: self.fields, detector })
    }

    /// Says what one library calls the same; searches in it take that in from now on. Empty: nothing.
    pub fn set_synonyms(&self, library: &str, synonyms: Synonyms) {
        let mut known = self.synonyms.write().unwrap_or_else(PoisonError::into_inner);
        if synonyms.is_empty() {
            known.remove(library);
        } else {
            known.insert(library.to_owned(), Arc::new(synonyms));
        }
    }

    /// The tables of some libraries.
    pub(super) fn synonyms_of(&self, libraries: &[String]) -> Vec<Arc<Synonyms>> {
        let known = self.synonyms.read().unwrap_or_else(PoisonError::into_inner);
        libraries.iter().filter_map(|it| known.get(it).cloned()).collect()
    }

    /// How many passages the index holds.
    #[must_use]
    pub fn passages(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    pub(super) fn searcher(&self) -> (tantivy::Searcher, &Fields) {
        (self.reader.searcher(), &self.fields)
    }

    fn create(directory: impl Into<Box<dyn tantivy::Directory>>, choices: Choices) -> Result<Self, SearchError> {
        let (schema, fields) = schema();
        // A thread for compression alone would cost more than it saves at our sizes.
        let settings = IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
        Ok(Self::with_reader(tantivy::Index::create(directory, schema, settings)?, fields, choices)?)
    }

    /// The error is the reason in plain words.
    fn open_existing(dir: &Path) -> Result<(Self, BTreeMap<String, u64>), String> {
        let (schema, fields) = schema();
        let inner = tantivy::Index::open_in_dir(dir).map_err(|it| format!("it cannot be opened: {it}"))?;
        if inner.schema() != schema {
            return Err("another version of the program wrote it".to_owned());
        }
        let metas = inner.load_metas().map_err(|it| format!("its list of files cannot be read: {it}"))?;
        let marks = match metas.payload.as_deref() {
            // Made, and never committed to.
            None if metas.segments.is_empty() => BTreeMap::new(),
            None => return Err("it does not say what it holds".to_owned()),
            Some(payload) => match serde_json::from_str::<Payload>(payload) {
                Ok(Payload { version: SCHEMA_VERSION, marks }) => marks,
                Ok(_) => return Err("another version of the program wrote it".to_owned()),
                Err(_) => return Err("it does not say what it holds".to_owned()),
            },
        };
        if size(dir).map_err(|it| format!("its files cannot be read: {it}"))? <= INDEX_VERIFY_BYTES_MAX {
            let damaged = inner.validate_checksum().map_err(|it| format!("its files cannot be verified: {it}"))?;
            if !damaged.is_empty() {
                return Err(format!("{} of its files are damaged", damaged.len()));
            }
        }
        let index = Self::with_reader(inner, fields, Choices::default())
            .map_err(|it| format!("its files cannot be read: {it}"))?;
        Ok((index, marks))
    }

    fn with_reader(inner: tantivy::Index, fields: Fields, choices: Choices) -> tantivy::Result<Self> {
        inner.tokenizers().register(TOKENIZER, Analyzer::new(choices));
        inner.tokenizers().register(SPELLER, Speller::new(choices));
        let reader = inner.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { inner, reader, fields, choices, synonyms: RwLock::default() })
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("passages", &self.passages()).finish_non_exhaustive()
    }
}

/// The one writer of an index. Dropped without `commit`, it leaves the index as it was.
pub struct Writer {
    inner: IndexWriter,
    reader: IndexReader,
    fields: Fields,
    detector: Detector,
}

impl Writer {
    /// Replaces what the document had.
    pub fn put(
        &mut self,
        key: &DocumentKey<'_>,
        facets: &[(String, String)],
        passages: &[Passage],
    ) -> Result<(), SearchError> {
        let delete = UserOperation::Delete(self.term(key)?);
        let adds = self.fields.documents(&self.detector, key, facets, passages).into_iter().map(UserOperation::Add);
        let operations: Vec<_> = std::iter::once(delete).chain(adds).collect();
        // One group goes to one segment: there a document's passages find the score of their page.
        self.inner.run(operations)?;
        Ok(())
    }

    pub fn remove(&mut self, key: &DocumentKey<'_>) -> Result<(), SearchError> {
        self.inner.delete_term(self.term(key)?);
        Ok(())
    }

    /// The term of all passages of a document.
    fn term(&self, key: &DocumentKey<'_>) -> Result<Term, SearchError> {
        let found = key.library.len() + key.path.len();
        let nul = key.library.contains('\0') || key.path.contains('\0');
        if nul || key.library.is_empty() || key.path.is_empty() || found > DOCUMENT_KEY_BYTES_MAX {
            return Err(SearchError::Key { found, max: DOCUMENT_KEY_BYTES_MAX });
        }
        Ok(Term::from_field_text(self.fields.key, &key_term(key.library, key.path)))
    }

    pub fn remove_library(&mut self, library: &str) -> Result<(), SearchError> {
        self.inner.delete_term(Term::from_field_text(self.fields.library, library));
        Ok(())
    }

    /// Makes everything visible at once, with the generations that the index holds from now on (all of them).
    pub fn commit(mut self, marks: &BTreeMap<String, u64>) -> Result<(), SearchError> {
        let payload = Payload { version: SCHEMA_VERSION, marks: marks.clone() };
        let payload = serde_json::to_string(&payload).map_err(|it| SearchError::Engine(Box::new(it)))?;
        let mut prepared = self.inner.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        self.reader.reload()?;
        // A writer that is dropped kills its merges: with one writer per sync they would never be done.
        self.inner.wait_merging_threads()?;
        self.reader.reload()?;
        Ok(())
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn size(dir: &Path) -> io::Result<u64> {
    fs::read_dir(dir)?.map(|it| Ok(it?.metadata()?.len())).sum()
}

/// Removes an index's files and nothing else: a directory named by mistake keeps what is in it.
fn clear(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let (stem, _) = name.split_once('.').unwrap_or((&name, ""));
        let segment = stem.len() == 32 && stem.bytes().all(|it| it.is_ascii_hexdigit());
        let own = segment || matches!(name.as_ref(), "meta.json" | ".managed.json") || name.starts_with(".tantivy-");
        if own && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
