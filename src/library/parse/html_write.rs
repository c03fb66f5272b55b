//! Writes Markdown block by block: escapes text, nests lists and quotes, keeps code apart.

use super::form::{Inline, escape_line_start, fence_for, formed, is_invisible, needs_escape, row};
use crate::base::bound::{DOCUMENT_BYTES_MAX, HTML_INDENT_LEVELS_MAX, TABLE_COLUMNS_MAX};

/// What the next block is separated by from the last.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gap {
    Line,
    Blank,
}

#[derive(Debug)]
struct Prefix {
    /// Before the first line of an item: its marker.
    first: Option<String>,
    rest: String,
}

#[derive(Debug)]
pub(super) struct Writer {
    out: String,
    ids: Vec<(usize, String)>,
    prefixes: Vec<Prefix>,
    runs: Vec<(Inline, String)>,
    heading: Option<(u8, Option<String>)>,
    gap: Gap,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer {
            out: String::new(),
            ids: Vec::new(),
            prefixes: Vec::new(),
            runs: vec![(Inline::Plain, String::new())],
            heading: None,
            gap: Gap::Blank,
        }
    }
}

impl Writer {
    /// The Markdown, and the ids of its headings by their offset.
    #[must_use]
    pub(super) fn finish(mut self) -> (String, Vec<(usize, String)>) {
        self.end_block();
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        (self.out, self.ids)
    }

    /// Whether so much was written that the page cannot be meant to be read; nothing is written any more.
    #[must_use]
    pub(super) fn is_full(&self) -> bool {
        self.out.len() > 2 * DOCUMENT_BYTES_MAX
    }

    /// Adds text of the page: white space folded, Markdown's own signs escaped.
    pub(super) fn text(&mut self, text: &str) {
        let is_code = self.runs.iter().any(|(it, _)| *it == Inline::Code);
        let mut last = self.last_char();
        let Some((_, run)) = self.runs.last_mut() else {
            return;
        };
        let mut chars = text.chars().filter(|it| !is_invisible(*it)).peekable();
        while let Some(c) = chars.next() {
            if c.is_whitespace() {
                if last.is_some_and(|it| !it.is_whitespace()) {
                    run.push(' ');
                    last = Some(' ');
                }
                continue;
            }
            if !is_code && needs_escape(last, c, chars.peek().copied()) {
                run.push('\\');
            }
            run.push(c);
            last = Some(c);
        }
    }

    fn last_char(&self) -> Option<char> {
        self.runs.iter().rev().find_map(|(_, text)| text.chars().next_back())
    }

    pub(super) fn line_break(&mut self) {
        let is_one_line =
            self.heading.is_some() || self.runs.iter().any(|(it, _)| matches!(it, Inline::Cell | Inline::Code));
        if let Some((_, run)) = self.runs.last_mut() {
            let kept = run.trim_end_matches(' ').len();
            run.truncate(kept);
            run.push_str(if is_one_line { " " } else { "  \n" });
        }
    }

    /// Opens a form; false when so many are open that the text will do without it.
    pub(super) fn open(&mut self, inline: Inline) -> bool {
        let is_deep = self.runs.len() > HTML_INDENT_LEVELS_MAX;
        let is_nested =
            self.runs.iter().any(|(it, _)| *it == Inline::Code || (*it == inline && inline != Inline::Cell));
        if is_deep || is_nested {
            return false;
        }
        self.runs.push((inline, String::new()));
        true
    }

    /// Closes the last form opened.
    pub(super) fn close(&mut self) {
        if self.runs.len() < 2 {
            return;
        }
        if let Some((inline, text)) = self.runs.pop() {
            let formed = formed(&inline, &text);
            self.push(&formed);
        }
    }

    fn push(&mut self, formed: &str) {
        let after_space = self.last_char().is_none_or(char::is_whitespace);
        if let Some((_, run)) = self.runs.last_mut() {
            run.push_str(if after_space { formed.trim_start_matches(' ') } else { formed });
        }
    }

