//! The same documents in `SQLite`'s FTS5 and in tantivy called directly, asked for the same words: what we are measured by.
#![allow(dead_code, clippy::expect_used, reason = "each bench uses a part of it, and stops at the first surprise")]

use std::path::Path;

use rusqlite::{Connection, params};
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, BoostQuery, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions};
use tantivy::snippet::SnippetGenerator;
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{IndexReader, TantivyDocument, Term};

use super::documents::Document;

/// Weights of title, headings, body and code: ours.
const WEIGHTS: [f32; 4] = [0.7, 0.35, 1.0, 0.5];
const PHRASE_WEIGHT: f32 = 0.2;
const SNIPPET_BYTES: usize = 240;

/// What a rival is given of a passage: title, headings, body (with both), code.
fn texts(document: &Document) -> impl Iterator<Item = [String; 4]> {
    document.passages.iter().map(|passage| {
        let headings = passage.trail.join("\n");
        let (mut prose, mut code, mut fenced) = (format!("{}\n{headings}\n", passage.title), String::new(), false);
        for line in passage.text.lines() {
            let fence = line.trim_start().starts_with("```");
            let part = if fenced || fence { &mut code } else { &mut prose };
            part.push_str(line);
            part.push('\n');
            fenced ^= fence;
        }
        [passage.title.clone(), headings, prose, code]
    })
}

/// The words of a query, as any of the three would cut them.
fn words(query: &str) -> Vec<String> {
    let words = query.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    words.map(str::to_lowercase).collect()
}

/// FTS5 with English stems, without a journal: as fast as it can be.
pub(crate) struct Fts5(Connection);

impl Fts5 {
    pub(crate) fn indexed(file: &Path, documents: &[Document]) -> Self {
        let mut connection = Connection::open(file).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
                 CREATE VIRTUAL TABLE passages USING fts5(
                     path UNINDEXED, title, headings, body, code, tokenize = 'porter unicode61');",
            )
            .expect("a table");
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut insert = transaction.prepare("INSERT INTO passages VALUES (?, ?, ?, ?, ?)").expect("a statement");
            for document in documents {
                for [title, headings, body, code] in texts(document) {
                    insert.execute(params![document.path, title, headings, body, code]).expect("a row");
                }
            }
        }
        transaction.commit().expect("a commit");
        Self(connection)
    }

    /// The best ten with snippets; how many there are.
    pub(crate) fn search(&self, query: &str) -> usize {
        let matched = words(query).iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(" OR ");
        let mut statement = self
            .0
            .prepare_cached(
                "SELECT path, title, snippet(passages, 3, '[', ']', '...', 40) FROM passages
                 WHERE passages MATCH ? ORDER BY bm25(passages, 0, 0.7, 0.35, 1.0, 0.5) LIMIT 10",
            )
            .expect("a statement");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(2)?));
        statement.query_map([matched], row).expect("an answer").flatten().count()
    }
}

/// tantivy with its own tokenizer, English stems and collector.
pub(crate) struct Bare {
    reader: IndexReader,
    analyzer: TextAnalyzer,
    /// Title, headings, body, code.
    fields: [Field; 4],
    page: Field,
}

impl Bare {
    pub(crate) fn indexed(folder: &Path, documents: &[Document]) -> Self {
        let mut schema = Schema::builder();
        let text = |option| {
            let indexing = TextFieldIndexing::default().set_tokenizer("en_stem").set_index_option(option);
            TextOptions::default().set_indexing_options(indexing)
        };
        let path = schema.add_text_field("path", STORED);
        let plain = || text(IndexRecordOption::WithFreqs);
        let fields = [
            schema.add_text_field("title", plain() | STORED),
            schema.add_text_field("headings", plain() | STORED),
            schema.add_text_field("body", text(IndexRecordOption::WithFreqsAndPositions) | STORED),
            schema.add_text_field("code", plain() | STORED),
        ];
        let page = schema.add_text_field("page", plain());
        let index = tantivy::Index::create_in_dir(folder, schema.build()).expect("an index");
        let mut writer = index.writer_with_num_threads(1, 50_000_000).expect("a writer");
        for document in documents {
            let mut whole = TantivyDocument::new();
            for (number, texts) in texts(document).enumerate() {
                let mut passage = TantivyDocument::new();
                passage.add_text(path, &document.path);
                for (field, text) in fields.iter().zip(&texts) {
                    passage.add_text(*field, text);
                }
                whole.add_text(page, &texts[2]);
                if number > 0 {
                    writer.add_document(passage).expect("a passage");
                } else {
                    whole.add_text(path, &document.path);
                }
            }
            writer.add_document(whole).expect("a document");
        }
        writer.commit().expect("a commit");
        writer.wait_merging_threads().expect("merges");
        let analyzer = index.tokenizers().get("en_stem").expect("a tokenizer");
        Self { reader: index.reader().expect("a reader"), analyzer, fields, page }
    }

    /// The best ten, fetched; with both of our trees and with snippets if `all`.
    pub(crate) fn search(&mut self, query: &str, all: bool) -> usize {
        let searcher = self.reader.searcher();
        let mut terms = Vec::new();
        self.analyzer.token_stream(query).process(&mut |token| terms.push(token.text.clone()));
        let term = |field, term: &String, weight| -> Box<dyn Query> {
            let term = Term::from_field_text(field, term);
            Box::new(BoostQuery::new(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)), weight))
        };
        let by_field = self.fields.iter().zip(WEIGHTS);
        let mut clauses: Vec<_> =
            terms.iter().flat_map(|it| by_field.clone().map(move |(field, weight)| term(*field, it, weight))).collect();
        for pair in terms.windows(2).filter(|pair| pair[0] != pair[1]) {
            let phrase = pair.iter().map(|it| Term::from_field_text(self.fields[2], it)).collect();
            clauses.push(Box::new(BoostQuery::new(Box::new(PhraseQuery::new(phrase)), PHRASE_WEIGHT)));
        }
        let tree = BooleanQuery::union(clauses);
        let found = searcher.search(&tree, &TopDocs::with_limit(10).order_by_score()).expect("an answer");
        if all {
            let pages = BooleanQuery::union(terms.iter().map(|it| term(self.page, it, 1.0)).collect());
            searcher.search(&pages, &TopDocs::with_limit(10).order_by_score()).expect("an answer");
        }
        let mut snippets = SnippetGenerator::create(&searcher, &tree, self.fields[2]).expect("snippets");
        snippets.set_max_num_chars(SNIPPET_BYTES);
        for (_, address) in &found {
            let document: TantivyDocument = searcher.doc(*address).expect("a document");
            if all {
                snippets.snippet_from_doc(&document);
            }
        }
        found.len()
    }
}

/// Bytes of the files below a folder, or of one file.
pub(crate) fn bytes_of(path: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(path).into_iter().flatten().filter_map(|entry| entry.metadata().ok());
    entries.filter(std::fs::Metadata::is_file).map(|it| it.len()).sum()
}
