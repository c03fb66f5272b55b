//! Documents of foreign formats, read in a process of their own: the question, and the answer checked.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::parse::{self, Format, Page, Parsed};
use crate::base::bound;
use crate::sandbox::{Reply, SandboxError, Session};

/// The job that [`work`] does.
pub const JOB: &str = "document";

#[derive(Serialize, Deserialize)]
struct Question<'a> {
    path: Cow<'a, str>,
    format: Format,
}

/// A page without its text, which is a piece of the answer's bytes.
#[derive(Serialize, Deserialize)]
struct Crossed {
    suffix: String,
    markdown_bytes: usize,
    parsed: Parsed,
}

/// Reads a document; in the process that is confined.
pub fn work(question: &[u8], bytes: &[u8]) -> Result<Reply, String> {
    let Question { path, format } = serde_json::from_slice(question).map_err(|error| error.to_string())?;
    let pages = parse::pages(&path, format, bytes).map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    let mut crossed = Vec::with_capacity(pages.len());
    for Page { suffix, parsed } in pages {
        body.extend_from_slice(parsed.markdown.as_bytes());
        crossed.push(Crossed { suffix, markdown_bytes: parsed.markdown.len(), parsed });
    }
    let answer = serde_json::to_vec(&crossed).map_err(|error| error.to_string())?;
    Ok(Reply { answer, body })
}

/// Reads a document: in the confined process where its format is foreign, and here otherwise.
pub(super) fn read(
    session: &mut Session,
    runtime: &Handle,
    path: &str,
    format: Format,
    bytes: &[u8],
) -> Result<Vec<Page>, String> {
    if !format.is_foreign() {
        return parse::pages(path, format, bytes).map_err(|error| error.to_string());
    }
    let question = Question { path: path.into(), format };
    let reply = runtime.block_on(session.ask(JOB, &question, bytes));
    received(reply.map_err(|error: SandboxError| error.to_string())?)
}

/// What another process says is checked as if a stranger had said it.
fn received(reply: Reply) -> Result<Vec<Page>, String> {
    let wrong = || "its reader gave no document; tell us about this file".to_owned();
    let crossed: Vec<Crossed> = serde_json::from_slice(&reply.answer).map_err(|_| wrong())?;
    let mut text = String::from_utf8(reply.body).map_err(|_| wrong())?;
    if crossed.is_empty() || crossed.len() > bound::connector::OPENAPI_OPERATIONS_MAX + 1 {
        return Err(wrong());
    }
    let mut pages = Vec::with_capacity(crossed.len());
    for Crossed { suffix, markdown_bytes, mut parsed } in crossed {
        if !text.is_char_boundary(markdown_bytes) {
            return Err(wrong());
        }
        let rest = text.split_off(markdown_bytes);
        parsed.markdown = std::mem::replace(&mut text, rest);
        let is_name = suffix.is_empty() == pages.is_empty()
            && suffix.len() <= bound::DOCUMENT_PATH_BYTES_MAX
            && !suffix.contains("..")
            && !suffix.contains(char::is_control);
        if !is_name || !parsed.is_sound() {
            return Err(wrong());
        }
        pages.push(Page { suffix, parsed });
    }
    if text.is_empty() { Ok(pages) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Reply {
        let question = serde_json::to_vec(&Question { path: "a.md".into(), format: Format::Markdown }).unwrap();
        work(&question, "---\ntags: [x]\n---\n# Äpfel\n\ntext\n\n## More\n\nß\n".as_bytes()).unwrap()
    }

    #[test]
    fn a_document_crosses_whole() {
        let pages = received(reply()).unwrap();
        let here =
            parse::pages("a.md", Format::Markdown, "---\ntags: [x]\n---\n# Äpfel\n\ntext\n\n## More\n\nß\n".as_bytes());
        assert_eq!(pages, here.unwrap());
    }

    #[test]
    fn an_answer_that_would_cut_text_in_the_wrong_place_is_refused() {
        let with = |from: &str, to: &str| {
            let Reply { answer, body } = reply();
            let text = String::from_utf8(answer).unwrap();
            assert!(text.contains(from), "{text}");
            received(Reply { answer: text.replace(from, to).into_bytes(), body })
        };
        with("\"start\":0", "\"start\":3").unwrap_err();
        with("\"title\":\"Äpfel\"", "\"title\":\"\\u001b\"").unwrap_err();
        with("\"suffix\":\"\"", "\"suffix\":\"/../x\"").unwrap_err();
        with("\"markdown_bytes\":", "\"markdown_bytes\":1").unwrap_err();
        received(Reply { answer: b"[]".to_vec(), body: Vec::new() }).unwrap_err();
        received(Reply { answer: b"no".to_vec(), body: Vec::new() }).unwrap_err();
        let Reply { answer, .. } = reply();
        received(Reply { answer, body: vec![0xff; 40] }).unwrap_err();
    }
}
