//! DOCX (ECMA-376) to Markdown: headings, lists, tables, code and links; what is hidden or was deleted stays away.

use std::collections::HashMap;

use super::docx_part::{Parts, Style, links, numbering, styles, value, wrong};
use super::form::Inline;
use super::html_token::{Entities, Start, Token, Tokens};
use super::html_write::Writer;
use super::{Draft, ParseError, one_line};
use crate::base::bound::{DOCUMENT_BYTES_MAX, parse as bound};

pub(super) fn read(bytes: &[u8]) -> Result<Draft, ParseError> {
    let mut parts = Parts::open(bytes)?;
    let Some(body) = parts.text("word/document.xml")? else {
        return Err(wrong("an archive without word/document.xml".to_owned()));
    };
    let mut part = |name: &str| Ok::<_, ParseError>(parts.text(name)?.unwrap_or_default());
    let mut word = Word {
        styles: styles(&part("word/styles.xml")?),
        numbering: numbering(&part("word/numbering.xml")?),
        links: links(&part("word/_rels/document.xml.rels")?),
        ..Word::default()
    };
    let core = part("docProps/core.xml")?;
    let mut unclosed = 0_usize;
    for token in Tokens::of(&body) {
        match &token {
            Token::Start(start) if start.name == "w:p" && !start.is_alone => unclosed += 1,
            Token::End(name) if name == "w:p" => unclosed = unclosed.saturating_sub(1),
            _ => {}
        }
        match token {
            Token::Text(text) => word.text(text),
            Token::Start(start) => word.start(&start),
            Token::End(name) => word.end(&name),
        }
    }
    word.end_code();
    word.close_items(0);
    if word.writer.is_full() {
        return Err(ParseError::Swells { max: 2 * DOCUMENT_BYTES_MAX });
    }
    let (markdown, ids) = word.writer.finish();
    let macros = parts.has("word/vbaProject.bin").then(|| "it holds macros, which were not read".to_owned());
    let cut = (unclosed > 0).then(|| format!("{unclosed} of its paragraphs have no end: it was cut, or is broken"));
    let empty = markdown.trim().is_empty().then(|| "it holds no text that can be read".to_owned());
    Ok(Draft {
        markdown,
        ids,
        title: property(&core, "dc:title"),
        description: property(&core, "dc:description"),
        warnings: macros.into_iter().chain(cut).chain(empty).collect(),
        ..Draft::default()
    })
}

