//! From an agent's text to a tree of tantivy queries; no text is an error, and nothing in it is syntax.
//!
//! ```text
//! Must  each facet: any of its values             (score 0)
//! Must  any of the terms, in any field            (BM25 of prose or code, a little more for title and headings;
//!                                                  pairs of neighbours once more as phrases)
//! ```
//!
//! The same terms make a second tree that is put to whole documents: `page` says why.
//!
//! Libraries and path prefixes are not in the tree: `rank` compares key ordinals, which costs less than a clause that
//! nearly every passage matches. Stop words are looked for only where no content term is known to the index. Beside
//! content, a weight of 0.1 changed nothing on Cranfield and `SciFact` and 1.0 hurt (0.383 to 0.378, 0.694 to 0.690); where nothing
//! else is known ("to be or not to be", "what is xyzzy") they are the content, so one unknown word never empties an
//! answer.

use std::cmp::Reverse;
use std::collections::HashMap;

use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use crate::base::bound::{
    EXPANSION_SCAN_MAX, QUERY_BYTES_MAX, QUERY_EXPANSIONS_MAX, QUERY_PHRASES_MAX, QUERY_REPEATS_MAX, QUERY_TERMS_MAX,
};
use crate::search::Request;
use crate::search::analyze::Stems;
use crate::search::cut::{Cut, Cutter, Kind};
use crate::search::schema::{Fields, facet_term};
use crate::search::script::{hiragana, katakana};
use crate::search::stop::is_stop_word;

/// Weights beside the body's 1 (and the page's). Measured together on Cranfield, `SciFact`, and on Expo's and React's
/// pages with the texts of their own links as queries. More title hurts where every document is one passage; less
/// heading finds pages better and their sections worse, more heading the other way round.
const TITLE_WEIGHT: f32 = 0.7;
const HEADING_WEIGHT: f32 = 0.35;
const CODE_WEIGHT: f32 = 0.5;
/// Two neighbours of the query found as neighbours.
const PHRASE_WEIGHT: f32 = 0.2;
/// A part of a compound whose whole is known: the whole already says it.
const PART_WEIGHT: f32 = 0.5;
/// An identifier as a whole, such as `useCameraPermissions`: whoever writes one wants that one, and it stands in code,
/// where a term counts half. A hyphen makes no identifier: prose writes the same words with and without.
const NAME_WEIGHT: f32 = 2.0;
/// A pair with one or two hiragana, which is mostly a particle or an ending.
const MIXED_PAIR_WEIGHT: f32 = 0.6;
const HIRAGANA_PAIR_WEIGHT: f32 = 0.25;
/// What the pairs of one katakana word count together: クリーンアップ is one word, not six.
const KATAKANA_WORD_WEIGHT: f32 = 2.5;
/// A stand-in for a term without an exact hit.
const EXPANSION_WEIGHT: f32 = 0.3;

/// What a request becomes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) query: Box<dyn Query>,
    /// The same terms, looked for in whole documents.
    pub(super) pages: Box<dyn Query>,
    /// Indexed terms and what each is worth, for snippets.
    pub(super) worth: HashMap<String, f32>,
}

/// The terms of a text, as far as they are read.
#[derive(Debug)]
pub(super) struct Reading {
    clues: Vec<Clue>,
    /// Something was left out.
    pub(super) partial: bool,
}

#[derive(Clone, Debug)]
struct Clue {
    term: String,
    /// As written, folded: what prefixes are made of.
    surface: String,
    kind: Kind,
    position: usize,
    count: u32,
    stop: bool,
    /// The compound it is a part of.
    whole: Option<usize>,
    /// Pairs of the katakana word it is in; 1 elsewhere.
    siblings: u32,
}

impl Reading {
    /// How many parts the compound at `whole` has.
    fn parts(&self, whole: usize) -> u32 {
        u32::try_from(self.clues.iter().filter(|it| it.whole == Some(whole)).count()).unwrap_or(u32::MAX)
    }
}

