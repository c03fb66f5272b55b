//! What a text means once its disguises are off: percent, Unicode and entity encodings, full-width forms, case.

use unicode_normalization::UnicodeNormalization as _;

use crate::base::bound;

/// A text without disguises, and what was seen on the way there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normal {
    /// Lower case, NFKC, decoded, with `/` for every slash and without invisible characters.
    pub text: String,
    pub seen: Seen,
}

/// Characters that have no honest place in a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// C0 and C1 controls, with tab and line breaks.
    pub control: bool,
    /// The same without tab and line breaks: they have no place in prose either.
    pub harsh_control: bool,
    /// U+202A..202E, U+2066..2069: text that reads otherwise than it is.
    pub bidi: bool,
    /// U+E0000..E007F outside of a flag's emoji: text that people do not see and models read.
    pub tag: bool,
    /// Rows of zero-width characters or of variation selectors, which carry bits.
    pub invisible: bool,
    /// Percent-encoded bytes that are no UTF-8, or UTF-8 longer than need be.
    pub invalid: bool,
    /// Encoded more often than anybody has a reason to.
    pub deep: bool,
}

/// Decodes until nothing changes, at most [`bound::DECODE_ROUNDS_MAX`] times. Only the first
/// [`bound::PATTERN_TEXT_BYTES_MAX`] bytes are looked at.
pub fn normalise(text: &str) -> Normal {
    let mut normal = Normal { text: beginning(text).to_owned(), seen: Seen::default() };
    look(&normal.text, &mut normal.seen);
    for _ in 0..bound::DECODE_ROUNDS_MAX {
        let decoded = decode(&normal.text, &mut normal.seen);
        look(&decoded, &mut normal.seen);
        let folded = fold(&decoded);
        let done = folded == normal.text;
        normal.text = folded;
        if done {
            return normal;
        }
    }
    let once_more = decode(&normal.text, &mut Seen::default());
    normal.seen.deep = fold(&once_more) != normal.text;
    normal
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(bound::PATTERN_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Case, forms, slashes and invisible characters.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase().replace('\\', "/");
    }
    let mut folded = String::with_capacity(text.len());
    // One character can become eighteen; whoever sends those gets the beginning looked at.
    let chars = text.nfkc().filter(|char| !is_invisible(*char)).flat_map(char::to_lowercase);
    for char in chars {
        folded.push(match char {
            '\\' | '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29f5}' | '\u{29f8}' | '\u{29f9}' => '/',
            '\u{2018}' | '\u{2019}' | '\u{02b9}' | '\u{02bc}' | '\u{2032}' => '\'',
            '\u{201c}' | '\u{201d}' | '\u{2033}' => '"',
            '\u{2028}' | '\u{2029}' | '\u{85}' => '\n',
            char => char,
        });
        if folded.len() >= 2 * bound::PATTERN_TEXT_BYTES_MAX {
            break;
        }
    }
    folded
}

/// Zero-width characters, soft hyphens, bidi controls, tags, variation selectors.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e01ef}')
}

/// Notes the characters that have no honest place in a name.
pub(super) fn look(text: &str, seen: &mut Seen) {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return;
    }
    let (mut row, mut selectors) = (0_usize, 0_usize);
    let mut in_flag = false;
    for char in text.chars() {
        match char {
            '\t' | '\n' | '\r' => seen.control = true,
            _ if char.is_control() => (seen.control, seen.harsh_control) = (true, true),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => seen.bidi = true,
            '\u{e0000}'..='\u{e007f}' if !in_flag => seen.tag = true,
            _ => {}
        }
        // The flags of England, Scotland and Wales are a black flag with tags.
        in_flag = char == '\u{1f3f4}' || (in_flag && matches!(char, '\u{e0020}'..='\u{e007e}'));
        row = if matches!(char, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}') { row + 1 } else { 0 };
        let selector = matches!(char, '\u{e0100}'..='\u{e01ef}' | '\u{fe00}'..='\u{fe0f}');
        selectors = if selector { selectors + 1 } else { 0 };
        seen.invisible |= row >= bound::INVISIBLE_ROW_CHARS || selectors >= bound::INVISIBLE_ROW_CHARS;
    }
}

