//! Cutting of text into terms: words, identifiers whole and in parts, and pairs of characters where nobody writes spaces.
//!
//! - `useCameraPermissions` gives the whole `usecamerapermissions` and, from the same position on, `use`, `camera`,
//!   `permissions`; so does `foo_bar.baz()` (`foo_bar.baz`, `foo_bar`, `foo`, `bar`, `baz`) and `@expo/config-types`.
//! - `C++`, `C#`, `.NET` keep their sign, or they would be another word.
//! - 副作用 gives 副作, 作用, 用. One term begins at each character, so a single character sought is the beginning of
//!   some term: `query` finds it in the dictionary, and the index needs no second set of terms.

use crate::base::bound::TERM_CHARS_MAX;
use crate::search::choice::{Choice, Choices};
use crate::search::compound::{camel, joiner, leading_dot, sign};
use crate::search::fold::{Folded, fold};
use crate::search::script::{Script, script};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A plain word.
    Word,
    /// An identifier or compound as written, in front of its parts.
    Whole,
    /// A word inside a compound.
    Part,
    /// Two neighbouring characters of an unspaced script.
    Pair,
    /// The last character of an unspaced run of several: begins no pair.
    Tail,
    /// A run of one unspaced character.
    Lone,
}

/// A term as cut, folded but not stemmed. Its text is made only when asked for: a snippet looks at most terms' first
/// character and goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut<'a> {
    chars: &'a [Folded],
    pub(super) kind: Kind,
    pub(super) position: usize,
    /// Bytes of the original text, on character boundaries.
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Cut<'_> {
    pub(super) fn chars(&self) -> impl Iterator<Item = char> {
        self.chars.iter().map(|it| it.char)
    }

    /// Where the first character ends in the original text.
    pub(super) fn first_to(&self) -> usize {
        self.chars.first().map_or(self.from, Folded::to)
    }

    /// Written in capitals only, such as `ENOENT`.
    pub(super) fn is_in_capitals(&self) -> bool {
        self.chars.len() > 1 && self.chars.iter().all(|it| it.upper)
    }

    pub(super) fn text(&self) -> String {
        self.chars.iter().take(TERM_CHARS_MAX).map(|it| if it.char == '’' { '\'' } else { it.char }).collect()
    }
}

/// Cuts text into terms; keeps its buffers, so use one for many texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Cutter {
    choices: Choices,
    folded: Vec<Folded>,
    parts: Vec<(usize, usize)>,
    wholes: Vec<(usize, usize)>,
    position: usize,
}

impl Cutter {
    pub(super) fn new(choices: Choices) -> Self {
        Self { choices, ..Self::default() }
    }

