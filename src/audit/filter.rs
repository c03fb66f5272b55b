//! Which entries somebody wants to see.

pub mod time;

use globset::{GlobBuilder, GlobMatcher};

use super::entry::{Entry, Event, Outcome, Personal};
use crate::base::bound;
use crate::base::clock::Timestamp;

/// What an entry must be like; what is empty or `None` asks nothing. The default takes every entry.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Written then or later.
    pub from: Option<Timestamp>,
    /// Written before then: `from` one day, `to` the next, is one day and no entry is in two days.
    pub to: Option<Timestamp>,
    /// About one of these: a pseudonym, a principal's name, or `peer:ADDRESS`. Names are found only in entries whose
    /// personal part is open.
    pub subjects: Vec<String>,
    /// One of these.
    pub events: Vec<Event>,
    /// One of these.
    pub outcomes: Vec<Outcome>,
    pub operation: Option<Pattern>,
    /// In reason, operation, target, session, principal or peer.
    pub text: Option<Needle>,
}

impl Filter {
    /// Whether the entry is wanted. Without its personal part it is judged by what is left.
    pub fn matches(&self, entry: &Entry, personal: Option<&Personal>) -> bool {
        self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
            && (self.events.is_empty() || self.events.contains(&entry.event))
            && (self.outcomes.is_empty() || self.outcomes.contains(&entry.outcome))
            && self.operation.as_ref().is_none_or(|pattern| pattern.matches(entry.operation.as_deref()))
            && (self.subjects.is_empty() || self.is_about(entry, personal))
            && self.text.as_ref().is_none_or(|needle| needle.is_in(entry, personal))
    }

    fn is_about(&self, entry: &Entry, personal: Option<&Personal>) -> bool {
        let name = personal.and_then(Personal::subject);
        [entry.subject.as_ref(), name.as_ref()].into_iter().flatten().any(|subject| self.subjects.contains(subject))
    }
}

/// The name of an operation, or names with `*` for any characters, also none: `audit.*`.
#[derive(Clone, Debug)]
pub struct Pattern(Names);

#[derive(Clone, Debug)]
enum Names {
    One(String),
    Many(GlobMatcher),
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    #[error("a pattern has 1 to {max} characters, this one {found}", max = bound::FILTER_PATTERN_CHARS_MAX)]
    Length { found: usize },
    #[error("the pattern cannot be used, try a simpler one: {0}")]
    Glob(globset::Error),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let found = text.chars().count();
        if found == 0 || found > bound::FILTER_PATTERN_CHARS_MAX {
            return Err(PatternError::Length { found });
        }
        if !text.contains('*') {
            return Ok(Self(Names::One(text.to_owned())));
        }
        // Only the asterisk is special: nobody should have to know that brackets are, too.
        let glob = text.split('*').map(globset::escape).collect::<Vec<_>>().join("*");
        let glob = GlobBuilder::new(&glob).backslash_escape(false).literal_separator(false).build();
        Ok(Self(Names::Many(glob.map_err(PatternError::Glob)?.compile_matcher())))
    }

    fn matches(&self, operation: Option<&str>) -> bool {
        match (&self.0, operation) {
            (Names::One(name), Some(operation)) => name == operation,
            (Names::Many(names), Some(operation)) => names.is_match(operation),
            (_, None) => false,
        }
    }
}

/// A piece of text, looked for without regard to case.
#[derive(Clone, Debug)]
pub struct Needle {
    lower: String,
}

impl Needle {
    pub fn new(text: &str) -> Self {
        Self { lower: text.to_lowercase() }
    }

    fn is_in(&self, entry: &Entry, personal: Option<&Personal>) -> bool {
        let of_entry = [&entry.reason, &entry.operation, &entry.target, &entry.session];
        let of_person = personal.map(|personal| [&personal.principal, &personal.peer]);
        let mut fields = of_entry.into_iter().chain(of_person.into_iter().flatten()).flatten();
        self.lower.is_empty() || fields.any(|field| field.to_lowercase().contains(&self.lower))
    }
}

#[cfg(test)]
mod tests;
