//! From text to the terms that are indexed: cut, then stemmed; also as the tokenizer that tantivy is given.

use std::collections::HashMap;
use std::fmt;

use tantivy::tokenizer::{Language, RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};

use crate::search::cut::{Cut, Cutter, Kind};

/// Stems remembered while indexing: words repeat, and a stem costs more than a look-up.
const STEMS_MAX: usize = 20_000;

/// English stems. They are the normal form, not a second field: words of other Latin-script languages go through the
/// same rules in index and query, which now and then joins two of them and never separates one from itself.
#[derive(Clone)]
pub(super) struct Stems {
    stemmer: TextAnalyzer,
    known: HashMap<String, String>,
}

impl Stems {
    pub(super) fn new() -> Self {
        let stemmer = TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(Language::English)).build();
        Self { stemmer, known: HashMap::new() }
    }

    /// The indexed form of a term.
    pub(super) fn stem(&mut self, cut: &Cut<'_>) -> String {
        let text = cut.text();
        let stemmed = matches!(cut.kind, Kind::Word | Kind::Part | Kind::Whole)
            && text.len() > 2
            && text.bytes().all(|it| it.is_ascii_lowercase());
        if !stemmed {
            return text;
        }
        if let Some(known) = self.known.get(&text) {
            return known.clone();
        }
        let mut stem = None;
        self.stemmer.token_stream(&text).process(&mut |token| stem = Some(token.text.clone()));
        let stem = stem.filter(|it| !it.is_empty()).unwrap_or_else(|| text.clone());
        if self.known.len() < STEMS_MAX {
            self.known.insert(text, stem.clone());
        }
        stem
    }
}

impl fmt::Debug for Stems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stems").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

/// The tokenizer of all text fields.
#[derive(Clone, Debug)]
pub(super) struct Analyzer {
    cutter: Cutter,
    stems: Stems,
    tokens: Vec<Token>,
}

impl Analyzer {
    pub(super) fn new() -> Self {
        Self { cutter: Cutter::default(), stems: Stems::new(), tokens: Vec::new() }
    }
}

impl Tokenizer for Analyzer {
    type TokenStream<'a> = Tokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens<'a> {
        let Self { cutter, stems, tokens } = self;
        tokens.clear();
        cutter.cut(text, |cut| {
            let Cut { position, from, to, .. } = cut;
            let text = stems.stem(&cut);
            tokens.push(Token { offset_from: from, offset_to: to, position, text, position_length: 1 });
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

    fn check(text: &str, expect: &str) {
        let mut analyzer = Analyzer::new();
        let mut found = Vec::new();
        analyzer.token_stream(text).process(&mut |token| found.push(token.text.clone()));
        assert_eq!(found.join(" "), expect);
    }

    #[test]
    fn words_are_stemmed_and_names_with_signs_are_not() {
        check("Permissions are running", "permiss are run");
        check("useCameraPermissions", "usecamerapermiss use camera permiss");
        check("usecamerapermissions", "usecamerapermiss");
        check("config-plugins C++", "config-plugins config plugin c++");
        check("副作用 p53", "副作 作用 用 p53");
    }
}
