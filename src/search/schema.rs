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
//! | anchor, text, ordinal (fast) | | yes | showing |
//!
//! There is no field for identifiers: their whole and split forms stand in `body` and `code`, so that `javascript`
//! in prose and `JavaScript` in code are one term with one frequency.

use tantivy::TantivyDocument;
use tantivy::schema::{FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value};

use crate::base::bound::{FACET_BYTES_MAX, PAGE_BYTES_MAX};
use crate::search::{DocumentKey, Passage, markdown};

/// Changes when the fields or the analysis change: an index of another version is made anew.
pub(super) const SCHEMA_VERSION: u64 = 2;

pub(super) const TOKENIZER: &str = "sekisho";
pub(super) const KEY: &str = "key";
pub(super) const ORDINAL: &str = "ordinal";

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
    anchor: Field,
    text: Field,
    ordinal: Field,
}

pub(super) fn schema() -> (Schema, Fields) {
    let text = |option| {
        let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_index_option(option);
        TextOptions::default().set_indexing_options(indexing)
    };
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
        key: &DocumentKey<'_>,
        facets: &[(String, String)],
        passages: &[Passage],
    ) -> Vec<TantivyDocument> {
        let mut page = Vec::new();
        let (mut bytes, mut before): (usize, &[String]) = (0, &[]);
        let mut documents = Vec::with_capacity(passages.len());
        for passage in passages {
            let (document, prose) = self.document(key, facets, passage);
            documents.push(document);
            let shared = passage.trail.iter().zip(before).take_while(|(a, b)| a == b).count();
            before = &passage.trail;
            let headings = passage.trail.iter().skip(shared).filter(|it| **it != passage.title).cloned();
            for text in headings.chain([prose]) {
                bytes += text.len();
                if bytes <= PAGE_BYTES_MAX {
                    page.push(text);
                }
            }
        }
        if let (Some(first), Some(passage)) = (documents.first_mut(), passages.first()) {
            first.add_text(self.page, &passage.title);
            for text in page {
                first.add_text(self.page, text);
            }
        }
        documents
    }

    fn document(
        &self,
        key: &DocumentKey<'_>,
        facets: &[(String, String)],
        passage: &Passage,
    ) -> (TantivyDocument, String) {
        let mut document = TantivyDocument::new();
        document.add_text(self.key, key_term(key.library, key.path));
        document.add_text(self.library, key.library);
        document.add_text(self.path, key.path);
        for (name, value) in facets {
            document.add_text(self.facet, facet_term(name, value));
        }
        document.add_text(self.title, &passage.title);
        document.add_text(self.body, &passage.title);
        for heading in &passage.trail {
            document.add_text(self.heading, heading);
            // A page's first heading is mostly its title: said once.
            if *heading != passage.title {
                document.add_text(self.body, heading);
            }
        }
        let split = markdown::split(&passage.text);
        document.add_text(self.body, &split.prose);
        if !split.code.is_empty() {
            document.add_text(self.code, split.code);
        }
        document.add_text(self.anchor, &passage.anchor);
        document.add_text(self.text, &passage.text);
        document.add_u64(self.ordinal, u64::from(passage.ordinal));
        (document, split.prose)
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
                title: first(self.title),
                trail: all(self.heading).collect(),
                anchor: first(self.anchor),
                text: first(self.text),
            },
        }
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
