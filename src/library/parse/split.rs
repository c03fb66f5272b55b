//! Cuts a Markdown body into sections by its headings, and long sections again at block boundaries.
//!
//! A heading without a body of its own joins what follows (the child, or the next sibling): alone it would be a search
//! hit with nothing to read, and its words are in the text of the section, and in the child's trail, anyway. At the end
//! of a document it joins what precedes. Its anchor stays known in `Outline::anchors`.

mod mark;

use std::collections::BTreeMap;

use self::mark::{Marks, check_nesting};
use crate::base::bound::{DOCUMENT_SECTIONS_MAX, SECTION_BYTES_MAX};
use crate::library::parse::{ParseError, Section};

/// The sections of a document, and what else its headings tell.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) sections: Vec<Section>,
    pub(super) anchors: BTreeMap<String, usize>,
    pub(super) first_h1: Option<String>,
}

/// Sections of Markdown. `ids` are the author's ids, in order, each by an offset inside the heading it belongs to.
pub(super) fn markdown(body: &str, ids: &[(usize, String)]) -> Result<Outline, ParseError> {
    check_nesting(body)?;
    let marks = Marks::of_markdown(body)?;
    let first_h1 = marks.headings.iter().find(|it| it.level == 1).map(|it| it.text.clone());
    let mut anchors = Anchors::default();
    let mut ids = ids.iter().peekable();
    let mut trail: Vec<(u8, String)> = Vec::new();
    let mut parts = vec![Part::preamble(marks.headings.first().map_or(body.len(), |it| it.range.start))];
    for (n, heading) in marks.headings.iter().enumerate() {
        let end = marks.headings.get(n + 1).map_or(body.len(), |it| it.range.start);
        while ids.next_if(|(at, _)| *at < heading.range.start).is_some() {}
        let given = ids.next_if(|(at, _)| *at < heading.range.end).map(|(_, id)| id.as_str());
        let anchor = anchors.add(given.or(heading.id.as_deref()), &heading.text, heading.range.start);
        trail.retain(|(level, _)| *level < heading.level);
        trail.push((heading.level, heading.text.clone()));
        parts.push(Part {
            section: Section {
                trail: trail.iter().map(|(_, text)| text.clone()).collect(),
                anchor,
                level: heading.level,
                range: heading.range.start..end,
            },
            has_body: body.get(heading.range.end..end).is_some_and(has_words),
        });
    }
    if let Some(preamble) = parts.first_mut() {
        preamble.has_body = body.get(preamble.section.range.clone()).is_some_and(has_words);
    }
    let sections = cut_all(body, join(parts), &marks)?;
    Ok(Outline { sections, anchors: anchors.places, first_h1 })
}

/// Sections of plain text: no headings, cut at blank lines where it is long.
pub(super) fn plain(body: &str) -> Result<Outline, ParseError> {
    let whole = Part::preamble(body.len()).section;
    let sections = cut_all(body, vec![whole], &Marks::of_plain(body))?;
    Ok(Outline { sections, anchors: BTreeMap::new(), first_h1: None })
}

/// Whether Markdown takes the text at an offset for code.
pub(super) fn is_indented_code(body: &str, at: usize) -> bool {
    check_nesting(body).is_err() || mark::is_code(body, at)
}

/// A section to be, before headings without a body are joined to their neighbours.
struct Part {
    section: Section,
    has_body: bool,
}

impl Part {
    fn preamble(end: usize) -> Part {
        let section = Section { trail: Vec::new(), anchor: String::new(), level: 0, range: 0..end };
        Part { section, has_body: false }
    }
}

/// Whether there is anything to read: rules, and fences that a generator left empty, say nothing.
fn has_words(text: &str) -> bool {
    let is_fence = |it: &str| it.starts_with("```") || it.starts_with("~~~");
    text.lines()
        .map(str::trim)
        .any(|it| !is_fence(it) && it.contains(|c: char| !c.is_whitespace() && !matches!(c, '-' | '*' | '_' | '>')))
}

fn join(parts: Vec<Part>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut waiting: Option<Section> = None;
    for Part { mut section, has_body } in parts {
        let first = waiting.take();
        if let Some(first) = &first {
            section.range.start = first.range.start;
        }
        if has_body {
            sections.push(section);
            continue;
        }
        // Of headings that nothing follows, the first one names the section, should it stand alone.
        waiting = Some(match first {
            Some(first) if first.level > 0 => Section { range: section.range, ..first },
            _ => section,
        });
    }
    match (waiting, sections.last_mut()) {
        (Some(rest), Some(last)) => last.range.end = rest.range.end,
        (Some(rest), None) => sections.push(rest),
        (None, _) => {}
    }
    sections
}

fn cut_all(body: &str, sections: Vec<Section>, marks: &Marks) -> Result<Vec<Section>, ParseError> {
    let mut pieces = Vec::with_capacity(sections.len());
    for section in sections {
        let mut start = section.range.start;
        while section.range.end - start > SECTION_BYTES_MAX {
            let end = marks.cut(body, start, section.range.end);
            pieces.push(Section { range: start..end, ..section.clone() });
            start = end;
            if pieces.len() > DOCUMENT_SECTIONS_MAX {
                return Err(ParseError::TooManySections);
            }
        }
        if start < section.range.end || body.is_empty() {
            pieces.push(Section { range: start..section.range.end, ..section });
        }
    }
    if pieces.len() > DOCUMENT_SECTIONS_MAX { Err(ParseError::TooManySections) } else { Ok(pieces) }
}

/// The anchors of a document, each made unique.
#[derive(Default)]
struct Anchors {
    places: BTreeMap<String, usize>,
    /// The last suffix tried for each slug, so that ten thousand equal headings are not quadratic.
    suffixes: BTreeMap<String, usize>,
}

impl Anchors {
    fn add(&mut self, given: Option<&str>, text: &str, at: usize) -> String {
        let base = given.map_or_else(|| slug(text), str::to_owned);
        let mut anchor = base.clone();
        let suffix = self.suffixes.entry(base.clone()).or_default();
        while self.places.contains_key(&anchor) {
            *suffix += 1;
            anchor = format!("{base}-{suffix}");
        }
        self.places.insert(anchor.clone(), at);
        anchor
    }
}

/// As GitHub does it: lower case, letters, digits, marks, `-` and `_` stay, a space becomes `-`.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars() {
        if c == ' ' {
            slug.push('-');
        } else if c.is_alphanumeric() || matches!(c, '-' | '_') || unicode_normalization::char::is_combining_mark(c) {
            slug.extend(c.to_lowercase());
        }
    }
    if slug.is_empty() { "section".to_owned() } else { slug }
}

#[cfg(test)]
mod tests;
