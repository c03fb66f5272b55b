//! What a search is made of, choice by choice, so that each can be left out and its worth be measured.
//!
//! The program always searches with all of them. `benches/relevance` searches without one at a time: the figures in
//! `ARCHITECTURE.md` come from there, and a choice that they do not speak for is to go.

/// One choice of how documents are indexed or how a query is put to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Words are brought to their stems.
    Stems,
    /// By the rules of the language that their document is in; without: by English ones everywhere.
    Languages,
    /// A form that few documents have is no rarer for it where another language's form of the word is frequent.
    Alike,
    /// Identifiers are cut where camel case does.
    Camel,
    /// A match in the title counts a little more.
    Title,
    /// A match in a heading counts a little more.
    Headings,
    /// Code counts less than prose; without: as much.
    Code,
    /// A word in prose and in code counts once; without: twice.
    Once,
    /// An identifier as a whole counts more.
    Names,
    /// The parts of an identifier that is known count less.
    Parts,
    /// Pairs of characters count by what they are written in.
    Pairs,
    /// Stop words are looked for only where nothing else is known.
    StopWords,
    /// A word that is said twice counts twice.
    Repeats,
    /// Two neighbours of the query count more where they are neighbours.
    Neighbours,
    /// Overlapping pairs of characters are no neighbours.
    PairsApart,
    /// Two neighbours of the query are also looked for as one word.
    Joined,
    /// An unknown word is also looked for as two.
    Split,
    /// An unknown last word is also looked for as the beginning of one.
    Endings,
    /// Words that a library calls the same.
    Synonyms,
    /// An unknown word is looked for as what it may be a misspelling of.
    Typos,
    /// There a wrong first letter costs more.
    FirstLetter,
    /// The very form that is sought counts a little.
    Form,
    /// A second, wider search where the first found next to nothing.
    Wider,
    /// What has the words themselves stands in front of what the wider search adds.
    ExactFirst,
    /// Of the editions of a page one is shown.
    Editions,
    /// The whole document counts beside the passage.
    Documents,
}

impl Choice {
    pub const ALL: [Self; 26] = [
        Self::Stems,
        Self::Languages,
        Self::Alike,
        Self::Camel,
        Self::Title,
        Self::Headings,
        Self::Code,
        Self::Once,
        Self::Names,
        Self::Parts,
        Self::Pairs,
        Self::StopWords,
        Self::Repeats,
        Self::Neighbours,
        Self::PairsApart,
        Self::Joined,
        Self::Split,
        Self::Endings,
        Self::Synonyms,
        Self::Typos,
        Self::FirstLetter,
        Self::Form,
        Self::Wider,
        Self::ExactFirst,
        Self::Editions,
        Self::Documents,
    ];

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The choices that an index is made with and asked by: all, unless some are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    left_out: u32,
}

impl Choices {
    /// These without one.
    #[must_use]
    pub fn without(self, choice: Choice) -> Self {
        Self { left_out: self.left_out | choice.bit() }
    }

    pub(super) fn has(self, choice: Choice) -> bool {
        self.left_out & choice.bit() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_choices_hold_but_the_one_that_is_left_out() {
        for without in Choice::ALL {
            let choices = Choices::default().without(without);
            for choice in Choice::ALL {
                assert_eq!(choices.has(choice), choice != without, "{choice:?} without {without:?}");
            }
            assert!(Choices::default().has(without));
        }
    }
}
