//! The API that is called, in a process of its own: one operation, an answer of the usual size, nothing looked up.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// With this argument the bench is the server.
pub(crate) const ARGUMENT: &str = "api-server";
/// What is asked for.
pub(crate) const PATH: &str = "/v1/items/item-42?detail=full";

/// Serves until standard input ends, which it does when the bench does.
pub(crate) fn serve() -> anyhow::Result<()> {
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(accept())
}

async fn accept() -> anyhow::Result<()> {
    let body = Bytes::from(answer().to_string());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("API at http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let answer = service_fn(move |_: Request<hyper::body::Incoming>| {
            let mut response = Response::new(Full::new(body.clone()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            async { Ok::<_, Infallible>(response) }
        });
        // How a connection ends is the caller's business.
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok() });
    }
}

/// About a kilobyte.
fn answer() -> Value {
    let tags: Vec<String> = (0..20).map(|n| format!("tag-{n}")).collect();
    json!({
        "id": "item-42",
        "name": "A lamp of paper, with a stand of wood",
        "price": {"amount": 4200, "currency": "JPY"},
        "description": "It is folded by hand. ".repeat(30),
        "tags": tags,
        "in_stock": true,
    })
}

/// The document from which both servers make their tool.
pub(crate) fn document(address: SocketAddr) -> String {
    let id = json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}});
    let detail = json!({"name": "detail", "in": "query", "schema": {"type": "string", "enum": ["short", "full"]}});
    let schema = json!({"type": "object", "required": ["id", "name"], "properties": {
        "id": {"type": "string"}, "name": {"type": "string"}}});
    let responses = json!({"200": {"description": "The item", "content": {"application/json": {"schema": schema}}}});
    let get = json!({"operationId": "get_item", "summary": "Show an item", "parameters": [id, detail], "responses": responses});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": format!("http://{address}/v1")}],
        "paths": {"/items/{id}": {"get": get}},
    })
    .to_string()
}
