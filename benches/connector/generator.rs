//! Callers over keep-alive connections: each sends a request, reads the answer, and sends the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::api;
use crate::common::Watch;

const VERSION: &str = "2026-07-28";

/// What is asked of one server, again and again.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    address: SocketAddr,
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
}

impl Target {
    /// The API, as a program would call it.
    pub(crate) fn direct(name: &'static str, address: SocketAddr) -> anyhow::Result<Arc<Self>> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&address.to_string())?);
        Ok(Arc::new(Self { name, address, method: Method::GET, path: api::PATH, headers, body: Bytes::new() }))
    }

    /// The same as a tool.
    pub(crate) fn tool(
        name: &'static str,
        address: SocketAddr,
        token: Option<&str>,
        tool: &'static str,
    ) -> anyhow::Result<Arc<Self>> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&address.to_string())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static(VERSION));
        headers.insert(HeaderName::from_static("mcp-method"), HeaderValue::from_static("tools/call"));
        headers.insert(HeaderName::from_static("mcp-name"), HeaderValue::from_static(tool));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        }
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": tool, "arguments": {"id": "item-42", "detail": "full"}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        Ok(Arc::new(Self { name, address, method: Method::POST, path: "/mcp", headers, body: body.into() }))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The sender is told how it ends.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }

    async fn ask(&self, sender: &mut SendRequest<Full<Bytes>>) -> anyhow::Result<Bytes> {
        let request = Request::builder().method(&self.method).uri(self.path);
        let mut request = request.body(Full::new(self.body.clone()))?;
        *request.headers_mut() = self.headers.clone();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        // Parsing each answer would measure the parser; a failure is short.
        if status == StatusCode::OK && body.len() > 900 {
            return Ok(body);
        }
        let found: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        bail!("{}: expected 200 and the item, found {status} and {found}", self.name)
    }

    /// Asks once and looks at the whole of the answer. Returns its length in bytes.
    pub(crate) async fn check(&self) -> anyhow::Result<usize> {
        let body = self.ask(&mut self.connect().await?).await?;
        let text = String::from_utf8_lossy(&body);
        if !text.contains("A lamp of paper") || text.contains("\"isError\":true") {
            bail!("{}: expected the item, found {text}", self.name);
        }
        Ok(body.len())
    }

    /// What `connections` at once get in `window`: the time of each answer.
    pub(crate) async fn press(self: &Arc<Self>, connections: usize, window: Duration) -> anyhow::Result<Vec<Duration>> {
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(self.connect().await?);
        }
        let watch = Arc::new(Watch::start());
        let mut callers = JoinSet::new();
        for mut sender in senders {
            let (this, watch) = (Arc::clone(self), Arc::clone(&watch));
            callers.spawn(async move {
                let mut times = Vec::new();
                let mut begun = watch.elapsed();
                while begun < window {
                    this.ask(&mut sender).await?;
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
