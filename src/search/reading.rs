//! Reading a query: its words as they are looked for, each once, with what stands beside and around it.

use std::collections::HashMap;

use crate::base::bound::{QUERY_BYTES_MAX, QUERY_REPEATS_MAX, QUERY_TERMS_MAX};
use crate::search::analyze::{Stems, is_spelt};
use crate::search::choice::{Choice, Choices};
use crate::search::cut::{Cut, Cutter, Kind};
use crate::search::language::{ENGLISH, Tongue};
use crate::search::script::katakana;
use crate::search::stop::is_stop_word;

/// The terms of a text, as far as they are read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) clues: Vec<Clue>,
    /// Something was left out.
    pub(super) partial: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Clue {
    /// As English documents have it.
    pub(super) term: String,
    /// As documents in the other languages of the index have it, where that differs.
    pub(super) others: Vec<String>,
    /// As written, folded: what prefixes are made of.
    pub(super) surface: String,
    pub(super) kind: Kind,
    pub(super) position: usize,
    pub(super) count: u32,
    pub(super) stop: bool,
    /// Letters only and not in capitals among small letters: what can be misspelt.
    pub(super) spelt: bool,
    /// The compound it is a part of.
    pub(super) whole: Option<usize>,
    /// Pairs of the katakana word it is in; 1 elsewhere.
    pub(super) siblings: u32,
}

impl Clue {
    /// All forms that the index may have.
    pub(super) fn forms(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.term).chain(&self.others)
    }
}

impl Reading {
    /// First numbers of versions that may be meant: the 52 of `SDK 52`, `v52` or `52.0.1`.
    pub(super) fn versions(&self) -> Vec<u64> {
        let number = |it: &Clue| {
            let digits = it.surface.strip_prefix('v').unwrap_or(&it.surface);
            digits.split('.').next().and_then(|it| it.parse().ok())
        };
        self.clues.iter().filter_map(number).collect()
    }

    /// How many parts the compound at `whole` has.
    pub(super) fn parts(&self, whole: usize) -> u32 {
        u32::try_from(self.clues.iter().filter(|it| it.whole == Some(whole)).count()).unwrap_or(u32::MAX)
    }
}

/// Reads the terms of a query. `None` where there is nothing to look for.
pub(super) fn read(
    text: &str,
    cutter: &mut Cutter,
    stems: &mut Stems,
    tongues: &[Tongue],
    choices: Choices,
) -> Option<Reading> {
    let repeats_max = if choices.has(Choice::Repeats) { QUERY_REPEATS_MAX } else { 1 };
    let bounded = text.get(..text.floor_char_boundary(QUERY_BYTES_MAX)).unwrap_or_default();
    // Who writes all in capitals means no codes.
    let shouted = !bounded.chars().any(char::is_lowercase);
    let mut partial = bounded.len() < text.len();
    let mut clues: Vec<Clue> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut whole: Option<(usize, usize)> = None;
    cutter.cut(bounded, |cut| {
        // The last character of a run begins no pair of the query; in the index it only serves `Kind::Lone`.
        if cut.kind == Kind::Tail {
            return;
        }
        let (surface, term) = (cut.text(), stems.stem(&cut, ENGLISH));
        let Cut { kind, position, to, .. } = cut;
        if let Some(&index) = known.get(&term) {
            if let Some(clue) = clues.get_mut(index) {
                clue.count = (clue.count + 1).min(repeats_max);
            }
            return;
        }
        if clues.len() == QUERY_TERMS_MAX {
            partial = true;
            return;
        }
        if kind == Kind::Whole && whole.is_none_or(|(_, end)| to > end) {
            whole = Some((clues.len(), to));
        }
        let inside = whole.filter(|(_, end)| kind == Kind::Part && to <= *end).map(|(index, _)| index);
        known.insert(term.clone(), clues.len());
        let mut others = Vec::new();
        for other in tongues.iter().map(|tongue| stems.stem(&cut, *tongue)) {
            if other != term && !others.contains(&other) {
                others.push(other);
            }
        }
        let stop = is_stop_word(&surface) && choices.has(Choice::StopWords);
        let spelt = is_spelt(kind, &surface) && (shouted || !cut.is_in_capitals());
        let whole = inside;
        clues.push(Clue { term, others, surface, kind, position, count: 1, stop, spelt, whole, siblings: 1 });
    });
    count_siblings(&mut clues);
    (!clues.is_empty()).then_some(Reading { clues, partial })
}

/// Tells the pairs of each katakana word how many they are.
fn count_siblings(clues: &mut [Clue]) {
    let foreign = |it: &Clue| it.kind == Kind::Pair && it.term.chars().all(katakana);
    for word in clues.chunk_by_mut(|a, b| foreign(a) && foreign(b) && a.position + 1 == b.position) {
        let pairs = u32::try_from(word.len()).unwrap_or(u32::MAX);
        for it in word {
            it.siblings = pairs;
        }
    }
}
