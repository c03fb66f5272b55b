//! An archive as a source: held in memory, and taken apart in a process of its own.

use std::collections::HashMap;
use std::io::{self, Read as _};

use tokio::runtime::Handle;

use super::plain;
use super::unpack::{Contents, Entry, OPEN, READ};
use crate::base::bound::archive as bound;
use crate::sandbox::{SandboxError, Session};

/// An archive that is read.
pub(super) struct Archive {
    bytes: Vec<u8>,
    session: Session,
    runtime: Handle,
    indices: HashMap<String, usize>,
    unpacked_bytes: u64,
    stops: usize,
}

impl Archive {
    /// Reads the file whole, and asks what is in it.
    pub(super) fn open(path: &str, session: Session, runtime: &Handle) -> io::Result<(Self, Contents)> {
        let file = plain::open(path)?;
        let mut bytes = Vec::new();
        file.take(bound::ARCHIVE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > bound::ARCHIVE_BYTES_MAX {
            let message = format!("it has more than {} bytes; unpack it into a folder", bound::ARCHIVE_BYTES_MAX);
            return Err(io::Error::other(message));
        }
        let indices = HashMap::new();
        let mut archive = Self { bytes, session, runtime: runtime.clone(), indices, unpacked_bytes: 0, stops: 0 };
        let contents = archive.look().map_err(io::Error::other)?;
        let indexed = |entry: &Entry| (entry.path.clone(), entry.index);
        archive.indices = contents.files.iter().map(indexed).collect();
        Ok((archive, contents))
    }

    fn look(&mut self) -> Result<Contents, SandboxError> {
        let reply = self.runtime.block_on(self.session.ask_once(OPEN, &(), &self.bytes))?;
        serde_json::from_slice(&reply.answer)
            .map_err(|error| SandboxError::Stopped(format!("it gave no list of files: {error}")))
    }

    /// The bytes of a file of the archive.
    pub(super) fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let index = *self.indices.get(path).ok_or(io::ErrorKind::NotFound)?;
        if self.stops >= bound::ARCHIVE_STOPS_MAX {
            return Err(io::Error::other("its archive stopped its reader too often"));
        }
        if self.unpacked_bytes > bound::ARCHIVE_DOCUMENTS_BYTES_MAX {
            let most = bound::ARCHIVE_DOCUMENTS_BYTES_MAX;
            return Err(io::Error::other(format!("its archive unpacks to more than {most} bytes, and may be a bomb")));
        }
        let answered = if self.session.remembers() { Ok(()) } else { self.look().map(drop) };
        let answered = match answered {
            Ok(()) => self.runtime.block_on(self.session.ask_once(READ, &index, &[])),
            Err(error) => Err(error),
        };
        self.stops += usize::from(matches!(answered, Err(SandboxError::Stopped(_))));
        let bytes = answered.map_err(io::Error::other)?.body;
        self.unpacked_bytes += bytes.len() as u64;
        Ok(bytes)
    }
}
