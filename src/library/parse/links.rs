//! Where a page or a site map leads.

use super::html_token::{Entities, Token, Tokens};

/// The targets of a page's links, as written, and whether it asks that they are not followed.
pub(in crate::library) fn links(source: &str, links_max: usize) -> Vec<String> {
    let mut entities = Entities::default();
    let mut found = Vec::new();
    for token in Tokens::of(source) {
        let Token::Start(start) = token else { continue };
        if start.name == "meta"
            && start.attribute("name").is_some_and(|name| name.eq_ignore_ascii_case("robots"))
            && start.attribute("content").is_some_and(|content| content.to_ascii_lowercase().contains("nofollow"))
        {
            return Vec::new();
        }
        let is_nofollow = start.attribute("rel").is_some_and(|rel| rel.to_ascii_lowercase().contains("nofollow"));
        if start.name == "a"
            && !is_nofollow
            && found.len() < links_max
            && let Some(target) = start.attribute("href")
        {
            found.push(entities.decode(target.trim()).into_owned());
        }
    }
    found
}

/// The targets of links in Markdown, as written: `[text](target)`, `[name]: target` and `<target>`. So are the pages of a
/// site named in its `llms.txt` (llmstxt.org).
pub(in crate::library) fn markdown_links(source: &str, links_max: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |target: &str| {
        let target = target.trim_start_matches('<').trim_end_matches('>');
        if !target.is_empty() && found.len() < links_max {
            found.push(target.to_owned());
        }
    };
    for line in source.lines() {
        let defined = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]:"));
        if let Some((_, target)) = defined {
            add(target.split_whitespace().next().unwrap_or_default());
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find("](").map(|at| at + 1).into_iter().chain(rest.find("<http")).min() {
            let Some(after) = rest.get(at + 1..) else { break };
            if rest.get(at..).is_some_and(|it| it.starts_with('<')) {
                add(after.split(['>', ' ']).next().unwrap_or_default());
            } else {
                // A title may stand behind the target, and parentheses in pairs within it.
                let mut depth = 0_u32;
                let end = after.char_indices().find(|(_, char)| match char {
                    '(' => {
                        depth += 1;
                        false
                    }
                    ')' if depth > 0 => {
                        depth -= 1;
                        false
                    }
                    ')' => true,
                    char => char.is_whitespace(),
                });
                add(end.and_then(|(end, _)| after.get(..end)).unwrap_or_default());
            }
            rest = after;
        }
    }
    found
}

/// The URLs of a site map (sitemaps.org), or of an index of such.
pub(in crate::library) fn locations(source: &str, locations_max: usize) -> Vec<String> {
    let mut entities = Entities::default();
    let mut is_inside = false;
    let mut found = Vec::new();
    for token in Tokens::of(source) {
        match token {
            Token::Start(start) => is_inside = start.name == "loc" && !start.is_alone,
            Token::Text(text) if is_inside && found.len() < locations_max => {
                found.push(entities.decode(text.trim()).into_owned());
            }
            Token::Text(_) => {}
            Token::End(_) => is_inside = false,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_locations_are_found() {
        let page = "<a href=a>x</a><a href='/b?x=1&amp;y'>y</a><a rel=nofollow href=c>z</a><a name=d>";
        assert_eq!(links(page, 10), ["a", "/b?x=1&y"]);
        assert_eq!(links(page, 1), ["a"]);
        assert_eq!(links("<meta name=ROBOTS content='noindex, NoFollow'><a href=a>", 10), [""; 0]);
        let text = "# Tea\n> About.\n- [Pot](https://a.example/pot.md): it\n- [Leaf](leaf.md \"Title\") and [x](/a_(b)) [no]( \n[ref]: <b.md> 'B'\nSee <https://a.example/c>.";
        let expected = ["https://a.example/pot.md", "leaf.md", "/a_(b)", "b.md", "https://a.example/c"];
        assert_eq!(markdown_links(text, 10), expected);
        assert_eq!(markdown_links(text, 2), expected[..2]);
        let map = "<?xml version='1.0'?><urlset><url><loc> https://a.example/x?a&amp;b </loc><lastmod>1</lastmod></url></urlset>";
        assert_eq!(locations(map, 10), ["https://a.example/x?a&b"]);
    }
}
