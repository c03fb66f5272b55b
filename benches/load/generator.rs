//! Callers over keep-alive connections: each sends a request, reads the answer, and sends the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::common::Watch;

const VERSION: &str = "2026-07-28";

/// `tools/call` as protocol 2026-07-28 wants it: each request says by itself what a handshake said before.
pub(crate) fn call(tool: &str, arguments: &Value) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

/// What is asked of one server, again and again.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
    headers: HeaderMap,
    bodies: Vec<Bytes>,
}

impl Target {
    pub(crate) fn new(
        name: &'static str,
        (process, address): (u32, SocketAddr),
        authorization: Option<&str>,
        tool: &'static str,
        arguments: &[Value],
    ) -> anyhow::Result<Arc<Self>> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&address.to_string())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static(VERSION));
        headers.insert(HeaderName::from_static("mcp-method"), HeaderValue::from_static("tools/call"));
        headers.insert(HeaderName::from_static("mcp-name"), HeaderValue::from_static(tool));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization)?);
        }
        let bodies = arguments.iter().map(|it| Bytes::from(call(tool, it).to_string())).collect();
        Ok(Arc::new(Self { name, address, process, headers, bodies }))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The sender is told how it ends.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }

    /// The answer to the request of this number.
    async fn ask(&self, sender: &mut SendRequest<Full<Bytes>>, number: usize) -> anyhow::Result<Bytes> {
        let body = self.bodies[number % self.bodies.len()].clone();
        let mut request = Request::post("/mcp").body(Full::new(body))?;
        *request.headers_mut() = self.headers.clone();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        // Parsing each answer would measure the parser.
        let head = &body[..body.len().min(64)];
        if status == StatusCode::OK && head.windows(9).any(|it| it == b"\"result\":") {
            return Ok(body);
        }
        let found: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        bail!("{}: expected 200 and a result, found {status} and {found}", self.name)
    }

    /// Asks each request once and looks at the whole of each answer. Returns their mean length in bytes.
    pub(crate) async fn check(&self) -> anyhow::Result<usize> {
        let mut sender = self.connect().await?;
        let mut bytes = 0;
        for number in 0..self.bodies.len() {
            let body = self.ask(&mut sender, number).await?;
            bytes += body.len();
            let answer: Value = serde_json::from_slice(&body)?;
            if !answer["result"]["content"].is_array() || answer["result"]["isError"] == true {
                bail!("{}: expected a tool's result, found {answer}", self.name);
            }
        }
        Ok(bytes / self.bodies.len().max(1))
    }

    /// What `connections` at once get in `window`: the time of each answer.
    pub(crate) async fn press(self: &Arc<Self>, connections: usize, window: Duration) -> anyhow::Result<Vec<Duration>> {
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(self.connect().await?);
        }
        let watch = Arc::new(Watch::start());
        let mut callers = JoinSet::new();
        for (first, mut sender) in senders.into_iter().enumerate() {
            let (this, watch) = (Arc::clone(self), Arc::clone(&watch));
            callers.spawn(async move {
                let mut times = Vec::new();
                let mut begun = watch.elapsed();
                // Each begins with another request.
                for number in first.. {
                    if begun >= window {
                        break;
                    }
                    this.ask(&mut sender, number).await?;
                    let ended = watch.elapsed();
                    times.push(ended.saturating_sub(begun));
                    begun = ended;
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(caller) = callers.join_next().await {
            times.append(&mut caller??);
        }
        Ok(times)
    }
}
