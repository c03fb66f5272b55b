//! From what was read of a query to a tree of tantivy queries; no text is an error, and nothing in it is syntax.
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
//!
//! A word that the index does not have is looked for as what it may stand for (`spelling`); so is each word of a query
//! that found next to nothing (`wide`), and then `rank` keeps what has the words themselves in front.

use std::collections::HashMap;

use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use crate::base::bound::QUERY_PHRASES_MAX;
use crate::base::bound::search::QUERY_GUESSES_MAX;
use crate::search::analyze::Stems;
use crate::search::choice::{Choice, Choices};
use crate::search::cut::Kind;
use crate::search::language::{ENGLISH, Tongue};
use crate::search::reading::{Clue, Reading};
use crate::search::schema::{Fields, facet_term};
use crate::search::scope::Scope;
use crate::search::script::hiragana;
use crate::search::synonym::{Synonym, Synonyms};
use crate::search::{How, Request, spelling};

/// Weights beside the body's 1 (and the page's). Measured together on Cranfield, `SciFact`, and on Expo's and React's
/// pages with the texts of their own links as queries. More title hurts where every document is one passage; less
/// heading finds pages better and their sections worse, more heading the other way round.
const TITLE_WEIGHT: f32 = 0.7;
const HEADING_WEIGHT: f32 = 0.35;
const CODE_WEIGHT: f32 = 0.5;
/// Two neighbours of the query found as neighbours.
const PHRASE_WEIGHT: f32 = 0.2;
/// Two neighbours of the query found as one word.
const JOINED_WEIGHT: f32 = 0.5;
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
/// An ending for a word that was not finished.
const ENDING_WEIGHT: f32 = 0.3;
/// A word for a misspelt one, by the halves of edits between them (from 0, which is none, on).
const TYPO_WEIGHTS: [f32; 6] = [0.0, 0.0, 0.6, 0.4, 0.3, 0.2];
/// The very form that is sought, anywhere in the document: `reducing` for reducing, before reduce and reduced.
const FORM_WEIGHT: f32 = 0.3;
/// What a library calls the same.
const SYNONYM_WEIGHT: f32 = 0.4;

/// What a request becomes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) query: Box<dyn Query>,
    /// The same terms, looked for in whole documents.
    pub(super) pages: Box<dyn Query>,
    /// Indexed terms and what each is worth, for snippets.
    pub(super) worth: HashMap<String, f32>,
    /// The clauses of `query` one by one, for explanations.
    pub(super) parts: Vec<Part>,
}

/// One clause, and what it says of a passage that matches it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) word: String,
    pub(super) how: How,
    pub(super) field: &'static str,
    pub(super) query: Box<dyn Query>,
}

/// Where a query is put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    pub(super) searcher: &'a Searcher,
    /// What of the index counts.
    pub(super) scope: &'a Scope<'a>,
    pub(super) fields: &'a Fields,
    /// Languages of the index beside English.
    pub(super) tongues: &'a [Tongue],
    pub(super) synonyms: &'a [&'a Synonyms],
    pub(super) choices: Choices,
}

/// The fields that hold a term, with their weights and how many passages have it there.
type Places = Vec<(Field, f32, u64)>;

