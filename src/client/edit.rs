//! Puts a named entry into a text of JSON with comments, and takes it out again; every other byte stays as it is.

use std::ops::Range;

use serde::Serialize as _;
use serde_json::Value;

use super::table::{EditError, Kind, Read, Slot, Table, quoted, read};

/// The text of the entry in `slot`, if there is one.
pub fn find(text: &str, slot: Slot) -> Result<Option<&str>, EditError> {
    let table = read(text, slot)?.table;
    let child = table.and_then(|table| table.children.into_iter().find(|child| child.is(slot)));
    Ok(child.and_then(|child| text.get(child.value)))
}

/// The text with `value` in `slot`: a new entry comes first, one that is there is replaced.
pub fn put(text: &str, slot: Slot, value: &Value) -> Result<String, EditError> {
    let read = read(text, slot)?;
    let style = Style::of(text, &read);
    let inline = read.table.as_ref().is_some_and(|table| table.is_inline(text));
    let indent = read.table.as_ref().and_then(|table| table.indent(text)).unwrap_or_else(|| style.unit.repeat(2));
    put_text(text, slot, &style.rendered(value, &indent, inline))
}

/// As [`put`], with an entry that is text already.
pub fn put_text(text: &str, slot: Slot, value: &str) -> Result<String, EditError> {
    let read = read(text, slot)?;
    let style = Style::of(text, &read);
    let entry = match slot.kind {
        Kind::Member => format!("{}: {value}", quoted(slot.name)),
        Kind::Element => value.to_owned(),
    };
    if let Some(table) = &read.table {
        if let Some(child) = table.children.iter().find(|child| child.is(slot)) {
            return Ok(spliced(text, &[(child.value.clone(), value)]));
        }
        return Ok(inserted(text, table, &entry, &style, 2));
    }
    let (open, close) = if slot.kind == Kind::Member { ('{', '}') } else { ('[', ']') };
    let Style { unit, newline } = &style;
    let made = format!("{}: {open}{newline}{unit}{unit}{entry}{newline}{unit}{close}", quoted(slot.table));
    match &read.root {
        Some(root) => Ok(inserted(text, root, &made, &style, 1)),
        // An empty file, or nothing but comments.
        None => {
            let break_line = if text.is_empty() || text.ends_with('\n') { "" } else { newline.as_str() };
            Ok(format!("{text}{break_line}{{{newline}{unit}{made}{newline}}}{newline}"))
        }
    }
}

/// The text without the entry in `slot`: the inverse of [`put`] wherever the table held entries before. Refused where
/// anything else would be another value then.
pub fn take(text: &str, slot: Slot) -> Result<String, EditError> {
    let before = read(text, slot)?;
    let taken = taken(text, slot, &before);
    // A person's own layout may be one that nobody thought of.
    let after = read(&taken, slot).map_err(|_| EditError::Entangled(slot.name))?;
    if after.others != before.others {
        return Err(EditError::Entangled(slot.name));
    }
    Ok(taken)
}

fn taken(text: &str, slot: Slot, read: &Read) -> String {
    let Some(table) = &read.table else { return text.to_owned() };
    let Some(at) = table.children.iter().position(|child| child.is(slot)) else { return text.to_owned() };
    let Some(child) = table.children.get(at) else { return text.to_owned() };
    let before = text.get(..child.range.start).unwrap_or_default();
    let blanks = before.len() - before.trim_end_matches([' ', '\t']).len();
    let line = before.trim_end_matches([' ', '\t']);
    let broken = line.strip_suffix("\r\n").or_else(|| line.strip_suffix('\n'));
    // A comment to the end of the line needs the line's end, unless another one follows what goes.
    let end = comma_after(text, child.range.end).map_or(child.range.end, |comma| comma + 1);
    let ends_line = text.get(end..).is_some_and(|rest| rest.starts_with('\n') || rest.starts_with("\r\n"));
    let broken = broken.filter(|line| ends_line || !is_commented(text, line.len()));
    let from = broken.map_or(child.range.start, str::len);
    if let Some(comma) = comma_after(text, child.range.end) {
        // `{"ours": 1, "other": 2}`: the blank after the comma was ours, too.
        let one_blank = broken.is_none() && text.get(comma + 1..).is_some_and(|rest| rest.starts_with(' '));
        return spliced(text, &[(from..comma + 1 + usize::from(one_blank), "")]);
    }
    // The last one: the comma before it goes, what is between stays.
    let previous = at.checked_sub(1).and_then(|at| table.children.get(at));
    if let Some(comma) = previous.and_then(|previous| comma_after(text, previous.range.end)) {
        let from = if broken.is_none() { (child.range.start - blanks).max(comma + 1) } else { from };
        return spliced(text, &[(comma..comma + 1, ""), (from..child.range.end, "")]);
    }
    let (inner, rest) = (from..child.range.end, child.range.end..table.range.end - 1);
    let is_blank = |range: Range<usize>| text.get(range).is_some_and(|inner| inner.trim().is_empty());
    if is_blank(table.range.start + 1..from) && is_blank(rest) {
        // Nothing is left between the brackets.
        return spliced(text, &[(table.range.start + 1..table.range.end - 1, "")]);
    }
    spliced(text, &[(inner, "")])
}

