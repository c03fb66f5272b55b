//! Cutting by heading, cutting what is long, joining what is empty, and anchors.

use super::*;
use crate::base::bound::FENCE_BYTES_MAX;

/// Each section as `level #anchor trail: text`, one per line.
fn shown(body: &str, ids: &[(usize, String)]) -> Vec<String> {
    let outline = markdown(body, ids).unwrap();
    tiles(body, &outline.sections);
    outline
        .sections
        .iter()
        .map(|it| {
            format!(
                "{} #{} {}: {}",
                it.level,
                it.anchor,
                it.trail.join(" > "),
                body[it.range.clone()].trim().replace('\n', "|")
            )
        })
        .collect()
}

fn tiles(body: &str, sections: &[Section]) {
    let mut at = 0;
    for section in sections {
        assert_eq!(section.range.start, at);
        assert!(section.range.end > at || body.is_empty());
        assert!(body.is_char_boundary(section.range.end));
        at = section.range.end;
    }
    assert_eq!(at, body.len());
}

fn check(body: &str, expect: &[&str]) {
    assert_eq!(shown(body, &[]), expect, "{body}");
}

#[test]
fn headings_start_sections() {
    check("", &["0 # : "]);
    check("\n\n", &["0 # : "]);
    check("a", &["0 # : a"]);
    check("a\n# B\nb\n", &["0 # : a", "1 #b B: # B|b"]);
    check("B\n===\nb\n\nC\n---\nc", &["1 #b B: B|===|b", "2 #c B > C: C|---|c"]);
    check(
        "# A\na\n### B\nb\n## C\nc\n# D\nd",
        &["1 #a A: # A|a", "3 #b A > B: ### B|b", "2 #c A > C: ## C|c", "1 #d D: # D|d"],
    );
    check("###### A\na\n####### B\nb", &["6 #a A: ###### A|a|####### B|b"]);
}

#[test]
fn a_hash_in_code_html_or_quote_is_no_heading() {
    check("# A\n```\n# b\n```\n", &["1 #a A: # A|```|# b|```"]);
    check("# A\n~~~\n# b", &["1 #a A: # A|~~~|# b"]);
    check("# A\n\n    # b\n", &["1 #a A: # A||    # b"]);
    check("# A\n<div>\n# b\n</div>\n", &["1 #a A: # A|<div>|# b|</div>"]);
    check("# A\n> # b\n\n- # c\n", &["1 #a A: # A|> # b||- # c"]);
    check("# A\n#hashtag\n", &["1 #a A: # A|#hashtag"]);
}

#[test]
fn a_heading_without_body_joins_what_follows() {
    check("# A\n\n## B\nb\n", &["2 #b A > B: # A||## B|b"]);
    check("# A\na\n## B\n## C\nc\n", &["1 #a A: # A|a", "2 #c A > C: ## B|## C|c"]);
    check("# A\na\n## B\n", &["1 #a A: # A|a|## B"]);
    check("# A\n## B\n", &["1 #a A: # A|## B"]);
    check("# A\n\n```js\n\n```\n\n---\n\n# B\nb\n", &["1 #b B: # A||```js||```||---||# B|b"]);
    check("\n\n# A\na", &["1 #a A: # A|a"]);
    let outline = markdown("# A\n## B\nb\n", &[]).unwrap();
    assert_eq!(outline.anchors, BTreeMap::from([("a".to_owned(), 0), ("b".to_owned(), 4)]));
}

#[test]
fn anchors_are_githubs_and_unique() {
    check(
        "# A\na\n# A\na\n# A-1\na\n# A\na",
        &["1 #a A: # A|a", "1 #a-1 A: # A|a", "1 #a-1-1 A-1: # A-1|a", "1 #a-2 A: # A|a"],
    );
    check(
        "# `code` and *em* [link](x) & \"q\"!\na",
        &["1 #code-and-em-link--q code and em link & \"q\"!: # `code` and *em* [link](x) & \"q\"!|a"],
    );
    check("# 関所 が行く！\na", &["1 #関所-が行く 関所 が行く！: # 関所 が行く！|a"]);
    check("# A {#x_y}\na", &["1 #x_y A: # A {#x_y}|a"]);
    check("# A {x}\na", &["1 #a-x A {x}: # A {x}|a"]);
    check("# <a id=\"x\"></a>A\na", &["1 #x A: # <a id=\"x\"></a>A|a"]);
    check("# !\na", &["1 #section !: # !|a"]);
    check("#\na", &["0 # : #|a"]);
    let ids = [(0, "one".to_owned()), (6, "stray".to_owned()), (8, "two".to_owned())];
    assert_eq!(shown("# A\na\n\n\n# B\nb", &ids)[0], "1 #one A: # A|a");
}

