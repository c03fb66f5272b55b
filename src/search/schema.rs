//! The fields of the index, and how a passage becomes one tantivy document and comes back.
//!
//! | field | indexed as | stored | for |
//! |---|---|---|---|
//! | key | one term, fast | | replacing a document; library and path filters, folding, ties by ordinals |
//! | library | one term | yes | removing a library |
//! | path | | yes | showing |
//! | facet | one term each, `name=value` | yes | filters |
//! | title, heading | terms | yes | a little extra for matches there |
//! | body | terms and positions | | title, trail and prose in one: the field that BM25 counts on |
//! | code | terms | | fenced code, apart so that its length does not weigh on the prose |
//! | page | terms | | title, trails and prose of the whole document, with its first passage only |
//! | words | one term each | | the dictionary: words of the whole document as written, with its first passage only |
//! | language | one term | | which languages there are, with a document's first passage only |
//! | family, version (fast) | | | editions of one page: see `edition` |
//! | anchor, text, ordinal (fast) | | yes | showing |
//!
//! The texts of title, heading, body, code and page begin with a mark that says by which language's rules they are
//! stemmed: see `language`.
//!
//! There is no field for identifiers: their whole and split forms stand in `body` and `code`, so that `javascript`
//! in prose and `JavaScript` in code are one term with one frequency.

use tantivy::TantivyDocument;
use tantivy::schema::{FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value};

use crate::base::bound::{FACET_BYTES_MAX, PAGE_BYTES_MAX};
use crate::search::edition::Edition;
use crate::search::language::{Detector, unmarked};
use crate::search::markdown::{self, Split};
use crate::search::{DocumentKey, Passage};

/// Changes when the fields or the analysis change: an index of another version is made anew.
pub(super) const SCHEMA_VERSION: u64 = 3;

pub(super) const TOKENIZER: &str = "sekisho";
pub(super) const SPELLER: &str = "sekisho-words";
pub(super) const KEY: &str = "key";
pub(super) const ORDINAL: &str = "ordinal";
pub(super) const FAMILY: &str = "family";
pub(super) const VERSION: &str = "version";

#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) key: Field,
    pub(super) library: Field,
    path: Field,
    pub(super) facet: Field,
    pub(super) title: Field,
    pub(super) heading: Field,
    pub(super) body: Field,
    pub(super) code: Field,
    pub(super) page: Field,
    pub(super) words: Field,
    pub(super) language: Field,
    family: Field,
    version: Field,
    anchor: Field,
    text: Field,
    ordinal: Field,
}

pub(super) fn schema() -> (Schema, Fields) {
    let terms = |tokenizer, option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option);
        TextOptions::default().set_indexing_options(indexing.set_fieldnorms(tokenizer == TOKENIZER))
    };
    let text = |option| terms(TOKENIZER, option);
    let mut builder = Schema::builder();
    let fields = Fields {
        key: builder.add_text_field(KEY, STRING | FAST),
        library: builder.add_text_field("library", STRING | STORED),
        path: builder.add_text_field("path", STORED),
        facet: builder.add_text_field("facet", STRING | STORED),
        title: builder.add_text_field("title", text(IndexRecordOption::WithFreqs) | STORED),
        heading: builder.add_text_field("heading", text(IndexRecordOption::WithFreqs) | STORED),
        body: builder.add_text_field("body", text(IndexRecordOption::WithFreqsAndPositions)),
        code: builder.add_text_field("code", text(IndexRecordOption::WithFreqs)),
        page: builder.add_text_field("page", text(IndexRecordOption::WithFreqs)),
        words: builder.add_text_field("words", terms(SPELLER, IndexRecordOption::Basic)),
        language: builder.add_text_field("language", STRING),
        family: builder.add_u64_field(FAMILY, FAST),
        version: builder.add_u64_field(VERSION, FAST),
        anchor: builder.add_text_field("anchor", STORED),
        text: builder.add_text_field("text", STORED),
        ordinal: builder.add_u64_field(ORDINAL, FAST | STORED),
    };
    (builder.build(), fields)
}

/// The term that names one document. Library names hold no NUL (checked where a key is made), so it is unambiguous,
/// and its order is that of library, then path.
pub(super) fn key_term(library: &str, path: &str) -> String {
    format!("{library}\0{path}")
}

/// The term of a facet, cut to its bound in the index and in a request alike.
pub(super) fn facet_term(name: &str, value: &str) -> String {
    let mut term = format!("{name}={value}");
    term.truncate(term.floor_char_boundary(FACET_BYTES_MAX));
    term
}

