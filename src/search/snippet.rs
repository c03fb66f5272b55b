//! The part of a passage that shows best why it was found, with the ranges to highlight.

use std::collections::HashMap;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use crate::base::bound::{SNIPPET_CHARS_MAX, SNIPPET_SOURCE_BYTES_MAX};
use crate::search::analyze::Stems;
use crate::search::cut::{Cutter, Kind};
use crate::search::language::{ENGLISH, Tongue};

/// How far before the first match a line or sentence may begin for the snippet to begin there.
const LEAD_CHARS_MAX: usize = 80;

/// A term said again is worth this part of a new one.
const REPEAT_WORTH: f32 = 0.05;

#[derive(Debug, PartialEq)]
pub(super) struct Snippet {
    pub(super) text: String,
    pub(super) highlights: Vec<Range<usize>>,
}

/// Makes snippets for one query; keeps its buffers over a page of hits.
#[derive(Debug)]
pub(super) struct Snippets<'a> {
    worth: &'a HashMap<String, f32>,
    leads: Leads,
    cutter: Cutter,
    stems: Stems,
    /// Languages of the index beside English.
    tongues: &'a [Tongue],
}

#[derive(Debug)]
struct Match {
    bytes: Range<usize>,
    term: String,
    worth: f32,
}

impl<'a> Snippets<'a> {
    pub(super) fn new(worth: &'a HashMap<String, f32>, cutter: Cutter, stems: Stems, tongues: &'a [Tongue]) -> Self {
        Self { worth, leads: Leads::of(worth.keys()), cutter, stems, tongues }
    }

    pub(super) fn make(&mut self, passage: &str) -> Snippet {
        let source = passage.get(..passage.floor_char_boundary(SNIPPET_SOURCE_BYTES_MAX)).unwrap_or_default();
        let matches = self.matches(source);
        let start = start(source, best(source, &matches));
        let end = end(source, start);
        squeeze(source, start..end, &matches)
    }

    fn matches(&mut self, source: &str) -> Vec<Match> {
        let Self { worth, leads, cutter, stems, tongues } = self;
        let mut matches = Vec::new();
        let mut at = 0;
        // No term holds white space, so what stands between can be cut alone, and most of it need not be.
        for piece in source.split_inclusive(char::is_whitespace) {
            let start = at;
            at += piece.len();
            if !leads.may_begin_in(piece) {
                continue;
            }
            cutter.cut(piece, |cut| {
                let Some(first) = cut.chars().next().filter(|_| leads.begin(cut.chars())) else {
                    return;
                };
                let term = match cut.kind {
                    // A single character sought stands for the pairs that begin with it, and is what is shown.
                    Kind::Pair | Kind::Tail | Kind::Lone => {
                        let alone = first.to_string();
                        if let Some(&worth) = worth.get(&alone) {
                            let bytes = start + cut.from..start + cut.first_to();
                            matches.push(Match { bytes, term: alone, worth });
                            return;
                        }
                        cut.text()
                    }
                    Kind::Word | Kind::Whole | Kind::Part => {
                        let mut forms = std::iter::once(ENGLISH).chain(tongues.iter().copied());
                        let sought =
                            forms.find_map(|tongue| Some(stems.stem(&cut, tongue)).filter(|it| worth.contains_key(it)));
                        sought.unwrap_or_default()
                    }
                };
                if let Some(&worth) = worth.get(&term) {
                    matches.push(Match { bytes: start + cut.from..start + cut.to, term, worth });
                }
            });
        }
        matches
    }
}

/// How the terms sought begin: their first two characters, which stemming keeps but for `y` to `i` (dying, die) and
/// accents (Häuser, haus). Most words of a passage need not even be cut to know that they do not match.
#[derive(Debug)]
struct Leads {
    /// By an ASCII character, the ASCII characters that may follow it, a bit each.
    ascii: [u128; 128],
    /// Leads with other characters, sorted.
    others: Vec<(char, Option<char>)>,
}

impl Leads {
    fn of<'a>(terms: impl Iterator<Item = &'a String>) -> Self {
        let mut leads = Self { ascii: [0; 128], others: Vec::new() };
        for (first, second) in terms.filter_map(|it| lead(it.chars())) {
            let (bit, row) = (second.map_or(Some(u128::MAX), bit), leads.ascii.get_mut(first as usize));
            match (bit, row) {
                (Some(bit), Some(row)) => *row |= bit,
                _ => leads.others.push((first, second)),
            }
        }
        leads.others.sort_unstable();
        leads.others.dedup();
        leads
    }

    /// Whether a term sought may begin as these characters do.
    fn begin(&self, chars: impl Iterator<Item = char>) -> bool {
        let Some((first, second)) = lead(chars) else {
            return false;
        };
        let row = self.ascii.get(first as usize).copied().unwrap_or_default();
        let is_other = |it| self.others.binary_search(&it).is_ok();
        row == u128::MAX
            || row & second.and_then(bit).unwrap_or_default() != 0
            || is_other((first, second))
            || is_other((first, None))
    }

    /// Whether a term sought may begin somewhere in a text: at once yes where it is not all ASCII, for what folding
    /// makes of other characters is not known before.
    fn may_begin_in(&self, text: &str) -> bool {
        let mut before = b' ';
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            if !byte.is_ascii() {
                return true;
            }
            // Terms begin where a word does, or where camel case is cut.
            let begins = byte.is_ascii_uppercase() || !before.is_ascii_alphanumeric();
            before = byte;
            let chars = [byte, *bytes.peek().unwrap_or(&b' ')].map(|it| char::from(it.to_ascii_lowercase()));
            if begins && self.begin(chars.into_iter()) {
                return true;
            }
        }
        false
    }
}

