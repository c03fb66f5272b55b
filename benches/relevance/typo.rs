//! Misspelt words: how often a page with the right word is among the first ten hits.
//!
//! Words are drawn from the documents' own vocabulary with a fixed seed. One edit is a letter left out, put in,
//! changed, or two neighbours swapped, at any place, the first letter included. What happens to be a word of the
//! documents is no misspelling and is drawn again. Words with one edit have at least five letters and those with two
//! at least eight: shorter ones have too many neighbours for anyone to tell what was meant.

use std::collections::{BTreeMap, BTreeSet};

use sekisho::search::Index;

use crate::measure::search;

const SEED: u64 = 0x5e_6b69_7368_6f06;
const ONE_EDIT_CHARS_MIN: usize = 5;
const TWO_EDITS_CHARS_MIN: usize = 8;

/// Word -> the pages that have it. Words are runs of Latin letters, in lower case.
pub(crate) struct Vocabulary(BTreeMap<String, BTreeSet<String>>);

impl Vocabulary {
    pub(crate) fn of<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, text) in texts {
            for word in without_targets(text).split(|it: char| !it.is_alphanumeric() && it != '_') {
                // Names in camel case and codes are no words.
                let lower = word.chars().skip(1).all(|it| it.is_ascii_lowercase());
                if lower && word.starts_with(|it: char| it.is_ascii_alphabetic()) {
                    words.entry(word.to_ascii_lowercase()).or_default().insert(path.to_owned());
                }
            }
        }
        Self(words)
    }

    /// The share of misspellings after which one of the first ten hits has the right word, in this very form. Without
    /// edits: what can be reached.
    pub(crate) fn found(&self, index: &Index, edits: usize, count: usize) -> f64 {
        let chars_min = if edits < 2 { ONE_EDIT_CHARS_MIN } else { TWO_EDITS_CHARS_MIN };
        let words: Vec<_> = self.0.iter().filter(|(word, _)| word.len() >= chars_min).collect();
        let mut random = Random(SEED ^ edits as u64);
        let (mut drawn, mut found) = (0, 0);
        while drawn < count {
            let (word, pages) = words[random.below(words.len())];
            let mut wrong = word.clone();
            for _ in 0..edits {
                wrong = random.edit(&wrong);
            }
            if (edits > 0 && self.0.contains_key(&wrong)) || strsim::osa_distance(word, &wrong) != edits {
                continue;
            }
            drawn += 1;
            let hit = search(index, &wrong, 10).iter().any(|path| pages.contains(path));
            found += usize::from(hit);
            #[allow(clippy::disallowed_methods, reason = "a switch of this bench")]
            if !hit && std::env::var_os("SEKISHO_TYPOS").is_some() {
                println!("  {wrong} for {word}");
            }
        }
        found as f64 / count as f64
    }
}

/// Targets of links are not searched.
fn without_targets(text: &str) -> String {
    let mut pieces = text.split("](");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        kept.push(' ');
        kept.push_str(piece.split_once(')').map_or(piece, |it| it.1));
    }
    kept
}

/// `SplitMix64`: the same draws everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((it ^ (it >> 31)) % end as u64).expect("below a usize")
    }

    fn edit(&mut self, word: &str) -> String {
        let mut letters: Vec<char> = word.chars().collect();
        let letter = char::from(b'a' + u8::try_from(self.below(26)).expect("a letter"));
        let at = self.below(letters.len());
        match self.below(4) {
            0 => drop(letters.remove(at)),
            1 => letters.insert(at, letter),
            2 => letters[at] = letter,
            _ => {
                let at = at.min(letters.len() - 2);
                letters.swap(at, at + 1);
            }
        }
        letters.into_iter().collect()
    }
}
