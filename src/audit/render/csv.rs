//! Comma-separated values (RFC 4180), for spreadsheets: a header line, and a record a line, each ended by CRLF.
//!
//! Two things are not as in the leaf, because there is no escape for them: control characters, line breaks among them,
//! are shown by stand-ins (`text::visible`), and a cell that a spreadsheet would run as a formula has a leading
//! apostrophe. What must be exact is read from JSON lines.

use std::borrow::Cow;
use std::io::{self, Write};

use ::csv::{Terminator, WriterBuilder};

use super::text::visible;
use super::{FIELDS, Field, Shown};

/// The buffer for one record; a longer one passes in pieces.
const RECORD_BYTES: usize = 1024;

/// The names of the fields.
pub(super) fn heading(out: &mut impl Write) -> io::Result<()> {
    record(FIELDS.map(Cow::Borrowed), out)
}

/// The fields of `FIELDS`; what is absent is an empty cell.
pub(super) fn line(shown: &Shown<'_>, out: &mut impl Write) -> io::Result<()> {
    let cells = shown.fields().map(|field| match field {
        Field::Absent => Cow::Borrowed(""),
        Field::Text(text) => Cow::Owned(cell(&text)),
        Field::Number(number) => Cow::Owned(number.to_string()),
    });
    record(cells, out)
}

fn record(cells: [Cow<'_, str>; FIELDS.len()], out: &mut impl Write) -> io::Result<()> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).buffer_capacity(RECORD_BYTES).from_writer(out);
    writer.write_record(cells.iter().map(|cell| cell.as_bytes()))?;
    writer.flush()
}

/// A cell that is only ever text. Spreadsheets run what begins with `=`, `+`, `-`, `@`, a tab or a line break, also
/// after spaces and, in Japanese and Chinese ones, in full width (OWASP, CSV injection).
fn cell(text: &str) -> String {
    let begins = text.trim_start_matches(' ').chars().next();
    let formula = |char| matches!(char, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    let apostrophe = if begins.is_some_and(formula) { "'" } else { "" };
    format!("{apostrophe}{}", visible(text))
}
