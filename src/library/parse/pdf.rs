//! PDF to Markdown: the text of each page under a heading with its number. Nothing in a PDF is run.
#![allow(clippy::format_push_string, reason = "a line of a page at a time; what it costs is small beside reading it")]

use super::form::{escape_line_start, is_invisible, needs_escape};
use super::{Draft, ParseError, one_line};
use crate::base::bound::{DOCUMENT_BYTES_MAX, parse as bound};

pub(super) fn read(bytes: &[u8]) -> Result<Draft, ParseError> {
    let wrong = |found: String| ParseError::Form { expected: "a PDF with text in it", found };
    if !bytes.get(..1024.min(bytes.len())).unwrap_or_default().windows(5).any(|at| at == b"%PDF-") {
        return Err(wrong("a file that does not begin as one".to_owned()));
    }
    let pages = pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|error| wrong(error.to_string()))?;
    if pages.len() > bound::PDF_PAGES_MAX {
        return Err(wrong(format!("{} pages, more than {}", pages.len(), bound::PDF_PAGES_MAX)));
    }
    let mut out = String::new();
    let mut title = None;
    for (page, number) in pages.iter().zip(1..) {
        let text = paragraphs(page);
        if text.is_empty() {
            continue;
        }
        if title.is_none() {
            title = text.lines().map(one_line).find(|line| line.chars().filter(|c| c.is_alphabetic()).count() > 2);
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("## Page {number}\n\n{text}\n"));
        if out.len() > 2 * DOCUMENT_BYTES_MAX {
            return Err(ParseError::Swells { max: 2 * DOCUMENT_BYTES_MAX });
        }
    }
    if out.is_empty() {
        return Err(wrong(format!("{} pages without any; scanned pages are pictures", pages.len())));
    }
    let holds = |name: &[u8]| bytes.windows(name.len()).any(|at| at == name);
    let scripts =
        (holds(b"/JavaScript") || holds(b"/Launch")).then(|| "it holds scripts, which were not read".to_owned());
    Ok(Draft { markdown: out, title_fallback: title, warnings: scripts.into_iter().collect(), ..Draft::default() })
}

/// Lines that belong together, with Markdown's own signs escaped.
fn paragraphs(page: &str) -> String {
    let mut out = String::new();
    let mut is_new = true;
    for line in page.lines() {
        let mut line: Vec<&str> = line.split_whitespace().collect();
        // The dots that lead from a heading to its page.
        line.dedup_by(|one, other| one == other && *one == ".");
        if line.is_empty() {
            is_new = true;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if is_new { "\n\n" } else { "\n" });
        }
        is_new = false;
        out.push_str(&escape_line_start(&escaped(&line.join(" "))));
    }
    out
}

fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().filter(|c| !is_invisible(*c) && !c.is_control()).peekable();
    while let Some(c) = chars.next() {
        if needs_escape(out.chars().next_back(), c, chars.peek().copied()) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PDF of these lines, with its table of references made to measure.
    fn pdf(lines: &[&str], more: &str) -> Vec<u8> {
        let text: Vec<String> = lines.iter().map(|line| format!("({line}) Tj 0 -24 Td")).collect();
        let stream = format!("BT /F1 12 Tf 72 720 Td {} ET", text.join(" "));
        let objects = [
            format!("<< /Type /Catalog /Pages 2 0 R {more} >>"),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
            format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        ];
        let mut out = String::from("%PDF-1.4\n");
        let mut places = Vec::new();
        for (object, number) in objects.iter().zip(1..) {
            places.push(out.len());
            out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
        }
        let start = out.len();
        out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
        for place in places {
            out.push_str(&format!("{place:010} 00000 n \n"));
        }
        out.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1));
        out.into_bytes()
    }

    #[test]
    fn pages_become_sections() {
        let draft = read(&pdf(&["The Camera Book", "# takes *photos*"], "")).unwrap();
        assert!(draft.markdown.starts_with("## Page 1\n\nThe Camera Book"), "{}", draft.markdown);
        assert!(draft.markdown.contains("\\# takes \\*photos\\*"), "{}", draft.markdown);
        assert_eq!(draft.title_fallback.as_deref(), Some("The Camera Book"));
        assert!(draft.warnings.is_empty());
    }

    #[test]
    fn scripts_are_told_and_not_read() {
        let more = "/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>";
        let draft = read(&pdf(&["Text"], more)).unwrap();
        assert!(draft.warnings[0].contains("scripts"));
        assert!(!draft.markdown.contains("alert"), "{}", draft.markdown);
    }

    #[test]
    fn what_is_no_pdf_or_has_no_text_is_refused() {
        for wrong in [&b""[..], b"%PDF-1.4\n", b"text", &pdf(&[], "")] {
            assert!(matches!(read(wrong), Err(ParseError::Form { .. })));
        }
    }
}