    /// Calls `emit` with each term in order of position; wholes come before their first part.
    pub(super) fn cut(&mut self, text: &str, mut emit: impl FnMut(Cut<'_>)) {
        let mut folded = std::mem::take(&mut self.folded);
        fold(text, &mut folded);
        self.position = 0;
        let mut at = 0;
        while let Some(it) = folded.get(at) {
            at = match script(it.char) {
                Script::Unspaced => self.pairs(&folded, at, &mut emit),
                Script::Spaced => self.compound(&folded, at, &mut emit),
                Script::Mark | Script::Between => at + 1,
            };
        }
        self.folded = folded;
    }

    fn pairs(&mut self, folded: &[Folded], start: usize, emit: &mut impl FnMut(Cut<'_>)) -> usize {
        let end = run_end(folded, start, |it| it == Script::Unspaced || it == Script::Mark);
        for at in start..end {
            let kind = match () {
                () if end - start == 1 => Kind::Lone,
                () if at + 1 == end => Kind::Tail,
                () => Kind::Pair,
            };
            emit(term(folded, (at, (at + 2).min(end)), kind, self.position));
            self.position += 1;
        }
        end
    }

    fn compound(&mut self, folded: &[Folded], start: usize, emit: &mut impl FnMut(Cut<'_>)) -> usize {
        let end = self.measure(folded, start);
        let (sign, after) = sign(folded, &self.parts, end);
        let dotted = leading_dot(folded, start);
        let last = self.parts.len() - 1;
        for (index, &(from, to)) in self.parts.iter().enumerate() {
            let signed = index == last && sign > 0;
            if index == 0 && dotted {
                let name_end = (start..end).find(|&at| folded[at].char == '.').unwrap_or(end);
                emit(term(folded, (start - 1, name_end), Kind::Whole, self.position));
            }
            if signed {
                emit(term(folded, (from, end + sign), Kind::Whole, self.position));
            }
            for &whole in self.wholes.iter().filter(|it| it.0 == from) {
                emit(term(folded, whole, Kind::Whole, self.position));
            }
            // `C++` is not `c`; but `notepad++` is also looked for as notepad.
            if !(signed && to - from <= 2) {
                let kind = if last == 0 && !signed && !dotted { Kind::Word } else { Kind::Part };
                emit(term(folded, (from, to), kind, self.position));
            }
            self.position += 1;
        }
        after
    }

    /// Finds the parts and wholes of the compound at `start`; returns where it ends.
    fn measure(&mut self, folded: &[Folded], start: usize) -> usize {
        self.parts.clear();
        self.wholes.clear();
        // Where the whole at each level began: path, dotted name, hyphenated or underscored name.
        let mut opened = [start; 3];
        let mut at = start;
        loop {
            let atom_end = run_end(folded, at, |it| it == Script::Spaced || it == Script::Mark);
            let first_part = self.parts.len();
            if self.choices.has(Choice::Camel) {
                camel(folded, (at, atom_end), &mut self.parts);
            } else {
                self.parts.push((at, atom_end));
            }
            if self.parts.len() - first_part > 1 {
                self.wholes.push((at, atom_end));
            }
            let joined = joiner(folded, atom_end);
            // A stronger joiner ends the names of all weaker levels.
            let level = joined.map_or(0, |(level, _)| level);
            for from in opened.iter().skip(level).copied() {
                let whole = (from, atom_end);
                let single = self.parts.get(first_part) == Some(&whole) || self.wholes.contains(&whole);
                if !single && atom_end - from <= TERM_CHARS_MAX {
                    self.wholes.push(whole);
                }
            }
            let Some((level, length)) = joined else {
                break at_end(&mut self.wholes, atom_end);
            };
            at = atom_end + length;
            opened.iter_mut().skip(level).for_each(|it| *it = at);
        }
    }
}

/// Longest first among those that begin together, so that equal positions come in a fixed order.
fn at_end(wholes: &mut [(usize, usize)], end: usize) -> usize {
    wholes.sort_unstable_by_key(|&(from, to)| (from, std::cmp::Reverse(to)));
    end
}

fn run_end(folded: &[Folded], start: usize, belongs: impl Fn(Script) -> bool) -> usize {
    let rest = folded.iter().skip(start);
    start + rest.take_while(|it| belongs(script(it.char))).count()
}

fn term(folded: &[Folded], (from, to): (usize, usize), kind: Kind, position: usize) -> Cut<'_> {
    let chars = folded.get(from..to).unwrap_or_default();
    let from = chars.first().map_or(0, Folded::from);
    let to = chars.last().map_or(0, Folded::to);
    Cut { chars, kind, position, from, to }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Found {
        text: String,
        position: usize,
        from: usize,
        to: usize,
    }

    fn cuts(text: &str) -> Vec<Found> {
        let mut out = Vec::new();
        Cutter::default().cut(text, |it| {
            out.push(Found { text: it.text(), position: it.position, from: it.from, to: it.to });
        });
        out
    }

    /// Terms of one position are joined by `|`, positions by spaces.
    fn check(text: &str, expect: &str) {
        let mut found = String::new();
        let mut last = 0;
        for it in cuts(text) {
            if !found.is_empty() {
                found.push(if it.position == last { '|' } else { ' ' });
            }
            last = it.position;
            found.push_str(&it.text);
        }
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn words() {
        check("", "");
        check("Ask for  CAMERA permission.", "ask for camera permission");
        check("Привет, мир", "привет мир");
        check("naïve Ｆｕｌｌ ﬁn", "naïve full fin");
        check("שלום عَلَم", "שלום عَلَم");
        check("!?… — 🚀 \0 \u{301}", "");
        check("SDK 52", "sdk 52");
    }

    #[test]
    fn identifiers_match_whole_and_split() {
        check("useCameraPermissions", "usecamerapermissions|use camera permissions");
        check("expo-camera", "expo-camera|expo camera");
        check("foo_bar.baz()", "foo_bar.baz|foo_bar|foo bar baz");
        check("@expo/config-types", "expo/config-types|expo config-types|config types");
        check("http://localhost:8081", "http localhost:8081|localhost 8081");
        check("TypeError: undefined is", "typeerror|type error undefined is");
        check("HTTPServer iOS iPhone macOS", "httpserver|http server ios iphone macos|mac os");
        check("FileSystem.readAsync", "filesystem.readasync|filesystem|file system readasync|read async");
        check("std::fs::File", "std::fs::file|std fs file");
        check("p53 base64 IL-6 v52.0.0", "p53 base64 il-6|il 6 v52.0.0|v52 0 0");
        check("__dirname a__b", "dirname a__b|a b");
        check("end.Start a..b c--d", "end.start|end start a b c d");
    }

    #[test]
    fn signs_belong_to_short_names() {
        check("C++ C# F#.", "c++ c# f#");
        check("c", "c");
        check(".NET on .env.local", ".net|net on .env|env.local|env local");
        check("notepad++", "notepad++|notepad");
        check("end. Next", "end next");
        check("don't it’s", "don't|don t it's|it s");
    }

    #[test]
    fn unspaced_scripts_give_pairs() {
        check("副作用", "副作 作用 用");
        check("React外の", "react 外の の");
        check("木", "木");
        check("ｶﾞｲﾄﾞ", "ガイ イド ド");
        check("한국어 검색", "한국 국어 어 검색 색");
        check("日本、東京", "日本 本 東京 京");
        check("useStateを", "usestate|use state を");
    }

    #[test]
    fn long_runs_are_cut_by_characters() {
        check(&"я".repeat(1000), &"я".repeat(TERM_CHARS_MAX));
        assert_eq!(cuts(&"a-".repeat(500)).iter().filter(|it| it.text.chars().count() > TERM_CHARS_MAX).count(), 0);
    }

    proptest! {
        #[test]
        fn any_text_cuts_on_boundaries_in_order(text in "(?s)(.|[a-zA-Z._/:@+#'-]|[ァ-ン゙ｶﾞ副]|\u{301}){0,60}") {
            let mut position = 0;
            for it in cuts(&text) {
                prop_assert!(it.from < it.to);
                prop_assert!(text.get(it.from..it.to).is_some());
                prop_assert!(it.position >= position);
                prop_assert!(!it.text.is_empty() && it.text.chars().count() <= TERM_CHARS_MAX);
                position = it.position;
            }
        }
    }
}
