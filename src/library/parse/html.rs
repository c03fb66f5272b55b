//! HTML to Markdown: the main content of a page, without what is there for navigation, for machines, or hidden.

mod open;

use super::html_element::{INLINE, VOID, heading_level, is_skipped};
use super::html_token::{Entities, Start, Token, Tokens};
use super::html_write::Writer;
use super::{Draft, ParseError};
use crate::base::bound::{DOCUMENT_BYTES_MAX, HTML_DEPTH_MAX};

/// Reads a page. The first of `<main>`, `<article>` and the whole body that has any text is the content.
pub(super) fn read(source: &str) -> Result<Draft, ParseError> {
    for root in [Root::Main, Root::Article, Root::Body] {
        let mut page = Page::new(root);
        for token in Tokens::of(source) {
            page.token(token);
            if page.writer.is_full() {
                return Err(ParseError::Swells { max: 2 * DOCUMENT_BYTES_MAX });
            }
        }
        while !page.frames.is_empty() {
            page.pop();
        }
        if page.writer.is_full() {
            return Err(ParseError::Swells { max: 2 * DOCUMENT_BYTES_MAX });
        }
        let (markdown, ids) = page.writer.finish();
        if root == Root::Body || !markdown.is_empty() {
            page.draft.markdown = markdown;
            page.draft.ids = ids;
            return Ok(page.draft);
        }
    }
    Ok(Draft::default())
}

/// What counts as the content of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Root {
    Main,
    Article,
    Body,
}

impl Root {
    fn is(self, start: &Start<'_>) -> bool {
        let name = match self {
            Root::Main => "main",
            Root::Article => "article",
            Root::Body => return start.name == "body",
        };
        start.name == name || start.attribute("role") == Some(name)
    }
}

/// An open element, and what is to be undone at its end.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says what one end tag has to undo, in any combination")]
struct Frame {
    name: String,
    is_root: bool,
    is_skipped: bool,
    has_run: bool,
    has_indent: bool,
    is_pre: bool,
    is_table: bool,
    is_inline: bool,
    /// For lists: the next number, and how many items there were.
    list: Option<(bool, u64, usize)>,
    language: Option<String>,
}

struct Page {
    root: Root,
    draft: Draft,
    writer: Writer,
    entities: Entities,
    frames: Vec<Frame>,
    /// Open elements beyond the depth bound, which have no frame.
    frameless: usize,
    inside: usize,
    skipped: usize,
    pre: Option<(String, String)>,
    table: Option<Vec<Vec<String>>>,
    in_title: bool,
    /// The id of a section or anchor just opened: it names the heading that follows.
    id: Option<String>,
}

