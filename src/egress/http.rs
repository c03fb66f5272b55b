//! One HTTP/1.1 request to another machine, with bounds on time and on the answer's size.

use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::{Egress, EgressError, Purpose};
use crate::base::bound;
use crate::config::target::Url;

/// What the other machine answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// At most [`bound::EGRESS_RESPONSE_BYTES_MAX`].
    pub body: Bytes,
}

impl Answer {
    /// The status and the beginning of the body, for people.
    pub fn told(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().filter(|char| !char.is_control()).take(bound::EGRESS_TOLD_CHARS_MAX).collect();
        if text.is_empty() { self.status.to_string() } else { format!("{}: {text}", self.status) }
    }
}

impl Egress {
    /// Posts `body` over a connection of its own. Any status is an answer, a redirect too: none is followed.
    pub async fn post(
        &self,
        purpose: Purpose,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, EgressError> {
        let limit = Duration::from_millis(bound::EGRESS_TOTAL_MS);
        tokio::time::timeout(limit, self.exchange(purpose, url, headers, body))
            .await
            .unwrap_or_else(|_| Err(EgressError::Timeout { target: url.endpoint.to_string() }))
    }

    async fn exchange(
        &self,
        purpose: Purpose,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, EgressError> {
        let failed = |reason: String| EgressError::Exchange { target: url.endpoint.to_string(), reason };
        let stream =
            if url.is_tls { self.tls(purpose, &url.endpoint).await? } else { self.tcp(purpose, &url.endpoint).await? };
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| failed(error.to_string()))?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&url.path)
            .header(header::HOST, url.host_header())
            .header(header::USER_AGENT, concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let answering = async {
            let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), bound::EGRESS_RESPONSE_BYTES_MAX).collect().await;
            let body = body.map_err(|error| failed(format!("{status}, and its body: {error}")))?;
            Ok(Answer { status, body: body.to_bytes() })
        };
        tokio::pin!(answering);
        // The connection moves only while somebody drives it. It lives no longer than the exchange.
        tokio::select! {
            answer = &mut answering => answer,
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to another machine ended");
                }
                answering.await
            }
        }
    }
}
