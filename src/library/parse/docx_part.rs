//! The parts of a DOCX file: bounded bytes out of its archive, and what its styles, lists and links mean.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use super::ParseError;
use super::html_token::{Entities, Start, Token, Tokens};
use crate::base::bound::parse as bound;

/// A file that is open. Only the parts that are asked for are unpacked.
pub(super) struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Parts<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { archive })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// A part as text; `None` where there is none of this name.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ParseError> {
        if !self.has(name) {
            return Ok(None);
        }
        let part = self.archive.by_name(name).map_err(|error| wrong(format!("{name}: {error}")))?;
        let mut bytes = Vec::new();
        let most = bound::DOCX_PART_BYTES_MAX;
        part.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| wrong(format!("{name}: {error}")))?;
        if bytes.len() > most {
            return Err(wrong(format!("{name} of more than {most} bytes once it is unpacked; it may be a bomb")));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| wrong(format!("{name} that is no UTF-8")))
    }
}

pub(super) fn wrong(found: String) -> ParseError {
    ParseError::Form { expected: "a DOCX document that can be unpacked", found }
}

/// The value of `w:val`, or of another attribute.
pub(super) fn value(start: &Start<'_>, name: &str) -> Option<String> {
    start.attribute(name).map(|text| Entities::default().decode(text).into_owned())
}

/// What a paragraph style means to a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// 1 to 6.
    pub(super) heading: Option<u8>,
    pub(super) is_code: bool,
    /// Ordered or not, and the level from 0.
    pub(super) list: Option<(bool, usize)>,
}

impl Style {
    /// By its name, which stays English in all languages, unlike its id.
    fn named(name: &str) -> Self {
        let name = name.to_lowercase();
        let level = |prefix: &str| name.strip_prefix(prefix).map(|rest| rest.trim().parse::<u8>().unwrap_or(1));
        let heading = level("heading").filter(|level| (1..=6).contains(level));
        let is_code = ["code", "preformatted", "verbatim", "macro", "source"].iter().any(|word| name.contains(word));
        let list = |prefix, ordered| level(prefix).map(|depth| (ordered, usize::from(depth.clamp(1, 9)) - 1));
        Self {
            heading: heading.or((name == "title").then_some(1)),
            is_code: is_code && heading.is_none(),
            list: list("list bullet", false).or_else(|| list("list number", true)),
        }
    }
}

/// By the id of the style.
pub(super) fn styles(part: &str) -> HashMap<String, Style> {
    let mut styles = HashMap::new();
    let mut open: Option<(String, Style)> = None;
    for token in Tokens::of(part) {
        match token {
            Token::Start(start) if start.name == "w:style" => {
                open = value(&start, "w:styleId").map(|id| (id, Style::default()));
            }
            Token::Start(start) => {
                let Some((_, style)) = &mut open else { continue };
                let val = value(&start, "w:val").unwrap_or_default();
                match start.name.as_str() {
                    "w:name" => {
                        let named = Style::named(&val);
                        *style = Style { heading: named.heading.or(style.heading), ..named };
                    }
                    "w:outlinelvl" => {
                        let level = val.parse().ok().filter(|level| *level < 6).map(|level: u8| level + 1);
                        style.heading = style.heading.or(level);
                    }
                    _ => {}
                }
            }
            Token::End(name) if name == "w:style" && styles.len() < bound::DOCX_STYLES_MAX => {
                styles.extend(open.take());
            }
            _ => {}
        }
    }
    styles
}

/// Whether the items of a list and level are numbered, by list and level.
pub(super) fn numbering(part: &str) -> HashMap<(String, usize), bool> {
    let (mut abstracts, mut numbered) = (HashMap::new(), HashMap::new());
    let (mut outer, mut level, mut number) = (String::new(), 0, None);
    for token in Tokens::of(part) {
        let Token::Start(start) = token else { continue };
        let val = value(&start, "w:val").unwrap_or_default();
        match start.name.as_str() {
            "w:abstractnum" => {
                (outer, number) = (value(&start, "w:abstractNumId").unwrap_or_default(), None);
            }
            "w:lvl" => level = value(&start, "w:ilvl").and_then(|text| text.parse().ok()).unwrap_or(0),
            "w:numfmt" if number.is_none() && abstracts.len() < bound::DOCX_STYLES_MAX => {
                abstracts.insert((outer.clone(), level), !matches!(val.as_str(), "bullet" | "none"));
            }
            "w:num" => number = value(&start, "w:numId"),
            "w:abstractnumid" => {
                let Some(number) = &number else { continue };
                for level in 0..bound::DOCX_LIST_LEVELS_MAX {
                    if let Some(is_ordered) = abstracts.get(&(val.clone(), level))
                        && numbered.len() < bound::DOCX_STYLES_MAX
                    {
                        numbered.insert((number.clone(), level), *is_ordered);
                    }
                }
            }
            _ => {}
        }
    }
    numbered
}

/// Where links lead, by their id.
pub(super) fn links(part: &str) -> HashMap<String, String> {
    let starts = Tokens::of(part).filter_map(|token| match token {
        Token::Start(start) if start.name == "relationship" => Some(start),
        _ => None,
    });
    let web = |start: Start<'_>| {
        let target = value(&start, "Target")?;
        let is_web = target.starts_with("https://") || target.starts_with("http://");
        let is_plain = is_web && target.len() <= 2048 && !target.contains([' ', '(', ')', '<', '>', '\\']);
        Some((value(&start, "Id")?, target)).filter(|_| is_plain)
    };
    starts.filter_map(web).take(bound::DOCX_STYLES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_known_by_name_and_outline_level() {
        let part = r#"<w:styles><w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>
            <w:style w:styleId="x"><w:name w:val="Chapter"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
            <w:style w:styleId="c"><w:name w:val="HTML Preformatted"/></w:style>
            <w:style w:styleId="l"><w:name w:val="List Number 3"/></w:style>
            <w:style w:styleId="n"><w:name w:val="Normal"/></w:style></w:styles>"#;
        let styles = styles(part);
        assert_eq!(styles["berschrift2"].heading, Some(2));
        assert_eq!(styles["x"].heading, Some(1));
        assert!(styles["c"].is_code);
        assert_eq!(styles["l"].list, Some((true, 2)));
        assert_eq!(styles["n"], Style::default());
    }

    #[test]
    fn lists_and_links_are_looked_up() {
        let part = r#"<w:numbering><w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl>
            <w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum>
            <w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num></w:numbering>"#;
        let numbering = numbering(part);
        assert!(!numbering[&("1".to_owned(), 0)]);
        assert!(numbering[&("1".to_owned(), 1)]);
        let part = r#"<Relationships><Relationship Id="r1" Target="https://a.example/x?a=1&amp;b=2"/>
            <Relationship Id="r2" Target="file:///etc/passwd"/></Relationships>"#;
        assert_eq!(links(part), HashMap::from([("r1".to_owned(), "https://a.example/x?a=1&b=2".to_owned())]));
    }
}
