//! Words of the dictionary that a word of the query may stand for: misspelt, unfinished, or two written as one.
//!
//! The dictionary is the field `words`: every word of every document as it is written. Stems would not do: a wrong
//! letter in an ending makes another stem altogether.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use tantivy::query::FuzzyTermQuery;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use crate::base::bound::search::{TYPO_CANDIDATES_MAX, TYPO_SCAN_MAX, WORD_CHARS_MIN};
use crate::base::bound::{EXPANSION_SCAN_MAX, QUERY_EXPANSIONS_MAX};
use crate::search::scope::Scope;

/// A word that may be meant.
#[derive(Debug)]
pub(super) struct Meant {
    pub(super) word: String,
    /// In halves of an edit: two for each edit, one more for another first letter, which people rarely get wrong.
    pub(super) cost: u16,
}

/// How many letters of a word may be wrong.
fn edits_max(chars: usize) -> u8 {
    match chars {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// Words that differ from `surface` by a few letters, the nearest first, then the most frequent. `first_letter`: whether
/// another first letter costs more.
pub(super) fn misspelt(
    searcher: &Searcher,
    scope: &Scope<'_>,
    words: Field,
    surface: &str,
    first_letter: bool,
) -> tantivy::Result<Vec<Meant>> {
    for edits in 1..=edits_max(surface.chars().count()) {
        let automaton = || FuzzyTermQuery::new(Term::from_field_text(words, surface), edits, true).automaton();
        let mut found: BTreeSet<String> = BTreeSet::new();
        for segment in searcher.segment_readers() {
            let index = segment.inverted_index(words)?;
            let mut stream = index.terms().search(automaton()?).into_stream()?;
            let mut scanned = 0;
            while scanned < TYPO_SCAN_MAX && stream.advance() {
                scanned += 1;
                found.extend(str::from_utf8(stream.key()).ok().filter(|word| *word != surface).map(str::to_owned));
            }
        }
        let mut found: Vec<_> = counted(scope, words, found)?
            .into_iter()
            .map(|(word, documents)| (cost(surface, &word, first_letter), documents, word))
            .collect();
        // What is two edits away is looked at only where nothing is nearer.
        if found.is_empty() {
            continue;
        }
        found.sort_unstable_by(|a, b| (a.0, Reverse(a.1), &a.2).cmp(&(b.0, Reverse(b.1), &b.2)));
        found.truncate(TYPO_CANDIDATES_MAX);
        return Ok(found.into_iter().map(|(cost, _, word)| Meant { word, cost }).collect());
    }
    Ok(Vec::new())
}

fn cost(surface: &str, word: &str, first_letter: bool) -> u16 {
    let edits = u16::try_from(strsim::osa_distance(surface, word)).unwrap_or(u16::MAX / 4);
    2 * edits + u16::from(first_letter && surface.chars().next() != word.chars().next())
}

/// The most frequent words that begin with `prefix`.
pub(super) fn completed(
    searcher: &Searcher,
    scope: &Scope<'_>,
    words: Field,
    prefix: &str,
) -> tantivy::Result<Vec<String>> {
    let found = beginning_with(searcher, scope, words, prefix)?;
    Ok(found.into_iter().map(|it| it.0).collect())
}

/// The most frequent terms of a field that begin with `prefix`, with the number of documents that have them.
pub(super) fn beginning_with(
    searcher: &Searcher,
    scope: &Scope<'_>,
    field: Field,
    prefix: &str,
) -> tantivy::Result<Vec<(String, u64)>> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(field)?;
        let mut terms = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut scanned = 0;
        while scanned < EXPANSION_SCAN_MAX && terms.advance() {
            scanned += 1;
            let Some(term) = str::from_utf8(terms.key()).ok().filter(|it| it.starts_with(prefix)) else {
                break;
            };
            found.insert(term.to_owned());
        }
    }
    let mut found = counted(scope, field, found)?;
    found.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    found.truncate(QUERY_EXPANSIONS_MAX);
    Ok(found)
}

/// Terms with the number of passages that have them, where there are any.
fn counted(scope: &Scope<'_>, field: Field, terms: BTreeSet<String>) -> tantivy::Result<Vec<(String, u64)>> {
    let mut counted = Vec::with_capacity(terms.len());
    for term in terms {
        let documents = scope.count(&Term::from_field_text(field, &term))?;
        if documents > 0 {
            counted.push((term, documents));
        }
    }
    Ok(counted)
}

/// The two words that a word is written together from, such that the rarer of them is as frequent as can be.
pub(super) fn split(scope: &Scope<'_>, words: Field, surface: &str) -> tantivy::Result<Option<(String, String)>> {
    let frequency = |word: &str| scope.count(&Term::from_field_text(words, word));
    let mut best: Option<(u64, (String, String))> = None;
    for (at, _) in surface.char_indices().skip(WORD_CHARS_MIN) {
        let (left, right) = surface.split_at(at);
        if right.chars().count() < WORD_CHARS_MIN {
            break;
        }
        let left_documents = frequency(left)?;
        if left_documents == 0 {
            continue;
        }
        let documents = left_documents.min(frequency(right)?);
        if documents > best.as_ref().map_or(0, |it| it.0) {
            best = Some((documents, (left.to_owned(), right.to_owned())));
        }
    }
    Ok(best.map(|it| it.1))
}
