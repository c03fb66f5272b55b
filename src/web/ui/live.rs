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
use super::form::Form;
use super::page::{Page, html};
use super::{Visit, framed};
use crate::audit::entry::{EVENTS, OUTCOMES};
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
    /// The newest of them: the stream goes on behind it.
    newest: u64,
    /// What entries can say of their event and their outcome, for the script.
    words: Vec<&'static str>,
}

/// The last entries; the page's script adds those to come.
pub(super) async fn show(visit: &Visit) -> Result<String, Refusal> {
    let (entries, _) = visit.lines(OPERATION, json!({"entries": bound::UI_LIVE_ENTRIES})).await?;
    let page = visit.frame("live");
    let words = EVENTS.iter().map(|event| event.as_str()).chain(OUTCOMES.iter().map(|outcome| outcome.as_str()));
    html(&Live {
        page: &page,
        entries: entries.iter().rev().map(Fact).collect(),
        newest: entries.last().map(|entry| Fact(entry).count("sequence")).unwrap_or_default(),
        words: words.collect(),
    })
}

/// The operation that a stream of live events is.
pub const OPERATION: &str = "audit.tail";

/// The entry behind which a stream goes on: the last one that the browser had, as it says when it comes again, or else
/// the newest one of its page.
pub fn after(last_event_id: Option<&str>, query: Option<&str>) -> Option<u64> {
    let of_query = || Form::read(query.unwrap_or_default().as_bytes()).text("after").parse().ok();
    last_event_id.and_then(|id| id.parse().ok()).or_else(of_query)
}

/// Entries behind `after` as events, as long as `holds` says that whoever asked may still be told. The stream ends by
/// itself after a while, and the browser opens another.
pub fn feed(
    web: Arc<Web>,
    known: Known,
    after: Option<u64>,
    mut holds: impl FnMut() -> bool + Send + 'static,
) -> Response<Answer> {
    let (events, mut stream) = mpsc::channel::<Bytes>(STREAM_EVENTS_MAX);
    let arguments = after.map_or_else(
        || json!({"entries": 0, "follow": true}),
        |after| json!({"entries": bound::UI_ROWS_MAX, "after": after, "follow": true}),
    );
    let mut lines = Box::pin(api::run_as(Kind::Admin, Arc::clone(&web.pipeline), known, OPERATION.into(), arguments));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_where_the_browser_says_or_else_where_its_page_ended() {
        assert_eq!(after(Some("12"), Some("after=7")), Some(12));
        assert_eq!((after(None, Some("after=7")), after(Some(""), Some("after=7"))), (Some(7), Some(7)));
        assert_eq!((after(None, None), after(Some("x"), Some("after=-1"))), (None, None));
    }
}
