//! What a line of reStructuredText is: a field, an adornment, a table border, a list item; and directives' labels.

/// The bold label of an admonition, or the argument of an unknown directive.
pub(super) fn label(name: &str, argument: &str) -> String {
    let name = name.rsplit(':').next().unwrap_or(name);
    let shown = match name {
        "note" | "warning" | "tip" | "important" | "caution" | "danger" | "error" | "hint" | "attention" | "todo" => {
            let mut chars = name.chars();
            chars.next().map(|it| it.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
        }
        "seealso" => "See also".to_owned(),
        "versionadded" => return format!("**New in version {argument}**"),
        "versionchanged" => return format!("**Changed in version {argument}**"),
        "deprecated" => return format!("**Deprecated since version {argument}**"),
        "admonition" | "topic" | "sidebar" | "rubric" if !argument.is_empty() => {
            return format!("**{argument}**");
        }
        "function" | "class" | "method" | "attribute" | "data" | "option" | "envvar" | "exception" | "describe"
        | "confval"
            if !argument.is_empty() =>
        {
            return format!("``{argument}``");
        }
        _ => return String::new(),
    };
    if argument.is_empty() { format!("**{shown}**") } else { format!("**{shown}**: {argument}") }
}

/// `:name: value`.
pub(super) fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix(':')?.split_once(':')?;
    let is_name = !name.is_empty() && !name.starts_with(' ') && !name.contains('`');
    (is_name && (value.is_empty() || value.starts_with(' '))).then_some((name, value.trim()))
}

/// The sign of a line that is one sign repeated.
pub(super) fn adornment(line: &str) -> Option<char> {
    let sign = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() >= 2 && line != "::" && line != ".." && line.chars().all(|it| it == sign)).then_some(sign)
}

pub(super) fn is_table_border(text: &str) -> bool {
    let is_grid = text.starts_with("+-") && text.ends_with('+') && text.bytes().all(|it| matches!(it, b'+' | b'-'));
    let is_simple = text.starts_with("==")
        && text.contains("= =") | text.contains("=  =")
        && text.bytes().all(|it| matches!(it, b'=' | b' '));
    is_grid || is_simple
}

/// The width of a list marker with the space after it.
pub(super) fn marker_width(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = match text.as_bytes().first()? {
        b'-' | b'*' | b'+' => text.get(1..)?,
        b'#' => text.strip_prefix("#.")?,
        _ if (1..=9).contains(&digits) => text.get(digits..)?.strip_prefix(['.', ')'])?,
        _ => return None,
    };
    let spaces = rest.bytes().take_while(|it| *it == b' ').count();
    (spaces > 0).then(|| text.len() - rest.len() + spaces.min(4))
}

pub(super) fn indent_of(line: &str) -> usize {
    line.bytes().take_while(|it| matches!(it, b' ' | b'\t')).count()
}