fn lead(mut chars: impl Iterator<Item = char>) -> Option<(char, Option<char>)> {
    let first = chars.next()?;
    Some((plain(first), chars.next().map(|it| if it == 'y' { 'i' } else { plain(it) })))
}

/// A letter without its accents.
fn plain(char: char) -> char {
    if char.is_ascii() { char } else { std::iter::once(char).nfd().next().unwrap_or(char) }
}

fn bit(char: char) -> Option<u128> {
    char.is_ascii().then(|| 1 << u32::from(char))
}

/// Where the best window begins: at the match from which a snippet's length covers the most worth.
fn best(source: &str, matches: &[Match]) -> usize {
    // Characters before each match, so that windows are measured in characters.
    let mut chars = Vec::with_capacity(matches.len());
    let (mut count, mut at) = (0, 0);
    for it in matches {
        count += source.get(at..it.bytes.start).map_or(0, |between| between.chars().count());
        at = at.max(it.bytes.start);
        chars.push(count);
    }
    // What a lead-in takes from the window's end is not counted on.
    let window = SNIPPET_CHARS_MAX - LEAD_CHARS_MAX / 2;
    let (mut best, mut best_worth) = (0, 0.0);
    let mut times: HashMap<&str, u32> = HashMap::new();
    let (mut worth, mut next) = (0.0, 0);
    for (index, it) in matches.iter().enumerate() {
        while let Some(entering) = matches.get(next).filter(|_| chars[next] < chars[index] + window) {
            let times = times.entry(&entering.term).or_default();
            *times += 1;
            worth += if *times == 1 { entering.worth } else { entering.worth * REPEAT_WORTH };
            next += 1;
        }
        // Clearly better only: the earlier of two equals reads better.
        if worth > best_worth * 1.001 + f32::EPSILON {
            (best, best_worth) = (it.bytes.start, worth);
        }
        if let Some(times) = times.get_mut(it.term.as_str()) {
            *times -= 1;
            worth -= if *times == 0 { it.worth } else { it.worth * REPEAT_WORTH };
        }
    }
    best
}

/// Moves back to where a line, else a sentence, else a word begins, within `LEAD_CHARS_MAX` characters.
fn start(source: &str, first: usize) -> usize {
    let before = source.get(..first).unwrap_or_default();
    let lead = before.char_indices().rev().take(LEAD_CHARS_MAX).last().map_or(first, |(at, _)| at);
    let Some(lead_in) = source.get(lead..first) else {
        return first;
    };
    if lead == 0 {
        return 0;
    }
    let after = |pattern: &[char]| {
        let ends = lead_in.char_indices().filter(|(at, it)| {
            let next = lead_in.get(at + it.len_utf8()..).and_then(|rest| rest.chars().next());
            pattern.contains(it) && (!it.is_ascii_punctuation() || next.is_some_and(char::is_whitespace))
        });
        ends.map(|(at, it)| lead + at + it.len_utf8()).next_back()
    };
    let word = || {
        let space = lead_in.char_indices().find(|(_, it)| it.is_whitespace());
        space.map_or(first, |(at, it)| lead + at + it.len_utf8())
    };
    after(&['\n']).or_else(|| after(&['.', '!', '?', '。', '！', '？'])).unwrap_or_else(word)
}

/// A snippet's length on, back to a space if one is near; unspaced scripts are cut anywhere.
fn end(source: &str, start: usize) -> usize {
    let rest = source.get(start..).unwrap_or_default();
    let Some((cut, _)) = rest.char_indices().nth(SNIPPET_CHARS_MAX) else {
        return source.len();
    };
    let window = rest.get(..cut).unwrap_or_default();
    let space = window.char_indices().rev().take(LEAD_CHARS_MAX / 4).find(|(_, it)| it.is_whitespace());
    start + space.map_or(cut, |(at, _)| at)
}

