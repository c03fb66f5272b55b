//! An administrative operation made of what is known of it and a function: most of them need no more.

use std::path::Path;
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::bound;
use crate::base::classification::{Classification, NotAClassification};
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Cx, Effect, Kind, Operation, Outcome, Output};

type Answer = Box<dyn for<'a> Fn(&'a Cx, Value) -> BoxFuture<'a, Result<Value, Refusal>> + Send + Sync>;

/// One operation; its result is structured.
pub(super) struct Request {
    about: About,
    answer: Answer,
}

impl Request {
    pub(super) fn new<F>(about: About, answer: F) -> Self
    where
        F: for<'a> Fn(&'a Cx, Value) -> BoxFuture<'a, Result<Value, Refusal>> + Send + Sync + 'static,
    {
        Self { about, answer: Box::new(answer) }
    }
}

impl Operation for Request {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async { Ok(Outcome::Done(Output::structured((self.answer)(cx, arguments).await?, String::new()))) })
    }
}

/// What is known of an operation that takes `A`. Administration may take its time.
pub(super) fn about<A: JsonSchema>(name: &str, title: &str, effect: Effect) -> About {
    let mut about = About::reading(Kind::Admin, name, title, title, schemars::schema_for!(A).to_value());
    about.effect = effect;
    about.idempotent = effect == Effect::ReadOnly;
    about.budget = Some(Duration::from_secs(bound::ADMIN_BUDGET_SECONDS));
    about
}

/// As [`about`], of an operation whose result is an `O`.
pub(super) fn answering<A: JsonSchema, O: JsonSchema>(name: &str, title: &str, effect: Effect) -> About {
    let mut about = about::<A>(name, title, effect);
    about.output = Some(output_of::<O>());
    about
}

/// JSON Schema of what an `O` is written as.
pub(super) fn output_of<O: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<O>().to_value()
}

/// A result, as it is sent.
pub(super) fn written<O: Serialize>(result: &O) -> Result<Value, Refusal> {
    serde_json::to_value(result).map_err(Refusal::internal)
}

/// The arguments, which fit the schema that was made of their type.
pub(super) fn parse<T: DeserializeOwned>(arguments: Value) -> Result<T, Refusal> {
    serde_json::from_value(arguments)
        .map_err(|error| Refusal::new(Code::Invalid, format!("The arguments do not fit: {error}.")))
}

/// Arguments of an operation that takes none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Arguments of an operation on something that has a name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    #[schemars(length(max = 128))]
    pub(super) name: String,
}

/// Arguments of an operation that says how confidential something is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Classify {
    #[schemars(length(max = 64))]
    pub(super) name: String,
    /// public, internal, confidential or restricted
    #[schemars(length(max = 16))]
    pub(super) classification: String,
}

/// A level by its name.
pub(super) fn level(text: &str) -> Result<Classification, Refusal> {
    text.parse().map_err(|error: NotAClassification| Refusal::new(Code::Invalid, format!("{error}.")))
}

/// A path on the server's machine, which does not depend on where the server was started.
pub(super) fn absolute(path: &str) -> Result<&Path, Refusal> {
    let found = Path::new(path);
    let wrong = || Refusal::new(Code::Invalid, format!("The path must be absolute; found {path}."));
    if found.is_absolute() { Ok(found) } else { Err(wrong()) }
}

/// A result that says nothing but that it was done.
#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    done: bool,
}

pub(super) fn done() -> Value {
    json!({"done": true})
}
