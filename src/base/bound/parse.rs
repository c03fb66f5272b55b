//! Limits of the formats that documents come in, beside those that all documents share.

/// Lines of what a notebook's cell printed: the answer stands in the first ones, the rest is a log.
pub const NOTEBOOK_OUTPUT_LINES_MAX: usize = 40;
/// Bytes of what a notebook's cell printed.
pub const NOTEBOOK_OUTPUT_BYTES_MAX: usize = 4 << 10;
/// A part of a DOCX file once it is unpacked: markup takes ten times the text.
pub const DOCX_PART_BYTES_MAX: usize = 64 << 20;
/// Styles, lists and links of a DOCX file: large templates have a few hundred.
pub const DOCX_STYLES_MAX: usize = 10_000;
/// Levels of a list (ECMA-376, part 1, section 17.9).
pub const DOCX_LIST_LEVELS_MAX: usize = 9;
/// Pages of a PDF that are read: a thousand is a thick book.
pub const PDF_PAGES_MAX: usize = 5_000;
/// Attributes of an AsciiDoc document that are put in place of their names.
pub const ASCIIDOC_ATTRIBUTES_MAX: usize = 256;
/// Bytes of the value of such an attribute, since it is repeated wherever its name stands.
pub const ASCIIDOC_ATTRIBUTE_BYTES_MAX: usize = 128;
/// Bytes in which the end of a form inside a paragraph is looked for.
pub const ASCIIDOC_FORM_BYTES_MAX: usize = 1_000;
/// Levels of a schema that a page about an operation of an API shows.
pub const API_SCHEMA_LEVELS_MAX: usize = 4;
/// Values of the schemas of one such page.
pub const API_SCHEMA_ROWS_MAX: usize = 400;
