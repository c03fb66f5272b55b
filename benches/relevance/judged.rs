//! Judged collections: documents, queries, and which documents answer which query, read from the shapes that they come in.
//!
//! - BEIR: `corpus.jsonl`; `queries.jsonl` or `topics*.tsv`; judgements in `qrels*` (a file, or `qrels/test.tsv`).
//! - SMART (Cranfield and its kin): `*.all*` with `.I .T .W`, `*.qry`, `*qrel*` or `*.rel`.
//! - HTML pages that carry the entries of an index: see `entries`.
//! - `SQuAD`: `*.json` with `data[].paragraphs[]`; each question is answered by its own paragraph only.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{documents, entries};

pub(crate) struct Collection {
    pub(crate) name: String,
    pub(crate) documents: Vec<Document>,
    pub(crate) queries: Vec<Query>,
}

pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

#[derive(Clone)]
pub(crate) struct Query {
    pub(crate) text: String,
    /// Document -> grade, above zero.
    pub(crate) relevant: HashMap<String, f64>,
}

impl Collection {
    /// Whether misspelling its words is worth the while: other languages write few pages without an accent.
    pub(crate) fn is_english(&self) -> bool {
        let plain = self.documents.iter().filter(|document| document.text.is_ascii()).count();
        3 * plain > self.documents.len()
    }

    /// The folder it lies in: files of one folder share the name in front of the comma.
    pub(crate) fn folder(&self) -> String {
        self.name.split(',').next().unwrap_or_default().to_owned()
    }

    /// Titles and texts with the documents that they are in.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.documents.iter().flat_map(|it| [(it.id.as_str(), it.title.as_str()), (it.id.as_str(), it.text.as_str())])
    }
}

/// Reads what lies in a folder: one collection, or one for each file of paragraphs. The error says what is missing.
pub(crate) fn read(folder: &Path) -> Result<Vec<Collection>, String> {
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let files = files_of(folder)?;
    let find = |fits: &dyn Fn(&str) -> bool| {
        files.iter().find(|path| path.file_name().is_some_and(|name| fits(&name.to_string_lossy().to_lowercase())))
    };
    let (documents, queries) = if let Some(corpus) = find(&|name| name == "corpus.jsonl") {
        let topics = find(&|name| name == "queries.jsonl")
            .or_else(|| {
                find(&|name| ends(name, &["tsv"]) && (name.starts_with("topics") || name.starts_with("queries")))
            })
            .ok_or("there are no queries.jsonl and no topics*.tsv")?;
        let judgements = find(&|name| name == "test.tsv")
            .or_else(|| find(&|name| name.starts_with("qrels")))
            .ok_or("there is no qrels*")?;
        (beir_documents(&text(corpus)?), join(beir_queries(&text(topics)?), &judgements_of(&text(judgements)?)))
    } else if let Some(all) = find(&|name| name.contains(".all")) {
        let queries = find(&|name| ends(name, &["qry"])).ok_or("there is no *.qry")?;
        let judgements =
            find(&|name| name.contains("qrel") || ends(name, &["rel"])).ok_or("there is no *qrel* and no *.rel")?;
        // The judgements number the queries by their order, not by `.I`.
        let numbered = (1..).zip(smart(&text(queries)?)).map(|(number, it)| (number.to_string(), it.text)).collect();
        (smart(&text(all)?), join(numbered, &judgements_of(&text(judgements)?)))
    } else {
        let mut read = Vec::new();
        for path in files.iter().filter(|path| path.extension().is_some_and(|it| it == "json")) {
            let mut paragraphs = Paragraphs::default();
            paragraphs.add(&serde_json::from_str(&text(path)?).map_err(|error| error.to_string())?);
            let Paragraphs { documents, queries, .. } = paragraphs;
            let file = path.file_stem().unwrap_or_default().to_string_lossy();
            if !queries.is_empty() {
                read.push(Collection { name: format!("{name}, {file}"), documents, queries });
            }
        }
        if read.is_empty() {
            read.extend(entries::read(name, &documents::pages_below(folder)));
        }
        return if read.is_empty() { Err("it holds no judged collection of a known shape".into()) } else { Ok(read) };
    };
    if documents.is_empty() || queries.is_empty() {
        return Err("it holds no documents or no judged queries".into());
    }
    Ok(vec![Collection { name, documents, queries }])
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Err("there is no such folder".into());
    }
    let entries = walkdir::WalkDir::new(folder).max_depth(2).sort_by_file_name().into_iter().flatten();
    Ok(entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect())
}

