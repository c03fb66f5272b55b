//! A document's text: how it is stored in pieces, and how it is read in pages of a token budget.

use super::record::{self, DocumentRecord};
use crate::base::bound;
use crate::store::table::Table;
use crate::store::{Put, Snapshot};

/// The rows of a body: LZ4, in chunks that fit a commit.
pub(super) fn body_rows(document_key: &[u8], markdown: &str) -> Vec<Put> {
    let compressed = lz4_flex::compress(markdown.as_bytes());
    let chunks = compressed.chunks(bound::BODY_CHUNK_BYTES);
    (0..)
        .zip(chunks)
        .map(|(number, chunk)| Put::new(Table::Bodies, record::body_key(document_key, number), chunk.to_vec()))
        .collect()
}

/// The body of `body_bytes` bytes; `None` when it is not what was written.
pub(super) fn body(snapshot: &Snapshot, document_key: &[u8], body_bytes: u64) -> Option<String> {
    let size = usize::try_from(body_bytes).ok().filter(|size| *size <= bound::BODY_BYTES_MAX)?;
    let (from, to) = (record::body_key(document_key, 0), record::body_key(document_key, u32::MAX));
    let rows = snapshot.scan(Table::Bodies, &from, &to, bound::BODY_CHUNKS_MAX).ok()?;
    let compressed: Vec<u8> = rows.into_iter().flat_map(|(_, chunk)| chunk).collect();
    let bytes = lz4_flex::decompress(&compressed, size).ok()?;
    (bytes.len() == size).then_some(())?;
    String::from_utf8(bytes).ok()
}

/// A piece of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub start: usize,
    pub end: usize,
    pub tokens: usize,
}

/// The page that starts at byte `start` and ends by `end`: whole sections as far as the budget goes, and
/// where even one is too long, whole lines. It holds at least one character, so pages come to an end.
pub fn page(markdown: &str, document: &DocumentRecord, start: usize, end: usize, tokens_max: usize) -> Page {
    let end = end.min(markdown.len());
    let ends = document.sections.iter().map(|section| usize::try_from(section.end).unwrap_or(usize::MAX).min(end));
    let mut reached = Page { start, end: start, tokens: 0 };
    for section_end in ends.filter(|at| *at > start) {
        let tokens = reached.tokens + tokens(markdown.get(reached.end..section_end).unwrap_or_default());
        if tokens > tokens_max {
            break;
        }
        reached = Page { start, end: section_end, tokens };
        if section_end == end {
            break;
        }
    }
    if reached.end == start && start < end {
        reached = lines(markdown, start, end, tokens_max);
    }
    reached
}

fn lines(markdown: &str, start: usize, end: usize, tokens_max: usize) -> Page {
    let mut reached = Page { start, end: start, tokens: 0 };
    for line in markdown.get(start..end).unwrap_or_default().split_inclusive('\n') {
        let of_line = tokens(line);
        if reached.tokens + of_line > tokens_max {
            break;
        }
        reached = Page { start, end: reached.end + line.len(), tokens: reached.tokens + of_line };
    }
    if reached.end == start {
        // One line alone is too long: cut it within the budget, between characters, after at least one.
        let (mut ascii, mut others) = (0_usize, 0_usize);
        for char in markdown.get(start..end).unwrap_or_default().chars() {
            if char.is_ascii() {
                ascii += 1;
            } else {
                others += 1;
            }
            let tokens = ascii.div_ceil(4) + others;
            if tokens > tokens_max && reached.end > start {
                break;
            }
            reached = Page { start, end: reached.end + char.len_utf8(), tokens };
        }
    }
    reached
}

/// About how many tokens a model makes of `text`: four ASCII bytes are one, and so is any other character.
/// On the safe side for Latin and Japanese text alike.
pub fn tokens(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let others = text.chars().filter(|char| !char.is_ascii()).count();
    ascii.div_ceil(4) + others
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::SectionRecord;
    use super::*;

    fn document(cuts: &[usize], length: usize) -> DocumentRecord {
        let mut record = DocumentRecord::tombstone();
        let mut start = 0;
        for end in cuts.iter().copied().chain([length]) {
            record.sections.push(SectionRecord {
                trail: vec![],
                anchor: String::new(),
                level: 1,
                start: start as u64,
                end: end as u64,
            });
            start = end;
        }
        record
    }

    #[test]
    fn pages_are_whole_sections_within_the_budget() {
        let text = "aaaa bbbb cccc dddd ";
        let document = document(&[5, 10, 15], text.len());
        assert_eq!(page(text, &document, 0, text.len(), 4), Page { start: 0, end: 10, tokens: 4 });
        assert_eq!(page(text, &document, 10, text.len(), 100).end, 20);
        assert_eq!(page(text, &document, 5, 10, 100).end, 10);
    }

    proptest! {
        #[test]
        fn following_the_pages_reads_everything_once(text in "[a-zあ\n ]{0,400}", cuts in proptest::collection::vec(0_usize..400, 0..6), tokens_max in 1_usize..50) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len() && text.is_char_boundary(*cut)).collect();
            cuts.sort_unstable();
            let document = document(&cuts, text.len());
            let (mut at, mut read) = (0, String::new());
            while at < text.len() {
                let page = page(&text, &document, at, text.len(), tokens_max);
                prop_assert!(page.end > at);
                read.push_str(&text[page.start..page.end]);
                at = page.end;
            }
            prop_assert_eq!(read, text);
        }
    }
}
