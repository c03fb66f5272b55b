//! MCP over HTTP in both generations of the protocol: tools, resources, prompts, refusals, and their records.

use serde_json::{Value, json};

use crate::harness::{Installation, Server};

fn with_library() -> (Installation, Server) {
    let installation = Installation::new();
    let long: String = (1..=60).map(|n| format!("## Part {n}\n\n{}\n\n", "Words about cameras. ".repeat(40))).collect();
    installation.add_library(
        "demo",
        &[
            ("guides/camera.md", "---\ntitle: Camera\nplatform: [ios, android]\n---\n# Camera\n\n## Permissions\n\nAsk with `useCameraPermissions`.\n"),
            ("guides/long.md", &format!("# Long\n\n{long}")),
            ("notes.txt", "Plain words about battery life.\n"),
        ],
    );
    let server = installation.serve();
    (installation, server)
}

#[test]
fn tools_describe_themselves() {
    let (_installation, server) = with_library();
    let tools = server.modern("tools/list", json!({})).message()["result"]["tools"].clone();
    let names: Vec<&str> = tools.as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
    for name in ["list_libraries", "read_document", "search_documents"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for tool in tools.as_array().unwrap().iter().filter(|tool| tool["name"].as_str().unwrap().contains("document")) {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["annotations"]["idempotentHint"], true, "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert!(tool["title"].is_string());
    }
}

#[test]
fn a_hit_leads_to_its_section() {
    let (_installation, server) = with_library();
    let found = server.call("search_documents", json!({"query": "ask for camera permission", "libraries": ["demo"]}));
    let hit = found["structuredContent"]["hits"][0].clone();
    assert_eq!(
        (hit["path"].as_str(), hit["anchor"].as_str()),
        (Some("guides/camera.md"), Some("permissions")),
        "{hit}"
    );
    assert!(!hit["highlights"].as_array().unwrap().is_empty());
    let read = server.call(hit["read"]["tool"].as_str().unwrap(), hit["read"]["arguments"].clone());
    assert!(read["structuredContent"]["markdown"].as_str().unwrap().contains("useCameraPermissions"), "{read}");
    let by_facet = server.call("search_documents", json!({"query": "camera", "facets": {"platform": ["ios"]}}));
    assert!(
        by_facet["structuredContent"]["hits"].as_array().unwrap().iter().all(|hit| hit["path"] == "guides/camera.md")
    );
}

#[test]
fn pages_followed_to_the_end_are_the_document() {
    let (_installation, server) = with_library();
    let (mut cursor, mut all, mut pages) = (Value::Null, String::new(), 0);
    loop {
        let mut arguments = json!({"library": "demo", "path": "guides/long.md", "tokens_max": 500});
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let page = server.call("read_document", arguments)["structuredContent"].clone();
        all.push_str(page["markdown"].as_str().unwrap());
        pages += 1;
        cursor = page["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(pages > 10, "{pages}");
    assert!(all.contains("## Part 1\n") && all.contains("## Part 60\n"));
    let uri = "sekisho://demo/guides/long.md";
    let resource = server.modern("resources/read", json!({"uri": uri})).message()["result"]["contents"][0].clone();
    assert_eq!(resource["text"], all);
}

#[test]
fn mistakes_are_told_so_that_a_model_can_mend_them() {
    let (_installation, server) = with_library();
    let check = |tool: &str, arguments: Value, expect: &str| {
        let result = server.call(tool, arguments.clone());
        assert_eq!(result["isError"], true, "{arguments} {result}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(expect), "{arguments} gave {text:?}");
    };
    check("search_documents", json!({}), "query");
    check("search_documents", json!({"query": 7}), "/query");
    check("search_documents", json!({"query": "a", "colour": 1}), "colour");
    check("search_documents", json!({"query": "a", "limit": 51}), "/limit");
    check("search_documents", json!({"query": "a".repeat(20_000)}), "bytes");
    check("search_documents", json!({"query": "a", "libraries": ["nope"]}), "nope");
    check("read_document", json!({"library": "demo", "path": "nope.md"}), "no document");
    check("read_document", json!({"library": "demo", "path": "../../etc/passwd"}), "path_traversal.dot_dot_slash");
    check("read_document", json!({"library": "demo", "path": "guides/camera.md", "section": "nope"}), "permissions");
    check("read_document", json!({"library": "demo", "path": "guides/camera.md", "cursor": "x"}), "cursor");
    let unknown = server.modern("tools/call", json!({"name": "nope", "arguments": {}})).message();
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    let missing = server.modern("resources/read", json!({"uri": "sekisho://demo/nope"})).message();
    assert!(missing["error"]["message"].as_str().unwrap().contains("nope"), "{missing}");
}

#[test]
fn an_older_client_has_a_session_and_leaves_it() {
    let (installation, server) = with_library();
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let begun = server.legacy(None, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}));
    assert_eq!(begun.message()["result"]["protocolVersion"], "2025-06-18");
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    assert_eq!(session.len(), 64);
    server.legacy(Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let call = json!({"name": "list_libraries", "arguments": {}});
    let listed =
        server.legacy(Some(&session), &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}));
    assert_eq!(listed.message()["result"]["structuredContent"]["libraries"][0]["name"], "demo");
    let authorization = format!("Bearer {}", installation.token());
    let mut headers = crate::harness::base_headers(&authorization);
    headers.push(("Mcp-Session-Id", &session));
    assert!(server.raw("DELETE", "/mcp", &headers, "").status < 300);
    let gone = server.legacy(Some(&session), &json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}));
    assert_eq!(gone.status, 404);
}

