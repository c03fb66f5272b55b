//! robots.txt (RFC 9309): which paths of a host we may read, and how fast.

use std::time::Duration;

use crate::base::bound::web as bound;

/// Our product token (section 2.2.1).
pub(super) const AGENT: &str = "sekisho";

/// What a host allows us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Robots {
    rules: Vec<Rule>,
    pub(super) delay: Option<Duration>,
    pub(super) sitemaps: Vec<String>,
    /// Why it could not be asked for.
    pub(super) unknown: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: String,
    is_allowed: bool,
}

impl Robots {
    /// A host that does not answer is left alone (section 2.3.1.4).
    pub(super) fn closed(reason: String) -> Self {
        let nothing = Rule { pattern: "/".to_owned(), is_allowed: false };
        Self { rules: vec![nothing], unknown: Some(reason), ..Self::default() }
    }

    /// Reads the groups for us, or those for all where there is none.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.get(..text.floor_char_boundary(bound::ROBOTS_BYTES_MAX)).unwrap_or_default();
        let (mut ours, mut others) = (None::<Self>, Self::default());
        let mut sitemaps = Vec::new();
        // Whom the group that is read is for.
        let (mut for_us, mut for_all, mut in_agents) = (false, false, false);
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((name, value)) = line.split_once(':') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name == "user-agent" {
                if !in_agents {
                    (for_us, for_all) = (false, false);
                }
                in_agents = true;
                for_us |= value.eq_ignore_ascii_case(AGENT);
                for_all |= value == "*";
                if for_us {
                    ours.get_or_insert_default();
                }
                continue;
            }
            if name == "sitemap" {
                if sitemaps.len() < bound::WEB_SITEMAPS_MAX {
                    sitemaps.push(value.to_owned());
                }
                continue;
            }
            in_agents = false;
            let groups = [ours.as_mut().filter(|_| for_us), Some(&mut others).filter(|_| for_all)];
            for group in groups.into_iter().flatten() {
                match name.as_str() {
                    "allow" | "disallow" if !value.is_empty() && group.rules.len() < bound::ROBOTS_RULES_MAX => {
                        group.rules.push(Rule { pattern: plain(value), is_allowed: name == "allow" });
                    }
                    "crawl-delay" => {
                        let seconds = value.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds > 0.0);
                        let most = Duration::from_millis(bound::WEB_DELAY_MS_MAX);
                        group.delay =
                            seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_or(most, |it| it.min(most)));
                    }
                    _ => {}
                }
            }
        }
        Self { sitemaps, ..ours.unwrap_or(others) }
    }

    /// Whether a path, with its query, may be read: the longest rule that fits says (section 2.2.2).
    pub(super) fn allows(&self, path: &str) -> bool {
        let path = plain(path);
        let fitting = self.rules.iter().filter(|rule| fits(&rule.pattern, &path));
        let best = fitting.max_by_key(|rule| (rule.pattern.len(), rule.is_allowed));
        best.is_none_or(|rule| rule.is_allowed)
    }
}

/// A path as it is compared (section 2.2.2): what is no ASCII is percent-encoded, and what needs no encoding is not.
fn plain(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let encoded = |byte: u8, found: &mut String| found.push_str(percent_encoding::percent_encode_byte(byte));
    let mut found = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        rest = after;
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                rest = after.get(2..).unwrap_or_default();
                if is_unreserved(value) {
                    found.push(char::from(value));
                } else {
                    encoded(value, &mut found);
                }
            }
            None if is_plain(byte) || byte == b'%' => found.push(char::from(byte)),
            None => encoded(byte, &mut found),
        }
    }
    found
}

/// `*` stands for anything, `$` at the end for the end. Linear: a `*` is never gone back to, because each part is taken
/// where it first fits, and the last one of a whole pattern at the very end.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, is_whole) = pattern.strip_suffix('$').map_or((pattern, false), |pattern| (pattern, true));
    let mut parts = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return !is_whole || rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if is_whole && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::*;

    #[test]
    fn the_longest_rule_of_our_own_group_says() {
        let robots = Robots::parse(
            "User-agent: *\nDisallow: /\n\nUser-Agent: other\nUser-agent: SEKISHO # us\nDisallow: /private/\nAllow: /private/open\nDisallow: /*.zip$\nCrawl-delay: 2.5\nDisallow:\n\nSitemap: https://a.example/map.xml\n",
        );
        for (path, expect) in [
            ("/", true),
            ("/private/x", false),
            ("/private/open/x", true),
            ("/a/b.zip", false),
            ("/a/b.zip?x", true),
            ("/a.zip.html", true),
        ] {
            assert_eq!(robots.allows(path), expect, "{path}");
        }
        assert_eq!(robots.delay, Some(Duration::from_millis(2500)));
        assert_eq!(robots.sitemaps, ["https://a.example/map.xml"]);
    }

    #[test]
    fn without_a_group_of_our_own_that_for_all_counts() {
        let robots = Robots::parse("\u{feff}user-agent: *\r\ndisallow: /a\r\ncrawl-delay: 1e300\r\n");
        assert!(!robots.allows("/a/b") && robots.allows("/b"));
        assert_eq!(robots.delay, Some(Duration::from_millis(bound::WEB_DELAY_MS_MAX)));
        assert!(Robots::parse("").allows("/"));
        assert!(Robots::parse("<html>not found").allows("/x"));
        assert!(!Robots::closed("gone".into()).allows("/"));
    }

    #[test]
    fn paths_are_compared_as_they_are_meant() {
        let allows =
            |pattern: &str, path: &str| Robots::parse(&format!("User-agent: *\nDisallow: {pattern}")).allows(path);
        assert!(!allows("/docs/内部/", "/docs/%E5%86%85%E9%83%A8/a"), "raw UTF-8 in the rule");
        assert!(!allows("/docs/%e5%86%85/", "/docs/%E5%86%85/a"), "digits in lower case");
        assert!(!allows("/%64ocs/a%2Fb", "/docs/a%2fb/c") && allows("/docs/a%2Fb", "/docs/a/b"));
        assert!(!allows("/a%zz%", "/a%zz%4") && allows("/a%2A", "/a"));
        assert!(
            !allows("/*aba$", "/ababa") && !allows("/a*", "/a") && !allows("/a*$", "/a") && !allows("/*a*b$", "/xaybb")
        );
        assert!(allows("/*aba$", "/abab") && allows("/ab*ba$", "/aba") && allows("/a$", "/ab"));
    }

    proptest! {
        #[test]
        fn a_star_is_anything(start in "[ab]{0,4}", middle in "[ab]{0,6}", end in "[ab]{0,4}") {
            let path = format!("/{start}{middle}{end}");
            let pattern = format!("/{start}*{end}");
            proptest::prop_assert!(fits(&pattern, &path) && fits(&(pattern + "$"), &path));
        }

        #[test]
        fn any_text_is_read(text in "[a-zA-Z:*/$# \n.-]{0,300}", path in "/[a-z*$/]{0,30}") {
            Robots::parse(&text).allows(&path);
        }
    }
}
