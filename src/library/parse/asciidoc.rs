//! `AsciiDoc` to Markdown: headings, code, lists, tables, admonitions and links; a modest converter that keeps text.
//!
//! Nothing is included or evaluated: `include::` is told and left out, and both branches of a condition are kept.
#![allow(clippy::format_push_string, reason = "a line of a page at a time; what it costs is small beside reading it")]

use serde_json::{Map, Value};

use super::asciidoc_inline::{Attributes, inline};
use super::form::{escape_line_start, fence_for, row};
use super::{Draft, ParseError, front, one_line};
use crate::base::bound::{DOCUMENT_BYTES_MAX, HTML_INDENT_LEVELS_MAX};

pub(super) fn read(source: &str) -> Result<Draft, ParseError> {
    let lines: Vec<&str> = source.lines().collect();
    let mut converter = Converter::default();
    let mut at = converter.header(&lines);
    while at < lines.len() {
        at = converter.step(&lines, at);
        if converter.out.len() > 2 * DOCUMENT_BYTES_MAX {
            return Err(ParseError::Swells { max: 2 * DOCUMENT_BYTES_MAX });
        }
    }
    converter.end_paragraph();
    let includes = converter.includes;
    let include = (includes > 0).then(|| format!("{includes} include directives were not followed"));
    let warnings = include.into_iter().chain(converter.attributes.allowance.warning());
    Ok(Draft {
        markdown: converter.out,
        ids: converter.ids,
        description: converter.description,
        facets: front::facets(&converter.values),
        front_matter: converter.values,
        warnings: warnings.collect(),
        ..Draft::default()
    })
}

#[derive(Default)]
struct Converter {
    attributes: Attributes,
    /// The attribute of this name, whatever its length: it is shown once.
    description: Option<String>,
    /// What a site says of its pages: attributes whose names begin with `page-`.
    values: Map<String, Value>,
    out: String,
    ids: Vec<(usize, String)>,
    id: Option<String>,
    /// `[source,rust]`, `[NOTE]`, `[cols="1,2"]`: of the next block.
    style: Option<String>,
    paragraph: Vec<String>,
    /// Whether the last block was an item of a list, which the next item follows without a blank line.
    in_list: Option<&'static str>,
    includes: usize,
}

impl Converter {
    /// The title, the author's lines and the attributes at the top.
    fn header(&mut self, lines: &[&str]) -> usize {
        let is_comment = |line: &&&str| line.trim().is_empty() || line.starts_with("//") && !line.starts_with("////");
        let mut at = lines.iter().take_while(is_comment).count();
        while let Some((name, value)) = lines.get(at).and_then(|line| entry(line)) {
            self.set(name, value);
            at += 1;
        }
        let Some(title) = lines.get(at).and_then(|line| line.strip_prefix("= ")) else { return at };
        self.heading(1, title);
        at += 1;
        while let Some(line) = lines.get(at).filter(|line| !line.trim().is_empty()) {
            if let Some((name, value)) = entry(line) {
                self.set(name, value);
            }
            at += 1;
        }
        at
    }

    fn set(&mut self, name: &str, value: &str) {
        let name = name.to_lowercase();
        if let Some(page) = name.strip_prefix("page-") {
            let values: Vec<Value> = value.split(',').map(|part| part.trim().into()).collect();
            self.values.insert(page.replace('-', "_"), Value::Array(values));
        }
        if name == "description" {
            self.description = Some(one_line(value));
        }
        self.attributes.set(name, value);
    }

