//! The operation `status`: what runs here, for `sekisho doctor`.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::Refusal;
use crate::operation::{About, Cx, Kind, Operation, Outcome, Output};

/// Gathers the facts; injected by `app`, which alone sees every room.
pub trait Look: Send + Sync {
    fn look(&self) -> BoxFuture<'_, Result<Value, Refusal>>;
}

pub struct Status {
    about: About,
    look: Arc<dyn Look>,
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Status")
    }
}

impl Status {
    pub fn new(look: Arc<dyn Look>) -> Self {
        let input = json!({"type": "object", "properties": {}, "additionalProperties": false});
        let mut about = About::reading(Kind::Admin, "status", "Status", "What runs here and how it is.", input);
        about.action_group = ActionGroup::Operate;
        about.urgent = true;
        Self { about, look }
    }
}

impl Operation for Status {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, _cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async { Ok(Outcome::Done(Output::structured(self.look.look().await?, String::new()))) })
    }
}
