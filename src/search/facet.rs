//! How many documents of an answer have which value of a facet.

use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::collector::Count;
use tantivy::query::{BooleanQuery, EnableScoring, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, TantivyError, Term};

use crate::base::bound::FACET_VALUES_MAX;
use crate::base::bound::search::HITS_FEW;
use crate::search::analyze::Stems;
use crate::search::choice::Choice;
use crate::search::cut::Cutter;
use crate::search::find::tongues;
use crate::search::index::Index;
use crate::search::query::{Ground, plan};
use crate::search::reading::read;
use crate::search::schema::{Fields, KEY, facet_term};
use crate::search::scope::Scope;
use crate::search::synonym::Synonyms;
use crate::search::{Request, SearchError};

/// Documents by value, of each facet that was asked for.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

impl Index {
    /// Counts the documents that `request` finds by the values of the facets `names`. Its path prefix does not count.
    /// Blocks, as a search does.
    pub fn count(&self, request: &Request<'_>, names: &[String]) -> Result<Counts, SearchError> {
        let mut counts: Counts = names.iter().map(|name| (name.clone(), BTreeMap::new())).collect();
        if request.libraries.is_empty() || request.facets.values().any(Vec::is_empty) {
            return Ok(counts);
        }
        let (searcher, fields) = self.searcher();
        let Some(query) = self.query_of(&searcher, request)? else { return Ok(counts) };
        count(&searcher, fields, query.as_ref(), &mut counts)?;
        Ok(counts)
    }

    /// What a search for the same would look for: as asked, or more widely where that finds next to nothing.
    fn query_of(&self, searcher: &Searcher, request: &Request<'_>) -> Result<Option<Box<dyn Query>>, SearchError> {
        let choices = self.choices;
        let (mut cutter, mut stems) = (Cutter::new(choices), Stems::new(choices));
        let (_, fields) = self.searcher();
        let scope = Scope::new(searcher, fields, request.libraries)?;
        let tongues = tongues(&scope, fields)?;
        let Some(reading) = read(request.text, &mut cutter, &mut stems, &tongues, choices) else { return Ok(None) };
        let synonyms = self.synonyms_of(request.libraries);
        let synonyms: Vec<&Synonyms> = synonyms.iter().map(Arc::as_ref).collect();
        let ground = Ground { searcher, scope: &scope, fields, tongues: &tongues, synonyms: &synonyms, choices };
        let library = |name: &String| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(fields.library, name), IndexRecordOption::Basic))
        };
        let within = |query: Box<dyn Query>| -> Box<dyn Query> {
            let seen = BooleanQuery::union(request.libraries.iter().map(library).collect());
            Box::new(BooleanQuery::new(vec![(Occur::Must, Box::new(seen)), (Occur::Must, query)]))
        };
        let query = plan(ground, &mut stems, &reading, request, false)?.map(|plan| within(plan.query));
        let found = query.as_ref().map_or(Ok(0), |query| searcher.search(query, &Count))?;
        if found as u64 >= HITS_FEW || !choices.has(Choice::Wider) {
            return Ok(query);
        }
        let wide = plan(ground, &mut stems, &reading, request, true)?.map(|plan| within(plan.query));
        Ok(wide.or(query))
    }
}

fn count(searcher: &Searcher, fields: &Fields, query: &dyn Query, counts: &mut Counts) -> tantivy::Result<()> {
    let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
    for segment in searcher.segment_readers() {
        let mut found = vec![false; segment.max_doc() as usize];
        weight.for_each_no_score(segment, &mut |documents| {
            for document in documents {
                if let Some(slot) = found.get_mut(*document as usize) {
                    *slot = !segment.is_deleted(*document);
                }
            }
        })?;
        for (name, values) in counts.iter_mut() {
            count_values(segment, fields, name, &found, values)?;
        }
    }
    Ok(())
}

/// A document's passages stand together, so a document is counted where its key begins.
fn count_values(
    segment: &SegmentReader,
    fields: &Fields,
    name: &str,
    found: &[bool],
    values: &mut BTreeMap<String, u64>,
) -> tantivy::Result<()> {
    let missing = || TantivyError::SchemaError(format!("no column {KEY} in a segment"));
    let keys = segment.fast_fields().str(KEY)?.ok_or_else(missing)?;
    let index = segment.inverted_index(fields.facet)?;
    let first = facet_term(name, "");
    let mut terms = index.terms().range().ge(first.as_bytes()).into_stream()?;
    while terms.advance() {
        let Some(value) = terms.key().strip_prefix(first.as_bytes()) else { break };
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let mut postings = index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
        let (mut documents, mut before) = (0, None);
        while postings.doc() != TERMINATED {
            let passage = postings.doc();
            if found.get(passage as usize) == Some(&true) {
                let key = keys.ords().first(passage);
                documents += u64::from(key != before);
                before = key;
            }
            postings.advance();
        }
        if documents > 0 && (values.len() < FACET_VALUES_MAX || values.contains_key(value)) {
            *values.entry(value.to_owned()).or_default() += documents;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{DocumentKey, Passage};

    fn passage(ordinal: u32, text: &str) -> Passage {
        Passage { ordinal, title: "T".into(), trail: Vec::new(), anchor: String::new(), text: text.into() }
    }

    #[test]
    fn documents_are_counted_and_not_their_passages() {
        let index = Index::in_memory().unwrap();
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        for round in 0..2 {
            let mut writer = index.writer().unwrap();
            let mut put = |library: &str, path: &str, facets: &[(&str, &str)], texts: &[&str]| {
                let passages: Vec<Passage> = (0..).zip(texts).map(|(ordinal, text)| passage(ordinal, text)).collect();
                writer.put(&DocumentKey { library, path }, &own(facets), &passages).unwrap();
            };
            put("a", "1.md", &[("kind", "red"), ("kind", "blue")], &["tea one", "tea two", "coffee"]);
            put("a", "2.md", &[("kind", "red"), ("kindred", "x")], &["tea"]);
            // The second round replaces everything: what is deleted must not count.
            put("a", "3.md", &[("kind", "green")], if round == 0 { &["tea"] } else { &["coffee"] });
            put("b", "4.md", &[("kind", "red")], &["tea"]);
            writer.commit(&BTreeMap::new()).unwrap();
        }
        let check = |facets: &[(&str, &[&str])], expect: &[(&str, u64)]| {
            let facets = facets
                .iter()
                .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()));
            let (libraries, facets) = (["a".to_owned()], facets.collect());
            let request = Request {
                text: "tea",
                libraries: &libraries,
                path_prefix: None,
                facets: &facets,
                limit: 0,
                offset: 0,
                explain: false,
            };
            let counts = index.count(&request, &["kind".to_owned()]).unwrap();
            let expect: BTreeMap<String, u64> = expect.iter().map(|(value, n)| ((*value).to_owned(), *n)).collect();
            assert_eq!(counts["kind"], expect);
        };
        check(&[], &[("red", 2), ("blue", 1)]);
        check(&[("kind", &["blue"])], &[("red", 1), ("blue", 1)]);
        check(&[("kind", &["green"])], &[]);
    }
}