    /// Converts what starts at a line; returns the first line after it.
    fn step(&mut self, lines: &[&str], at: usize) -> usize {
        let line = lines.get(at).copied().unwrap_or_default().trim_end();
        if line.is_empty() {
            self.end_paragraph();
            return at + 1;
        }
        if let Some(end) = self.delimited(lines, at, line) {
            return end;
        }
        if line.starts_with("//") || line == "+" {
            return at + 1;
        }
        if let Some((name, value)) = entry(line).filter(|_| self.paragraph.is_empty()) {
            self.set(name, value);
            return at + 1;
        }
        if self.block_macro(line) || self.attribute_line(line) {
            return at + 1;
        }
        if let Some((level, text)) = heading(line).filter(|_| self.paragraph.is_empty()) {
            self.heading(level, text);
            return at + 1;
        }
        if self.paragraph.is_empty()
            && line.len() > 1
            && line.starts_with('.')
            && !line.starts_with("..")
            && !line.starts_with(". ")
        {
            let title = inline(line.trim_start_matches('.'), &self.attributes);
            self.block(&format!("**{title}**"));
            return at + 1;
        }
        if let Some((depth, marker, text)) = item(line) {
            return self.item(lines, at, depth, marker, text);
        }
        if let Some((term, text)) = definition(line).filter(|_| self.paragraph.is_empty()) {
            let term = format!("**{}**", inline(term, &self.attributes));
            self.block(&term);
            if !text.is_empty() {
                self.paragraph.push(text.to_owned());
            }
            return at + 1;
        }
        if self.paragraph.is_empty() && line.starts_with([' ', '\t']) {
            let count = lines.iter().skip(at).take_while(|line| !line.trim().is_empty()).count();
            self.fence("", lines.get(at..at + count).unwrap_or_default());
            return at + count;
        }
        let admonition =
            ADMONITIONS.iter().find(|(name, _)| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(": ")));
        match admonition.filter(|_| self.paragraph.is_empty()) {
            Some((name, label)) => {
                let text = line.get(name.len() + 2..).unwrap_or_default();
                self.paragraph.push(format!("*{label}:* {text}"));
            }
            None => self.paragraph.push(line.trim_start().to_owned()),
        }
        at + 1
    }

    /// A block between two equal lines.
    fn delimited(&mut self, lines: &[&str], at: usize, line: &str) -> Option<usize> {
        let is_run = |sign: u8| line.len() >= 4 && line.bytes().all(|byte| byte == sign);
        let is_verbatim = is_run(b'-') || is_run(b'.') || line.starts_with("```");
        let is_dropped = is_run(b'/') || is_run(b'+');
        let is_table = line == "|===";
        if is_run(b'=') || is_run(b'*') || is_run(b'_') || line == "--" {
            // What is inside reads on by itself.
            self.end_paragraph();
            if let Some((_, label)) =
                self.style.take().and_then(|style| ADMONITIONS.iter().find(|(name, _)| *name == style))
            {
                self.block(&format!("**{label}:**"));
            }
            return Some(at + 1);
        }
        if !is_verbatim && !is_dropped && !is_table {
            return None;
        }
        self.end_paragraph();
        let fence = if line.starts_with("```") { "```" } else { line };
        let inside = lines.iter().skip(at + 1).take_while(|line| line.trim_end() != fence).count();
        let content = lines.get(at + 1..at + 1 + inside).unwrap_or_default();
        if is_table {
            self.table(content);
        } else if is_verbatim {
            let style = self.style.take().unwrap_or_default();
            let mut parts = style.split(',').map(str::trim);
            let is_source = matches!(parts.next(), Some("source" | "" | "%linenums"));
            let given = line.strip_prefix("```").map_or("", |given| given.trim_start_matches('`').trim());
            let language = if given.is_empty() && is_source { parts.next().unwrap_or_default() } else { given };
            let is_name = language.len() <= 32
                && language.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'#' | b'_' | b'-'));
            self.fence(if is_name && !line.starts_with('.') { language } else { "" }, content);
        }
        self.style = None;
        Some(at + inside + 2)
    }

    fn block_macro(&mut self, line: &str) -> bool {
        let Some((name, rest)) = line.split_once("::") else { return matches!(line, "'''" | "<<<") };
        let Some((target, text)) = rest.strip_suffix(']').and_then(|rest| rest.split_once('[')) else { return false };
        if name.contains(char::is_whitespace) || target.contains(char::is_whitespace) {
            return false;
        }
        match name {
            "include" => self.includes += 1,
            "image" => {
                let alt = text.split(',').next().unwrap_or_default().trim();
                if !alt.is_empty() && !alt.contains('=') {
                    self.block(&escape_line_start(&inline(alt, &self.attributes)));
                }
            }
            "toc" | "video" | "audio" | "ifdef" | "ifndef" | "ifeval" | "endif" => {}
            _ => return false,
        }
        true
    }

    /// `[[id]]`, `[#id]`, `[source,rust]`.
    fn attribute_line(&mut self, line: &str) -> bool {
        let Some(inside) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) else { return false };
        if !self.paragraph.is_empty() {
            return false;
        }
        let id = inside.strip_prefix('[').and_then(|id| id.strip_suffix(']')).or_else(|| inside.strip_prefix('#'));
        match id {
            Some(id) => {
                let id = id.split([',', '.', '%']).next().unwrap_or_default();
                let is_id = !id.is_empty() && id.len() <= 256 && !id.contains(char::is_whitespace);
                self.id = is_id.then(|| id.to_owned());
            }
            None => self.style = Some(inside.to_owned()),
        }
        true
    }

    fn heading(&mut self, level: usize, text: &str) {
        self.end_paragraph();
        let text = one_line(&inline(text.trim(), &self.attributes));
        self.style = None;
        if text.is_empty() {
            return;
        }
        self.gap();
        self.ids.extend(self.id.take().map(|id| (self.out.len(), id)));
        self.out.push_str(&format!("{} {text}\n", "#".repeat(level.min(6))));
    }

    fn item(&mut self, lines: &[&str], at: usize, depth: usize, marker: &'static str, text: &str) -> usize {
        let was_in_list = self.in_list;
        self.end_paragraph();
        let mut text = text.to_owned();
        let mut end = at + 1;
        // Lines of the item go on until a blank one, or another block.
        while let Some(line) = lines.get(end).map(|line| line.trim()) {
            let is_other = line.is_empty() || line == "+" || item(line).is_some() || entry(line).is_some();
            if is_other || line.starts_with('[') && line.ends_with(']') || is_delimiter(line) || line.starts_with("//")
            {
                break;
            }
            text.push(' ');
            text.push_str(line);
            end += 1;
        }
        // Items of another kind begin a list of their own.
        if was_in_list.is_none_or(|before| depth == 1 && before != marker) {
            self.gap();
        }
        let indent = "   ".repeat((depth - 1).min(HTML_INDENT_LEVELS_MAX));
        let text = inline(&text, &self.attributes);
        let text = text.strip_prefix("\\[ ] ").map(|rest| format!("[ ] {rest}")).unwrap_or(text);
        self.out.push_str(&format!("{indent}{marker} {text}\n"));
        if depth == 1 || was_in_list.is_none() {
            self.in_list = Some(marker);
        } else {
            self.in_list = was_in_list;
        }
        end
    }

    fn table(&mut self, content: &[&str]) {
        let columns = self.style.take().as_deref().and_then(columns);
        let mut cells: Vec<String> = Vec::new();
        let mut in_first_line = 0;
        for line in content {
            let line = line.trim();
            let mut parts = split_cells(line).into_iter();
            let before = parts.next().unwrap_or_default();
            match cells.last_mut() {
                Some(last) if !before.is_empty() && !is_cell_spec(&before) => {
                    last.push(' ');
                    last.push_str(&before);
                }
                _ => {}
            }
            for part in parts {
                cells.push(part);
            }
            if in_first_line == 0 {
                in_first_line = cells.len();
            }
        }
        let columns = columns.unwrap_or(in_first_line).clamp(1, crate::base::bound::TABLE_COLUMNS_MAX);
        let shown = |cell: &String| inline(cell.trim(), &self.attributes).replace('|', "\\|");
        let mut rows = cells.chunks(columns).map(|cells| row(&cells.iter().map(shown).collect::<Vec<_>>()));
        let Some(head) = rows.next() else { return };
        let rest: Vec<String> = rows.collect();
        let table = [vec![head, format!("|{}", " --- |".repeat(columns))], rest].concat();
        self.block(&table.join("\n"));
    }

    fn fence(&mut self, language: &str, content: &[&str]) {
        let code = content.join("\n");
        if code.trim().is_empty() {
            return;
        }
        let fence = fence_for(&code);
        self.block(&format!("{fence}{language}\n{}\n{fence}", code.trim_end()));
    }

    fn end_paragraph(&mut self) {
        if !self.paragraph.is_empty() {
            let text = std::mem::take(&mut self.paragraph).join("\n");
            let style = self.style.take();
            let label = ADMONITIONS.iter().find(|(name, _)| Some(*name) == style.as_deref());
            let text = inline(&text, &self.attributes);
            let lines: Vec<String> = text.lines().map(|line| escape_line_start(line.trim_end_matches(" +"))).collect();
            let text = lines.join("\n");
            match label {
                Some((_, label)) => self.block(&format!("**{label}:** {text}")),
                None => self.block(&text),
            }
        }
    }

    fn block(&mut self, text: &str) {
        self.gap();
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn gap(&mut self) {
        self.in_list = None;
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }
}

