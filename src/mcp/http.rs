//! The front of `/mcp`: who asks and how often is settled, and the body read, before rmcp sees a message.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::uri::Authority;
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::remembered::Remembered;
use super::sessions::{CALLER, Caller, HEADER, HttpSessions};
use super::{Handler, Mcp, reply, screen};
use crate::auth::Evidence;
use crate::auth::challenge;
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
use crate::pipeline::request::{Asked, SocketPeer, Via};

pub type ReplyBody = BoxBody<Bytes, Infallible>;

/// MCP over Streamable HTTP, both generations of the protocol.
#[derive(Clone)]
pub struct McpHttp {
    service: StreamableHttpService<Handler, HttpSessions>,
    pipeline: Arc<Pipeline>,
    sessions: Arc<HttpSessions>,
    config: Arc<Config>,
}

impl std::fmt::Debug for McpHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("McpHttp")
    }
}

impl McpHttp {
    /// `stop` ends all sessions and streams; without that a graceful shutdown would wait for them for ever.
    pub fn new(mcp: &Arc<Mcp>, config: &Arc<Config>, clock: Arc<dyn Clock>, stop: CancellationToken) -> Self {
        let pipeline = Arc::clone(mcp.pipeline());
        let sessions = HttpSessions::new(Arc::clone(&pipeline), clock, config.session, stop.clone());
        tokio::spawn(Arc::clone(&sessions).follow(stop.clone()));
        let mut settings = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(config.http.body_bytes_max)
            // The listener has checked Host and Origin for everything that it serves.
            .with_allowed_hosts(Vec::<String>::new());
        settings.cancellation_token = stop;
        settings.session_store = Some(Arc::new(Remembered(Arc::clone(&sessions))));
        let own = Arc::clone(mcp);
        let service = StreamableHttpService::new(
            move || Ok(Handler::over_http(Arc::clone(&own))),
            Arc::clone(&sessions),
            settings,
        );
        Self { service, pipeline, sessions, config: Arc::clone(config) }
    }

    pub fn sessions(&self) -> &Arc<HttpSessions> {
        &self.sessions
    }

