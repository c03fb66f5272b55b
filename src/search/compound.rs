//! Where identifiers and compounds are cut, and which signs belong to a name.

use crate::search::fold::Folded;
use crate::search::script::{Script, script};

/// Which joiner stands at `at`, between two word characters: its level (what it separates) and its length.
/// `://`, `..` and `--` join nothing.
pub(super) fn joiner(folded: &[Folded], at: usize) -> Option<(usize, usize)> {
    let char = |at: usize| folded.get(at).map(|it| it.char);
    let (level, double) = match char(at)? {
        '/' | '@' => (1, false),
        ':' => (1, true),
        '.' => (2, false),
        '-' | '\'' | '’' => (3, false),
        '_' => (3, true),
        _ => return None,
    };
    let length = if double && char(at + 1) == char(at) { 2 } else { 1 };
    (script(char(at + length)?) == Script::Spaced).then_some((level, length))
}

/// Cuts `(from, to)` where camel case does: `readAsString`, `HTTPServer`. A first letter alone stays (`iOS`, `eBay`),
/// and so do digits (`p53`, `base64`): cut off they would match everything.
pub(super) fn camel(folded: &[Folded], (from, to): (usize, usize), parts: &mut Vec<(usize, usize)>) {
    let mut begin = from;
    // From the third character on: so a first letter alone is never cut off.
    for at in from + 2..to {
        let (before, here) = (folded[at - 1], folded[at]);
        let hump = here.upper && !before.upper && before.char.is_alphanumeric();
        let acronym_ends = here.upper && before.upper && folded.get(at + 1).is_some_and(|it| at + 1 < to && lower(it));
        if hump || acronym_ends {
            parts.push((begin, at));
            begin = at;
        }
    }
    parts.push((begin, to));
}

fn lower(it: &Folded) -> bool {
    !it.upper && it.char.is_alphabetic()
}

/// `++` or `#` directly after the last part: its length, and where reading goes on.
pub(super) fn sign(folded: &[Folded], parts: &[(usize, usize)], end: usize) -> (usize, usize) {
    let char = |at: usize| folded.get(at).map_or(' ', |it| it.char);
    let last_chars = parts.last().map_or(0, |(from, to)| to - from);
    let length = match (char(end), char(end + 1)) {
        ('+', '+') => 2,
        ('#', _) if last_chars <= 3 => 1,
        _ => 0,
    };
    let ends = script(char(end + length)) == Script::Between;
    if length > 0 && ends { (length, end + length) } else { (0, end) }
}

/// `.NET`, `.env`: a dot before a letter that ends no sentence.
pub(super) fn leading_dot(folded: &[Folded], start: usize) -> bool {
    let before = |back: usize| start.checked_sub(back).and_then(|at| folded.get(at)).map(|it| it.char);
    let opens = |it: char| it.is_whitespace() || matches!(it, '`' | '"' | '\'' | '(' | '[' | '/' | ',');
    folded[start].char.is_alphabetic() && before(1) == Some('.') && before(2).is_none_or(opens)
}
