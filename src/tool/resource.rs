//! The library's documents as resources: `sekisho://{library}/{path}`.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::read::document_of;
use super::shelf::{Shelf, ShelfPage};
use super::uri;
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::library::view::View;
use crate::library::{Libraries, LibraryError};
use crate::operation::{Body, Content, Cx, ResourceItem};

const TEMPLATE: &str = "sekisho://{library}/{path}";
const MEDIA_TYPE: &str = "text/markdown";

/// Documents as resources.
#[derive(Clone, Debug)]
pub struct LibraryShelf {
    libraries: Arc<Libraries>,
}

impl LibraryShelf {
    pub fn new(libraries: Arc<Libraries>) -> Self {
        Self { libraries }
    }

    /// Scans of the store are kept away from the threads that serve.
    async fn scan<T: Send + 'static>(
        &self,
        cx: &Cx,
        look: impl FnOnce(&View) -> Result<T, LibraryError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let view = self.libraries.seen_by(&cx.access);
        Ok(tokio::task::spawn_blocking(move || look(&view)).await.map_err(Refusal::internal)??)
    }
}

fn page(libraries: &View, cursor: Option<String>) -> Result<ShelfPage, LibraryError> {
    // The cursor is the last document of the page before; a library removed since is skipped.
    let (mut library_from, mut after) = match &cursor {
        Some(cursor) => {
            let (library, path) = cursor.split_once('/').unwrap_or((cursor, ""));
            (library.to_owned(), Some(path.to_owned()))
        }
        None => (String::new(), None),
    };
    let mut items = Vec::new();
    for library in libraries.list()? {
        if library.name < library_from {
            continue;
        }
        if library.name > library_from {
            after = None;
            library_from.clone_from(&library.name);
        }
        let room = bound::LIST_PAGE_ITEMS - items.len();
        let documents = libraries.documents(&library.name, "", after.as_deref(), room)?;
        let last = documents.last().map(|(path, _)| format!("{}/{path}", library.name));
        items.extend(documents.into_iter().map(|(path, document)| ResourceItem {
            uri: uri::of_document(&library.name, &path),
            name: path,
            title: document.title,
            description: document.description,
            media_type: Some(MEDIA_TYPE.into()),
            bytes: Some(document.body_bytes),
        }));
        if items.len() >= bound::LIST_PAGE_ITEMS {
            return Ok((items, last));
        }
    }
    Ok((items, None))
}

fn values(libraries: &View, variable: &str, start: &str, context: &Value) -> Result<Vec<String>, LibraryError> {
    match variable {
        "library" => {
            let names = libraries.list()?.into_iter().map(|library| library.name);
            Ok(names.filter(|name| name.starts_with(start)).collect())
        }
        "path" => {
            let chosen = context.get("library").and_then(Value::as_str);
            let names = match chosen {
                Some(name) => vec![name.to_owned()],
                None => libraries.list()?.into_iter().map(|library| library.name).collect(),
            };
            let mut paths = Vec::new();
            for name in names {
                let found = libraries.documents(&name, start, None, bound::COMPLETION_VALUES_MAX + 1 - paths.len())?;
                paths.extend(found.into_iter().map(|(path, _)| path));
                if paths.len() > bound::COMPLETION_VALUES_MAX {
                    break;
                }
            }
            Ok(paths)
        }
        _ => Ok(Vec::new()),
    }
}

impl Shelf for LibraryShelf {
    fn owns(&self, uri: &str) -> bool {
        uri.starts_with(uri::SCHEME)
    }

    fn list<'a>(&'a self, cx: &'a Cx, cursor: Option<String>) -> BoxFuture<'a, Result<ShelfPage, Refusal>> {
        Box::pin(self.scan(cx, move |libraries| page(libraries, cursor)))
    }

    fn templates(&self) -> Vec<ResourceItem> {
        vec![ResourceItem {
            uri: TEMPLATE.into(),
            name: "document".into(),
            title: "A document of a library".into(),
            description: Some(
                "The Markdown of a document; list_libraries names the libraries, search_documents finds paths.".into(),
            ),
            media_type: Some(MEDIA_TYPE.into()),
            bytes: None,
        }]
    }

    fn read<'a>(&'a self, cx: &'a Cx, uri: &'a str) -> BoxFuture<'a, Result<Vec<Content>, Refusal>> {
        Box::pin(async move {
            let missing =
                || Refusal::new(Code::NotFound, format!("{uri} names no document: write sekisho://LIBRARY/PATH."));
            let (library, path) = uri::parse(uri).ok_or_else(missing)?;
            let read = document_of(cx, &self.libraries, &library, &path).await;
            let (_, markdown) = read.map_err(|refusal| {
                if refusal.code == Code::NotFound { refusal.with_data(json!({"uri": uri})) } else { refusal }
            })?;
            Ok(vec![Content { uri: uri.to_owned(), media_type: MEDIA_TYPE.into(), body: Body::Text(markdown) }])
        })
    }

    fn complete<'a>(
        &'a self,
        cx: &'a Cx,
        variable: &'a str,
        start: &'a str,
        context: &'a Value,
    ) -> BoxFuture<'a, Result<Vec<String>, Refusal>> {
        let (variable, start, context) = (variable.to_owned(), start.to_owned(), context.clone());
        Box::pin(self.scan(cx, move |libraries| values(libraries, &variable, &start, &context)))
    }
}
