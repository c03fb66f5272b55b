//! What a search counts with: the passages of the libraries that are asked, and of no others.
//!
//! Libraries share one index. Were words counted over all of it, then whoever may see one library could tell from scores,
//! and from what counts as misspelt, which words the others hold; and a misspelling that one library has would be
//! mended in none. Where all libraries are asked, tantivy's own counts serve. Else the postings of each word are walked
//! once, and the lengths of the passages, which costs about as much as the search itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::{Bound, Range};

use tantivy::columnar::StrColumn;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, TantivyError, Term};

use crate::search::schema::{Fields, KEY, key_term};

/// The passages that a search counts with.
pub(super) struct Scope<'a> {
    searcher: &'a Searcher,
    /// By segment, which keys may be seen: sorted, disjoint ranges of ordinals. `None`: all there are.
    seen: Option<Vec<(StrColumn, Vec<Range<u64>>)>>,
    passages: u64,
    documents: u64,
    /// Passages that have a term, and words of a field.
    counted: RefCell<HashMap<Term, u64>>,
    tokens: RefCell<HashMap<Field, u64>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(searcher: &'a Searcher, fields: &Fields, libraries: &[String]) -> tantivy::Result<Self> {
        let mut libraries: Vec<&String> = libraries.iter().collect();
        libraries.sort_unstable();
        libraries.dedup();
        let scopes: Vec<String> = libraries.iter().map(|it| key_term(it, "")).collect();
        let (mut passages, mut all, mut documents) = (0, 0, 0);
        for library in libraries {
            passages += searcher.doc_freq(&Term::from_field_text(fields.library, library))?;
        }
        let mut seen = Vec::new();
        for segment in searcher.segment_readers() {
            let keys = keys(segment)?;
            let ranges = ranges(&keys, &scopes)?;
            all += u64::from(segment.max_doc());
            documents += ranges.iter().map(|it| it.end - it.start).sum::<u64>();
            seen.push((keys, ranges));
        }
        let seen = Some(seen).filter(|_| passages < all);
        Ok(Self { searcher, seen, passages, documents, counted: RefCell::default(), tokens: RefCell::default() })
    }

    /// Passages that have a term.
    pub(super) fn count(&self, term: &Term) -> tantivy::Result<u64> {
        let Some(seen) = &self.seen else { return self.searcher.doc_freq(term) };
        if let Some(known) = self.counted.borrow().get(term) {
            return Ok(*known);
        }
        let mut count = 0;
        for (segment, (keys, ranges)) in self.searcher.segment_readers().iter().zip(seen) {
            let index = segment.inverted_index(term.field())?;
            let Some(mut postings) = index.read_postings(term, IndexRecordOption::Basic)? else { continue };
            let mut document = postings.doc();
            while document != TERMINATED {
                let key = keys.ords().first(document).unwrap_or(u64::MAX);
                count += u64::from(is_within(ranges, key) && !segment.is_deleted(document));
                document = postings.advance();
            }
        }
        self.counted.borrow_mut().insert(term.clone(), count);
        Ok(count)
    }

    /// Passages of these libraries.
    pub(super) fn passages(&self) -> u64 {
        self.passages
    }

    /// Documents of these libraries; one that was replaced counts until its segment is merged.
    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    /// Words that a field has in these passages, as exactly as lengths are stored.
    pub(super) fn tokens(&self, field: Field) -> tantivy::Result<u64> {
        let Some(seen) = &self.seen else { return self.searcher.total_num_tokens(field) };
        if let Some(known) = self.tokens.borrow().get(&field) {
            return Ok(*known);
        }
        let mut tokens = 0;
        for (segment, (keys, ranges)) in self.searcher.segment_readers().iter().zip(seen) {
            let lengths = segment.get_fieldnorms_reader(field)?;
            for document in segment.doc_ids_alive() {
                if is_within(ranges, keys.ords().first(document).unwrap_or(u64::MAX)) {
                    tokens += u64::from(lengths.fieldnorm(document));
                }
            }
        }
        self.tokens.borrow_mut().insert(field, tokens);
        Ok(tokens)
    }
}

impl Bm25StatisticsProvider for Scope<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        self.tokens(field)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.passages())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        self.count(term)
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("passages", &self.passages).finish_non_exhaustive()
    }
}

/// The column of a segment that says which document a passage is of.
pub(super) fn keys(segment: &SegmentReader) -> tantivy::Result<StrColumn> {
    let missing = || TantivyError::SchemaError(format!("no column {KEY} in a segment"));
    segment.fast_fields().str(KEY)?.ok_or_else(missing)
}

/// The ordinals of the keys that begin with one of `scopes`: sorted, disjoint if the scopes are.
pub(super) fn ranges(keys: &StrColumn, scopes: &[String]) -> tantivy::Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    for scope in scopes {
        // No key holds the byte 0xFF: everything that begins so is below this.
        let end = [scope.as_bytes(), &[0xff]].concat();
        let bounds = (Bound::Included(scope.as_bytes()), Bound::Excluded(end.as_slice()));
        if let (Bound::Included(from), Bound::Excluded(to)) =
            keys.dictionary().term_bounds_to_ord(bounds.0, bounds.1)?
        {
            // In a large dictionary what is behind the last key has no ordinal of its own, but the largest number.
            let end = keys.num_terms() as u64;
            if from < to.min(end) {
                ranges.push(from..to.min(end));
            }
        }
    }
    ranges.sort_unstable_by_key(|it| it.start);
    Ok(ranges)
}

/// Whether one of sorted, disjoint ranges holds a key.
pub(super) fn is_within(ranges: &[Range<u64>], key: u64) -> bool {
    let place = ranges.partition_point(|it| it.end <= key);
    ranges.get(place).is_some_and(|it| it.contains(&key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::search::{DocumentKey, Index, Passage};

    #[test]
    fn documents_and_words_are_counted_also_where_there_are_many() {
        let index = Index::in_memory().unwrap();
        let mut writer = index.writer().unwrap();
        for number in 0..6_000 {
            let library = if number % 3 == 0 { "a" } else { "b" };
            let text = format!("word {library}{}", number % 7);
            let (title, trail) = (String::new(), Vec::new());
            let passage = Passage { ordinal: 0, title, trail, anchor: String::new(), text };
            let path = format!("folder/document-{number}.md");
            writer.put(&DocumentKey { library, path: &path }, &[], &[passage]).unwrap();
        }
        writer.commit(&BTreeMap::new()).unwrap();
        let (searcher, fields) = index.searcher();
        let check = |libraries: &[&str], documents: u64| {
            let libraries: Vec<String> = libraries.iter().map(|it| (*it).to_owned()).collect();
            let scope = Scope::new(&searcher, fields, &libraries).unwrap();
            assert_eq!((scope.documents(), scope.passages()), (documents, documents), "{libraries:?}");
            assert_eq!(scope.count(&Term::from_field_text(fields.body, "word")).unwrap(), documents);
            assert_eq!(scope.tokens(fields.body).unwrap(), 2 * documents);
        };
        check(&["a"], 2_000);
        check(&["b"], 4_000);
        check(&["a", "b"], 6_000);
        check(&["a", "a"], 2_000);
        check(&["none"], 0);
    }
}
