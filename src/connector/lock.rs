//! The lock: each operation's digest as text that people review, and what a changed document would change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::tool::{self, Schemes, Tool};
use crate::base::bound::connector as bound;
use crate::base::id::hex;
use crate::crypto::digest::sha256;

/// What a lock pins.
#[derive(Clone, Copy, Debug)]
pub struct Pinned<'a> {
    pub tools: &'a [Tool],
    /// A token endpoint that changes matters as much as an operation.
    pub security: &'a Schemes,
}

/// One line for each operation, in the order of their names: digest, method, path, name. The last one is of the
/// security schemes.
pub fn text(connector: &str, pinned: Pinned<'_>) -> String {
    let mut text = format!(
        "# Operations of the connector {connector}, as Sekisho exposes them. The digest covers every word an\n# agent reads and every byte of how a call is made.\n"
    );
    for tool in pinned.tools {
        // Writing to a String cannot fail.
        let _never =
            writeln!(text, "sha256:{} {:<6} {} {}", hex(&tool.digest()), tool.method.as_str(), tool.path, tool.name);
    }
    let security = tool::canonical_of(pinned.security);
    let _never = writeln!(text, "sha256:{} security schemes", hex(&sha256(&[security.as_bytes()])));
    text
}

/// SHA-256 of the lock's text, in hexadecimal: who approves a change names what was looked at.
pub fn digest(connector: &str, pinned: Pinned<'_>) -> String {
    hex(&sha256(&[text(connector, pinned).as_bytes()]))
}

/// What a document changes of another one's tools.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// Names of tools.
    pub added: Vec<Row>,
    pub removed: Vec<Row>,
    pub changed: Vec<Changed>,
    /// Of the security schemes.
    pub security: Option<Changed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: String,
    pub method: &'static str,
    pub path: String,
    pub title: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    pub name: String,
    pub changes: Vec<Change>,
    /// How many more there are.
    pub more: usize,
}

/// One value in the tool's canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Such as `/description` or `/input/properties/id/type`.
    pub pointer: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Diff {
    pub fn between(before: Pinned<'_>, after: Pinned<'_>) -> Self {
        let security = (before.security != after.security)
            .then(|| changes("security schemes", &json(before.security), &json(after.security)));
        let (before, after) = (by_name(before.tools), by_name(after.tools));
        let row = |tool: &Tool| Row {
            name: tool.name.clone(),
            method: tool.method.as_str(),
            path: tool.path.clone(),
            title: tool.title.clone(),
        };
        let only = |these: &BTreeMap<&str, &Tool>, those: &BTreeMap<&str, &Tool>| {
            these.iter().filter(|(name, _)| !those.contains_key(*name)).map(|(_, tool)| row(tool)).collect()
        };
        let both = before.iter().filter_map(|(name, old)| Some((name, old, after.get(name)?)));
        let changed = both.filter(|(_, old, new)| old.digest() != new.digest());
        Self {
            added: only(&after, &before),
            removed: only(&before, &after),
            changed: changed.map(|(name, old, new)| changes(name, &json(old), &json(new))).collect(),
            security,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && self.security.is_none()
    }
}

fn by_name(tools: &[Tool]) -> BTreeMap<&str, &Tool> {
    tools.iter().map(|tool| (tool.name.as_str(), tool)).collect()
}

fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn changes(name: &str, old: &Value, new: &Value) -> Changed {
    let mut found = Vec::new();
    let mut queue = vec![(String::new(), Some(old), Some(new))];
    while let Some((pointer, old, new)) = queue.pop() {
        match (old, new) {
            (Some(Value::Object(one)), Some(Value::Object(two))) => {
                let names = one.keys().chain(two.keys().filter(|name| !one.contains_key(*name)));
                let below = names.map(|name| {
                    (format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), one.get(name), two.get(name))
                });
                queue.extend(below);
            }
            (Some(Value::Array(one)), Some(Value::Array(two))) => {
                let below = (0..one.len().max(two.len())).map(|n| (format!("{pointer}/{n}"), one.get(n), two.get(n)));
                queue.extend(below);
            }
            (old, new) if old == new => {}
            (old, new) => found.push(Change { pointer, before: old.map(short), after: new.map(short) }),
        }
    }
    found.sort_by(|one, two| rank(&one.pointer).cmp(&rank(&two.pointer)).then_with(|| one.pointer.cmp(&two.pointer)));
    let more = found.len().saturating_sub(bound::DIFF_CHANGES_MAX);
    found.truncate(bound::DIFF_CHANGES_MAX);
    Changed { name: name.to_owned(), changes: found, more }
}

