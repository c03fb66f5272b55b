//! The tool that makes a configuration file from a template, or checks one that is given.

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Desk, Linked, fields, input};
use crate::base::bound::profile as bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Cx, Operation, Outcome, Output};
use crate::profile::Templates;
use crate::profile::manifest::ToolText;
use crate::profile::template::{Project, TemplateEntry};
use crate::tool::{arguments, result_schema_of, to_json};

#[derive(Debug)]
pub(super) struct Make {
    about: About,
    desk: Desk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    template_type: String,
    #[serde(default)]
    project_context: ProjectContext,
    #[serde(default)]
    content: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectContext {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    sdk_version: Option<String>,
}

/// A file that was made or checked.
#[derive(Serialize, JsonSchema)]
pub(super) struct Answer {
    file: String,
    about: String,
    /// The file that was made; null if one was given to be checked.
    pub(super) content: Option<String>,
    /// Whether the file fits its schema.
    valid: bool,
    errors: Vec<Wrong>,
    notes: Vec<String>,
    /// Pages about the file.
    pages: Vec<Linked>,
}

#[derive(Serialize, JsonSchema)]
struct Wrong {
    /// JSON Pointer (RFC 6901) into the file; empty for the whole.
    pointer: String,
    message: String,
}

impl Desk {
    /// The file `name` for a project.
    pub(super) fn make(&self, name: &str, project: &Project) -> Result<Answer, Refusal> {
        let (templates, entry) = self.template(name)?;
        let values = templates.file.values(project);
        let (content, tree) = templates.make(entry, &values);
        let errors = match (&tree, templates.schema(entry)) {
            (Some(tree), Some(schema)) => wrong(schema.mismatches(tree, bound::MISMATCHES_MAX)),
            _ => texts(entry, &content),
        };
        let notes = entry.notes.iter().filter(|note| note.when.as_ref().is_none_or(|when| values.holds(when)));
        Ok(Answer {
            file: entry.file.clone(),
            about: entry.about.clone(),
            content: Some(content),
            valid: errors.is_empty(),
            errors,
            notes: notes.map(|note| note.text.clone()).collect(),
            pages: Vec::new(),
        })
    }

    fn template(&self, name: &str) -> Result<(&Templates, &TemplateEntry), Refusal> {
        let templates = self.profile.templates.as_ref();
        let found = templates.and_then(|templates| Some((templates, templates.entry(name)?)));
        found.ok_or_else(|| {
            let known = templates.iter().flat_map(|it| &it.file.templates).map(|entry| entry.file.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            Refusal::new(Code::NotFound, format!("There is no template {name:?}; there are {known}."))
        })
    }

    fn check(&self, name: &str, content: &str) -> Result<Answer, Refusal> {
        let (templates, entry) = self.template(name)?;
        let errors = match templates.schema(entry) {
            None => texts(entry, content),
            Some(schema) => match serde_json::from_str::<Value>(content) {
                Ok(tree) => wrong(schema.mismatches(&tree, bound::MISMATCHES_MAX)),
                Err(error) => vec![Wrong { pointer: String::new(), message: format!("This is no JSON: {error}.") }],
            },
        };
        Ok(Answer {
            file: entry.file.clone(),
            about: entry.about.clone(),
            content: None,
            valid: errors.is_empty(),
            errors,
            notes: Vec::new(),
            pages: Vec::new(),
        })
    }
}

fn wrong(mismatches: Vec<crate::schema::Mismatch>) -> Vec<Wrong> {
    mismatches.into_iter().map(|it| Wrong { pointer: it.pointer, message: it.message }).collect()
}

/// What a file that is no JSON has or lacks.
fn texts(entry: &TemplateEntry, content: &str) -> Vec<Wrong> {
    let told = entry.checks.iter().filter_map(|check| {
        let text = if check.pattern.matches(content) { &check.found } else { &check.missing };
        text.clone()
    });
    told.map(|message| Wrong { pointer: String::new(), message }).collect()
}

impl Make {
    pub(super) fn new(desk: &Desk, text: &ToolText) -> Option<Self> {
        let file = &desk.profile.templates.as_ref()?.file;
        let names: Vec<&str> = file.templates.iter().map(|entry| entry.file.as_str()).collect();
        let context = &file.context;
        let version = json!({"type": "string", "maxLength": 64, "pattern": context.version.as_str(), "default": context.version_default});
        let properties = fields(json!({
            "template_type": {"enum": names, "description": "The file that is wanted."},
            "project_context": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 100, "x-sekisho-field": "free_text", "description": "What people call the app."},
                    "platforms": {"type": "array", "items": {"enum": context.platforms}, "minItems": 1, "maxItems": context.platforms.len(), "uniqueItems": true},
                    "sdk_version": version,
                },
                "additionalProperties": false,
                "description": "What the file is made for; what is left out is assumed.",
            },
            "content": {"type": "string", "minLength": 1, "maxLength": bound::CONFIGURATION_CHARS_MAX, "x-sekisho-field": "free_text", "description": "A file of yours to be checked; then none is made."},
        }));
        let mut about = desk.about(text, input(properties, &["template_type"]), result_schema_of::<Answer>());
        about.argument_bytes_max = bound::CONFIGURATION_ARGUMENT_BYTES_MAX;
        about.content_arguments = vec!["/content".into()];
        // It says what the profile says and quotes no document.
        about.quotes = false;
        Some(Self { about, desk: desk.clone() })
    }
}

impl Operation for Make {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let Arguments { template_type, project_context, content } = arguments(value)?;
            let mut answer = if let Some(content) = content {
                self.desk.check(&template_type, &content)?
            } else {
                let ProjectContext { name, platforms, sdk_version } = project_context;
                self.desk.make(&template_type, &Project { name, platforms, version: sdk_version })?
            };
            answer.pages = self.desk.linked(cx, &self.desk.template(&template_type)?.1.pages).await?;
            let text = answer.in_words();
            Ok(Outcome::Done(Output::structured(to_json(&answer)?, text)))
        })
    }
}

impl Answer {
    fn in_words(&self) -> String {
        let mut lines = Vec::new();
        match &self.content {
            Some(content) => lines.push(content.clone()),
            None if self.valid => lines.push(format!("{} is as it should be.", self.file)),
            None => lines.push(format!("{} has mistakes:", self.file)),
        }
        for error in &self.errors {
            lines.push(format!("- {} {}", error.pointer, error.message));
        }
        lines.extend(self.notes.iter().map(|note| format!("- {note}")));
        lines.join("\n")
    }
}
