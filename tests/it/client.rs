//! An HTTP client with a credential of its own, and an address that a trusted proxy names.

use sekisho::audit::log::LogHook;
use sekisho::auth::token::{self, TokenRecord};
use sekisho::base::clock::Timestamp;
use sekisho::base::principal::Role;
use sekisho::store::{Batch, Store};
use serde_json::{Value, json};

use crate::harness::{Installation, MODERN, Reply, Server, base_headers, text};

/// Whoever shows `token`, from `address`.
#[derive(Clone)]
pub(crate) struct Client {
    authorization: String,
    address: Option<String>,
}

impl Client {
    pub(crate) fn with(token: &str) -> Self {
        Self { authorization: format!("Bearer {token}"), address: None }
    }

    /// With an `Authorization` header of any scheme.
    pub(crate) fn with_header(authorization: &str) -> Self {
        Self { authorization: authorization.to_owned(), address: None }
    }

    /// Needs [`behind_a_proxy`].
    pub(crate) fn from(&self, address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..self.clone() }
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = base_headers(&self.authorization);
        headers.extend(self.address.as_deref().map(|address| ("X-Forwarded-For", address)));
        headers
    }

    /// A message of the newest protocol.
    pub(crate) fn modern(&self, server: &Server, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut headers = self.headers();
        headers.extend([("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)]);
        if !name.is_empty() {
            headers.push(("Mcp-Name", &name));
        }
        server.raw("POST", "/mcp", &headers, &body)
    }

    pub(crate) fn call(&self, server: &Server, tool: &str) -> Reply {
        self.modern(server, "tools/call", json!({"name": tool, "arguments": {}}))
    }

    /// A message in a session of an older protocol.
    pub(crate) fn legacy(&self, server: &Server, session: Option<&str>, message: &Value) -> Reply {
        let mut headers = self.headers();
        if let Some(session) = session {
            headers.extend([("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-06-18")]);
        }
        server.raw("POST", "/mcp", &headers, &message.to_string())
    }

    pub(crate) fn initialize(&self, server: &Server) -> Reply {
        let hello =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        self.legacy(server, None, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}))
    }

    /// Begins a session of an older protocol.
    pub(crate) fn begin(&self, server: &Server) -> String {
        let begun = self.initialize(server);
        let session = begun.header("mcp-session-id").unwrap_or_else(|| panic!("{begun:?}")).to_owned();
        self.legacy(server, Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        session
    }

    pub(crate) fn list(&self, server: &Server, session: &str) -> Reply {
        self.legacy(server, Some(session), &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}))
    }

    pub(crate) fn leave(&self, server: &Server, session: &str) -> Reply {
        let mut headers = self.headers();
        headers.push(("Mcp-Session-Id", session));
        server.raw("DELETE", "/mcp", &headers, "")
    }
}

/// Makes a bearer token of this name in an installation that no server runs on.
pub(crate) fn issue(installation: &Installation, name: &str) -> Client {
    let token = token::make().unwrap();
    let record = TokenRecord::new(name, Role::Reader, &token, Timestamp(0));
    let row = token::row(&token, &record).unwrap();
    let opened = Store::open(&installation.data().join("sekisho.redb")).unwrap();
    let hook = LogHook::of(&opened).unwrap();
    let store = opened.start(Box::new(hook)).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        store.commit(Batch::puts(vec![row])).await.unwrap();
        store.close().await;
    });
    Client::with(&text(token.expose_secret()))
}

/// The harness, which connects from loopback, may name its clients' addresses.
pub(crate) fn behind_a_proxy(installation: &mut Installation) {
    installation.set("HTTP_TRUSTED_PROXIES", "[\"127.0.0.1\"]");
}

/// How many entries have a reason with this in it; alerts quote those of others.
pub(crate) fn reasons(installation: &Installation, part: &str) -> usize {
    let with = |entry: &&Value| {
        entry["event"] != "alert" && entry["reason"].as_str().is_some_and(|reason| reason.contains(part))
    };
    installation.entries().iter().filter(with).count()
}