/// Builds the query tree over what the index holds; `wide` also takes in what words of the index may have been meant.
/// `None` where nothing can match.
pub(super) fn plan(
    ground: Ground<'_>,
    stems: &mut Stems,
    reading: &Reading,
    request: &Request<'_>,
    wide: bool,
) -> tantivy::Result<Option<Plan>> {
    let mut tree = Tree { ground, worth: HashMap::new(), parts: Vec::new(), pages: Vec::new(), guesses: 0 };
    let mut known = Vec::with_capacity(reading.clues.len());
    for clue in &reading.clues {
        known.push(tree.known(clue)?);
    }
    let is_known = |index: usize| known.get(index).is_some_and(|it| !it.is_empty());

    let mut stops = Tree { worth: HashMap::new(), parts: Vec::new(), pages: Vec::new(), ..tree };
    for (index, (clue, found)) in reading.clues.iter().zip(&known).enumerate() {
        let inside =
            clue.whole.filter(|it| is_known(*it)).and_then(|it| Some((reading.clues.get(it)?, reading.parts(it))));
        let weight = weight(clue, inside, ground.choices);
        let tree = if clue.stop { &mut stops } else { &mut tree };
        tree.forms(clue, found, weight);
        if clue.spelt && !found.is_empty() {
            tree.form(&clue.surface, weight);
        }
        // A single character may be a term of its own at the end of a run and begin pairs elsewhere: always widened.
        if found.is_empty() || clue.kind == Kind::Lone || wide {
            let last = index + 1 == reading.clues.len();
            tree.stand_ins(stems, clue, weight, last)?;
        }
    }
    tree.neighbours(stems, reading, &known)?;
    tree.synonyms(reading)?;
    if tree.parts.is_empty() {
        tree = stops;
    }
    if tree.parts.is_empty() {
        return Ok(None);
    }
    let mut query = any(tree.parts.iter().map(|it| it.query.box_clone()).collect());
    let facets = facets(ground.fields, request);
    if !facets.is_empty() {
        let facets = facets.into_iter().map(|it| (Occur::Must, it));
        query = Box::new(BooleanQuery::new(facets.chain([(Occur::Must, query)]).collect()));
    }
    Ok(Some(Plan { query, pages: any(tree.pages), worth: tree.worth, parts: tree.parts }))
}

