//! What is served beside MCP: health and readiness for everybody, administration for whoever may.

pub mod api;
pub mod connect;
pub mod openapi;
pub mod rest;
pub mod route;
pub mod ui;
mod problem;
mod security_txt;
mod token;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use warp::http::{HeaderValue, StatusCode, header};
use warp::{Filter, Rejection, Reply};

use crate::auth::challenge;
use crate::base::bound;
use crate::base::refusal::Refusal;
use crate::config::Config;
use crate::pipeline::Pipeline;

/// The body of an answer.
pub type Answer = BoxBody<Bytes, Infallible>;

fn full(status: StatusCode, body: String) -> ::http::Response<Answer> {
    let mut response = ::http::Response::new(Full::new(Bytes::from(body)).boxed());
    *response.status_mut() = status;
    response
}

/// A page, with the headers that every one has. `policy` says what it may load (CSP).
fn page(status: StatusCode, html: String, policy: &'static str) -> ::http::Response<Answer> {
    let mut response = full(status, html);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        // With none at all a browser would say of its own form that it comes from nowhere.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Adds the header fields that say when to come back.
fn tell_when(response: &mut ::http::Response<Answer>, refusal: &Refusal) {
    for (name, value) in refusal.http_headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// Looks whether the installation can work; injected by `app`.
pub trait Readiness: Send + Sync {
    /// Names what is not ready; empty if all is.
    fn missing(&self) -> BoxFuture<'_, Vec<&'static str>>;

    /// Whether a server listens, and not only a command or a stdio client's process owns the directory.
    fn is_serving(&self) -> bool;

    /// Names what works and will not for long: whoever watches should look, whoever balances load need not.
    fn warnings(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// What a look found: what is missing, and what is warned of.
type Found = (Vec<&'static str>, Vec<&'static str>);

/// What the routes need.
pub struct Web {
    pub pipeline: Arc<Pipeline>,
    readiness: Arc<dyn Readiness>,
    config: Arc<Config>,
    dashboard: ui::Dashboard,
    /// The last look: asking costs a commit, and anybody may ask.
    looked: Mutex<Option<(Instant, Found)>>,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Web")
    }
}

impl Web {
    pub fn new(pipeline: Arc<Pipeline>, readiness: Arc<dyn Readiness>, config: Arc<Config>) -> Arc<Self> {
        let dashboard = ui::Dashboard::embedded();
        Arc::new(Self { pipeline, readiness, config, dashboard, looked: Mutex::default() })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    async fn look(&self) -> Found {
        // Not out of memory: whoever balances load should send nobody here any more.
        if self.pipeline.is_draining() {
            return (vec!["draining"], Vec::new());
        }
        if self.pipeline.frozen().is_some() {
            return (vec!["frozen"], Vec::new());
        }
        let mut looked = self.looked.lock().await;
        match &*looked {
            Some((at, found)) if at.elapsed() < Duration::from_millis(bound::READY_CACHE_MS) => found.clone(),
            _ => {
                let found = (self.readiness.missing().await, self.readiness.warnings());
                *looked = Some((Instant::now(), found.clone()));
                found
            }
        }
    }
}

/// Routes for anybody who reaches the port.
pub fn public(
    web: Arc<Web>,
) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone + Send + Sync + 'static {
    let (own, contacts) = (Arc::clone(&web), Arc::clone(&web));
    metadata(own).or(security_txt(contacts)).unify().or(state(web, At::Listener)).unify().recover(explain).unify()
}

/// Whom to tell of a weakness; nothing is there where no contact is configured.
fn security_txt(
    web: Arc<Web>,
) -> impl Filter<Extract = (warp::reply::Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path!(".well-known" / "security.txt").and(warp::get()).and_then(move || {
        let web = Arc::clone(&web);
        async move {
            web.pipeline.metrics().passed();
            let origin = web.config.http.public_url.as_deref();
            let text = security_txt::text(&web.config.contacts, origin, web.pipeline.now());
            let text = text.ok_or_else(warp::reject::not_found)?;
            // RFC 9116, section 3.
            Ok::<_, Rejection>(
                warp::reply::with_header(text, "content-type", "text/plain; charset=utf-8").into_response(),
            )
        }
    })
}

/// Where an OAuth client finds who gives out tokens for us (RFC 9728, section 3).
fn metadata(
    web: Arc<Web>,
) -> impl Filter<Extract = (warp::reply::Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    let paths = warp::path::full().and_then(|path: warp::path::FullPath| async move {
        let known = challenge::METADATA_PATHS.contains(&path.as_str());
        if known { Ok(()) } else { Err(warp::reject::not_found()) }
    });
    paths.untuple_one().and(warp::get()).and(warp::host::optional()).map(move |host: Option<warp::host::Authority>| {
        web.pipeline.metrics().passed();
        let host = host.map(|host| host.to_string()).unwrap_or_default();
        let origin = challenge::origin(&web.config.http, &host);
        answer(StatusCode::OK, &challenge::metadata(&web.config.auth, &origin))
    })
}

/// Routes for the control socket; administration stands beside them, in [`rest`].
pub fn control(
    web: Arc<Web>,
) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone + Send + Sync + 'static {
    state(web, At::Control).recover(explain).unify()
}

/// Where somebody asks how we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Whoever gets an answer there knows that we listen.
    Listener,
    Control,
}

fn state(
    web: Arc<Web>,
    at: At,
) -> impl Filter<Extract = (warp::reply::Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    let counted = Arc::clone(&web);
    let health = warp::path!("health").and(warp::get()).map(move || {
        counted.pipeline.metrics().passed();
        warp::reply::json(&json!({"status": "up", "version": env!("CARGO_PKG_VERSION")})).into_response()
    });
    let ready = warp::path!("ready").and(warp::get()).then(move || {
        let web = Arc::clone(&web);
        async move {
            web.pipeline.metrics().passed();
            let (mut missing, warnings) = web.look().await;
            if at == At::Control && !web.readiness.is_serving() {
                missing.push("serving");
            }
            let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let mut body = json!({"ready": missing.is_empty(), "missing": missing});
            if !warnings.is_empty() {
                body["warnings"] = json!(warnings);
            }
            answer(status, &body)
        }
    });
    health.or(ready).unify()
}

fn answer(status: StatusCode, body: &Value) -> warp::reply::Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

async fn explain(rejection: Rejection) -> Result<warp::reply::Response, Infallible> {
    let (status, message) = if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, "There is nothing here. MCP is at /mcp; /health and /ready say how the server is.")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        (StatusCode::METHOD_NOT_ALLOWED, "This method is not for this path.")
    } else if rejection.find::<warp::reject::PayloadTooLarge>().is_some()
        || rejection.find::<warp::reject::LengthRequired>().is_some()
    {
        (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large, or does not say how large it is.")
    } else if rejection.find::<warp::reject::UnsupportedMediaType>().is_some() {
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send application/json.")
    } else if rejection.find::<warp::body::BodyDeserializeError>().is_some() {
        (StatusCode::BAD_REQUEST, "The body is not JSON of the right form.")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "Sekisho could not answer this.")
    };
    Ok(answer(status, &json!({"error": {"message": message}})))
}
