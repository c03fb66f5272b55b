//! From text to the terms that are indexed: cut, then stemmed; also as the tokenizers that tantivy is given.

use std::collections::HashMap;
use std::fmt;

use tantivy::tokenizer::{RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};

use crate::base::bound::search::{WORD_CHARS_MAX, WORD_CHARS_MIN};
use crate::search::choice::{Choice, Choices};
use crate::search::cut::{Cut, Cutter, Kind};
use crate::search::language::{Tongue, unmarked};

/// Stems remembered while indexing: words repeat, and a stem costs more than a look-up.
const STEMS_MAX: usize = 20_000;

/// Stems by language. They are the normal form, not a second field: words go through the rules of the language that
/// their document is in, and a query's through those of all languages that the index holds.
#[derive(Clone, Default)]
pub(super) struct Stems {
    choices: Choices,
    rules: Vec<Option<Rules>>,
}

#[derive(Clone)]
struct Rules {
    stemmer: TextAnalyzer,
    known: HashMap<String, String>,
}

impl Stems {
    pub(super) fn new(choices: Choices) -> Self {
        Self { choices, rules: Vec::new() }
    }

    /// The indexed form of a term in a document of one language.
    pub(super) fn stem(&mut self, cut: &Cut<'_>, tongue: Tongue) -> String {
        let text = cut.text();
        let stemmed =
            matches!(cut.kind, Kind::Word | Kind::Part | Kind::Whole) && text.len() > 2 && tongue.takes(&text);
        if stemmed { self.stem_word(text, tongue) } else { text }
    }

    /// The indexed form of a word of the dictionary.
    pub(super) fn stem_word(&mut self, word: String, tongue: Tongue) -> String {
        if word.len() <= 2 || !tongue.takes(&word) || !self.choices.has(Choice::Stems) {
            return word;
        }
        let at = tongue.index();
        if self.rules.len() <= at {
            self.rules.resize(at + 1, None);
        }
        let Some(slot) = self.rules.get_mut(at) else { return word };
        let Rules { stemmer, known } = slot.get_or_insert_with(|| Rules {
            stemmer: TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(tongue.rules())).build(),
            known: HashMap::new(),
        });
        if let Some(known) = known.get(&word) {
            return known.clone();
        }
        let mut stem = None;
        stemmer.token_stream(&word).process(&mut |token| stem = Some(token.text.clone()));
        let stem = stem.filter(|it| !it.is_empty()).unwrap_or_else(|| word.clone());
        if known.len() < STEMS_MAX {
            known.insert(word, stem.clone());
        }
        stem
    }
}

impl fmt::Debug for Stems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: usize = self.rules.iter().flatten().map(|it| it.known.len()).sum();
        f.debug_struct("Stems").field("known", &known).finish_non_exhaustive()
    }
}

/// The tokenizer of the fields that queries are put to.
#[derive(Clone, Debug, Default)]
pub(super) struct Analyzer {
    cutter: Cutter,
    stems: Stems,
    tokens: Vec<Token>,
}

impl Analyzer {
    pub(super) fn new(choices: Choices) -> Self {
        Self { cutter: Cutter::new(choices), stems: Stems::new(choices), tokens: Vec::new() }
    }
}

impl Tokenizer for Analyzer {
    type TokenStream<'a> = Tokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens<'a> {
        let Self { cutter, stems, tokens } = self;
        tokens.clear();
        let (tongue, text) = unmarked(text);
        cutter.cut(text, |cut| {
            let Cut { position, from, to, .. } = cut;
            let text = stems.stem(&cut, tongue);
            tokens.push(Token { offset_from: from, offset_to: to, position, text, position_length: 1 });
        });
        Tokens { tokens, next: 0 }
    }
}

/// Whether a word as written is kept in the dictionary: letters only, for codes and numbers are never misspelt.
pub(super) fn is_spelt(kind: Kind, word: &str) -> bool {
    matches!(kind, Kind::Word | Kind::Part | Kind::Whole)
        && (WORD_CHARS_MIN..=WORD_CHARS_MAX).contains(&word.chars().count())
        && word.chars().all(char::is_alphabetic)
}

/// The tokenizer of the dictionary: words as they are written, in lower case, not stemmed.
#[derive(Clone, Debug, Default)]
pub(super) struct Speller {
    cutter: Cutter,
    tokens: Vec<Token>,
}

impl Speller {
    pub(super) fn new(choices: Choices) -> Self {
        Self { cutter: Cutter::new(choices), tokens: Vec::new() }
    }
}

impl Tokenizer for Speller {
    type TokenStream<'a> = Tokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens<'a> {
        let Self { cutter, tokens } = self;
        tokens.clear();
        cutter.cut(text, |cut| {
            let text = cut.text();
            if is_spelt(cut.kind, &text) {
                let Cut { position, from, to, .. } = cut;
                tokens.push(Token { offset_from: from, offset_to: to, position, text, position_length: 1 });
            }
        });
        Tokens { tokens, next: 0 }
    }
}

/// The terms of one text, handed out one by one.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    tokens: &'a mut Vec<Token>,
    next: usize,
}

impl TokenStream for Tokens<'_> {
    fn advance(&mut self) -> bool {
        self.next += 1;
        self.next <= self.tokens.len()
    }

    // tantivy asks for a token only after `advance` said yes: an index out of range is its bug or ours.
    fn token(&self) -> &Token {
        &self.tokens[self.next - 1]
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.tokens[self.next - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut tokenizer: impl Tokenizer, text: &str, expect: &str) {
        let mut found = Vec::new();
        tokenizer.token_stream(text).process(&mut |token| found.push(token.text.clone()));
        assert_eq!(found.join(" "), expect);
    }

    #[test]
    fn words_are_stemmed_and_names_with_signs_are_not() {
        let analyzed = |text: &str, expect: &str| check(Analyzer::default(), text, expect);
        analyzed("Permissions are running", "permiss are run");
        analyzed("useCameraPermissions", "usecamerapermiss use camera permiss");
        analyzed("usecamerapermissions", "usecamerapermiss");
        analyzed("config-plugins C++", "config-plugins config plugin c++");
        analyzed("副作用 p53", "副作 作用 用 p53");
    }

    #[test]
    fn a_mark_says_which_rules_apply() {
        let marked =
            |code: &str, text: &str| format!("{}{text}", Tongue::all().find(|it| it.code() == code).unwrap().mark());
        check(Analyzer::default(), &marked("de", "Häuser Berechtigungen p53"), "haus berecht p53");
        check(Analyzer::default(), &marked("ru", "разрешения приложение"), "разрешен приложен");
        check(Analyzer::default(), &marked("en", "Permissions"), "permiss");
    }

    #[test]
    fn the_dictionary_holds_words_as_they_are_written() {
        let written = |text: &str, expect: &str| check(Speller::default(), text, expect);
        written("Permissions are p53 E0308 of C++", "permissions are");
        written("useCameraPermissions expo-camera", "usecamerapermissions use camera permissions expo camera");
        written("副作用 foo_bar", "foo bar");
    }
}
