//! Libraries of documents: what there is, what a document says, and where words are found.

mod address;
mod archive;
pub mod ask;
pub mod bundle;
mod change;
pub mod follow;
pub mod foreign;
mod git;
pub mod page;
pub mod parse;
mod passage;
mod plain;
pub mod record;
mod reindex;
pub mod report;
pub mod shape;
pub mod source;
pub mod site;
pub mod sync;
pub mod unpack;
pub mod view;
pub mod web;
mod upkeep;

#[cfg(test)]
mod tests_upkeep;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Semaphore;

use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::clock::{Clock, Timestamp};
use crate::base::refusal::{Code, Refusal};
use crate::sandbox::Sandbox;
use crate::search::{Index, SearchError, Synonyms};
use crate::store::table::Table;
use crate::store::{Batch, Put, Snapshot, Store, StoreError, codec};
use bundle::BundleError;
use record::{LibraryRecord, Source};
use shape::Shape;
use source::SourceError;
use web::pace::Pace;
use web::{Fetch, WebError};

/// Told what a sync changed. The room above injects it; a library knows nobody who listens.
pub trait Changes: Send + Sync {
    /// Documents of `library` came, went, or (`changed`) have another content.
    fn documents(&self, library: &LibraryRecord, changed: &[String], list_changed: bool);
    /// Who may see which library is another matter now.
    fn libraries(&self);
}

/// All libraries of this installation.
pub struct Libraries {
    store: Store,
    index: Arc<Index>,
    clock: Arc<dyn Clock>,
    /// Where foreign formats are read.
    sandbox: Arc<Sandbox>,
    /// The way to web sites, once there is one.
    way: OnceLock<Arc<dyn Fetch>>,
    /// Below it, a folder for each site.
    mirrors: Option<PathBuf>,
    changes: Arc<dyn Changes>,
    shape: Arc<dyn Shape>,
    /// Names under sync or removal. Held for a look-up, never across an await.
    busy: Arc<Mutex<HashSet<String>>>,
    /// Places for searches on blocking threads.
    searches: Arc<Semaphore>,
    /// The index has one writer.
    index_writer: Arc<tokio::sync::Mutex<()>>,
    /// Which generation of each library the index holds, as it says itself; changed only by who has the index's writer.
    marks: Mutex<BTreeMap<String, u64>>,
    /// How often hosts are asked, by all mirrors together.
    pace: Mutex<Pace>,
    /// Places for mirrors.
    mirroring: Arc<Semaphore>,
    /// When web sites were asked last, whatever came of it.
    tried: Mutex<HashMap<String, Timestamp>>,
}

impl std::fmt::Debug for Libraries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Libraries")
    }
}

/// What can go wrong with libraries.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("there is no library {0:?}; list_libraries (or `sekisho library list`) names those that there are")]
    NoLibrary(String),
    #[error("there is no library {name:?}; list_libraries (or `sekisho library list`) names those that there are")]
    Hidden {
        name: String,
        /// For the audit entry only.
        reason: String,
    },
    #[error("the library {library:?} has no document {path:?}; search for it, or list the resources")]
    NoDocument { library: String, path: String },
    #[error("there is a library {0:?} already; choose another name, or remove that one first")]
    Exists(String),
    #[error("{0:?} is no name for a library: write 1 to {max} of a-z 0-9 - _ . and begin and end with a letter or digit", max = bound::LIBRARY_NAME_BYTES_MAX)]
    Name(String),
    #[error("the library {0:?} is being synced or removed at the moment; try again when that is done")]
    Busy(String),
    #[error("there are {} libraries, which is the most there may be; remove one first", bound::LIBRARIES_MAX)]
    TooMany,
    #[error("the manual belongs to Sekisho; it cannot be removed")]
    Builtin,
    #[error("there is no profile {0:?}; `sekisho library profile list` names those that there are")]
    NoProfile(String),
    #[error("the sync was cancelled; the library keeps what it had")]
    Cancelled,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Web(#[from] WebError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("the file cannot be written: {0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("the stored text of {0} does not decompress")]
    Body(String),
    #[error("a worker of the library ended: {0}")]
    Worker(String),
}