/// One round: `%2e`, `%u002e`, `\u002e`, `\x2e`, `&#46;`, `&#x2e;`, `&period;`.
fn decode(text: &str, seen: &mut Seen) -> String {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'&' | b'\\')) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let decoded = match byte {
            b'%' => percent(rest),
            b'\\' => escape(rest),
            b'&' => entity(rest),
            _ => None,
        };
        match decoded {
            Some((Decoded::Byte(byte), taken)) => {
                out.push(byte);
                at += taken;
            }
            Some((Decoded::Char(char), taken)) => {
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                at += taken;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    lenient_utf8(&out, seen)
}

enum Decoded {
    Byte(u8),
    Char(char),
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

fn percent(rest: &[u8]) -> Option<(Decoded, usize)> {
    if let Some(b'u' | b'U') = rest.get(1) {
        return Some((Decoded::Char(char::from_u32(hex(rest.get(2..6)?)?)?), 6));
    }
    Some((Decoded::Byte(u8::try_from(hex(rest.get(1..3)?)?).ok()?), 3))
}

fn escape(rest: &[u8]) -> Option<(Decoded, usize)> {
    match rest.get(1)? {
        b'x' => Some((Decoded::Char(char::from_u32(hex(rest.get(2..4)?)?)?), 4)),
        b'u' if rest.get(2) == Some(&b'{') => {
            let length = rest.get(3..)?.iter().take(7).position(|byte| *byte == b'}')?;
            Some((Decoded::Char(char::from_u32(hex(rest.get(3..3 + length)?)?)?), 4 + length))
        }
        b'u' => Some((Decoded::Char(char::from_u32(hex(rest.get(2..6)?)?)?), 6)),
        _ => None,
    }
}

/// Entities of HTML that stand for characters with a meaning to an interpreter.
const ENTITIES: [(&str, char); 30] = [
    ("lt", '<'),
    ("gt", '>'),
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("sol", '/'),
    ("bsol", '\\'),
    ("period", '.'),
    ("colon", ':'),
    ("semi", ';'),
    ("lpar", '('),
    ("rpar", ')'),
    ("lbrace", '{'),
    ("rbrace", '}'),
    ("lcub", '{'),
    ("rcub", '}'),
    ("lbrack", '['),
    ("rbrack", ']'),
    ("tab", '\t'),
    ("newline", '\n'),
    ("nbsp", ' '),
    ("num", '#'),
    ("excl", '!'),
    ("percnt", '%'),
    ("grave", '`'),
    ("vert", '|'),
    ("dollar", '$'),
    ("equals", '='),
    ("comma", ','),
    ("ast", '*'),
];

fn entity(rest: &[u8]) -> Option<(Decoded, usize)> {
    if rest.get(1) == Some(&b'#') {
        let (radix, from) = if matches!(rest.get(2), Some(b'x' | b'X')) { (16, 3) } else { (10, 2) };
        let digits = rest.get(from..)?.iter().take(12).take_while(|byte| char::from(**byte).is_digit(radix)).count();
        let text = std::str::from_utf8(rest.get(from..from + digits)?).ok()?;
        let char = char::from_u32(u32::from_str_radix(text, radix).ok()?)?;
        // Browsers need no semicolon here.
        let end = from + digits + usize::from(rest.get(from + digits) == Some(&b';'));
        return Some((Decoded::Char(char), end));
    }
    let length = rest.iter().take(12).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(rest.get(1..length)?).ok()?;
    let found = ENTITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some((Decoded::Char(found.1), length + 1))
}

/// UTF-8 as careless readers take it: sequences longer than need be stand for what they say, and are noted.
fn lenient_utf8(bytes: &[u8], seen: &mut Seen) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => return text.to_owned(),
        Err(_) => seen.invalid = true,
    }
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (good, bad) = match std::str::from_utf8(rest) {
            Ok(good) => (good, &[][..]),
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                (std::str::from_utf8(good).unwrap_or_default(), bad)
            }
        };
        out.push_str(good);
        let taken = match bad {
            [] => 0,
            [lead @ (0xc0 | 0xc1), next, ..] => {
                out.push(char::from((lead & 1) << 6 | next & 0x3f));
                2
            }
            [0xe0, second @ 0x80..=0x9f, third, ..] => {
                let code = u32::from(second & 0x3f) << 6 | u32::from(third & 0x3f);
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                3
            }
            [0xf0, second @ 0x80..=0x8f, third, fourth, ..] => {
                let code = u32::from(second & 0x3f) << 12 | u32::from(third & 0x3f) << 6 | u32::from(fourth & 0x3f);
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                4
            }
            _ => {
                out.push('\u{fffd}');
                1
            }
        };
        rest = bad.get(taken..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(normalise(text).text, expect, "{text}");
    }

    #[test]
    fn disguises_come_off() {
        for dots in [
            "../a",
            "..\\A",
            "%2e%2e%2fa",
            "%252e%252e%252fa",
            "%25252e%25252e%25252fa",
            "%c0%ae%c0%ae%c0%afa",
            "..%c0%2fa",
            "%e0%80%ae%e0%80%ae%e0%80%afa",
            "%f0%80%80%ae./a",
            "%u002e%u002e%u2215a",
            "&#46;&#x2e;&sol;a",
            "&period;.&#47a",
            "\\u002e\\x2e\\u{2f}a",
            "．．／Ａ",
            "․․/a",
            ".\u{200b}./a",
            "..⁄a",
            "%ef%bc%8e%ef%bc%8e%ef%bc%8fa",
            "..%5ca",
        ] {
            check(dots, "../a");
        }
        check("ＵＮＩＯＮ　ＳＥＬＥＣＴ", "union select");
        check("100% & more", "100% & more");
        check("ﬁle.md", "file.md");
        check("a&b;c", "a&b;c");
    }

    #[test]
    fn what_has_no_place_in_a_name_is_noted() {
        let seen = |text: &str| normalise(text).seen;
        assert!(seen("a%00b").harsh_control && seen("a\tb").control && !seen("a\tb").harsh_control);
        assert!(seen("a\u{202e}b").bidi && seen("a%E2%80%AEb").bidi);
        assert!(seen("a\u{e0041}b").tag && seen(&"\u{200b}".repeat(8)).invisible);
        assert!(seen("%c0%ae").invalid && seen("%2525252525252e").deep);
        for honest in
            ["日本語の道", "👩‍👩‍👧‍👦", "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", "נתיב", "é.md", "a%20b"]
        {
            assert_eq!(seen(honest), Seen::default(), "{honest}");
        }
    }

    proptest! {
        #[test]
        fn normalising_ends_within_its_bounds(text: String) {
            let normal = normalise(&text);
            prop_assert!(normal.text.len() <= 2 * bound::PATTERN_TEXT_BYTES_MAX + 16);
        }

        #[test]
        fn hostile_encodings_are_taken(text in "[%&#;\\\\uxX0-9a-f.{}\u{c0}あ]{0,200}") {
            normalise(&text);
        }
    }
}
