//! What the store holds of libraries and documents, and how their keys are built.

use serde::{Deserialize, Serialize};

use super::parse::Format;
use super::web::Site;
use crate::auth::policy::ask::Resource;
use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::crypto::digest::Hash;
use crate::store::StoreError;
use crate::store::codec::{self, Record};

/// A library: where its documents come from, and which generation of them is visible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LibraryRecord {
    pub name: String,
    pub source: Source,
    pub added: Timestamp,
    /// Rows of this generation and older are visible; newer ones belong to a sync that did not end.
    pub generation: u64,
    pub synced: Option<Timestamp>,
    pub documents: u64,
    pub sections: u64,
    /// Bytes of Markdown.
    pub bytes: u64,
    /// How confidential its documents are.
    pub classification: Classification,
    /// The profile that it is read by.
    pub profile: Option<String>,
    /// Of the profile's rules at the last sync: facets that others made are derived anew.
    pub shaped: Option<Hash>,
}

impl Record for LibraryRecord {
    const TABLE: &'static str = "libraries";
    const FORMAT: u8 = FORMAT_PROFILED;
}

impl LibraryRecord {
    /// As policies see it.
    pub fn resource(&self) -> Resource {
        Resource::library(&self.name, self.classification)
    }
}

/// Libraries from before there were classifications.
const FORMAT_UNCLASSIFIED: u8 = 1;
/// Libraries from before there were profiles.
const FORMAT_CLASSIFIED: u8 = 2;
const FORMAT_PROFILED: u8 = 3;

#[derive(Serialize, Deserialize)]
struct UnclassifiedRecord {
    name: String,
    source: Source,
    added: Timestamp,
    generation: u64,
    synced: Option<Timestamp>,
    documents: u64,
    sections: u64,
    bytes: u64,
}

impl Record for UnclassifiedRecord {
    const TABLE: &'static str = "libraries";
    const FORMAT: u8 = FORMAT_UNCLASSIFIED;
}

#[derive(Serialize, Deserialize)]
struct ClassifiedRecord {
    library: UnclassifiedRecord,
    classification: Classification,
}

impl Record for ClassifiedRecord {
    const TABLE: &'static str = "libraries";
    const FORMAT: u8 = FORMAT_CLASSIFIED;
}

/// Reads a library of any format. One that nobody classified is internal; its next sync writes it anew.
pub(super) fn decode_library(bytes: &[u8]) -> Result<LibraryRecord, StoreError> {
    let (library, classification) = match bytes.first() {
        Some(&FORMAT_UNCLASSIFIED) => (codec::decode(bytes)?, Classification::default()),
        // bincode writes no names: a record in a record is its fields, one after the other.
        Some(&FORMAT_CLASSIFIED) => {
            let ClassifiedRecord { library, classification } = codec::decode(bytes)?;
            (library, classification)
        }
        _ => return codec::decode(bytes),
    };
    let UnclassifiedRecord { name, source, added, generation, synced, documents, sections, bytes } = library;
    Ok(LibraryRecord {
        name,
        source,
        added,
        generation,
        synced,
        documents,
        sections,
        bytes,
        classification,
        profile: None,
        shaped: None,
    })
}

/// Where documents come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A folder on this machine; absolute. Globs are matched against paths below it.
    Folder { root: String, include: Vec<String>, exclude: Vec<String> },
    /// The manual inside the binary.
    Builtin,
    /// A zip or tar archive on this machine; absolute. Globs are matched against paths in it.
    Archive { path: String, include: Vec<String>, exclude: Vec<String> },
    /// One document on this machine; absolute.
    File { path: String },
    /// A web site.
    Web(Site),
    /// A bundle, which another Sekisho made.
    Bundle(Box<Origin>),
}

/// Where a library came from that came in a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// What it is called there.
    pub library: String,
    /// Where its documents come from, as it is said there.
    pub source: String,
    /// Its generation there.
    pub serial: u64,
    /// When the bundle was made, by the clock there.
    pub made: Timestamp,
    /// SHA-256 of the file.
    pub digest: Hash,
    /// The key that signed it, as a verifier key.
    pub signer: String,
}

impl Source {
    pub fn describe(&self) -> String {
        match self {
            Self::Folder { root, .. } => root.clone(),
            Self::Archive { path, .. } | Self::File { path } => path.clone(),
            Self::Web(site) => site.start.clone(),
            Self::Bundle(origin) => format!("bundle of {}", origin.source),
            Self::Builtin => "built in".into(),
        }
    }

