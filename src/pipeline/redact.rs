//! Step 6: what may not leave stays here. Secrets masked, HTML made inert, control characters out, size bounded; and
//! what quotes documents is marked as content that nobody vouches for.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::ran::Ran;
use crate::base::secret::Secret;
use crate::config::Config;
use crate::config::mask::{Masker, NotSearchable};
use crate::config::raw::PersonalData;
use crate::guardrail::Guardrail;
use crate::operation::{Block, Body, Content, Kind, Marks, Output, Question};

/// A result that may be sent, once it is recorded.
pub struct Clean {
    pub(super) ran: Ran,
    pub(super) kind: Kind,
    pub(super) marks: Marks,
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

/// Cleans what goes out. Built once, shared by all calls.
#[derive(Debug)]
pub struct Redactor {
    masker: Masker,
    guardrail: Arc<Guardrail>,
    output_bytes_max: usize,
}

impl Redactor {
    pub fn new(config: &Config, guardrail: Arc<Guardrail>) -> Result<Self, NotSearchable> {
        let masker = Masker::of_results(config.redact.personal_data == PersonalData::Mask)?;
        Ok(Self { masker, guardrail, output_bytes_max: config.limits.output_bytes_max })
    }

    /// Cleans what came of a call that used the secrets `used`. Where it `quotes` documents, it is marked, and looked
    /// through for instructions that hide in it: those stay, because a text that is changed is no quotation.
    pub(super) fn redact(&self, (kind, mut ran): (Kind, Ran), quotes: bool, used: &[Secret]) -> Clean {
        let mut cleaning = self.cleaning(used, self.output_bytes_max);
        cleaning.flags = quotes.then(BTreeSet::new);
        match &mut ran {
            Ran::Done(output) => cleaning.output(output),
            Ran::Ask { questions, .. } => questions.iter_mut().for_each(|(_, question)| cleaning.question(question)),
            // A task's result is cleaned when it is there.
            Ran::Task(_) => {}
        }
        let marks = cleaning.marks();
        Clean { bytes: cleaning.sent, kind, ran, marks }
    }

    /// Cleans the result of a task, which comes after the reply, and marks it as `Redactor::redact` does.
    pub fn redact_late(&self, mut output: Output, quotes: bool, used: &[Secret]) -> (Output, Marks) {
        let mut cleaning = self.cleaning(used, self.output_bytes_max);
        cleaning.flags = quotes.then(BTreeSet::new);
        cleaning.output(&mut output);
        let marks = cleaning.marks();
        (output, marks)
    }

    /// Cleans a JSON value that goes to the caller while a call runs.
    pub fn redact_value(&self, value: &mut Value, used: &[Secret]) {
        self.cleaning(used, usize::MAX).value(value);
    }

    pub fn redact_question(&self, mut question: Question, used: &[Secret]) -> Question {
        self.cleaning(used, usize::MAX).question(&mut question);
        question
    }

    fn cleaning<'a>(&'a self, used: &'a [Secret], bytes: usize) -> Cleaning<'a> {
        Cleaning { redactor: self, used, flags: None, left: bytes, sent: 0 }
    }
}

/// One result on its way out.
struct Cleaning<'a> {
    redactor: &'a Redactor,
    used: &'a [Secret],
    /// Rules that found hidden instructions; `None` where nobody looks for them.
    flags: Option<BTreeSet<&'a str>>,
    /// Bytes that may still go out.
    left: usize,
    sent: usize,
}

/// What a number, a bool or null takes in the mean, with its comma.
const SCALAR_BYTES: usize = 5;
/// Our own names of members are no longer, and no secret has only small letters.
const PLAIN_NAME_BYTES_MAX: usize = 32;
const CUT_NOTICE: &str = "\n\n[Sekisho cut this here: the result is larger than limits.output_bytes_max]";

