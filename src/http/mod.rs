//! The listener: bounds and timeouts on every connection, Host and Origin on every request, one dispatch for all.

pub mod control;
pub mod forwarded;
pub mod guard;
pub mod listener;
pub mod metrics;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use ::http::{HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tower_service::Service;

use crate::config::{Config, Proxies};
use crate::mcp::http::McpHttp;
use crate::pipeline::Pipeline;
use crate::pipeline::request::Via;
use crate::web::{self, Web};
use guard::Guard;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = BoxBody<Bytes, BoxError>;

/// Everything behind the TCP port.
#[derive(Debug)]
pub struct Site {
    mcp: McpHttp,
    web: Arc<Web>,
    guard: Guard,
    pipeline: Arc<Pipeline>,
    proxies: Proxies,
    tls: bool,
}

impl Site {
    pub fn new(mcp: McpHttp, web: Arc<Web>, config: &Config) -> Arc<Self> {
        let pipeline = Arc::clone(&web.pipeline);
        let proxies = config.http.proxies.clone();
        Arc::new(Self { mcp, web, guard: Guard::new(&config.http), pipeline, proxies, tls: config.http.tls.is_some() })
    }

    /// One request from `peer`.
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Infallible> {
        let client = forwarded::client(&self.proxies, peer, request.headers());
        let mut response = match self.guard.check(&request) {
            Err(reason) => {
                self.pipeline
                    .record_foreign_refusal(
                        None,
                        &Via::Http { peer: client, is_tls: self.tls, user_agent: None },
                        Some("http".into()),
                        &reason.private,
                    )
                    .await;
                plain(reason.status, reason.public)
            }
            Ok(()) if request.uri().path() == "/mcp" => {
                self.mcp.handle(request, peer, client).await.map(|body| body.map_err(|never| match never {}).boxed())
            }
            Ok(()) => {
                let Ok(response) = warp::service(web::public(Arc::clone(&self.web))).call(request).await;
                response.map(|body| body.map_err(BoxError::from).boxed())
            }
        };
        self.add_security_headers(&mut response);
        Ok(response)
    }

    fn add_security_headers(&self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::X_FRAME_OPTIONS, "DENY");
        set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
        set(header::REFERRER_POLICY, "no-referrer");
        if self.tls {
            set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

fn plain(status: StatusCode, message: &str) -> Response<Body> {
    let body = serde_json::json!({"error": {"message": message}}).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
