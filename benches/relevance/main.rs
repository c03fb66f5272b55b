//! How well a search finds: judged collections, questions on Expo's pages, and misspelt words, with one set of parameters.
//!
//! ```text
//! cargo bench --bench relevance                              the corpora
//! cargo bench --bench relevance -- --pages                   only the pages of Expo and React
//! cargo bench --bench relevance -- FOLDER...                 other judged collections
//! cargo bench --bench relevance -- --choices [FOLDER...]     without one choice of the search at a time
//! cargo bench --bench relevance -- --choices=Stems,Title ...  only these
//! ```
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod altered;
mod choices;
#[path = "../common/documents.rs"]
mod documents;
mod entries;
mod judged;
mod links;
mod measure;
mod questions;
mod typo;

use std::path::PathBuf;

use sekisho::search::{Choices, Index};

use crate::choices::Asked;
use crate::judged::Collection;
use crate::measure::Scores;
use crate::typo::Vocabulary;

const COLLECTIONS: [&str; 3] = ["cranfield", "scifact", "jsquad"];
const ONE_EDIT: usize = 2000;
const TWO_EDITS: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<PathBuf> = arguments.iter().filter(|it| !it.starts_with("--")).map(PathBuf::from).collect();
    let pages_only = arguments.iter().any(|argument| argument == "--pages");
    let choices = arguments.iter().find_map(|it| it.strip_prefix("--choices"));
    if given.is_empty() && !pages_only && choices.is_none() && !arguments.iter().any(|it| it == "--bench") {
        // `cargo test` builds the benches and runs them: nothing is measured then.
        return;
    }
    let shipped = given.is_empty();
    let mut folders = if shipped { COLLECTIONS.map(|name| documents::corpora().join(name)).to_vec() } else { given };
    if pages_only {
        folders.clear();
    }
    let mut read = Vec::new();
    for folder in folders {
        match judged::read(&folder) {
            Ok(collections) => read.extend(collections),
            Err(error) => println!("SKIPPED: {}: {error} (SEKISHO_CORPORA says where)", folder.display()),
        }
    }
    if let Some(only) = choices {
        // A second file of paragraphs says what the first one does, in many times the time.
        read.sort_by_key(|it| it.queries.len());
        let mut known = Vec::new();
        read.retain(|it| {
            let new = !known.contains(&it.folder());
            known.push(it.folder());
            new
        });
        let only: Vec<&str> = only.trim_start_matches('=').split(',').filter(|it| !it.is_empty()).collect();
        return Asked::read(read, shipped).print(&only);
    }
    println!("\n| collection | documents | queries | nDCG@10 | MRR@10 | recall@100 |\n|---|---|---|---|---|---|");
    let indexes: Vec<Index> = read.iter().map(judge).collect();
    println!("\n| misspelt words of | no edit, hit@10 | one edit | two edits |\n|---|---|---|---|");
    for (collection, index) in read.iter().zip(&indexes) {
        if collection.is_english() {
            misspell(&collection.name, index, &Vocabulary::of(collection.texts()));
        }
    }
    if shipped {
        expo();
        links::print();
    }
}

fn judge(collection: &Collection) -> Index {
    let index = measure::indexed(collection, Choices::default());
    let mut scores = Scores::default();
    for query in &collection.queries {
        scores.add(&measure::search(&index, &query.text, 100), &query.relevant);
    }
    println!(
        "| {} | {} | {} | {:.4} | {:.4} | {:.4} |",
        collection.name,
        collection.documents.len(),
        collection.queries.len(),
        scores.ndcg_10(),
        scores.mrr_10(),
        scores.recall_100()
    );
    index
}

fn misspell(name: &str, index: &Index, vocabulary: &Vocabulary) {
    let found = |edits, count| 100.0 * vocabulary.found(index, edits, count);
    let (none, one, two) = (found(0, TWO_EDITS), found(1, ONE_EDIT), found(2, TWO_EDITS));
    println!("| {name} | {none:.1} % of {TWO_EDITS} | {one:.1} % of {ONE_EDIT} | {two:.1} % of {TWO_EDITS} |");
}

/// Expo's pages: misspelt words, and the questions that people wrote for them.
fn expo() {
    let Some(folder) = documents::expo_folder("its words and questions are left out.") else { return };
    let pages = documents::documents(&documents::expo(&folder));
    let index = documents::indexed(&pages, Choices::default());
    let texts = pages.iter().flat_map(|page| page.passages.iter().map(|it| (page.path.as_str(), it.text.as_str())));
    misspell("expo-docs", &index, &Vocabulary::of(texts));
    questions::print(&index, &questions::read(&pages));
}
