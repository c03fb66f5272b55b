//! From the bytes of one file to a document: title, facets, a Markdown body and the sections that tile it. Pure.

mod allowance;
mod api;
mod api_schema;
mod asciidoc;
mod asciidoc_inline;
mod decode;
mod docx;
mod docx_part;
mod form;
mod front;
mod html;
mod html_element;
mod html_token;
mod html_write;
mod jsx;
pub(in crate::library) mod links;
mod markdown;
mod mdx;
mod mdx_scan;
mod notebook;
mod pdf;
mod restructured;
mod restructured_inline;
mod restructured_line;
mod split;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::bound::{
    DOCUMENT_BYTES_MAX, DOCUMENT_FACETS_MAX, DOCUMENT_SECTIONS_MAX, DOCUMENT_WARNINGS_MAX, FACET_VALUE_BYTES_MAX,
    FACET_VALUES_MAX, HEADING_BYTES_MAX,
};

/// How a document file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Markdown,
    Mdx,
    Html,
    Text,
    Restructured,
    AsciiDoc,
    Notebook,
    Pdf,
    Docx,
    /// An OpenAPI document: a page about it, and one for each operation.
    OpenApi,
}

/// A document as it is stored, searched and served.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Parsed {
    /// Never empty: the front matter's title, else the first H1, else `<title>`, else the file name made readable.
    pub title: String,
    pub description: Option<String>,
    /// Front matter values that can serve as facets, without title and description.
    pub facets: BTreeMap<String, Vec<String>>,
    pub front_matter: Map<String, Value>,
    /// The body as Markdown, with `\n` line endings. Apart where the rest is JSON: it is large.
    #[serde(skip)]
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    #[error("expected {expected}, found {found}")]
    Form { expected: &'static str, found: String },
    /// An OpenAPI document that gives nothing, in its reader's words.
    #[error("{0}")]
    Api(String),
}

/// A document that a file became. Most become one; `suffix` tells the others apart, and is empty for the first.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    pub suffix: String,
    pub parsed: Parsed,
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
    /// By extension, whatever its case; some names say more than their extension.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Format> {
        let name = file_name(path).to_ascii_lowercase();
        let (stem, extension) = name.rsplit_once('.')?;
        if stem.is_empty() {
            return None;
        }
        match extension {
            // https://llmstxt.org: Markdown, whatever it is called.
            "txt" if stem == "llms" || stem.starts_with("llms-") => Some(Format::Markdown),
            "json" | "yaml" | "yml" => is_api(stem).then_some(Format::OpenApi),
            "adoc" | "asciidoc" => Some(Format::AsciiDoc),
            "ipynb" => Some(Format::Notebook),
            "pdf" => Some(Format::Pdf),
            "docx" => Some(Format::Docx),
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
            Format::AsciiDoc => "ascii_doc",
            Format::Notebook => "notebook",
            Format::Pdf => "pdf",
            Format::Docx => "docx",
            Format::OpenApi => "open_api",
        }
    }

    /// Whether its bytes go through readers of others, for formats that were made for machines: these are read in a
    /// process of their own.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        matches!(self, Format::Pdf | Format::Docx | Format::OpenApi)
    }

    /// Whether a file of it may become several documents.
    #[must_use]
    pub fn is_many(self) -> bool {
        self == Format::OpenApi
    }
}

/// How files of APIs are called.
fn is_api(stem: &str) -> bool {
    ["openapi", "swagger"].iter().any(|name| {
        stem.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(['.', '-', '_']))
    })
}

/// Reads one file into its documents: at least one, the first without a suffix. `path` serves only for the title of last
/// resort: nothing is opened.
///
/// # Errors
/// When the bytes are not of the format, or a bound of `base/bound.rs` is passed.
pub fn pages(path: &str, format: Format, bytes: &[u8]) -> Result<Vec<Page>, ParseError> {
    if !format.is_many() {
        return Ok(vec![Page { suffix: String::new(), parsed: parse(path, format, bytes)? }]);
    }
    let drafts = api::read(bytes)?;
    drafts.into_iter().map(|(suffix, draft)| Ok(Page { suffix, parsed: finish(path, format, draft)? })).collect()
}

/// Reads one file into one document: of those of a format with many, the first.
///
/// # Errors
/// When the bytes are no text, or a bound of `base/bound.rs` is passed. A broken front matter is a warning.
pub fn parse(path: &str, format: Format, bytes: &[u8]) -> Result<Parsed, ParseError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(ParseError::TooLarge { found: bytes.len(), max: DOCUMENT_BYTES_MAX });
    }
    let text = || decode::decode(bytes);
    let draft = match format {
        Format::Markdown => markdown::read(&text()?, markdown::Dialect::Sniff),
        Format::Mdx => markdown::read(&text()?, markdown::Dialect::Mdx),
        Format::Html => html::read(&text()?)?,
        Format::Text => text::read(text()?),
        Format::Restructured => restructured::read(&text()?)?,
        Format::AsciiDoc => asciidoc::read(&text()?)?,
        Format::Notebook => notebook::read(&text()?)?,
        Format::Pdf => pdf::read(bytes)?,
        Format::Docx => docx::read(bytes)?,
        Format::OpenApi => api::read(bytes)?.into_iter().map(|(_, draft)| draft).next().unwrap_or_default(),
    };
    finish(path, format, draft)
}

fn finish(path: &str, format: Format, mut draft: Draft) -> Result<Parsed, ParseError> {
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

impl Parsed {
    /// Whether this can be what [`parse`] gives. It is asked of what another process says: nothing that is cut by these
    /// ranges later may be cut in the middle of a character.
    pub fn is_sound(&self) -> bool {
        let mut at = 0;
        for section in &self.sections {
            let is_next = section.range.start == at && (section.range.end > at || self.markdown.is_empty());
            let is_bounded = section.trail.len() <= 6 && section.level <= 6;
            if !is_next || !is_bounded || !self.markdown.is_char_boundary(section.range.end) {
                return false;
            }
            at = section.range.end;
        }
        at == self.markdown.len()
            && self.sections.len() <= DOCUMENT_SECTIONS_MAX
            && self.warnings.len() <= DOCUMENT_WARNINGS_MAX
            && (1..=HEADING_BYTES_MAX).contains(&self.title.len())
            && !self.title.contains(char::is_control)
            && self.anchors.values().all(|place| self.markdown.is_char_boundary(*place))
            && self.facets.len() <= DOCUMENT_FACETS_MAX
            && self.facets.values().all(|values| {
                values.len() <= FACET_VALUES_MAX && values.iter().all(|value| value.len() <= FACET_VALUE_BYTES_MAX)
            })
    }
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
