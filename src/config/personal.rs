//! What tells a person apart in a text: e-mail addresses, card numbers, US social security numbers, telephone numbers.

use std::ops::Range;

/// Where they stand, in order and apart.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let free = found.last().map_or(0, |last| last.end);
        let range = match byte {
            b'@' => email(bytes, at, free),
            b'0'..=b'9' | b'+' | b'(' if starts(bytes, at) => {
                card(bytes, at).or_else(|| social(bytes, at)).or_else(|| telephone(bytes, at))
            }
            _ => None,
        };
        at = range.as_ref().map_or(at + 1, |range| range.end);
        found.extend(range);
    }
    found
}

/// Numbers are not cut out of longer words and numbers.
fn starts(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/' | b'+' | b'#'))
}

fn ends(bytes: &[u8], at: usize) -> bool {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(byte), _) if byte.is_ascii_alphanumeric() || *byte == b'_' => false,
        // A full stop ends a sentence, `1.5` does not.
        (Some(b'.' | b'-' | b'/'), Some(next)) => !next.is_ascii_alphanumeric(),
        _ => true,
    }
}

/// `local@domain.tld` around the `@` at `at`, of which nothing before `free` is taken.
fn email(bytes: &[u8], at: usize, free: usize) -> Option<Range<usize>> {
    const PICTURES: [&[u8]; 6] = [b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp"];
    let local = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let before = bytes.get(free..at)?.iter().rev().take(64).take_while(local).count();
    let domain = bytes.get(at + 1..)?;
    let length =
        domain.iter().take(255).take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte)).count();
    let mut length = length;
    while length > 0 && !domain[length - 1].is_ascii_alphanumeric() {
        length -= 1;
    }
    let domain = domain.get(..length)?;
    let dot = domain.iter().rposition(|byte| *byte == b'.')?;
    let top = domain.get(dot + 1..)?;
    // `icon@2x.png` is a picture.
    let good = before > 0
        && dot > 0
        && top.len() >= 2
        && top.iter().all(u8::is_ascii_alphabetic)
        && !PICTURES.contains(&top.to_ascii_lowercase().as_slice());
    good.then_some(at - before..at + 1 + length)
}

/// 13 to 19 digits in groups, of an issuer that there is, whose check digit is right (ISO/IEC 7812-1, annex B).
fn card(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let mut digits: Vec<u8> = Vec::with_capacity(19);
    let mut end = at;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'0'..=b'9' if digits.len() < 20 => digits.push(byte - b'0'),
            b' ' | b'-' if !digits.is_empty() && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) => {}
            _ => break,
        }
        end += 1;
    }
    let lead = |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| 10 * number + u32::from(*digit));
    let issuer = matches!(lead(1), 4)
        || matches!(lead(2), 34 | 36..=38 | 51..=55 | 65)
        || matches!(lead(3), 300..=305 | 644..=649)
        || matches!(lead(4), 2221..=2720 | 3528..=3589 | 6011);
    ((13..=19).contains(&digits.len()) && issuer && luhn(&digits) && ends(bytes, end)).then_some(at..end)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// `AAA-GG-SSSS` as the US Social Security Administration gives them: no part is zero, no area is 666 or from 900 up.
fn social(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let text = bytes.get(at..at + 11)?;
    let (area, group, serial) = (text.get(..3)?, text.get(4..6)?, text.get(7..)?);
    let digits = [area, group, serial].iter().all(|part| part.iter().all(u8::is_ascii_digit));
    let good = digits
        && text[3] == b'-'
        && text[6] == b'-'
        && area != b"000"
        && area != b"666"
        && area[0] != b'9'
        && group != b"00"
        && serial != b"0000";
    (good && ends(bytes, at + 11)).then_some(at..at + 11)
}

/// International (`+81 3 1234 5678`, ITU-T E.164: 8 to 15 digits), or national with separators: three groups that
/// begin with a US area code or a Japanese trunk 0. A bare row of digits is not taken for a telephone.
fn telephone(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let international = bytes.get(at) == Some(&b'+');
    let mut groups: Vec<usize> = vec![0];
    let mut end = at + usize::from(international);
    let first = bytes.get(end + usize::from(bytes.get(end) == Some(&b'('))).copied().filter(u8::is_ascii_digit)?;
    let mut separator = false;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'0'..=b'9' => {
                if let Some(last) = groups.last_mut() {
                    *last += 1;
                }
                separator = false;
            }
            b' ' | b'-' | b'.' | b'(' | b')' if !separator || matches!(byte, b' ' | b'(') => {
                if groups.last() != Some(&0) {
                    groups.push(0);
                }
                separator = *byte != b')';
            }
            _ => break,
        }
        end += 1;
    }
    while end > at && !bytes[end - 1].is_ascii_digit() {
        end -= 1;
    }
    groups.retain(|digits| *digits > 0);
    let total: usize = groups.iter().sum();
    let good = if international {
        (8..=15).contains(&total) && first != b'0'
    } else {
        let american = groups == [3, 3, 4] && (b'2'..=b'9').contains(&first);
        let japanese = groups.len() == 3 && groups[2] == 4 && first == b'0' && (10..=11).contains(&total);
        american || japanese
    };
    (good && ends(bytes, end)).then_some(at..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let found: Vec<&str> = find(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn addresses_of_people_are_found_and_pictures_are_not() {
        check("write to ann.b+x@example.co.jp.", &["ann.b+x@example.co.jp"]);
        check("a@b and icon@2x.png, left-pad@1.3.0, @scope/pkg", &[]);
        check("ann@example.org,bob@example.org", &["ann@example.org", "bob@example.org"]);
    }

    #[test]
    fn cards_are_known_by_their_check_digit() {
        check("pay 4111 1111 1111 1111 now", &["4111 1111 1111 1111"]);
        check("5500-0055-5555-5559", &["5500-0055-5555-5559"]);
        check("378282246310005", &["378282246310005"]);
        check("4111 1111 1111 1112, 1234567890123, x4111111111111111", &[]);
        check("1763793219123456", &[]);
    }

    #[test]
    fn social_security_numbers_are_those_that_are_given_out() {
        check("ssn 123-45-6789.", &["123-45-6789"]);
        check("000-12-3456 666-12-3456 912-12-3456 123-00-1234 123-45-0000 1123-45-6789", &[]);
    }

    #[test]
    fn telephones_need_a_form_that_is_theirs() {
        check("call +1 (415) 555-2671 or +81-3-1234-5678", &["+1 (415) 555-2671", "+81-3-1234-5678"]);
        check("(415) 555-2671, 415-555-2671", &["(415) 555-2671", "415-555-2671"]);
        check("電話 03-1234-5678、090-1234-5678", &["03-1234-5678", "090-1234-5678"]);
        check("2026-11-22T06:33:39 10.0.0.1 127.0.0.1:3000 1.2.3.4 v1.22.333 12345678901", &[]);
        check("a + 12345 (2024) 100-200", &[]);
    }
}
