//! The forms of Markdown inside a line: emphasis, links, code, table rows, and the escapes that keep text text.

use crate::base::bound::TABLE_COLUMNS_MAX;

/// The form of a run of text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Inline {
    Plain,
    Strong,
    Emphasis,
    Strike,
    Code,
    Link(String),
    /// A table cell: everything in it becomes one line.
    Cell,
}

pub(super) fn row(cells: &[String]) -> String {
    let (kept, more) = cells.split_at(cells.len().min(TABLE_COLUMNS_MAX));
    let mut line = String::from("|");
    for cell in kept {
        line.push(' ');
        line.push_str(cell);
        line.push_str(" |");
    }
    if !more.is_empty() {
        line.truncate(line.len() - 1);
        line.push_str(&more.join(" "));
        line.push_str(" |");
    }
    line
}

/// Text in its form, with the white space at its ends left outside.
pub(super) fn formed(inline: &Inline, text: &str) -> String {
    let inner = text.trim();
    if inner.is_empty() {
        return if text.is_empty() { String::new() } else { " ".to_owned() };
    }
    let before = if text.starts_with(char::is_whitespace) { " " } else { "" };
    let after = if text.ends_with(char::is_whitespace) { " " } else { "" };
    let inner = match inline {
        Inline::Plain | Inline::Cell => return text.to_owned(),
        Inline::Strong => format!("**{inner}**"),
        Inline::Emphasis => format!("*{inner}*"),
        Inline::Strike => format!("~~{inner}~~"),
        Inline::Code => code_span(inner),
        Inline::Link(url) => format!("[{inner}]({url})"),
    };
    format!("{before}{inner}{after}")
}

#[must_use]
pub(super) fn code_span(code: &str) -> String {
    let ticks = "`".repeat(longest_run(code) + 1);
    let pad = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{code}{pad}{ticks}")
}

/// Three backticks, or one more than the longest run in the code.
#[must_use]
pub(super) fn fence_for(code: &str) -> String {
    "`".repeat((longest_run(code) + 1).max(3))
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Zero-width characters and soft hyphens: of no use to a reader, and a place to hide.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

pub(super) fn needs_escape(last: Option<char>, c: char, next: Option<char>) -> bool {
    let is_word = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
    let is_gap = |it: Option<char>| it.is_none_or(char::is_whitespace);
    match c {
        '\\' => next.is_some_and(|it| it.is_ascii_punctuation()),
        '`' => true,
        '*' => !(is_gap(last) && is_gap(next)),
        '_' => !(is_word(last) && is_word(next) || is_gap(last) && is_gap(next)),
        '<' => next.is_some_and(|it| it.is_ascii_alphabetic() || matches!(it, '/' | '!' | '?')),
        ']' => next.is_some_and(|it| matches!(it, '(' | '[' | ':')),
        '&' => next.is_some_and(|it| it.is_ascii_alphanumeric() || it == '#'),
        _ => false,
    }
}

/// Escapes what would make a line of a paragraph a heading, list, quote or rule.
#[must_use]
pub(super) fn escape_line_start(line: &str) -> String {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=9).contains(&digits) && line.get(digits..).is_some_and(|it| it.starts_with(['.', ')'])) {
        let (number, rest) = line.split_at(digits);
        return if rest.len() == 1 || rest.get(1..).is_some_and(|it| it.starts_with(' ')) {
            format!("{number}\\{rest}")
        } else {
            line.to_owned()
        };
    }
    let Some(first) = line.chars().next() else {
        return String::new();
    };
    let next = line.chars().nth(1);
    let is_marker = match first {
        '#' | '>' | '=' => true,
        '-' | '+' => next.is_none_or(|it| it == ' ' || it == first),
        '*' | '_' => next.is_none_or(|it| it == ' '),
        '~' => line.starts_with("~~~"),
        _ => false,
    };
    if is_marker { format!("\\{line}") } else { line.to_owned() }
}
