//! Where code stands in MDX: fences and code spans, which nothing may touch.

use std::collections::BTreeMap;

use crate::base::bound::JSX_TAG_BYTES_MAX;

pub(super) enum Chunk<'a> {
    Prose(&'a str),
    /// From the opening to the closing fence.
    Fence(&'a str),
}

/// Tells code fences from the rest. MDX knows no indented code, so a fence may stand at any indent.
pub(super) fn chunks(source: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut open: Option<Fence> = None;
    let mut comments = Comments { source, next_end: Some(0), until: 0 };
    for line in source.split_inclusive('\n') {
        let end = at + line.len();
        if let Some(fence) = &open {
            let left_quote = fence.quoted && !line.trim_start().starts_with('>');
            if left_quote || fence.is_closed_by(line) {
                let to = if left_quote { at } else { end };
                chunks.push(Chunk::Fence(source.get(start..to).unwrap_or_default()));
                start = to;
                open = if left_quote { Fence::opened_by(line) } else { None };
            }
        } else if !comments.hold(line, at)
            && let Some(fence) = Fence::opened_by(line)
        {
            chunks.push(Chunk::Prose(source.get(start..at).unwrap_or_default()));
            start = at;
            open = Some(fence);
        }
        at = end;
    }
    let rest = source.get(start..).unwrap_or_default();
    chunks.push(if open.is_some() { Chunk::Fence(rest) } else { Chunk::Prose(rest) });
    chunks
}

/// Comments of several lines: a fence inside is part of what the author took out.
struct Comments<'a> {
    source: &'a str,
    /// The next `*/` as far as known, kept so that each byte is searched once; none is left when there is none.
    next_end: Option<usize>,
    until: usize,
}

impl Comments<'_> {
    /// Whether the line at `at` stands in a comment, or opens one.
    fn hold(&mut self, line: &str, at: usize) -> bool {
        if at < self.until {
            return true;
        }
        if !line.trim_start().starts_with("{/*") {
            return false;
        }
        while let Some(end) = self.next_end.filter(|it| *it < at) {
            let from = end.max(at);
            self.next_end = self.source.get(from..).and_then(|it| it.find("*/")).map(|it| from + it);
        }
        self.until = self.next_end.filter(|it| it - at < JSX_TAG_BYTES_MAX).unwrap_or(0);
        true
    }
}

struct Fence {
    mark: char,
    len: usize,
    quoted: bool,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Fence> {
        let mut rest = line.trim_start_matches([' ', '\t', '>']);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let item = rest
            .strip_prefix(['-', '*', '+'])
            .or_else(|| rest.get(digits..).filter(|_| digits > 0)?.strip_prefix(['.', ')']));
        if let Some(item) = item {
            rest = item.trim_start_matches([' ', '\t', '>']);
        }
        let mark = rest.chars().next().filter(|it| matches!(it, '`' | '~'))?;
        let len = rest.chars().take_while(|it| *it == mark).count();
        let info = rest.get(len..)?;
        let is_fence = len >= 3 && !(mark == '`' && info.contains('`'));
        is_fence.then(|| Fence { mark, len, quoted: line.trim_start().starts_with('>') })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim_start_matches([' ', '\t', '>']).trim_end();
        line.len() >= self.len && line.chars().all(|it| it == self.mark)
    }
}

/// Runs of backticks of a text: which of them enclose code.
pub(super) struct Ticks {
    by_len: BTreeMap<usize, Vec<usize>>,
    /// Where paragraphs end, ascending.
    blanks: Vec<usize>,
}

impl Ticks {
    pub(super) fn of(text: &str) -> Ticks {
        let mut by_len: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut run = 0;
        for (at, byte) in text.bytes().chain([0]).enumerate() {
            if byte == b'`' {
                run += 1;
            } else if run > 0 {
                by_len.entry(run).or_default().push(at - run);
                run = 0;
            }
        }
        let mut blanks = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if line.trim().is_empty() {
                blanks.push(at);
            }
            at += line.len();
        }
        Ticks { by_len, blanks }
    }

    /// What follows the code that starts with the `own` backticks at `at`, or those backticks if they enclose nothing.
    pub(super) fn after_code(&self, at: usize, own: usize) -> usize {
        let paragraph_end = self.blanks.get(self.blanks.partition_point(|it| *it <= at)).copied().unwrap_or(usize::MAX);
        let close = self.by_len.get(&own).and_then(|starts| starts.get(starts.partition_point(|it| *it < at + own)));
        match close {
            Some(close) if *close < paragraph_end => close + own,
            _ => at + own,
        }
    }
}
