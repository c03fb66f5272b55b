//! Regular expressions in a profile, compiled where they are read, so that a mistake is told with its line.

use regex::{Captures, Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};

use crate::base::bound::profile::PROFILE_PATTERN_BYTES_MAX;

/// A regular expression of linear time.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// What `template` becomes by the first match in `text`: `$1` and `${name}` are its groups.
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        let captures = self.0.captures(text)?;
        let mut expanded = String::new();
        captures.expand(template, &mut expanded);
        Some(expanded)
    }

    /// The first group that `template` names and the pattern lacks; [`Pattern::expand`] would leave it empty.
    pub fn lacks<'t>(&self, template: &'t str) -> Option<&'t str> {
        let mut rest = template;
        while let Some((_, after)) = rest.split_once('$') {
            rest = after.strip_prefix('$').unwrap_or(after);
            if rest.len() < after.len() {
                continue;
            }
            let name = match after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
                Some((name, _)) => name,
                None => {
                    after.split(|char: char| !char.is_ascii_alphanumeric() && char != '_').next().unwrap_or_default()
                }
            };
            let is_there = match name.parse::<usize>() {
                Ok(number) => number < self.0.captures_len(),
                Err(_) => self.0.capture_names().flatten().any(|known| known == name),
            };
            if !name.is_empty() && !is_there {
                return Some(name);
            }
        }
        None
    }

    /// Bytes of the first match.
    pub fn span(&self, text: &str) -> Option<std::ops::Range<usize>> {
        self.0.find(text).map(|found| found.range())
    }

    /// `text` with the first match replaced.
    pub fn replace(&self, text: &str, template: &str) -> String {
        self.0.replace(text, template).into_owned()
    }

    /// The group `name` of the first match.
    pub fn group<'a>(&self, text: &'a str, name: &str) -> Option<&'a str> {
        Some(self.0.captures(text)?.name(name)?.as_str())
    }

    /// The first group of each match, or the whole match where there is none.
    pub fn all<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let piece = |captures: Captures<'a>| captures.get(1).or_else(|| captures.get(0)).map(|found| found.as_str());
        self.0.captures_iter(text).filter_map(piece)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let built = RegexBuilder::new(&text).size_limit(PROFILE_PATTERN_BYTES_MAX).build();
        built.map(Self).map_err(|error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim();
            serde::de::Error::custom(format!("{text:?} is no pattern: {}", last.trim_start_matches("error: ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_a_pattern_lacks_are_found() {
        let pattern = Pattern(Regex::new(r"^(\d+)-(?<name>\w+)$").unwrap());
        for (template, expect) in [
            ("a $1 ${2} $name ${name} $$7 $0", None),
            ("$3", Some("3")),
            ("a${1}$$$nome/", Some("nome")),
            ("$1a", Some("1a")),
            ("costs 3$", None),
        ] {
            assert_eq!(pattern.lacks(template), expect, "{template}");
        }
    }
}
