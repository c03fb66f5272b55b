//! The front of `/mcp`: who asks and how often is settled, and the body read, before rmcp sees a message.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::sessions::{CALLER, HEADER, HttpSessions};
use super::{Handler, Mcp, reply, screen};
use crate::auth::Evidence;
use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::clock::Clock;
use crate::base::id::SessionId;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::operation::Kind;
use crate::pipeline::Pipeline;
use crate::pipeline::identify::Known;
use crate::pipeline::request::{Asked, Via};
use crate::watch::rule::word::FOREIGN_SESSION;

pub type ReplyBody = BoxBody<Bytes, Infallible>;

/// Why a request was refused, where its status does not say it; for the audit entry.
#[derive(Clone, Copy, Debug)]
struct Because(&'static str);

/// MCP over Streamable HTTP, both generations of the protocol.
#[derive(Clone)]
pub struct McpHttp {
    service: StreamableHttpService<Handler, HttpSessions>,
    pipeline: Arc<Pipeline>,
    sessions: Arc<HttpSessions>,
    /// Served over TLS.
    is_private: bool,
    body_bytes_max: usize,
    body_timeout: Duration,
}

impl std::fmt::Debug for McpHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("McpHttp")
    }
}

impl McpHttp {
    /// `stop` ends all sessions and streams; without that a graceful shutdown would wait for them for ever.
    pub fn new(mcp: &Arc<Mcp>, config: &Config, clock: Arc<dyn Clock>, stop: CancellationToken) -> Self {
        let pipeline = Arc::clone(mcp.pipeline());
        let sessions = HttpSessions::new(Arc::clone(&pipeline), clock, config.session.idle_timeout);
        let mut settings = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(config.http.body_bytes_max)
            // The listener has checked Host and Origin for everything that it serves.
            .with_allowed_hosts(Vec::<String>::new());
        settings.cancellation_token = stop;
        let own = Arc::clone(mcp);
        let service = StreamableHttpService::new(
            move || Ok(Handler::over_http(Arc::clone(&own))),
            Arc::clone(&sessions),
            settings,
        );
        Self {
            service,
            pipeline,
            sessions,
            is_private: config.http.tls.is_some(),
            body_bytes_max: config.http.body_bytes_max,
            body_timeout: config.http.body_timeout,
        }
    }

