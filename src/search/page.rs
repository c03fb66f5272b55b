//! What a whole document says for each of its passages.
//!
//! A passage can be the one that is sought though another one of its document holds half of the words. So the query is
//! also put to whole documents, and a passage gets a part of its document's score. The text of a document is indexed
//! with its first passage; statistics are counted per document, or length and rarity would be those of passages.

use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::query::{Bm25StatisticsProvider, Query};
use tantivy::schema::Field;
use tantivy::{DocId, Score, Searcher, SegmentOrdinal, SegmentReader, Term};

use crate::search::scope::{Scope, keys};

/// What of its document's score a passage gets. On Expo's and React's pages the texts of links find where they lead
/// best between 1.0 and 1.3 (0 to 3 points of MRR below that); titles and phrases were weighed anew with it.
const PAGE_WEIGHT: f32 = 1.3;

/// The scores of documents, by segment and by the ordinal of their key in it; a document never spans segments.
#[derive(Clone, Debug, Default)]
pub(super) struct PageScores(Vec<SegmentPages>);

/// The scores of one segment's documents.
#[derive(Clone, Debug, Default)]
pub(super) struct SegmentPages(Arc<Vec<Score>>);

impl PageScores {
    pub(super) fn segment(&self, segment: SegmentOrdinal) -> SegmentPages {
        usize::try_from(segment).ok().and_then(|it| self.0.get(it)).cloned().unwrap_or_default()
    }
}

impl SegmentPages {
    pub(super) fn score(&self, key: u64) -> Score {
        usize::try_from(key).ok().and_then(|it| self.0.get(it)).copied().unwrap_or_default()
    }
}

/// Puts a query to the `page` field of all documents.
pub(super) fn score_pages(
    searcher: &Searcher,
    scope: &Scope<'_>,
    page: Field,
    query: &dyn Query,
) -> tantivy::Result<PageScores> {
    searcher.search_with_statistics_provider(query, &Pages, &Statistics { scope, page })
}

/// What BM25 counts with: documents, where tantivy would count passages.
struct Statistics<'a> {
    scope: &'a Scope<'a>,
    page: Field,
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        self.scope.tokens(self.page)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.scope.documents())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        // A document that was replaced counts until its segment is merged, its key only once; and BM25 panics where
        // more documents hold a term than there are.
        Ok(self.scope.count(term)?.min(self.scope.documents()))
    }
}

struct Pages;

struct SegmentPagesCollector {
    keys: StrColumn,
    scores: Vec<Score>,
}

impl Collector for Pages {
    type Fruit = PageScores;
    type Child = SegmentPagesCollector;

    fn for_segment(&self, _: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentPagesCollector> {
        let keys = keys(reader)?;
        let scores = vec![0.0; keys.num_terms()];
        Ok(SegmentPagesCollector { keys, scores })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, segments: Vec<Vec<Score>>) -> tantivy::Result<PageScores> {
        Ok(PageScores(segments.into_iter().map(|it| SegmentPages(Arc::new(it))).collect()))
    }
}

impl SegmentCollector for SegmentPagesCollector {
    type Fruit = Vec<Score>;

    fn collect(&mut self, document: DocId, score: Score) {
        let key = self.keys.ords().first(document).and_then(|it| usize::try_from(it).ok());
        if let Some(slot) = key.and_then(|it| self.scores.get_mut(it)) {
            *slot = score * PAGE_WEIGHT;
        }
    }

    fn harvest(self) -> Vec<Score> {
        self.scores
    }
}
