//! Jupyter notebooks (nbformat 4) to Markdown: text cells as they are, code cells in fences, and the text they printed.

use serde_json::{Map, Value};

use super::form::fence_for;
use super::{Draft, ParseError, front, one_line};
use crate::base::bound::{DOCUMENT_BYTES_MAX, parse as bound};

pub(super) fn read(source: &str) -> Result<Draft, ParseError> {
    let wrong = |found: String| ParseError::Form { expected: "a Jupyter notebook in JSON (nbformat 4)", found };
    let notebook: Value = serde_json::from_str(source).map_err(|error| wrong(error.to_string()))?;
    let Some(cells) = notebook["cells"].as_array() else {
        return Err(wrong(format!("nbformat {} without cells; save it with a newer Jupyter", notebook["nbformat"])));
    };
    let metadata = &notebook["metadata"];
    let language = [&metadata["language_info"]["name"], &metadata["kernelspec"]["language"]];
    let language = language.into_iter().find_map(Value::as_str).map(one_line).unwrap_or_default();
    let is_name = language.len() <= 32 && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+');
    let language = if is_name { language.as_str() } else { "" };
    let mut out = String::new();
    for cell in cells {
        let text = joined(&cell["source"]);
        match cell["cell_type"].as_str() {
            Some("markdown") => block(&mut out, text.trim_end()),
            Some("code") => {
                fence(&mut out, language, &text);
                for output in cell["outputs"].as_array().into_iter().flatten() {
                    let printed = match output["output_type"].as_str() {
                        Some("stream") => joined(&output["text"]),
                        Some("execute_result" | "display_data") => joined(&output["data"]["text/plain"]),
                        _ => String::new(),
                    };
                    fence(&mut out, "text", &beginning(&printed));
                }
            }
            // Raw cells are for converters.
            _ => {}
        }
        if out.len() > 2 * DOCUMENT_BYTES_MAX {
            return Err(ParseError::Swells { max: 2 * DOCUMENT_BYTES_MAX });
        }
    }
    let mut values = Map::new();
    if !language.is_empty() {
        values.insert("language".to_owned(), language.into());
    }
    Ok(Draft {
        title: metadata["title"].as_str().map(one_line),
        facets: front::facets(&values),
        front_matter: values,
        markdown: out,
        ..Draft::default()
    })
}

/// A text that is written as one string or as a list of lines.
fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace("\r\n", "\n"),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

/// Its first lines: what was printed can be a log.
fn beginning(printed: &str) -> String {
    let kept: Vec<&str> = printed.lines().take(bound::NOTEBOOK_OUTPUT_LINES_MAX).collect();
    let text = kept.join("\n");
    let end = text.floor_char_boundary(bound::NOTEBOOK_OUTPUT_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

fn block(out: &mut String, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(text);
    out.push('\n');
}

fn fence(out: &mut String, language: &str, code: &str) {
    let code = code.trim_end();
    if code.trim().is_empty() {
        return;
    }
    let fence = fence_for(code);
    block(out, &format!("{fence}{language}\n{code}\n{fence}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_text_and_fences() {
        let notebook = serde_json::json!({
            "nbformat": 4,
            "metadata": {"language_info": {"name": "python"}},
            "cells": [
                {"cell_type": "markdown", "source": ["# Cameras\n", "\n", "Text."]},
                {"cell_type": "code", "source": "print('```')", "outputs": [
                    {"output_type": "stream", "text": ["```\n"]},
                    {"output_type": "display_data", "data": {"image/png": "AAAA"}},
                ]},
                {"cell_type": "raw", "source": "raw"},
                {"cell_type": "code", "source": [], "outputs": []},
            ],
        });
        let draft = read(&notebook.to_string()).unwrap();
        assert_eq!(draft.markdown, "# Cameras\n\nText.\n\n````python\nprint('```')\n````\n\n````text\n```\n````\n");
        assert_eq!(draft.facets["language"], ["python"]);
    }

    #[test]
    fn long_output_is_cut_and_what_is_no_notebook_is_refused() {
        let long = "line\n".repeat(10_000);
        let notebook = serde_json::json!({"nbformat": 4, "cells": [
            {"cell_type": "code", "source": "x", "outputs": [{"output_type": "stream", "text": long}]},
        ]});
        assert!(read(&notebook.to_string()).unwrap().markdown.lines().count() < 100);
        for wrong in ["", "{", "[]", "{\"nbformat\": 3, \"worksheets\": []}", &"[".repeat(100_000)] {
            assert!(matches!(read(wrong), Err(ParseError::Form { .. })));
        }
    }
}
