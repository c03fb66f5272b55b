//! The listener: bounds and timeouts on every connection, Host and Origin on every request, one dispatch for all.

pub mod certificates;
pub mod control;
pub mod forwarded;
pub mod guard;
pub mod listener;
pub mod metrics;
mod admin;
mod connect;
mod connection;
mod cors;
mod crowd;
mod socket;
mod ui;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use ::http::{Extensions, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use tower_service::Service;

use crate::config::{Config, Proxies};
use crate::mcp::http::McpHttp;
use crate::pipeline::Pipeline;
use crate::web::{self, Web, rest};
use connect::Connect;
use connection::Peer;
use cors::Cors;
use guard::Guard;
use ui::Ui;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = BoxBody<Bytes, BoxError>;

/// Everything behind the TCP port.
#[derive(Debug)]
pub struct Site {
    mcp: McpHttp,
    web: Arc<Web>,
    guard: Guard,
    cors: Cors,
    connect: Connect,
    ui: Ui,
    pipeline: Arc<Pipeline>,
    proxies: Proxies,
}

impl Site {
    pub fn new(mcp: McpHttp, web: Arc<Web>, config: &Config) -> Arc<Self> {
        let pipeline = Arc::clone(&web.pipeline);
        let cors = Cors::new(&config.http.allowed_origins);
        let proxies = config.http.proxies.clone();
        Arc::new(Self {
            mcp,
            web,
            guard: Guard::new(&config.http),
            cors,
            connect: Connect::default(),
            ui: Ui::new(Arc::clone(pipeline.clock()), &config.session),
            pipeline,
            proxies,
        })
    }

    /// One request from `peer`.
    async fn answer(&self, mut request: Request<Incoming>, peer: &Peer) -> Result<Response<Body>, Infallible> {
        let origin = self.cors.allowed(request.headers());
        let strict = peer.is_tls && has_public_name(&request);
        let client = match peer.socket {
            Some(_) => peer.address,
            None => forwarded::client(&self.proxies, peer.address, request.headers()),
        };
        let mut response = match self.guard.check(&request) {
            Err(reason) => {
                let via = peer.via(client, None);
                self.pipeline.record_foreign_refusal(None, &via, Some("http".into()), &reason.private).await;
                plain(reason.status, reason.public)
            }
            Ok(()) if origin.is_some() && cors::is_preflight(&request) => {
                self.pipeline.metrics().passed();
                let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
                *response.status_mut() = StatusCode::NO_CONTENT;
                cors::permit(&mut response);
                response
            }
            Ok(()) if request.uri().path() == "/mcp" => {
                request.extensions_mut().extend(Self::known_of(peer));
                let answered = self.mcp.handle(request, client).await;
                answered.map(|body| body.map_err(|never| match never {}).boxed())
            }
            Ok(()) if self.web.config().raw.admin.http && rest::is_ours(request.uri().path()) => {
                let answered = admin::handle(&self.web, request, peer, client).await;
                answered.map(|body| body.map_err(|never| match never {}).boxed())
            }
            Ok(()) if self.has_ui() && ui::is_ours(request.uri().path()) => {
                let answered = self.ui.handle(&self.web, request, peer, client).await;
                answered.map(|body| body.map_err(|never| match never {}).boxed())
            }
            Ok(()) if connect::is_ours(request.uri().path()) => {
                let answered = self.connect.handle(&self.web, request, peer, client).await;
                answered.map(|body| body.map_err(|never| match never {}).boxed())
            }
            Ok(()) => {
                let Ok(response) = warp::service(web::public(Arc::clone(&self.web))).call(request).await;
                response.map(|body| body.map_err(BoxError::from).boxed())
            }
        };
        self.cors.mark(origin, &mut response);
        add_security_headers(&mut response, strict);
        Ok(response)
    }

    /// Whoever switched administration over HTTP off has no dashboard either.
    fn has_ui(&self) -> bool {
        let admin = &self.web.config().raw.admin;
        admin.http && admin.ui
    }

    /// What the connection says of the caller, for whoever identifies it.
    fn known_of(peer: &Peer) -> Extensions {
        let mut extensions = Extensions::new();
        if let Some(certificate) = &peer.certificate {
            extensions.insert(Arc::clone(certificate));
        }
        if let Some(socket) = peer.socket {
            extensions.insert(socket);
        }
        extensions
    }

    /// A connection for which there was no room.
    fn turned_away(&self) {
        self.pipeline.metrics().refused("connection");
    }
}

/// `strict` adds HSTS (RFC 6797): only over TLS, where a browser heeds it, and only for names that are ours alone. On
/// "localhost" it would force TLS upon every other server of this machine, and addresses cannot have it (section 8.1.1).
fn add_security_headers(response: &mut Response<Body>, strict: bool) {
    let headers = response.headers_mut();
    let says_more = headers.contains_key(header::CONTENT_SECURITY_POLICY);
    let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    // A page with a form says more itself.
    if !says_more {
        set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
        set(header::REFERRER_POLICY, "no-referrer");
    }
    if strict {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    headers.remove(header::SERVER);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// A host name that is neither an address nor one of loopback (RFC 6761, section 6.3).
fn has_public_name<B>(request: &Request<B>) -> bool {
    let Some(host) = guard::host_of(request) else { return false };
    let name = guard::without_port(&host).trim_matches(['[', ']']).to_ascii_lowercase();
    name.parse::<IpAddr>().is_err() && name != "localhost" && !name.ends_with(".localhost")
}

fn plain(status: StatusCode, message: &str) -> Response<Body> {
    let body = serde_json::json!({"error": {"message": message}}).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
