//! reStructuredText inside a paragraph: literals, links, roles and substitutions.

use std::collections::BTreeMap;

use super::allowance::Allowance;
use super::form::code_span;
use crate::base::bound::LINK_BYTES_MAX;

/// Names defined anywhere in a file: `.. _name: url` and `.. |name| replace:: text`.
#[derive(Debug, Default)]
pub(super) struct Targets {
    urls: BTreeMap<String, String>,
    texts: BTreeMap<String, String>,
    pub(super) allowance: Allowance,
}

/// Names, roles and words longer than this are prose.
const NAME_BYTES_MAX: usize = 128;

impl Targets {
    pub(super) fn of(lines: &[&str]) -> Targets {
        let mut targets = Targets::default();
        for line in lines {
            let Some(text) = line.trim().strip_prefix(".. ") else {
                continue;
            };
            if let Some((name, url)) = text.strip_prefix('_').and_then(|it| it.split_once(": ")) {
                let url = url.trim();
                let is_url = (1..=LINK_BYTES_MAX).contains(&url.len()) && !url.contains(' ');
                if name.len() <= NAME_BYTES_MAX && is_url {
                    targets.urls.insert(key(name), url.to_owned());
                }
            } else if let Some((name, text)) = text.strip_prefix('|').and_then(|it| it.split_once("| replace::")) {
                // Short, because it is repeated wherever its name is.
                if name.len() <= NAME_BYTES_MAX && text.len() <= NAME_BYTES_MAX {
                    targets.texts.insert(name.to_owned(), text.trim().to_owned());
                }
            }
        }
        targets
    }

    fn url(&self, name: &str) -> Option<&str> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let url = self.urls.get(&key(name))?;
        // `.. _name: other_` points to another name.
        let url = url.strip_suffix('_').and_then(|it| self.urls.get(&key(it))).unwrap_or(url);
        self.allowance.take(url.len()).then_some(url)
    }
}

fn key(name: &str) -> String {
    name.trim_matches('`').split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

pub(super) fn inline(text: &str, targets: &Targets) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut has_literals = true;
    while let Some(c) = rest.chars().next() {
        let after_word = out.chars().next_back().is_some_and(char::is_alphanumeric);
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let taken = match c {
            '`' if rest.starts_with("``") => {
                let literal = if has_literals { rest.get(2..).and_then(|it| it.split_once("``")) } else { None };
                has_literals = literal.is_some();
                literal
                    .map(|(code, after)| (code_of(code), after))
                    .or_else(|| rest.get(2..).map(|after| ("``".to_owned(), after)))
            }
            '`' => after
                .split_once('`')
                .filter(|(it, _)| !it.is_empty())
                .map(|(inside, after)| quoted(inside, after, targets)),
            ':' if !after_word => role(after),
            '|' => substitution(after, targets),
            '_' if after_word && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_') => {
                reference(&mut out, after, targets)
            }
            ']' if after.starts_with('_') => after.strip_prefix('_').map(|after| ("]".to_owned(), after)),
            '\\' if after.starts_with(' ') => after.strip_prefix(' ').map(|after| (String::new(), after)),
            '<' if after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') => Some(("\\<".to_owned(), after)),
            _ => None,
        };
        if let Some((written, after)) = taken {
            out.push_str(&written);
            rest = after;
        } else {
            out.push(c);
            rest = after;
        }
    }
    out
}

fn code_of(code: &str) -> String {
    let code = code.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
    if code.trim().is_empty() { String::new() } else { code_span(code.trim()) }
}

/// What stands between single backticks: a link, or text in the default role.
fn quoted<'a>(inside: &str, after: &'a str, targets: &Targets) -> (String, &'a str) {
    let Some(after_link) = after.strip_prefix("__").or_else(|| after.strip_prefix('_')) else {
        return (code_of(inside), after);
    };
    let (text, target) = split_target(inside);
    let url = target.and_then(|it| it.strip_suffix('_').and_then(|it| targets.url(it)).or(Some(it)));
    let written = match url.or_else(|| targets.url(&text)) {
        Some(url) if !url.contains(['(', ')', '<', '>']) => format!("[{text}]({url})"),
        Some(url) => format!("[{text}](<{}>)", url.replace(['<', '>'], "")),
        None => text,
    };
    (written, after_link)
}

/// `text <target>` -> the text, and the target without white space.
fn split_target(inside: &str) -> (String, Option<&str>) {
    let words = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
    match inside.trim_end().strip_suffix('>').and_then(|it| it.rsplit_once('<')) {
        Some((text, target)) if !target.contains(char::is_whitespace) => {
            let text = if text.trim().is_empty() { target } else { text };
            (words(text), Some(target))
        }
        _ => (words(inside), None),
    }
}

/// A role and its text: code for the roles that name code, else the text.
fn role(after: &str) -> Option<(String, &str)> {
    let len = after
        .bytes()
        .take(NAME_BYTES_MAX)
        .take_while(|it| it.is_ascii_alphanumeric() || matches!(it, b':' | b'-' | b'_' | b'+' | b'.'))
        .count();
    let (role, rest) = after.split_at_checked(len)?;
    let role = role.strip_suffix(':').filter(|it| !it.is_empty())?;
    let (inside, after) = rest.strip_prefix('`')?.split_once('`')?;
    let (text, _) = split_target(inside);
    let text = text.trim_start_matches('!');
    let text = text.strip_prefix('~').map_or(text, |it| it.rsplit('.').next().unwrap_or(it));
    let is_prose = matches!(
        role.rsplit(':').next().unwrap_or(role),
        "ref"
            | "doc"
            | "term"
            | "abbr"
            | "emphasis"
            | "strong"
            | "title"
            | "dfn"
            | "numref"
            | "sub"
            | "sup"
            | "any"
            | "pep"
            | "rfc"
            | "guilabel"
            | "menuselection"
            | "download"
    );
    Some((if is_prose { text.to_owned() } else { code_of(text) }, after))
}

fn substitution<'a>(after: &'a str, targets: &Targets) -> Option<(String, &'a str)> {
    if targets.texts.is_empty() {
        return None;
    }
    let end = after.bytes().take(NAME_BYTES_MAX).position(|it| it == b'|')?;
    let text = targets.texts.get(after.get(..end)?).filter(|text| targets.allowance.take(text.len()))?;
    Some((text.clone(), after.get(end + 1..)?))
}

/// `name_`, where `name` was just written.
fn reference<'a>(out: &mut String, after: &'a str, targets: &Targets) -> Option<(String, &'a str)> {
    if targets.urls.is_empty() {
        return None;
    }
    let start = out
        .char_indices()
        .rev()
        .take(NAME_BYTES_MAX)
        .take_while(|(_, c)| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))
        .last()
        .map(|(at, _)| at)?;
    let name = out.get(start..)?.to_owned();
    let url = targets.url(&name)?;
    out.truncate(start);
    Some((format!("[{name}]({url})"), after))
}
