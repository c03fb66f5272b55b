//! The shipped rules: `assets/patterns.toml`, read and checked once at the start.

use serde::Deserialize;

use crate::config::raw::Mode;

/// The rules as they are shipped.
const SHIPPED: &str = include_str!("../../assets/patterns.toml");

/// What a rule looks for belongs to one of these. Closed: settings name them.
pub const GROUPS: [&str; 9] =
    ["sql", "shell", "template", "ldap", "crlf", "path_traversal", "script", "prompt_injection", "hidden_unicode"];

/// One pattern, and what it may do where.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub id: String,
    pub group: String,
    pub kind: Kind,
    pub pattern: String,
    /// In documents a regular expression is tried only where one of these stands, so that long texts cost little.
    #[serde(default)]
    pub anchor: Vec<String>,
    pub severity: Severity,
    /// 1 to 10: how sure one hit is.
    pub weight: u8,
    #[serde(default = "off")]
    pub free_text: Mode,
    #[serde(default = "off")]
    pub path: Mode,
    #[serde(default = "off")]
    pub other: Mode,
    #[serde(default = "off")]
    pub document: Mode,
}

fn off() -> Mode {
    Mode::Off
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Literal,
    Regex,
    /// The name of a set that `normal.rs` notes.
    Characters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rule: Vec<Rule>,
}

/// Why there are no rules: a mistake in what is shipped, or a setting that names what there is not.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error("the shipped patterns cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("a shipped pattern does not compile: {0}")]
    Regex(#[from] regex::Error),
    #[error("the shipped literals cannot be searched for: {0}")]
    Literals(#[from] aho_corasick::BuildError),
    #[error("the shipped rule {0} names a set of characters or a group that there is not")]
    Unknown(String),
    #[error("inspect.rules_off names the rule {0:?}, which there is not; the manual's page `inspection` lists them")]
    NoSuchRule(String),
    #[error("inspect.group_modes names the group {0:?}, which there is not; there are: {list}", list = GROUPS.join(", "))]
    NoSuchGroup(String),
    #[error("inspect.group_modes names the field class {0:?}; there are: free_text, path, other, document")]
    NoSuchClass(String),
}

/// The shipped rules, in the order of the file.
pub fn shipped() -> Result<Vec<Rule>, RuleError> {
    let rules: Rules = toml::from_str(SHIPPED)?;
    Ok(rules.rule)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_shipped_rules_are_whole() {
        let rules = shipped().unwrap();
        let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids.len(), rules.len(), "an id is there twice");
        for rule in &rules {
            assert!(rule.id.starts_with(&format!("{}.", rule.group)), "{}", rule.id);
            assert!(GROUPS.contains(&rule.group.as_str()), "{}", rule.id);
            assert!((1..=10).contains(&rule.weight) && !rule.pattern.is_empty(), "{}", rule.id);
            assert_ne!(rule.path, Mode::Off, "{} does nothing where names are", rule.id);
            let anchored = rule.document == Mode::Off || rule.kind != Kind::Regex || !rule.anchor.is_empty();
            assert!(anchored, "{} would read each document with a regular expression", rule.id);
        }
        for group in GROUPS {
            assert!(rules.iter().any(|rule| rule.group == group), "{group} has no rule");
        }
    }

    #[test]
    fn every_rule_is_in_the_manual() {
        let manual = include_str!("../../assets/manual/inspection.md");
        for rule in shipped().unwrap() {
            assert!(manual.contains(&format!("`{}`", rule.id)), "{} is not in inspection.md", rule.id);
        }
    }
}
