//! From what was parsed to what is stored of a document, and what of it is indexed.

use super::parse::{self, Format, Parsed};
use super::record::{DocumentRecord, SectionRecord};
use super::source::Found;
use crate::crypto::digest::Hash;
use crate::search::Passage;

pub(super) fn document_of(file: &Found, hash: Hash, parsed: &Parsed) -> DocumentRecord {
    let format_facet = [("format".to_owned(), file.format.name().to_owned())];
    let facets =
        parsed.facets.iter().flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())));
    let section = |section: &parse::Section| SectionRecord {
        trail: section.trail.clone(),
        anchor: section.anchor.clone(),
        level: section.level,
        start: section.range.start as u64,
        end: section.range.end as u64,
    };
    let own = |(anchor, _): &(&String, &usize)| !parsed.sections.iter().any(|section| section.anchor == **anchor);
    DocumentRecord {
        removed: false,
        title: parsed.title.clone(),
        description: parsed.description.clone(),
        facets: format_facet.into_iter().chain(facets.filter(|(name, _)| name != "format")).collect(),
        format: file.format,
        source_bytes: file.bytes,
        source_modified_ns: file.modified_ns,
        source_hash: hash,
        body_bytes: parsed.markdown.len() as u64,
        sections: parsed.sections.iter().map(section).collect(),
        anchors: parsed.anchors.iter().filter(own).map(|(anchor, at)| (anchor.clone(), *at as u64)).collect(),
        url: None,
    }
}

/// What the index gets: each section's text, the description with the first.
pub(super) fn passages(document: &DocumentRecord, markdown: &str) -> Vec<Passage> {
    let text = |section: &SectionRecord| {
        let range =
            usize::try_from(section.start).unwrap_or(usize::MAX)..usize::try_from(section.end).unwrap_or(usize::MAX);
        markdown.get(range).unwrap_or_default()
    };
    let described = document.description.as_deref().filter(|_| document.format != Format::Text);
    (0..)
        .zip(&document.sections)
        .map(|(ordinal, section)| Passage {
            ordinal,
            title: document.title.clone(),
            trail: section.trail.clone(),
            anchor: section.anchor.clone(),
            text: match described.filter(|_| ordinal == 0) {
                Some(description) => format!("{description}\n\n{}", text(section)),
                None => text(section).to_owned(),
            },
        })
        .collect()
}
