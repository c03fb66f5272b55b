//! One HTTP/1.1 request to another machine, with bounds on time and on the answer's size.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::error::EgressError;
use super::exchange::{Answer, Limits};
use super::pool::Line;
use super::route::Route;
use super::stream::Stream;
use super::{Egress, Purpose, Way, secure};
use crate::base::bound;
use crate::base::bound::egress::{EGRESS_HEAD_BYTES_MAX, EGRESS_HEADERS_MAX};
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
            let way = Way { purpose, target: &url.endpoint, path: Some(&url.path), route: None };
            let mut stream = self.open(way).await?;
            if url.is_tls {
                stream = self.secure(stream, &url.endpoint).await?;
            }
            let mut line = asked.line(stream).await?;
            asked.over(&mut line, asked.request(true)?, &is_sent).await.map_err(Failed::into_error)
        };
        tokio::time::timeout(limits.total, work).await.unwrap_or_else(|_| {
            Err(EgressError::Timeout {
                target: url.endpoint.to_string(),
                within_ms: bound::EGRESS_TOTAL_MS,
                is_sent: is_sent.load(Ordering::Relaxed),
            })
        })
    }

    /// One request by a route, over a connection that waits for one, or a new one.
    pub(super) async fn hop(
        &self,
        purpose: Purpose,
        route: &Route,
        asked: &Asked<'_>,
        is_sent: &AtomicBool,
    ) -> Result<Answer, EgressError> {
        let url = asked.url;
        let way = Way { purpose, target: &url.endpoint, path: Some(&url.path), route: Some(route) };
        let mut request = asked.request(false)?;
        // Asked each time: a connection is judged when it is made, and each path on it when it is asked for.
        self.admitted(way)?;
        while let Some(mut line) = route.pool.take(url) {
            if line.sender.ready().await.is_err() {
                continue;
            }
            match asked.over(&mut line, request, is_sent).await {
                Ok(answer) => {
                    route.pool.put(line);
                    return Ok(answer);
                }
                // The other end had closed it, and nothing of the request went out.
                Err(Failed::Unsent(unsent, _)) => {
                    is_sent.store(false, Ordering::Relaxed);
                    request = *unsent;
                }
                Err(failed @ Failed::Sent(_)) => return Err(failed.into_error()),
            }
        }
        let mut stream = self.open(way).await?;
        if url.is_tls {
            stream = secure(route.client(self.ca_file.as_deref())?, stream, &url.endpoint).await?;
        }
        let mut line = asked.line(stream).await?;
        let answer = asked.over(&mut line, request, is_sent).await.map_err(Failed::into_error)?;
        route.pool.put(line);
        Ok(answer)
    }
}

/// One request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) limits: Limits,
}

/// How far a request came that has no answer.
enum Failed {
    /// Here it is again.
    Unsent(Box<Request<Full<Bytes>>>, EgressError),
    Sent(EgressError),
}

impl Failed {
    fn into_error(self) -> EgressError {
        match self {
            Self::Unsent(_, error) | Self::Sent(error) => error,
        }
    }
}

impl Asked<'_> {
    fn failed(&self, reason: impl ToString) -> EgressError {
        EgressError::Exchange { target: self.url.endpoint.to_string(), reason: reason.to_string() }
    }

    /// HTTP/1.1 over a new connection, which lives until its line is dropped or the other end closes it.
    async fn line(&self, stream: Stream) -> Result<Line, EgressError> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(EGRESS_HEAD_BYTES_MAX)
            .max_headers(EGRESS_HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another machine ended");
            }
        });
        Ok(Line::new(self.url, sender))
    }

    async fn over(
        &self,
        line: &mut Line,
        request: Request<Full<Bytes>>,
        is_sent: &AtomicBool,
    ) -> Result<Answer, Failed> {
        is_sent.store(true, Ordering::Relaxed);
        let sender: &mut SendRequest<_> = &mut line.sender;
        let response = sender.try_send_request(request).await.map_err(|mut error| {
            let request = error.take_message();
            let error = self.failed(error.into_error());
            match request {
                Some(request) => Failed::Unsent(Box::new(request), error),
                None => Failed::Sent(error),
            }
        })?;
        self.whole(response).await.map_err(Failed::Sent)
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Answer, EgressError> {
        let bytes_max = self.limits.response_bytes_max;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return EgressError::TooLarge { target: self.url.endpoint.to_string(), bytes_max };
            }
            self.failed(format!("{}, and its body: {error}", parts.status))
        })?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), requests: 1 })
    }

    /// `is_last`: the connection is closed behind it.
    fn request(&self, is_last: bool) -> Result<Request<Full<Bytes>>, EgressError> {
        let wrong = |reason: String| EgressError::Request { target: self.url.endpoint.to_string(), reason };
        if matches!(*self.method, Method::CONNECT | Method::TRACE) {
            return Err(wrong(format!("{} is not for us", self.method)));
        }
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
        if is_last {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
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
