//! What an element of a page does to the text when it opens.

use super::{Frame, Page};
use crate::base::bound::parse::LIST_NUMBER_MAX;
use crate::base::bound::{FACET_VALUE_BYTES_MAX, LINK_BYTES_MAX};
use crate::library::parse::form::Inline;
use crate::library::parse::front;
use crate::library::parse::html_element::{heading_level, language};
use crate::library::parse::html_token::Start;

impl Page {
    pub(super) fn open(&mut self, start: &Start<'_>, frame: &mut Frame) {
        let name = start.name.as_str();
        frame.language = language(start);
        if self.pre.is_some() {
            if let (Some((language, _)), Some(found)) = (&mut self.pre, &frame.language) {
                language.clone_from(found);
            }
            return;
        }
        if !frame.is_inline {
            self.writer.end_block();
        }
        if let Some(level) = heading_level(name) {
            let id = self.value(start, "id").or(self.id.take());
            self.writer.start_heading(level, id.filter(|it| !it.contains(char::is_whitespace) && it.len() <= 256));
            return;
        }
        if matches!(name, "section" | "a") {
            let id = self.value(start, "id").or_else(|| self.value(start, "name").filter(|_| name == "a"));
            self.id = id.or(self.id.take());
        }
        match name {
            "strong" | "b" => frame.has_run = self.writer.open(Inline::Strong),
            "em" | "i" | "cite" | "dfn" => frame.has_run = self.writer.open(Inline::Emphasis),
            "del" | "s" | "strike" => frame.has_run = self.writer.open(Inline::Strike),
            "code" | "kbd" | "samp" | "tt" => frame.has_run = self.writer.open(Inline::Code),
            "dt" => {
                // The first `dd` of each term stands apart from it.
                if let Some((_, _, count)) = self.frames.iter_mut().rev().find_map(|it| it.list.as_mut()) {
                    *count = 0;
                }
                frame.has_run = self.writer.open(Inline::Strong);
            }
            "a" => frame.has_run = self.link(start),
            "q" => self.writer.text("\""),
            "pre" => {
                frame.is_pre = true;
                let outer = self.frames.iter().rev().take(3).find_map(|it| it.language.clone());
                self.pre = Some((frame.language.clone().or(outer).unwrap_or_default(), String::new()));
            }
            "blockquote" => frame.has_indent = self.writer.indent("> ", "> ", true),
            "ul" | "ol" | "menu" | "dl" => {
                let first = start.attribute("start").and_then(|it| it.parse().ok()).unwrap_or(1).min(LIST_NUMBER_MAX);
                frame.list = Some((name == "ol", first, 0));
            }
            "li" | "dd" => frame.has_indent = self.item(),
            "table" if self.table.is_none() => {
                frame.is_table = true;
                self.table = Some(Vec::new());
            }
            "tr" => {
                let is_nested = self.is_in_nested_table();
                if let Some(rows) = self.table.as_mut().filter(|_| !is_nested) {
                    rows.push(Vec::new());
                }
            }
            "td" | "th" if self.table.is_some() && !self.is_in_nested_table() => {
                frame.has_run = self.writer.open(Inline::Cell);
            }
            _ => {}
        }
    }

    /// The cells of a table in a table are text of the outer cell.
    fn is_in_nested_table(&self) -> bool {
        self.frames.iter().filter(|it| it.name == "table").count() > 1
    }

    fn item(&mut self) -> bool {
        let depth = self.frames.iter().filter(|it| it.has_indent).count();
        let list = self.frames.iter_mut().rev().find_map(|it| it.list.as_mut());
        let mut unlisted = (false, 1, 0);
        let (is_ordered, number, count) = list.unwrap_or(&mut unlisted);
        let marker = if *is_ordered { format!("{number}. ") } else { "- ".to_owned() };
        let is_first = *count == 0 && depth == 0;
        *number = number.saturating_add(1) % (LIST_NUMBER_MAX + 1);
        *count += 1;
        self.writer.indent(&marker, &" ".repeat(marker.len()), is_first)
    }

    fn link(&mut self, start: &Start<'_>) -> bool {
        let is_in_heading = self.frames.iter().any(|it| heading_level(&it.name).is_some());
        let Some(url) = self.value(start, "href").filter(|it| !is_in_heading && it != "#") else {
            return false;
        };
        let scheme = url.split([':', '/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let is_code = matches!(scheme.as_str(), "javascript" | "data" | "vbscript");
        if is_code || url.len() > LINK_BYTES_MAX || url.contains(char::is_control) {
            return false;
        }
        let is_plain = !url.contains([' ', '(', ')', '<', '>', '\\']);
        let url = if is_plain {
            url
        } else {
            format!("<{}>", url.replace('<', "%3C").replace('>', "%3E").replace('\\', "%5C"))
        };
        self.writer.open(Inline::Link(url))
    }

    pub(super) fn void(&mut self, start: &Start<'_>) {
        match start.name.as_str() {
            "br" => match &mut self.pre {
                Some((_, code)) => code.push('\n'),
                None => self.writer.line_break(),
            },
            "hr" => self.writer.rule(),
            "img" => {
                if let Some(alt) = self.value(start, "alt") {
                    self.writer.text(&alt);
                }
            }
            _ => {}
        }
    }

    pub(super) fn meta(&mut self, start: &Start<'_>) {
        let is_description = start.attribute("name").is_some_and(|it| it.eq_ignore_ascii_case("description"));
        if is_description && self.draft.description.is_none() {
            self.draft.description =
                self.value(start, "content").map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    pub(super) fn lang(&mut self, start: &Start<'_>) {
        if let Some(lang) = self.value(start, "lang").filter(|it| it.len() <= FACET_VALUE_BYTES_MAX) {
            let mut values = serde_json::Map::new();
            values.insert("lang".to_owned(), lang.into());
            self.draft.facets = front::facets(&values);
        }
    }
}
