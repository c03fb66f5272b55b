//! HTML source to tags and text, in one pass and without a tree.
//!
//! html5ever builds the tree that browsers build, and with it their worst cases: time quadratic in nesting and in the
//! attributes of a tag, and memory multiplied by reopened formatting. Readers need no exact tree, so there is none here:
//! each byte is looked at once, whatever the page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use pulldown_cmark::{Event, Parser};

use crate::base::bound::HTML_ATTRIBUTES_MAX;

#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// As written, entities included.
    Text(&'a str),
    Start(Start<'a>),
    /// The name in lower case.
    End(String),
}

#[derive(Debug, PartialEq)]
pub(super) struct Start<'a> {
    /// In lower case.
    pub(super) name: String,
    attributes: Vec<(&'a str, &'a str)>,
    /// Written `<br/>`.
    pub(super) is_alone: bool,
}

impl<'a> Start<'a> {
    /// The value as written, entities included; empty for a bare attribute.
    #[must_use]
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// Elements whose content is text up to their end tag.
const RAW: [&str; 9] = ["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"];

#[derive(Debug)]
pub(super) struct Tokens<'a> {
    source: &'a str,
    at: usize,
    raw: Option<&'static str>,
}

impl<'a> Tokens<'a> {
    #[must_use]
    pub(super) fn of(source: &'a str) -> Tokens<'a> {
        Tokens { source, at: 0, raw: None }
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, accept: impl Fn(u8) -> bool) -> &'a str {
        let len = self.rest().bytes().take_while(|&it| accept(it)).count();
        let taken = self.rest().get(..len).unwrap_or_default();
        self.at += len;
        taken
    }

    /// Passes everything up to and with `end`, or the rest.
    fn pass(&mut self, end: &str) {
        self.at = self.rest().find(end).map_or(self.source.len(), |it| self.at + it + end.len());
    }

    fn raw_text(&mut self, name: &str) -> &'a str {
        let rest = self.rest();
        let is_end = |at: &usize| {
            let Some(after) = rest.get(at + 2..) else {
                return false;
            };
            after.as_bytes().get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()))
                && after
                    .as_bytes()
                    .get(name.len())
                    .is_none_or(|it| it.is_ascii_whitespace() || matches!(it, b'>' | b'/'))
        };
        let len = rest.match_indices("</").map(|(at, _)| at).find(is_end).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn name(&mut self) -> String {
        self.take(|it| !it.is_ascii_whitespace() && !matches!(it, b'/' | b'>')).to_ascii_lowercase()
    }

    fn start(&mut self) -> Option<Start<'a>> {
        let name = self.name();
        let mut attributes = Vec::new();
        let mut is_alone = false;
        loop {
            let passed = self.take(|it| it.is_ascii_whitespace() || it == b'/');
            if self.peek()? == b'>' {
                self.at += 1;
                is_alone |= passed.ends_with('/');
                return Some(Start { name, attributes, is_alone });
            }
            let attribute = self.attribute()?;
            if attributes.len() < HTML_ATTRIBUTES_MAX {
                attributes.push(attribute);
            }
        }
    }

    fn attribute(&mut self) -> Option<(&'a str, &'a str)> {
        let start = self.at;
        // A name may even start with `=`.
        self.at += self.rest().chars().next()?.len_utf8();
        self.take(|it| !it.is_ascii_whitespace() && !matches!(it, b'/' | b'>' | b'='));
        let name = self.source.get(start..self.at)?;
        let after_name = self.at;
        self.take(|it| it.is_ascii_whitespace());
        if self.peek()? != b'=' {
            self.at = after_name;
            return Some((name, ""));
        }
        self.at += 1;
        self.take(|it| it.is_ascii_whitespace());
        let value = match self.peek()? {
            quote @ (b'"' | b'\'') => {
                self.at += 1;
                let value = self.take(|it| it != quote);
                self.peek()?;
                self.at += 1;
                value
            }
            _ => self.take(|it| !it.is_ascii_whitespace() && it != b'>'),
        };
        Some((name, value))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            let text = self.raw_text(name);
            if !text.is_empty() {
                return Some(Token::Text(text));
            }
        }
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return None;
            }
            let second = rest.as_bytes().get(1).copied().unwrap_or_default();
            if !rest.starts_with('<') || !(second.is_ascii_alphabetic() || matches!(second, b'/' | b'!' | b'?')) {
                let len = rest.bytes().skip(1).position(|it| it == b'<').map_or(rest.len(), |it| it + 1);
                self.at += len;
                return rest.get(..len).map(Token::Text);
            }
            self.at += 1;
            if rest.starts_with("<!--") {
                self.at += 3;
                // `<!-->` is a whole comment.
                if self.rest().starts_with('>') {
                    self.at += 1;
                } else {
                    self.pass("-->");
                }
            } else if rest.starts_with("<![CDATA[") {
                self.pass("]]>");
            } else if second == b'/' {
                self.at += 1;
                let name = self.name();
                self.pass(">");
                if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return Some(Token::End(name));
                }
            } else if matches!(second, b'!' | b'?') {
                self.pass(">");
            } else {
                let Some(start) = self.start() else {
                    self.at = self.source.len();
                    return None;
                };
                self.raw = RAW.into_iter().find(|it| *it == start.name);
                return Some(Token::Start(start));
            }
        }
    }
}

