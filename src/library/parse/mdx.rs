//! MDX to Markdown: imports, exports, JSX comments and component tags go, text and code stay.
//!
//! A tag with a text of its own to show keeps it: a `title`, `label` or `summary` becomes a bold line (else a reader of
//! two tabs could not tell which is for iOS), and the commands of a `cmd` become a fence.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::ops::Range;

use super::jsx::{self, Kind, Tag};
use super::mdx_scan::{Chunk, Ticks, chunks};
use crate::base::bound::parse::{JSX_SHOWN_INDENT_BYTES_MAX, JSX_SHOWN_LINES_MAX, JSX_SHOWN_RATIO_MAX};
use crate::base::bound::{HTML_DEPTH_MAX, JSX_WASTE_RATIO_MAX};

/// What is left of an MDX file.
#[derive(Debug, Default)]
pub(super) struct Plain {
    pub(super) markdown: String,
    /// `{/*id*/}` by where it stood.
    pub(super) ids: Vec<(usize, String)>,
    /// Whether there was anything to remove outside of what Markdown takes for indented code.
    pub(super) is_mdx: bool,
    /// Where the first thing to remove stands, if all stand in lines that may be indented code.
    pub(super) indented: Option<usize>,
    pub(super) warning: Option<String>,
}

pub(super) fn strip(source: &str) -> Plain {
    let mut stripper = Stripper {
        budget: Budget {
            closed: names_closed(source),
            waste_left: source.len().saturating_mul(JSX_WASTE_RATIO_MAX).max(1 << 20),
            shown_left: source.len().saturating_mul(JSX_SHOWN_RATIO_MAX),
        },
        out: Plain { markdown: String::with_capacity(source.len()), ..Plain::default() },
        frames: Vec::new(),
        dropped: false,
        at: 0,
    };
    for chunk in chunks(source) {
        match chunk {
            Chunk::Prose(text) => {
                stripper.prose(text);
                stripper.at += text.len();
            }
            Chunk::Fence(lines) => {
                for line in lines.split_inclusive('\n') {
                    stripper.line(line, false);
                }
                stripper.at += lines.len();
            }
        }
    }
    if stripper.budget.waste_left == 0 {
        stripper.out.warning =
            Some("some JSX left in place: expected tags that end, found too many that do not; close them".to_owned());
    }
    stripper.out
}

/// Names with a closing tag somewhere. `<APPLE_TEAM_ID>` is never closed: it is a placeholder, and stays.
fn names_closed(source: &str) -> BTreeSet<&str> {
    let name_of =
        |rest: &'_ str| rest.bytes().take_while(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.')).count();
    source
        .match_indices("</")
        .filter_map(|(at, _)| source.get(at + 2..at + 2 + name_of(source.get(at + 2..)?)))
        .collect()
}

struct Edit {
    range: Range<usize>,
    /// Of its line.
    indent: usize,
    kind: EditKind,
}

enum EditKind {
    Drop,
    Id(String),
    Open(String),
    Close(String),
    Replace(String),
}

/// An open component whose children may be indented by more than Markdown allows for text.
struct Frame {
    name: String,
    indent: usize,
    /// How far the children stand in, once the first is seen.
    extra: Option<usize>,
}

/// What a whole file may cost and show.
struct Budget<'a> {
    closed: BTreeSet<&'a str>,
    waste_left: usize,
    /// Bytes that tags may still show instead of themselves.
    shown_left: usize,
}

impl Budget<'_> {
    fn count<T>(&mut self, found: jsx::Found<T>) -> Option<T> {
        found.map_err(|wasted| self.waste_left = self.waste_left.saturating_sub(wasted)).ok()
    }
}

struct Stripper<'a> {
    budget: Budget<'a>,
    out: Plain,
    frames: Vec<Frame>,
    /// Whether the last line was removed, so that blank lines do not pile up.
    dropped: bool,
    /// Where the chunk at hand starts in the source.
    at: usize,
}

