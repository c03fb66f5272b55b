//! The admin API: `POST /admin/operations/{name}` with the arguments as JSON, answered in JSON Lines.
//!
//! Each line is one object: `{"progress": ..}`, `{"event": ..}`, and last `{"result": ..}` or `{"refusal": ..}`.
//! Closing the connection cancels the operation.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use warp::{Filter, Rejection, Reply};

use super::Web;
use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::refusal::Refusal;
use crate::operation::{Block, Caller, Kind, Output, Progress};
use crate::pipeline::Pipeline;
use crate::pipeline::identify::Known;
use crate::pipeline::ran::Ran;
use crate::pipeline::request::Asked;

/// One line of an answer.
pub type Line = Value;

pub(super) fn routes(
    web: Arc<Web>,
) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path!("admin" / "operations" / String)
        .and(warp::post())
        .and(warp::ext::get::<Known>())
        .and(warp::body::content_length_limit(bound::HTTP_BODY_BYTES_CEILING as u64))
        .and(warp::body::json())
        .map(move |name: String, known: Known, arguments: Value| {
            let lines = run(Arc::clone(&web.pipeline), known, name, arguments);
            let bytes = lines.map(|line| Ok::<Bytes, std::io::Error>(Bytes::from(format!("{line}\n"))));
            warp::reply::with_header(warp::reply::stream(bytes), "content-type", "application/x-ndjson")
        })
}

/// Runs one operation, an operator's or else a tool. Dropping the stream cancels it.
pub fn run(
    pipeline: Arc<Pipeline>,
    known: Known,
    name: String,
    arguments: Value,
) -> impl futures::Stream<Item = Line> + Send + Sync + 'static {
    let (lines, stream) = mpsc::channel::<Line>(bound::STREAM_EVENTS_MAX);
    let cancel = CancellationToken::new();
    let guard = cancel.clone().drop_guard();
    tokio::spawn(async move {
        let kind = if pipeline.catalog().get(Kind::Admin, &name).is_some() { Kind::Admin } else { Kind::Tool };
        let mut asked = Asked::new(kind, name, arguments, Handle::Credential);
        asked.caller = Arc::new(LineCaller { lines: lines.clone() });
        asked.cancel = cancel;
        let last = match pipeline.run(known, asked).await.into_reply() {
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