/// Where a call goes and what it does stand first: a hundred changes of words must not push them out of what is read.
fn rank(pointer: &str) -> usize {
    let first = pointer.split('/').nth(1).unwrap_or_default();
    let all = ["method", "path", "template", "body", "parameters", "upload", "security"];
    all.iter().position(|name| *name == first).unwrap_or(all.len())
}

fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(bound::DIFF_VALUE_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connector::tool::{Import, import};
    use crate::openapi;

    fn zoo(summary: &str, kind: &str, paths: &[&str], token_url: &str) -> Import {
        let operation = json!({"get": {"summary": summary, "parameters": [{"name": "a", "in": "query", "schema": {"type": kind}}]}});
        let paths: serde_json::Map<String, Value> =
            paths.iter().map(|path| ((*path).to_owned(), operation.clone())).collect();
        let flows = json!({"clientCredentials": {"tokenUrl": token_url, "scopes": {}}});
        let components = json!({"securitySchemes": {"oauth": {"type": "oauth2", "flows": flows}}});
        let text = json!({"openapi": "3.1.0", "paths": paths, "components": components}).to_string();
        import("zoo", openapi::read(text.as_bytes()).unwrap())
    }

    fn pinned(import: &Import) -> Pinned<'_> {
        Pinned { tools: &import.tools, security: &import.security }
    }

    #[test]
    fn a_difference_says_what_came_what_went_and_what_changed() {
        let before = zoo("One", "string", &["/a", "/b"], "https://zoo.example/token");
        let after = zoo("Two", "integer", &["/b", "/c"], "https://evil.example/token");
        let diff = Diff::between(pinned(&before), pinned(&after));
        assert_eq!((diff.added[0].name.as_str(), diff.removed[0].name.as_str()), ("zoo_get_c", "zoo_get_a"));
        let pointers: Vec<&str> = diff.changed[0].changes.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/description", "/input/properties/a/type", "/title"]);
        assert_eq!(diff.changed[0].changes[1].after.as_deref(), Some("integer"));
        let security = diff.security.unwrap();
        assert_eq!(security.changes[0].after.as_deref(), Some("https://evil.example/token"));
        assert!(Diff::between(pinned(&before), pinned(&before)).is_empty());
    }

    #[test]
    fn where_a_call_goes_stands_before_all_words_of_it() {
        let of = |method: &str, path: &str, word: &str| {
            let properties: serde_json::Map<String, Value> =
                (0..2 * bound::DIFF_CHANGES_MAX).map(|n| (format!("p{n}"), json!({"description": word}))).collect();
            let body = json!({"required": true, "content": {"application/json": {"schema": {
                "type": "object", "properties": properties}}}});
            let operation = json!({"operationId": "toys", "requestBody": body});
            let text = json!({"openapi": "3.1.0", "paths": {path: {method: operation}}}).to_string();
            import("zoo", openapi::read(text.as_bytes()).unwrap())
        };
        let (before, after) = (of("post", "/toys", "a toy"), of("put", "/toys/all", "one toy"));
        let changed = Diff::between(pinned(&before), pinned(&after)).changed.remove(0);
        assert_eq!(changed.changes.len(), bound::DIFF_CHANGES_MAX);
        assert!(changed.more > 0);
        let first: Vec<&str> = changed.changes[..3].iter().map(|it| it.pointer.split('/').nth(1).unwrap()).collect();
        assert_eq!(first, ["method", "path", "template"]);
    }

    #[test]
    fn the_lock_is_text_with_a_line_for_each_operation_and_one_for_the_security_schemes() {
        let zoo = zoo("One", "string", &["/b", "/a"], "https://zoo.example/token");
        let text = text("zoo", pinned(&zoo));
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("sha256:") && lines[0].ends_with("GET    /a zoo_get_a"), "{text}");
        let fewer = Pinned { tools: &zoo.tools[1..], ..pinned(&zoo) };
        assert_ne!(digest("zoo", pinned(&zoo)), digest("zoo", fewer));
    }
}