impl Stripper<'_> {
    fn prose(&mut self, text: &str) {
        let mut edits = Edits::of(text, line_starts(text));
        // One ahead and no more: a large file may be nothing but tags.
        let mut ahead = edits.next(&mut self.budget);
        let first = ahead.as_ref().map(|it| self.at + it.range.start);
        let (mut at, mut line_end) = (0, 0);
        while at < text.len() {
            let mut line = String::new();
            // Kept apart from `line.trim()`, which would read a long line again for each of its tags.
            let mut has_text = false;
            let mut touched = false;
            let mut ids = Vec::new();
            loop {
                if line_end <= at {
                    line_end = text.get(at..).and_then(|it| it.find('\n')).map_or(text.len(), |it| at + it + 1);
                }
                let Some(edit) = ahead.take_if(|it| it.range.start < line_end) else {
                    line.push_str(text.get(at..line_end).unwrap_or_default());
                    at = line_end;
                    break;
                };
                ahead = edits.next(&mut self.budget);
                self.out.is_mdx |= edit.indent < 4;
                let before = text.get(at..edit.range.start).unwrap_or_default();
                line.push_str(before);
                has_text |= !before.trim_start().is_empty();
                touched = true;
                at = edit.range.end;
                match edit.kind {
                    EditKind::Id(id) => ids.push(id),
                    EditKind::Replace(text) => {
                        line.push_str(&text);
                        has_text = true;
                    }
                    EditKind::Open(name) if !has_text => self.open(name, line.len()),
                    EditKind::Drop | EditKind::Open(_) => {}
                    EditKind::Close(name) => self.close(&name),
                }
                // A statement takes its line end with it.
                if at >= line_end && text.get(..at).is_some_and(|it| it.ends_with('\n')) {
                    break;
                }
            }
            if touched {
                let trimmed = line.trim_end_matches([' ', '\t', '\n']).len();
                let ends_line = line.ends_with('\n');
                line.truncate(trimmed);
                if ends_line {
                    line.push('\n');
                }
            }
            let offset = self.out.markdown.len();
            self.out.ids.extend(ids.into_iter().map(|id| (offset, id)));
            self.line(&line, touched);
        }
        if !self.out.is_mdx && self.out.indented.is_none() {
            self.out.indented = first;
        }
    }

    /// Writes a line, moved out by what its components had moved it in.
    fn line(&mut self, line: &str, touched: bool) {
        let is_blank = line.trim().is_empty();
        let out = &mut self.out.markdown;
        let has_gap = out.is_empty() || out.ends_with("\n\n");
        if is_blank && (touched || self.dropped) {
            self.dropped = true;
            if !has_gap && line.ends_with('\n') | touched {
                out.push_str(if out.ends_with('\n') { "\n" } else { "\n\n" });
            }
            return;
        }
        if is_blank {
            out.push_str(line);
            return;
        }
        self.dropped = false;
        let indent = indent_of(line);
        if let Some(frame) = self.frames.last_mut().filter(|it| it.extra.is_none()) {
            frame.extra = Some(indent.saturating_sub(frame.indent));
        }
        let dedent = self.frames.iter().filter_map(|it| it.extra).sum::<usize>().min(indent);
        out.push_str(line.get(dedent..).unwrap_or(line));
    }

    fn open(&mut self, name: String, indent: usize) {
        if self.frames.len() < HTML_DEPTH_MAX {
            self.frames.push(Frame { name, indent, extra: None });
        }
    }

    fn close(&mut self, name: &str) {
        if let Some(at) = self.frames.iter().rposition(|it| it.name == name) {
            self.frames.truncate(at);
        }
    }
}

/// What to remove from a text without fences, from its start on, found one by one.
struct Edits<'t, L: Iterator> {
    text: &'t str,
    ticks: Ticks,
    at: usize,
    /// A statement starts a block: after a blank line, or after another one.
    statement_at: usize,
    lines: Peekable<L>,
    line: (usize, usize),
}

impl<'t, L: Iterator<Item = (usize, usize)>> Edits<'t, L> {
    /// `lines` are those of [`line_starts`].
    fn of(text: &'t str, lines: L) -> Self {
        Self { text, ticks: Ticks::of(text), at: 0, statement_at: 0, lines: lines.peekable(), line: (0, 0) }
    }

