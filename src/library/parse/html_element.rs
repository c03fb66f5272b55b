//! What the elements of HTML mean to a reader of text: which hold none, which are hidden, which end a paragraph.

use super::html_token::{Entities, Start};

pub(super) const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Elements without text for a reader.
pub(super) const SKIPPED: [&str; 21] = [
    "script", "style", "nav", "footer", "aside", "template", "noscript", "svg", "button", "select", "textarea",
    "option", "datalist", "iframe", "object", "canvas", "audio", "video", "dialog", "noembed", "noframes",
];

/// Elements that stand in a line of text; all others end the paragraph before them.
pub(super) const INLINE: [&str; 36] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "ins", "kbd", "label", "mark", "math", "output", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strong",
    "sub", "sup", "time", "tt", "u",
];

pub(super) fn heading_level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}

/// Whether an element is not for reading, or hidden from those who read the page: what hides is not for agents either.
pub(super) fn is_skipped(start: &Start<'_>) -> bool {
    let style = || {
        let written = start.attribute("style").unwrap_or_default();
        let style: String = Entities::default().decode(written).chars().filter(|it| !it.is_whitespace()).collect();
        let style = style.to_ascii_lowercase();
        style.contains("display:none") || style.contains("visibility:hidden")
    };
    SKIPPED.contains(&start.name.as_str())
        || start.attribute("hidden").is_some()
        || start.attribute("aria-hidden").is_some_and(|it| it.eq_ignore_ascii_case("true"))
        || matches!(start.attribute("role"), Some("navigation" | "search" | "banner" | "contentinfo"))
        || style()
}

/// The language of code, from `class="language-x"` and its kin.
pub(super) fn language(start: &Start<'_>) -> Option<String> {
    let class = start.attribute("class").filter(|it| it.len() <= 256)?;
    class.split_whitespace().find_map(|class| {
        let language = ["language-", "lang-", "highlight-source-", "highlight-", "sourceCode-"]
            .iter()
            .find_map(|prefix| class.strip_prefix(prefix))?;
        let is_name = !language.is_empty()
            && language.len() <= 32
            && language.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'#' | b'_' | b'.' | b'-'));
        is_name.then(|| language.to_owned())
    })
}
