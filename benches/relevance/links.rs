//! Texts of links as queries: whoever wrote the link has judged which page answers its text.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use sekisho::search::Choices;

use crate::documents::{self, Corpus, Document};
use crate::judged::Query;
use crate::measure::{Scores, search};

/// Words that say nothing of where a link leads.
const EMPTY_TEXTS: [&str; 8] = ["here", "docs", "this", "link", "guide", "see", "learn more", "read more"];

/// Whole documentations; their links begin with `/` and leave out the ending.
const FOLDERS: [(&str, &str); 3] =
    [("expo-docs/md", "expo-docs"), ("react-docs-en", "react-docs-en"), ("react-docs-ja", "react-docs-ja")];

/// A documentation, and what the texts of its links ask for.
pub(crate) struct Linked {
    pub(crate) name: &'static str,
    pub(crate) pages: Vec<Document>,
    pub(crate) queries: Vec<Query>,
}

pub(crate) fn read() -> Vec<Linked> {
    let mut read = Vec::new();
    for (folder, name) in FOLDERS {
        let folder = documents::corpora().join(folder);
        if !folder.is_dir() {
            println!("SKIPPED: {} is not there (SEKISHO_CORPORA says where)", folder.display());
            continue;
        }
        let corpus = Corpus { name, pages: documents::pages_below(&folder) };
        let pages = documents::documents(&corpus);
        let queries = links(&corpus, &pages).into_iter().map(|(text, relevant)| Query { text, relevant }).collect();
        read.push(Linked { name, pages, queries });
    }
    read
}

pub(crate) fn print() {
    println!("\n| texts of links in | queries | hit@3 | MRR@10 |\n|---|---|---|---|");
    for Linked { name, pages, queries } in read() {
        let (index, mut scores) = (documents::indexed(&pages, Choices::default()), Scores::default());
        for query in &queries {
            scores.add(&search(&index, &query.text, 10), &query.relevant);
        }
        println!("| {name} | {} | {:.3} | {:.3} |", queries.len(), scores.hit_3(), scores.mrr_10());
    }
}

/// Text -> the pages that links with this text lead to, editions of a page being one.
fn links(corpus: &Corpus, pages: &[Document]) -> BTreeMap<String, HashMap<String, f64>> {
    let mut editions: HashMap<String, Vec<&str>> = HashMap::new();
    for page in pages {
        editions.entry(unversioned(&page.path)).or_default().push(&page.path);
    }
    let mut known: BTreeMap<String, HashMap<String, f64>> = BTreeMap::new();
    for page in &corpus.pages {
        let text = String::from_utf8_lossy(&page.bytes);
        for (before, after) in text.match_indices("](/").map(|(at, _)| text.split_at(at)) {
            let Some(words) = before.rfind('[').and_then(|at| before.get(at + 1..)) else { continue };
            let words = words.replace(['`', '*', '\\', '\n'], " ").trim().to_owned();
            let target = after.get(3..).and_then(|it| it.split([')', '#', '?', ' ']).next()).unwrap_or_default();
            if words.chars().count() < 2 || words.len() > 200 || EMPTY_TEXTS.contains(&words.to_lowercase().as_str()) {
                continue;
            }
            let target = unversioned(target.trim_end_matches('/'));
            let pages = [format!("{target}.md"), format!("{target}/index.md")];
            for path in pages.iter().filter_map(|it| editions.get(it)).flatten() {
                known.entry(words.clone()).or_default().insert((*path).to_owned(), 1.0);
            }
        }
    }
    known
}

fn unversioned(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["versions", _, rest @ ..] if !rest.is_empty() => format!("versions/{}", rest.join("/")),
        _ if Path::new(path).is_absolute() => path.trim_start_matches('/').to_owned(),
        _ => path.to_owned(),
    }
}
