//! JSON lines: all that an entry says, lossless, one object a line.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};

use super::text::is_hostile;
use super::{FIELDS, Field, Shown};

/// The fields of `FIELDS`, in that order; what is absent is left out. `at` is RFC 3339 in UTC, `subject` a pseudonym.
pub(super) fn line(shown: &Shown<'_>, out: &mut impl Write) -> io::Result<()> {
    write(&Object(shown), out)
}

/// A value as one line of JSON. Strings keep what they say, but hostile characters are always escaped: `serde_json`
/// itself leaves DEL, C1, line separators and bidirectional marks as they are.
pub(in crate::audit) fn write(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Escaping))?;
    out.write_all(b"\n")
}

struct Object<'a>(&'a Shown<'a>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, field) in FIELDS.iter().zip(self.0.fields()) {
            match field {
                Field::Absent => {}
                Field::Text(text) => map.serialize_entry(name, &text)?,
                Field::Number(number) => map.serialize_entry(name, &number)?,
            }
        }
        map.end()
    }
}

/// The compact form, with more escapes (RFC 8259, section 7).
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_hostile) {
            let (harmless, from) = rest.split_at(at);
            CompactFormatter.write_string_fragment(writer, harmless)?;
            let mut chars = from.chars();
            // All hostile characters are below U+10000, so each is one escape.
            if let Some(hostile) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(hostile))?;
            }
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(writer, rest)
    }
}
