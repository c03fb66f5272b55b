//! What each choice of a search is worth: all measures with everything, and again without one choice at a time.

use sekisho::search::{Choice, Choices, Index, Synonyms};

use crate::altered::{Words, altered};
use crate::documents::{self, Document, LIBRARY};
use crate::judged::{Collection, Query};
use crate::links::{self, Linked};
use crate::measure::{self, Scores};
use crate::questions::{self, Question};
use crate::typo::Vocabulary;
use crate::{ONE_EDIT, TWO_EDITS};

/// A smaller difference is shown as none.
const DIFFERENCE_MIN: f64 = 0.000_05;

/// All that is asked, read once.
pub(crate) struct Asked {
    collections: Vec<Collection>,
    expo: Option<Expo>,
    linked: Vec<Linked>,
}

struct Expo {
    pages: Vec<Document>,
    questions: Vec<Question>,
    groups: Vec<Vec<String>>,
}

/// A name and a figure, larger being better.
type Figure = (String, f64);

impl Asked {
    /// `shipped`: whether pages, questions and links of the corpora are asked beside the collections.
    pub(crate) fn read(collections: Vec<Collection>, shipped: bool) -> Self {
        let folder = Some("its questions are left out.").filter(|_| shipped).and_then(documents::expo_folder);
        let expo = folder.map(|folder| {
            let pages = documents::documents(&documents::expo(&folder));
            let questions = questions::read(&pages);
            Expo { pages, questions, groups: questions::groups() }
        });
        Self { collections, expo, linked: if shipped { links::read() } else { Vec::new() } }
    }

    /// Prints a table: a row for everything, then one of differences for each choice. `only`: names of choices; all if
    /// none is given.
    pub(crate) fn print(&self, only: &[&str]) {
        let all = self.figures(Choices::default());
        let row = |name: &str, cells: Vec<String>| println!("| {name} | {} |", cells.join(" | "));
        println!();
        row("without", all.iter().map(|it| it.0.clone()).collect());
        row("---", vec!["---".to_owned(); all.len()]);
        row("nothing", all.iter().map(|it| format!("{:.4}", it.1)).collect());
        for choice in Choice::ALL {
            let name = format!("{choice:?}");
            if !only.is_empty() && !only.contains(&name.as_str()) {
                continue;
            }
            let without = self.figures(Choices::default().without(choice));
            let difference = |(with, without): (&Figure, &Figure)| match without.1 - with.1 {
                it if it.abs() < DIFFERENCE_MIN => String::new(),
                it => format!("{it:+.4}"),
            };
            row(&name, all.iter().zip(&without).map(difference).collect());
        }
    }

    fn figures(&self, choices: Choices) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (place, collection) in self.collections.iter().enumerate() {
            let index = measure::indexed(collection, choices);
            let name = &collection.name;
            figures.push((format!("{name}, nDCG@10"), asked(&index, &collection.queries).ndcg_10()));
            if collection.is_english() {
                let words = Words::of(collection);
                let mut ask = |how: &str, queries: &[Query]| {
                    figures.push((format!("{name}, {} {how}", queries.len()), asked(&index, queries).ndcg_10()));
                };
                ask("not finished", &altered(collection, |text| words.unfinished(text)));
                ask("run together", &altered(collection, |text| words.together(text)));
                ask("torn apart", &altered(collection, |text| words.torn(text)));
            }
            // Two thousand misspellings of one vocabulary say enough of a choice.
            if place == 0 && collection.is_english() {
                let vocabulary = Vocabulary::of(collection.texts());
                figures.push((format!("{name}, one edit"), vocabulary.found(&index, 1, ONE_EDIT)));
                figures.push((format!("{name}, two edits"), vocabulary.found(&index, 2, TWO_EDITS)));
            }
        }
        if let Some(Expo { pages, questions, groups }) = &self.expo {
            let index = documents::indexed(pages, choices);
            index.set_synonyms(LIBRARY, Synonyms::new(groups.clone()));
            let queries: Vec<_> = questions.iter().map(|it| it.query.clone()).collect();
            figures.push(("Expo's questions, MRR@10".to_owned(), asked(&index, &queries).mrr_10()));
        }
        for Linked { name, pages, queries } in &self.linked {
            let index = documents::indexed(pages, choices);
            figures.push((format!("links of {name}, MRR@10"), asked(&index, queries).mrr_10()));
        }
        figures
    }
}

fn asked(index: &Index, queries: &[Query]) -> Scores {
    let mut scores = Scores::default();
    for query in queries {
        scores.add(&measure::search(index, &query.text, 10), &query.relevant);
    }
    scores
}
