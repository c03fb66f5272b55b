//! The page of live events, and the stream that it reads: entries of the audit log as they come (WHATWG HTML,
//! server-sent events).

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Response, StatusCode, header};
use askama::Template;
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::{Answer, Web, api};
use super::fact::Fact;
use super::page::{Page, html};
use super::{Visit, framed};
use crate::base::bound::STREAM_EVENTS_MAX;
use crate::base::bound::ui as bound;
use crate::base::refusal::Refusal;
use crate::operation::Kind;
use crate::pipeline::identify::Known;

#[derive(Template)]
#[template(path = "ui/live.html", config = "assets/askama.toml")]
struct Live<'a> {
    page: &'a Page<'a>,
    entries: Vec<Fact<'a>>,
}

/// The last entries; the page's script adds those to come.
pub(super) async fn show(visit: &Visit) -> Result<String, Refusal> {
    let (entries, _) = visit.lines("audit.tail", json!({"entries": bound::UI_LIVE_ENTRIES})).await?;
    let page = visit.frame("live");
    html(&Live { page: &page, entries: entries.iter().rev().map(Fact).collect() })
}

/// Entries as events, as long as `holds` says that whoever asked may still be told. The stream ends by itself after a
/// while, and the browser opens another.
pub fn feed(web: Arc<Web>, known: Known, mut holds: impl FnMut() -> bool + Send + 'static) -> Response<Answer> {
    let (events, mut stream) = mpsc::channel::<Bytes>(STREAM_EVENTS_MAX);
    let arguments = json!({"entries": 0, "follow": true});
    let mut lines =
        Box::pin(api::run_as(Kind::Admin, Arc::clone(&web.pipeline), known, "audit.tail".into(), arguments));
    tokio::spawn(async move {
        let until = Instant::now() + Duration::from_secs(bound::UI_STREAM_SECONDS);
        let mut looks = tokio::time::interval(Duration::from_secs(bound::UI_STREAM_LOOK_SECONDS));
        loop {
            let event = tokio::select! {
                // The browser left. What is dropped here cancels the operation.
                () = events.closed() => return,
                () = tokio::time::sleep_until(until) => return,
                _ = looks.tick() => {
                    if web.pipeline.is_draining() || !holds() {
                        return;
                    }
                    // A comment: it keeps the connection from looking dead.
                    Bytes::from_static(b":\n\n")
                }
                line = lines.next() => match line {
                    Some(line) if line.get("event").is_some() => {
                        let sequence = &line["event"]["sequence"];
                        Bytes::from(format!("id: {sequence}\ndata: {}\n\n", line["event"]))
                    }
                    Some(line) if line.get("progress").is_some() => continue,
                    // Refused, or over.
                    _ => return,
                },
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    });
    let frames = futures::stream::poll_fn(move |cx| stream.poll_recv(cx)).map(|bytes| Ok(Frame::data(bytes)));
    let mut response = framed(StatusCode::OK, String::new());
    *response.body_mut() = BodyExt::boxed(StreamBody::new(frames));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}
