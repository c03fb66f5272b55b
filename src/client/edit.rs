//! Puts a named entry into a text of JSON with comments, and takes it out again; every other byte stays as it is.

use std::ops::Range;

use jsonc_parser::ast::{self, ObjectPropName};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde::Serialize as _;
use serde_json::Value;

use crate::base::bound::client as bound;

/// Where an entry stands: in a table at the root of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// `mcpServers`
    pub table: &'static str,
    /// `sekisho`
    pub name: &'static str,
    pub kind: Kind,
}

/// How entries of a table are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The table is an object, and the name is a key.
    Member,
    /// The table is an array of objects, and the name is the value of their `id`.
    Element,
}

/// Why a text cannot be edited. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("it is not JSON with comments: {0}")]
    NotJson(String),
    #[error("it is nested deeper than {} levels", bound::CLIENT_FILE_DEPTH_MAX)]
    TooDeep,
    #[error("expected {expected} {place}, found something else")]
    Other { place: String, expected: &'static str },
    #[error("{0} is there twice, and only its client knows which one counts; remove one")]
    Twice(String),
    #[error("{0} cannot be taken out of it without changing something else; take it out by hand")]
    Entangled(&'static str),
}

/// A table that is there.
struct Table {
    range: Range<usize>,
    children: Vec<Child>,
}

/// An entry that is there, of whatever server.
struct Child {
    name: Option<String>,
    range: Range<usize>,
    value: Range<usize>,
}

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

/// What matters of a document.
struct Read {
    root: Option<Table>,
    table: Option<Table>,
    /// All values but the entry in the slot, without blanks and comments.
    others: String,
}

fn read(text: &str, slot: Slot) -> Result<Read, EditError> {
    check_depth(text)?;
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_extended_string_escapes: false,
        allow_non_finite_numbers: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options);
    let parsed = parsed.map_err(|error| EditError::NotJson(error.to_string()))?;
    let root = match parsed.value {
        None => return Ok(Read { root: None, table: None, others: String::new() }),
        Some(ast::Value::Object(root)) => root,
        Some(_) => return Err(EditError::Other { place: "at its root".into(), expected: "an object" }),
    };
    let mut found = root.properties.iter().filter(|property| name_of(&property.name) == slot.table);
    let table = found.next();
    if found.next().is_some() {
        return Err(EditError::Twice(slot.table.to_owned()));
    }
    let other = |expected| EditError::Other { place: format!("in {}", slot.table), expected };
    let table = match (table.map(|property| &property.value), slot.kind) {
        (None, _) => None,
        (Some(ast::Value::Object(object)), Kind::Member) => Some(Table::of_object(object)),
        (Some(ast::Value::Array(array)), Kind::Element) => Some(Table::of_array(array)),
        (Some(_), Kind::Member) => return Err(other("an object")),
        (Some(_), Kind::Element) => return Err(other("an array")),
    };
    if table.as_ref().is_some_and(|table| table.children.iter().filter(|child| child.is(slot)).count() > 1) {
        return Err(EditError::Twice(format!("{} in {}", slot.name, slot.table)));
    }
    let mut others = String::new();
    let within = Within { slot, is_table: false };
    write_others(&mut others, text, &ast::Value::Object(root.clone()), Some(within));
    Ok(Read { root: Some(Table::of_object(&root)), table, others })
}

/// Where in the document a value stands, as far as that matters for the entry in a slot.
#[derive(Clone, Copy)]
struct Within {
    slot: Slot,
    /// It is the slot's table; else it is the root.
    is_table: bool,
}

/// Writes what a value is, in the words of the text, and leaves the entry in the slot out.
fn write_others(out: &mut String, text: &str, value: &ast::Value<'_>, within: Option<Within>) {
    match value {
        ast::Value::Object(object) => {
            out.push('{');
            for property in &object.properties {
                let name = name_of(&property.name);
                let inner = match within {
                    Some(Within { slot, is_table: true }) if slot.kind == Kind::Member && name == slot.name => continue,
                    Some(Within { slot, is_table: false }) if name == slot.table => {
                        Some(Within { slot, is_table: true })
                    }
                    _ => None,
                };
                out.push_str(&quoted(name));
                out.push(':');
                write_others(out, text, &property.value, inner);
                out.push(',');
            }
            out.push('}');
        }
        ast::Value::Array(array) => {
            out.push('[');
            for element in &array.elements {
                let is_ours =
                    |within: Within| within.slot.kind == Kind::Element && id_of(element) == Some(within.slot.name);
                if within.is_some_and(is_ours) {
                    continue;
                }
                write_others(out, text, element, None);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(text.get(range_of(other.range())).unwrap_or_default()),
    }
}

/// The `id` of an element of an array.
fn id_of<'a>(element: &'a ast::Value<'_>) -> Option<&'a str> {
    let ast::Value::Object(object) = element else { return None };
    object.get_string("id").map(|id| id.value.as_ref())
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

/// The parser calls itself for each level.
fn check_depth(text: &str) -> Result<(), EditError> {
    let mut bytes = text.bytes().peekable();
    let (mut depth, mut quoted) = (0_usize, false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            b'/' if !quoted && bytes.peek() == Some(&b'/') => {
                while bytes.peek().is_some_and(|byte| *byte != b'\n') {
                    bytes.next();
                }
            }
            b'/' if !quoted && bytes.peek() == Some(&b'*') => {
                bytes.next();
                let mut last = b' ';
                for byte in bytes.by_ref() {
                    if (last, byte) == (b'*', b'/') {
                        break;
                    }
                    last = byte;
                }
            }
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > bound::CLIENT_FILE_DEPTH_MAX {
            return Err(EditError::TooDeep);
        }
    }
    Ok(())
}

impl Table {
    fn of_object(object: &ast::Object<'_>) -> Self {
        let child = |property: &ast::ObjectProp<'_>| Child {
            name: Some(name_of(&property.name).to_owned()),
            range: range_of(property.range()),
            value: range_of(property.value.range()),
        };
        Self { range: range_of(object.range()), children: object.properties.iter().map(child).collect() }
    }

    fn of_array(array: &ast::Array<'_>) -> Self {
        let child = |element: &ast::Value<'_>| {
            let name = id_of(element).map(str::to_owned);
            Child { name, range: range_of(element.range()), value: range_of(element.range()) }
        };
        Self { range: range_of(array.range()), children: array.elements.iter().map(child).collect() }
    }

    /// Whether it has entries, all on one line.
    fn is_inline(&self, text: &str) -> bool {
        !self.children.is_empty() && text.get(self.range.clone()).is_some_and(|inner| !inner.contains('\n'))
    }

    /// How far its entries stand from the margin, if they stand on lines of their own.
    fn indent(&self, text: &str) -> Option<String> {
        let before = text.get(..self.children.first()?.range.start)?;
        let line = before.rsplit('\n').next()?;
        (before.contains('\n') && line.trim_matches([' ', '\t']).is_empty()).then(|| line.to_owned())
    }
}

impl Child {
    fn is(&self, slot: Slot) -> bool {
        self.name.as_deref() == Some(slot.name)
    }
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

fn name_of<'a>(name: &'a ObjectPropName<'a>) -> &'a str {
    name.as_str()
}

fn range_of(range: jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

#[cfg(test)]
#[path = "tests_edit.rs"]
mod tests;
