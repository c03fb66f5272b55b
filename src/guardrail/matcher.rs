//! The rules of one class of fields, compiled: one automaton for the texts, one set for the expressions.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::normal::{Normal, Seen, look};
use super::rule::{Kind, Rule, RuleError};
use crate::base::bound;

/// A set of characters that a rule names.
fn has(seen: Seen, set: &str) -> Option<bool> {
    Some(match set {
        "control" => seen.control,
        "harsh_control" => seen.harsh_control,
        "bidi" => seen.bidi,
        "tag" => seen.tag,
        "invisible" => seen.invisible,
        "invalid" => seen.invalid,
        "deep" => seen.deep,
        _ => return None,
    })
}

/// The rules that act on one class. Numbers are places in the list of all rules.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    literals: AhoCorasick,
    literal_rules: Vec<usize>,
    expressions: RegexSet,
    expression_rules: Vec<usize>,
    sets: Vec<(usize, String)>,
}

impl Matcher {
    /// Of all `rules` those that `acts`.
    pub(super) fn new(rules: &[Rule], acts: impl Fn(usize) -> bool) -> Result<Self, RuleError> {
        let of = |kind: Kind| -> Vec<usize> {
            let acting = rules.iter().enumerate().filter(|(number, rule)| rule.kind == kind && acts(*number));
            acting.map(|(number, _)| number).collect()
        };
        let patterns = |numbers: &[usize]| -> Vec<String> {
            numbers.iter().filter_map(|number| rules.get(*number)).map(unanchored).collect()
        };
        let (literal_rules, expression_rules) = (of(Kind::Literal), of(Kind::Regex));
        let mut sets = Vec::new();
        for number in of(Kind::Characters) {
            let Some(rule) = rules.get(number) else { continue };
            has(Seen::default(), &rule.pattern).ok_or_else(|| RuleError::Unknown(rule.id.clone()))?;
            sets.push((number, rule.pattern.clone()));
        }
        Ok(Self {
            literals: AhoCorasick::new(patterns(&literal_rules))?,
            expressions: RegexSetBuilder::new(patterns(&expression_rules))
                .unicode(false)
                .dot_matches_new_line(true)
                .size_limit(bound::PATTERN_PROGRAM_BYTES_MAX)
                .dfa_size_limit(bound::PATTERN_PROGRAM_BYTES_MAX)
                .build()?,
            literal_rules,
            expression_rules,
            sets,
        })
    }

    /// The rules that hit, each once, in the order of the file.
    pub(super) fn hits(&self, normal: &Normal) -> Vec<usize> {
        let literals = self.literals.find_overlapping_iter(&normal.text).map(|hit| hit.pattern().as_usize());
        let expressions = self.expressions.matches(normal.text.as_bytes());
        let mut hits: Vec<usize> = literals
            .filter_map(|place| self.literal_rules.get(place).copied())
            .chain(expressions.into_iter().filter_map(|place| self.expression_rules.get(place).copied()))
            .chain(self.sets.iter().filter(|(_, set)| has(normal.seen, set) == Some(true)).map(|(number, _)| *number))
            .collect();
        hits.sort_unstable();
        hits.dedup();
        hits
    }
}

/// An expression of a document begins where its anchor stands; in an argument it may stand anywhere.
fn unanchored(rule: &Rule) -> String {
    let anchored = rule.kind == Kind::Regex && !rule.anchor.is_empty();
    rule.pattern.strip_prefix('^').filter(|_| anchored).unwrap_or(&rule.pattern).to_owned()
}

/// The rules for the texts of documents: long texts in which next to nothing is found.
#[derive(Clone, Debug)]
pub(super) struct DocumentMatcher {
    /// Finds the anchors in any case.
    anchors: AhoCorasick,
    /// For each anchor: its rule, and the expression, if it is none by itself.
    tried: Vec<(usize, Option<Regex>)>,
    sets: Vec<(usize, String)>,
}

impl DocumentMatcher {
    pub(super) fn new(rules: &[Rule], acts: impl Fn(usize) -> bool) -> Result<Self, RuleError> {
        let (mut anchors, mut tried, mut sets) = (Vec::new(), Vec::new(), Vec::new());
        for (number, rule) in rules.iter().enumerate().filter(|(number, _)| acts(*number)) {
            match rule.kind {
                Kind::Literal => {
                    anchors.push(rule.pattern.clone());
                    tried.push((number, None));
                }
                Kind::Regex => {
                    for anchor in &rule.anchor {
                        anchors.push(anchor.clone());
                        tried.push((number, Some(expression(&rule.pattern)?)));
                    }
                }
                Kind::Characters => sets.push((number, rule.pattern.clone())),
            }
        }
        let anchors = AhoCorasickBuilder::new().ascii_case_insensitive(true).build(anchors)?;
        Ok(Self { anchors, tried, sets })
    }

    /// The rules that hit in `text`, each once.
    pub(super) fn hits(&self, text: &str) -> Vec<usize> {
        let mut hits = Vec::new();
        for found in self.anchors.find_overlapping_iter(text) {
            let Some((number, expression)) = self.tried.get(found.pattern().as_usize()) else { continue };
            let end = (found.start() + bound::ANCHORED_BYTES_MAX).min(text.len());
            let window = text.as_bytes().get(found.start()..end).unwrap_or_default();
            if !hits.contains(number) && expression.as_ref().is_none_or(|expression| expression.is_match(window)) {
                hits.push(*number);
            }
        }
        if !text.is_ascii() {
            let mut seen = Seen::default();
            look(text, &mut seen);
            hits.extend(self.sets.iter().filter(|(_, set)| has(seen, set) == Some(true)).map(|(number, _)| *number));
        }
        hits.sort_unstable();
        hits
    }
}

fn expression(pattern: &str) -> Result<Regex, RuleError> {
    let mut builder = RegexBuilder::new(pattern);
    builder.unicode(false).case_insensitive(true).size_limit(bound::PATTERN_PROGRAM_BYTES_MAX);
    Ok(builder.build()?)
}
