//! What follows `..` in reStructuredText: labels, directives, footnotes and comments.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Converter;
use crate::library::parse::form::escape_line_start;
use crate::library::parse::restructured_inline::inline;
use crate::library::parse::restructured_line::{field, indent_of, label};

struct Directive<'a> {
    name: &'a str,
    argument: &'a str,
    options: BTreeMap<&'a str, &'a str>,
}

impl Converter {
    /// What follows `..`: a label, a directive, a footnote or a comment.
    pub(super) fn explicit(&mut self, lines: &[&str], at: usize, indent: usize, text: &str) -> usize {
        let end = self.body_end(at + 1, indent);
        if let Some(name) = text.strip_prefix('_').and_then(|it| it.strip_suffix(':')) {
            let name = name.trim_matches('`');
            self.label = (!name.contains(char::is_whitespace) && name.len() < 256).then(|| name.to_owned());
            return at + 1;
        }
        if text.starts_with('[') && text.contains(']') {
            self.paragraph.push(text.to_owned());
            return at + 1;
        }
        let directive = text.split_once("::").filter(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '+'))
        });
        let Some((name, argument)) = directive else {
            return end;
        };
        // Options come first, at the indent of the body.
        let mut body = at + 1;
        let mut options = BTreeMap::new();
        while let Some((name, value)) = lines.get(body).filter(|_| body < end).and_then(|it| field(it.trim())) {
            options.insert(name, value);
            body += 1;
        }
        self.directive(Directive { name, argument: argument.trim(), options }, lines, body..end)
    }

    fn directive(&mut self, directive: Directive<'_>, lines: &[&str], body: Range<usize>) -> usize {
        let Directive { name, argument, options } = directive;
        let content = lines.get(body.clone()).unwrap_or_default();
        match name {
            "code-block" | "code" | "sourcecode" | "parsed-literal" | "prompt" => {
                self.fence(if name == "parsed-literal" { "" } else { argument }, content);
                return body.end;
            }
            "math" => {
                self.fence("math", if content.is_empty() { &[] } else { content });
                return body.end;
            }
            "toctree" | "contents" | "raw" | "include" | "literalinclude" | "index" | "highlight" | "role" | "meta"
            | "default-role" | "currentmodule" | "module" => {
                return body.end;
            }
            "image" | "figure" => {
                if let Some(alt) = options.get("alt") {
                    self.block(&escape_line_start(alt));
                }
            }
            _ => {
                let shown = label(name, argument);
                let mut text = inline(&shown, &self.targets);
                if shown.is_empty() && !argument.is_empty() {
                    text = inline(argument, &self.targets);
                }
                if !text.is_empty() {
                    self.block(&text);
                }
            }
        }
        if let Some(first) = content.iter().find(|it| !it.trim().is_empty()) {
            self.open_body(indent_of(first));
        }
        body.start
    }
}
