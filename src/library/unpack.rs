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

fn tar(input: impl Read) -> Result<(Open, Contents), String> {
    let mut archive = tar::Archive::new(input.take(limits::ARCHIVE_STREAM_BYTES_MAX));
    let mut listed = Listed::default();
    let mut documents: Vec<Vec<u8>> = Vec::new();
    let mut bytes_held = 0;
    let mut count = 0;
    let entries = archive.entries().map_err(|error| format!("it is no archive that can be read: {error}"))?;
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) if count == 0 => return Err(format!("it is no archive that can be read: {error}")),
            Err(error) => {
                // What came before is sound; what would have followed is not known, so nothing of it is gone.
                listed.pass_over("", format!("the archive breaks off after {count} entries: {error}"));
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
            listed.pass_over("", format!("the archive breaks off after {count} entries"));
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
mod tests {
    use std::io::Write as _;

    use super::*;

    fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn tar_of(files: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in files {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn contents(unpacker: &mut Unpacker, bytes: Vec<u8>) -> Contents {
        serde_json::from_slice(&unpacker.open(bytes).unwrap().answer).unwrap()
    }

    fn paths(contents: &Contents) -> Vec<&str> {
        contents.files.iter().map(|entry| entry.path.as_str()).collect()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn documents_come_out_and_the_versions_folder_goes() {
        let files: &[(&str, &[u8])] = &[("docs-1.2/a.md", b"# A"), ("docs-1.2/b/c.txt", b"c"), ("docs-1.2/d.bin", b"")];
        let tarred: Vec<_> = files.iter().map(|(name, content)| (*name, FILE, *content)).collect();
        for archive in [zip_of(files), tar_of(&tarred), gzipped(&tar_of(&tarred))] {
            let mut unpacker = Unpacker::default();
            let contents = contents(&mut unpacker, archive);
            assert_eq!(paths(&contents), ["a.md", "b/c.txt"]);
            assert!(contents.passed_over.is_empty());
            let index = serde_json::to_vec(&contents.files[1].index).unwrap();
            assert_eq!(unpacker.read(&index).unwrap().body, b"c");
            assert!(unpacker.read(b"99").is_err());
        }
    }

    #[test]
    fn names_that_lead_out_are_told_and_the_rest_is_kept() {
        let files: &[(&str, &[u8])] = &[
            ("../up.md", b"x"),
            ("/etc/abs.md", b"x"),
            ("a/../../b.md", b"x"),
            ("..\\win.md", b"x"),
            ("C:\\drive.md", b"x"),
            ("good.md", b"x"),
            (".git/config.md", b"x"),
            ("w\\good.md", b"x"),
        ];
        let tarred: Vec<_> = files.iter().map(|(name, content)| (*name, FILE, *content)).collect();
        for archive in [zip_of(files), tar_of(&tarred)] {
            let contents = contents(&mut Unpacker::default(), archive);
            assert_eq!(paths(&contents), ["good.md", "w/good.md"]);
            assert_eq!(contents.passed_over.len(), 5, "{contents:?}");
        }
    }

    #[test]
    fn links_and_devices_in_archives_are_no_documents() {
        let archive = tar_of(&[
            ("a.md", tar::EntryType::Symlink, b""),
            ("b.md", tar::EntryType::Link, b""),
            ("c.md", tar::EntryType::Fifo, b""),
            ("d.md", FILE, b"x"),
            ("d.md", FILE, b"y"),
        ]);
        let contents = contents(&mut Unpacker::default(), archive);
        assert_eq!(paths(&contents), ["d.md"]);
        assert_eq!(contents.passed_over.len(), 4, "{contents:?}");
    }

    #[test]
    fn an_entry_that_unpacks_to_too_much_is_refused_and_others_are_read() {
        let bomb = vec![b'x'; bound::DOCUMENT_BYTES_MAX + 1];
        let mut unpacker = Unpacker::default();
        let found = contents(&mut unpacker, zip_of(&[("bomb.txt", &bomb), ("good.md", b"x")]));
        assert_eq!(paths(&found), ["bomb.txt", "good.md"]);
        assert!(unpacker.read(b"0").unwrap_err().contains("bomb"));
        assert_eq!(unpacker.read(b"1").unwrap().body, b"x");
        let found = contents(&mut unpacker, gzipped(&tar_of(&[("bomb.txt", FILE, &bomb), ("good.md", FILE, b"x")])));
        assert_eq!(found.files[0].bytes, bomb.len() as u64, "the sync refuses it by its size");
        assert_eq!(unpacker.read(b"1").unwrap().body, b"x");
    }

    #[test]
    fn broken_archives_are_refused_or_read_as_far_as_they_go() {
        let mut unpacker = Unpacker::default();
        for broken in [&b""[..], b"PK\x03\x04", b"\x1f\x8b\x08", b"no archive at all, whatever its name is"] {
            drop(unpacker.open(broken.to_vec()));
        }
        let archive = tar_of(&[("a.md", FILE, b"x"), ("b.md", FILE, &[b'y'; 2000])]);
        let found = contents(&mut unpacker, archive[..1800].to_vec());
        assert_eq!(paths(&found), ["a.md"]);
        assert!(!found.passed_over.is_empty());
    }

    #[test]
    fn any_change_of_a_byte_is_survived() {
        let mut archive = zip_of(&[("a.md", b"hello hello hello"), ("b.md", b"x")]);
        for at in 0..archive.len() {
            archive[at] ^= 0x41;
            let mut unpacker = Unpacker::default();
            if unpacker.open(archive.clone()).is_ok() {
                drop((unpacker.read(b"0"), unpacker.read(b"1")));
            }
            archive[at] ^= 0x41;
        }
    }
}