    /// Whether its documents may have URLs that they were fetched from.
    pub fn has_urls(&self) -> bool {
        matches!(self, Self::Web(_) | Self::Bundle(_))
    }

    /// What is at an absolute path of this machine: a folder, an archive, or one document.
    pub fn at(path: String, include: Vec<String>, exclude: Vec<String>) -> Self {
        if !std::path::Path::new(&path).is_file() {
            return Self::Folder { root: path, include, exclude };
        }
        match Format::of_path(&path) {
            Some(_) => Self::File { path },
            None => Self::Archive { path, include, exclude },
        }
    }

    /// What is taken of it and what is left out.
    pub fn globs(&self) -> (&[String], &[String]) {
        match self {
            Self::Folder { include, exclude, .. } | Self::Archive { include, exclude, .. } => (include, exclude),
            Self::Builtin | Self::File { .. } | Self::Web(_) | Self::Bundle(_) => (&[], &[]),
        }
    }
}

/// One generation of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentRecord {
    /// The document was there and is no more; the other fields say nothing.
    pub removed: bool,
    pub title: String,
    pub description: Option<String>,
    pub facets: Vec<(String, String)>,
    pub format: Format,
    pub source_bytes: u64,
    /// Nanoseconds since 1970, as the file system has it.
    pub source_modified_ns: u64,
    /// SHA-256 of the source.
    pub source_hash: Hash,
    pub body_bytes: u64,
    pub sections: Vec<SectionRecord>,
    /// Anchors of headings that share another heading's section, with the byte where they stand.
    pub anchors: Vec<(String, u64)>,
    /// The URL that it was fetched from, without a fragment; only of documents of web sites.
    pub url: Option<String>,
}

impl Record for DocumentRecord {
    const TABLE: &'static str = "documents";
    const FORMAT: u8 = FORMAT_LINKED;
}

/// Documents from before their URLs were kept.
const FORMAT_UNLINKED: u8 = 1;
const FORMAT_LINKED: u8 = 2;

/// Reads a document of any format. Of one from before URLs were kept the next sync says where it is from.
pub(super) fn decode_document(bytes: &[u8]) -> Result<DocumentRecord, StoreError> {
    match bytes.split_first() {
        // bincode writes no names: without a URL the new record is the old one and a zero, which says "none".
        Some((&FORMAT_UNLINKED, body)) => codec::decode(&[&[FORMAT_LINKED], body, &[0]].concat()),
        _ => codec::decode(bytes),
    }
}

impl DocumentRecord {
    pub(super) fn tombstone() -> Self {
        Self {
            removed: true,
            title: String::new(),
            description: None,
            facets: Vec::new(),
            format: Format::Text,
            source_bytes: 0,
            source_modified_ns: 0,
            source_hash: [0; 32],
            body_bytes: 0,
            sections: Vec::new(),
            anchors: Vec::new(),
            url: None,
        }
    }
}

impl DocumentRecord {
    /// The bytes that the section `anchor` and all below it cover.
    pub fn range_of(&self, anchor: &str) -> Option<std::ops::Range<u64>> {
        let first = self.sections.iter().position(|section| section.anchor == anchor).or_else(|| {
            let at = self.anchors.iter().find(|(name, _)| name == anchor)?.1;
            self.sections.iter().position(|section| section.start <= at && at < section.end)
        })?;
        let head = &self.sections[first];
        let inside = |section: &&SectionRecord| section.anchor == head.anchor || section.level > head.level;
        let last = self.sections[first + 1..].iter().take_while(inside).last().unwrap_or(head);
        Some(head.start..last.end)
    }
}

/// A section: `start..end` are bytes of the document's Markdown, and sections tile it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SectionRecord {
    pub trail: Vec<String>,
    pub anchor: String,
    pub level: u8,
    pub start: u64,
    pub end: u64,
}

/// Among what the store knows of itself: the commit that a library's folder stood at.
pub(super) fn revision_key(library: &str) -> String {
    format!("library/revision/{library}")
}

/// `library, 0`: all documents of a library begin with it.
pub(super) fn library_prefix(library: &str) -> Vec<u8> {
    [library.as_bytes(), &[0]].concat()
}

