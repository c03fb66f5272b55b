//! Collecting the best passages: bounded, folded by document, in one total order, so that pages fit together.
//!
//! The order is score, then library and path, then ordinal. A ranking of n hits is the beginning of a ranking of
//! n + 1, whatever the segments are: a passage is dropped only when better ones of its own document fill its place, or
//! when n better hits exist. Of the editions of a page one takes the place that the best of them has; which one, may
//! depend on n where they lie in different segments, where the page stands does not.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use crate::base::bound::DOCUMENT_HITS_MAX;
use crate::search::edition::major;
use crate::search::page::{PageScores, SegmentPages};
use crate::search::schema::{FAMILY, ORDINAL, VERSION};
use crate::search::scope::{is_within, keys, ranges};

/// Scores are compared in steps of this: a sum of floats depends on its order, which differs between segments.
const SCORE_STEPS: f32 = 4096.0;

/// Added to the steps of what was found by the words themselves, above every score.
const PINNED: u64 = 1 << 50;

/// An edition stands for its page unless another one's score is more than this many tenths better: then it says
/// something that this one does not.
const EDITION_TENTHS: u64 = 8;

/// The best passages for one query.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Passages that match.
    pub(super) total: u64,
    pub(super) hits: Vec<RankedHit>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RankedHit {
    pub(super) score: Score,
    /// What of the score comes from the document as a whole.
    pub(super) page: Score,
    pub(super) address: DocAddress,
}

/// Collects `count` hits among the documents whose key begins with one of `scopes`; those whose key is in `whole` are
/// not folded.
#[derive(Debug)]
pub(super) struct Ranking {
    pub(super) count: usize,
    pub(super) scopes: Vec<String>,
    pub(super) whole: Vec<String>,
    pub(super) pages: PageScores,
    /// What was found by the words themselves: it keeps its score and stands in front of all else.
    pub(super) pinned: Vec<RankedHit>,
    /// First numbers of the versions that the query names.
    pub(super) versions: Vec<u64>,
    /// Whether one edition of a page is kept.
    pub(super) editions: bool,
    /// How many there are: the hits of a single one are settled, and their keys need not be read.
    pub(super) segments: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Candidate<K> {
    step: u64,
    key: K,
    ordinal: u64,
    family: u64,
    version: u64,
    hit: RankedHit,
}

/// Sorts, folds and cuts: the same for one segment (keys are their ordinals, in the same order) and for all.
fn settle<K: Ord + std::hash::Hash + Clone>(
    all: &mut Vec<Candidate<K>>,
    count: usize,
    versions: &[u64],
    editions: bool,
    whole: impl Fn(&K) -> bool,
) {
    let order = |a: &Candidate<K>, b: &Candidate<K>| (b.step, &a.key, a.ordinal).cmp(&(a.step, &b.key, b.ordinal));
    all.sort_unstable_by(order);
    if editions && fold_editions(all, versions) {
        all.sort_unstable_by(order);
    }
    let mut seen: HashMap<K, u32> = HashMap::new();
    all.retain(|it| {
        let times = seen.entry(it.key.clone()).or_default();
        *times += 1;
        *times <= DOCUMENT_HITS_MAX || whole(&it.key)
    });
    all.truncate(count);
}

/// Of the editions of a page keeps one, in the place of the best; whether there were several of any page.
fn fold_editions<K: Ord + Clone>(all: &mut Vec<Candidate<K>>, versions: &[u64]) -> bool {
    struct Family<K> {
        best: u64,
        key: K,
        rank: (bool, u64),
        several: bool,
    }
    let rank = |it: &Candidate<K>| (major(it.version).is_some_and(|it| versions.contains(&it)), it.version);
    let mut families: HashMap<u64, Family<K>> = HashMap::new();
    for it in &*all {
        let new = || Family { best: it.step, key: it.key.clone(), rank: rank(it), several: false };
        let family = families.entry(it.family).or_insert_with(new);
        if family.key != it.key {
            family.several = true;
            let good = it.step.saturating_mul(10) >= family.best.saturating_mul(EDITION_TENTHS);
            if good && rank(it) > family.rank {
                (family.key, family.rank) = (it.key.clone(), rank(it));
            }
        }
    }
    if !families.values().any(|it| it.several) {
        return false;
    }
    all.retain_mut(|it| match families.get_mut(&it.family) {
        Some(family) if family.several => {
            let kept = family.key == it.key;
            if kept {
                // The first one that is kept is the best of its edition.
                it.step = it.step.max(std::mem::take(&mut family.best));
            }
            kept
        }
        _ => true,
    });
    true
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
    families: Column<u64>,
    releases: Column<u64>,
    pages: SegmentPages,
    pinned: HashMap<DocId, RankedHit>,
    /// What is not pinned scores no more than this.
    ceiling: Score,
    versions: Vec<u64>,
    editions: bool,
    total: u64,
    /// What a passage must reach to be among the best; exact once `best` was full.
    floor: u64,
    best: Vec<Candidate<u64>>,
}

impl SegmentRanking {
    fn settle(&mut self) {
        settle(&mut self.best, self.count, &self.versions, self.editions, |key| self.whole.contains(key));
        if self.best.len() == self.count {
            self.floor = self.best.last().map_or(0, |it| it.step);
        }
    }
}

impl SegmentCollector for SegmentRanking {
    type Fruit = std::io::Result<(u64, Vec<Candidate<String>>)>;

