//! The libraries as one caller may see them: what the policy hides is as if it were not there.

use std::sync::Arc;

use super::ask::Query;
use super::record::{DocumentRecord, LibraryRecord};
use super::{Libraries, LibraryError};
use crate::auth::policy::Access;
use crate::search::{Counts, Found};

/// What operations reach documents through. There is no other way from a caller to a library.
#[derive(Clone, Debug)]
pub struct View {
    libraries: Arc<Libraries>,
    access: Access,
}

impl Libraries {
    /// The libraries that whoever has `access` may touch.
    pub fn seen_by(self: &Arc<Self>, access: &Access) -> View {
        View { libraries: Arc::clone(self), access: access.clone() }
    }
}

impl View {
    fn may(&self, library: &LibraryRecord) -> bool {
        self.access.may(&library.resource())
    }

    /// All libraries that may be touched, by name.
    pub fn list(&self) -> Result<Vec<LibraryRecord>, LibraryError> {
        let mut known = self.libraries.list()?;
        known.retain(|library| self.may(library));
        Ok(known)
    }

    /// A library that may be touched; one that may not is none.
    pub fn get(&self, name: &str) -> Result<LibraryRecord, LibraryError> {
        let library = self.libraries.get(name)?;
        let verdict = self.access.decide(&library.resource());
        if !verdict.is_allowed {
            return Err(LibraryError::Hidden { name: library.name, reason: verdict.reason() });
        }
        self.access.touch(library.classification);
        Ok(library)
    }

    /// A document's record and its whole Markdown.
    pub fn document(&self, library: &str, path: &str) -> Result<(DocumentRecord, String), LibraryError> {
        self.get(library)?;
        self.libraries.document(library, path)
    }

    /// The path of the document of `library` that was fetched from the address `asked`; `None` if there is none.
    pub fn path_of(&self, library: &str, asked: &str) -> Result<Option<String>, LibraryError> {
        self.get(library)?;
        self.libraries.path_of(library, asked)
    }

    /// See [`Libraries::documents`].
    pub fn documents(
        &self,
        library: &str,
        prefix: &str,
        after: Option<&str>,
        documents_max: usize,
    ) -> Result<Vec<(String, DocumentRecord)>, LibraryError> {
        self.get(library)?;
        self.libraries.documents(library, prefix, after, documents_max)
    }

    /// The libraries that are read by `profile` and may be touched.
    pub fn of_profile(&self, profile: &str) -> Result<Vec<LibraryRecord>, LibraryError> {
        let mut known = self.list()?;
        known.retain(|library| library.profile.as_deref() == Some(profile));
        Ok(known)
    }

    /// See [`Libraries::count`]. The libraries must be named.
    pub async fn count(&self, query: Query, names: Vec<String>) -> Result<Counts, LibraryError> {
        for name in &query.libraries {
            self.get(name)?;
        }
        self.libraries.count(query, names).await
    }

    /// Searches the named libraries, or all that may be touched.
    pub async fn search(&self, mut query: Query) -> Result<Found, LibraryError> {
        if query.libraries.is_empty() {
            query.libraries = self.list()?.into_iter().map(|library| library.name).collect();
            if query.libraries.is_empty() {
                // To name none would be to search all.
                return Ok(Found::default());
            }
        } else {
            for name in &query.libraries {
                self.get(name)?;
            }
        }
        let mut found = self.libraries.search(query).await?;
        let mut has_urls = false;
        for hit in &found.hits {
            if let Ok(library) = self.libraries.get(&hit.library) {
                self.access.touch(library.classification);
                has_urls |= library.source.has_urls();
            }
        }
        if has_urls {
            let libraries = Arc::clone(&self.libraries);
            let of: Vec<_> = found.hits.iter().map(|hit| (hit.library.clone(), hit.path.clone())).collect();
            let urls = tokio::task::spawn_blocking(move || libraries.urls(&of)).await;
            let urls = urls.map_err(|error| LibraryError::Worker(error.to_string()))??;
            for (hit, url) in found.hits.iter_mut().zip(urls) {
                hit.url = url;
            }
        }
        Ok(found)
    }
}
