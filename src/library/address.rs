//! Where documents of web sites are from: the URLs of documents, and the document of a URL.

use super::ask::document;
use super::record::DocumentRecord;
use super::{Libraries, LibraryError, library, web};

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
