//! JSX tags and statements: where they begin and end.

use super::*;

#[test]
fn tags_are_read() {
    let check = |source: &str, expect: Option<(&str, Kind, usize)>| {
        let found = Tag::read(source).ok().map(|it| (it.name, it.kind, it.len));
        assert_eq!(found, expect, "{source}");
    };
    check("<Tab>x", Some(("Tab", Kind::Open, 5)));
    check("</Tab >x", Some(("Tab", Kind::Close, 7)));
    check("<Image src=\"a>b\" alt='c' />", Some(("Image", Kind::Alone, 27)));
    check("<A b={{ c: '}' }}\n  d>x", Some(("A", Kind::Open, 22)));
    check("<A b={<>Don't</>}>", Some(("A", Kind::Open, 18)));
    check("<A {...props}/>", Some(("A", Kind::Alone, 15)));
    check("<MD.p>", Some(("MD.p", Kind::Open, 6)));
    check("<>", Some(("", Kind::Open, 2)));
    check("</>", Some(("", Kind::Close, 3)));
    for not in [
        "<div>",
        "<https://a.b>",
        "<www.a.b>",
        "<A",
        "<A b=\"",
        "<A b={",
        "<A < B>",
        "< A>",
        "<A|B>",
        "<",
        "<Österreich>",
    ] {
        check(not, None);
    }
    let tag = Tag::read("<Tab label=\"iOS\" cmd={['a']} on />").unwrap();
    assert_eq!(tag.attribute("label"), Some("iOS"));
    assert_eq!(tag.attribute("cmd"), Some("['a']"));
    assert_eq!(tag.attribute("on"), Some(""));
}

#[test]
fn comments_are_read() {
    assert_eq!(comment("{/*id*/} x"), Ok((8, "id")));
    assert_eq!(comment("{/* a\n b */ }"), Ok((13, "a\n b")));
    assert!(comment("{/* a").is_err());
    assert!(comment("{/* a */ b}").is_err());
    assert!(comment("{a}").is_err());
}

#[test]
fn statements_end_where_javascript_says() {
    let check = |source: &str, rest: Option<&str>| {
        assert_eq!(statement(source).ok().map(|it| &source[it..]), rest, "{source}");
    };
    check("import A from 'a';\nB", Some("B"));
    check("import {\n  A,\n  B,\n} from '~/x';\n\nC", Some("\nC"));
    check("import 'a.css'\nB", Some("B"));
    check("import * as A from \"a\";", Some(""));
    check("import A, {\n  B } from 'a'\nC", Some("C"));
    check("export const meta = {\n  a: [1, '}'],\n};\nB", Some("B"));
    check("export default ({ children }) =>\n  <Layout>{children}</Layout>\n\nB", Some("\nB"));
    check("export * from './a'\n", Some(""));
    for prose in
        ["import your photos from the album", "important", "export the file", "import { a\n\nB", "imports", "import"]
    {
        check(prose, None);
    }
}

#[test]
fn strings_are_found() {
    assert_eq!(strings(r#"['$ a', "b \"c\"", `d`]"#), ["$ a", "b \"c\"", "d"]);
    assert!(strings("a + b").is_empty());
}
