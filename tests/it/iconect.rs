//! iCONECT as it is used: the API in a process of its own, under TLS by an authority of its own, behind a login by
//! browser whose token ends while it is used.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::Seen;
use crate::connector_call::{hold, listed, names, sample};
use crate::oauth::{count, installation, log_in_at, nowhere_at};
use crate::strongroom::check;
use crate::upstream::Upstream;

/// A request, as the process tells it.
fn seen(echo: &Value) -> Seen {
    let text = |name: &str| echo[name].as_str().unwrap().to_owned();
    let query = if text("query").is_empty() { String::new() } else { format!("?{}", text("query")) };
    let headers = echo["headers"].as_object().unwrap().iter();
    Seen {
        method: text("method"),
        target: format!("{}{query}", text("path")),
        headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
        body: text("body").into_bytes(),
    }
}

#[test]
fn all_141_operations_are_called_under_tls_for_one_who_logged_in_and_whose_token_ends_midway() {
    let installation = installation();
    installation.operate();
    let server = installation.serve();
    let ca = installation.folder("documents").join("ca.pem");
    let upstream = Upstream::start_tls(&ca);
    let (ca, url) = (ca.to_str().unwrap(), upstream.url.as_str());
    let add = ["connector", "add", "iconect", "--base-url", url, "--network", "127.0.0.0/8", "--yes"];
    check(&installation.run(&[&add[..], &["--ca", ca]].concat()), 0, &["49 of 141"]);
    check(
        &installation.run(&["connector", "enable", "iconect", "--reads", "--writes", "--deletes"]),
        0,
        &["141 of 141"],
    );
    let bind = ["connector", "bind", "iconect", "--as", "oauth", "--client", "sekisho"];
    check(&installation.run(&bind), 0, &["https://127.0.0.1", "/oauth/token"]);
    log_in_at(&installation, &upstream, "iconect", &[]);

    let rows: Vec<Value> = serde_json::from_str(include_str!("../fixtures/iconect-wire.json")).unwrap();
    let rows: BTreeMap<&str, &Value> = rows.iter().map(|row| (row["tool"].as_str().unwrap(), row)).collect();
    // With those that log in and out.
    assert_eq!(names(&server, "iconect").len(), 144);
    let tools: Vec<Value> =
        listed(&server).into_iter().filter(|tool| rows.contains_key(tool["name"].as_str().unwrap())).collect();
    assert_eq!(tools.len(), 141);
    upstream.seen();
    let mut tokens: Vec<String> = Vec::new();
    for (place, tool) in tools.iter().enumerate() {
        let (name, schema) = (tool["name"].as_str().unwrap(), &tool["inputSchema"]);
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let arguments: Map<String, Value> =
            properties.iter().map(|(name, it)| (name.clone(), sample(it, &schema["$defs"]))).collect();
        let ends = place == tools.len() / 2;
        if ends {
            upstream.tell(serde_json::json!({"revoke_access": true}));
        }
        let result = server.call(name, Value::Object(arguments.clone()));
        assert_ne!(result["isError"], true, "{name}: {result}");
        let heard: Vec<Seen> = upstream.seen().iter().map(seen).collect();
        // The one that was refused is repeated to the byte, with another token.
        assert_eq!(heard.len(), 1 + usize::from(ends), "{name}");
        for request in &heard {
            hold(rows[name], &arguments, request, "/v1");
            let token = request.header("authorization").unwrap().strip_prefix("Bearer canary-access-").unwrap();
            if !tokens.iter().any(|known| known == token) {
                tokens.push(token.to_owned());
            }
        }
    }
    assert_eq!(tokens.len(), 2, "one before the token ended, and one after");
    assert_eq!((count(&upstream, "authorization_code"), count(&upstream, "refresh_token")), (1, 1));
    nowhere_at(&installation, server, (&upstream, "iconect"), &[]);
}
