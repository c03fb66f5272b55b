//! Takes documents out of zip and tar archives: names that lead elsewhere, links and bombs are told and left there.
//!
//! This runs in the confined process. Nothing is ever written: an entry's name is a document's name, and no path.

use std::collections::HashSet;
use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use super::parse::Format;
use crate::base::bound;
use crate::base::bound::archive as limits;
use crate::sandbox::Reply;

/// Opens the archive that the body is, and tells what is in it.
pub const OPEN: &str = "archive.open";
/// Gives the bytes of one file of the archive that is open.
pub const READ: &str = "archive.read";

/// What an archive holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) files: Vec<Entry>,
    /// Each with the reason.
    pub(super) passed_over: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Below the archive's root, with `/` between its parts.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// What [`READ`] is asked for.
    pub(super) index: usize,
}

/// The archive that is open.
#[derive(Default)]
pub struct Unpacker {
    open: Option<Open>,
}

enum Open {
    Zip(Box<ZipArchive<Cursor<Vec<u8>>>>),
    /// The documents themselves: a tar archive can only be read from front to back.
    Tar(Vec<Vec<u8>>),
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").field("is_open", &self.open.is_some()).finish()
    }
}

impl Unpacker {
    /// [`OPEN`].
    pub fn open(&mut self, bytes: Vec<u8>) -> Result<Reply, String> {
        self.open = None;
        if bytes.is_empty() {
            return Err("it is empty: it is still being written, or was cut; give it whole".to_owned());
        }
        let (open, mut contents) = match bytes.get(..4) {
            Some([0x1f, 0x8b, ..]) => tar(MultiGzDecoder::new(bytes.as_slice()))?,
            Some(b"PK\x03\x04" | b"PK\x05\x06") => zip(bytes)?,
            _ => tar(bytes.as_slice())?,
        };
        self.open = Some(open);
        drop_root(&mut contents);
        let answer = serde_json::to_vec(&contents).map_err(|error| error.to_string())?;
        Ok(Reply { answer, body: Vec::new() })
    }

    /// [`READ`].
    pub fn read(&mut self, question: &[u8]) -> Result<Reply, String> {
        let index: usize = serde_json::from_slice(question).map_err(|error| error.to_string())?;
        let body = match &mut self.open {
            None => return Err("no archive is open".to_owned()),
            Some(Open::Tar(documents)) => documents.get(index).cloned().ok_or("there is no such file in it")?,
            Some(Open::Zip(archive)) => {
                let file = archive.by_index(index).map_err(|error| error.to_string())?;
                let mut body = Vec::new();
                let most = bound::DOCUMENT_BYTES_MAX as u64 + 1;
                file.take(most).read_to_end(&mut body).map_err(|error| format!("it does not unpack: {error}"))?;
                body
            }
        };
        if body.len() > bound::DOCUMENT_BYTES_MAX {
            return Err(format!(
                "it unpacks to more than the {} bytes of a document, and may be a bomb",
                bound::DOCUMENT_BYTES_MAX
            ));
        }
        Ok(Reply { answer: b"null".to_vec(), body })
    }
}

fn zip(bytes: Vec<u8>) -> Result<(Open, Contents), String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("it is no zip archive: {error}"))?;
    if archive.is_empty() {
        return Err(NO_ENTRY.to_owned());
    }
    if archive.len() > limits::ARCHIVE_ENTRIES_MAX {
        return Err(format!("it has {} entries, more than {}", archive.len(), limits::ARCHIVE_ENTRIES_MAX));
    }
    let mut listed = Listed::default();
    for index in 0..archive.len() {
        let file = match archive.by_index_raw(index) {
            Ok(file) => file,
            Err(error) => {
                listed.pass_over(&format!("entry {index}"), error.to_string());
                continue;
            }
        };
        let bytes = file.size();
        let Ok(name) = file.name().map(std::borrow::Cow::into_owned) else {
            listed.pass_over(&String::from_utf8_lossy(file.name_raw()), "its name cannot be read".to_owned());
            continue;
        };
        let kind = if file.is_dir() {
            continue;
        } else if file.is_symlink() {
            Kind::Link
        } else if file.encrypted() {
            Kind::Sealed
        } else {
            Kind::File
        };
        listed.add(&name, kind, bytes, index);
    }
    Ok((Open::Zip(Box::new(archive)), listed.contents))
}

