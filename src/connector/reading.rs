//! From a document's bytes to the tools of a connector, and what of its words looks like an attack on whoever reads
//! them.

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::Value;

use super::document;
use super::error::ConnectorError;
use super::pick::Picks;
use super::record::DocumentFacts;
use super::tool::{self, Import, Tool};
use crate::base::bound::connector as bound;
use crate::config::Inspect;
use crate::crypto::digest::sha256;
use crate::guardrail::Guardrail;
use crate::openapi::OpenApiError;
use crate::sandbox::Sandbox;

/// A text that looks like instructions to an agent, or hides something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The tool that an agent would read it with, or the connector for what belongs to no tool.
    pub name: String,
    /// In the tool's canonical form, or in the document.
    pub pointer: String,
    /// The rule's id.
    pub rule: String,
    /// The beginning of the text.
    pub text: String,
}

/// Looks at the words of documents, as at those of a library's. Its rules are compiled at the first use: most starts
/// see no new document.
#[derive(Debug)]
pub struct Words {
    inspect: Inspect,
    guardrail: OnceLock<Option<Guardrail>>,
}

impl Words {
    pub fn new(inspect: Inspect) -> Self {
        Self { inspect, guardrail: OnceLock::new() }
    }

    /// What was found in what an agent would read of these tools. Slow for thousands of them.
    pub fn of_tools(&self, tools: &[Tool]) -> Result<Vec<Finding>, ConnectorError> {
        let guardrail = self.guardrail()?;
        let mut found = Vec::new();
        for tool in tools {
            let canonical = serde_json::to_value(tool).unwrap_or_default();
            let mut of_tool = Vec::new();
            each_text(&canonical, &mut |pointer, text| {
                for rule in guardrail.check_document(text) {
                    let known =
                        of_tool.iter().any(|finding: &Finding| finding.text == short(text) && finding.rule == rule);
                    if of_tool.len() < bound::TOOL_FINDINGS_MAX && !known {
                        of_tool.push(Finding {
                            name: tool.name.clone(),
                            pointer: pointer.to_owned(),
                            rule: rule.to_owned(),
                            text: short(text),
                        });
                    }
                }
            });
            found.extend(of_tool);
        }
        Ok(found)
    }

    /// As [`Words::of_tools`], of what belongs to the document as a whole: `pointer rule`, to be kept.
    fn of_document(&self, import: &Import) -> Result<Vec<String>, ConnectorError> {
        let guardrail = self.guardrail()?;
        let title = ("/info/title".to_owned(), import.title.clone());
        let texts = import.hidden.iter().chain([&title]);
        let found = texts.flat_map(|(pointer, text)| {
            guardrail.check_document(text).into_iter().map(move |rule| format!("{pointer} {rule}"))
        });
        Ok(found.take(bound::DOCUMENT_FLAGS_MAX).collect())
    }

    fn guardrail(&self) -> Result<&Guardrail, ConnectorError> {
        let made = self.guardrail.get_or_init(|| Guardrail::new(&self.inspect).ok());
        made.as_ref().ok_or_else(|| ConnectorError::Worker("the rules for documents cannot be compiled".into()))
    }
}

/// What a document's flags say, as findings about the connector.
pub(super) fn of_flags(connector: &str, facts: &DocumentFacts) -> Vec<Finding> {
    let parts = facts.flags.iter().map(|flag| flag.rsplit_once(' ').unwrap_or(("", flag)));
    let finding = |(pointer, rule): (&str, &str)| Finding {
        name: connector.to_owned(),
        pointer: pointer.to_owned(),
        rule: rule.to_owned(),
        text: String::new(),
    };
    parts.map(finding).collect()
}

/// Findings are accepted by name, each tool's by its own: nobody should wave a hundred of them through.
pub(super) fn check_accepted(findings: &[Finding], accepted: &[String]) -> Result<(), ConnectorError> {
    let mut names: Vec<&str> = findings
        .iter()
        .map(|finding| finding.name.as_str())
        .filter(|name| !accepted.iter().any(|it| it == name))
        .collect();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(bound::FLAGGED_NAMES_MAX);
    names.truncate(bound::FLAGGED_NAMES_MAX);
    let list = names.join(", ");
    Err(ConnectorError::Flagged(if more > 0 { format!("{list} and {more} more") } else { list }))
}

/// Texts and names of fields, each with its JSON Pointer.
fn each_text(value: &Value, seen: &mut dyn FnMut(&str, &str)) {
    let mut queue = vec![(String::new(), value)];
    while let Some((pointer, value)) = queue.pop() {
        match value {
            Value::String(text) => seen(&pointer, text),
            Value::Array(items) => {
                queue.extend(items.iter().enumerate().map(|(n, item)| (format!("{pointer}/{n}"), item)));
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    seen(&pointer, name);
                    queue.push((pointer, value));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(bound::DIFF_VALUE_CHARS_MAX).collect()
}

/// How documents are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Where.
    pub sandbox: Arc<Sandbox>,
    /// What looks at their words.
    pub words: Arc<Words>,
}

/// What a document gives, what is known of it, and what was found in the words of its tools. It is read in a process of
/// its own, and looked at on a thread of its own: a large one takes seconds.
pub(super) async fn read(
    reading: &Reading,
    name: String,
    document: Vec<u8>,
    picks: Picks,
) -> Result<(Import, DocumentFacts, Vec<Finding>), ConnectorError> {
    let read = document::read(&reading.sandbox, &document).await?;
    let words = Arc::clone(&reading.words);
    let work = move || -> Result<(Import, DocumentFacts, Vec<Finding>), ConnectorError> {
        let mut import = tool::import(&name, read);
        import.tools = picks.of(import.tools)?;
        if import.tools.is_empty() {
            return Err(ConnectorError::NothingPicked);
        }
        let left_out = import.left_out.iter().filter(|it| it.operation).count();
        let (security, most) = (tool::canonical_of(&import.security), bound::SECURITY_BYTES_MAX);
        if security.len() > most {
            let what = "bytes of security schemes";
            return Err(OpenApiError::TooLarge { what, found: security.len(), most }.into());
        }
        let facts = DocumentFacts {
            title: import.title.clone(),
            version: import.version.clone(),
            bytes: document.len() as u64,
            sha256: sha256(&[&document]),
            operations: import.tools.len() as u64,
            left_out: left_out as u64,
            security,
            flags: words.of_document(&import)?,
        };
        let mut findings = of_flags(&name, &facts);
        findings.extend(words.of_tools(&import.tools)?);
        Ok((import, facts, findings))
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| ConnectorError::Worker(error.to_string()))?
}
