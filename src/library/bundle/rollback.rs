//! Brings back what a library was before its last import: as a new generation, so that it can be taken back as well.

use std::sync::Arc;

use super::BundleError;
use super::keep;
use crate::library::change::{Also, Change, Rows};
use crate::library::record::{self, DocumentRecord, LibraryRecord};
use crate::library::report::SyncReport;
use crate::library::{Libraries, LibraryError, page};
use crate::store::table::Table;

impl Libraries {
    /// Shows the generation before the last import again. Asked for once more, it goes back to the later one.
    pub async fn roll_back(self: &Arc<Self>, name: &str) -> Result<(LibraryRecord, SyncReport), LibraryError> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let _busy = this.occupy(&name)?;
            let _writer = runtime.block_on(this.index_writer.lock());
            roll_back(&this, &runtime, &name)
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
    }
}

fn roll_back(
    libraries: &Libraries,
    runtime: &tokio::runtime::Handle,
    name: &str,
) -> Result<(LibraryRecord, SyncReport), LibraryError> {
    let now = libraries.get(name)?;
    let (then, profile) = libraries
        .store
        .read(|snapshot| Ok::<_, LibraryError>((keep::before(snapshot, name)?, keep::profile(snapshot, name)?)))?;
    let then = then.ok_or_else(|| BundleError::NothingBefore(name.to_owned()))?;
    let mut change = Change::new(libraries, runtime, now.clone());
    change.mend_index()?;
    change.library.source = then.library.source;
    change.library.profile = then.library.profile;
    change.library.shaped = then.library.shaped;
    change.sweep(&[now.generation, then.library.generation])?;
    let mut rows = Rows::new(name);
    while let Some((path, generations)) = rows.next(libraries)? {
        let shown = |at: u64| {
            let newest = generations.iter().rev().find(|(generation, _)| *generation <= at);
            newest.filter(|(_, removed)| !removed).map(|(generation, _)| *generation)
        };
        match (shown(now.generation), shown(then.library.generation)) {
            (now, Some(then)) => {
                let (document, value, markdown) = stored(libraries, name, &path, then)?;
                if now == Some(then) {
                    change.keep(document.body_bytes, document.sections.len() as u64);
                } else {
                    change.put(&path, &document, value, &markdown, now.is_some())?;
                }
            }
            (Some(_), None) => drop(change.bury(&path)?),
            (None, None) => {}
        }
    }
    let also = Also {
        puts: vec![keep::before_row(&now, profile)?, keep::profile_row(name, then.profile.clone())],
        always: true,
    };
    let keep = [change.generation, now.generation];
    change.show(also, &keep)?;
    if let Some(profile) = then.profile {
        libraries.shape.install(&keep::files(&profile)?);
    }
    libraries.changes.libraries();
    Ok((change.library, change.report))
}

/// A document of one generation: its record, as it is stored too, and its Markdown.
fn stored(
    libraries: &Libraries,
    library: &str,
    path: &str,
    generation: u64,
) -> Result<(DocumentRecord, Vec<u8>, String), LibraryError> {
    let key = record::document_key(library, path, generation);
    let missing = || LibraryError::Body(format!("{library}/{path}"));
    libraries.store.read(|snapshot| {
        let value = snapshot.get(Table::Documents, &key)?.ok_or_else(missing)?;
        let document = record::decode_document(&value)?;
        let markdown = page::body(snapshot, &key, document.body_bytes).ok_or_else(missing)?;
        Ok((document, value, markdown))
    })
}