/// How a document is written.
struct Style {
    newline: String,
    /// One level of indentation.
    unit: String,
}

impl Style {
    fn of(text: &str, read: &Read) -> Self {
        let first = text.find('\n').and_then(|at| text.get(..at));
        let newline = if first.is_some_and(|line| line.ends_with('\r')) { "\r\n" } else { "\n" };
        let unit = read.root.as_ref().and_then(|root| root.indent(text)).filter(|indent| !indent.is_empty());
        Self { newline: newline.to_owned(), unit: unit.unwrap_or_else(|| "  ".to_owned()) }
    }

    fn rendered(&self, value: &Value, indent: &str, inline: bool) -> String {
        if inline {
            return value.to_string();
        }
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(self.unit.as_bytes());
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        // A value in memory can be written to memory, and is UTF-8.
        let written = value.serialize(&mut serializer).ok().and_then(|()| String::from_utf8(bytes).ok());
        // Line breaks within strings are escaped: each that is left ends a line.
        written.unwrap_or_default().replace('\n', &format!("{}{indent}", self.newline))
    }
}

/// The text with `entry` as the first one of `table`, whose entries are `depth` levels deep.
fn inserted(text: &str, table: &Table, entry: &str, style: &Style, depth: usize) -> String {
    let Style { newline, unit } = style;
    let comma = if table.children.is_empty() { "" } else { "," };
    if table.is_inline(text)
        && let Some(first) = table.children.first()
    {
        return spliced(text, &[(first.range.start..first.range.start, &format!("{entry}, "))]);
    }
    let open = table.range.start + 1;
    let inner = text.get(open..table.range.end - 1).unwrap_or_default();
    let indent = table.indent(text).unwrap_or_else(|| unit.repeat(depth));
    if !inner.contains('\n') {
        let end = unit.repeat(depth - 1);
        return spliced(text, &[(open..open, &format!("{newline}{indent}{entry}{comma}{newline}{end}"))]);
    }
    // A comment on the line of the bracket belongs to the bracket.
    let line = inner.split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    let at = if line.trim_start().starts_with("//") { open + line.len() } else { open };
    spliced(text, &[(at..at, &format!("{newline}{indent}{entry}{comma}"))])
}

/// The place of the comma that follows, behind blanks and comments.
fn comma_after(text: &str, mut at: usize) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        let blank = rest.len() - rest.trim_start().len();
        let rest = rest.trim_start();
        at += blank;
        if rest.starts_with(',') {
            return Some(at);
        }
        at += if rest.starts_with("//") {
            rest.find('\n')?
        } else if rest.starts_with("/*") {
            rest.get(2..)?.find("*/")? + 4
        } else {
            return None;
        };
    }
}

/// Whether the text before `at` ends within a comment that goes to the end of its line.
fn is_commented(text: &str, at: usize) -> bool {
    let mut rest = text.get(..at).unwrap_or_default();
    loop {
        let Some(next) = rest.find(['"', '/']) else { return false };
        rest = rest.get(next..).unwrap_or_default();
        let length = if rest.starts_with("//") {
            let Some(end) = rest.find('\n') else { return true };
            end
        } else if rest.starts_with("/*") {
            let Some(end) = rest.get(2..).and_then(|rest| rest.find("*/")) else { return false };
            end + 4
        } else if rest.starts_with('"') {
            let mut is_escaped = false;
            let is_end = |char: char| {
                let ends = char == '"' && !is_escaped;
                is_escaped = char == '\\' && !is_escaped;
                ends
            };
            let Some(end) = rest.get(1..).and_then(|rest| rest.find(is_end)) else { return false };
            end + 2
        } else {
            1
        };
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// The text with other text in the place of these parts, which are in order.
fn spliced(text: &str, parts: &[(Range<usize>, &str)]) -> String {
    let mut made = String::with_capacity(text.len());
    let mut from = 0;
    for (range, other) in parts {
        made.push_str(text.get(from..range.start).unwrap_or_default());
        made.push_str(other);
        from = range.end;
    }
    made.push_str(text.get(from..).unwrap_or_default());
    made
}

#[cfg(test)]
#[path = "tests_edit.rs"]
mod tests;