    /// Ends a table cell and returns its text.
    pub(super) fn close_cell(&mut self) -> Option<String> {
        while self.runs.len() > 1 {
            let (inline, text) = self.runs.pop()?;
            if inline == Inline::Cell {
                return Some(text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"));
            }
            self.push(&formed(&inline, &text));
        }
        None
    }

    fn is_in_cell(&self) -> bool {
        self.runs.iter().any(|(it, _)| *it == Inline::Cell)
    }

    /// The next block is a heading. Within a list, quote or cell it is bold text, for there it is no place to cut.
    pub(super) fn start_heading(&mut self, level: u8, id: Option<String>) {
        self.end_block();
        if !self.is_in_cell() {
            self.heading = Some((level, id));
        }
    }

    /// Ends the paragraph or heading; forms still open go on in the next one.
    pub(super) fn end_block(&mut self) {
        if self.is_in_cell() {
            self.text(" ");
            return;
        }
        let mut text = String::new();
        for (inline, run) in self.runs.iter_mut().rev() {
            let inner = std::mem::replace(&mut text, std::mem::take(run));
            text.push_str(&inner);
            text = formed(inline, &text);
        }
        let text = text.trim();
        let heading = self.heading.take();
        if text.is_empty() {
            return;
        }
        match heading {
            Some((level, id)) if self.prefixes.is_empty() => {
                let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if line.ends_with('#') {
                    line.insert(line.len() - 1, '\\');
                }
                let at = self.begin();
                self.lines(&format!("{} {line}", "#".repeat(usize::from(level))));
                self.ids.extend(id.map(|id| (at, id)));
            }
            Some(_) => {
                self.begin();
                self.lines(&format!("**{}**", text.replace("**", "").replace('\n', " ")));
            }
            None => {
                let lines: Vec<String> = text.split('\n').map(|it| escape_line_start(it.trim_start())).collect();
                self.begin();
                self.lines(&lines.join("\n"));
            }
        }
    }

    /// A fence, longer than any inside.
    pub(super) fn code(&mut self, language: &str, code: &str) {
        if self.is_in_cell() {
            let code = formed(&Inline::Code, &code.split_whitespace().collect::<Vec<_>>().join(" "));
            self.push(&code);
            return;
        }
        self.end_block();
        let code = code.trim_end().trim_start_matches('\n');
        if code.is_empty() {
            return;
        }
        let fence = fence_for(code);
        self.begin();
        self.lines(&format!("{fence}{language}\n{code}\n{fence}"));
    }

    pub(super) fn rule(&mut self) {
        self.end_block();
        if !self.is_in_cell() {
            self.begin();
            self.lines("---");
        }
    }

    /// A GFM table; its first row is the head, for GFM knows no table without.
    pub(super) fn table(&mut self, rows: &[Vec<String>]) {
        self.end_block();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0).min(TABLE_COLUMNS_MAX);
        let Some((head, rest)) = rows.split_first().filter(|_| columns > 0) else {
            return;
        };
        let mut head = head.clone();
        head.resize(columns.max(head.len()), String::new());
        self.begin();
        self.lines(&row(&head));
        self.lines(&format!("|{}", " --- |".repeat(columns)));
        for cells in rest {
            self.lines(&row(cells));
        }
    }

    /// Opens a list item or quote; false when they are nested too deep to keep their form.
    pub(super) fn indent(&mut self, marker: &str, rest: &str, is_first: bool) -> bool {
        self.end_block();
        if self.is_in_cell() || self.prefixes.len() >= HTML_INDENT_LEVELS_MAX {
            return false;
        }
        if !is_first {
            self.gap = Gap::Line;
        }
        self.prefixes.push(Prefix { first: Some(marker.to_owned()), rest: rest.to_owned() });
        true
    }

    /// Ends a list item or quote that [`Writer::indent`] opened.
    pub(super) fn outdent(&mut self) {
        self.end_block();
        self.prefixes.pop();
        self.gap = Gap::Blank;
    }

    /// Separates the next block from the last and returns where it starts.
    fn begin(&mut self) -> usize {
        if !self.out.is_empty() {
            if self.gap == Gap::Blank {
                self.out.push('\n');
                // Only what is open and has begun goes on over the blank line.
                let blank: String =
                    self.prefixes.iter().take_while(|it| it.first.is_none()).map(|it| it.rest.as_str()).collect();
                self.out.push_str(blank.trim_end());
            }
            self.out.push('\n');
        }
        self.gap = Gap::Blank;
        self.out.len()
    }

    fn lines(&mut self, text: &str) {
        for line in text.split('\n') {
            // Asked for each line: a prefix may be a hundred times as long as what it stands before.
            if self.is_full() {
                return;
            }
            if !self.out.is_empty() && !self.out.ends_with('\n') {
                self.out.push('\n');
            }
            let start = self.out.len();
            for prefix in &mut self.prefixes {
                match prefix.first.take() {
                    Some(first) => self.out.push_str(&first),
                    None => self.out.push_str(&prefix.rest),
                }
            }
            if line.is_empty() {
                let kept = self.out.trim_end_matches(' ').len().max(start);
                self.out.truncate(kept);
            }
            self.out.push_str(line);
            // An empty line without prefix would be mistaken for no line at all.
            if line.is_empty() {
                self.out.push('\n');
            }
        }
    }
}