impl Page {
    fn new(root: Root) -> Page {
        Page {
            root,
            draft: Draft::default(),
            writer: Writer::default(),
            entities: Entities::default(),
            frames: Vec::new(),
            frameless: 0,
            inside: usize::from(root == Root::Body),
            skipped: 0,
            pre: None,
            table: None,
            in_title: false,
            id: None,
        }
    }

    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Text(text) => self.text(text),
            Token::Start(start) => self.start(&start),
            Token::End(name) => self.end(&name),
        }
    }

    fn is_active(&self) -> bool {
        self.inside > 0 && self.skipped == 0
    }

    fn text(&mut self, text: &str) {
        let text = self.entities.decode(text);
        if self.in_title {
            self.draft.title_fallback.get_or_insert_with(|| super::one_line(&text));
            return;
        }
        if !self.is_active() {
            return;
        }
        if let Some((_, code)) = &mut self.pre {
            code.push_str(&text);
            return;
        }
        if !text.trim().is_empty() && self.frames.last().is_none_or(|it| it.name != "a") {
            self.id = self.id.take().filter(|_| self.frames.iter().any(|it| heading_level(&it.name).is_some()));
        }
        // `¶` and `#` in a heading lead to the heading itself.
        let is_permalink = matches!(text.trim(), "¶" | "#" | "§" | "🔗")
            && self.frames.iter().any(|it| it.name == "a")
            && self.frames.iter().any(|it| heading_level(&it.name).is_some());
        if !is_permalink {
            self.writer.text(&text);
        }
    }

    fn value(&mut self, start: &Start<'_>, name: &str) -> Option<String> {
        let value = self.entities.decode(start.attribute(name)?.trim()).into_owned();
        (!value.is_empty()).then_some(value)
    }

    fn start(&mut self, start: &Start<'_>) {
        self.close_implied(&start.name);
        match start.name.as_str() {
            "title" => {
                self.in_title = self.skipped == 0;
                return;
            }
            "meta" => return self.meta(start),
            "html" => self.lang(start),
            _ => {}
        }
        let is_void = VOID.contains(&start.name.as_str());
        let is_skipped = is_skipped(start) || (start.name == "header" && (self.inside == 0 || self.root == Root::Body));
        if is_void {
            if self.is_active() && !is_skipped {
                self.void(start);
            }
            return;
        }
        let mut frame = Frame {
            is_root: self.root.is(start),
            is_skipped,
            is_inline: INLINE.contains(&start.name.as_str()),
            ..Frame::default()
        };
        if self.frames.len() >= HTML_DEPTH_MAX {
            // Hidden text stays hidden however deep it is: the rest of the page goes with it, for its end is not seen.
            if is_skipped {
                self.skipped += 1;
            }
            self.frameless += usize::from(!start.is_alone);
            return;
        }
        self.inside += usize::from(frame.is_root);
        self.skipped += usize::from(frame.is_skipped);
        if self.is_active() {
            self.open(start, &mut frame);
        }
        frame.name.clone_from(&start.name);
        self.frames.push(frame);
        if start.is_alone {
            self.pop();
        }
    }

    /// Elements whose end tags may be left out end where the next one starts.
    fn close_implied(&mut self, name: &str) {
        let (ends, stops): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu", "table"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl", "table"]),
            "tr" => (&["tr"], &["table"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "thead" | "tbody" | "tfoot" => (&["thead", "tbody", "tfoot"], &["table"]),
            "option" => (&["option"], &["select"]),
            _ if INLINE.contains(&name) || VOID.contains(&name) && name != "hr" => return,
            _ => {
                let open = self.frames.iter().rposition(|it| !it.is_inline);
                if let Some(at) = open.filter(|at| self.frames.get(*at).is_some_and(|it| it.name == "p")) {
                    self.pop_to(at);
                }
                return;
            }
        };
        let stop = self.frames.iter().rposition(|it| stops.contains(&it.name.as_str())).map_or(0, |it| it + 1);
        let open = self.frames.iter().skip(stop).position(|it| ends.contains(&it.name.as_str()));
        if let Some(at) = open {
            self.pop_to(stop + at);
        }
    }

    fn end(&mut self, name: &str) {
        if name == "title" {
            self.in_title = false;
            return;
        }
        if self.frameless > 0 {
            self.frameless -= 1;
            return;
        }
        let is_table_part =
            matches!(name, "td" | "th" | "tr" | "thead" | "tbody" | "tfoot" | "table" | "body" | "html");
        for at in (0..self.frames.len()).rev() {
            let Some(frame) = self.frames.get(at) else {
                return;
            };
            if frame.name == name {
                return self.pop_to(at);
            }
            if !is_table_part && matches!(frame.name.as_str(), "td" | "th" | "table") {
                return;
            }
        }
    }

    fn pop_to(&mut self, at: usize) {
        while self.frames.len() > at {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        if self.is_active() {
            self.close(&frame);
        }
        self.inside -= usize::from(frame.is_root);
        self.skipped -= usize::from(frame.is_skipped);
    }

    fn close(&mut self, frame: &Frame) {
        if frame.is_pre {
            if let Some((language, code)) = self.pre.take() {
                self.writer.code(&language, &code);
            }
            return;
        }
        if self.pre.is_some() {
            return;
        }
        if matches!(frame.name.as_str(), "td" | "th") && frame.has_run {
            if let (Some(cell), Some(rows)) = (self.writer.close_cell(), &mut self.table) {
                match rows.last_mut() {
                    Some(row) => row.push(cell),
                    None => rows.push(vec![cell]),
                }
            }
            return;
        }
        if frame.name == "q" {
            self.writer.text("\"");
        }
        if frame.has_run {
            self.writer.close();
        }
        if !frame.is_inline {
            self.writer.end_block();
        }
        if frame.has_indent {
            self.writer.outdent();
        }
        if frame.is_table
            && let Some(rows) = self.table.take()
        {
            self.writer.table(&rows);
        }
    }
}

#[cfg(test)]
mod tests;
