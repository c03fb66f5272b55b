//! The tool that puts a command line together and says what its flags do. It runs nothing.

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Desk, Linked, fields, input};
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Cx, Operation, Outcome, Output};
use crate::profile::command::UsedFlag;
use crate::profile::manifest::ToolText;
use crate::tool::{arguments, result_schema_of, to_json};

#[derive(Debug)]
pub(super) struct Build {
    about: About,
    desk: Desk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    operation: String,
    platform: String,
    #[serde(default)]
    profile: Option<String>,
}

/// Commands that were put together.
#[derive(Serialize, JsonSchema)]
pub(super) struct Answer {
    /// The command; the first, if there is one for each platform.
    command: String,
    commands: Vec<String>,
    about: String,
    /// The flags in it.
    flags: Vec<FlagTold>,
    /// Flags that could be added.
    options: Vec<FlagTold>,
    prerequisites: Vec<String>,
    notes: Vec<String>,
    pages: Vec<Linked>,
}

#[derive(Serialize, JsonSchema)]
struct FlagTold {
    flag: String,
    value: Option<String>,
    /// What it does.
    explanation: String,
}

impl From<UsedFlag> for FlagTold {
    fn from(flag: UsedFlag) -> Self {
        Self { flag: flag.flag, value: flag.value, explanation: flag.about }
    }
}

impl Desk {
    /// The command of `operation`. `profile` fits the pattern of the tool: it goes into a command line.
    pub(super) async fn command(
        &self,
        cx: &Cx,
        operation: &str,
        platform: &str,
        profile: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let commands = self.profile.commands.as_ref();
        let found = commands.and_then(|commands| Some((commands, commands.operation(operation)?)));
        let Some((commands, entry)) = found else {
            let known = commands.iter().flat_map(|it| &it.operations).map(|entry| entry.name.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Refusal::new(Code::NotFound, format!("There is no command {operation:?}; there are {known}.")));
        };
        let built = commands.build(entry, platform, profile.unwrap_or(&commands.profile_default));
        Ok(Answer {
            command: built.commands.first().cloned().unwrap_or_default(),
            commands: built.commands,
            about: entry.about.clone(),
            flags: built.flags.into_iter().map(FlagTold::from).collect(),
            options: built.options.into_iter().map(FlagTold::from).collect(),
            prerequisites: built.prerequisites,
            notes: built.notes,
            pages: self.linked(cx, &entry.pages).await?,
        })
    }
}

impl Build {
    pub(super) fn new(desk: &Desk, text: &ToolText) -> Option<Self> {
        let commands = desk.profile.commands.as_ref()?;
        let names: Vec<&str> = commands.operations.iter().map(|entry| entry.name.as_str()).collect();
        let properties = fields(json!({
            "operation": {"enum": names},
            "platform": {"enum": commands.platforms},
            "profile": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9][a-zA-Z0-9._-]*$", "default": commands.profile_default, "description": "The profile, channel or environment that the command is for."},
        }));
        let mut about = desk.about(text, input(properties, &["operation", "platform"]), result_schema_of::<Answer>());
        about.quotes = false;
        Some(Self { about, desk: desk.clone() })
    }
}

impl Operation for Build {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let Arguments { operation, platform, profile } = arguments(value)?;
            let answer = self.desk.command(cx, &operation, &platform, profile.as_deref()).await?;
            let text = answer.in_words();
            Ok(Outcome::Done(Output::structured(to_json(&answer)?, text)))
        })
    }
}

impl Answer {
    /// As Markdown.
    pub(super) fn in_words(&self) -> String {
        let mut lines = vec![format!("```sh\n{}\n```", self.commands.join("\n")), self.about.clone()];
        let mut list = |title: &str, items: Vec<String>| {
            if !items.is_empty() {
                lines.push(format!(
                    "{title}:\n{}",
                    items.iter().map(|it| format!("- {it}")).collect::<Vec<_>>().join("\n")
                ));
            }
        };
        let told = |flags: &[FlagTold]| -> Vec<String> {
            flags.iter().map(|flag| format!("`{}`: {}", flag.flag, flag.explanation)).collect()
        };
        list("Flags", told(&self.flags));
        list("Could be added", told(&self.options));
        list("Before", self.prerequisites.clone());
        list("Notes", self.notes.clone());
        lines.join("\n\n")
    }
}
