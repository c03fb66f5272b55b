//! `AsciiDoc` to Markdown: blocks, lists, tables, code, and any lines at all.

use proptest::proptest;

use super::*;
use crate::base::bound::HEADING_BYTES_MAX;
use crate::base::bound::parse::ABBREVIATED_BYTES_MAX;

fn check(source: &str, expect: &str) {
    assert_eq!(read(source).unwrap().markdown.trim_end(), expect, "{source}");
}

#[test]
fn headings_and_paragraphs_are_converted() {
    let draft = read("// c\n= The *Camera*\nAn Author <a@example.com>\nv1.0\n:toc:\n:name: World\n:description: Takes photos\n:page-platforms: ios, android\n\nHello {name}.\n\n[#use]\n== Usage\n\n=== Deep\ntext +\nmore\n").unwrap();
    assert_eq!(draft.markdown, "# The **Camera**\n\nHello World.\n\n## Usage\n\n### Deep\n\ntext\nmore\n");
    assert_eq!(draft.ids, [(32, "use".to_owned())]);
    assert_eq!(draft.description.as_deref(), Some("Takes photos"));
    assert_eq!(draft.facets["platforms"], ["ios", "android"]);
}

#[test]
fn code_is_kept_and_comments_go() {
    check(
        "[source,rust]\n----\nfn main() {} // <1>\n----\n<1> The start.",
        "```rust\nfn main() {} // <1>\n```\n\n1. The start.",
    );
    check(
        "....\nliteral *x*\n....\n\n////\nnot\n////\n\n// nor\n indented",
        "```\nliteral *x*\n```\n\n```\n indented\n```",
    );
    check("```js\nlet a\n```", "```js\nlet a\n```");
    check("----\nopen", "```\nopen\n```");
}

#[test]
fn lists_and_tables_are_converted() {
    check("* a\nb\n** c\n* d\n\n. one\n. two", "- a b\n   - c\n- d\n\n1. one\n1. two");
    check("CPU:: The brain\nof it.\nRAM::\n  Memory", "**CPU**\n\nThe brain\nof it.\nRAM::\nMemory");
    check(
        "[cols=\"1,1\"]\n|===\n|A |B\n\n|1\n|2 \\| 3\na|*x*\n2+|y\n|===",
        "| A | B |\n| --- | --- |\n| 1 | 2 \\| 3 |\n| **x** | y |",
    );
    check("|===\n|===", "");
}

#[test]
fn admonitions_are_labelled_and_includes_are_told() {
    check(
        "NOTE: Mind *this*.\n\n[WARNING]\n====\nHot.\n====\n\n[TIP]\nOne.",
        "**Note:** Mind **this**.\n\n**Warning:**\n\nHot.\n\n**Tip:** One.",
    );
    let draft = read("include::/etc/passwd[]\n\nimage::a.png[A cat]\n\nifdef::x[]\nkept\nendif::[]\n").unwrap();
    assert_eq!(draft.markdown, "A cat\n\nkept\n");
    assert!(draft.warnings[0].contains("not followed"));
}

proptest! {
    #[test]
    fn any_lines_end(source in "[a-z=*.:|\\[\\]{}<>+/`_ \\n-]{0,300}") {
        drop(read(&source));
    }
}

/// A megabyte under the name `description` was written out wherever the name stood.
#[test]
fn attributes_add_little_to_a_document() {
    let long = format!(":description: {}\n\n{}\n", "d".repeat(10_000), "{description} ".repeat(1_000));
    let draft = read(&long).unwrap();
    assert!(draft.markdown.len() < long.len() && draft.markdown.contains("{description}"));
    assert!((1..=HEADING_BYTES_MAX).contains(&draft.description.unwrap().len()));
    let many = format!(":a: {}\n\n|===\n{}\n|===\n", "a".repeat(120), "|{a}{a}{a}{a}\n".repeat(15_000));
    let draft = read(&many).unwrap();
    assert!(draft.markdown.len() < many.len() + 2 * ABBREVIATED_BYTES_MAX, "{}", draft.markdown.len());
    assert!(draft.warnings.iter().any(|it| it.contains("names left in place")), "{:?}", draft.warnings);
}
