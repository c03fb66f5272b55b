//! Searching as the tool `search_documents` does it, and what the order of the documents is worth.

use std::collections::{BTreeMap, HashMap, HashSet};

use sekisho::search::{Choices, DocumentKey, Index, Passage, Request};

use crate::documents::LIBRARY;
use crate::judged::{Collection, Document};

/// Text of one passage; a library cuts its sections no longer.
const PASSAGE_BYTES_MAX: usize = 8 * 1024;

pub(crate) fn indexed(collection: &Collection, choices: Choices) -> Index {
    let index = Index::in_memory_by(choices).expect("an index in memory");
    let mut writer = index.writer().expect("the only writer");
    for document in &collection.documents {
        let key = DocumentKey { library: LIBRARY, path: &document.id };
        writer.put(&key, &[], &passages(document)).expect("a document that fits");
    }
    writer.commit(&BTreeMap::from([(LIBRARY.to_owned(), 1)])).expect("a commit in memory");
    index
}

fn passages(document: &Document) -> Vec<Passage> {
    let mut rest = document.text.as_str();
    let mut passages = Vec::new();
    loop {
        let bound = rest.floor_char_boundary(PASSAGE_BYTES_MAX);
        let (mut text, mut after) = rest.split_at(bound);
        if let Some(at) = text.rfind(char::is_whitespace).filter(|at| !after.is_empty() && *at > 0) {
            (text, after) = rest.split_at(at);
        }
        let trail = Some(document.title.clone()).filter(|title| !title.is_empty()).into_iter().collect();
        let ordinal = u32::try_from(passages.len()).expect("few passages");
        passages.push(Passage {
            ordinal,
            title: document.title.clone(),
            trail,
            anchor: String::new(),
            text: text.to_owned(),
        });
        rest = after;
        if rest.is_empty() {
            return passages;
        }
    }
}

/// The best documents, at most `documents_max`, page by page as an agent would ask.
pub(crate) fn search(index: &Index, text: &str, documents_max: usize) -> Vec<String> {
    let (libraries, facets) = ([LIBRARY.to_owned()], BTreeMap::new());
    let (mut found, mut seen, mut offset) = (Vec::new(), HashSet::new(), 0);
    while found.len() < documents_max {
        let limit = documents_max.max(10);
        let request =
            Request { text, libraries: &libraries, path_prefix: None, facets: &facets, limit, offset, explain: false };
        let hits = index.search(&request).expect("a query is never an error").hits;
        offset += hits.len();
        let full = hits.len() == limit;
        found.extend(hits.into_iter().map(|hit| hit.path).filter(|path| seen.insert(path.clone())));
        if !full {
            break;
        }
    }
    found.truncate(documents_max);
    found
}

/// Sums over queries.
#[derive(Default)]
pub(crate) struct Scores {
    queries: f64,
    ndcg: f64,
    reciprocal: f64,
    recall: f64,
    in_three: f64,
}

impl Scores {
    /// `found`: the best 100 documents.
    pub(crate) fn add(&mut self, found: &[String], relevant: &HashMap<String, f64>) {
        let grade = |path: &String| relevant.get(path).copied().unwrap_or(0.0);
        let mut ideal: Vec<f64> = relevant.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let first = found.iter().take(10).position(|path| grade(path) > 0.0);
        let held = found.iter().take(100).filter(|path| grade(path) > 0.0).count();
        self.queries += 1.0;
        self.ndcg += gain(found.iter().map(grade)) / gain(ideal.into_iter());
        self.reciprocal += first.map_or(0.0, |place| 1.0 / (place as f64 + 1.0));
        self.recall += held as f64 / relevant.len() as f64;
        self.in_three += f64::from(u8::from(first.is_some_and(|place| place < 3)));
    }

    pub(crate) fn ndcg_10(&self) -> f64 {
        self.ndcg / self.queries
    }

    pub(crate) fn mrr_10(&self) -> f64 {
        self.reciprocal / self.queries
    }

    pub(crate) fn recall_100(&self) -> f64 {
        self.recall / self.queries
    }

    pub(crate) fn hit_3(&self) -> f64 {
        self.in_three / self.queries
    }
}

/// Discounted gain of the first ten.
fn gain(grades: impl Iterator<Item = f64>) -> f64 {
    (2..).zip(grades.take(10)).map(|(place, grade)| grade / f64::from(place).log2()).sum()
}