impl From<LibraryError> for Refusal {
    fn from(error: LibraryError) -> Self {
        if let LibraryError::Hidden { name, reason } = &error {
            // For the caller it is as if there were none.
            return Self::new(Code::NotFound, error.to_string()).with_private(format!("library {name:?}: {reason}"));
        }
        let code = match &error {
            LibraryError::NoLibrary(_)
            | LibraryError::NoDocument { .. }
            | LibraryError::Hidden { .. }
            | LibraryError::NoProfile(_) => Code::NotFound,
            LibraryError::Exists(_) | LibraryError::Busy(_) | LibraryError::Builtin => Code::Conflict,
            LibraryError::Source(SourceError::Folder { .. }) => Code::NotFound,
            LibraryError::Name(_) | LibraryError::Source(_) | LibraryError::TooMany => Code::Invalid,
            LibraryError::Web(WebError::Start { .. }) => Code::Invalid,
            LibraryError::Bundle(error) => error.code(),
            LibraryError::File(_) => Code::Unavailable,
            LibraryError::Web(WebError::Unreachable { .. } | WebError::NoWay) => Code::Unavailable,
            LibraryError::Cancelled | LibraryError::Web(WebError::Cancelled) => Code::Cancelled,
            LibraryError::Web(WebError::Folder(_))
            | LibraryError::Store(_)
            | LibraryError::Search(_)
            | LibraryError::Body(_)
            | LibraryError::Worker(_) => {
                return Self::internal(error);
            }
        };
        Self::new(code, error.to_string())
    }
}

impl Libraries {
    pub fn new(
        store: Store,
        index: Arc<Index>,
        clock: Arc<dyn Clock>,
        changes: Arc<dyn Changes>,
        shape: Arc<dyn Shape>,
        sandbox: Arc<Sandbox>,
    ) -> Self {
        Self {
            store,
            index,
            clock,
            sandbox,
            way: OnceLock::new(),
            mirrors: None,
            changes,
            shape,
            busy: Arc::default(),
            searches: Arc::new(Semaphore::new(bound::SEARCHES_MAX)),
            index_writer: Arc::default(),
            marks: Mutex::default(),
            pace: Mutex::default(),
            mirroring: Arc::new(Semaphore::new(bound::web::WEB_MIRRORS_MAX)),
            tried: Mutex::default(),
        }
    }

    /// All libraries, by name.
    pub fn list(&self) -> Result<Vec<LibraryRecord>, LibraryError> {
        Ok(self.store.read(list)?)
    }

    pub fn get(&self, name: &str) -> Result<LibraryRecord, LibraryError> {
        self.store.read(|snapshot| library(snapshot, name))
    }

    /// The Git commit that its folder stood at when it was synced last.
    pub fn revision(&self, name: &str) -> Result<Option<String>, LibraryError> {
        let row = self.store.read(|snapshot| snapshot.get(Table::Meta, record::revision_key(name).as_bytes()))?;
        Ok(row.and_then(|row| String::from_utf8(row).ok()))
    }

    /// Keeps a new library; its documents come with the first sync.
    pub async fn add(
        &self,
        name: &str,
        source: Source,
        classification: Classification,
        profile: Option<String>,
    ) -> Result<LibraryRecord, LibraryError> {
        if !record::is_library_name(name) {
            return Err(LibraryError::Name(name.into()));
        }
        source::check(&source)?;
        self.check_profile(profile.as_deref())?;
        let _busy = self.occupy(name)?;
        let known = self.list()?;
        // One that was never synced is what an interrupted `add` leaves; it is in nobody's way.
        if known.iter().any(|library| library.name == name && library.synced.is_some()) {
            return Err(LibraryError::Exists(name.into()));
        }
        if known.len() >= bound::LIBRARIES_MAX {
            return Err(LibraryError::TooMany);
        }
        let now = self.clock.now();
        let record = LibraryRecord {
            name: name.into(),
            source,
            added: now,
            generation: 0,
            synced: None,
            documents: 0,
            sections: 0,
            bytes: 0,
            classification,
            profile,
            shaped: None,
        };
        self.store.commit(Batch::puts(vec![Put::new(Table::Libraries, name, codec::encode(&record)?)])).await?;
        Ok(record)
    }

