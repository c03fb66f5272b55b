//! Puts documents that the store has into the index again.

use super::passage::passages;
use super::record::{self, DocumentRecord, LibraryRecord};
use super::{Libraries, LibraryError, page};
use crate::base::bound;
use crate::search::{DocumentKey, Writer};
use crate::store::table::Table;
use crate::store::{Batch, Put, after_prefix, codec};

/// What indexing again came to.
#[derive(Default)]
pub(super) struct Again {
    pub(super) indexed: usize,
    /// Documents whose text is damaged or lost, with their keys.
    pub(super) unreadable: Vec<(Vec<u8>, DocumentRecord)>,
}

/// Puts the documents of `library` that are newer than `mark` into the index again: of each its newest generation that
/// is visible. One that cannot be read is left out, because a server that does not start serves nobody.
pub(super) fn index_again(
    libraries: &Libraries,
    writer: &mut Writer,
    library: &LibraryRecord,
    mark: Option<u64>,
) -> Result<Again, LibraryError> {
    // An index from after the store's last backup knows documents that are no more.
    let mark = mark.filter(|mark| *mark <= library.generation);
    if mark.is_none() {
        writer.remove_library(&library.name)?;
    }
    let mut again = Again::default();
    let mut newest: Option<(Vec<u8>, DocumentRecord)> = None;
    let mut from = record::library_prefix(&library.name);
    let end = after_prefix(&from);
    loop {
        let rows =
            libraries.store.read(|snapshot| snapshot.scan(Table::Documents, &from, &end, bound::SCAN_ROWS_MAX))?;
        let Some((last, _)) = rows.last() else { break };
        from = [last.as_slice(), &[0]].concat();
        for (key, value) in rows {
            let Some((_, path, generation)) = record::parse_document_key(&key) else { continue };
            if generation > library.generation || mark.is_some_and(|mark| generation <= mark) {
                continue;
            }
            let is_same = |(known, _): &(Vec<u8>, DocumentRecord)| {
                record::parse_document_key(known).is_some_and(|(_, known, _)| known == path)
            };
            // Generations of one path follow each other, oldest first.
            if !newest.as_ref().is_some_and(is_same) {
                put_again(libraries, writer, library, newest.take(), &mut again)?;
            }
            let document = record::decode_document(&value)?;
            newest = Some((key, document));
        }
    }
    put_again(libraries, writer, library, newest, &mut again)?;
    Ok(again)
}

fn put_again(
    libraries: &Libraries,
    writer: &mut Writer,
    library: &LibraryRecord,
    newest: Option<(Vec<u8>, DocumentRecord)>,
    again: &mut Again,
) -> Result<(), LibraryError> {
    let Some((key, document)) = newest else { return Ok(()) };
    let Some((_, path, _)) = record::parse_document_key(&key) else { return Ok(()) };
    let at = DocumentKey { library: &library.name, path };
    if document.removed {
        return Ok(writer.remove(&at)?);
    }
    let body =
        libraries.store.read(|snapshot| Ok::<_, LibraryError>(page::body(snapshot, &key, document.body_bytes)))?;
    if let Some(body) = body {
        writer.put(&at, &document.facets, &passages(&document, &body))?;
        again.indexed += 1;
    } else {
        tracing::warn!(library = library.name, path, "the stored text of a document is damaged; a sync reads it again");
        writer.remove(&at)?;
        again.unreadable.push((key, document));
    }
    Ok(())
}

/// Has the next sync read again what these documents were made of, although their sources did not change.
pub(super) fn forget_sources(
    libraries: &Libraries,
    runtime: &tokio::runtime::Handle,
    documents: Vec<(Vec<u8>, DocumentRecord)>,
) -> Result<(), LibraryError> {
    for (key, document) in documents {
        let unknown = DocumentRecord { source_hash: [0; 32], source_modified_ns: 0, ..document };
        let put = Put::new(Table::Documents, key, codec::encode(&unknown)?);
        runtime.block_on(libraries.store.commit(Batch::puts(vec![put])))?;
    }
    Ok(())
}