/// `library, 0, path, 0`: all generations of a document begin with it.
pub(super) fn path_prefix(library: &str, path: &str) -> Vec<u8> {
    [library.as_bytes(), &[0], path.as_bytes(), &[0]].concat()
}

pub(super) fn document_key(library: &str, path: &str, generation: u64) -> Vec<u8> {
    let mut key = path_prefix(library, path);
    key.extend(generation.to_be_bytes());
    key
}

pub(super) fn body_key(document_key: &[u8], chunk: u32) -> Vec<u8> {
    [document_key, &chunk.to_be_bytes()].concat()
}

/// The path and generation in a document's key.
pub(super) fn parse_document_key(key: &[u8]) -> Option<(&str, &str, u64)> {
    let (head, generation) = key.split_last_chunk::<8>()?;
    let (library, path) = head.strip_suffix(&[0])?.split_at(head.iter().position(|byte| *byte == 0)?);
    let path = path.strip_prefix(&[0])?;
    Some((std::str::from_utf8(library).ok()?, std::str::from_utf8(path).ok()?, u64::from_be_bytes(*generation)))
}

/// A library's name: it stands in URIs, keys and commands.
pub fn is_library_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= bound::LIBRARY_NAME_BYTES_MAX
        && bytes.iter().all(|byte| good(*byte))
        && edge(bytes.first())
        && edge(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_key_parses_back() {
        for (library, path, generation) in [("a", "b", 0), ("lib", "guides/カメラ.md", u64::MAX), ("x.y", "0", 256)]
        {
            assert_eq!(parse_document_key(&document_key(library, path, generation)), Some((library, path, generation)));
        }
        assert_eq!(parse_document_key(b"short"), None);
    }

    #[test]
    fn a_library_from_before_classifications_is_internal() {
        let old = UnclassifiedRecord {
            name: "a".into(),
            source: Source::Builtin,
            added: Timestamp(1),
            generation: 2,
            synced: Some(Timestamp(3)),
            documents: 4,
            sections: 5,
            bytes: 6,
        };
        let read = decode_library(&codec::encode(&old).unwrap()).unwrap();
        assert_eq!((read.classification, read.bytes, read.name.as_str()), (Classification::Internal, 6, "a"));
        let secret = LibraryRecord { classification: Classification::Restricted, ..read };
        assert_eq!(decode_library(&codec::encode(&secret).unwrap()).unwrap(), secret);
    }

    #[test]
    fn a_library_from_before_profiles_has_none() {
        let library = UnclassifiedRecord {
            name: "a".into(),
            source: Source::Folder { root: "/r".into(), include: vec!["*.md".into()], exclude: Vec::new() },
            added: Timestamp(1),
            generation: 2,
            synced: None,
            documents: 4,
            sections: 5,
            bytes: 6,
        };
        let old = ClassifiedRecord { library, classification: Classification::Confidential };
        let read = decode_library(&codec::encode(&old).unwrap()).unwrap();
        assert_eq!((read.classification, read.profile.as_deref(), read.bytes), (Classification::Confidential, None, 6));
        let bound = LibraryRecord { profile: Some("tea".into()), shaped: Some([7; 32]), ..read };
        assert_eq!(decode_library(&codec::encode(&bound).unwrap()).unwrap(), bound);
    }

    #[test]
    fn a_document_from_before_urls_were_kept_has_none() {
        let known = DocumentRecord {
            title: "a".into(),
            facets: vec![("format".into(), "html".into())],
            anchors: vec![("b".into(), 7)],
            ..DocumentRecord::tombstone()
        };
        // As format 1 was: the same fields in the same order, without the last.
        let linked = codec::encode(&known).unwrap();
        let (zero, fields) = linked[1..].split_last().unwrap();
        assert_eq!(*zero, 0);
        let old = [&[FORMAT_UNLINKED], fields].concat();
        assert_eq!(decode_document(&old).unwrap(), known);
        let linked = DocumentRecord { url: Some("https://docs.example/a".into()), ..known };
        assert_eq!(decode_document(&codec::encode(&linked).unwrap()).unwrap(), linked);
        assert!(decode_document(&old[..old.len() - 1]).is_err());
    }

    #[test]
    fn library_names_are_plain() {
        for good in ["a", "expo", "react-ja", "sdk_52.1"] {
            assert!(is_library_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "..", "日本", &"a".repeat(65)] {
            assert!(!is_library_name(bad), "{bad}");
        }
    }
}
