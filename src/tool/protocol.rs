//! Protocol requests whose work the transport does: here they are admitted, inspected, allowed and recorded.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::refusal::Refusal;
use crate::operation::{About, Catalog, Cx, Kind, Operation, Outcome, Output};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, uri_chars_max: usize) -> Result<(), NotASchema> {
    let uri = json!({"type": "object", "properties": {"uri": {"type": "string", "maxLength": uri_chars_max}}, "required": ["uri"], "additionalProperties": false});
    let level = json!({"type": "object", "properties": {"level": {"type": "string", "maxLength": 16}}, "required": ["level"], "additionalProperties": false});
    let filter = json!({"type": "object", "properties": {"resources": {"type": "array", "maxItems": bound::SUBSCRIPTIONS_MAX, "items": {"type": "string", "maxLength": uri_chars_max}}}, "additionalProperties": false});
    let client = json!({"type": "object", "properties": {"client": {"type": "string"}, "version": {"type": "string"}}, "additionalProperties": false});
    let task = json!({"type": "object", "properties": {"id": {"type": "string", "maxLength": 256}}, "required": ["id"], "additionalProperties": false});
    let requests = [
        (Kind::Protocol, "initialize", "Begin a session", client.clone(), bound::HTTP_BODY_BYTES_UNKNOWN_MAX),
        (Kind::List, "server/discover", "Learn what there is", client, bound::HTTP_BODY_BYTES_UNKNOWN_MAX),
        (Kind::Protocol, "logging/setLevel", "Choose which messages to get", level, bound::ARGUMENT_BYTES_MAX),
        (
            Kind::Protocol,
            "resources/subscribe",
            "Hear of changes of a resource",
            uri.clone(),
            4 * bound::ARGUMENT_BYTES_MAX,
        ),
        (Kind::Protocol, "resources/unsubscribe", "Hear no more of a resource", uri, 4 * bound::ARGUMENT_BYTES_MAX),
        (Kind::Protocol, "subscriptions/listen", "Hear of changes", filter, bound::SUBSCRIPTIONS_MAX * 1024),
        (Kind::List, "tasks/get", "Look how a task is", task.clone(), bound::ARGUMENT_BYTES_MAX),
        (Kind::Protocol, "tasks/update", "Answer a task's questions", task.clone(), bound::ARGUMENT_BYTES_MAX),
        (Kind::Protocol, "tasks/cancel", "Cancel a task", task, bound::ARGUMENT_BYTES_MAX),
    ];
    for (kind, name, title, input, argument_bytes_max) in requests {
        let mut about = About::reading(kind, name, title, title, input);
        // To hear of a resource is a way to read of it; the others are what the protocol needs to work.
        if name != "resources/subscribe" {
            about.action_group = ActionGroup::Protocol;
        }
        about.argument_bytes_max = argument_bytes_max;
        catalog.add(Arc::new(Passes { about }))?;
    }
    Ok(())
}

/// Does nothing by itself: that it was reached is what counts.
struct Passes {
    about: About,
}

impl Operation for Passes {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, _cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async { Ok(Outcome::Done(Output::Nothing)) })
    }
}
