//! A document in a bundle: a line that says what it is, and its Markdown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BundleError;
use crate::base::bound;
use crate::crypto::digest::{Hash, Hex, sha256};
use crate::library::parse::{Format, Parsed, Section};
use crate::library::passage::document_of;
use crate::library::record::{DocumentRecord, SectionRecord};
use crate::library::source::Found;
use crate::library::web;

/// What is said of a document; JSON in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) path: String,
    pub(super) format: Format,
    pub(super) title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// Without the one that its format gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) facets: BTreeMap<String, Vec<String>>,
    /// Of the file that it was made from.
    pub(super) source_bytes: u64,
    pub(super) source_sha256: Hex,
    /// Of the Markdown that follows.
    pub(super) bytes: u64,
    pub(super) sha256: Hex,
    /// They tile the Markdown.
    pub(super) sections: Vec<Part>,
    /// Anchors that share another heading's section, with the byte where they stand.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) anchors: BTreeMap<String, u64>,
    /// Where it was fetched from, if it is of a web site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
}

/// A section, from where the one before it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// The byte after its last one.
    pub(super) end: u64,
    pub(super) level: u8,
    pub(super) anchor: String,
    pub(super) trail: Vec<String>,
}

/// A document of a bundle that was checked.
pub(super) struct Entry {
    pub(super) found: Found,
    /// Of the source.
    hash: Hash,
    url: Option<String>,
    pub(super) parsed: Parsed,
}

impl Entry {
    /// As it is stored, without what a profile adds.
    pub(super) fn record(&self) -> DocumentRecord {
        DocumentRecord { url: self.url.clone(), ..document_of(&self.found, self.hash, &self.parsed) }
    }
}

impl Head {
    /// What is said of a document that is stored.
    pub(super) fn of(path: &str, record: &DocumentRecord, markdown: &str) -> Self {
        let mut facets: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in record.facets.iter().filter(|(name, _)| name != "format") {
            facets.entry(name.clone()).or_default().push(value.clone());
        }
        let part = |section: &SectionRecord| Part {
            end: section.end,
            level: section.level,
            anchor: section.anchor.clone(),
            trail: section.trail.clone(),
        };
        Self {
            path: path.to_owned(),
            format: record.format,
            title: record.title.clone(),
            description: record.description.clone(),
            facets,
            source_bytes: record.source_bytes,
            source_sha256: Hex(record.source_hash),
            bytes: markdown.len() as u64,
            sha256: Hex(sha256(&[markdown.as_bytes()])),
            sections: record.sections.iter().map(part).collect(),
            anchors: record.anchors.iter().cloned().collect(),
            url: record.url.clone(),
        }
    }

    /// The document, if it can be one: whoever signed a bundle is trusted not to lie about documents, and not trusted to
    /// have a program without faults.
    pub(super) fn checked(self, markdown: Vec<u8>) -> Result<Entry, BundleError> {
        let path = self.path.clone();
        let wrong = |reason: &str| BundleError::Document { path: path.clone(), reason: reason.to_owned() };
        if !is_path(&path) {
            return Err(wrong("its path is no name below a folder"));
        }
        if self.url.as_deref().is_some_and(|url| !web::is_address(url)) {
            return Err(wrong("its URL is none of a web page"));
        }
        if sha256(&[&markdown]) != self.sha256.0 {
            return Err(wrong("its text is not the one that was signed; fetch the bundle again"));
        }
        let markdown = String::from_utf8(markdown).map_err(|_| wrong("its text is not UTF-8"))?;
        let mut start = 0;
        let mut sections = Vec::with_capacity(self.sections.len());
        for Part { end, level, anchor, trail } in self.sections {
            let end = usize::try_from(end).map_err(|_| wrong("a section ends nowhere"))?;
            sections.push(Section { trail, anchor, level, range: start..end });
            start = end;
        }
        let at = |(anchor, at): (String, u64)| usize::try_from(at).ok().map(|at| (anchor, at));
        let anchors: Option<BTreeMap<String, usize>> = self.anchors.into_iter().map(at).collect();
        let parsed = Parsed {
            title: self.title,
            description: self.description,
            facets: self.facets,
            front_matter: serde_json::Map::new(),
            markdown,
            sections,
            anchors: anchors.ok_or_else(|| wrong("an anchor stands nowhere"))?,
            warnings: Vec::new(),
        };
        if !parsed.is_sound() {
            return Err(wrong("title, sections, anchors or facets do not fit its text"));
        }
        let found = Found { path: self.path, format: self.format, bytes: self.source_bytes, modified_ns: 0 };
        Ok(Entry { found, hash: self.source_sha256.0, url: self.url, parsed })
    }
}

/// Whether this names a document below a library, and leads nowhere else, whatever a system takes for a separator. It is
/// never a path of a file here; but an address that agents and people are shown should not look like one either.
pub(super) fn is_path(path: &str) -> bool {
    let leads_out = |part: &str| matches!(part, "." | "..");
    !path.is_empty()
        && path.len() <= bound::DOCUMENT_PATH_BYTES_MAX
        && !path.contains(char::is_control)
        && path.split('/').all(|part| !part.is_empty())
        && !path.split(['/', '\\']).any(leads_out)
}
