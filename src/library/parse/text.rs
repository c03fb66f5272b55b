//! Plain text: kept word for word; only a short first line is taken for a title.

use super::Draft;

/// A first line longer than this is prose, not a title.
const TITLE_CHARS_MAX: usize = 100;

pub(super) fn read(source: String) -> Draft {
    let title = source
        .lines()
        .map(str::trim)
        .find(|it| it.chars().any(char::is_alphanumeric))
        .filter(|it| it.chars().nth(TITLE_CHARS_MAX).is_none())
        .map(str::to_owned);
    Draft { markdown: source, title, ..Draft::default() }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_first_line_is_the_title_when_it_is_short() {
        let check = |source: &str, expect: Option<&str>| {
            let draft = read(source.to_owned());
            assert_eq!(draft.title.as_deref(), expect, "{source}");
            assert_eq!(draft.markdown, source);
        };
        check("\n\n  Read me \n=====\n# no heading\n", Some("Read me"));
        check("=====\nHello\n", Some("Hello"));
        check(&"long ".repeat(40), None);
        check("", None);
        check("\n \n---\n", None);
    }
}