    /// `client` is who asks: another than the other end of the connection where a trusted proxy is between.
    pub async fn handle<B>(&self, request: Request<B>, client: SocketAddr) -> Response<ReplyBody>
    where
        B: ::http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let is_tls = self.config.http.tls.is_some();
        let user_agent = user_agent(&parts.headers);
        let via = match parts.extensions.get::<SocketPeer>() {
            Some(socket) => Via::Socket { peer: *socket, user_agent },
            None => Via::Http { peer: client, is_tls, user_agent },
        };
        // A proxy on this machine says nothing of the way to it.
        let is_private = is_tls || client.ip().is_loopback();
        let evidence = Evidence::Http {
            peer: client,
            is_private,
            authorization: authorization(&parts.headers),
            certificate: parts.extensions.get().cloned(),
        };
        let known = match self.pipeline.identify(&evidence, &via).await {
            Ok(known) => known,
            Err(refusal) => {
                // Over HTTP/2 an answer before the body is read is lost; a stranger's body is read a little way.
                drop(read(body, bound::HTTP_BODY_BYTES_UNKNOWN_MAX, self.config.http.body_timeout).await);
                let mut response = refused(&refusal, &Value::Null);
                if refusal.code == Code::Unauthenticated {
                    self.challenge(&parts, is_private, response.headers_mut());
                }
                return response;
            }
        };
        let read = read(body, self.config.http.body_bytes_max, self.config.http.body_timeout).await;
        let session = parts.headers.get(HEADER).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut handle = session.as_deref().and_then(SessionId::parse).map_or(Handle::Credential, Handle::Connection);
        let message = read.as_ref().ok().filter(|_| parts.method == Method::POST).map(|bytes| parse(bytes));
        if let (None, Some(Ok(message))) = (&session, &message)
            && message["method"] == "initialize"
        {
            // The session that begins here has its id before rmcp knows of it: its first message is in it already.
            match SessionId::random() {
                Ok(id) => handle = Handle::Connection(id),
                Err(error) => return refused(&Refusal::internal(error), &message["id"]),
            }
        }
        if let Some(Ok(message)) = &message
            && begins_a_call(message)
            && let Err(refusal) = self.pipeline.open_to(&known).await
        {
            return refused(&refusal, &message["id"]);
        }
        let known = match self.pipeline.meter(known, &handle).await {
            Ok(known) => known,
            Err(refusal) => return refused(&refusal, &Value::Null),
        };
        let answered = match read {
            Err(refusal) => refused(&refusal, &Value::Null),
            Ok(bytes) => match message.transpose() {
                Err(response) => *response,
                Ok(message) => self.message(Request::from_parts(parts, bytes), message, &known, session, handle).await,
            },
        };
        if answered.status().as_u16() >= 400 && !known.is_settled() {
            let reason = format!("http status {}", answered.status().as_u16());
            self.pipeline.record_foreign_refusal(Some(&known), &via, Some("mcp".into()), &reason).await;
        }
        answered
    }

    /// Says which credentials are taken, and where a client finds who gives them out.
    fn challenge(&self, parts: &Parts, is_private: bool, headers: &mut HeaderMap) {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(Authority::as_str)).unwrap_or_default();
        let origin = challenge::origin(&self.config.http, host);
        let token_shown = is_token_shown(&parts.headers);
        for challenge in challenge::challenges(&self.config.auth, Some(&origin), token_shown, is_private) {
            if let Ok(value) = HeaderValue::from_str(&challenge) {
                headers.append(header::WWW_AUTHENTICATE, value);
            }
        }
    }

    async fn message(
        &self,
        mut request: Request<Bytes>,
        message: Option<Value>,
        known: &Known,
        session: Option<String>,
        handle: Handle,
    ) -> Response<ReplyBody> {
        if let Some(id) = &session
            && let Err(refusal) = self.sessions.check(id, &handle, known).await
        {
            return refused(&refusal, &Value::Null);
        }
        if request.method() == Method::GET && session.as_ref().is_some_and(|id| self.sessions.is_there(id, known)) {
            // The stream of an older session: it is asked for and recorded like a subscription of the newest protocol.
            let asked = Asked::new(Kind::Protocol, "subscriptions/listen", json!({"resources": []}), handle.clone());
            if let Err(refusal) = self.pipeline.run(known.clone(), asked).await.into_reply() {
                return refused(&refusal, &Value::Null);
            }
        }
        if request.method() == Method::POST && !is_json(request.headers()) {
            let error = json!({"code": -32600, "message": "Send the message as application/json."});
            let body = json!({"jsonrpc": "2.0", "id": null, "error": error});
            return respond(StatusCode::UNSUPPORTED_MEDIA_TYPE, &body);
        }
        if let Some(message) = message
            && let Err(refusal) = screen::screen(&self.pipeline, known, &handle, &message).await
        {
            return refused(&refusal, &message["id"]);
        }
        request.extensions_mut().insert(known.clone());
        request.extensions_mut().insert(handle.clone());
        let mut service = self.service.clone();
        service.config.json_response = !prefers_stream(request.headers());
        let ends = request.method() == Method::DELETE;
        let caller = Caller { known: known.clone(), handle: handle.clone() };
        let mut response = CALLER.scope(caller, service.handle(request.map(Full::new))).await;
        if session.is_none() {
            self.sessions.close_unless_begun(&handle, known).await;
        }
        if ends && response.status() == StatusCode::ACCEPTED {
            // rmcp says "later" of what it has done, and the Python SDK warns of that.
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        response
    }
}

/// A body of at most `bytes_max`, that comes within `patience`.
pub async fn read<B>(body: B, bytes_max: usize, patience: Duration) -> Result<Bytes, Refusal>
where
    B: ::http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(patience, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Refusal::new(Code::TooLarge, format!("A request may have {bytes_max} bytes; this one has more.")))
        }
        Ok(Err(error)) => Err(Refusal::new(Code::Invalid, "The request's body broke off.").with_private(error)),
        Err(_) => Err(Refusal::new(Code::Timeout, "The request's body did not come in time.")),
    }
}

/// Whether a bearer token came: only then is it invalid (RFC 6750, section 3.1).
pub fn is_token_shown(headers: &HeaderMap) -> bool {
    let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    shown.and_then(|shown| shown.get(..7)).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer "))
}

/// Answers, notifications and pings belong to what is under way.
fn begins_a_call(message: &Value) -> bool {
    message.get("id").is_some() && message["method"].as_str().is_some_and(|method| method != "ping")
}

/// Before the body is looked at: a form that a foreign page can send has another type (RFC 9110, section 15.5.16).
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Clients name both forms of an answer. Plain JSON is the smaller and faster one, and what whoever names
/// the stream first does not get.
fn prefers_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.trim_start().starts_with("text/event-stream"))
}

pub fn user_agent(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    let end = text.char_indices().nth(bound::AUDIT_USER_AGENT_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    Some(text[..end].into())
}

pub fn authorization(headers: &HeaderMap) -> Option<Secret> {
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
    for (name, value) in refusal.http_headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn respond(status: StatusCode, body: &Value) -> Response<ReplyBody> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