impl Fields {
    /// What is indexed of a document: one entry per passage, the first of which also carries the page.
    pub(super) fn documents(
        &self,
        detector: &Detector,
        key: &DocumentKey<'_>,
        facets: &[(String, String)],
        passages: &[Passage],
    ) -> Vec<TantivyDocument> {
        let split: Vec<_> = passages.iter().map(|it| markdown::split(&it.text)).collect();
        let tongue = detector.detect(split.iter().map(|it| it.prose.as_str()));
        let about = About { key, facets, edition: Edition::of(key.library, key.path), mark: tongue.mark() };
        let mut documents: Vec<_> =
            passages.iter().zip(&split).map(|(passage, split)| self.document(&about, passage, split)).collect();
        if let (Some(first), Some(passage)) = (documents.first_mut(), passages.first()) {
            first.add_text(self.language, tongue.code());
            self.add_page(first, &about, passage, passages.iter().zip(&split));
        }
        documents
    }

    /// The whole document, told by its first passage.
    fn add_page<'a>(
        &self,
        document: &mut TantivyDocument,
        about: &About<'_>,
        first: &Passage,
        passages: impl Iterator<Item = (&'a Passage, &'a Split)>,
    ) {
        let (mut page, mut words) = (about.marked(&first.title), first.title.clone());
        let mut before: &[String] = &[];
        for (passage, split) in passages {
            let shared = passage.trail.iter().zip(before).take_while(|(a, b)| a == b).count();
            before = &passage.trail;
            let headings = passage.trail.iter().skip(shared).filter(|it| **it != passage.title);
            for text in headings.chain([&split.prose]) {
                if page.len() + text.len() <= PAGE_BYTES_MAX {
                    // Apart by more than a space, or words of two texts would be neighbours that make a name.
                    page.push_str(" \n");
                    page.push_str(text);
                }
            }
            if page.len() + words.len() + split.code.len() <= 2 * PAGE_BYTES_MAX {
                words.push_str(" \n");
                words.push_str(&split.code);
            }
        }
        words.push_str(" \n");
        words.push_str(&page);
        document.add_text(self.words, words);
        document.add_text(self.page, page);
    }

    fn document(&self, about: &About<'_>, passage: &Passage, split: &Split) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        let About { key, facets, edition, .. } = about;
        document.add_text(self.key, key_term(key.library, key.path));
        document.add_text(self.library, key.library);
        document.add_text(self.path, key.path);
        for (name, value) in *facets {
            document.add_text(self.facet, facet_term(name, value));
        }
        document.add_text(self.title, about.marked(&passage.title));
        document.add_text(self.body, about.marked(&passage.title));
        for heading in &passage.trail {
            document.add_text(self.heading, about.marked(heading));
            // A page's first heading is mostly its title: said once.
            if *heading != passage.title {
                document.add_text(self.body, about.marked(heading));
            }
        }
        document.add_text(self.body, about.marked(&split.prose));
        if !split.code.is_empty() {
            document.add_text(self.code, about.marked(&split.code));
        }
        document.add_u64(self.family, edition.family);
        document.add_u64(self.version, edition.version);
        document.add_text(self.anchor, &passage.anchor);
        document.add_text(self.text, &passage.text);
        document.add_u64(self.ordinal, u64::from(passage.ordinal));
        document
    }

    pub(super) fn stored(&self, document: &TantivyDocument) -> Stored {
        let all = |field| document.get_all(field).filter_map(|it| it.as_str().map(str::to_owned));
        let first = |field| all(field).next().unwrap_or_default();
        let ordinal = document.get_first(self.ordinal).and_then(|it| it.as_u64());
        Stored {
            library: first(self.library),
            path: first(self.path),
            facets: all(self.facet)
                .filter_map(|it| it.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
                .collect(),
            passage: Passage {
                ordinal: ordinal.and_then(|it| u32::try_from(it).ok()).unwrap_or_default(),
                title: unmarked(&first(self.title)).1.to_owned(),
                trail: all(self.heading).map(|it| unmarked(&it).1.to_owned()).collect(),
                anchor: first(self.anchor),
                text: first(self.text),
            },
        }
    }
}

/// What the passages of one document share.
struct About<'a> {
    key: &'a DocumentKey<'a>,
    facets: &'a [(String, String)],
    edition: Edition,
    mark: char,
}

impl About<'_> {
    fn marked(&self, text: &str) -> String {
        let mut marked = String::with_capacity(self.mark.len_utf8() + text.len());
        marked.push(self.mark);
        marked.push_str(text);
        marked
    }
}

/// A passage as it comes back from the index.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) library: String,
    pub(super) path: String,
    pub(super) facets: Vec<(String, String)>,
    pub(super) passage: Passage,
}
