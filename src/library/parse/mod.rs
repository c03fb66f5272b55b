//! From the bytes of one file to a document: title, facets, a Markdown body and the sections that tile it. Pure.

mod decode;
mod form;
mod front;
mod html;
mod html_element;
mod html_token;
mod html_write;
mod jsx;
mod markdown;
mod mdx;
mod mdx_scan;
mod restructured;
mod restructured_inline;
mod restructured_line;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::bound::{DOCUMENT_SECTIONS_MAX, DOCUMENT_WARNINGS_MAX, HEADING_BYTES_MAX};
use crate::library::split;

/// How a document file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Markdown,
    Mdx,
    Html,
    Text,
    Restructured,
}

/// A document as it is stored, searched and served.
#[derive(Clone, PartialEq, Debug)]
pub struct Parsed {
    /// Never empty: the front matter's title, else the first H1, else `<title>`, else the file name made readable.
    pub title: String,
    pub description: Option<String>,
    /// Front matter values that can serve as facets, without title and description.
    pub facets: BTreeMap<String, Vec<String>>,
    pub front_matter: Map<String, Value>,
    /// The body as Markdown, with `\n` line endings.
    pub markdown: String,
    /// They tile `markdown`: none is missing, none overlaps, none is empty.
    pub sections: Vec<Section>,
    /// Where each heading of the document starts in `markdown`. A superset of the sections' anchors, because a heading
    /// without a body shares the section of what follows, and a link to it must still lead somewhere.
    pub anchors: BTreeMap<String, usize>,
    /// What was found wrong and was worked around, for the operator who added the source.
    pub warnings: Vec<String>,
}

/// A piece of a document that is found and read as one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Headings from the top down to this one, as plain text; empty before the first heading.
    pub trail: Vec<String>,
    /// The GitHub-style slug or the author's own id; empty before the first heading.
    pub anchor: String,
    /// 1 to 6; 0 before the first heading.
    pub level: u8,
    /// Bytes of `markdown`.
    pub range: Range<usize>,
}

/// Why a file cannot become a document.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    #[error("expected a file of at most {max} bytes, found {found}; split it or leave it out of the source")]
    TooLarge { found: usize, max: usize },
    #[error("expected a file that becomes at most {max} bytes of Markdown, found more; flatten its nested lists")]
    Swells { max: usize },
    #[error("expected text, found a NUL byte at offset {offset}; leave binary files out of the source")]
    Binary { offset: usize },
    #[error("expected {encoding}, found an invalid sequence at byte {offset}; save the file as UTF-8")]
    Encoding { encoding: &'static str, offset: usize },
    #[error("expected at most {} sections, found more; split the document into several files", DOCUMENT_SECTIONS_MAX)]
    TooManySections,
    #[error(
        "expected block quotes and lists nested at most {max} deep, found {found} on line {line}; flatten that line, or name the file .txt if it is not Markdown"
    )]
    TooDeep { found: usize, max: usize, line: usize },
}

/// What a format's own reader hands over; sections and the choice of the title are the same for all.
#[derive(Default, Debug)]
struct Draft {
    markdown: String,
    /// Ids the author gave, by an offset inside the heading they belong to, in order.
    ids: Vec<(usize, String)>,
    title: Option<String>,
    /// Asked after the first H1.
    title_fallback: Option<String>,
    description: Option<String>,
    facets: BTreeMap<String, Vec<String>>,
    front_matter: Map<String, Value>,
    warnings: Vec<String>,
}

impl Format {
    /// By extension, whatever its case.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Format> {
        let (stem, extension) = file_name(path).rsplit_once('.')?;
        if stem.is_empty() {
            return None;
        }
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" | "mdown" => Some(Format::Markdown),
            "mdx" => Some(Format::Mdx),
            "html" | "htm" | "xhtml" => Some(Format::Html),
            "txt" | "text" => Some(Format::Text),
            "rst" | "rest" => Some(Format::Restructured),
            _ => None,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Markdown => "markdown",
            Format::Mdx => "mdx",
            Format::Html => "html",
            Format::Text => "text",
            Format::Restructured => "restructured",
        }
    }
}

/// Reads one file. `path` serves only for the title of last resort: nothing is opened.
///
/// # Errors
/// When the bytes are no text, or a bound of `base/bound.rs` is passed. A broken front matter is a warning.
pub fn parse(path: &str, format: Format, bytes: &[u8]) -> Result<Parsed, ParseError> {
    let source = decode::decode(bytes)?;
    let mut draft = match format {
        Format::Markdown => markdown::read(&source, markdown::Dialect::Sniff),
        Format::Mdx => markdown::read(&source, markdown::Dialect::Mdx),
        Format::Html => html::read(&source)?,
        Format::Text => text::read(source),
        Format::Restructured => restructured::read(&source)?,
    };
    let outline = if format == Format::Text {
        split::plain(&draft.markdown)?
    } else {
        split::markdown(&draft.markdown, &draft.ids)?
    };
    let title = [draft.title, outline.first_h1, draft.title_fallback]
        .into_iter()
        .flatten()
        .map(|it| one_line(&it))
        .find(|it| !it.is_empty())
        .unwrap_or_else(|| title_of_path(path));
    draft.warnings.truncate(DOCUMENT_WARNINGS_MAX);
    Ok(Parsed {
        title,
        description: draft.description,
        facets: draft.facets,
        front_matter: draft.front_matter,
        markdown: draft.markdown,
        sections: outline.sections,
        anchors: outline.anchors,
        warnings: draft.warnings,
    })
}

/// White space folded to single spaces, bounded as a heading is.
pub(in crate::library) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > HEADING_BYTES_MAX {
            line.truncate(line.floor_char_boundary(HEADING_BYTES_MAX));
            break;
        }
    }
    line
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// `guides/getting-started.md` is "Getting started"; an index file is named by its folder.
fn title_of_path(path: &str) -> String {
    let mut parts = path.rsplit(['/', '\\']).filter(|it| !it.is_empty());
    let name = parts.next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
    let is_index = ["index", "readme"].iter().any(|it| stem.eq_ignore_ascii_case(it));
    let words = if is_index { parts.next().unwrap_or(stem) } else { stem };
    let words = one_line(&words.replace(['-', '_'], " "));
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => "Untitled".to_owned(),
    }
}