#[test]
fn long_sections_are_cut_between_blocks() {
    let paragraph = format!("{}\n\n", "word ".repeat(200));
    let body = format!("# A\n\n{}", paragraph.repeat(30));
    let outline = markdown(&body, &[]).unwrap();
    tiles(&body, &outline.sections);
    assert_eq!(outline.sections.len(), 4);
    for section in &outline.sections {
        assert!(section.range.len() <= SECTION_BYTES_MAX && section.anchor == "a" && section.trail == ["A"]);
        assert!(body[section.range.clone()].ends_with("\n\n") || section.range.end == body.len());
    }
}

#[test]
fn code_stays_whole_until_it_is_data() {
    let check = |lines: usize, count: usize| {
        let body = format!("# A\ntext\n\n```js\n{}```\n\nafter\n", "let a = 1;\n".repeat(lines));
        let sections = markdown(&body, &[]).unwrap().sections;
        tiles(&body, &sections);
        assert_eq!(
            sections.len(),
            count,
            "{lines}: {:?}",
            sections.iter().map(|it| it.range.len()).collect::<Vec<_>>()
        );
        assert!(sections.iter().all(|it| it.range.len() <= FENCE_BYTES_MAX));
        assert!(sections.iter().all(|it| body[..it.range.end].ends_with('\n')));
    };
    check(10, 1);
    check(700, 1);
    check(2_000, 1);
    check(20_000, 4);
}

#[test]
fn lists_tables_and_long_lines_are_cut_too() {
    let check = |body: String, at_line: bool| {
        let sections = markdown(&body, &[]).unwrap().sections;
        tiles(&body, &sections);
        assert!(sections.iter().all(|it| it.range.len() <= SECTION_BYTES_MAX));
        if at_line {
            assert!(sections.iter().all(|it| body[..it.range.end].ends_with('\n')));
        }
    };
    check("- item of a list\n  - nested\n".repeat(2_000), true);
    check(format!("| a | b |\n| - | - |\n{}", "| cell | cell |\n".repeat(2_000)), true);
    check("one line after the other\n".repeat(2_000), true);
    check("関所を通る。".repeat(5_000), false);
    check("x".repeat(100_000), false);
}

#[test]
fn plain_text_has_no_headings() {
    let sections = plain("# a\n\nB\n===\n").unwrap().sections;
    assert_eq!(sections.len(), 1);
    assert_eq!((sections[0].level, sections[0].trail.len()), (0, 0));
    let body = "word word\n\n".repeat(2_000);
    let sections = plain(&body).unwrap().sections;
    tiles(&body, &sections);
    assert_eq!(sections.len(), 3);
}

#[test]
fn hostile_bodies_end_soon() {
    let check = |body: String, is_ok: bool| {
        let found = markdown(&body, &[]);
        assert_eq!(found.is_ok(), is_ok, "{body:.20}");
        if let Ok(outline) = found {
            tiles(&body, &outline.sections);
        }
    };
    let n = 100_000;
    check(">".repeat(n), false);
    check("> ".repeat(n) + "\na\n", false);
    check("- ".repeat(n), false);
    check("1. ".repeat(n), false);
    check("[".repeat(n), true);
    check("![".repeat(n), true);
    check("[a](".repeat(n), true);
    check("](".repeat(n), true);
    check("*".repeat(n), true);
    check("*a ".repeat(n), true);
    check("_a*".repeat(n), true);
    check("`a``".repeat(n / 2), true);
    check("<".repeat(n), true);
    check("<a ".repeat(n), true);
    check("<!--".repeat(n), true);
    check("[^a]: ".repeat(n), true);
    check("[a]: b\n".repeat(n), true);
    check("|".repeat(n) + "\n" + &"|-".repeat(n), true);
    check("a\n\n".repeat(n), true);
    check("> a\n".repeat(n), true);
    check("- a\n".repeat(n), true);
    check("> > > > > > > > > >\n".repeat(n), true);
    check("# a\n".repeat(DOCUMENT_SECTIONS_MAX), true);
    check("# a\n".repeat(DOCUMENT_SECTIONS_MAX + 1), false);
    check("# a\na\n".repeat(DOCUMENT_SECTIONS_MAX + 1), false);
    check("# ".to_owned() + &"a".repeat(1_000_000), true);
    check("&amp;".repeat(n), true);
    check("~".repeat(n), true);
    check((0..1_000).map(|n| format!("{}- a\n", "  ".repeat(n))).collect(), true);
}
