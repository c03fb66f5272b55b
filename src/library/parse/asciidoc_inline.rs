//! `AsciiDoc` inside a paragraph: forms, links, cross references and attributes.
#![allow(clippy::format_push_string, reason = "a line of a page at a time; what it costs is small beside reading it")]

use std::collections::BTreeMap;

use super::allowance::Allowance;
use super::form::code_span;
use crate::base::bound::parse as bound;

/// Attributes of a document, by name: `:name: value`.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    values: BTreeMap<String, String>,
    pub(super) allowance: Allowance,
}

impl Attributes {
    /// Keeps a value that is short, for it is repeated wherever its name stands.
    pub(super) fn set(&mut self, name: String, value: &str) {
        let is_short = value.len() <= bound::ASCIIDOC_ATTRIBUTE_BYTES_MAX;
        if is_short && self.values.len() < bound::ASCIIDOC_ATTRIBUTES_MAX {
            self.values.insert(name, value.to_owned());
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| self.allowance.take(value.len()))
    }
}

pub(super) fn inline(text: &str, attributes: &Attributes) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_word = out.chars().next_back().is_some_and(char::is_alphanumeric);
        let taken = match c {
            '\\' => escaped(rest, &mut out),
            '`' => literal(rest, after_word, &mut out),
            '*' => formed(rest, '*', "**", after_word, attributes, &mut out),
            '_' => formed(rest, '_', "*", after_word, attributes, &mut out),
            '#' => formed(rest, '#', "", after_word, attributes, &mut out),
            '<' => reference(rest, &mut out),
            '{' => attribute(rest, attributes, &mut out),
            '[' => anchor(rest),
            _ if !after_word && c.is_ascii_alphabetic() => named(rest, attributes, &mut out),
            _ => None,
        };
        let taken = taken.unwrap_or_else(|| {
            // What Markdown would take for its own.
            if matches!(c, '*' | '`' | '<' | '[') {
                out.push('\\');
            }
            out.push(c);
            c.len_utf8()
        });
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// As far as the end of a form is looked for.
fn near(text: &str) -> &str {
    text.get(..text.floor_char_boundary(bound::ASCIIDOC_FORM_BYTES_MAX)).unwrap_or_default()
}

fn escaped(rest: &str, out: &mut String) -> Option<usize> {
    let next = rest.chars().nth(1).filter(|next| matches!(next, '*' | '_' | '`' | '#' | '{' | '<' | '['))?;
    out.push('\\');
    out.push(next);
    Some(1 + next.len_utf8())
}

/// `` `code` ``, `` ``co``de ``, `` `+code+` ``.
fn literal(rest: &str, after_word: bool, out: &mut String) -> Option<usize> {
    let ticks = if rest.starts_with("``") { "``" } else { "`" };
    if ticks.len() == 1 && after_word {
        return None;
    }
    let inside = near(rest.get(ticks.len()..)?);
    let end = inside.find(ticks).filter(|end| *end > 0)?;
    let code = inside.get(..end)?;
    let bare = code.strip_prefix('+').and_then(|code| code.strip_suffix('+')).unwrap_or(code);
    out.push_str(&code_span(bare));
    Some(end + 2 * ticks.len())
}

/// `*strong*`, `**st**rong`, and the like.
fn formed(
    rest: &str,
    sign: char,
    mark: &str,
    after_word: bool,
    attributes: &Attributes,
    out: &mut String,
) -> Option<usize> {
    let is_double = rest.chars().nth(1) == Some(sign);
    let width = if is_double { 2 } else { 1 };
    if !is_double && after_word {
        return None;
    }
    let inside = near(rest.get(width..)?);
    let signs = rest.get(..width)?;
    let ends = |end: &usize| {
        let before = inside.get(..*end).and_then(|text| text.chars().next_back());
        let after = inside.get(end + width..).and_then(|text| text.chars().next());
        before.is_some_and(|c| !c.is_whitespace()) && (is_double || !after.is_some_and(char::is_alphanumeric))
    };
    let end = inside.match_indices(signs).map(|(at, _)| at).find(ends)?;
    let text = inside.get(..end).filter(|text| !text.starts_with(char::is_whitespace) && !text.contains(sign))?;
    out.push_str(mark);
    out.push_str(&inline(text, attributes));
    out.push_str(mark);
    Some(end + 2 * width)
}

/// `<<id,text>>`.
fn reference(rest: &str, out: &mut String) -> Option<usize> {
    let inside = near(rest.strip_prefix("<<")?);
    let end = inside.find(">>")?;
    let (id, text) = inside.get(..end)?.split_once(',').unwrap_or((inside.get(..end)?, ""));
    let (id, text) = (id.trim().trim_start_matches('#'), text.trim());
    if id.contains(char::is_whitespace) {
        out.push_str(if text.is_empty() { id } else { text });
    } else {
        link(out, &format!("#{id}"), if text.is_empty() { id } else { text });
    }
    Some(end + 4)
}