/// Reads the terms of a query. `None` where there is nothing to look for.
pub(super) fn read(text: &str, cutter: &mut Cutter, stems: &mut Stems) -> Option<Reading> {
    let bounded = text.get(..text.floor_char_boundary(QUERY_BYTES_MAX)).unwrap_or_default();
    let mut partial = bounded.len() < text.len();
    let mut clues: Vec<Clue> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut whole: Option<(usize, usize)> = None;
    cutter.cut(bounded, |cut| {
        // The last character of a run begins no pair of the query; in the index it only serves `Kind::Lone`.
        if cut.kind == Kind::Tail {
            return;
        }
        let (surface, term) = (cut.text(), stems.stem(&cut));
        let Cut { kind, position, to, .. } = cut;
        if let Some(&index) = known.get(&term) {
            if let Some(clue) = clues.get_mut(index) {
                clue.count = (clue.count + 1).min(QUERY_REPEATS_MAX);
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
        let stop = is_stop_word(&surface);
        clues.push(Clue { term, surface, kind, position, count: 1, stop, whole: inside, siblings: 1 });
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

/// Builds the query tree over what the index holds. `None` where nothing can match.
pub(super) fn plan(
    searcher: &Searcher,
    fields: &Fields,
    reading: &Reading,
    request: &Request<'_>,
) -> tantivy::Result<Option<Plan>> {
    let mut tree = Tree { searcher, fields, worth: HashMap::new() };
    let known = reading.clues.iter().map(|it| tree.known(it)).collect::<tantivy::Result<Vec<_>>>()?;
    let is_known = |index: usize| known.get(index).is_some_and(|it| !it.is_empty());

    let (mut content, mut stops) = (Clauses::default(), Clauses::default());
    for (index, (clue, found)) in reading.clues.iter().zip(&known).enumerate() {
        let inside =
            clue.whole.filter(|it| is_known(*it)).and_then(|it| Some((reading.clues.get(it)?, reading.parts(it))));
        let weight = weight(clue, inside);
        // A single character may be a term of its own at the end of a run and begin pairs elsewhere: always widened.
        let clauses = if found.is_empty() || clue.kind == Kind::Lone {
            let last = index + 1 == reading.clues.len();
            tree.stand_ins(clue, weight, last)?
        } else {
            tree.clauses(&clue.term, found, weight)
        };
        let kind = if clue.stop { &mut stops } else { &mut content };
        kind.passages.extend(clauses.passages);
        kind.pages.extend(clauses.pages);
    }
    let Clauses { passages: mut content, pages } = if content.passages.is_empty() { stops } else { content };
    if content.is_empty() {
        return Ok(None);
    }
    // A phrase matches nothing that its terms do not match: it stands among them and widens nothing.
    let pairs = reading.clues.iter().zip(reading.clues.iter().skip(1)).enumerate();
    let pairs = pairs.filter(|(index, (a, b))| neighbours(a, b) && is_known(*index) && is_known(*index + 1));
    content.extend(pairs.take(QUERY_PHRASES_MAX).map(|(_, (a, b))| tree.phrase(a, b)));

    let mut query = any(content);
    let facets = facets(fields, request);
    if !facets.is_empty() {
        let facets = facets.into_iter().map(|it| (Occur::Must, it));
        query = Box::new(BooleanQuery::new(facets.chain([(Occur::Must, query)]).collect()));
    }
    Ok(Some(Plan { query, pages: any(pages), worth: tree.worth }))
}

/// `inside`: the compound that the clue is a part of, where the index knows it, and how many parts that has.
fn weight(clue: &Clue, inside: Option<(&Clue, u32)>) -> f32 {
    let mut soft = clue.term.chars().map(hiragana);
    let kind = match clue.kind {
        Kind::Part => match inside {
            // All parts together say less than the name itself.
            Some((whole, parts)) if is_name(whole) => PART_WEIGHT / small(parts.max(1)),
            Some(_) => PART_WEIGHT,
            None => 1.0,
        },
        Kind::Whole if is_name(clue) => NAME_WEIGHT,
        Kind::Pair => match (soft.next(), soft.next()) {
            (Some(true), Some(true)) => HIRAGANA_PAIR_WEIGHT,
            (Some(false), Some(false)) => (KATAKANA_WORD_WEIGHT / small(clue.siblings)).min(1.0),
            _ => MIXED_PAIR_WEIGHT,
        },
        _ => 1.0,
    };
    kind * small(clue.count)
}

fn is_name(whole: &Clue) -> bool {
    !whole.surface.contains('-')
}

/// Counts of at most `QUERY_TERMS_MAX`.
fn small(count: u32) -> f32 {
    f32::from(u16::try_from(count).unwrap_or(u16::MAX))
}

/// Two clues that stood side by side and both say something.
fn neighbours(a: &Clue, b: &Clue) -> bool {
    let says = |it: &Clue| !it.stop && it.kind != Kind::Whole;
    a.position + 1 == b.position && says(a) && says(b) && a.whole.is_none() && b.whole.is_none()
}

/// What is looked for in passages, and what in whole documents.
#[derive(Default)]
struct Clauses {
    passages: Vec<Box<dyn Query>>,
    pages: Vec<Box<dyn Query>>,
}

/// Builds clauses against one state of the index and notes what terms are worth.
struct Tree<'a> {
    searcher: &'a Searcher,
    fields: &'a Fields,
    worth: HashMap<String, f32>,
}

impl Tree<'_> {
    /// The fields that hold a clue's term, with their weights; empty if none does.
    fn known(&self, clue: &Clue) -> tantivy::Result<Vec<(Field, f32, u64)>> {
        let Fields { title, heading, body, code, .. } = *self.fields;
        let mut found = Vec::new();
        // The body holds title and headings too: what it lacks they lack.
        for (field, weight) in [(body, 1.0), (title, TITLE_WEIGHT), (heading, HEADING_WEIGHT), (code, CODE_WEIGHT)] {
            if (field == title || field == heading) && found.is_empty() {
                continue;
            }
            let documents = self.searcher.doc_freq(&Term::from_field_text(field, &clue.term))?;
            if documents > 0 {
                found.push((field, weight, documents));
            }
        }
        Ok(found)
    }

    fn clauses(&mut self, term: &str, found: &[(Field, f32, u64)], weight: f32) -> Clauses {
        let documents = found.iter().map(|it| it.2).max().unwrap_or_default();
        self.worth.insert(term.to_owned(), weight * rarity(documents, self.searcher.num_docs()));
        let clause = |field, weight| {
            let query = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
            boost(Box::new(query), weight)
        };
        let Fields { body, code, page, .. } = *self.fields;
        let (said, more): (Vec<_>, Vec<_>) = found.iter().partition(|it| it.0 == body || it.0 == code);
        let weigh = |&(field, by_field, _): &(Field, f32, u64)| clause(field, weight * by_field);
        let mut said: Vec<_> = said.iter().map(weigh).collect();
        // A word that prose and code both use is still one word of the query: the better of the two counts, or a page
        // with one of the words in a listing would stand before a page with both.
        if said.len() > 1 {
            said = vec![Box::new(DisjunctionMaxQuery::new(said))];
        }
        let passages = said.into_iter().chain(more.iter().map(weigh)).collect();
        Clauses { passages, pages: vec![clause(page, weight)] }
    }

    /// What is looked for where a term has no exact hit. Typing mistakes belong here too, as boosted terms of their
    /// own (a fuzzy query scores 1 for everything and highlights nothing): not built yet.
    fn stand_ins(&mut self, clue: &Clue, weight: f32, last: bool) -> tantivy::Result<Clauses> {
        let (prefix, weight) = match clue.kind {
            // One character sought: whatever term begins with it, at full weight, for it is there.
            Kind::Lone => (&clue.term, weight),
            // The last word may not be finished.
            Kind::Word | Kind::Part if last && !clue.stop && clue.surface.chars().count() >= 3 => {
                (&clue.surface, weight * EXPANSION_WEIGHT)
            }
            _ => return Ok(Clauses::default()),
        };
        // Terms are stems: of `permissio` the index holds `permiss`, so a few letters less are tried too.
        let mut found = self.terms_from(self.fields.body, prefix)?;
        let shorter = prefix.char_indices().rev().take(3);
        for at in shorter.map(|(at, _)| at).take_while(|at| *at >= 4) {
            if found.is_empty() {
                found = self.terms_from(self.fields.body, prefix.get(..at).unwrap_or(prefix))?;
            }
        }
        let mut clauses = Clauses::default();
        for (term, documents) in found {
            let Clauses { passages, pages } = self.clauses(&term, &[(self.fields.body, 1.0, documents)], weight);
            clauses.passages.extend(passages);
            clauses.pages.extend(pages);
        }
        if clue.kind == Kind::Lone && !clauses.passages.is_empty() {
            self.worth.insert(clue.term.clone(), weight);
        }
        Ok(clauses)
    }

    /// The most frequent terms that begin with `prefix`.
    fn terms_from(&self, field: Field, prefix: &str) -> tantivy::Result<Vec<(String, u64)>> {
        let mut found: HashMap<String, u64> = HashMap::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(field)?;
            let mut terms = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
            let mut scanned = 0;
            while scanned < EXPANSION_SCAN_MAX && terms.advance() {
                scanned += 1;
                let Some(term) = str::from_utf8(terms.key()).ok().filter(|it| it.starts_with(prefix)) else {
                    break;
                };
                *found.entry(term.to_owned()).or_default() += u64::from(terms.value().doc_freq);
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
        found.truncate(QUERY_EXPANSIONS_MAX);
        Ok(found)
    }

    fn phrase(&self, a: &Clue, b: &Clue) -> Box<dyn Query> {
        let term = |clue: &Clue| Term::from_field_text(self.fields.body, &clue.term);
        boost(Box::new(PhraseQuery::new(vec![term(a), term(b)])), PHRASE_WEIGHT)
    }
}

/// Inverse document frequency, as BM25 has it.
fn rarity(documents: u64, all: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a weight needs no more digits")]
    let (documents, all) = (documents as f32, all as f32);
    ((all - documents + 0.5).max(0.5) / (documents + 0.5)).ln_1p()
}

fn facets(fields: &Fields, request: &Request<'_>) -> Vec<Box<dyn Query>> {
    let value = |name: &str, value: &String| -> Box<dyn Query> {
        let term = Term::from_field_text(fields.facet, &facet_term(name, value));
        Box::new(TermQuery::new(term, IndexRecordOption::Basic))
    };
    let facet = |(name, values): (&String, &Vec<String>)| -> Box<dyn Query> {
        Box::new(ConstScoreQuery::new(any(values.iter().map(|it| value(name, it)).collect()), 0.0))
    };
    request.facets.iter().map(facet).collect()
}

fn any(queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::union(queries))
}

fn boost(query: Box<dyn Query>, weight: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(query, weight))
}