fn ends(name: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| Path::new(name).extension().is_some_and(|it| it == *ending))
}

fn text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn beir_documents(text: &str) -> Vec<Document> {
    let objects = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let word = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
    objects.map(|it| Document { id: word(&it, "_id"), title: word(&it, "title"), text: word(&it, "text") }).collect()
}

fn beir_queries(text: &str) -> Vec<(String, String)> {
    let query = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(it) if it.is_object() => Some((it["_id"].as_str()?.to_owned(), it["text"].as_str()?.to_owned())),
        _ => line.split_once('\t').map(|(id, text)| (id.to_owned(), text.to_owned())),
    };
    text.lines().filter_map(query).collect()
}

/// Query -> document -> grade, above zero. `query 0 document grade` (TREC), `query document grade` (BEIR), and
/// Cranfield's codes, where 1 is the best, 4 the least, and 5 and -1 are not relevant.
fn judgements_of(text: &str) -> BTreeMap<String, HashMap<String, f64>> {
    let mut known: BTreeMap<String, HashMap<String, f64>> = BTreeMap::new();
    let rows = || text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let codes = rows().any(|row| row.len() == 3 && row[2] == "-1");
    for row in rows() {
        let (query, document, grade) = match row[..] {
            [query, document, grade] => (query, document, grade),
            [query, "0" | "Q0", document, grade] => (query, document, grade),
            // `query document 0 0.0`: what is listed is relevant.
            [query, document, _, _] => (query, document, "1"),
            _ => continue,
        };
        let Ok(grade) = grade.parse::<f64>() else { continue };
        let relevant = if codes { (1.0..5.0).contains(&grade) } else { grade > 0.0 };
        if relevant {
            let grade = if codes { 1.0 } else { grade };
            known.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        }
    }
    known
}

fn join(queries: Vec<(String, String)>, judgements: &BTreeMap<String, HashMap<String, f64>>) -> Vec<Query> {
    let judged = queries.into_iter().filter_map(|(id, text)| Some((text, judgements.get(&id)?.clone())));
    judged.map(|(text, relevant)| Query { text, relevant }).collect()
}

/// The records of a SMART file. Cranfield repeats the title at the beginning of the text: there it goes.
fn smart(text: &str) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    let mut section = ' ';
    for line in text.lines() {
        if let Some(id) = line.strip_prefix(".I ") {
            documents.push(Document { id: id.trim().to_owned(), title: String::new(), text: String::new() });
            section = 'I';
        } else if line.len() == 2 && line.starts_with('.') {
            section = line.chars().nth(1).unwrap_or(' ');
        } else if let Some(document) = documents.last_mut() {
            match section {
                'T' => push_line(&mut document.title, line),
                'W' => push_line(&mut document.text, line),
                _ => {}
            }
        }
    }
    for document in &mut documents {
        document.id = document.id.trim_start_matches('0').to_owned();
        if let Some(rest) = document.text.strip_prefix(&document.title) {
            document.text = rest.trim_start().to_owned();
        }
    }
    documents
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line.trim());
}

/// The paragraphs of a `SQuAD` file, each once.
#[derive(Default)]
struct Paragraphs {
    documents: Vec<Document>,
    queries: Vec<Query>,
    known: HashMap<String, String>,
}

impl Paragraphs {
    fn add(&mut self, file: &Value) {
        let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        for article in all(file, "data") {
            for paragraph in all(&article, "paragraphs") {
                let context = paragraph["context"].as_str().unwrap_or_default();
                // JSQuAD writes the article's title in front.
                let (title, text) = context.split_once(" [SEP] ").unwrap_or(("", context));
                let number = self.known.len();
                let id = self.known.entry(context.to_owned()).or_insert_with(|| format!("p{number}")).clone();
                if self.documents.len() < self.known.len() {
                    let (title, text) = (title.to_owned(), text.to_owned());
                    self.documents.push(Document { id: id.clone(), title, text });
                }
                for question in all(&paragraph, "qas") {
                    let text = question["question"].as_str().unwrap_or_default().to_owned();
                    self.queries.push(Query { text, relevant: HashMap::from([(id.clone(), 1.0)]) });
                }
            }
        }
    }
}
