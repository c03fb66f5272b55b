//! Words that mean the same: what they add to a query.

use serde::Deserialize;

use crate::base::bound::profile::SYNONYM_BYTES_MAX;

/// Words that mean the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synonym {
    /// Each of them adds `adds`.
    words: Vec<String>,
    /// What is added; if nothing is written, each of them stands for all others, and the index weighs it.
    #[serde(default)]
    adds: Vec<String>,
}

impl Synonym {
    /// Words of which each means all others.
    pub fn group(&self) -> Option<&[String]> {
        self.adds.is_empty().then_some(self.words.as_slice())
    }
}

/// `query` with what its words mean beside, where that is more than a word for a word. The words of the query come first and stay as they are.
pub fn widen(synonyms: &[Synonym], query: &str) -> String {
    let folded = query.to_lowercase();
    let mut widened = query.to_owned();
    for synonym in synonyms {
        if !synonym.words.iter().any(|word| holds(&folded, &word.to_lowercase())) {
            continue;
        }
        for word in &synonym.adds {
            let fits = widened.len() + word.len() < query.len() + SYNONYM_BYTES_MAX;
            if fits && !holds(&widened.to_lowercase(), &word.to_lowercase()) {
                widened.push(' ');
                widened.push_str(word);
            }
        }
    }
    widened
}

/// Whether `word` stands in `text` as a word of its own. Japanese has no spaces, so its words stand anywhere.
fn holds(text: &str, word: &str) -> bool {
    let joins = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    text.match_indices(word).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        let starts = !joins(before) || !joins(found.chars().next());
        starts && (!joins(after) || !joins(found.chars().next_back()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_add_what_they_mean() {
        let synonyms: Vec<Synonym> = vec![
            Synonym { words: vec!["OTA".into()], adds: vec!["over-the-air".into()] },
            Synonym { words: vec!["update".into(), "upgrade".into()], adds: Vec::new() },
            Synonym { words: vec!["権限".into()], adds: vec!["permission".into(), "permissions".into()] },
        ];
        let check = |query: &str, expect: &str| assert_eq!(widen(&synonyms, query), expect);
        check("ota update", "ota update over-the-air");
        check("rotate", "rotate");
        check("カメラの権限を求める", "カメラの権限を求める permission permissions");
        check("権限 permissions", "権限 permissions permission");
        let groups: Vec<_> = synonyms.iter().filter_map(Synonym::group).collect();
        assert_eq!(groups, [["update", "upgrade"]]);
    }

    #[test]
    fn what_is_added_is_bounded() {
        let synonyms = [Synonym { words: vec!["a".into()], adds: vec!["b".repeat(300), "c".repeat(300)] }];
        assert!(widen(&synonyms, "a").len() < 2 + SYNONYM_BYTES_MAX);
    }
}
