//! Where documents of web sites are from: the URLs of documents, and the document of a URL.

use std::collections::HashMap;

use super::ask::document;
use super::record::{self, DocumentRecord};
use super::{Libraries, LibraryError, library, web};
use crate::base::bound;
use crate::store::after_prefix;
use crate::store::table::Table;

impl Libraries {
    /// The URLs of documents that are named by library and path; `None` for those that have none, or are gone.
    pub(super) fn urls(&self, of: &[(String, String)]) -> Result<Vec<Option<String>>, LibraryError> {
        self.store.read(|snapshot| {
            let url = |(name, path): &(String, String)| {
                let library = match library(snapshot, name) {
                    // It was removed since it was searched.
                    Err(LibraryError::NoLibrary(_)) => return Ok(None),
                    found => found?,
                };
                if !library.source.has_urls() {
                    return Ok(None);
                }
                Ok(document(snapshot, &library, path)?.and_then(|(_, document)| document.url))
            };
            of.iter().map(url).collect()
        })
    }

    /// The URLs of all documents of a library that have one, by their paths.
    pub(super) fn known_urls(&self, name: &str) -> Result<HashMap<String, String>, LibraryError> {
        let generation = self.get(name)?.generation;
        let mut from = record::library_prefix(name);
        let end = after_prefix(&from);
        let mut known = HashMap::new();
        loop {
            let rows =
                self.store.read(|snapshot| snapshot.scan(Table::Documents, &from, &end, bound::SCAN_ROWS_MAX))?;
            let Some((last, _)) = rows.last() else { return Ok(known) };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in rows {
                let Some((_, path, of)) = record::parse_document_key(&key) else { continue };
                if of > generation {
                    continue;
                }
                // Generations of one path come in their order.
                let document = record::decode_document(&value)?;
                match document.url.filter(|_| !document.removed) {
                    Some(url) => known.insert(path.to_owned(), url),
                    None => known.remove(path),
                };
            }
        }
    }

    /// The path of the document that was fetched from `asked`, whatever slash, query or fragment it ends in.
    pub(super) fn path_of(&self, name: &str, asked: &str) -> Result<Option<String>, LibraryError> {
        let Some((urls, files)) = web::kept_as(asked) else { return Ok(None) };
        self.store.read(|snapshot| {
            let library = library(snapshot, name)?;
            if !library.source.has_urls() {
                return Ok(None);
            }
            let is_it = |document: &DocumentRecord| document.url.as_ref().is_some_and(|url| urls.contains(url));
            for file in files {
                if document(snapshot, &library, &file)?.is_some_and(|(_, document)| is_it(&document)) {
                    return Ok(Some(file));
                }
            }
            Ok(None)
        })
    }
}
