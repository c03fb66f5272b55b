//! How well a search finds: judged collections, questions on Expo's pages, and misspelt words, with one set of parameters.
//!
//! `cargo bench --bench relevance`, `... -- FOLDER...` for other judged collections, `... -- --pages` for the rest only.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

#[path = "../common/documents.rs"]
mod documents;
mod judged;
mod links;
mod measure;
mod typo;

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::documents::Document;
use crate::judged::Collection;
use crate::measure::Scores;
use crate::typo::Vocabulary;

const COLLECTIONS: [&str; 3] = ["cranfield", "scifact", "jsquad"];
const ONE_EDIT: usize = 2000;
const TWO_EDITS: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<PathBuf> = arguments.iter().filter(|it| !it.starts_with("--")).map(PathBuf::from).collect();
    // Without folders: everything, or Expo's and React's pages only.
    let pages_only = arguments.iter().any(|argument| argument == "--pages");
    if given.is_empty() && !pages_only && !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test` builds the benches and runs them: nothing is measured then.
        return;
    }
    let shipped = given.is_empty();
    let mut folders = if shipped { COLLECTIONS.map(|name| documents::corpora().join(name)).to_vec() } else { given };
    if pages_only {
        folders.clear();
    }
    let (mut read, mut table) = (Vec::new(), Vec::new());
    for folder in folders {
        match judged::read(&folder) {
            Ok(collections) => read.extend(collections),
            Err(error) => println!("SKIPPED: {}: {error} (SEKISHO_CORPORA says where)", folder.display()),
        }
    }
    println!("\n| collection | documents | queries | nDCG@10 | MRR@10 | recall@100 |\n|---|---|---|---|---|---|");
    for collection in &read {
        table.push(judge(collection));
    }
    println!("\n| misspelt words of | no edit, hit@10 | one edit | two edits |\n|---|---|---|---|");
    for (collection, index) in read.iter().zip(&table) {
        if collection.documents.iter().any(|document| document.text.is_ascii()) {
            let texts = collection.documents.iter().flat_map(|it| [(&it.id, &it.title), (&it.id, &it.text)]);
            let vocabulary = Vocabulary::of(texts.map(|(id, text)| (id.as_str(), text.as_str())));
            misspell(&collection.name, index, &vocabulary);
        }
    }
    if shipped {
        expo();
        links::print();
    }
}

fn judge(collection: &Collection) -> sekisho::search::Index {
    let index = measure::indexed(collection);
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

fn misspell(name: &str, index: &sekisho::search::Index, vocabulary: &Vocabulary) {
    let found = |edits, count| 100.0 * vocabulary.found(index, edits, count);
    let (none, one, two) = (found(0, TWO_EDITS), found(1, ONE_EDIT), found(2, TWO_EDITS));
    println!("| {name} | {none:.1} % of {TWO_EDITS} | {one:.1} % of {ONE_EDIT} | {two:.1} % of {TWO_EDITS} |");
}

/// Expo's pages: misspelt words, and the questions that people wrote for them.
fn expo() {
    let Some(folder) = documents::expo_folder("its words and questions are left out.") else { return };
    let pages = documents::documents(&documents::expo(&folder));
    let index = documents::indexed(&pages);
    let texts = pages.iter().flat_map(|page| page.passages.iter().map(|it| (page.path.as_str(), it.text.as_str())));
    misspell("expo-docs", &index, &Vocabulary::of(texts));
    ask(&index, &pages);
}

fn ask(index: &sekisho::search::Index, pages: &[Document]) {
    let path = documents::checkout().join("benches/relevance/expo-questions.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("\nSKIPPED: there are no questions at {}", path.display());
        return;
    };
    let mut halves: Vec<(String, usize, Scores)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let question: Value = serde_json::from_str(line).expect("each line is a question in JSON");
        let word = |key: &str| question[key].as_str().unwrap_or_default();
        let judged = question["pages"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let relevant: HashMap<String, f64> = judged.map(|page| (page.to_owned(), 1.0)).collect();
        for page in relevant.keys().filter(|page| !pages.iter().any(|it| it.path == **page)) {
            println!("question {}: there is no page {page}", word("id"));
        }
        let found = measure::search(index, word("query"), 100);
        for name in [word("split").to_owned(), format!("{}, {}", word("split"), word("lang"))] {
            if !halves.iter().any(|half| half.0 == name) {
                halves.push((name.clone(), 0, Scores::default()));
            }
            if let Some((_, count, scores)) = halves.iter_mut().find(|half| half.0 == name) {
                *count += 1;
                scores.add(&found, &relevant);
            }
        }
    }
    halves.sort_by(|a, b| a.0.cmp(&b.0));
    println!("\n| questions on Expo's pages | questions | hit@3 | MRR@10 |\n|---|---|---|---|");
    for (name, count, scores) in &halves {
        println!("| {name} | {count} | {:.3} | {:.3} |", scores.hit_3(), scores.mrr_10());
    }
}
