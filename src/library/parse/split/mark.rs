//! Where a body may be cut: its headings, blocks and code, as the Markdown parser sees them.

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::base::bound::{
    DOCUMENT_SECTIONS_MAX, FENCE_BYTES_MAX, HEADING_BYTES_MAX, MARKDOWN_NESTING_MAX, SECTION_BYTES_MAX,
};
use crate::library::parse::{ParseError, one_line};

pub(super) struct Heading {
    /// From the start of its first line to the end of its last.
    pub(super) range: Range<usize>,
    pub(super) level: u8,
    pub(super) text: String,
    pub(super) id: Option<String>,
}

/// Whether a code block holds the text at an offset.
pub(super) fn is_code(body: &str, at: usize) -> bool {
    Parser::new_ext(body, Options::ENABLE_TABLES)
        .into_offset_iter()
        .any(|(event, range)| matches!(event, Event::Start(Tag::CodeBlock(_))) && range.contains(&at))
}

/// How good a place is for a cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rank {
    /// Between two blocks of the document.
    Block,
    /// Between items, rows, or blocks inside a quote or list.
    Inner,
}

/// What the Markdown parser says about a body, once, for all cuts.
pub(super) struct Marks {
    pub(super) headings: Vec<Heading>,
    /// Starts of lines, ascending.
    cuts: Vec<(usize, Rank)>,
    /// Code blocks, ascending, disjoint.
    code: Vec<Range<usize>>,
}

impl Marks {
    pub(super) fn of_markdown(body: &str) -> Result<Marks, ParseError> {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS;
        let mut marks = Marks { headings: Vec::new(), cuts: Vec::new(), code: Vec::new() };
        let mut open: Option<Heading> = None;
        let mut depth = 0_usize;
        for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
            if let Event::Start(tag) = &event {
                // Only for blocks: they start on lines of their own, while inline markup may share one huge line.
                let is_inner =
                    matches!(tag, Tag::Item | Tag::TableRow | Tag::Paragraph | Tag::CodeBlock(_) | Tag::BlockQuote(_));
                if depth > 0 && !is_inner {
                    depth += 1;
                    continue;
                }
                let start = line_start(body, range.start);
                if let Tag::CodeBlock(_) = tag {
                    marks.code.push(start..line_end(body, range.end));
                }
                marks.cut_here(start, if depth == 0 { Rank::Block } else { Rank::Inner });
                if let (Tag::Heading { level, .. }, 0) = (tag, depth) {
                    let level = level_of(*level);
                    open = Some(Heading { range: start..range.end, level, text: String::new(), id: None });
                }
                depth += 1;
                continue;
            }
            if let Event::End(tag) = &event {
                depth = depth.saturating_sub(1);
                if let (TagEnd::Heading(_), Some(heading)) = (tag, open.take_if(|_| depth == 0)) {
                    marks.heading(heading)?;
                }
                continue;
            }
            if let Some(heading) = &mut open {
                heading.add(&event);
            }
        }
        Ok(marks)
    }

    pub(super) fn of_plain(body: &str) -> Marks {
        let mut marks = Marks { headings: Vec::new(), cuts: Vec::new(), code: Vec::new() };
        let (mut at, mut after_blank) = (0, false);
        for line in body.split_inclusive('\n') {
            let is_blank = line.trim().is_empty();
            if after_blank && !is_blank {
                marks.cut_here(at, Rank::Block);
            }
            after_blank = is_blank;
            at += line.len();
        }
        marks
    }

    fn cut_here(&mut self, at: usize, rank: Rank) {
        if self.cuts.last().is_none_or(|(last, _)| *last < at) {
            self.cuts.push((at, rank));
        }
    }

    /// Takes a finished heading. One without text starts nothing: there is no way to name or find it.
    fn heading(&mut self, mut heading: Heading) -> Result<(), ParseError> {
        heading.text = one_line(&heading.text);
        if let Some((text, id)) = split_id(&heading.text) {
            let kept = text.len();
            heading.id = Some(id.to_owned());
            heading.text.truncate(kept);
        }
        if heading.text.is_empty() {
            return Ok(());
        }
        self.headings.push(heading);
        if self.headings.len() > DOCUMENT_SECTIONS_MAX { Err(ParseError::TooManySections) } else { Ok(()) }
    }

    /// Where the piece from `start` ends: after `start`, before `end`.
    pub(super) fn cut(&self, body: &str, start: usize, end: usize) -> usize {
        // A piece under a quarter of the bound is not worth a cut: better a worse place further on.
        let (floor, limit) = (start + SECTION_BYTES_MAX / 4, start + SECTION_BYTES_MAX);
        let (from, to) = (self.first_cut_at(floor), self.first_cut_at(limit + 1));
        let near = self.cuts.get(from..to).unwrap_or_default();
        for rank in [Rank::Block, Rank::Inner] {
            if let Some((at, _)) = near.iter().rfind(|(_, it)| *it == rank) {
                return *at;
            }
        }
        if let Some(code) = self.code_around(limit) {
            let hard = start + FENCE_BYTES_MAX;
            // Nor is what is left after the code worth a section of its own.
            if end <= hard && end - code.end.min(end) < SECTION_BYTES_MAX / 4 {
                return end;
            }
            if code.end <= hard && code.end < end {
                return code.end.max(body.ceil_char_boundary(limit));
            }
            let before_code = code.start > floor;
            if before_code {
                return code.start;
            }
            return if end <= hard { end } else { last_line_or_char(body, floor, hard) };
        }
        last_line_or_char(body, floor, limit)
    }

    fn first_cut_at(&self, at: usize) -> usize {
        self.cuts.partition_point(|(it, _)| *it < at)
    }

    /// The code block that a cut at `at` would fall into.
    fn code_around(&self, at: usize) -> Option<&Range<usize>> {
        let code = self.code.get(self.code.partition_point(|it| it.end <= at))?;
        (code.start < at).then_some(code)
    }
}

