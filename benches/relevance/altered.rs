//! Queries as people write them in haste: the last word not finished, two words run together, one word torn apart.
//!
//! Made from judged queries by fixed rules, so that the judgements hold. What would be a word of the documents is left
//! alone, for then nobody could tell what was meant.

use std::collections::BTreeSet;

use crate::judged::{Collection, Query};

const UNFINISHED_CHARS_MIN: usize = 6;
const TOGETHER_CHARS_MIN: usize = 4;
const TORN_CHARS_MIN: usize = 8;
const PIECE_CHARS_MIN: usize = 3;

/// Words of the documents, in lower case.
pub(crate) struct Words(BTreeSet<String>);

impl Words {
    pub(crate) fn of(collection: &Collection) -> Self {
        let texts = collection.documents.iter().flat_map(|it| [&it.title, &it.text]);
        Self(texts.flat_map(|text| words(text)).map(str::to_lowercase).collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word.to_lowercase())
    }

    /// Without the last third of the last word.
    pub(crate) fn unfinished(&self, text: &str) -> Option<String> {
        let text = text.trim_end_matches(|it: char| !it.is_alphanumeric());
        let last = words(text).last().filter(|it| it.len() >= UNFINISHED_CHARS_MIN && text.ends_with(*it))?;
        let kept = last.get(..last.len() * 2 / 3)?;
        if self.has(kept) || !self.has(last) {
            return None;
        }
        let before = text.strip_suffix(last)?;
        Some(format!("{before}{kept}"))
    }

    /// The first two long words side by side, without the space.
    pub(crate) fn together(&self, text: &str) -> Option<String> {
        let parts: Vec<&str> = text.split(' ').collect();
        let plain = |it: &str| it.len() >= TOGETHER_CHARS_MIN && it.bytes().all(|it| it.is_ascii_alphabetic());
        let at =
            parts.windows(2).position(|it| it.iter().all(|it| plain(it) && self.has(it)) && !self.has(&it.concat()))?;
        let joined = parts.get(at..at + 2)?.concat();
        Some([&parts[..at], &[joined.as_str()], &parts[at + 2..]].concat().join(" "))
    }

    /// The two words of the documents that a long word of theirs is made of.
    fn cut<'a>(&self, word: &'a str) -> Option<(&'a str, &'a str)> {
        let plain = word.bytes().all(|it| it.is_ascii_alphabetic());
        if !plain || word.len() < TORN_CHARS_MIN || !self.has(word) {
            return None;
        }
        let mut places = PIECE_CHARS_MIN..=word.len() - PIECE_CHARS_MIN;
        places.find_map(|at| Some(word.split_at(at)).filter(|(a, b)| self.has(a) && self.has(b)))
    }

    /// The first long word that is made of two others, as these two.
    pub(crate) fn torn(&self, text: &str) -> Option<String> {
        let (word, (a, b)) = text.split(' ').find_map(|word| Some((word, self.cut(word)?)))?;
        Some(text.replacen(word, &format!("{a} {b}"), 1))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_ascii_alphabetic()).filter(|it| !it.is_empty())
}

/// What of the queries could be altered.
pub(crate) fn altered(collection: &Collection, alter: impl Fn(&str) -> Option<String>) -> Vec<Query> {
    let queries = collection.queries.iter();
    queries.filter_map(|it| Some(Query { text: alter(&it.text)?, relevant: it.relevant.clone() })).collect()
}
