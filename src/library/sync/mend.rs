//! What a sync makes good: an index that lacks something of its library, and rows that nobody needs any more.

use super::{Sync, writer};
use crate::base::bound;
use crate::library::upkeep::{forget_sources, index_again};
use crate::library::{LibraryError, record};
use crate::store::Put;
use crate::store::table::Table;

impl Sync<'_> {
    /// Puts into the index what it lacks of this library: its last commit failed, or another library left something
    /// under this name.
    pub(super) fn mend_index(&mut self) -> Result<(), LibraryError> {
        let mark = self.libraries.mark(&self.library.name);
        if mark == self.library.synced.map(|_| self.library.generation) {
            return Ok(());
        }
        let mark = mark.filter(|_| self.library.synced.is_some());
        let writer = writer(&mut self.writer, self.libraries)?;
        let again = index_again(self.libraries, writer, &self.library, mark)?;
        forget_sources(self.libraries, self.runtime, again.unreadable)
    }

    /// Deletes documents of generations that are superseded, each with its text.
    pub(super) fn delete_old(&mut self) -> Result<(), LibraryError> {
        for key in std::mem::take(&mut self.old) {
            let (from, to) = (record::body_key(&key, 0), record::body_key(&key, u32::MAX));
            let chunks = self
                .libraries
                .store
                .read(|snapshot| snapshot.scan(Table::Bodies, &from, &to, bound::BODY_CHUNKS_MAX))?;
            let mut puts: Vec<Put> = chunks.into_iter().map(|(chunk, _)| Put::delete(Table::Bodies, chunk)).collect();
            puts.push(Put::delete(Table::Documents, key));
            // In one commit: a document without its text could not be read, and a text without its document not be found.
            let bytes: usize = puts.iter().map(|put| put.key.len()).sum();
            if self.batch_bytes + bytes > bound::SYNC_BATCH_BYTES {
                self.flush()?;
            }
            self.batch_bytes += bytes;
            self.batch.puts.extend(puts);
        }
        self.flush()
    }
}