impl Heading {
    /// Inline markup falls away; an `<a id>` inside names the heading.
    fn add(&mut self, event: &Event<'_>) {
        if self.text.len() > 2 * HEADING_BYTES_MAX {
            return;
        }
        match event {
            Event::Text(text) | Event::Code(text) => self.text.push_str(bounded(text)),
            Event::SoftBreak | Event::HardBreak => self.text.push(' '),
            Event::InlineHtml(html) if self.id.is_none() => self.id = id_of_html(html),
            _ => {}
        }
    }
}

fn bounded<'a>(text: &'a CowStr<'_>) -> &'a str {
    text.get(..text.floor_char_boundary(2 * HEADING_BYTES_MAX)).unwrap_or_default()
}

/// `Text {#id}` -> (`Text`, `id`).
fn split_id(text: &str) -> Option<(&str, &str)> {
    let (text, id) = text.strip_suffix('}')?.rsplit_once("{#")?;
    let is_id = !id.is_empty() && !id.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}'));
    is_id.then_some((text.trim_end(), id))
}

/// The id of `<a id="x">` or `<a name="x">`.
fn id_of_html(html: &str) -> Option<String> {
    let rest = html.strip_prefix("<a ")?;
    let (_, value) = rest.split_once("id=").or_else(|| rest.split_once("name="))?;
    let quote = value.chars().next().filter(|it| matches!(it, '"' | '\''))?;
    let id = value.get(1..)?.split(quote).next()?;
    (!id.is_empty() && id.len() <= HEADING_BYTES_MAX && !id.contains(char::is_whitespace)).then(|| id.to_owned())
}

fn level_of(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// The end of the line that a block ends on, with its `\n`.
fn line_end(body: &str, at: usize) -> usize {
    let Some((before, after)) = body.split_at_checked(at).filter(|(it, _)| !it.ends_with('\n')) else {
        return at;
    };
    after.find('\n').map_or(body.len(), |it| before.len() + it + 1)
}

fn line_start(body: &str, at: usize) -> usize {
    body.get(..at).and_then(|it| it.rfind('\n')).map_or(0, |it| it + 1)
}

/// The last start of a line in `floor..=limit`, else the end of a sentence or word, else any character.
fn last_line_or_char(body: &str, floor: usize, limit: usize) -> usize {
    let (floor, limit) = (body.floor_char_boundary(floor), body.floor_char_boundary(limit));
    let window = body.get(floor..limit).unwrap_or_default();
    for ends in [&["\n"][..], &["。", ". ", "！", "？"], &[" ", "、"]] {
        if let Some(at) = ends.iter().filter_map(|it| window.rfind(it).map(|at| at + it.len())).max() {
            return floor + at;
        }
    }
    limit
}

/// Refuses lines that open more quotes and lists than `MARKDOWN_NESTING_MAX`.
pub(super) fn check_nesting(body: &str) -> Result<(), ParseError> {
    for (n, line) in body.lines().enumerate() {
        let found = markers(line);
        if found > MARKDOWN_NESTING_MAX {
            return Err(ParseError::TooDeep { found, max: MARKDOWN_NESTING_MAX, line: n + 1 });
        }
    }
    Ok(())
}

/// Quote and list markers at the start of a line.
fn markers(line: &str) -> usize {
    let mut found = 0;
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(9);
        let after = if let Some(after) = rest.strip_prefix('>') {
            Some(after)
        } else {
            rest.strip_prefix(['-', '*', '+'])
                .or_else(|| rest.get(digits..).filter(|_| digits > 0)?.strip_prefix(['.', ')']))
                .filter(|it| it.starts_with([' ', '\t']))
        };
        match after {
            Some(after) => rest = after,
            None => return found,
        }
        found += 1;
    }
}
