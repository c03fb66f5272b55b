//! The operation `server.yield`: a process that only happens to own the data directory gives it to a server.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::Refusal;
use crate::operation::{About, Cx, Effect, Kind, Operation, Outcome, Output};

/// What an operator may do to the running process; injected by `app`.
pub trait Lifecycle: Send + Sync {
    /// Begins to give the data directory up, if this process is one that does.
    fn yield_directory(&self) -> Result<(), Refusal>;
}

pub struct Yield {
    about: About,
    lifecycle: Arc<dyn Lifecycle>,
}

impl std::fmt::Debug for Yield {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Yield")
    }
}

impl Yield {
    pub fn new(lifecycle: Arc<dyn Lifecycle>) -> Self {
        let input = json!({"type": "object", "properties": {}, "additionalProperties": false});
        let title = "Give the data directory to a server that starts";
        let mut about = About::reading(Kind::Admin, "server.yield", title, title, input);
        about.action_group = ActionGroup::Operate;
        about.effect = Effect::Changes;
        Self { about, lifecycle }
    }
}

impl Operation for Yield {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, _cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            self.lifecycle.yield_directory()?;
            Ok(Outcome::Done(Output::structured(json!({"yielding": true}), String::new())))
        })
    }
}
