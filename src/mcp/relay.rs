//! What a stdio client may not notice: its server going away. A relay remembers what a new server must know.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::base::bound;

/// In a request's `_meta`: it was sent before, to a server that went away without an answer.
pub const RESENT: &str = "sekisho/resent";

/// What one client has said and not yet been answered, and what any server must be told first. Pure: lines in, lines out.
#[derive(Debug, Default)]
pub struct Memory {
    /// The `initialize` request, once it was answered.
    initialize: Option<Value>,
    initialized: bool,
    level: Option<Value>,
    /// Resource URI -> the request that subscribed to it.
    subscribed: BTreeMap<String, Value>,
    /// Requests without an answer, in the order they came.
    pending: Vec<(Value, Value)>,
    /// Ids of our own repetitions: their answers are not the client's.
    ours: HashSet<String>,
    /// Ids of repeated `subscriptions/listen`: their second acknowledgement is not the client's.
    acknowledged: HashSet<String>,
    repeats: u64,
}

/// A client asked for more at once than a relay remembers.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

impl Memory {
    /// Notes a line of the client.
    pub fn from_client(&mut self, line: &str) -> Result<(), TooMany> {
        let Ok(message) = serde_json::from_str::<Value>(line) else { return Ok(()) };
        let method = message.get("method").and_then(Value::as_str);
        match (method, message.get("id")) {
            (Some(_), Some(id)) => {
                if self.pending.len() >= bound::RELAY_PENDING_MAX {
                    return Err(TooMany);
                }
                self.pending.push((id.clone(), message.clone()));
            }
            (Some("notifications/initialized"), None) => self.initialized = true,
            (Some("notifications/cancelled"), None) => {
                let cancelled = message.pointer("/params/requestId");
                self.pending.retain(|(id, _)| Some(id) != cancelled);
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes a line of the server; false if the client must not see it.
    pub fn from_server(&mut self, line: &str) -> bool {
        let Ok(message) = serde_json::from_str::<Value>(line) else { return true };
        if message.get("method").is_some() {
            return !self.is_second_acknowledgement(&message);
        }
        let Some(id) = message.get("id") else { return true };
        if id.as_str().is_some_and(|id| self.ours.remove(id)) {
            return false;
        }
        let Some(at) = self.pending.iter().position(|(pending, _)| pending == id) else { return true };
        let (_, request) = self.pending.remove(at);
        if message.get("error").is_none() {
            self.remember(request);
        }
        true
    }

    /// Whether every request was answered.
    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty()
    }

    /// The lines that make a new server the old one: the session's beginning, its choices, and what is unanswered.
    pub fn replay(&mut self) -> Vec<String> {
        self.ours.clear();
        let mut lines = Vec::new();
        // An `initialize` without an answer is among the pending and comes first there.
        for request in self.initialize.iter().cloned().collect::<Vec<_>>() {
            lines.push(self.repeated(request));
        }
        if self.initialized {
            lines.push(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        }
        let choices: Vec<Value> = self.level.iter().chain(self.subscribed.values()).cloned().collect();
        for request in choices {
            lines.push(self.repeated(request));
        }
        for (id, request) in &self.pending {
            if request["method"] == "subscriptions/listen" {
                self.acknowledged.insert(id.to_string());
            }
            lines.push(marked(request.clone()).to_string());
        }
        lines
    }

    fn remember(&mut self, request: Value) {
        let uri = request.pointer("/params/uri").and_then(Value::as_str).map(str::to_owned);
        match request.get("method").and_then(Value::as_str) {
            Some("initialize") => self.initialize = Some(request),
            Some("logging/setLevel") => self.level = Some(request),
            Some("resources/subscribe") if self.subscribed.len() < bound::SUBSCRIPTIONS_MAX => {
                self.subscribed.extend(uri.map(|uri| (uri, request)));
            }
            Some("resources/unsubscribe") => {
                self.subscribed.remove(&uri.unwrap_or_default());
            }
            _ => {}
        }
    }

    /// The request under an id of ours, whose answer will be kept from the client.
    fn repeated(&mut self, mut request: Value) -> String {
        self.repeats += 1;
        let id = format!("sekisho-relay-{}", self.repeats);
        request["id"] = json!(id);
        self.ours.insert(id);
        request.to_string()
    }

    fn is_second_acknowledgement(&mut self, message: &Value) -> bool {
        if message["method"] != "notifications/subscriptions/acknowledged" {
            return false;
        }
        let id = message.pointer("/params/_meta/io.modelcontextprotocol~1subscriptionId");
        id.is_some_and(|id| self.acknowledged.remove(&id.to_string()))
    }
}

/// The request with a note that it was sent before.
fn marked(mut request: Value) -> Value {
    if let Some(request) = request.as_object_mut() {
        let params = request.entry("params").or_insert_with(|| json!({}));
        if let Some(params) = params.as_object_mut() {
            let meta = params.entry("_meta").or_insert_with(|| json!({}));
            if let Some(meta) = meta.as_object_mut() {
                meta.insert(RESENT.into(), json!(true));
            }
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(memory: &mut Memory, id: u64, method: &str, params: Value) {
        memory
            .from_client(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())
            .unwrap();
    }

    fn answer(memory: &mut Memory, id: &Value) -> bool {
        memory.from_server(&json!({"jsonrpc": "2.0", "id": id, "result": {}}).to_string())
    }

    #[test]
    fn a_new_server_is_told_the_session_and_asked_what_is_open() {
        let mut memory = Memory::default();
        say(&mut memory, 1, "initialize", json!({"protocolVersion": "2025-06-18"}));
        assert!(answer(&mut memory, &json!(1)));
        memory.from_client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
        say(&mut memory, 2, "logging/setLevel", json!({"level": "error"}));
        say(&mut memory, 3, "resources/subscribe", json!({"uri": "sekisho://a/b"}));
        say(&mut memory, 4, "resources/subscribe", json!({"uri": "sekisho://a/c"}));
        say(&mut memory, 5, "resources/unsubscribe", json!({"uri": "sekisho://a/c"}));
        for id in 2..=5 {
            assert!(answer(&mut memory, &json!(id)));
        }
        say(&mut memory, 6, "tools/call", json!({"name": "search_documents"}));
        let lines: Vec<Value> = memory.replay().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let methods: Vec<&str> = lines.iter().filter_map(|line| line["method"].as_str()).collect();
        assert_eq!(
            methods,
            ["initialize", "notifications/initialized", "logging/setLevel", "resources/subscribe", "tools/call"]
        );
        assert_eq!(lines[3]["params"]["uri"], "sekisho://a/b");
        assert_eq!(lines[4]["id"], 6);
        assert_eq!(lines[4]["params"]["_meta"][RESENT], true);
        for line in &lines[..4] {
            assert!(
                line.get("id").is_none() || !answer(&mut memory, &line["id"]),
                "the client saw the answer to {line}"
            );
        }
        assert!(answer(&mut memory, &json!(6)));
        assert!(memory.is_quiet());
    }

    #[test]
    fn an_unanswered_initialize_is_simply_sent_again() {
        let mut memory = Memory::default();
        say(&mut memory, 1, "initialize", json!({}));
        assert_eq!(memory.replay().len(), 1);
        assert!(answer(&mut memory, &json!(1)));
    }

    #[test]
    fn a_subscription_stream_is_acknowledged_once() {
        let mut memory = Memory::default();
        say(&mut memory, 9, "subscriptions/listen", json!({"notifications": {}}));
        let acknowledgement = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": 9}}})
        .to_string();
        assert!(memory.from_server(&acknowledgement));
        assert_eq!(memory.replay().len(), 1);
        assert!(!memory.from_server(&acknowledgement));
        assert!(memory.from_server(&acknowledgement));
    }

    #[test]
    fn what_was_cancelled_is_not_asked_again() {
        let mut memory = Memory::default();
        say(&mut memory, 1, "tools/call", json!({}));
        memory.from_client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).unwrap();
        assert!(memory.replay().is_empty());
    }

    #[test]
    fn noise_passes_and_floods_are_refused() {
        let mut memory = Memory::default();
        memory.from_client("not json").unwrap();
        assert!(memory.from_server("not json"));
        for id in 0..bound::RELAY_PENDING_MAX as u64 {
            say(&mut memory, id, "ping", json!({}));
        }
        assert_eq!(memory.from_client(r#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#), Err(TooMany));
    }
}
