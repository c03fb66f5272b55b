//! HTML to Markdown: main content, hidden text, and hostile pages.

use super::*;

fn markdown(source: &str) -> String {
    read(source).unwrap().markdown
}

fn check(source: &str, expect: &str) {
    assert_eq!(markdown(source).trim_end_matches('\n'), expect, "{source}");
}

#[test]
fn blocks_are_converted() {
    check("<h1>A <em>b</em></h1><p>c\n  d</p>e", "# A *b*\n\nc d\n\ne");
    check("<p>a<p>b<br>c", "a\n\nb  \nc");
    check("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc");
    check("a<hr>b", "a\n\n---\n\nb");
    check("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "**a**\n\n- b\n\n**c**\n\n- d");
    check("<div><h2>A</h2><div>b</div></div>", "## A\n\nb");
    check("<ul><li><h3>A</h3>b</li></ul>", "- **A**\n\n  b");
}

#[test]
fn lists_nest() {
    check(
        "<p>x</p><ul><li>a<li>b<ol start=3><li>c</li><li>d</li></ol><li>e</ul>f",
        "x\n\n- a\n- b\n  3. c\n  4. d\n- e\n\nf",
    );
    check("<ol><li><p>a</p><p>b</p><pre>c\n  d</pre></li></ol>", "1. a\n\n   b\n\n   ```\n   c\n     d\n   ```");
    check("<ul><li></li><li>a</li></ul>", "- a");
}

#[test]
fn text_forms_are_converted() {
    check("a <b> b </b>c <i>d</i><code>e`f</code>", "a **b** c *d*``e`f``");
    check(
        "<a href='/x y'>a</a> <a href=\"javascript:b()\">b</a> <a href=/c><b>c</b></a> <a>d</a><a href=#>e</a>",
        "[a](</x y>) b [**c**](/c) de",
    );
    check("<p><strong>a<p>b</strong>c", "**a**\n\nbc");
    check("<img src=a alt='A cat'> <img src=b>", "A cat");
    check("a&nbsp;&lt;b&gt; *c* snake_case _d_ [e](f) #g", "a \\<b> \\*c\\* snake_case \\_d\\_ [e\\](f) #g");
    check("a&#8203;b", "ab");
}

#[test]
fn text_is_no_markup() {
    check(
        "<p># a</p><p>- b</p><p>1. c</p><p>> d</p><p>e<br>---</p><p>f<br>===</p><p>```</p><p>+ g</p>",
        "\\# a\n\n\\- b\n\n1\\. c\n\n\\> d\n\ne  \n\\---\n\nf  \n\\===\n\n\\`\\`\\`\n\n\\+ g",
    );
    check("<h2>C #</h2>x", "## C \\#\n\nx");
    check("&lt;script&gt; &amp;lt;", "\\<script> \\&lt;");
}

#[test]
fn code_is_kept() {
    check(
        "<pre><code class=\"language-rust\">fn a() {\n    <span>b</span>\n}\n</code></pre>",
        "```rust\nfn a() {\n    b\n}\n```",
    );
    check("<pre>```\na</pre>", "````\n```\na\n````");
    check(
        "<div class='highlight-python notranslate'><div class=highlight><pre><span></span>a &lt; b</pre></div></div>",
        "```python\na < b\n```",
    );
    check("<pre>a<br>b</pre>", "```\na\nb\n```");
    check("<pre class=\"language-`x\">a</pre>", "```\na\n```");
}

#[test]
fn tables_are_converted() {
    check(
        "<table><tr><th>a<th>b<tr><td>c|d<td><p>e</p><p>f</p></table>g",
        "| a | b |\n| --- | --- |\n| c\\|d | e f |\n\ng",
    );
    check("<table><tbody><tr><td>a<table><tr><td>b</table></table>", "| a b |\n| --- |");
    check("<table><tr><td>a<tr><td>b<td>c</table>", "| a |  |\n| --- | --- |\n| b | c |");
    check("<table></table>a", "a");
}

#[test]
fn only_the_content_is_read() {
    check("<nav>n</nav><main><h1>A</h1><aside>s</aside>b</main><footer>f</footer>", "# A\n\nb");
    check("<div>x</div><article>a</article><div>y</div><article>b</article>", "a\n\nb");
    check("<div role=main>a</div>b", "a");
    check(
        "<body><header>h</header>a<script>s</script><style>t</style><form>c<button>d</button><input value=e></form></body>",
        "a\n\nc",
    );
    check("<main><header><h1>A</h1></header>b</main>", "# A\n\nb");
    check("<main></main><p>a</p>", "a");
    check("", "");
}

#[test]
fn what_is_hidden_is_not_read() {
    for hidden in [
        "hidden",
        "aria-hidden=true",
        "aria-hidden=TRUE",
        "style='color:red; DISPLAY : none'",
        "style=\"visibility:hidden\"",
        "style='display&#58;none'",
    ] {
        check(&format!("a<div {hidden}>b<p>c</p></div><span {hidden}>d</span>e"), "ae");
    }
    check("a<!-- b --><template>c</template>d", "ad");
    let deep = format!("a{}<p hidden>b</p>", "<div>".repeat(300));
    check(&deep, "a");
}

#[test]
fn the_head_is_read() {
    let draft =
        read("<html lang=ja><head><title> A &amp; B </title><meta name=Description content='c  d'></head><body>e")
            .unwrap();
    assert_eq!(draft.title_fallback.as_deref(), Some("A & B"));
    assert_eq!(draft.description.as_deref(), Some("c d"));
    assert_eq!(draft.facets["lang"], ["ja"]);
}

#[test]
fn heading_ids_are_taken() {
    let check = |source: &str, expect: &[(usize, &str)]| {
        let ids: Vec<(usize, String)> = expect.iter().map(|(at, id)| (*at, (*id).to_owned())).collect();
        assert_eq!(read(source).unwrap().ids, ids, "{source}");
    };
    check("a<h2 id=x>A</h2>", &[(3, "x")]);
    check("<section id=y><h2>A<a class=headerlink href=#y>¶</a></h2></section>", &[(0, "y")]);
    check("<a name=z></a><h2>A</h2>", &[(0, "z")]);
    check("<section id=y>text<h2>A</h2></section>", &[]);
    assert_eq!(markdown("<h2>A<a href=#y>¶</a></h2>b"), "## A\n\nb\n");
}

#[test]
fn hostile_pages_end_soon() {
    let n = 30_000;
    let mut pages: Vec<String> = [
        "<div>",
        "<b>",
        "<ul><li>",
        "<blockquote>",
        "<p>",
        "<table><tr><td>",
        "<a href=x>",
        "<svg>",
        "</div>",
        "<!--",
        "<a b=",
        "&am",
        "<a",
        "<pre>",
        "<section id=x>",
        "<td>",
        "<li>",
        "<h1>",
        "<i><b>",
        "<div hidden>",
    ]
    .iter()
    .map(|it| it.repeat(n) + "x")
    .collect();
    pages.push(format!("<a {}>x", "b ".repeat(300_000)));
    pages.push((0..500).map(|it| format!("<font a={it}>")).collect::<String>() + &"<p>x".repeat(n));
    pages.push((0..n).map(|it| format!("&x{it};")).collect());
    for page in pages {
        let found = read(&page);
        assert!(found.is_ok_and(|it| it.markdown.len() < 8 * page.len()), "{page:.20}");
    }
}

/// Each line of code was given the prefixes of all open lists, and only then was it asked whether that is too much.
#[test]
fn prefixes_of_nested_lists_do_not_swell_a_page() {
    check("<ol start=18446744073709551615><li>a</ol>", "999999999. a");
    let mut writer = Writer::default();
    for _ in 0..16 {
        writer.indent("999999999. ", &" ".repeat(11), true);
    }
    writer.code("", &"x\n".repeat(400_000));
    assert!(writer.finish().0.len() < 2 * DOCUMENT_BYTES_MAX + 1_000);
}
