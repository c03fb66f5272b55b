//! What kind of writing a character belongs to, as far as cutting words needs to know.

use unicode_normalization::char::is_combining_mark;

/// How a character takes part in terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Words between other characters: Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, digits of all.
    Spaced,
    /// Written without spaces: cut into overlapping pairs.
    Unspaced,
    /// A mark that composed with nothing: goes with the word before it, alone it is nothing.
    Mark,
    /// Space, punctuation, symbols, controls, emoji.
    Between,
}

pub(super) fn script(char: char) -> Script {
    if char.is_ascii() {
        return if char.is_ascii_alphanumeric() { Script::Spaced } else { Script::Between };
    }
    if unspaced(char) {
        Script::Unspaced
    } else if is_combining_mark(char) {
        Script::Mark
    } else if char.is_alphanumeric() {
        Script::Spaced
    } else {
        Script::Between
    }
}

/// Han, Hiragana, Katakana, Bopomofo, Hangul; and Thai, Lao, Burmese and Khmer, which have no spaces either.
/// Hangul has spaces, but its particles stick to the words: pairs find the stem where whole words would not.
fn unspaced(char: char) -> bool {
    matches!(char,
        '\u{0e01}'..='\u{0e3a}' | '\u{0e40}'..='\u{0e4e}' // Thai
        | '\u{0e81}'..='\u{0ece}' | '\u{0edc}'..='\u{0edf}' // Lao
        | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{109d}' // Burmese
        | '\u{1780}'..='\u{17d3}' // Khmer
        | '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{3005}'..='\u{3007}' | '\u{303b}' // repetition marks, zero
        | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' // Hiragana
        | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' // Katakana
        | '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' // Bopomofo
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Hiragana carries grammar more than meaning: a pair of it says as little as a stop word.
pub(super) fn hiragana(char: char) -> bool {
    matches!(char, '\u{3041}'..='\u{309f}')
}

/// Katakana writes foreign words, long ones: its pairs share one meaning.
pub(super) fn katakana(char: char) -> bool {
    matches!(char, '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30fe}' | '\u{31f0}'..='\u{31ff}')
}