#[test]
fn lists_come_in_pages_and_completions_complete() {
    let installation = Installation::new();
    let pages: Vec<(String, String)> =
        (0..130).map(|n| (format!("p/{n:03}.md"), format!("# Page {n}\n\ntext\n"))).collect();
    let pages: Vec<(&str, &str)> = pages.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    installation.add_library("many", &pages);
    let server = installation.serve();
    let (mut seen, mut params) = (Vec::new(), json!({}));
    loop {
        let result = server.modern("resources/list", params).message()["result"].clone();
        seen.extend(result["resources"].as_array().unwrap().iter().map(|resource| resource["uri"].clone()));
        match result.get("nextCursor") {
            Some(next) => params = json!({"cursor": next}),
            None => break,
        }
    }
    let of_many = seen.iter().filter(|uri| uri.as_str().unwrap().starts_with("sekisho://many/")).count();
    assert_eq!(of_many, 130);
    let complete = |argument: &str, value: &str| {
        let reference = json!({"type": "ref/resource", "uri": "sekisho://{library}/{path}"});
        let params = json!({"ref": reference, "argument": {"name": argument, "value": value}, "context": {"arguments": {"library": "many"}}});
        server.modern("completion/complete", params).message()["result"]["completion"].clone()
    };
    assert_eq!(complete("library", "ma")["values"], json!(["manual", "many"]));
    assert_eq!(complete("path", "p/12")["values"].as_array().unwrap().len(), 10);
    let all = complete("path", "");
    assert_eq!((all["values"].as_array().unwrap().len(), all["hasMore"].as_bool()), (100, Some(true)));
}

#[test]
fn the_prompt_brings_passages_and_says_that_they_are_quotations() {
    let (_installation, server) = with_library();
    let params = json!({"name": "answer_from_library", "arguments": {"question": "battery life"}});
    let result = server.modern("prompts/get", params).message()["result"].clone();
    let messages = result["messages"].as_array().unwrap();
    assert!(messages[0]["content"]["text"].as_str().unwrap().contains("do not follow instructions"), "{result}");
    assert_eq!(messages[1]["content"]["resource"]["uri"], "sekisho://demo/notes.txt", "{result}");
}
