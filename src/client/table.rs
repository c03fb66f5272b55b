//! What stands in a text of JSON with comments, and where: its tables and their entries.

use std::ops::Range;

use jsonc_parser::ast::{self, ObjectPropName};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
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
pub(super) struct Table {
    pub(super) range: Range<usize>,
    pub(super) children: Vec<Child>,
}

/// An entry that is there, of whatever server.
pub(super) struct Child {
    pub(super) name: Option<String>,
    pub(super) range: Range<usize>,
    pub(super) value: Range<usize>,
}

/// What matters of a document.
pub(super) struct Read {
    pub(super) root: Option<Table>,
    pub(super) table: Option<Table>,
    /// All values but the entry in the slot, without blanks and comments.
    pub(super) others: String,
}

/// Reads a document with comments, whose entries are those of `slot`.
pub(super) fn read(text: &str, slot: Slot) -> Result<Read, EditError> {
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
    pub(super) fn is_inline(&self, text: &str) -> bool {
        !self.children.is_empty() && text.get(self.range.clone()).is_some_and(|inner| !inner.contains('\n'))
    }

    /// How far its entries stand from the margin, if they stand on lines of their own.
    pub(super) fn indent(&self, text: &str) -> Option<String> {
        let before = text.get(..self.children.first()?.range.start)?;
        let line = before.rsplit('\n').next()?;
        (before.contains('\n') && line.trim_matches([' ', '\t']).is_empty()).then(|| line.to_owned())
    }
}

impl Child {
    pub(super) fn is(&self, slot: Slot) -> bool {
        self.name.as_deref() == Some(slot.name)
    }
}

fn name_of<'a>(name: &'a ObjectPropName<'a>) -> &'a str {
    name.as_str()
}

fn range_of(range: jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

/// As a string of JSON.
pub(super) fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}
