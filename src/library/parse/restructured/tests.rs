//! reStructuredText to Markdown, one construct a case.

use super::*;
use crate::base::bound::parse::ABBREVIATED_BYTES_MAX;

fn check(source: &str, expect: &str) {
    assert_eq!(read(source).unwrap().markdown.trim_end_matches('\n'), expect, "{source}");
}

#[test]
fn titles_take_levels_by_appearance() {
    check(
        "=====\nTitle\n=====\n\nA\n===\n\na\n\nB\n---\n\nb\n\nC\n===\n",
        "# Title\n\n## A\n\na\n\n### B\n\nb\n\n## C",
    );
    check("Title\n~~~~~\na", "# Title\n\na");
    check("a\n\n----\n\nb", "a\n\n---\n\nb");
    let draft = read(".. _the-a:\n\nA\n=\n\nAA\n==\n\na").unwrap();
    assert_eq!(draft.ids, [(3, "the-a".to_owned())].map(|_| (draft.ids[0].0, "the-a".to_owned())));
}

#[test]
fn code_is_kept() {
    check(".. code-block:: python\n   :linenos:\n\n   a = 1\n     b\n\nc", "```python\na = 1\n  b\n```\n\nc");
    check("Look::\n\n  a\n\n  b\n\nc", "Look:\n\n```\na\n\nb\n```\n\nc");
    check("::\n\n  # a\n", "```\n# a\n```");
    check(">>> a\n1\n\nb", "```python\n>>> a\n1\n```\n\nb");
    check("+--+\n|a |\n+--+\n\nb", "```text\n+--+\n|a |\n+--+\n```\n\nb");
    check("== ==\na  b\n== ==\nc  d\n== ==\n\ne", "```text\n== ==\na  b\n== ==\nc  d\n== ==\n```\n\ne");
}

#[test]
fn directives_are_converted() {
    check(".. note:: Mind\n   the gap.\n\n   b\n\nc", "**Note**: Mind\n\nthe gap.\n\nb\n\nc");
    check(".. warning::\n\n   a\n\nb", "**Warning**\n\na\n\nb");
    check(".. unknown:: x\n   :opt: y\n\n   a\n\nb", "x\n\na\n\nb");
    check(".. a comment\n   goes on\n\nb", "b");
    check("..\n   a\n\nb", "b");
    check(".. toctree::\n   :maxdepth: 2\n\n   a\n\nb", "b");
    check(".. raw:: html\n\n   <b>\n\nb", "b");
    check(".. py:function:: f(x)\n\n   a", "`f(x)`\n\na");
    check(".. image:: a.png\n   :alt: A cat\n\nb", "A cat\n\nb");
}

#[test]
fn inline_markup_is_converted() {
    check(
        "a ``b`c`` *d* **e** `f <g>`_ `h`_ i_ :ref:`j <k>` :func:`~l.m` snake_case\n\n.. _h: u\n.. _i: v\n",
        "a ``b`c`` *d* **e** [f](g) [h](u) [i](v) j `m` snake_case",
    );
    check("`Read\nthe docs <https://a.b/c>`__ now", "[Read the docs](https://a.b/c) now");
    check("|x| y [1]_\n\n.. |x| replace:: Z\n", "Z y [1]");
    check("``unclosed `a", "``unclosed `a");
    check("# no heading\n\n> no quote", "\\# no heading\n\n\\> no quote");
}

#[test]
fn lists_and_definitions_are_converted() {
    check("- a\n  b\n- c\n\n  d\n\n  - e\n\nf", "- a\n  b\n\n- c\n\n  d\n\n  - e\n\nf");
    check("#. a\n#. b", "1. a\n\n1. b");
    check("term\n   meaning\n\nb", "**term**\n\nmeaning\n\nb");
    check("a\n\n   quoted\n\nb", "a\n\nquoted\n\nb");
}

#[test]
fn fields_at_the_top_are_facets() {
    let draft = read(":title: A\n:author: B C\n:orphan:\n\nX\n=\n\nc\n").unwrap();
    assert_eq!(draft.title.as_deref(), Some("A"));
    assert_eq!(draft.facets["author"], ["B C"]);
    assert_eq!(draft.facets["orphan"], ["true"]);
    assert!(!draft.markdown.contains("author"));
}

#[test]
fn hostile_sources_end_soon() {
    for unit in [
        "`",
        "``",
        "`a",
        ":a:`",
        ".. a::\n",
        "a\n b\n  c\n",
        "::\n\n a\n",
        "- ",
        "- a\n",
        "|a|",
        "a_",
        "=",
        "==\n",
        ".. ",
        "a::\n\n",
        " ",
        "\\ ",
        "== ==\n",
        "+-+\n",
    ] {
        let source = unit.repeat(200_000);
        assert!(read(&source).is_ok());
    }
}

#[test]
fn ever_deeper_bodies_end_soon() {
    let source: String = (0..3_000).map(|n| format!("{}.. note:: a\n\n", " ".repeat(n))).collect();
    assert!(read(&source).is_ok());
}

/// A URL of a megabyte was written out wherever its name stood.
#[test]
fn targets_add_little_to_a_document() {
    let long = format!(".. _a: {}\n\n{}\n", "u".repeat(10_000), "a_ ".repeat(1_000));
    assert!(read(&long).unwrap().markdown.len() < long.len());
    let many = format!(".. _a: {}\n\n{}\n", "u".repeat(2_000), "a_ ".repeat(10_000));
    let draft = read(&many).unwrap();
    assert!(draft.markdown.len() < many.len() + 2 * ABBREVIATED_BYTES_MAX, "{}", draft.markdown.len());
    assert!(draft.warnings.iter().any(|it| it.contains("names left in place")), "{:?}", draft.warnings);
}
