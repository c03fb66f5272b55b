//! MDX to Markdown: what goes, what stays, and that fences stay whole.

use super::*;

fn check(source: &str, expect: &str) {
    assert_eq!(strip(source).markdown, expect, "{source}");
}

#[test]
fn statements_go() {
    check("import A from 'a';\nimport {\n  B,\n} from 'b';\n\n# T\n", "# T\n");
    check("a\n\nexport const b = {\n  c: 1,\n};\n\nd\n", "a\n\nd\n");
    check("a\nimport b from 'b'\n", "a\nimport b from 'b'\n");
    check("```js\nimport A from 'a';\n```\n", "```js\nimport A from 'a';\n```\n");
    check("import your photos first.\n", "import your photos first.\n");
}

#[test]
fn tags_on_their_own_lines_go_and_their_text_stays() {
    check("<Intro>\n\na\n\n</Intro>\n\nb\n", "a\n\nb\n");
    check("a\n<Tabs>\n<Tab>\nb\n</Tab>\n</Tabs>\nc\n", "a\n\nb\n\nc\n");
    check("<A\n  b={{ c: 1 }}\n  d=\"e\"\n/>\n\nf\n", "f\n");
    check("<Sandpack>\n\n```js\n<A>\n```\n\n</Sandpack>\n", "```js\n<A>\n```\n\n");
    check(
        "<Step>\n    ## T\n\n    text\n    ```js\n      a\n    ```\n</Step>\n\nb\n",
        "## T\n\ntext\n```js\n  a\n```\n\nb\n",
    );
    check("- a\n\n  <Note>\n\n  b\n\n  </Note>\n", "- a\n\n  b\n\n");
}

#[test]
fn what_a_tag_shows_stays() {
    check("<Tab label=\"For iOS\">\n\na\n\n</Tab>\n", "**For iOS**\n\na\n\n");
    check("<Step label=\"1\">\na\n</Step>\n", "a\n\n");
    check("<BoxLink title=\"T\" href=\"/x\" description=\"d\" />\n", "**[T](/x)**: d\n");
    check("<Terminal cmd={['$ npm i a', '$ npm start']} />\n", "```sh\n$ npm i a\n$ npm start\n```\n");
    check("<Terminal cmd={[\"```\"]} />\n", "````sh\n```\n````\n");
}

#[test]
fn tags_in_lines_go_and_code_is_not_touched() {
    check("a <Kbd>b</Kbd> c<Br/>d\n", "a b cd\n");
    check("a `<Kbd>` and `` ` <B/> `` <C/>d\n", "a `<Kbd>` and `` ` <B/> `` d\n");
    check("a `b <C/>\n\nd ` e\n", "a `b \n\nd ` e\n".replace("b \n", "b\n").as_str());
    check(
        "\\<A/> <APPLE_TEAM_ID> <https://A.b> <div><B/></div>\n",
        "\\<A/> <APPLE_TEAM_ID> <https://A.b> <div></div>\n",
    );
    check("<!-- <A/> -->\n", "<!-- <A/> -->\n");
    check("a {/* hidden */}b\n\n{/*\n c \n*/}\n\nd\n", "a b\n\nd\n");
}

#[test]
fn a_comment_takes_its_fences_along() {
    check("a\n\n{/*\nb\n```js\nc\n```\n*/}\n\nd\n", "a\n\nd\n");
    check("{/* a\n\n```js\nb\n```\n", "{/* a\n\n```js\nb\n```\n");
    check("<Tabs>\n\na\n\n<TEAM_ID>\n", "a\n\n<TEAM_ID>\n");
}

#[test]
fn heading_ids_are_taken() {
    let plain = strip("<A/>\n\n## B {/*the-b*/}\n\n`{/*x*/}`\n\n## C {/*c*/}\n");
    assert_eq!(plain.markdown, "## B\n\n`{/*x*/}`\n\n## C\n");
    assert_eq!(plain.ids, [(0, "the-b".to_owned()), (17, "c".to_owned())]);
}

#[test]
fn markdown_is_told_from_mdx() {
    let check = |source: &str, is_mdx: bool| assert_eq!(strip(source).is_mdx, is_mdx, "{source}");
    check("# A\n\n<div>b</div>\n\n`<C/>`\n", false);
    check("a\n\n    <View />\n", false);
    check("a <View />\n", true);
    check("import a from 'a'\n", true);
    check("# A {/*a*/}\n", true);
    check("```\n<A/>\n```\n", false);
}

#[test]
fn hostile_sources_end_soon() {
    for unit in [
        "<A ",
        "<A a=\"",
        "<A b={",
        "<A>",
        "</A>",
        "{/*",
        "{/*\n",
        "`",
        "`` `",
        "import {\n\n",
        "export const a = {\n\n",
        "<A b='",
        "```\n",
        "<A>\n",
        "<A/>",
    ] {
        let source = unit.repeat(100_000);
        strip(&source);
    }
}

/// A tag of 16 KiB behind a million spaces became 8 GB, because each of its lines was given the spaces again.
#[test]
fn what_a_tag_shows_is_bounded_by_the_document() {
    let deep = format!("{}<Terminal cmd={{\"{}\"}} />\n", " ".repeat(10_000), "a\\n".repeat(150));
    assert!(strip(&deep).markdown.len() < deep.len(), "an indent that no prose has");
    let long = format!("<Terminal cmd={{\"{}\"}} />\n", "a\\n".repeat(JSX_SHOWN_LINES_MAX + 1));
    assert_eq!(strip(&long).markdown, "", "more lines than anybody types");
    let line = format!("{}<Terminal cmd={{\"{}\"}} />\n\n", " ".repeat(60), "\\n".repeat(150));
    let many = line.repeat(200);
    let shown = strip(&many).markdown.len();
    assert!((many.len()..4 * many.len()).contains(&shown), "{shown} of {}", many.len());
}