/// A property of the document, such as its title.
fn property(core: &str, name: &str) -> Option<String> {
    let mut tokens = Tokens::of(core);
    tokens.find(|token| matches!(token, Token::Start(start) if start.name == name && !start.is_alone))?;
    match tokens.next()? {
        Token::Text(text) => Some(one_line(&Entities::default().decode(text))).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// A paragraph whose text has not begun.
#[derive(Default)]
struct Paragraph {
    style: Style,
    number: Option<String>,
    level: usize,
    has_begun: bool,
}

/// The form of a run of text.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Run {
    is_strong: bool,
    is_emphasis: bool,
    is_code: bool,
    is_hidden: bool,
}

#[derive(Default)]
struct Word {
    writer: Writer,
    entities: Entities,
    styles: HashMap<String, Style>,
    numbering: HashMap<(String, usize), bool>,
    links: HashMap<String, String>,
    paragraph: Paragraph,
    run: Run,
    /// The form that is open in the writer, and how many of its runs.
    open: (Run, usize),
    has_link: bool,
    /// Inside of `w:t`.
    in_text: bool,
    /// Inside of the older form of something that was told already.
    fallbacks: usize,
    /// Paragraphs of code that follow each other.
    code: Option<String>,
    /// List items that are open: whether each has an indent in the writer.
    items: Vec<bool>,
    counts: HashMap<(String, usize), u64>,
    tables: usize,
    rows: Vec<Vec<String>>,
}

impl Word {
    fn start(&mut self, start: &Start<'_>) {
        if start.name == "mc:fallback" {
            self.fallbacks += usize::from(!start.is_alone);
        }
        if self.fallbacks > 0 {
            return;
        }
        let val = || value(start, "w:val").unwrap_or_default();
        let is_on = || !matches!(val().as_str(), "0" | "false" | "off" | "none");
        match start.name.as_str() {
            "w:p" => {
                self.paragraph = Paragraph::default();
                if start.is_alone {
                    self.end_code();
                }
            }
            "w:pstyle" => self.paragraph.style = self.styles.get(&val()).copied().unwrap_or_default(),
            "w:outlinelvl" if !self.paragraph.has_begun => {
                let level = val().parse().ok().filter(|level| *level < 6).map(|level: u8| level + 1);
                self.paragraph.style.heading = self.paragraph.style.heading.or(level);
            }
            // 0 takes a paragraph out of the list of its style.
            "w:numid" if val() == "0" => self.paragraph.style.list = None,
            "w:numid" => self.paragraph.number = Some(val()),
            "w:ilvl" => self.paragraph.level = val().parse().unwrap_or(0).min(bound::DOCX_LIST_LEVELS_MAX - 1),
            "w:r" => self.run = Run::default(),
            "w:b" => self.run.is_strong = is_on(),
            "w:i" => self.run.is_emphasis = is_on(),
            "w:vanish" | "w:webhidden" => self.run.is_hidden = is_on(),
            "w:rstyle" => self.run.is_code |= val().to_lowercase().contains("code"),
            "w:rfonts" => {
                let font = value(start, "w:ascii").unwrap_or_default().to_lowercase();
                self.run.is_code |= ["mono", "courier", "consolas", "menlo"].iter().any(|name| font.contains(name));
            }
            "w:hyperlink" => {
                self.begin();
                self.form(Run::default());
                let url = value(start, "r:id").and_then(|id| self.links.get(&id).cloned());
                let is_code = self.code.is_some();
                self.has_link = url.is_some_and(|url| !is_code && self.writer.open(Inline::Link(url)));
            }
            "w:t" => self.in_text = !start.is_alone,
            "w:tab" | "w:ptab" if self.paragraph.has_begun => self.words("\t"),
            "w:br" | "w:cr" => match &mut self.code {
                Some(code) => code.push('\n'),
                None if self.paragraph.has_begun => self.writer.line_break(),
                None => {}
            },
            "w:nobreakhyphen" => self.words("-"),
            "w:tbl" => {
                self.end_code();
                self.close_items(0);
                self.tables += 1;
            }
            "w:tr" if self.tables == 1 => self.rows.push(Vec::new()),
            "w:tc" if self.tables == 1 => {
                self.writer.open(Inline::Cell);
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if name == "mc:fallback" {
            self.fallbacks = self.fallbacks.saturating_sub(1);
            return;
        }
        if self.fallbacks > 0 {
            return;
        }
        match name {
            "w:t" => self.in_text = false,
            "w:hyperlink" => {
                self.form(Run::default());
                if std::mem::take(&mut self.has_link) {
                    self.writer.close();
                }
            }
            "w:p" => {
                self.form(Run::default());
                match &mut self.code {
                    Some(code) if self.paragraph.has_begun => code.push('\n'),
                    _ => self.writer.end_block(),
                }
                self.paragraph = Paragraph::default();
            }
            "w:tc" if self.tables == 1 => {
                self.end_code();
                if let (Some(cell), Some(row)) = (self.writer.close_cell(), self.rows.last_mut()) {
                    row.push(cell);
                }
            }
            "w:tbl" => {
                if self.tables == 1 {
                    self.writer.table(&std::mem::take(&mut self.rows));
                }
                self.tables = self.tables.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_text && self.fallbacks == 0 && !self.run.is_hidden {
            let text = self.entities.decode(text).into_owned();
            self.words(&text);
        }
    }

    fn words(&mut self, text: &str) {
        self.begin();
        if let Some(code) = &mut self.code {
            code.push_str(text);
        } else {
            self.form(self.run);
            self.writer.text(text);
        }
    }

    /// Opens the form of a run, unless it is open: Word cuts text into runs wherever it likes.
    fn form(&mut self, run: Run) {
        let (open, count) = self.open;
        if open == run {
            return;
        }
        for _ in 0..count {
            self.writer.close();
        }
        let forms = [(run.is_strong, Inline::Strong), (run.is_emphasis, Inline::Emphasis), (run.is_code, Inline::Code)];
        let is_heading = self.paragraph.style.heading.is_some();
        let wanted = forms.into_iter().filter(|(is_on, form)| *is_on && (!is_heading || *form == Inline::Code));
        let mut opened = 0;
        for (_, form) in wanted {
            opened += usize::from(self.writer.open(form));
        }
        self.open = (run, opened);
    }

    /// The first text of a paragraph: now all is known of it.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.paragraph.has_begun, true) {
            return;
        }
        let style = self.paragraph.style;
        if style.is_code && self.tables == 0 {
            self.close_items(0);
            self.code.get_or_insert_default();
            return;
        }
        self.end_code();
        if let Some(level) = style.heading {
            self.close_items(0);
            self.writer.start_heading(level, None);
            return;
        }
        let number = self.paragraph.number.take();
        let level = self.paragraph.level;
        let list = match (number, style.list) {
            (Some(number), list) => {
                let is_ordered = self.numbering.get(&(number.clone(), level)).copied();
                Some((number, is_ordered.unwrap_or(list.is_some_and(|(ordered, _)| ordered)), level))
            }
            (None, Some((is_ordered, level))) => Some((String::new(), is_ordered, level)),
            (None, None) => None,
        };
        if let Some((number, is_ordered, level)) = list.filter(|_| self.tables == 0) {
            self.item(number, is_ordered, level);
        } else {
            self.close_items(0);
            self.counts.clear();
        }
    }

    fn item(&mut self, number: String, is_ordered: bool, level: usize) {
        let is_first = self.items.is_empty();
        self.close_items(level);
        self.counts.retain(|(_, deeper), _| *deeper <= level);
        let count = self.counts.entry((number, level)).or_default();
        *count += 1;
        let marker = if is_ordered { format!("{count}. ") } else { "- ".to_owned() };
        let rest = " ".repeat(marker.len());
        self.items.push(self.writer.indent(&marker, &rest, is_first));
    }

    fn close_items(&mut self, level: usize) {
        while self.items.len() > level {
            if self.items.pop() == Some(true) {
                self.writer.outdent();
            }
        }
    }

    fn end_code(&mut self) {
        if let Some(code) = self.code.take() {
            self.writer.code("", &code);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn docx(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in parts {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn body(content: &str) -> String {
        let styles = r#"<w:styles><w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>
            <w:style w:styleId="C"><w:name w:val="Source Code"/></w:style></w:styles>"#;
        let numbering = r#"<w:numbering><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl>
            <w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum><w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num></w:numbering>"#;
        let rels = r#"<Relationships><Relationship Id="r1" Target="https://a.example/"/></Relationships>"#;
        let document = format!("<?xml version=\"1.0\"?><w:document><w:body>{content}</w:body></w:document>");
        let bytes = docx(&[
            ("word/document.xml", &document),
            ("word/styles.xml", styles),
            ("word/numbering.xml", numbering),
            ("word/_rels/document.xml.rels", rels),
        ]);
        read(&bytes).unwrap().markdown
    }

    fn paragraph(properties: &str, text: &str) -> String {
        format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    }

    #[test]
    fn headings_lists_and_code_keep_their_form() {
        let item = |level: u8, text: &str| {
            paragraph(&format!("<w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"5\"/></w:numPr>"), text)
        };
        let content = [
            paragraph("<w:pStyle w:val=\"H1\"/>", "Cameras &amp; co"),
            paragraph("", "One."),
            item(0, "a"),
            item(1, "b"),
            item(1, "c"),
            item(0, "d"),
            paragraph("<w:pStyle w:val=\"C\"/>", "let x = 1;"),
            paragraph("<w:pStyle w:val=\"C\"/>", "  x"),
            paragraph("", "End."),
        ];
        assert_eq!(
            body(&content.concat()),
            "# Cameras & co\n\nOne.\n\n- a\n  1. b\n  2. c\n- d\n\n```\nlet x = 1;\n  x\n```\n\nEnd.\n"
        );
    }

    #[test]
    fn runs_tables_and_links_are_read() {
        let content = "<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>Hel</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>lo</w:t></w:r>\
            <w:r><w:t xml:space=\"preserve\"> there, </w:t></w:r><w:hyperlink r:id=\"r1\"><w:r><w:t>link</w:t></w:r></w:hyperlink>\
            <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:delText>gone</w:delText></w:r></w:p>\
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a|b</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc></w:tr>\
            <w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>2</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
        assert_eq!(
            body(content),
            "**Hello** there, [link](https://a.example/)\n\n| a\\|b |  |\n| --- | --- |\n| 1 | 2 |\n"
        );
    }

    #[test]
    fn titles_come_from_the_properties_and_macros_are_told() {
        let core = "<cp:coreProperties><dc:title>The Camera</dc:title></cp:coreProperties>";
        let bytes =
            docx(&[("word/document.xml", "<w:document/>"), ("docProps/core.xml", core), ("word/vbaProject.bin", "x")]);
        let draft = read(&bytes).unwrap();
        assert_eq!(draft.title.as_deref(), Some("The Camera"));
        assert!(draft.warnings[0].contains("macros"));
    }

    #[test]
    fn a_body_without_text_or_without_ends_is_told() {
        let told = |body: &str| read(&docx(&[("word/document.xml", body)])).unwrap().warnings;
        assert_eq!(told("<w:document><w:body/></w:document>"), ["it holds no text that can be read"]);
        let broken = told(&"<w:p>".repeat(1000));
        assert!(broken.len() == 2 && broken[0].starts_with("1000 of its paragraphs have no end"), "{broken:?}");
        assert!(told("<w:p><w:r><w:t>tea</w:t></w:r></w:p>").is_empty());
    }

    #[test]
    fn what_is_no_docx_or_unpacks_to_a_bomb_is_refused() {
        assert!(matches!(read(b"no archive"), Err(ParseError::Form { .. })));
        assert!(matches!(read(&docx(&[("other.xml", "x")])), Err(ParseError::Form { .. })));
        let bomb = " ".repeat(bound::DOCX_PART_BYTES_MAX + 1);
        let error = read(&docx(&[("word/document.xml", &bomb)])).unwrap_err();
        assert!(error.to_string().contains("bomb"), "{error}");
        let mut bytes = docx(&[("word/document.xml", "<w:document/>")]);
        for at in 0..bytes.len() {
            bytes[at] ^= 0x55;
            drop(read(&bytes));
            bytes[at] ^= 0x55;
        }
    }

    #[test]
    fn tables_in_tables_of_any_depth_are_text_of_the_outer_cell() {
        let depth = 10_000;
        let content = format!(
            "{}deep{}",
            "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p>".repeat(depth),
            "</w:tc></w:tr></w:tbl>".repeat(depth)
        );
        assert!(body(&content).starts_with("| x x"));
    }
}
