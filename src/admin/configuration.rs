//! The operation `config.show`: the settings in force, and where each of them comes from.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::request::{Nothing, Request, answering, written};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::Refusal;
use crate::config::origin::Origin;
use crate::config::{Config, file};
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, config: &Arc<Config>) -> Result<(), NotASchema> {
    let config = Arc::clone(config);
    let title = "Show the settings in force, and where each comes from";
    let mut show =
        answering::<Nothing, Settings>("config.show", title, Effect::ReadOnly).in_group(ActionGroup::Operate);
    show.urgent = true;
    catalog.add(Arc::new(Request::new(show, move |_, _| {
        let answer = settings(&config);
        Box::pin(async { answer })
    })))
}

#[derive(Serialize, JsonSchema)]
struct Settings {
    /// The configuration file; it need not exist.
    file: String,
    settings: Vec<InForce>,
}

#[derive(Serialize, JsonSchema)]
struct InForce {
    /// Dotted, such as http.listen.
    setting: String,
    /// What is in force; null where nothing is set.
    value: Value,
    default: Value,
    /// `default`, `file`, `environment` or `command_line`.
    source: String,
    /// The environment variable that it comes from.
    variable: Option<String>,
}

/// As `config.show` answers.
pub(super) fn settings(config: &Config) -> Result<Value, Refusal> {
    let now = serde_json::to_value(&config.raw).map_err(Refusal::internal)?;
    let settings = file::settings().into_iter().map(|setting| {
        let dotted = setting.dotted();
        let mut value = now[&setting.table][&setting.key].clone();
        let mut variable = None;
        let source = match config.origins.of(&dotted) {
            Origin::Default => "default",
            Origin::File => "file",
            Origin::Environment(name) => {
                variable = Some(name.clone());
                "environment"
            }
            Origin::CommandLine(given) => {
                value = given.clone().into();
                "command_line"
            }
        };
        InForce { setting: dotted, value, default: setting.default, source: source.into(), variable }
    });
    written(&Settings { file: config.origins.file().display().to_string(), settings: settings.collect() })
}
