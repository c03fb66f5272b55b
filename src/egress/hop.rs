//! One HTTP/1.1 request to another machine, with bounds on time and on the answer's size.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::error::EgressError;
use super::exchange::{Answer, Exchange, Limits};
use super::route::Route;
use super::stream::Stream;
use super::{Egress, Purpose};
use crate::base::bound;
use crate::config::target::Url;

impl Egress {
    /// Posts `body` to a URL that a setting names, over a connection of its own. Any status is an answer, a redirect
    /// too: none is followed.
    pub async fn post(
        &self,
        purpose: Purpose,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, EgressError> {
        let limits = Limits {
            total: Duration::from_millis(bound::EGRESS_TOTAL_MS),
            response_bytes_max: bound::EGRESS_RESPONSE_BYTES_MAX,
            redirects_max: 0,
        };
        let asked = Asked { method: &Method::POST, url, headers: headers.into_iter().collect(), body, limits };
        let is_sent = AtomicBool::new(false);
        let work = async {
            let stream = if url.is_tls {
                self.tls(purpose, &url.endpoint).await?
            } else {
                self.tcp(purpose, &url.endpoint).await?
            };
            asked.over(stream, &is_sent).await
        };
        tokio::time::timeout(limits.total, work).await.unwrap_or_else(|_| {
            Err(EgressError::Timeout {
                target: url.endpoint.to_string(),
                within_ms: bound::EGRESS_TOTAL_MS,
                is_sent: is_sent.load(Ordering::Relaxed),
            })
        })
    }

    pub(super) async fn hop(
        &self,
        exchange: &Exchange,
        url: &Url,
        is_sent: &AtomicBool,
    ) -> Result<Answer, EgressError> {
        let mut headers = exchange.headers.clone();
        let mut url = url.clone();
        if let Some(credential) = &exchange.credential {
            headers.extend(credential.headers.clone());
            for (name, value) in &credential.query {
                let value = String::from_utf8_lossy(value.expose_secret());
                let pair = ::url::form_urlencoded::Serializer::new(String::new()).append_pair(name, &value).finish();
                url.path.push(if url.path.contains('?') { '&' } else { '?' });
                url.path.push_str(&pair);
            }
        }
        let (method, body, limits) = (&exchange.method, exchange.body.clone(), exchange.limits);
        let asked = Asked { method, url: &url, headers, body, limits };
        let stream = self.connect(exchange.purpose, &exchange.route, &url).await?;
        asked.over(stream, is_sent).await
    }

    async fn connect(&self, purpose: Purpose, route: &Arc<Route>, url: &Url) -> Result<Stream, EgressError> {
        let addresses = self.route_addresses(purpose, route, url).await?;
        let stream = self.connect_to(purpose, &url.endpoint, addresses).await?;
        if url.is_tls {
            let client = route.client(self.ca_file.as_deref())?;
            return self.secure_with(client, stream, &url.endpoint).await;
        }
        Ok(stream)
    }
}

/// One request.
struct Asked<'a> {
    method: &'a Method,
    url: &'a Url,
    headers: HeaderMap,
    body: Bytes,
    limits: Limits,
}

impl Asked<'_> {
    async fn over(self, stream: Stream, is_sent: &AtomicBool) -> Result<Answer, EgressError> {
        let target = self.url.endpoint.to_string();
        let failed = |reason: String| EgressError::Exchange { target: target.clone(), reason };
        let bytes_max = self.limits.response_bytes_max;
        let request = self.request()?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| failed(error.to_string()))?;
        is_sent.store(true, Ordering::Relaxed);
        let answering = async {
            let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return EgressError::TooLarge { target: target.clone(), bytes_max };
                }
                failed(format!("{}, and its body: {error}", parts.status))
            })?;
            Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), requests: 1 })
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

    fn request(&self) -> Result<Request<Full<Bytes>>, EgressError> {
        let wrong = |reason: String| EgressError::Request { target: self.url.endpoint.to_string(), reason };
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.url.path)
            .body(Full::new(self.body.clone()))
            .map_err(|error| wrong(error.to_string()))?;
        let host = HeaderValue::try_from(self.url.host_header()).map_err(|error| wrong(error.to_string()))?;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        for name in OF_THE_CONNECTION {
            headers.remove(name);
        }
        headers.insert(header::HOST, host);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let agent = concat!("sekisho/", env!("CARGO_PKG_VERSION"));
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(agent));
        Ok(request)
    }
}

/// What frames a message or belongs to one connection is said by us alone (RFC 9110, section 7.6.1; RFC 9112).
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];
