//! One operation of a connector as a tool of its own.

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Reach, action_group, argument_bytes_max, effect};
use crate::base::refusal::Refusal;
use crate::connector::client::Callable;
use crate::connector::record::ConnectorRecord;
use crate::connector::tool::Tool;
use crate::connector::upload;
use crate::guardrail::field;
use crate::openapi::Place;
use crate::operation::{About, Cx, Kind, Operation, Outcome};

pub(super) struct OneOperation {
    about: About,
    reach: Reach,
    connector: Arc<ConnectorRecord>,
    tool: Tool,
    /// Compiled at the first call: most of a hundred tools are never called.
    callable: OnceLock<Arc<Callable>>,
}

impl OneOperation {
    pub(super) fn new(reach: Reach, connector: Arc<ConnectorRecord>, tool: Tool) -> Self {
        let mut about = About::reading(Kind::Tool, &tool.name, &tool.title, &tool.told(), input(&tool));
        about.output.clone_from(&tool.output);
        about.effect = effect(tool.class());
        about.action_group = action_group(tool.class());
        about.idempotent = tool.method.is_idempotent();
        about.argument_bytes_max = argument_bytes_max(&tool);
        about.quotes = true;
        about.budget = Some(reach.time);
        about.resource = Some(connector.resource());
        let files = upload::content_arguments(&tool);
        about.content_arguments = files.into_iter().map(|argument| format!("/{argument}")).collect();
        Self { about, reach, connector, tool, callable: OnceLock::new() }
    }

    fn callable(&self) -> Result<Arc<Callable>, Refusal> {
        if let Some(callable) = self.callable.get() {
            return Ok(Arc::clone(callable));
        }
        let made = Arc::new(Callable::new(self.tool.clone()).map_err(Refusal::internal)?);
        Ok(Arc::clone(self.callable.get_or_init(|| made)))
    }
}

/// The schema of the arguments, with what each means to whoever looks for attacks: parts of a path choose something on
/// the other side, all else is data.
pub(super) fn input(tool: &Tool) -> Value {
    let mut input = tool.input.clone();
    input[field::ANNOTATION] = "free_text".into();
    for parameter in tool.parameters.iter().filter(|parameter| parameter.place == Place::Path) {
        if let Some(schema) = input["properties"].get_mut(&parameter.argument).and_then(Value::as_object_mut) {
            schema.insert(field::ANNOTATION.into(), "path".into());
        }
    }
    input
}

impl Operation for OneOperation {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move { self.reach.call(cx, &self.connector, &*self.callable()?, arguments).await })
    }
}