/// `inside`: the compound that the clue is a part of, where the index knows it, and how many parts that has.
fn weight(clue: &Clue, inside: Option<(&Clue, u32)>, choices: Choices) -> f32 {
    let inside = inside.filter(|_| choices.has(Choice::Parts));
    let mut soft = clue.term.chars().map(hiragana);
    let kind = match clue.kind {
        Kind::Part => match inside {
            // All parts together say less than the name itself.
            Some((whole, parts)) if is_name(whole) => PART_WEIGHT / small(parts.max(1)),
            Some(_) => PART_WEIGHT,
            None => 1.0,
        },
        Kind::Whole if is_name(clue) && choices.has(Choice::Names) => NAME_WEIGHT,
        Kind::Pair if choices.has(Choice::Pairs) => match (soft.next(), soft.next()) {
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
fn are_neighbours(a: &Clue, b: &Clue, choices: Choices) -> bool {
    // Pairs of characters overlap: each is half of its neighbour already.
    let apart = |it: &Clue| it.kind == Kind::Pair && choices.has(Choice::PairsApart);
    let says = |it: &Clue| !it.stop && it.kind != Kind::Whole && !apart(it);
    a.position + 1 == b.position && says(a) && says(b) && a.whole.is_none() && b.whole.is_none()
}

/// Collects clauses against one state of the index and notes what terms are worth.
struct Tree<'a> {
    ground: Ground<'a>,
    worth: HashMap<String, f32>,
    parts: Vec<Part>,
    pages: Vec<Box<dyn Query>>,
    /// Words that were looked for as what they may stand for.
    guesses: usize,
}

impl Tree<'_> {
    fn has(&self, choice: Choice) -> bool {
        self.ground.choices.has(choice)
    }

    /// The forms of a clue that the index has.
    fn known(&self, clue: &Clue) -> tantivy::Result<Vec<(String, Places)>> {
        let mut known = Vec::new();
        for term in clue.forms() {
            let places = self.places(term)?;
            if !places.is_empty() {
                known.push((term.clone(), places));
            }
        }
        Ok(known)
    }

    fn places(&self, term: &str) -> tantivy::Result<Places> {
        let Fields { title, heading, body, code, .. } = *self.ground.fields;
        let mut found = Vec::new();
        // The body holds title and headings too: what it lacks they lack.
        for (field, weight) in [(body, 1.0), (title, TITLE_WEIGHT), (heading, HEADING_WEIGHT), (code, CODE_WEIGHT)] {
            if (field == title || field == heading) && found.is_empty() {
                continue;
            }
            let (has, weight) = match field {
                _ if field == title => (self.has(Choice::Title), weight),
                _ if field == heading => (self.has(Choice::Headings), weight),
                _ if field == code && !self.has(Choice::Code) => (true, 1.0),
                _ => (true, weight),
            };
            if !has {
                continue;
            }
            let documents = self.ground.scope.count(&Term::from_field_text(field, term))?;
            if documents > 0 {
                found.push((field, weight, documents));
            }
        }
        Ok(found)
    }

    /// A clue in the languages of the index. The form of the language with few documents is no rarer a word for it.
    fn forms(&mut self, clue: &Clue, known: &[(String, Places)], weight: f32) {
        let most = |places: &Places| places.iter().map(|it| it.2).max().unwrap_or_default();
        let all = self.ground.scope.passages();
        let together: u64 = known.iter().map(|(_, places)| most(places)).sum();
        for (term, places) in known {
            let alike = rarity(together.min(all), all) / rarity(most(places), all);
            let alike = if self.has(Choice::Alike) { alike } else { 1.0 };
            self.put(&clue.surface, How::Word, term, places, weight * alike);
        }
    }

    fn put(&mut self, word: &str, how: How, term: &str, places: &Places, weight: f32) {
        let documents = places.iter().map(|it| it.2).max().unwrap_or_default();
        let worth = weight * rarity(documents, self.ground.scope.passages());
        let known = self.worth.entry(term.to_owned()).or_default();
        *known = known.max(worth);
        let clause = |field, weight| {
            let query = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
            boost(Box::new(query), weight)
        };
        let Fields { title, body, code, page, .. } = *self.ground.fields;
        let (said, more): (Places, Places) = places.iter().partition(|it| it.0 == body || it.0 == code);
        let mut said: Vec<_> = said.iter().map(|it| clause(it.0, weight * it.1)).collect();
        // A word that prose and code both use is still one word of the query: the better of the two counts, or a page
        // with one of the words in a listing would stand before a page with both.
        if said.len() > 1 && self.has(Choice::Once) {
            said = vec![Box::new(DisjunctionMaxQuery::new(said))];
        }
        let said = said.into_iter().map(|query| ("text", query));
        let more =
            more.iter().map(|it| (if it.0 == title { "title" } else { "headings" }, clause(it.0, weight * it.1)));
        for (field, query) in said.chain(more) {
            self.parts.push(Part { word: word.to_owned(), how, field, query });
        }
        self.pages.push(clause(page, weight));
    }

    /// A word as it is written, in whole documents.
    fn form(&mut self, word: &str, weight: f32) {
        if !self.has(Choice::Form) {
            return;
        }
        let query = TermQuery::new(Term::from_field_text(self.ground.fields.words, word), IndexRecordOption::Basic);
        self.pages.push(boost(Box::new(query), weight * FORM_WEIGHT));
    }

    /// What is looked for where a term has no exact hit.
    fn stand_ins(&mut self, stems: &mut Stems, clue: &Clue, weight: f32, last: bool) -> tantivy::Result<()> {
        let Ground { searcher, scope, fields, .. } = self.ground;
        if clue.kind == Kind::Lone {
            // One character sought: whatever term begins with it, at full weight, for it is there.
            for (term, documents) in spelling::beginning_with(searcher, scope, fields.body, &clue.term)? {
                self.put(&clue.surface, How::Ending, &term, &vec![(fields.body, 1.0, documents)], weight);
            }
            if !self.parts.is_empty() {
                self.worth.insert(clue.term.clone(), weight);
            }
            return Ok(());
        }
        if clue.stop || !clue.spelt || self.guesses == QUERY_GUESSES_MAX {
            return Ok(());
        }
        self.guesses += 1;
        // Several words of the dictionary have one stem: the nearest of them speaks for it.
        let mut meant: Vec<(String, How, f32)> = Vec::new();
        let mut written: Vec<(String, f32)> = Vec::new();
        let mut add = |word: &str, how: How, factor: f32| {
            if !written.iter().any(|it| it.0 == word) {
                written.push((word.to_owned(), factor));
            }
            for tongue in std::iter::once(ENGLISH).chain(self.ground.tongues.iter().copied()) {
                let term = stems.stem_word(word.to_owned(), tongue);
                if !clue.forms().any(|it| *it == term) && !meant.iter().any(|it| it.0 == term) {
                    meant.push((term, how, factor));
                }
            }
        };
        let misspelt = if self.has(Choice::Typos) {
            spelling::misspelt(searcher, scope, fields.words, &clue.surface, self.has(Choice::FirstLetter))?
        } else {
            Vec::new()
        };
        for it in misspelt {
            add(&it.word, How::Typo, TYPO_WEIGHTS.get(usize::from(it.cost)).copied().unwrap_or(0.1));
        }
        // The last word may not be finished.
        if last && self.has(Choice::Endings) {
            for word in spelling::completed(searcher, scope, fields.words, &clue.surface)? {
                add(&word, How::Ending, ENDING_WEIGHT);
            }
        }
        for (term, how, factor) in meant {
            let places = self.places(&term)?;
            if !places.is_empty() {
                self.put(&clue.surface, how, &term, &places, weight * factor);
            }
        }
        for (word, factor) in written {
            self.form(&word, weight * factor);
        }
        if self.has(Choice::Split)
            && let Some((left, right)) = spelling::split(scope, fields.words, &clue.surface)?
        {
            let terms = [stems.stem_word(left, ENGLISH), stems.stem_word(right, ENGLISH)];
            self.phrase(&clue.surface, How::Split, &terms, weight);
        }
        Ok(())
    }

    /// Neighbours of the query once more: as a phrase, and as one word.
    fn neighbours(
        &mut self,
        stems: &mut Stems,
        reading: &Reading,
        known: &[Vec<(String, Places)>],
    ) -> tantivy::Result<()> {
        let phrases = if self.has(Choice::Neighbours) { 2 } else { 0 };
        let choices = self.ground.choices;
        let clues = reading.clues.iter().zip(known);
        let pairs = clues.clone().zip(clues.skip(1)).filter(|((a, _), (b, _))| are_neighbours(a, b, choices));
        for ((a, a_known), (b, b_known)) in pairs.take(QUERY_PHRASES_MAX) {
            let word = format!("{} {}", a.surface, b.surface);
            // A phrase matches nothing that its terms do not match: it stands among them and widens nothing.
            for (a, b) in a_known.iter().flat_map(|a| b_known.iter().map(move |b| (a, b))).take(phrases) {
                let terms = [&a.0, &b.0].map(|it| Term::from_field_text(self.ground.fields.body, it));
                let query = boost(Box::new(PhraseQuery::new(terms.to_vec())), PHRASE_WEIGHT);
                self.parts.push(Part { word: word.clone(), how: How::Neighbours, field: "text", query });
            }
            if a.spelt && b.spelt && self.has(Choice::Joined) {
                let joined = stems.stem_word(format!("{}{}", a.surface, b.surface), ENGLISH);
                let places = self.places(&joined)?;
                if !places.is_empty() {
                    self.put(&word, How::Joined, &joined, &places, JOINED_WEIGHT);
                }
            }
        }
        Ok(())
    }

    fn synonyms(&mut self, reading: &Reading) -> tantivy::Result<()> {
        let known = self.ground.synonyms.iter().filter(|_| self.has(Choice::Synonyms));
        let found: Vec<Synonym> = known.flat_map(|it| it.of(reading)).collect();
        for Synonym { terms, clue } in found {
            let Some(clue) = reading.clues.get(clue) else { continue };
            match terms.as_slice() {
                [term] => {
                    let places = self.places(term)?;
                    if !places.is_empty() {
                        self.put(&clue.surface, How::Synonym, term, &places, SYNONYM_WEIGHT);
                    }
                }
                terms => self.phrase(&clue.surface, How::Synonym, terms, SYNONYM_WEIGHT),
            }
        }
        Ok(())
    }

    /// Words that must stand side by side in a passage, and all of them somewhere in a document.
    fn phrase(&mut self, word: &str, how: How, terms: &[String], weight: f32) {
        let Fields { body, page, .. } = *self.ground.fields;
        let query = PhraseQuery::new(terms.iter().map(|it| Term::from_field_text(body, it)).collect());
        let query = boost(Box::new(query), weight);
        self.parts.push(Part { word: word.to_owned(), how, field: "text", query });
        let all = terms.iter().map(|it| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(page, it), IndexRecordOption::WithFreqs))
        });
        self.pages.push(boost(Box::new(BooleanQuery::intersection(all.collect())), weight));
        for term in terms {
            self.worth.entry(term.clone()).or_insert(weight);
        }
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