fn attribute(rest: &str, attributes: &Attributes, out: &mut String) -> Option<usize> {
    let end = near(rest).find('}')?;
    let name = rest.get(1..end)?;
    out.push_str(match name {
        "nbsp" | "sp" => " ",
        "empty" | "zwsp" => "",
        name => attributes.get(&name.to_lowercase())?,
    });
    Some(end + 1)
}

/// `[[id]]` and the role in front of a form say nothing to a reader.
fn anchor(rest: &str) -> Option<usize> {
    if rest.starts_with("[[") {
        return near(rest).find("]]").map(|end| end + 2);
    }
    let end = near(rest).find(']')?;
    let is_role = rest.starts_with("[.") || rest.starts_with("[#");
    (is_role && rest.get(end + 1..)?.starts_with(['#', '*', '_', '`'])).then_some(end + 1)
}

/// `link:url[text]`, `https://url[text]`, `xref:file[text]`, `image:file[text]`, `kbd:[keys]`, and the like.
fn named(rest: &str, attributes: &Attributes, out: &mut String) -> Option<usize> {
    let name = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let after = rest.get(name..)?.strip_prefix(':')?;
    let near = near(after);
    let open = near.find(['[', ' ', '\t'])?;
    let target = near.get(..open)?;
    let label = rest.get(..name)?;
    let is_url = matches!(label, "https" | "http" | "mailto" | "ftp");
    if !near.get(open..)?.starts_with('[') {
        return None;
    }
    let close = open + near.get(open..)?.find(']')?;
    let text = near.get(open + 1..close)?.trim();
    // The text may be followed by attributes.
    let text = text.split_once(",window=").map_or(text, |(text, _)| text).trim_end_matches('^');
    let shown = |otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { inline(text, attributes) };
    match label {
        "link" => link(out, target, &shown(target)),
        "xref" => {
            let target =
                if target.contains('.') || target.starts_with('#') { target.to_owned() } else { format!("#{target}") };
            link(out, &target, &shown(&target));
        }
        "image" | "icon" => out.push_str(text.split(',').next().unwrap_or_default()),
        "kbd" | "btn" => out.push_str(&code_span(text)),
        "menu" => out.push_str(&format!("{target} > {text}")),
        "footnote" => out.push_str(&format!(" ({})", inline(text, attributes))),
        "pass" | "stem" | "latexmath" => out.push_str(text),
        _ if is_url => link(out, &format!("{label}:{target}"), &shown(&format!("{label}:{target}"))),
        _ => return None,
    }
    Some(name + 1 + close + 1)
}

fn link(out: &mut String, url: &str, text: &str) {
    let is_plain = !url.contains([' ', '(', ')', '<', '>', '\\']);
    let scheme = url.split([':', '/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    if is_plain && !matches!(scheme.as_str(), "javascript" | "data" | "vbscript") {
        out.push_str(&format!("[{text}]({url})"));
    } else {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::*;

    fn check(source: &str, expect: &str) {
        let mut attributes = Attributes::default();
        attributes.set("version".to_owned(), "1.2");
        assert_eq!(inline(source, &attributes), expect, "{source}");
    }

    #[test]
    fn forms_become_markdown() {
        check("a *b* _c_ `d` `+e*+` #f#", "a **b** *c* `d` `e*` f");
        check("un**bold**ed snake_case_name 2*3*4", "un**bold**ed snake_case_name 2\\*3\\*4");
        check("\\*not bold*", "\\*not bold\\*");
        check("v{version} {unknown} {nbsp}x", "v1.2 {unknown}  x");
        check("[.path]`a/b` [[id]]text", "`a/b` text");
    }

    #[test]
    fn links_become_markdown() {
        check("https://a.example[A *b*] and https://b.example/", "[A **b**](https://a.example) and https://b.example/");
        check(
            "link:x.html[X^] xref:other.adoc#p[P] <<intro,Intro>> <<intro>>",
            "[X](x.html) [P](other.adoc#p) [Intro](#intro) [intro](#intro)",
        );
        check("link:javascript:alert(1)[X] image:a.png[Alt,100] kbd:[Ctrl+C] note:x[y]", "X Alt `Ctrl+C` note:x\\[y]");
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "[a-z*_`#<>{}\\[\\]:\\\\ é]{0,200}") {
            inline(&text, &Attributes::default());
        }
    }
}
