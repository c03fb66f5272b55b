//! reStructuredText to Markdown: sections, code, admonitions, links and literals; a modest converter that keeps text.
//!
//! Tables are kept as they are drawn, in a fence. Unknown directives keep their content and lose their options.

mod directive;

use serde_json::{Map, Value};

use super::form::{escape_line_start, fence_for};
use super::restructured_inline::{Targets, inline};
use super::restructured_line::{adornment, field, indent_of, is_table_border, marker_width};
use super::{Draft, ParseError, front};
use crate::base::bound::{DOCUMENT_BYTES_MAX, HTML_INDENT_LEVELS_MAX};

pub(super) fn read(source: &str) -> Result<Draft, ParseError> {
    let lines: Vec<&str> = source.lines().collect();
    let mut converter = Converter {
        targets: Targets::of(&lines),
        indents: lines.iter().map(|it| if it.trim().is_empty() { usize::MAX } else { indent_of(it) }).collect(),
        ..Converter::default()
    };
    let mut at = converter.fields(&lines);
    while at < lines.len() {
        at = converter.step(&lines, at);
        if converter.out.len() > 2 * DOCUMENT_BYTES_MAX {
            return Err(ParseError::Swells { max: 2 * DOCUMENT_BYTES_MAX });
        }
    }
    converter.end_paragraph();
    let values = converter.fields;
    let warnings = converter.targets.allowance.warning().into_iter().collect();
    Ok(Draft {
        warnings,
        markdown: converter.out,
        ids: converter.ids,
        title: front::text(&values, "title"),
        description: front::text(&values, "description"),
        facets: front::facets(&values),
        front_matter: values,
        ..Draft::default()
    })
}

#[derive(Default)]
struct Converter {
    targets: Targets,
    /// Of each line; a blank line belongs to any body.
    indents: Vec<usize>,
    fields: Map<String, Value>,
    out: String,
    ids: Vec<(usize, String)>,
    label: Option<String>,
    /// Adornments by order of appearance: the sign, and whether it stands above too.
    styles: Vec<(char, bool)>,
    /// Where the text of the open directives and definitions starts.
    bodies: Vec<usize>,
    /// Where the text of the open list items starts: in the source, and in what is written.
    items: Vec<(usize, usize)>,
    paragraph: Vec<String>,
}

impl Converter {
    /// The field list at the top of a file: its front matter.
    fn fields(&mut self, lines: &[&str]) -> usize {
        let start = lines.iter().take_while(|it| it.trim().is_empty()).count();
        let mut at = start;
        while let Some((name, value)) = lines.get(at).and_then(|it| field(it)) {
            let value = if value.is_empty() { Value::Bool(true) } else { Value::String(value.to_owned()) };
            self.fields.insert(name.replace([' ', '-'], "_"), value);
            at += 1;
            while lines.get(at).is_some_and(|it| it.starts_with([' ', '\t']) && !it.trim().is_empty()) {
                at += 1;
            }
        }
        at
    }

    /// Converts what starts at a line; returns the first line after it.
    fn step(&mut self, lines: &[&str], at: usize) -> usize {
        let line = lines.get(at).copied().unwrap_or_default().trim_end();
        if line.is_empty() {
            self.end_paragraph();
            return at + 1;
        }
        let indent = indent_of(line);
        let text = line.trim_start();
        let next = lines.get(at + 1).copied().unwrap_or_default().trim_end();
        let starts_block = self.paragraph.is_empty();
        if starts_block {
            while self.bodies.last().is_some_and(|it| *it > indent) {
                self.bodies.pop();
            }
            self.items.retain(|(it, _)| *it <= indent);
        }
        if indent == 0
            && starts_block
            && let Some(lines_used) = self.title(lines, at)
        {
            return at + lines_used;
        }
        if starts_block && adornment(text).is_some_and(|_| text.len() >= 4) && next.is_empty() {
            self.block("---");
            return at + 1;
        }
        if let Some(rest) = text.strip_prefix("..").filter(|it| it.is_empty() || it.starts_with(' ')) {
            self.end_paragraph();
            return self.explicit(lines, at, indent, rest.trim());
        }
        if starts_block && is_table_border(text) {
            return self.table(lines, at, indent);
        }
        if starts_block && text.starts_with(">>>") {
            let count = lines.iter().skip(at).take_while(|it| !it.trim().is_empty()).count();
            self.fence("python", lines.get(at..at + count).unwrap_or_default());
            return at + count;
        }
        if text == "__" || text.starts_with("__ ") && starts_block {
            return at + 1;
        }
        if let Some(width) = marker_width(text)
            && (starts_block || !self.items.is_empty())
        {
            self.end_paragraph();
            self.item(indent, text, width);
        } else if starts_block && let Some((name, value)) = field(text) {
            self.paragraph.push(format!("- **{name}** {value}").trim_end().to_owned());
        } else if starts_block && indent_of(next) > indent && !next.is_empty() && !text.ends_with("::") {
            let term = inline(text, &self.targets);
            self.block(&format!("**{}**", term.replace("**", "")));
            self.open_body(indent_of(next));
            return at + 1;
        } else {
            let text = text.strip_prefix("| ").map_or_else(|| text.to_owned(), |it| format!("{it}  "));
            self.paragraph.push(text);
        }
        if line.ends_with("::") {
            return self.literal(lines, at, indent);
        }
        at + 1
    }

