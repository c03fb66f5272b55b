//! The questions that people wrote for Expo's pages, and what the profile of Expo says that words mean.

use std::collections::HashMap;

use sekisho::profile::Profiles;
use sekisho::profile::synonym::{Synonym, widen};
use sekisho::search::{Index, Synonyms};
use serde_json::Value;

use crate::documents::{self, Document, LIBRARY};
use crate::judged::Query;
use crate::measure::{Scores, search};

pub(crate) struct Question {
    /// The half it is in, which is `tune` or `report`.
    half: String,
    language: String,
    pub(crate) query: Query,
}

/// The questions; what names a page that is not there is said.
pub(crate) fn read(pages: &[Document]) -> Vec<Question> {
    let path = documents::checkout().join("benches/relevance/expo-questions.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("\nSKIPPED: there are no questions at {}", path.display());
        return Vec::new();
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let question = |line: &str| {
        let question: Value = serde_json::from_str(line).expect("each line is a question in JSON");
        let word = |key: &str| question[key].as_str().unwrap_or_default().to_owned();
        let judged = question["pages"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let relevant: HashMap<String, f64> = judged.map(|page| (page.to_owned(), 1.0)).collect();
        for page in relevant.keys().filter(|page| !pages.iter().any(|it| it.path == **page)) {
            println!("question {}: there is no page {page}", word("id"));
        }
        Question { half: word("split"), language: word("lang"), query: Query { text: word("query"), relevant } }
    };
    lines.map(question).collect()
}

/// What the profile says that means the same.
fn synonyms() -> Vec<Synonym> {
    let (profiles, _) = Profiles::open(None);
    let profile = profiles.get("expo").expect("the profile is in the program");
    profile.manifest.synonyms.clone()
}

/// The same as groups of which each word means all others, which the index weighs.
pub(crate) fn groups() -> Vec<Vec<String>> {
    let file = documents::checkout().join("assets/profiles/expo/profile.toml");
    let text = std::fs::read_to_string(file).expect("the profile is in the checkout");
    let profile: toml::Table = text.parse().expect("the profile is TOML");
    let words = |synonym: &toml::Value, key: &str| -> Vec<String> {
        let words = synonym.get(key).and_then(toml::Value::as_array).into_iter().flatten();
        words.filter_map(|word| Some(word.as_str()?.to_owned())).collect()
    };
    let synonyms = profile.get("synonyms").and_then(toml::Value::as_array).into_iter().flatten();
    synonyms.map(|it| [words(it, "words"), words(it, "adds")].concat()).collect()
}

/// Prints both halves, as a whole and by language, without and with the synonyms of the profile.
pub(crate) fn print(index: &Index, questions: &[Question]) {
    println!("\n| questions on Expo's pages | questions | hit@3 | MRR@10 |\n|---|---|---|---|");
    print_halves(index, questions, "", &[]);
    print_halves(index, questions, ", with what the profile's synonyms add", &synonyms());
    index.set_synonyms(LIBRARY, Synonyms::new(groups()));
    print_halves(index, questions, ", with its synonyms as groups", &[]);
}

fn print_halves(index: &Index, questions: &[Question], how: &str, synonyms: &[Synonym]) {
    let mut halves: Vec<(String, usize, Scores)> = Vec::new();
    for Question { half, language, query } in questions {
        let found = search(index, &widen(synonyms, &query.text), 100);
        for name in [format!("{half}{how}"), format!("{half}, {language}{how}")] {
            if !halves.iter().any(|half| half.0 == name) {
                halves.push((name.clone(), 0, Scores::default()));
            }
            if let Some((_, count, scores)) = halves.iter_mut().find(|half| half.0 == name) {
                *count += 1;
                scores.add(&found, &query.relevant);
            }
        }
    }
    halves.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, count, scores) in &halves {
        println!("| {name} | {count} | {:.3} | {:.3} |", scores.hit_3(), scores.mrr_10());
    }
}