impl Cleaning<'_> {
    /// That it quotes, and what was found hidden in it.
    fn marks(&mut self) -> Marks {
        let found = self.flags.take();
        Marks { untrusted: found.is_some(), flags: found.unwrap_or_default().into_iter().map(str::to_owned).collect() }
    }

    fn output(&mut self, output: &mut Output) {
        match output {
            Output::Tool { blocks, structured, .. } => {
                let all = self.left;
                // The structured form first: it is what programs read, and the text repeats it.
                let mut flags = None;
                if let Some(structured) = structured {
                    self.value(structured);
                    self.left = self.left.max(CUT_NOTICE.len()).max(all - self.left);
                    flags = self.flags.take();
                }
                for block in blocks {
                    self.block(block);
                }
                self.flags = flags.or(self.flags.take());
            }
            Output::Contents(contents) => contents.iter_mut().for_each(|content| self.content(content)),
            Output::Prompt { description, messages } => {
                self.text(description);
                for (_, block) in messages {
                    self.block(block);
                }
            }
            Output::Completion { values, .. } => values.iter_mut().for_each(|value| self.text(value)),
            Output::Resources { items, .. } | Output::Templates { items } => {
                for item in items {
                    self.text(&mut item.name);
                    self.text(&mut item.title);
                    if let Some(description) = &mut item.description {
                        self.text(description);
                    }
                }
            }
            // The texts of the operations themselves are ours.
            Output::Operations { .. } | Output::Nothing => {}
        }
    }

    fn block(&mut self, block: &mut Block) {
        match block {
            Block::Text(text) => self.text(text),
            Block::Image { data, .. } | Block::Audio { data, .. } => self.blob(data),
            Block::Embedded(content) => self.content(content),
        }
    }

    /// HTML is made inert: whoever shows it would run it. Markdown and code stay as they are, `onPress=` is code.
    fn content(&mut self, content: &mut Content) {
        match &mut content.body {
            Body::Text(text) => {
                if is_html(&content.media_type) {
                    *text = ammonia::clean(text);
                }
                self.text(text);
            }
            Body::Blob(data) => self.blob(data),
        }
    }

    fn question(&mut self, question: &mut Question) {
        match question {
            Question::Form { message, schema } => {
                self.text(message);
                self.value(schema);
            }
            Question::Sample { prompt, .. } => self.text(prompt),
            // The address is ours.
            Question::Url { message, .. } => self.text(message),
            Question::Roots => {}
        }
    }

    fn value(&mut self, value: &mut Value) {
        // An explicit stack: a result's depth is not ours to trust.
        let mut stack = vec![value];
        while let Some(value) = stack.pop() {
            match value {
                Value::String(text) => self.text(text),
                Value::Array(items) => {
                    // Each has a byte and a comma at the least.
                    items.truncate(self.left / 2);
                    stack.extend(items.iter_mut().rev());
                }
                Value::Object(fields) => {
                    self.names(fields);
                    stack.extend(fields.values_mut().rev());
                }
                Value::Null | Value::Bool(_) | Value::Number(_) if self.left < SCALAR_BYTES => *value = Value::Null,
                Value::Null | Value::Bool(_) | Value::Number(_) => {
                    self.left -= SCALAR_BYTES;
                    self.sent += SCALAR_BYTES;
                }
            }
        }
    }

    /// Names of members may come from elsewhere, too. Two that are masked alike are one.
    fn names(&mut self, fields: &mut Map<String, Value>) {
        let is_plain = |name: &String| {
            name.len() <= PLAIN_NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let mut bytes = 0;
        if fields.keys().all(is_plain) && self.used.is_empty() {
            bytes = fields.keys().map(String::len).sum();
        } else {
            let before = std::mem::take(fields);
            for (mut name, value) in before {
                self.clean(&mut name);
                bytes += name.len();
                if bytes > self.left {
                    break;
                }
                fields.insert(name, value);
            }
        }
        self.left = self.left.saturating_sub(bytes);
        self.sent += bytes;
    }

    fn clean(&mut self, text: &mut String) {
        if let Some(flags) = &mut self.flags {
            flags.extend(self.redactor.guardrail.check_document(text));
        }
        // Controls first: one in the middle of a secret would hide it from the mask.
        if text.chars().any(is_unwanted) {
            text.retain(|char| !is_unwanted(char));
        }
        if let Cow::Owned(masked) = self.redactor.masker.masked_with(text, self.used) {
            *text = masked;
        }
    }

    fn text(&mut self, text: &mut String) {
        self.clean(text);
        if text.len() > self.left {
            let mut end = self.left;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            self.left = 0;
            self.sent += text.len();
            text.push_str(CUT_NOTICE);
            return;
        }
        self.left -= text.len();
        self.sent += text.len();
    }

    /// Half a picture is none.
    fn blob(&mut self, data: &mut String) {
        if data.len() > self.left {
            data.clear();
        }
        self.left -= data.len();
        self.sent += data.len();
    }
}

fn is_html(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml", "image/svg+xml"].iter().any(|html| kind.eq_ignore_ascii_case(html))
}

/// C0 and C1 controls but for tab, newline and carriage return: they have no place in documents, and
/// terminals obey them.
fn is_unwanted(char: char) -> bool {
    char.is_control() && !matches!(char, '\t' | '\n' | '\r')
}

#[cfg(test)]
#[path = "tests_redact.rs"]
mod tests;
