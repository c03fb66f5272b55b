//! Step 6: what may not leave stays here. Secrets masked, control characters out, size bounded.

use std::borrow::Cow;

use serde_json::Value;

use super::ran::Ran;
use crate::config::mask;
use crate::operation::{Block, Body, Content, Kind, Output, Question};

/// A result that may be sent, once it is recorded.
pub struct Clean {
    pub(super) ran: Ran,
    pub(super) kind: Kind,
    bytes: usize,
}

impl std::fmt::Debug for Clean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clean").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Clean {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

pub(super) fn redact((kind, mut ran): (Kind, Ran), output_bytes_max: usize) -> Clean {
    let mut left = Left { bytes: output_bytes_max, used: 0 };
    match &mut ran {
        Ran::Done(output) => clean_output(output, &mut left),
        Ran::Ask { questions, .. } => {
            for (_, question) in questions {
                clean_question(question, &mut left);
            }
        }
        // A task's result is cleaned when it is there.
        Ran::Task(_) => {}
    }
    Clean { bytes: left.used, kind, ran }
}

/// Cleans the result of a task, which comes after the reply.
pub fn redact_late(mut output: Output, output_bytes_max: usize) -> Output {
    clean_output(&mut output, &mut Left { bytes: output_bytes_max, used: 0 });
    output
}

/// Cleans a JSON value that goes to the caller while a call runs.
pub fn redact_value(value: &mut Value) {
    clean_value(value, &mut Left { bytes: usize::MAX, used: 0 });
}

pub fn redact_question(mut question: Question) -> Question {
    clean_question(&mut question, &mut Left { bytes: usize::MAX, used: 0 });
    question
}

/// How much may still go out.
struct Left {
    bytes: usize,
    used: usize,
}

const CUT_NOTICE: &str = "\n\n[Sekisho cut this here: the result is larger than limits.output_bytes_max]";

fn clean_output(output: &mut Output, left: &mut Left) {
    match output {
        Output::Tool { blocks, structured, .. } => {
            // The structured form first: it is what programs read, and the text repeats it.
            if let Some(structured) = structured {
                clean_value(structured, left);
                left.bytes = left.bytes.max(CUT_NOTICE.len());
            }
            let mut text_left = Left { bytes: left.bytes.max(left.used), used: 0 };
            for block in blocks {
                clean_block(block, &mut text_left);
            }
            left.used += text_left.used;
        }
        Output::Contents(contents) => contents.iter_mut().for_each(|content| clean_content(content, left)),
        Output::Prompt { description, messages } => {
            clean_text(description, left);
            for (_, block) in messages {
                clean_block(block, left);
            }
        }
        Output::Completion { values, .. } => values.iter_mut().for_each(|value| clean_text(value, left)),
        Output::Resources { items, .. } | Output::Templates { items } => {
            for item in items {
                clean_text(&mut item.name, left);
                clean_text(&mut item.title, left);
                if let Some(description) = &mut item.description {
                    clean_text(description, left);
                }
            }
        }
        // The texts of the operations themselves are ours.
        Output::Operations { .. } | Output::Nothing => {}
    }
}

fn clean_block(block: &mut Block, left: &mut Left) {
    match block {
        Block::Text(text) => clean_text(text, left),
        Block::Image { data, .. } | Block::Audio { data, .. } => bound_blob(data, left),
        Block::Embedded(content) => clean_content(content, left),
    }
}

fn clean_content(content: &mut Content, left: &mut Left) {
    match &mut content.body {
        Body::Text(text) => clean_text(text, left),
        Body::Blob(data) => bound_blob(data, left),
    }
}

fn clean_question(question: &mut Question, left: &mut Left) {
    match question {
        Question::Form { message, schema } => {
            clean_text(message, left);
            clean_value(schema, left);
        }
        Question::Sample { prompt, .. } => clean_text(prompt, left),
        Question::Roots => {}
    }
}

fn clean_value(value: &mut Value, left: &mut Left) {
    // An explicit stack: a result's depth is not ours to trust.
    let mut stack = vec![value];
    while let Some(value) = stack.pop() {
        match value {
            Value::String(text) => clean_text(text, left),
            Value::Array(items) => stack.extend(items.iter_mut().rev()),
            Value::Object(fields) => stack.extend(fields.values_mut().rev()),
            Value::Null | Value::Bool(_) | Value::Number(_) => left.used += 5,
        }
    }
}

fn clean_text(text: &mut String, left: &mut Left) {
    if let Cow::Owned(masked) = mask::masked(text) {
        *text = masked;
    }
    if text.chars().any(is_unwanted) {
        text.retain(|char| !is_unwanted(char));
    }
    if text.len() > left.bytes {
        let mut end = left.bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        left.bytes = 0;
        left.used += text.len();
        text.push_str(CUT_NOTICE);
        return;
    }
    left.bytes -= text.len();
    left.used += text.len();
}

/// Half a picture is none.
fn bound_blob(data: &mut String, left: &mut Left) {
    if data.len() > left.bytes {
        data.clear();
    }
    left.bytes -= data.len();
    left.used += data.len();
}

/// C0 and C1 controls but for tab, newline and carriage return: they have no place in documents, and
/// terminals obey them.
fn is_unwanted(char: char) -> bool {
    char.is_control() && !matches!(char, '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text_of(input: &str, bytes_max: usize) -> String {
        match redact_late(Output::text(input), bytes_max) {
            Output::Tool { blocks, .. } => match blocks.into_iter().next() {
                Some(Block::Text(text)) => text,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn controls_and_tokens_do_not_leave() {
        assert_eq!(text_of("a\u{1b}[31m\u{0}b\tc\nd\u{9b}", 100), "a[31mb\tc\nd");
        let token = format!("sks_{}", "0f".repeat(32));
        assert_eq!(text_of(&format!("x {token}"), 100), format!("x {}", mask::MASK));
        let mut value = json!({"a": [token, {"b": "\u{7}c"}]});
        redact_value(&mut value);
        assert_eq!(value, json!({"a": [mask::MASK, {"b": "c"}]}));
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_notice() {
        assert_eq!(text_of("ああ", 4), format!("あ{CUT_NOTICE}"));
        assert_eq!(text_of("ああ", 6), "ああ");
    }

    proptest! {
        #[test]
        fn no_text_escapes_the_rules(text: String, bytes_max in 0_usize..200) {
            let out = text_of(&text, bytes_max);
            prop_assert!(!out.chars().any(is_unwanted));
            prop_assert!(out.len() <= bytes_max + CUT_NOTICE.len());
        }
    }
}
