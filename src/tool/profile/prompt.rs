//! Prompts of a profile: a text from data, with passages that speak about what was asked.

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::find::Wanted;
use super::{Desk, input};
use crate::base::bound::profile as bound;
use crate::base::bound::{ARGUMENT_BYTES_MAX, QUERY_CHARS_MAX};
use crate::base::refusal::Refusal;
use crate::operation::{About, Block, Body, Content, Cx, Kind, Operation, Outcome, Output, Speaker};
use crate::profile::manifest::PromptEntry;
use crate::tool::search::heading;
use crate::tool::uri;

/// Passages that are given with a prompt; more is for the tools.
const PASSAGES: usize = 4;

#[derive(Debug)]
pub(super) struct Ask {
    about: About,
    desk: Desk,
    entry: PromptEntry,
}

impl Ask {
    pub(super) fn new(desk: &Desk, entry: &PromptEntry) -> Self {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut chars = 0;
        for argument in &entry.arguments {
            let mut schema = json!({"type": "string", "maxLength": argument.chars_max, "x-sekisho-field": "free_text", "description": argument.about});
            if argument.required {
                schema["minLength"] = json!(1);
                required.push(argument.name.as_str());
            }
            chars += argument.chars_max;
            properties.insert(argument.name.clone(), schema);
        }
        let name = desk.profile.named(&entry.name);
        let schema = input(properties, &required);
        let mut about = About::reading(Kind::Prompt, &name, &entry.title, &entry.about, schema);
        about.quotes = true;
        // A character of UTF-8 in JSON has at most four bytes, or six when it is escaped.
        about.argument_bytes_max = (ARGUMENT_BYTES_MAX + 6 * chars).min(bound::CONFIGURATION_ARGUMENT_BYTES_MAX);
        Self { about, desk: desk.clone(), entry: entry.clone() }
    }

    fn fill(&self, template: &str, arguments: &Value) -> String {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        // In one pass: what an argument says is never a placeholder.
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let argument = after.split_once('}').and_then(|(name, after)| {
                let known = self.entry.arguments.iter().any(|argument| argument.name == name);
                known.then_some((name, after))
            });
            if let Some((name, after)) = argument {
                filled.push_str(arguments.get(name).and_then(Value::as_str).unwrap_or_default());
                rest = after;
            } else {
                filled.push('{');
                rest = after;
            }
        }
        filled.push_str(rest);
        filled
    }
}

impl Operation for Ask {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let mut messages = vec![(Speaker::User, Block::Text(self.fill(&self.entry.text, &value)))];
            if let Some(search) = &self.entry.search {
                let text: String = self.fill(search, &value).chars().take(QUERY_CHARS_MAX).collect();
                let wanted = Wanted { text, pages: PASSAGES, ..Wanted::default() };
                for hit in self.desk.find(cx, &wanted).await?.hits {
                    let address = self.desk.address(hit.url.as_deref(), &hit.path).unwrap_or_else(|| hit.path.clone());
                    let text = format!("{}\n{address}\n\n{}", heading(&hit.title, &hit.trail), hit.snippet);
                    let uri = uri::of_document(&hit.library, &hit.path);
                    let content = Content { uri, media_type: "text/markdown".into(), body: Body::Text(text) };
                    messages.push((Speaker::User, Block::Embedded(content)));
                }
            }
            Ok(Outcome::Done(Output::Prompt { description: self.about.description.clone(), messages }))
        })
    }

    fn complete<'a>(
        &'a self,
        cx: &'a Cx,
        argument: &'a str,
        start: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Refusal>> {
        Box::pin(async move {
            let Some(known) = self.entry.arguments.iter().find(|known| known.name == argument) else {
                return Ok(Vec::new());
            };
            if known.modules {
                return self.desk.module_names(cx, start).await;
            }
            Ok(known.values.iter().filter(|value| value.starts_with(start)).cloned().collect())
        })
    }
}