    /// Says anew how confidential a library is.
    pub async fn classify(&self, name: &str, classification: Classification) -> Result<LibraryRecord, LibraryError> {
        // A sync that is under way would write the old word again.
        let _busy = self.occupy(name)?;
        let record = LibraryRecord { classification, ..self.get(name)? };
        self.store.commit(Batch::puts(vec![Put::new(Table::Libraries, name, codec::encode(&record)?)])).await?;
        // To some it is new, to others it is gone.
        self.changes.libraries();
        Ok(record)
    }

    /// Says anew by which profile a library is read; its next sync derives all facets anew.
    pub async fn use_profile(&self, name: &str, profile: Option<String>) -> Result<LibraryRecord, LibraryError> {
        self.check_profile(profile.as_deref())?;
        let _busy = self.occupy(name)?;
        let known = self.get(name)?;
        if let Source::Bundle(_) = known.source {
            // There is no file to derive facets from anew.
            return Err(BundleError::Profiled(name.into()).into());
        }
        let record = LibraryRecord { profile, ..known };
        self.store.commit(Batch::puts(vec![Put::new(Table::Libraries, name, codec::encode(&record)?)])).await?;
        self.changes.libraries();
        Ok(record)
    }

    fn check_profile(&self, profile: Option<&str>) -> Result<(), LibraryError> {
        match profile.filter(|name| self.shape.mark(name).is_none()) {
            Some(unknown) => Err(LibraryError::NoProfile(unknown.into())),
            None => Ok(()),
        }
    }

    /// Forgets a library and its documents.
    pub async fn remove(&self, name: &str) -> Result<LibraryRecord, LibraryError> {
        let _busy = self.occupy(name)?;
        let record = self.get(name)?;
        if record.source == Source::Builtin {
            return Err(LibraryError::Builtin);
        }
        // First the name, durably: what is left after a crash here is swept at the next start.
        let mut gone = vec![Put::delete(Table::Libraries, name), Put::delete(Table::Meta, record::revision_key(name))];
        gone.extend(bundle::forgotten(name));
        self.store.commit(Batch::puts(gone)).await?;
        upkeep::forget(self, name).await?;
        self.forget_mirror(&record).await;
        self.changes.documents(&record, &[], true);
        Ok(record)
    }

    /// Says what one library calls the same, as its profile has it; searches take that in from now on.
    pub fn set_synonyms(&self, library: &str, synonyms: Synonyms) {
        self.index.set_synonyms(library, synonyms);
    }

    /// Passages in the index.
    pub fn passages(&self) -> u64 {
        self.index.passages()
    }

    fn occupy(&self, name: &str) -> Result<Busy, LibraryError> {
        let fresh = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        let busy = || Busy { names: Arc::clone(&self.busy), name: name.to_owned() };
        if fresh { Ok(busy()) } else { Err(LibraryError::Busy(name.into())) }
    }
}

/// A name that is worked on; free again when this is dropped.
struct Busy {
    names: Arc<Mutex<HashSet<String>>>,
    name: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

fn list(snapshot: &Snapshot) -> Result<Vec<LibraryRecord>, StoreError> {
    let rows = snapshot.scan(Table::Libraries, &[], &[u8::MAX; 4], bound::LIBRARIES_MAX)?;
    rows.iter().map(|(_, value)| record::decode_library(value)).collect()
}

fn library(snapshot: &Snapshot, name: &str) -> Result<LibraryRecord, LibraryError> {
    if !record::is_library_name(name) {
        return Err(LibraryError::NoLibrary(name.chars().take(bound::LIBRARY_NAME_BYTES_MAX).collect()));
    }
    let row = snapshot.get(Table::Libraries, name.as_bytes())?;
    row.map(|bytes| record::decode_library(&bytes)).transpose()?.ok_or_else(|| LibraryError::NoLibrary(name.into()))
}