    /// A title with a line under it, and perhaps one above: how many lines it takes.
    fn title(&mut self, lines: &[&str], at: usize) -> Option<usize> {
        let line = |n: usize| lines.get(at + n).copied().unwrap_or_default().trim_end();
        let over = adornment(line(0)).filter(|_| adornment(line(2)).is_some() && line(0) == line(2));
        let (title, sign, used) = match over {
            Some(sign) if !line(1).trim().is_empty() => (line(1).trim(), sign, 3),
            _ => (line(0), adornment(line(1))?, 2),
        };
        let is_short = lines.get(at + used - 1)?.trim_end().chars().count() < title.chars().count().min(3);
        if title.is_empty() || is_short || (used == 2 && adornment(title).is_some()) {
            return None;
        }
        let style = (sign, used == 3);
        let level = self.styles.iter().position(|it| *it == style).unwrap_or_else(|| {
            self.styles.push(style);
            self.styles.len() - 1
        });
        self.bodies.clear();
        self.items.clear();
        let text = inline(title, &self.targets);
        let start = self.block(&format!("{} {text}", "#".repeat((level + 1).min(6))));
        self.ids.extend(self.label.take().map(|it| (start, it)));
        Some(used)
    }

    /// The first line after an indented body.
    fn body_end(&self, start: usize, indent: usize) -> usize {
        let after = self.indents.iter().skip(start).position(|it| *it <= indent);
        after.map_or(self.indents.len(), |it| start + it)
    }

    fn open_body(&mut self, indent: usize) {
        if self.bodies.len() < 64 {
            self.bodies.push(indent);
        }
    }

    fn item(&mut self, indent: usize, text: &str, width: usize) {
        self.items.retain(|(it, _)| *it <= indent);
        let (marker, rest) = text.split_at_checked(width).unwrap_or((text, ""));
        let marker = if marker.starts_with('#') { "1. " } else { marker };
        let written = self.items.last().map_or(0, |(_, it)| *it) + marker.len();
        self.paragraph.push(format!("{marker}{rest}"));
        if self.items.len() < HTML_INDENT_LEVELS_MAX {
            // The paragraph of the marker itself stands at the outer indent; see `end_paragraph`.
            self.items.push((indent + width, written));
        }
    }

    /// The indented text after a paragraph that ends with `::`.
    fn literal(&mut self, lines: &[&str], at: usize, indent: usize) -> usize {
        let blanks = lines.iter().skip(at + 1).take_while(|it| it.trim().is_empty()).count();
        let start = at + 1 + blanks;
        let is_literal = blanks > 0 && lines.get(start).is_some_and(|it| indent_of(it) > indent);
        if !is_literal {
            return at + 1;
        }
        if let Some(last) = self.paragraph.last_mut() {
            let bare = last.trim_end_matches(':').trim_end();
            *last = if bare.is_empty() { String::new() } else { format!("{bare}:") };
        }
        self.paragraph.retain(|it| !it.is_empty());
        self.end_paragraph();
        let end = self.body_end(start, indent);
        self.fence("", lines.get(start..end).unwrap_or_default());
        end
    }

    fn table(&mut self, lines: &[&str], at: usize, indent: usize) -> usize {
        let is_grid = lines.get(at).is_some_and(|it| it.trim_start().starts_with('+'));
        let mut end = at + 1;
        while let Some(line) = lines.get(end) {
            let is_blank = line.trim().is_empty();
            let after = lines.get(end + 1).copied().unwrap_or_default();
            if is_blank && is_grid || !is_blank && indent_of(line) < indent {
                break;
            }
            end += 1;
            if !is_grid && is_table_border(line.trim()) && after.trim().is_empty() {
                break;
            }
        }
        self.fence("text", lines.get(at..end).unwrap_or_default());
        end
    }

    fn fence(&mut self, language: &str, lines: &[&str]) {
        let dedent = lines.iter().filter(|it| !it.trim().is_empty()).map(|it| indent_of(it)).min().unwrap_or(0);
        let code: Vec<&str> = lines.iter().map(|it| it.get(dedent..).unwrap_or_default()).collect();
        let code = code.join("\n");
        let code = code.trim_end().trim_start_matches('\n');
        if !code.is_empty() {
            let language = language.split_whitespace().next().unwrap_or_default().replace('`', "");
            let fence = fence_for(code);
            self.block(&format!("{fence}{language}\n{code}\n{fence}"));
        }
    }

    fn end_paragraph(&mut self) {
        if self.paragraph.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.paragraph);
        let is_item = lines.first().is_some_and(|it| marker_width(it).is_some());
        let text = inline(&lines.join("\n"), &self.targets);
        let own = if is_item { self.items.pop() } else { None };
        let hang = own.map_or(0, |(_, written)| written - self.items.last().map_or(0, |(_, it)| *it));
        let mut written = String::new();
        for (n, line) in text.split('\n').enumerate() {
            if n > 0 {
                written.push('\n');
                written.push_str(&" ".repeat(hang));
            }
            let is_marker = n == 0 && (is_item || line.starts_with("- **"));
            written.push_str(&if is_marker { line.to_owned() } else { escape_line_start(line) });
        }
        self.block(&written);
        self.items.extend(own);
    }

    /// Writes a block after a blank line, at the indent of the list item it belongs to; where it starts.
    fn block(&mut self, text: &str) -> usize {
        self.end_paragraph();
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        let start = self.out.len();
        let indent = " ".repeat(self.items.last().map_or(0, |(_, it)| *it));
        for line in text.split('\n') {
            // The indent is on each line, and who reads on says that it is too much.
            if self.out.len() > 2 * DOCUMENT_BYTES_MAX {
                break;
            }
            if !line.is_empty() {
                self.out.push_str(&indent);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
        start
    }
}

#[cfg(test)]
mod tests;