    pub fn sessions(&self) -> &Arc<HttpSessions> {
        &self.sessions
    }

    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<ReplyBody>
    where
        B: ::http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let via = Via::Http { peer, user_agent: user_agent(&parts.headers) };
        let evidence = Evidence::Http {
            peer,
            is_private: self.is_private || peer.ip().is_loopback(),
            authorization: authorization(&parts.headers),
            certificate: parts.extensions.get().cloned(),
        };
        let known = match self.pipeline.identify(&evidence, &via).await {
            Ok(known) => known,
            Err(refusal) => {
                // Over HTTP/2 an answer before the body is read is lost; a stranger's body is read a little way.
                drop(self.read(body, bound::HTTP_BODY_BYTES_UNKNOWN_MAX).await);
                return refused(&refusal, &Value::Null);
            }
        };
        let read = self.read(body, self.body_bytes_max).await;
        let known = match self.pipeline.meter(known).await {
            Ok(known) => known,
            Err(refusal) => return refused(&refusal, &Value::Null),
        };
        let answered = match read {
            Ok(bytes) => self.message(Request::from_parts(parts, bytes), &known).await,
            Err(refusal) => refused(&refusal, &Value::Null),
        };
        if answered.status().as_u16() >= 400 && !known.is_settled() {
            let reason = match answered.extensions().get::<Because>() {
                Some(Because(reason)) => format!("{}: {reason}", Code::NotFound.as_str()),
                None => format!("http status {}", answered.status().as_u16()),
            };
            self.pipeline.record_foreign_refusal(Some(&known), &via, Some("mcp".into()), &reason).await;
        }
        answered
    }

    async fn message(&self, mut request: Request<Bytes>, known: &Known) -> Response<ReplyBody> {
        let session = request.headers().get(HEADER).and_then(|id| id.to_str().ok()).map(str::to_owned);
        if let Some(id) = &session
            && !self.sessions.is_for(id, known)
        {
            // Somebody else's session is as good as none.
            let refusal = Refusal::new(Code::NotFound, "There is no such session; begin a new one with initialize.");
            let mut response = refused(&refusal, &Value::Null);
            response.extensions_mut().insert(Because(FOREIGN_SESSION));
            return response;
        }
        let handle = session.as_deref().and_then(SessionId::parse).map_or(Handle::Credential, Handle::Connection);
        if request.method() == Method::GET {
            // The stream of an older session: it is asked for and recorded like a subscription of the newest protocol.
            let asked = Asked::new(Kind::Protocol, "subscriptions/listen", json!({"resources": []}), handle.clone());
            if let Err(refusal) = self.pipeline.run(known.clone(), asked).await.into_reply() {
                return refused(&refusal, &Value::Null);
            }
        }
        if request.method() == Method::POST {
            let message = match parse(request.body()) {
                Ok(message) => message,
                Err(response) => return *response,
            };
            if let Err(refusal) = screen::screen(&self.pipeline, known, &handle, &message).await {
                return refused(&refusal, &message["id"]);
            }
        }
        request.extensions_mut().insert(known.clone());
        let mut service = self.service.clone();
        service.config.json_response = !prefers_stream(request.headers());
        let ends = request.method() == Method::DELETE;
        let mut response = CALLER.scope(known.clone(), service.handle(request.map(Full::new))).await;
        if ends && response.status() == StatusCode::ACCEPTED {
            // rmcp says "later" of what it has done, and the Python SDK warns of that.
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        response
    }

    async fn read<B>(&self, body: B, bytes_max: usize) -> Result<Bytes, Refusal>
    where
        B: ::http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let read = tokio::time::timeout(self.body_timeout, Limited::new(body, bytes_max).collect());
        match read.await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Refusal::new(Code::TooLarge, format!("A request may have {bytes_max} bytes; this one has more.")))
            }
            Ok(Err(error)) => Err(Refusal::new(Code::Invalid, "The request's body broke off.").with_private(error)),
            Err(_) => Err(Refusal::new(Code::Timeout, "The request's body did not come in time.")),
        }
    }
}

/// Clients name both forms of an answer. Plain JSON is the smaller and faster one, and what whoever names
/// the stream first does not get.
fn prefers_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.trim_start().starts_with("text/event-stream"))
}

fn user_agent(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    let end = text.char_indices().nth(bound::AUDIT_USER_AGENT_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    Some(text[..end].into())
}

fn authorization(headers: &HeaderMap) -> Option<Secret> {
    headers.get(header::AUTHORIZATION).map(|value| Secret::new(value.as_bytes()))
}

/// One JSON-RPC message. Batches went with protocol 2025-06-18, and rmcp knows none.
fn parse(body: &[u8]) -> Result<Value, Box<Response<ReplyBody>>> {
    let failed = |code: i32, message: String| {
        let body = json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
        Box::new(respond(StatusCode::BAD_REQUEST, &body))
    };
    match serde_json::from_slice::<Value>(body) {
        Err(error) => Err(failed(-32700, format!("The body is not JSON: {error}."))),
        Ok(Value::Array(_)) => Err(failed(-32600, "Batches are not supported: send one message in a request.".into())),
        Ok(message) => Ok(message),
    }
}

/// A refusal with its HTTP status, as a JSON-RPC error for whoever reads the body.
fn refused(refusal: &Refusal, id: &Value) -> Response<ReplyBody> {
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut error = serde_json::to_value(reply::error(refusal)).unwrap_or_default();
    if error["data"].is_null() {
        error["data"] = json!({"code": refusal.code.as_str()});
    }
    let mut response = respond(status, &json!({"jsonrpc": "2.0", "id": id, "error": error}));
    let headers = response.headers_mut();
    if refusal.code == Code::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sekisho\""));
    }
    if let Some(span) = refusal.retry_after {
        // Whole seconds (RFC 9110, section 10.2.3), none of which is too early.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(span.as_secs() + 1));
    }
    response
}

fn respond(status: StatusCode, body: &Value) -> Response<ReplyBody> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