const ADMONITIONS: [(&str, &str); 5] =
    [("NOTE", "Note"), ("TIP", "Tip"), ("IMPORTANT", "Important"), ("WARNING", "Warning"), ("CAUTION", "Caution")];

/// `:name: value`.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix(':')?.split_once(':')?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'!'));
    (is_name && (value.is_empty() || value.starts_with([' ', '\t']))).then(|| (name, value.trim()))
}

/// `== Text`, and `## Text`, which is taken too.
fn heading(line: &str) -> Option<(usize, &str)> {
    let sign = line.bytes().next().filter(|byte| matches!(byte, b'=' | b'#'))?;
    let level = line.bytes().take_while(|byte| *byte == sign).count();
    let text = line.get(level..)?.strip_prefix(' ')?;
    (level <= 6).then(|| (level, text.trim().trim_end_matches(char::from(sign)).trim()))
}

/// The depth, Markdown's marker, and the text of an item.
fn item(line: &str) -> Option<(usize, &'static str, &str)> {
    let line = line.trim_start();
    let first = line.bytes().next()?;
    let (count, marker) = match first {
        b'*' | b'.' => {
            let count = line.bytes().take_while(|byte| *byte == first).count();
            (count, if first == b'*' { "-" } else { "1." })
        }
        b'-' => (1, "-"),
        // `<1> text`, what a number in the code above means.
        b'<' => {
            let end = line
                .find("> ")
                .filter(|end| line.get(1..*end).is_some_and(|it| it == "." || it.parse::<u8>().is_ok()))?;
            return Some((1, "1.", line.get(end + 2..)?.trim()));
        }
        b'0'..=b'9' => {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count().min(9);
            return Some((1, "1.", line.get(digits..)?.strip_prefix(". ")?.trim()));
        }
        _ => return None,
    };
    let text = line.get(count..)?.strip_prefix(' ')?;
    (count <= 6).then(|| (count, marker, text.trim()))
}