/// Distinct named entities looked up for one page; pages use a dozen.
const NAMES_MAX: usize = 1_000;

/// Decodes entities. The table of names is pulldown-cmark's, asked once for each name.
#[derive(Debug, Default)]
pub(super) struct Entities {
    names: BTreeMap<String, Option<String>>,
}

impl Entities {
    pub(super) fn decode<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if !text.contains('&') {
            return Cow::Borrowed(text);
        }
        let mut decoded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('&') {
            decoded.push_str(before);
            // The longest name has 31 letters.
            let len = after.bytes().take(33).take_while(|it| it.is_ascii_alphanumeric() || *it == b'#').count();
            let name = after.get(..len).unwrap_or_default();
            let found = if after.as_bytes().get(len) == Some(&b';') { self.value(name) } else { None };
            if let Some(value) = found {
                decoded.push_str(&value);
                rest = after.get(len + 1..).unwrap_or_default();
            } else {
                decoded.push('&');
                rest = after;
            }
        }
        decoded.push_str(rest);
        Cow::Owned(decoded)
    }

    fn value(&mut self, name: &str) -> Option<String> {
        if let Some(number) = name.strip_prefix('#') {
            let hex = number.strip_prefix(['x', 'X']).map(|it| u32::from_str_radix(it, 16));
            let code = hex.unwrap_or_else(|| number.parse()).ok()?;
            // A reference to no character is the replacement character, as in browsers.
            return Some(char::from_u32(code).filter(|it| *it != '\0').unwrap_or('\u{FFFD}').to_string());
        }
        match name {
            "" => return None,
            "amp" => return Some("&".to_owned()),
            "lt" => return Some("<".to_owned()),
            "gt" => return Some(">".to_owned()),
            "quot" => return Some("\"".to_owned()),
            "nbsp" => return Some("\u{A0}".to_owned()),
            _ => {}
        }
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        if self.names.len() >= NAMES_MAX {
            return None;
        }
        let written = format!("x&{name};x");
        let read: String = Parser::new(&written)
            .filter_map(|event| if let Event::Text(text) = event { Some(text.into_string()) } else { None })
            .collect();
        let value = (read != written)
            .then(|| read.strip_prefix('x').and_then(|it| it.strip_suffix('x')).map(str::to_owned))
            .flatten();
        self.names.insert(name.to_owned(), value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expect: &str) {
        let tokens: Vec<String> = Tokens::of(source)
            .map(|token| match token {
                Token::Text(text) => format!("'{text}'"),
                Token::Start(it) => {
                    let attributes: String = it.attributes.iter().map(|(n, v)| format!(" {n}={v}")).collect();
                    format!("<{}{attributes}{}>", it.name, if it.is_alone { "/" } else { "" })
                }
                Token::End(name) => format!("</{name}>"),
            })
            .collect();
        assert_eq!(tokens.join(""), expect, "{source}");
    }

    #[test]
    fn tokens_are_found() {
        check("a<B c=\"d>e\" f='g' h=i j>k</B >", "'a'<b c=d>e f=g h=i j=>'k'</b>");
        check("<br/><img src=a/b.png />", "<br/><img src=a/b.png/>");
        check("a < b <3 <- c", "'a ''< b ''<3 ''<- c'");
        check("<!doctype html><!-- a > b -->x<!-->y<?php z ?>", "'x''y'");
        check("<script>if (a</b>) '</div>'</SCRIPT>x", "<script>'if (a</b>) '</div>''</script>'x'");
        check("<title>a<b>c</title>", "<title>'a<b>c'</title>");
        check("<style>a", "<style>'a'");
        check("<a b=\"c", "");
        check("<a", "");
        check("a<", "'a''<'");
        check("</>a</ b>c", "'a''c'");
        check("<é>", "'<é>'");
    }

    #[test]
    fn entities_are_decoded() {
        let check = |source: &str, expect: &str| assert_eq!(Entities::default().decode(source), expect);
        check("a &amp;&lt;&hellip;&eacute; &#38;&#x26; & b &nope; &amp", "a &<…é && & b &nope; &amp");
        check("&#0;&#xD800;&#99999999999;", "\u{FFFD}\u{FFFD}&#99999999999;");
        check("&NotEqualTilde;", "≂̸");
    }
}
