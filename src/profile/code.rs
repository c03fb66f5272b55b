//! Code blocks of a Markdown text, with their language, file name and the heading above them.

use crate::base::bound::{HEADING_BYTES_MAX, profile::CODE_BLOCKS_MAX};

/// A fenced code block (`CommonMark` 0.31, section 4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeBlock {
    /// The first word after the fence, in lower case; may be empty.
    pub language: String,
    /// The file that the block is of, where the fence names one.
    pub file: Option<String>,
    /// Without the indentation of the fence.
    pub code: String,
    /// The heading above it, of at most [`HEADING_BYTES_MAX`] bytes; empty before the first.
    pub heading: String,
    /// Byte of the text at which the block begins.
    pub at: usize,
}

impl CodeBlock {
    /// Whether it can run by itself: it imports what it uses and exports something, or is a page of markup.
    pub fn is_whole(&self) -> bool {
        let begins = |word: &str| self.code.lines().any(|line| line.trim_start().starts_with(word));
        begins("import ") && begins("export ")
    }
}

/// The fenced blocks of `markdown` whose language `is_wanted`, in order; at most [`CODE_BLOCKS_MAX`] of them, because
/// each has a copy of the heading above it.
pub fn blocks(markdown: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<CodeBlock> {
    let is_kept = |block: &CodeBlock| is_wanted(&block.language) && !block.code.trim().is_empty();
    let mut found = Vec::new();
    let mut heading = String::new();
    let mut open: Option<(Fence, CodeBlock)> = None;
    let mut at = 0;
    for line in markdown.split_inclusive('\n') {
        let text = line.trim_end_matches(['\n', '\r']);
        match open.take() {
            Some((fence, block)) if fence.is_closed_by(text) => {
                found.extend(Some(block).filter(is_kept));
                if found.len() >= CODE_BLOCKS_MAX {
                    return found;
                }
            }
            Some((fence, mut block)) => {
                let indented = text.len() - text.trim_start_matches(' ').len();
                block.code.push_str(text.get(indented.min(fence.indent)..).unwrap_or_default());
                block.code.push('\n');
                open = Some((fence, block));
            }
            None => {
                if let Some((fence, info)) = Fence::open(text) {
                    let (language, file) = named(info);
                    let block = CodeBlock { language, file, code: String::new(), heading: heading.clone(), at };
                    open = Some((fence, block));
                } else if let Some(name) = heading_of(text) {
                    let cut = name.floor_char_boundary(HEADING_BYTES_MAX);
                    name.get(..cut).unwrap_or_default().clone_into(&mut heading);
                }
            }
        }
        at += line.len();
    }
    // A fence that is never closed goes to the end.
    found.extend(open.map(|(_, block)| block).filter(is_kept));
    found
}

/// The text of a heading with signs (`CommonMark` 0.31, section 4.2).
fn heading_of(line: &str) -> Option<&str> {
    let marks = line.bytes().take_while(|byte| *byte == b'#').count();
    let rest = line.get(marks..)?.strip_prefix(' ')?;
    (1..=6).contains(&marks).then(|| rest.trim().trim_end_matches('#').trim_end())
}

struct Fence {
    mark: char,
    length: usize,
    indent: usize,
}

impl Fence {
    fn open(line: &str) -> Option<(Self, &str)> {
        let rest = line.trim_start_matches(' ');
        let mark = rest.chars().next().filter(|char| matches!(char, '`' | '~'))?;
        let info = rest.trim_start_matches(mark);
        let length = rest.len() - info.len();
        let is_fence = length >= 3 && !(mark == '`' && info.contains('`'));
        is_fence.then(|| (Self { mark, length, indent: line.len() - rest.len() }, info.trim()))
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let rest = line.trim();
        rest.chars().all(|char| char == self.mark) && rest.len() >= self.length
    }
}

/// Language and file of a fence's text, such as `tsx app/index.tsx|collapseHeight=350`.
fn named(info: &str) -> (String, Option<String>) {
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_default().trim_matches(['{', '}', '.']).to_ascii_lowercase();
    let file = words.map(|word| word.split('|').next().unwrap_or_default()).find(|word| {
        word.rsplit_once('.').is_some_and(|(stem, ending)| {
            !stem.is_empty() && !ending.is_empty() && ending.chars().all(char::is_alphanumeric)
        })
    });
    (language, file.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_have_language_file_and_heading() {
        let text = "# A\n\n```js App.js|collapse\nimport a;\nexport b;\n```\n\n## Two ##\n\n- item\n\n  ~~~~ts\n  x\n    y\n  ~~~\n  ~~~~\n\n```\n```\n```tsx\nopen";
        let found = blocks(text, |_| true);
        let words: Vec<_> = found
            .iter()
            .map(|block| (block.language.as_str(), block.file.as_deref(), block.heading.as_str(), block.code.as_str()))
            .collect();
        assert_eq!(
            words,
            [
                ("js", Some("App.js"), "A", "import a;\nexport b;\n"),
                ("ts", None, "Two", "x\n  y\n~~~\n"),
                ("tsx", None, "Two", "open\n"),
            ]
        );
        assert!(found[0].is_whole() && !found[1].is_whole());
        assert!(text[found[1].at..].starts_with("  ~~~~ts"));
    }

    /// A heading of a megabyte over a hundred thousand blocks became 100 GB of headings.
    #[test]
    fn headings_are_cut_and_blocks_are_counted() {
        let text = format!(
            "# {}\n{}",
            "é".repeat(2 * HEADING_BYTES_MAX),
            "```js\nx\n```\n```ts\ny\n```\n".repeat(CODE_BLOCKS_MAX)
        );
        let found = blocks(&text, |language| language == "ts");
        assert_eq!(found.len(), CODE_BLOCKS_MAX);
        assert!(found.iter().all(|block| block.heading.len() <= HEADING_BYTES_MAX && block.language == "ts"));
        assert!(blocks(&text, |language| language == "rust").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(```|~~~|[a-z#` \\n]|é){0,60}") {
            for block in blocks(&text, |_| true) {
                prop_assert!(text.is_char_boundary(block.at));
            }
        }
    }
}
