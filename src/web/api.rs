//! Runs operations for whoever administers: to their end, or line by line.
//!
//! `POST /admin/operations/{name}` takes the arguments as JSON and answers in JSON Lines. Each line is one object:
//! `{"progress": ..}`, `{"event": ..}`, and last `{"result": ..}` or `{"refusal": ..}`. Closing the connection cancels
//! the operation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::session::Handle;
use crate::auth::standing::Standing;
use crate::base::bound;
use crate::base::refusal::Refusal;
use crate::operation::{Block, Caller, Kind, Output, Progress};
use crate::pipeline::Pipeline;
use crate::pipeline::identify::Known;
use crate::pipeline::ran::Ran;
use crate::pipeline::request::Asked;

/// One line of an answer.
pub type Line = Value;

/// Runs one operation, an operator's or else a tool. Dropping the stream cancels it.
pub fn run(
    pipeline: Arc<Pipeline>,
    known: Known,
    name: String,
    arguments: Value,
) -> impl futures::Stream<Item = Line> + Send + Sync + 'static {
    let kind = if pipeline.catalog().get(Kind::Admin, &name).is_some() { Kind::Admin } else { Kind::Tool };
    run_as(kind, pipeline, known, name, arguments)
}

pub(super) fn run_as(
    kind: Kind,
    pipeline: Arc<Pipeline>,
    known: Known,
    name: String,
    arguments: Value,
) -> impl futures::Stream<Item = Line> + Send + Sync + 'static {
    let (lines, stream) = mpsc::channel::<Line>(bound::STREAM_EVENTS_MAX);
    let cancel = CancellationToken::new();
    let guard = cancel.clone().drop_guard();
    tokio::spawn(async move {
        let mut asked = Asked::new(kind, &name, arguments, Handle::Credential);
        asked.caller = Arc::new(LineCaller { lines: lines.clone() });
        asked.cancel = cancel.clone();
        let watch = end_with_credential(&pipeline, known.clone(), (kind, name), cancel);
        let recorded = tokio::select! {
            recorded = pipeline.run(known, asked) => recorded,
            never = watch => match never {},
        };
        let last = match recorded.into_reply() {
            Ok(ran) => json!({"result": result(ran)}),
            Err(refusal) => json!({"refusal": refusal_line(&refusal)}),
        };
        // Whoever asked may be gone.
        lines.send(last).await.ok();
    });
    let mut stream = Some((stream, guard));
    futures::stream::poll_fn(move |cx| {
        let Some((lines, _)) = &mut stream else { return std::task::Poll::Ready(None) };
        let next = lines.poll_recv(cx);
        if matches!(next, std::task::Poll::Ready(None)) {
            stream = None;
        }
        next
    })
}

/// Cancels what is under way when its caller would not be let in any more: somebody may follow the log for hours.
async fn end_with_credential(
    pipeline: &Pipeline,
    known: Known,
    (kind, name): (Kind, String),
    cancel: CancellationToken,
) -> Infallible {
    let mut standing = Standing::default();
    let span = Duration::from_secs(bound::STREAM_LOOK_SECONDS);
    let mut looks = tokio::time::interval_at(Instant::now() + span, span);
    loop {
        looks.tick().await;
        if !known.via().is_at_this_machine() && !pipeline.holds_for(&known, kind, &name, &mut standing) {
            cancel.cancel();
            return std::future::pending().await;
        }
    }
}

/// Runs one operation to its end, in a task of its own: a caller that leaves cancels it, and it is recorded all the
/// same.
pub(super) async fn finished(pipeline: &Arc<Pipeline>, known: Known, mut asked: Asked) -> Result<Value, Refusal> {
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    asked.cancel = cancel;
    let pipeline = Arc::clone(pipeline);
    let ran = tokio::spawn(async move { pipeline.run(known, asked).await.into_reply() }).await;
    ran.map_err(Refusal::internal)?.map(result)
}

fn result(ran: Ran) -> Value {
    match ran {
        Ran::Done(Output::Tool { structured: Some(structured), .. }) => structured,
        Ran::Done(Output::Tool { blocks, structured: None, .. }) => {
            let texts: Vec<&str> = blocks
                .iter()
                .filter_map(|block| if let Block::Text(text) = block { Some(text.as_str()) } else { None })
                .collect();
            json!({"text": texts.join("\n")})
        }
        _ => Value::Null,
    }
}

fn refusal_line(refusal: &Refusal) -> Value {
    let retry_after_ms = refusal.retry_after.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    json!({"code": refusal.code.as_str(), "message": refusal.public, "data": refusal.data, "retry_after_ms": retry_after_ms})
}

/// Progress and events as lines.
struct LineCaller {
    lines: mpsc::Sender<Line>,
}

impl Caller for LineCaller {
    fn progress(&self, progress: Progress) -> BoxFuture<'_, ()> {
        // A reader that is behind misses progress, never an event.
        self.lines.try_send(json!({"progress": progress})).ok();
        Box::pin(async {})
    }

    fn log(&self, message: Value) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.lines.send(json!({"event": message})).await.ok();
        })
    }
}