    fn collect(&mut self, document: DocId, score: Score) {
        let key = self.keys.ords().first(document).unwrap_or(u64::MAX);
        if !is_within(&self.scopes, key) {
            return;
        }
        self.total += 1;
        let page = self.pages.score(key);
        let address = DocAddress::new(self.segment, document);
        let pinned = self.pinned.get(&document);
        let hit = pinned.copied().unwrap_or(RankedHit { score: (score + page).min(self.ceiling), page, address });
        // Scores are positive and far below 2^50 steps, so the cast keeps their order.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small, see above")]
        let step = (hit.score * SCORE_STEPS) as u64 + pinned.map_or(0, |_| PINNED);
        if step < self.floor {
            return;
        }
        let first = |column: &Column<u64>| column.first(document);
        let ordinal = first(&self.ordinals).unwrap_or(u64::MAX);
        let (family, version) = (first(&self.families).unwrap_or(key), first(&self.releases).unwrap_or_default());
        self.best.push(Candidate { step, key, ordinal, family, version, hit });
        if self.best.len() >= 4 * self.count + 256 {
            self.settle();
        }
    }

    fn harvest(mut self) -> Self::Fruit {
        self.settle();
        let mut found = Vec::with_capacity(self.best.len());
        for Candidate { step, key, ordinal, family, version, hit } in self.best {
            let mut name = String::new();
            if self.named {
                self.keys.ord_to_str(key, &mut name)?;
            }
            found.push(Candidate { step, key: name, ordinal, family, version, hit });
        }
        Ok((self.total, found))
    }
}

impl Collector for Ranking {
    type Fruit = Ranked;
    type Child = SegmentRanking;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentRanking> {
        let keys = keys(reader)?;
        let mut whole = HashSet::new();
        for key in &self.whole {
            whole.extend(keys.dictionary().term_ord(key.as_bytes())?);
        }
        let scopes = ranges(&keys, &self.scopes)?;
        let column = |name| reader.fast_fields().u64(name);
        let here = self.pinned.iter().filter(|it| it.address.segment_ord == segment);
        Ok(SegmentRanking {
            segment,
            count: self.count,
            scopes,
            whole,
            named: self.segments > 1,
            keys,
            ordinals: column(ORDINAL)?,
            families: column(FAMILY)?,
            releases: column(VERSION)?,
            pages: self.pages.segment(segment),
            pinned: here.map(|it| (it.address.doc_id, *it)).collect(),
            ceiling: self.pinned.iter().map(|it| it.score).fold(Score::MAX, Score::min),
            versions: self.versions.clone(),
            editions: self.editions,
            total: 0,
            floor: 0,
            best: Vec::new(),
        })
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
            settle(&mut all, self.count, &self.versions, self.editions, |key| self.whole.contains(key));
        }
        let hits = all.into_iter().map(|it| it.hit).collect();
        Ok(Ranked { total, hits })
    }
}