/// Copies the window with white space collapsed and moves the matches along; overlapping and touching ones become one.
fn squeeze(source: &str, window: Range<usize>, matches: &[Match]) -> Snippet {
    let text = source.get(window.clone()).unwrap_or_default();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let inside = matches.iter().filter(|it| it.bytes.start >= window.start && it.bytes.end <= window.end);
    let mut inside: Vec<_> = inside.map(|it| it.bytes.start - window.start..it.bytes.end - window.start).collect();
    inside.sort_unstable_by_key(|it| (it.start, it.end));
    for it in inside {
        match ranges.last_mut() {
            Some(last) if it.start <= last.end => last.end = last.end.max(it.end),
            _ => ranges.push(it),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut highlights = Vec::with_capacity(ranges.len());
    let mut ranges = ranges.into_iter().peekable();
    let mut began = 0;
    for (at, char) in text.char_indices() {
        if char.is_whitespace() || char == '\0' {
            if !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
            continue;
        }
        if ranges.peek().is_some_and(|it| it.start == at) {
            began = out.len();
        }
        out.push(char);
        if ranges.next_if(|it| it.end <= at + char.len_utf8()).is_some() {
            highlights.push(began..out.len());
        }
    }
    out.truncate(out.trim_end().len());
    Snippet { text: out, highlights }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snippet(passage: &str, terms: &[&str]) -> Snippet {
        let worth = terms.iter().map(|it| ((*it).to_owned(), 1.0)).collect();
        Snippets::new(&worth, Cutter::default(), Stems::default(), &[]).make(passage)
    }

    /// Highlights stand in brackets in what is expected.
    fn check(passage: &str, terms: &[&str], expect: &str) {
        let Snippet { mut text, highlights } = snippet(passage, terms);
        for range in highlights.iter().rev() {
            text.insert(range.end, ']');
            text.insert(range.start, '[');
        }
        assert_eq!(text, expect);
    }

    #[test]
    fn matches_are_highlighted_in_the_original() {
        check("Ask for  the\n\nCamera Permissions.", &["camera", "permiss"], "Ask for the [Camera] [Permissions].");
        check("call useCameraPermissions()", &["camera"], "call use[Camera]Permissions()");
        check("call useCameraPermissions()", &["usecamerapermiss", "camera"], "call [useCameraPermissions]()");
        check("これは副作用です", &["副作", "作用"], "これは[副作用]です");
        check("これは副作用です。用", &["用"], "これは副作[用]です。[用]");
        check("ｶﾞｲﾄﾞを見る", &["ガイ", "イド"], "[ｶﾞｲﾄﾞ]を見る");
        check("use C++ or C", &["c++"], "use [C++] or C");
        check("nothing here", &["camera"], "nothing here");
        check("", &["camera"], "");
        check(" \n\t ", &[], "");
    }

    #[test]
    fn the_window_holds_the_most_terms_and_begins_well() {
        let noise = "Lorem ipsum dolor sit amet. ".repeat(40);
        let passage = format!("camera {noise}\nAsk for camera permission here. {noise}");
        let found = snippet(&passage, &["camera", "permiss"]).text;
        assert!(found.starts_with("Ask for camera permission here."), "{found}");
        assert!(found.chars().count() <= SNIPPET_CHARS_MAX);
        let found = snippet(&format!("{noise} the permission is {noise}"), &["permiss"]).text;
        assert!(found.starts_with("the permission is Lorem"), "{found}");
    }

    proptest! {
        /// Against cutting the passage in one and looking up each term.
        #[test]
        fn no_match_is_missed(text in "(?s)([ \n]|[a-dyCI]|camera|Dying|foo_bar|[.C+#'_:/-]|[副作用ｶﾞＡé\u{301}]|.){0,80}") {
            let terms = ["camera", "die", "foo_bar", "bar", "c++", ".net", "a", "b", "副作", "用", "ガ", "ｃ", "é", "cab"];
            let worth: HashMap<_, _> = terms.iter().map(|it| ((*it).to_owned(), 1.0)).collect();
            let (mut cutter, mut stems) = (Cutter::default(), Stems::default());
            let mut expect = Vec::new();
            cutter.cut(&text, |cut| {
                let first = cut.chars().next().map(String::from).unwrap_or_default();
                let pair = matches!(cut.kind, Kind::Pair | Kind::Tail | Kind::Lone);
                if pair && worth.contains_key(&first) {
                    expect.push(cut.from..cut.first_to());
                } else if worth.contains_key(&stems.stem(&cut, ENGLISH)) {
                    expect.push(cut.from..cut.to);
                }
            });
            let found = Snippets::new(&worth, Cutter::default(), Stems::default(), &[]).matches(&text);
            prop_assert_eq!(found.into_iter().map(|it| it.bytes).collect::<Vec<_>>(), expect);
        }

        #[test]
        fn any_text_gives_a_bounded_snippet(text in "(?s)(.|[ab ]|[副作用ｶﾞ\n\u{301}]){0,600}") {
            let found = snippet(&text, &["a", "b", "副作", "用", "ガ", "ab"]);
            prop_assert!(found.text.chars().count() <= SNIPPET_CHARS_MAX);
            let mut end = 0;
            for it in found.highlights {
                prop_assert!(it.start < it.end && it.start >= end);
                prop_assert!(found.text.get(it.clone()).is_some());
                end = it.end;
            }
        }
    }
}
