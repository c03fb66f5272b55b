//! Cross-origin requests: which pages of other origins may read what Sekisho answers (Fetch Standard, section 3.2).

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, header};

/// What a client of MCP in a browser sends.
const HEADERS: &str =
    "Authorization, Content-Type, Accept, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Last-Event-ID";
/// What it may read beside the body.
const EXPOSED: &str = "Mcp-Session-Id, WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy";

/// The origins of `http.allowed_origins`, in lower case.
#[derive(Debug)]
pub(super) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub(super) fn new(origins: &[String]) -> Self {
        Self { origins: origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect() }
    }

    /// The request's origin, where its pages may read answers. Loopback origins that are not named may ask, as
    /// everything on this machine may, and their pages read nothing.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let known = origin.to_str().is_ok_and(|origin| self.origins.contains(&origin.to_ascii_lowercase()));
        known.then(|| origin.clone())
    }

    /// Says in `response` who may read it: this origin by name, never `*`, and never with cookies or the browser's
    /// own credentials. A token is in a header that the page sets itself.
    pub(super) fn mark<B>(&self, origin: Option<HeaderValue>, response: &mut Response<B>) {
        if self.origins.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

/// A browser's question before the request itself. It carries no credential, and so is answered without one.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What the answer to a preflight says beside [`Cors::mark`].
pub(super) fn permit<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    // Ten minutes: an origin that is taken off the list is refused by its real requests at once anyway.
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