/// Zeros alone are a tar archive of nothing, and so begins a file whose room was taken before it is written. Rather
/// that than a library that was emptied.
const NO_ENTRY: &str = "it has no entry: it is empty, or is still being written";

/// Remembers whether its end was met: what is asked for of a whole archive never goes beyond its end mark.
struct Watched<R> {
    input: R,
    is_ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(into)?;
        self.is_ended |= count == 0 && !into.is_empty();
        Ok(count)
    }
}

/// Why nothing of this is a tar archive. What the reader says of a header quotes whatever stands there.
fn no_tar(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::Other => "expected a zip or tar archive, found neither".to_owned(),
        std::io::ErrorKind::UnexpectedEof => "it breaks off before its first entry; give it whole".to_owned(),
        _ => format!("it is no archive that can be read: {error}"),
    }
}

fn tar(input: impl Read) -> Result<(Open, Contents), String> {
    tar_within(input, limits::ARCHIVE_STREAM_BYTES_MAX)
}

fn tar_within(input: impl Read, bytes_max: u64) -> Result<(Open, Contents), String> {
    let mut archive = tar::Archive::new(Watched { input: input.take(bytes_max), is_ended: false });
    let mut listed = Listed::default();
    let mut documents: Vec<Vec<u8>> = Vec::new();
    let mut bytes_held = 0;
    let mut count = 0;
    let mut broken: Option<String> = None;
    let entries = archive.entries().map_err(|error| no_tar(&error))?;
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) if count == 0 => return Err(no_tar(&error)),
            Err(error) => {
                broken = Some(format!("the archive breaks off after {count} entries: {error}"));
                break;
            }
        };
        count += 1;
        if count > limits::ARCHIVE_ENTRIES_MAX {
            listed.pass_over("", format!("the archive has more than {} entries", limits::ARCHIVE_ENTRIES_MAX));
            break;
        }
        let kind = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => Kind::File,
            tar::EntryType::Symlink | tar::EntryType::Link => Kind::Link,
            tar::EntryType::Directory | tar::EntryType::XGlobalHeader => continue,
            _ => Kind::Device,
        };
        let Ok(name) = std::str::from_utf8(&entry.path_bytes()).map(str::to_owned) else {
            listed.pass_over(&String::from_utf8_lossy(&entry.path_bytes()), "its name is not UTF-8".to_owned());
            continue;
        };
        let bytes = entry.size();
        if !listed.add(&name, kind, bytes, documents.len()) {
            continue;
        }
        let mut document = Vec::new();
        let most = bound::DOCUMENT_BYTES_MAX as u64 + 1;
        let read = (&mut entry).take(most).read_to_end(&mut document);
        bytes_held += document.len() as u64;
        let is_cut = read.is_ok() && (document.len() as u64) < bytes.min(most);
        if is_cut {
            broken = Some(format!("the archive breaks off after {count} entries"));
        }
        let reason = match read {
            Ok(_) if is_cut => Some("the archive breaks off in it".to_owned()),
            Err(error) => Some(format!("it does not unpack: {error}")),
            // Told by the sync, by its size.
            Ok(_) if bytes > bound::DOCUMENT_BYTES_MAX as u64 => None,
            Ok(_) if bytes_held > limits::ARCHIVE_DOCUMENTS_BYTES_MAX => Some(format!(
                "the documents before it have {} bytes already; the archive may be a bomb",
                limits::ARCHIVE_DOCUMENTS_BYTES_MAX
            )),
            Ok(_) => {
                documents.push(document);
                continue;
            }
        };
        match reason {
            Some(reason) => listed.take_back(&reason),
            None => documents.push(Vec::new()),
        }
    }
    let Watched { input, is_ended } = archive.into_inner();
    if is_ended && input.limit() == 0 {
        let most = bytes_max >> 30;
        broken = Some(format!("it unpacks to more than {most} GiB, and was read so far; unpack it into a folder"));
    } else if is_ended && broken.is_none() {
        broken = Some(format!("the archive breaks off after {count} entries: it has no end mark"));
    }
    // What came before is sound; what would have followed is not known, so nothing of it is gone.
    match broken {
        Some(reason) if count > 0 => listed.pass_over("", reason),
        Some(reason) => return Err(reason),
        None if count == 0 => return Err(NO_ENTRY.to_owned()),
        None => {}
    }
    Ok((Open::Tar(documents), listed.contents))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Link,
    Device,
    Sealed,
}

