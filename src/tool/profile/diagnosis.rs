//! The tool that diagnoses an error message: known causes with what to do, and pages that speak of it.

use std::fmt::Write as _;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::find::Wanted;
use super::{Desk, Linked, fields, input};
use crate::base::bound::{QUERY_CHARS_MAX, profile as bound};
use crate::base::refusal::Refusal;
use crate::operation::{About, Cx, Operation, Outcome, Output};
use crate::profile::diagnosis::Fitting;
use crate::profile::manifest::ToolText;
use crate::tool::search::heading;
use crate::tool::{arguments, result_schema_of, to_json};

#[derive(Debug)]
pub(super) struct Diagnose {
    about: About,
    desk: Desk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    error_message: String,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    platform: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Answer {
    /// The likeliest first.
    causes: Vec<Cause>,
    /// Pages to read, the likeliest first.
    pages: Vec<Linked>,
    /// No cause is known for this message: the causes are passages that a search found.
    searched_only: bool,
}

#[derive(Serialize, JsonSchema)]
struct Cause {
    #[serde(rename = "cause")]
    what: String,
    /// From 0 to 1. A known message has at least 0.5, a passage that was found has less.
    confidence: f32,
    /// What of the message it was known by.
    matched: Option<String>,
    /// What to do, in order.
    solutions: Vec<String>,
    pages: Vec<Linked>,
}

impl Diagnose {
    pub(super) fn new(desk: &Desk, text: &ToolText) -> Option<Self> {
        let errors = desk.profile.errors.as_ref()?;
        let mut properties = fields(json!({
            "error_message": {"type": "string", "minLength": 1, "maxLength": bound::ERROR_MESSAGE_CHARS_MAX, "x-sekisho-field": "free_text", "description": "The message as it was printed, with the lines around it that matter."},
            "error_type": {"enum": errors.types, "description": "Where it came up, if that is known."},
        }));
        desk.with_platform(&mut properties, "The platform on which it came up.");
        let mut about = desk.about(text, input(properties, &["error_message"]), result_schema_of::<Answer>());
        about.argument_bytes_max = bound::MESSAGE_ARGUMENT_BYTES_MAX;
        Some(Self { about, desk: desk.clone() })
    }

    async fn diagnose(&self, cx: &Cx, asked: Arguments) -> Result<Answer, Refusal> {
        let Arguments { error_message, error_type, platform } = asked;
        let errors = self.desk.profile.errors.as_ref();
        let known = errors.map(|it| it.diagnose(&error_message, error_type.as_deref(), platform.as_deref()));
        let mut causes: Vec<Cause> = Vec::new();
        for fitting in known.unwrap_or_default().iter().take(bound::CAUSES_MAX) {
            causes.push(self.known(cx, fitting).await?);
        }
        let searched_only = causes.is_empty();
        // A filter by platform would hide pages about tools, which have none.
        let wanted = Wanted { text: telling(&error_message), pages: bound::PROFILE_PAGES_MAX, ..Wanted::default() };
        let hits = self.desk.find(cx, &wanted).await?.hits;
        let mut pages: Vec<Linked> = causes.iter().flat_map(|cause| cause.pages.iter().cloned()).collect();
        let best = hits.first().map_or(0.0, |hit| hit.score);
        for hit in hits {
            let linked = Linked { url: self.desk.address(hit.url.as_deref(), &hit.path), path: hit.path.clone() };
            if causes.len() < bound::CAUSES_MAX && searched_only {
                let share = if best > 0.0 { hit.score / best } else { 0.0 };
                causes.push(Cause {
                    what: format!("{} speaks of it: {}", heading(&hit.title, &hit.trail), hit.snippet),
                    confidence: 0.4 * share,
                    matched: None,
                    solutions: vec![format!("Read {}.", linked.url.as_deref().unwrap_or(&linked.path))],
                    pages: vec![linked.clone()],
                });
            }
            pages.push(linked);
        }
        let mut seen = std::collections::HashSet::new();
        pages.retain(|page| seen.insert(page.url.clone().unwrap_or_else(|| page.path.clone())));
        pages.truncate(bound::PROFILE_PAGES_MAX);
        Ok(Answer { causes, pages, searched_only })
    }

    async fn known(&self, cx: &Cx, fitting: &Fitting<'_>) -> Result<Cause, Refusal> {
        Ok(Cause {
            what: fitting.error.cause.clone(),
            confidence: fitting.confidence,
            matched: Some(fitting.matched.clone()),
            solutions: fitting.error.steps.clone(),
            pages: self.desk.linked(cx, &fitting.error.pages).await?,
        })
    }
}

/// What of a message is looked for: lines that say what is wrong, not where, within what a query may have. Lines of a
/// stack trace and paths of a machine find pages about other things.
fn telling(message: &str) -> String {
    let is_trace = |line: &str| {
        let line = line.trim_start();
        line.starts_with("at ") || line.starts_with("node_modules/") || (line.starts_with('#') && line.contains("0x"))
    };
    let mut told = String::new();
    for line in message.lines().filter(|line| !is_trace(line)) {
        for word in line.split_whitespace().filter(|word| word.matches('/').count() < 3) {
            told.push_str(word);
            told.push(' ');
        }
    }
    told.chars().take(QUERY_CHARS_MAX).collect::<String>().trim().to_owned()
}

impl Operation for Diagnose {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let answer = self.diagnose(cx, arguments(value)?).await?;
            let mut text = String::new();
            for (number, cause) in (1..).zip(&answer.causes) {
                writeln!(text, "{number}. {}", cause.what).unwrap_or_default();
                for step in &cause.solutions {
                    writeln!(text, "   - {step}").unwrap_or_default();
                }
            }
            text.push_str("Pages:\n");
            for page in &answer.pages {
                writeln!(text, "- {}", page.url.as_deref().unwrap_or(&page.path)).unwrap_or_default();
            }
            Ok(Outcome::Done(Output::structured(to_json(&answer)?, text)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_and_paths_are_not_looked_for() {
        let message =
            "Error: x failed in /home/me/app/src/a.js\n    at run (/a/b/c/d.js:1:2)\n  Try again\nnode_modules/a/b";
        assert_eq!(telling(message), "Error: x failed in Try again");
        assert!(telling(&"日本 ".repeat(400)).chars().count() <= QUERY_CHARS_MAX);
    }
}
