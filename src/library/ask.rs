//! What is asked of libraries: documents by their paths, and where words are found.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{self, DocumentRecord, LibraryRecord};
use super::{Libraries, LibraryError, library, page};
use crate::base::bound;
use crate::search::{Counts, Found, Request};
use crate::store::table::Table;
use crate::store::{Snapshot, StoreError, after_prefix};

/// What is searched for, and where.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub text: String,
    /// None named: all.
    pub libraries: Vec<String>,
    pub path_prefix: Option<String>,
    pub facets: BTreeMap<String, Vec<String>>,
    pub limit: usize,
    pub offset: usize,
    /// Whether each hit says what its score is made of.
    pub explain: bool,
}

impl Libraries {
    /// A document's record and its whole Markdown.
    pub fn document(&self, library_name: &str, path: &str) -> Result<(DocumentRecord, String), LibraryError> {
        self.store.read(|snapshot| {
            let library = library(snapshot, library_name)?;
            let missing = || LibraryError::NoDocument { library: library_name.into(), path: path.into() };
            if path.is_empty() || path.len() > bound::DOCUMENT_PATH_BYTES_MAX || path.contains('\0') {
                return Err(missing());
            }
            let (key, record) = document(snapshot, &library, path)?.ok_or_else(missing)?;
            let body = page::body(snapshot, &key, record.body_bytes)
                .ok_or_else(|| LibraryError::Body(format!("{library_name}/{path}")))?;
            Ok((record, body))
        })
    }

    /// Paths of a library that start with `prefix`, from the first one after `after` on, with their records.
    pub fn documents(
        &self,
        name: &str,
        prefix: &str,
        after: Option<&str>,
        documents_max: usize,
    ) -> Result<Vec<(String, DocumentRecord)>, LibraryError> {
        let library = self.get(name)?;
        let mut found = Vec::new();
        let begin = [record::library_prefix(name), prefix.as_bytes().to_vec()].concat();
        let end = after_prefix(&begin);
        let mut from =
            after.map_or_else(|| begin.clone(), |path| after_prefix(&record::path_prefix(name, path))).max(begin);
        // One short snapshot a page: a long one would pin pages while others write.
        while found.len() < documents_max {
            let rows =
                self.store.read(|snapshot| snapshot.scan(Table::Documents, &from, &end, bound::SCAN_ROWS_MAX))?;
            let Some((last, _)) = rows.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (path, document) in newest(&rows, &library)? {
                // A document's generations may lie on both sides of the page's end.
                match found.last_mut() {
                    Some((known, slot)) if *known == path => *slot = document,
                    _ => found.push((path, document)),
                }
            }
        }
        found.retain(|(_, document): &(String, DocumentRecord)| !document.removed);
        found.truncate(documents_max);
        Ok(found)
    }

    /// Searches the named libraries, or all of them.
    pub async fn search(self: &Arc<Self>, query: Query) -> Result<Found, LibraryError> {
        let known = self.list()?;
        let libraries: Vec<String> = if query.libraries.is_empty() {
            known.into_iter().map(|library| library.name).collect()
        } else {
            if let Some(unknown) =
                query.libraries.iter().find(|name| !known.iter().any(|library| library.name == **name))
            {
                return Err(LibraryError::NoLibrary(unknown.clone()));
            }
            query.libraries.clone()
        };
        let place = Arc::clone(&self.searches).acquire_owned().await;
        let place = place.map_err(|error| LibraryError::Worker(error.to_string()))?;
        let index = Arc::clone(&self.index);
        let searched = tokio::task::spawn_blocking(move || {
            // A caller that gives up leaves the work behind, and that keeps its place.
            let _place = place;
            index.search(&Request {
                text: &query.text,
                libraries: &libraries,
                path_prefix: query.path_prefix.as_deref(),
                facets: &query.facets,
                limit: query.limit,
                offset: query.offset,
                explain: query.explain,
            })
        });
        Ok(searched.await.map_err(|error| LibraryError::Worker(error.to_string()))??)
    }

    /// How many documents of the named libraries a query finds, by the values of the facets `names`.
    pub async fn count(self: &Arc<Self>, query: Query, names: Vec<String>) -> Result<Counts, LibraryError> {
        let place = Arc::clone(&self.searches).acquire_owned().await;
        let place = place.map_err(|error| LibraryError::Worker(error.to_string()))?;
        let index = Arc::clone(&self.index);
        let counted = tokio::task::spawn_blocking(move || {
            let _place = place;
            let request = Request {
                text: &query.text,
                libraries: &query.libraries,
                path_prefix: None,
                facets: &query.facets,
                limit: 0,
                offset: 0,
                explain: false,
            };
            index.count(&request, &names)
        });
        Ok(counted.await.map_err(|error| LibraryError::Worker(error.to_string()))??)
    }
}

/// The visible generation of a document.
pub(super) fn document(
    snapshot: &Snapshot,
    library: &LibraryRecord,
    path: &str,
) -> Result<Option<(Vec<u8>, DocumentRecord)>, StoreError> {
    let from = record::path_prefix(&library.name, path);
    let to = record::document_key(&library.name, path, library.generation.saturating_add(1));
    let Some((key, value)) = snapshot.last(Table::Documents, &from, &to)? else { return Ok(None) };
    let record = record::decode_document(&value)?;
    Ok((!record.removed).then_some((key, record)))
}

/// The newest visible generation of each document among `rows`, removed ones included.
fn newest(rows: &[(Vec<u8>, Vec<u8>)], library: &LibraryRecord) -> Result<Vec<(String, DocumentRecord)>, StoreError> {
    let mut found: Vec<(String, &[u8])> = Vec::new();
    for (key, value) in rows {
        let Some((_, path, generation)) = record::parse_document_key(key) else { continue };
        if generation > library.generation {
            continue;
        }
        // Generations of one path follow each other, oldest first.
        match found.last_mut() {
            Some((known, slot)) if known == path => *slot = value,
            _ => found.push((path.to_owned(), value)),
        }
    }
    found.into_iter().map(|(path, value)| Ok((path, record::decode_document(value)?))).collect()
}