/// A listing under way.
#[derive(Default)]
struct Listed {
    contents: Contents,
    names: HashSet<String>,
}

impl Listed {
    /// Whether the entry is a document that can be read.
    fn add(&mut self, name: &str, kind: Kind, bytes: u64, index: usize) -> bool {
        let Some(path) = inside(name) else {
            self.pass_over(name, "its name leads out of the archive, or is none".to_owned());
            return false;
        };
        let is_hidden = |part: &str| part.starts_with('.') || matches!(part, "node_modules" | "__MACOSX");
        if Format::of_path(&path).is_none() || path.split('/').any(is_hidden) {
            return false;
        }
        let reason = match kind {
            Kind::Link => "it is a link, and links in archives are not followed",
            Kind::Device => "it is no plain file",
            Kind::Sealed => "it is encrypted",
            Kind::File if path.len() > bound::DOCUMENT_PATH_BYTES_MAX => "its name is too long",
            Kind::File if !self.names.insert(path.clone()) => "another file of the archive has its name",
            Kind::File => {
                self.contents.files.push(Entry { path, bytes, index });
                return true;
            }
        };
        self.pass_over(&path, reason.to_owned());
        false
    }

    fn take_back(&mut self, reason: &str) {
        if let Some(entry) = self.contents.files.pop() {
            self.pass_over(&entry.path, reason.to_owned());
        }
    }

    fn pass_over(&mut self, name: &str, reason: String) {
        // A report lists a few; the rest is counted there.
        if self.contents.passed_over.len() < limits::ARCHIVE_ENTRIES_MAX {
            let end = name.floor_char_boundary(bound::DOCUMENT_PATH_BYTES_MAX);
            self.contents.passed_over.push((name.get(..end).unwrap_or_default().to_owned(), reason));
        }
    }
}

/// The name's parts below the archive's root; `None` if it leads elsewhere.
fn inside(name: &str) -> Option<String> {
    // Some programs for Windows write its separators.
    let name = name.replace('\\', "/");
    let is_drive = name.as_bytes().get(1) == Some(&b':');
    if name.starts_with('/') || is_drive || name.contains(char::is_control) {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Archives of a release hold one folder, named by the version: without it a document keeps its name in the next one.
fn drop_root(contents: &mut Contents) {
    let root = contents.files.first().and_then(|entry| entry.path.split_once('/')).map(|(root, _)| format!("{root}/"));
    let Some(root) = root.filter(|root| contents.files.iter().all(|entry| entry.path.starts_with(root.as_str())))
    else {
        return;
    };
    for entry in &mut contents.files {
        entry.path.drain(..root.len());
    }
    for (path, _) in &mut contents.passed_over {
        if path.starts_with(&root) {
            path.drain(..root.len());
        }
    }
}

#[cfg(test)]
#[path = "tests_unpack.rs"]
mod tests;
