//! Properties of every format: nothing panics, and sections tile the text.

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_oneof, proptest};

use super::*;

const FORMATS: [Format; 6] =
    [Format::Markdown, Format::Mdx, Format::Html, Format::Text, Format::Restructured, Format::AsciiDoc];

fn tiles(parsed: &Parsed) {
    let mut at = 0;
    for section in &parsed.sections {
        assert_eq!(section.range.start, at);
        assert!(section.range.end > at || parsed.markdown.is_empty());
        assert!(parsed.markdown.is_char_boundary(section.range.end));
        assert_eq!(section.anchor.is_empty(), section.trail.is_empty());
        at = section.range.end;
    }
    assert_eq!(at, parsed.markdown.len());
    assert!(!parsed.title.trim().is_empty() && !parsed.title.contains('\n'));
}

#[test]
fn formats_are_known_by_extension() {
    let check = |path: &str, expect: Option<Format>| assert_eq!(Format::of_path(path), expect, "{path}");
    check("a/b.md", Some(Format::Markdown));
    check("A.MARKDOWN", Some(Format::Markdown));
    check("a.mdown", Some(Format::Markdown));
    check("a.mdx", Some(Format::Mdx));
    check("a.htm", Some(Format::Html));
    check("a.xhtml", Some(Format::Html));
    check("a.text", Some(Format::Text));
    check("a.rst", Some(Format::Restructured));
    check("a.b/c", None);
    check(".md", None);
    check("a.PDF", Some(Format::Pdf));
    check("a.docx", Some(Format::Docx));
    check("a.ipynb", Some(Format::Notebook));
    check("a.adoc", Some(Format::AsciiDoc));
    check("llms.txt", Some(Format::Markdown));
    check("docs/llms-full.txt", Some(Format::Markdown));
    check("openapi.yaml", Some(Format::OpenApi));
    check("zoo.openapi.json", Some(Format::OpenApi));
    check("my-swagger.yml", Some(Format::OpenApi));
    check("package.json", None);
    check("myopenapi.json", None);
    check("a.bin", None);
    check("", None);
    for format in FORMATS.into_iter().chain([Format::Notebook, Format::Pdf, Format::Docx, Format::OpenApi]) {
        assert_eq!(serde_json::to_value(format).unwrap(), format.name());
    }
}

#[test]
fn titles_are_found() {
    let check = |path: &str, source: &str, expect: &str| {
        let parsed = parse(path, Format::of_path(path).unwrap(), source.as_bytes()).unwrap();
        assert_eq!(parsed.title, expect, "{source}");
        tiles(&parsed);
    };
    check("a.md", "---\ntitle: F\n---\n# H\n", "F");
    check("a.md", "\u{FEFF}---\r\ntitle: F\r\n---\r\n# H\r\n", "F");
    check("a.md", "## X\n# H `c`\n", "H c");
    check("a.html", "<title>T</title><h1>H</h1>", "H");
    check("a.html", "<title>T</title>x", "T");
    check("a.txt", "Short\n\n# x\n", "Short");
    check("guides/getting-started.md", "x", "Getting started");
    check("guides/router/index.md", "x", "Router");
    check("README.md", "x", "README");
    check("_.md", "", "Untitled");
    check("a.md", "---\ntitle: \"\"\n---\n", "A");
}

#[test]
fn a_page_is_read_whole() {
    let source = "---\ntitle: Camera\ndescription: Takes photos\nplatforms: [\"android*\", ios]\n---\n\nimport { A } from 'a';\n\nIntro.\n\n## Usage {/*use*/}\n\n<Tab label=\"iOS\">\n\n```js\nimport x from 'x';\n```\n\n</Tab>\n";
    let parsed = parse("camera.md", Format::Markdown, source.as_bytes()).unwrap();
    assert_eq!(parsed.markdown, "Intro.\n\n## Usage\n\n**iOS**\n\n```js\nimport x from 'x';\n```\n\n");
    assert_eq!(parsed.description.as_deref(), Some("Takes photos"));
    assert_eq!(parsed.facets["platforms"], ["android*", "ios"]);
    assert_eq!(parsed.front_matter["title"], "Camera");
    assert_eq!(parsed.sections.len(), 2);
    assert_eq!(parsed.sections[1].anchor, "use");
    assert_eq!(parsed.anchors["use"], 8);
    assert!(parsed.warnings.is_empty());
}