    fn next(&mut self, budget: &mut Budget<'_>) -> Option<Edit> {
        let text = self.text;
        let bytes = text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let at = self.at;
            while let Some(next) = self.lines.next_if(|(start, _)| *start <= at) {
                self.line = next;
            }
            let line = self.line;
            let indent = line.1 - line.0;
            let rest = text.get(at..).unwrap_or_default();
            let mut next = at + 1;
            let mut found = None;
            match byte {
                b'i' | b'e' if at == self.statement_at && budget.waste_left > 0 => {
                    if let Some(len) = budget.count(jsx::statement(rest)) {
                        next = at + len;
                        self.statement_at = next;
                        found = Some(EditKind::Drop);
                    }
                }
                b'\n' if rest.starts_with("\n\n") => self.statement_at = at + 2,
                b'\n' if at == self.statement_at => self.statement_at = next,
                b'\\' => next += usize::from(bytes.get(next).is_some_and(u8::is_ascii_punctuation)),
                b'`' => {
                    next = self.ticks.after_code(at, rest.bytes().take_while(|it| *it == b'`').count());
                }
                b'{' if rest.starts_with("{/*") && budget.waste_left > 0 => {
                    if let Some((len, inside)) = budget.count(jsx::comment(rest)) {
                        next = at + len;
                        let is_id = !inside.is_empty() && !inside.contains(char::is_whitespace) && inside.len() < 256;
                        found = Some(if is_id { EditKind::Id(inside.to_owned()) } else { EditKind::Drop });
                    }
                }
                b'<' if rest.starts_with("<!--") => {
                    next = rest.find("-->").map_or(text.len(), |it| at + it + 3);
                }
                b'<' if budget.waste_left > 0 => {
                    if let Some(tag) = budget.count(Tag::read(rest)) {
                        // What is never closed and stands in a line, or is all capitals, is a placeholder.
                        let is_tag = tag.kind != Kind::Open
                            || budget.closed.contains(tag.name)
                            || (line.1 == at && is_component(tag.name) && ends_line(text, at + tag.len));
                        if is_tag {
                            next = at + tag.len;
                            let kind = kind_of(text, line, at, &tag, budget.shown_left);
                            if let EditKind::Replace(shown) = &kind {
                                budget.shown_left -= shown.len();
                            }
                            found = Some(kind);
                        }
                    }
                }
                _ => {}
            }
            self.at = next;
            if let Some(kind) = found {
                return Some(Edit { range: at..next, indent, kind });
            }
        }
        None
    }
}

/// What becomes of a tag: mostly nothing, a line of text where it has one to show, of at most `shown_max` bytes, and
/// stands alone.
fn kind_of(
    text: &str,
    (line_start, text_start): (usize, usize),
    at: usize,
    tag: &Tag<'_>,
    shown_max: usize,
) -> EditKind {
    if tag.kind == Kind::Close {
        return EditKind::Close(tag.name.to_owned());
    }
    let is_alone = text_start == at && ends_line(text, at + tag.len);
    let indent = text.get(line_start..at).unwrap_or_default();
    if is_alone && let Some(shown) = shown(tag, indent).filter(|it| it.len() <= shown_max) {
        return EditKind::Replace(shown);
    }
    match tag.kind {
        Kind::Open => EditKind::Open(tag.name.to_owned()),
        Kind::Close | Kind::Alone => EditKind::Drop,
    }
}

fn is_component(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_lowercase())
}

fn ends_line(text: &str, at: usize) -> bool {
    let rest = text.get(at..).and_then(|it| it.split('\n').next());
    rest.is_none_or(|it| it.trim().is_empty())
}

/// The text that a component shows by its attributes.
fn shown(tag: &Tag<'_>, indent: &str) -> Option<String> {
    if let Some(expression) = tag.attribute("cmd") {
        let commands = jsx::strings(expression);
        if !commands.is_empty() {
            let lines: Vec<&str> = commands.iter().flat_map(|it| it.lines()).take(JSX_SHOWN_LINES_MAX + 1).collect();
            // The indent is repeated on each line: together they are what a short tag could make a long text by.
            if indent.len() > JSX_SHOWN_INDENT_BYTES_MAX || lines.len() > JSX_SHOWN_LINES_MAX {
                return None;
            }
            let fence = super::form::fence_for(&commands.join("\n"));
            return Some(format!("{fence}sh\n{indent}{}\n{indent}{fence}", lines.join(&format!("\n{indent}"))));
        }
    }
    let label = ["title", "label", "summary"].iter().find_map(|name| tag.attribute(name))?;
    let label = super::one_line(label.trim_matches(['"', '\'', '`']));
    let is_words = label.contains(char::is_alphabetic) && !label.contains(['<', '{', '*']);
    if !is_words {
        return None;
    }
    let href = tag.attribute("href").or_else(|| tag.attribute("path")).filter(|it| !it.contains(['{', ' ', '(', ')']));
    let label = href.map_or_else(|| label.clone(), |href| format!("[{label}]({href})"));
    let more =
        tag.attribute("description").map(super::one_line).filter(|it| !it.contains(['<', '{']) && !it.is_empty());
    Some(more.map_or_else(|| format!("**{label}**\n"), |more| format!("**{label}**: {more}\n")))
}

/// Where each line starts, and where its text does.
fn line_starts(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, start + line.len() - line.trim_start_matches([' ', '\t']).len())
    })
}

fn indent_of(line: &str) -> usize {
    line.bytes().take_while(|it| *it == b' ').count()
}

#[cfg(test)]
mod tests;
