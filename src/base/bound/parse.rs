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
/// Attributes of an `AsciiDoc` document that are put in place of their names.
pub const ASCIIDOC_ATTRIBUTES_MAX: usize = 256;
/// Bytes of the value of such an attribute, since it is repeated wherever its name stands.
pub const ASCIIDOC_ATTRIBUTE_BYTES_MAX: usize = 128;
/// Bytes in which the end of a form inside a paragraph is looked for.
pub const ASCIIDOC_FORM_BYTES_MAX: usize = 1_000;
/// Levels of a schema that a page about an operation of an API shows.
pub const API_SCHEMA_LEVELS_MAX: usize = 4;
/// Values of the schemas of one such page.
pub const API_SCHEMA_ROWS_MAX: usize = 400;
/// Depth of open HTML elements; deeper ones keep their text and lose their form. Browsers stop at 512.
pub const HTML_DEPTH_MAX: usize = 256;
/// Attributes read of one HTML tag; the rest are skipped, so that a tag of a million attributes costs nothing.
pub const HTML_ATTRIBUTES_MAX: usize = 64;
/// Nested lists and quotes, and nested emphasis, that keep their form: each level is a prefix on every line below it.
pub const HTML_INDENT_LEVELS_MAX: usize = 16;
/// The number of an item of a list: nine digits are the most that Markdown takes (`CommonMark` 0.31, section 5.2).
pub const LIST_NUMBER_MAX: u64 = 999_999_999;
/// Columns of a converted table; cells beyond are appended to the last one.
pub const TABLE_COLUMNS_MAX: usize = 128;
/// A link target that is kept; longer ones are data, and the text of the link stays.
pub const LINK_BYTES_MAX: usize = 2 * 1024;
/// A JSX tag or comment with all its attributes; the longest known is 2 KB. What does not end within is text.
pub const JSX_TAG_BYTES_MAX: usize = 16 * 1024;
/// A top-level `import` or `export` statement; exported data may be long. What does not end within is text.
pub const JSX_STATEMENT_BYTES_MAX: usize = 64 * 1024;
/// Characters that may be read in vain looking for the ends of JSX tags, as a multiple of the document's length.
/// Beyond it the rest stays as it is: this keeps a page of unfinished tags linear.
pub const JSX_WASTE_RATIO_MAX: usize = 16;
/// Lines of the commands that a JSX tag shows: nobody types more.
pub const JSX_SHOWN_LINES_MAX: usize = 200;
/// Spaces before a JSX tag that shows commands, for each of their lines is given them: lists nest no deeper.
pub const JSX_SHOWN_INDENT_BYTES_MAX: usize = 64;
/// What all JSX tags of a document show, as a multiple of its length: indents of commands are all that is added.
pub const JSX_SHOWN_RATIO_MAX: usize = 2;
/// Bytes that a document's own abbreviations add to it: attributes of `AsciiDoc`, targets of reStructuredText. A manual
/// that names its product in each line adds a tenth of this.
pub const ABBREVIATED_BYTES_MAX: usize = 4 << 20;
/// Nested block quotes and lists that a Markdown line may open. Markdown parsers look at each open level on
/// each line, so depth times lines must stay small; prose never passes 10.
pub const MARKDOWN_NESTING_MAX: usize = 100;
/// A file of a Git checkout that says at which commit it stands: a large list of branches.
pub const GIT_FILE_BYTES_MAX: u64 = 4 << 20;
