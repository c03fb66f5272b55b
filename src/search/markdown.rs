//! What of a passage's Markdown is prose, what is fenced code, and what is neither.

/// The two texts that are indexed apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Split {
    pub(super) prose: String,
    pub(super) code: String,
}

/// Splits a passage. Targets of links are left out of the prose: `/versions/latest/sdk/` in every second sentence
/// says nothing about it. Not a Markdown parser on purpose: a passage may begin or end in the middle of anything.
pub(super) fn split(text: &str) -> Split {
    let mut out = Split::default();
    let mut fence = None;
    for line in text.split_inclusive('\n') {
        let opening = opening(line);
        match (fence, opening) {
            (None, Some(mark)) => {
                fence = Some(mark);
                // The language and file name after the fence: people do search for `app.json`.
                out.code.push_str(line);
            }
            (Some(open), Some(mark)) if closes(open, mark, line) => fence = None,
            (Some(_), _) => out.code.push_str(line),
            (None, None) => push_prose(line, &mut out.prose),
        }
    }
    out
}

/// The fence that a line begins with: its character and length.
fn opening(line: &str) -> Option<(char, usize)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|it| matches!(it, '`' | '~'))?;
    let length = line.chars().take_while(|it| *it == mark).count();
    (length >= 3).then_some((mark, length))
}

fn closes(open: (char, usize), mark: (char, usize), line: &str) -> bool {
    mark.0 == open.0 && mark.1 >= open.1 && line.trim().chars().all(|it| it == open.0)
}

fn push_prose(line: &str, prose: &mut String) {
    let mut rest = line;
    while let Some((before, target)) = rest.split_once("](") {
        prose.push_str(before);
        prose.push(' ');
        rest = target.find(')').and_then(|end| target.get(end + 1..)).unwrap_or(target);
    }
    prose.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, prose: &str, code: &str) {
        assert_eq!(split(text), Split { prose: prose.to_owned(), code: code.to_owned() });
    }

    #[test]
    fn code_and_prose_are_kept_apart() {
        check("a\n```js x.js\nlet b;\n```\nc", "a\nc", "```js x.js\nlet b;\n");
        check("~~~\n```\n~~~~\nc", "c", "~~~\n```\n");
        check("```\nnever closed", "", "```\nnever closed");
        check("see [the page](/a/b) and `inline`", "see [the page  and `inline`", "");
        check("broken ](link", "broken  link", "");
        check("", "", "");
    }
}