/// `term:: text`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let at = line.find("::")?;
    let (term, rest) = line.split_at(at);
    let text = rest.trim_start_matches([':', ';']);
    let is_term = !term.trim().is_empty() && term.len() <= 256;
    (is_term && (text.is_empty() || text.starts_with([' ', '\t']))).then(|| (term.trim(), text.trim()))
}

fn is_delimiter(line: &str) -> bool {
    let is_run = |sign: u8| line.len() >= 4 && line.bytes().all(|byte| byte == sign);
    line == "--"
        || line == "|==="
        || line.starts_with("```")
        || [b'-', b'.', b'=', b'*', b'_', b'+', b'/'].into_iter().any(is_run)
}

/// How many columns `cols="1,2"` or `cols=3*` says.
fn columns(style: &str) -> Option<usize> {
    let after = style.split_once("cols=")?.1;
    let value = match after.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => after.split(',').next().unwrap_or_default(),
    };
    let count: usize = value
        .split([',', ';'])
        .map(|part| part.split_once('*').map_or(1, |(times, _)| times.trim().parse().unwrap_or(1)))
        .fold(0_usize, usize::saturating_add);
    (count > 0).then_some(count)
}

/// The text before the first `|`, and the cells behind each, without their own specifications.
fn split_cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in line.chars() {
        if c == '|' && !escaped {
            // `2+|` and `a|` are of the cell that follows.
            if let Some(last) = cells.last_mut() {
                let kept = last.rfind(' ').map_or(0, |at| at + 1);
                if last.get(kept..).is_some_and(is_cell_spec) {
                    last.truncate(kept);
                }
            }
            cells.push(String::new());
            continue;
        }
        escaped = c == '\\';
        if let Some(last) = cells.last_mut() {
            if c == '|' {
                last.pop();
            }
            last.push(c);
        }
    }
    cells
}

fn is_cell_spec(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 8
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+*.<^>adehlms".contains(&byte))
}

#[cfg(test)]
mod tests;
