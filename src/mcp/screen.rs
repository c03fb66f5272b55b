//! Looks at each message before rmcp does: what rmcp would answer or acknowledge by itself goes the pipeline's way here.

use serde_json::{Value, json};

use crate::auth::session::Handle;
use crate::base::refusal::Refusal;
use crate::operation::Kind;
use crate::pipeline::Pipeline;
use crate::pipeline::identify::Known;
use crate::pipeline::request::Asked;

/// Requests that reach the pipeline through the handler.
const HANDLED: [&str; 20] = [
    "initialize",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "ping",
    "notifications/initialized",
    "notifications/cancelled",
];

/// Screens one message. `Err` is to be answered instead of giving the message to rmcp.
pub(super) async fn screen(
    pipeline: &Pipeline,
    known: &Known,
    handle: &Handle,
    message: &Value,
) -> Result<(), Refusal> {
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        // An answer of the client to a question of ours.
        return Ok(());
    };
    if message.get("id").is_none() || method == "ping" {
        pipeline.metrics().passed();
        return Ok(());
    }
    if method == "subscriptions/listen" {
        // rmcp acknowledges before it asks the handler, so this is authorised and recorded first.
        let resources =
            message.pointer("/params/notifications/resourceSubscriptions").cloned().unwrap_or_else(|| json!([]));
        let asked = Asked::new(Kind::Protocol, method, json!({"resources": resources}), handle.clone());
        return pipeline.run(known.clone(), asked).await.into_reply().map(drop);
    }
    if !HANDLED.contains(&method) {
        // rmcp answers -32601; that there was such a request is written down here.
        let method: String = method.chars().take(crate::base::bound::AUDIT_NAME_CHARS_MAX).collect();
        pipeline.record_foreign_refusal(Some(known), known.via(), Some(method), "not_found: no such method").await;
    }
    Ok(())
}