#[test]
fn mdx_in_md_is_told_from_indented_code() {
    let check = |source: &str, expect: &str| {
        let parsed = parse("a.md", Format::Markdown, source.as_bytes()).unwrap();
        assert_eq!(parsed.markdown, expect, "{source}");
    };
    check("a\n\n    <View />\n", "a\n\n    <View />\n");
    check("1. a\n\n     <Tab>\n     b\n     </Tab>\n", "1. a\n\n     b\n\n");
}

#[test]
fn errors_name_the_way_out() {
    let check = |bytes: &[u8], expect: &str| {
        let error = parse("a.md", Format::Markdown, bytes).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check(b"a\0", "offset 1; leave binary files out");
    check(b"a\xFF", "invalid sequence at byte 1; save the file as UTF-8");
    check("> ".repeat(200).as_bytes(), "found 200 on line 1");
    check("# a\n".repeat(10_001).as_bytes(), "10000 sections");
}

/// Text made of the pieces that mean something to some format.
fn markup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "\n",
            "\n\n",
            "# ",
            "## ",
            "===\n",
            "---\n",
            "```",
            "~~~",
            "`",
            "``",
            "> ",
            "- ",
            "1. ",
            "    ",
            "*",
            "**",
            "_",
            "[",
            "](",
            ")",
            "<",
            ">",
            "</",
            "/>",
            "<Tab>",
            "</Tab>",
            "<A b={",
            "}",
            "{/*",
            "*/}",
            "import a from 'a'\n",
            "export const a = {\n",
            "<div>",
            "</div>",
            "<pre>",
            "</pre>",
            "<table>",
            "<tr>",
            "<td>",
            "</table>",
            "<li>",
            "<ul>",
            "</ul>",
            "<h1>",
            "</h1>",
            "<b>",
            "</b>",
            "<script>",
            "<main>",
            "</main>",
            "<p hidden>",
            "<br>",
            "&amp;",
            "&",
            "::\n\n",
            ".. note:: ",
            ".. code-block:: x\n",
            ".. _a:\n",
            ":a: b\n",
            "a_",
            "`a <b>`_",
            "+--+\n",
            "== ==\n",
            "|",
            "\\",
            "---\ntitle: a\n---\n",
            "+++\na = 1\n+++\n",
            "{#id}",
            "関所",
            "が",
            "😀",
            "word ",
            "a",
            "\u{A0}",
            "\t",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn any_text_is_tiled(source in markup()) {
        for format in FORMATS {
            if let Ok(parsed) = parse("a/b.c", format, source.as_bytes()) {
                tiles(&parsed);
            }
        }
    }

    #[test]
    fn any_long_text_is_tiled(source in markup(), times in 1_usize..400) {
        for format in FORMATS {
            if let Ok(parsed) = parse("a/b.c", format, source.repeat(times).as_bytes()) {
                tiles(&parsed);
            }
        }
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in FORMATS {
            if let Ok(parsed) = parse("", format, &bytes) {
                tiles(&parsed);
            }
        }
    }

    /// What HTML hides in text never becomes a heading.
    #[test]
    fn text_of_a_page_is_no_heading(text in "[#=>*+ a1.`~-]{0,12}(\n[#=>*+ a1.`~-]{0,12}){0,3}") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('\n', "<br>");
        let parsed = parse("a.html", Format::Html, format!("<p>{escaped}</p>").as_bytes()).unwrap();
        assert!(parsed.anchors.is_empty(), "{:?}", parsed.markdown);
    }
}
