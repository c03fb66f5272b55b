//! Collecting the best passages: bounded, folded by document, in one total order, so that pages fit together.
//!
//! The order is score, then library and path, then ordinal. A ranking of n hits is the beginning of a ranking of
//! n + 1, whatever the segments are: a passage is dropped only when better ones of its own document fill its place, or
//! when n better hits exist.

use std::collections::{HashMap, HashSet};
use std::ops::{Bound, Range};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

use crate::base::bound::DOCUMENT_HITS_MAX;
use crate::search::page::{PageScores, SegmentPages};
use crate::search::schema::{KEY, ORDINAL};

/// Scores are compared in steps of this: a sum of floats depends on its order, which differs between segments.
const SCORE_STEPS: f32 = 4096.0;

/// The best passages for one query.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Passages that match.
    pub(super) total: u64,
    pub(super) hits: Vec<(Score, DocAddress)>,
}

/// Collects `count` hits among the documents whose key begins with one of `scopes`; those whose key is in `whole` are
/// not folded.
#[derive(Debug)]
pub(super) struct Ranking {
    pub(super) count: usize,
    pub(super) scopes: Vec<String>,
    pub(super) whole: Vec<String>,
    pub(super) pages: PageScores,
    /// How many there are: the hits of a single one are settled, and their keys need not be read.
    pub(super) segments: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Candidate<K> {
    step: u64,
    key: K,
    ordinal: u64,
    score: Score,
    address: DocAddress,
}

/// Sorts, folds and cuts: the same for one segment (keys are their ordinals, in the same order) and for all.
fn settle<K: Ord + std::hash::Hash + Clone>(all: &mut Vec<Candidate<K>>, count: usize, whole: impl Fn(&K) -> bool) {
    all.sort_unstable_by(|a, b| (b.step, &a.key, a.ordinal).cmp(&(a.step, &b.key, b.ordinal)));
    let mut seen: HashMap<K, u32> = HashMap::new();
    all.retain(|it| {
        let times = seen.entry(it.key.clone()).or_default();
        *times += 1;
        *times <= DOCUMENT_HITS_MAX || whole(&it.key)
    });
    all.truncate(count);
}

pub(super) struct SegmentRanking {
    segment: SegmentOrdinal,
    count: usize,
    /// Ordinals of the keys that may be seen: sorted, disjoint.
    scopes: Vec<Range<u64>>,
    whole: HashSet<u64>,
    /// Whether keys are compared with those of other segments.
    named: bool,
    keys: StrColumn,
    ordinals: Column<u64>,
    pages: SegmentPages,
    total: u64,
    /// What a passage must reach to be among the best; exact once `best` was full.
    floor: u64,
    best: Vec<Candidate<u64>>,
}

impl SegmentRanking {
    fn settle(&mut self) {
        settle(&mut self.best, self.count, |key| self.whole.contains(key));
        if self.best.len() == self.count {
            self.floor = self.best.last().map_or(0, |it| it.step);
        }
    }
}

impl SegmentCollector for SegmentRanking {
    type Fruit = std::io::Result<(u64, Vec<Candidate<String>>)>;

    fn collect(&mut self, document: DocId, score: Score) {
        let key = self.keys.ords().first(document).unwrap_or(u64::MAX);
        let place = self.scopes.partition_point(|it| it.end <= key);
        if !self.scopes.get(place).is_some_and(|it| it.contains(&key)) {
            return;
        }
        self.total += 1;
        let score = score + self.pages.score(key);
        // Scores are positive and far below 2^50 steps, so the cast keeps their order.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small, see above")]
        let step = (score * SCORE_STEPS) as u64;
        if step < self.floor {
            return;
        }
        let ordinal = self.ordinals.first(document).unwrap_or(u64::MAX);
        let address = DocAddress::new(self.segment, document);
        self.best.push(Candidate { step, key, ordinal, score, address });
        if self.best.len() >= 4 * self.count + 256 {
            self.settle();
        }
    }

    fn harvest(mut self) -> Self::Fruit {
        self.settle();
        let mut found = Vec::with_capacity(self.best.len());
        for Candidate { step, key, ordinal, score, address } in self.best {
            let mut name = String::new();
            if self.named {
                self.keys.ord_to_str(key, &mut name)?;
            }
            found.push(Candidate { step, key: name, ordinal, score, address });
        }
        Ok((self.total, found))
    }
}

impl Collector for Ranking {
    type Fruit = Ranked;
    type Child = SegmentRanking;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentRanking> {
        let missing = || TantivyError::SchemaError(format!("no column {KEY} in a segment"));
        let keys = reader.fast_fields().str(KEY)?.ok_or_else(missing)?;
        let mut whole = HashSet::new();
        for key in &self.whole {
            whole.extend(keys.dictionary().term_ord(key.as_bytes())?);
        }
        let mut scopes = Vec::new();
        for scope in &self.scopes {
            // No key holds the byte 0xFF: everything that begins so is below this.
            let end = [scope.as_bytes(), &[0xff]].concat();
            let bounds = (Bound::Included(scope.as_bytes()), Bound::Excluded(end.as_slice()));
            if let (Bound::Included(from), Bound::Excluded(to)) =
                keys.dictionary().term_bounds_to_ord(bounds.0, bounds.1)?
            {
                scopes.push(from..to);
            }
        }
        scopes.sort_unstable_by_key(|it| it.start);
        let ordinals = reader.fast_fields().u64(ORDINAL)?;
        let (count, named, best) = (self.count, self.segments > 1, Vec::new());
        let pages = self.pages.segment(segment);
        Ok(SegmentRanking { segment, count, scopes, whole, named, keys, ordinals, pages, total: 0, floor: 0, best })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segments: Vec<std::io::Result<(u64, Vec<Candidate<String>>)>>) -> tantivy::Result<Ranked> {
        let mut total = 0;
        let mut all = Vec::new();
        for segment in segments {
            let (matched, best) = segment?;
            total += matched;
            all.extend(best);
        }
        if self.segments > 1 {
            settle(&mut all, self.count, |key| self.whole.contains(key));
        }
        let hits = all.into_iter().map(|it| (it.score, it.address)).collect();
        Ok(Ranked { total, hits })
    }
}
