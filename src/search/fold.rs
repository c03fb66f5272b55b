//! Folding of text for search: NFKC and lower case, each character knowing which bytes of the original it came from.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::base::bound::MARKS_CHARS_MAX;

/// One character after folding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folded {
    pub(super) char: char,
    /// Was written in upper case: where camel case is cut.
    pub(super) upper: bool,
    from: u32,
    to: u32,
}

impl Folded {
    pub(super) fn from(&self) -> usize {
        self.from as usize
    }
    pub(super) fn to(&self) -> usize {
        self.to as usize
    }
}

/// Folds `text` into `out`, which is cleared first.
///
/// A base character is normalised together with the marks that follow it, because only together do they compose
/// (か + ゙ = が); every character that comes out carries the byte range of the whole cluster, whatever NFKC made
/// longer (㍿) or shorter (ｶﾞ). Text beyond 4 GiB is ignored: no passage is that long.
pub(super) fn fold(text: &str, out: &mut Vec<Folded>) {
    out.clear();
    let mut chars = text.char_indices().peekable();
    let mut cluster = String::new();
    while let Some((from, first)) = chars.next() {
        let mut to = from + first.len_utf8();
        let mut marks = 0;
        cluster.clear();
        while let Some(&(at, next)) = chars.peek() {
            if marks == MARKS_CHARS_MAX || !extends(next) {
                break;
            }
            if marks == 0 {
                cluster.push(first);
            }
            cluster.push(next);
            to = at + next.len_utf8();
            marks += 1;
            chars.next();
        }
        let range = from..to;
        if marks > 0 {
            cluster.nfkc().for_each(|it| push(it, &range, out));
        } else if first.is_ascii() || settled(first) {
            push(first, &range, out);
        } else {
            std::iter::once(first).nfkc().for_each(|it| push(it, &range, out));
        }
    }
}

fn push(char: char, range: &Range<usize>, out: &mut Vec<Folded>) {
    let (Ok(from), Ok(to)) = (u32::try_from(range.start), u32::try_from(range.end)) else {
        return;
    };
    let mut put = |char, upper| {
        out.push(Folded { char, upper, from, to });
    };
    if char.is_ascii() {
        put(char.to_ascii_lowercase(), char.is_ascii_uppercase());
    } else {
        let upper = char.is_uppercase();
        char.to_lowercase().for_each(|it| put(it, upper));
    }
}

/// Whether a character composes with the one before it: marks, the later letters of a Hangul syllable, and the
/// half-width voicing marks, which NFKC turns into marks.
fn extends(char: char) -> bool {
    match char {
        '\0'..='\u{2ff}' => false,
        other if settled(other) => false,
        '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}' | '\u{ff9e}' | '\u{ff9f}' => true,
        other => is_combining_mark(other),
    }
}

/// The bulk of Chinese, Japanese and Korean text: stays as it is, has no case, composes with nothing before it. Asking
/// the tables of Unicode for each of these characters was most of what folding cost.
fn settled(char: char) -> bool {
    matches!(char,
        '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fe}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_characters_are_what_the_tables_say() {
        for char in ('\0'..=char::MAX).filter(|it| settled(*it)) {
            let folded: Vec<_> = std::iter::once(char).nfkc().flat_map(char::to_lowercase).collect();
            assert_eq!((folded, is_combining_mark(char)), (vec![char], false));
        }
    }

    fn check(text: &str, expect: &str, bytes: &[Range<usize>]) {
        let mut out = Vec::new();
        fold(text, &mut out);
        assert_eq!(out.iter().map(|it| it.char).collect::<String>(), expect);
        let ranges: Vec<_> = out.iter().map(|it| it.from()..it.to()).collect();
        assert_eq!(ranges, bytes);
    }

    #[test]
    fn folds_and_keeps_the_original_bytes() {
        check("aB", "ab", &[0..1, 1..2]);
        check("Ａ", "a", &[0..3]);
        check("ﬁ", "fi", &[0..3, 0..3]);
        check("e\u{301}", "é", &[0..3]);
        check("ｶﾞx", "ガx", &[0..6, 6..7]);
        check("\u{1112}\u{1161}\u{11ab}", "한", &[0..9]);
        check("\u{301}", "\u{301}", &[0..2]);
        check("İ", "i\u{307}", &[0..2, 0..2]);
    }

    #[test]
    fn a_tower_of_marks_is_cut() {
        let mut out = Vec::new();
        fold(&format!("a{}", "\u{300}".repeat(1000)), &mut out);
        assert!(out.iter().all(|it| it.to() - it.from() <= 1 + 2 * MARKS_CHARS_MAX + 1));
    }
}
