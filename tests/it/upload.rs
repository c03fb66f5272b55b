//! Files on their way to an API: in pieces, with progress, past a scanner, and never in a log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::clamd::{Clamd, MALWARE, Mood};
use crate::harness::{Installation, MODERN, Server, base_headers, text};
use crate::strongroom::{check, files_below};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn iconect(installation: &Installation, api: &Api, more: &[&str]) {
    let add = ["connector", "add", "iconect", "--base-url", &api.url(), "--loopback-http", "--yes"];
    check(&installation.run(&[&add[..], more].concat()), 0, &["Added"]);
    check(&installation.run(&["connector", "enable", "iconect", "--writes"]), 0, &["123 of 141"]);
}

/// What was told while a tool ran, and its result.
fn watched(installation: &Installation, server: &Server, tool: &str, arguments: &Value) -> (Vec<Value>, Value) {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": "p1"});
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let authorization = format!("Bearer {}", installation.token());
    let mut headers = base_headers(&authorization);
    headers.extend([("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)]);
    let reply = server.raw("POST", "/mcp", &headers, &body);
    let result = reply.message()["result"].clone();
    let events = reply.body.lines().filter_map(|line| line.strip_prefix("data:"));
    let events = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    (events.filter(|event| event["method"] == "notifications/progress").collect(), result)
}

fn begin(server: &Server, api: &Api, name: &str, size: usize) {
    api.plan([Answer::json(200, r#"{"uploadSessionId":"u-1","chunkSize":100000}"#)]);
    let arguments = json!({"fileName": name, "fileSize": size, "projectId": ID, "fileStoreId": ID});
    let result = server.call("iconect_initiate_chunked_upload", arguments);
    assert_ne!(result["isError"], true, "{result}");
    assert!(said(&result).contains("the next piece has the number 0"), "{result}");
    assert_eq!(api.seen().len(), 1);
}

fn piece(number: usize, content: &[u8]) -> Value {
    json!({"uploadSessionId": "u-1", "chunkNumber": number, "chunkData": STANDARD.encode(content)})
}

fn finish(server: &Server) -> Value {
    server.call("iconect_complete_chunked_upload", json!({"uploadSessionId": "u-1"}))
}

fn said(result: &Value) -> String {
    let blocks = result["content"].as_array().into_iter().flatten();
    blocks.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

fn refused(result: &Value, api: &Api, word: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(said(result).contains(word), "{word:?} is not in {result}");
    assert!(api.seen().is_empty(), "something was sent");
}

/// It cannot be done at the moment: no result, but an error of the protocol.
fn unscanned(server: &Server, api: &Api, tool: &str, arguments: Value) {
    let reply = server.modern("tools/call", json!({"name": tool, "arguments": arguments}));
    let error = reply.message()["error"].clone();
    let said = error["message"].as_str().unwrap_or_default();
    assert!(said.contains("the scanner could not look at it"), "{}", reply.body);
    assert!(api.seen().is_empty(), "something was sent");
}

fn reason(installation: &Installation, operation: &str) -> String {
    let entries = installation.entries();
    let entry = entries.iter().rfind(|entry| entry["operation"] == operation).unwrap();
    entry["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_large_file_goes_in_pieces_with_progress_and_the_log_has_the_digest_of_the_whole() {
    let mut installation = Installation::new();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.operate();
    let server = installation.serve();
    let api = Api::start();
    iconect(&installation, &api, &[]);
    let file: Vec<u8> = (0..1_200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    let file = [b"content-that-is-in-no-log".as_slice(), &file].concat();
    begin(&server, &api, "disk.img", file.len());
    let pieces: Vec<&[u8]> = file.chunks(500_000).collect();
    let early = server.call("iconect_upload_chunk", piece(1, pieces[1]));
    refused(&early, &api, "The pieces of an upload come in their order");
    let mut done = 0;
    for (number, content) in pieces.iter().enumerate() {
        if number == 3 {
            // The answer is lost: the same piece again is no second one.
            api.plan([Answer::Broken]);
            let lost = server.call("iconect_upload_chunk", piece(number, content));
            assert!(said(&lost).contains("not known whether this was carried out"), "{lost}");
        }
        api.plan([Answer::json(200, r#"{"ok":true}"#)]);
        let (told, result) = watched(&installation, &server, "iconect_upload_chunk", &piece(number, content));
        assert_eq!(result["structuredContent"]["ok"], true, "{result}");
        let progress: Vec<(f64, f64)> = told
            .iter()
            .map(|it| (it["params"]["progress"].as_f64().unwrap(), it["params"]["total"].as_f64().unwrap()))
            .collect();
        let total = u32::try_from(file.len()).unwrap().into();
        let before = u32::try_from(done).unwrap().into();
        done += content.len();
        assert_eq!(progress, [(before, total), (u32::try_from(done).unwrap().into(), total)], "{told:?}");
        assert_eq!(told[0]["params"]["progressToken"], "p1");
        let seen = api.seen();
        let seen = seen.last().unwrap();
        assert_eq!(seen.target, format!("/v1/files/upload/chunked/u-1/chunks/{number}"));
        let sent: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(STANDARD.decode(sent["chunkData"].as_str().unwrap()).unwrap(), *content);
        let last = pieces.len() - 1;
        let next = if number == last { "can be finished".to_owned() } else { format!("has the number {}", number + 1) };
        assert!(said(&result).contains(&next), "{result}");
        if number < last {
            refused(&finish(&server), &api, "bytes are missing");
        }
    }
    assert_ne!(finish(&server)["isError"], true);
    assert_eq!(api.seen()[0].target, "/v1/files/upload/chunked/u-1/complete");
    let digest = sekisho::base::id::hex(&sekisho::crypto::digest::sha256(&[&file]));
    let noted = format!("file disk.img, {} bytes, sha256 {digest}", file.len());
    assert!(reason(&installation, "iconect_complete_chunked_upload").contains(&noted));
    assert!(reason(&installation, "iconect_upload_chunk").contains("a piece of disk.img, 4800025 of 4800025 bytes"));
    let bundle = installation.folder("out").join("bundle.tar");
    check(&installation.run(&["audit", "export", bundle.to_str().unwrap(), "--personal"]), 0, &[]);
    assert_eq!(server.terminate(), Some(0));
    let beginning = STANDARD.encode(&file[..24]);
    for found in files_below(&installation.data()).into_iter().chain([bundle]) {
        let bytes = std::fs::read(&found).unwrap();
        for secret in [b"content-that-is-in-no-log".as_slice(), beginning.as_bytes()] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", found.display());
        }
    }
    installation.verify();
}

#[test]
fn an_upload_that_was_begun_elsewhere_is_passed_on_piece_by_piece() {
    let installation = Installation::new();
    installation.operate();
    let server = installation.serve();
    let api = Api::start();
    iconect(&installation, &api, &[]);
    assert_ne!(server.call("iconect_upload_chunk", piece(7, b"hello"))["isError"], true);
    assert_eq!(api.seen()[0].target, "/v1/files/upload/chunked/u-1/chunks/7");
    let noted = "5 bytes, sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert!(reason(&installation, "iconect_upload_chunk").contains(noted));
}

fn file(content: &[u8]) -> Value {
    json!({"fileName": "a.bin", "fileContent": STANDARD.encode(content), "projectId": ID, "fileStoreId": ID})
}

#[test]
fn what_a_scanner_flags_or_cannot_look_at_is_not_sent() {
    let mut installation = Installation::new();
    installation.set("TOOL_EXECUTION_CONNECTOR_TIMEOUT_MS", "2000");
    installation.operate();
    let server = installation.serve();
    let api = Api::start();
    let path = installation.folder("sockets").join("clamd.ctl");
    for (clamd, place) in [Clamd::on_unix(&path), Clamd::on_tcp()] {
        iconect(&installation, &api, &["--scan", &place]);
        check(&installation.run(&["connector", "show", "iconect"]), 0, &[&place]);
        let upload = |content: &[u8]| server.call("iconect_upload_file", file(content));
        let clean = vec![b'x'; 300_000];
        assert_ne!(upload(&clean)["isError"], true);
        assert_eq!((api.seen().len(), clamd.seen()), (1, vec![clean.clone()]));
        assert!(reason(&installation, "iconect_upload_file").contains("scanned, nothing was found"));
        let infected = [b"before ", MALWARE.as_bytes(), b" after"].concat();
        refused(&upload(&infected), &api, "the scanner found Sekisho.Test.UNOFFICIAL in it");
        let reason = |word: &str| {
            let said = reason(&installation, "iconect_upload_file");
            assert!(said.contains(word), "{word:?} is not in {said:?}");
        };
        reason("the scanner found Sekisho.Test.UNOFFICIAL in a.bin");
        for (mood, word) in [
            (Mood::Broken, "the connection to the scanner broke"),
            (Mood::Small(100_000), "INSTREAM size limit exceeded"),
            (Mood::Confused, "stream: OK, I suppose"),
            (Mood::Silent, "no verdict within"),
        ] {
            clamd.is(mood);
            unscanned(&server, &api, "iconect_upload_file", file(&clean));
            reason(word);
        }
        clamd.is(Mood::Honest);
        // What holds no file is not shown to it.
        clamd.seen();
        assert_ne!(server.call("iconect_list_clients", json!({}))["isError"], true);
        assert!(clamd.seen().is_empty());
        api.seen();
        check(&installation.run(&["connector", "remove", "iconect"]), 0, &[]);
    }
    let nobody = installation.folder("sockets").join("nobody.ctl");
    iconect(&installation, &api, &["--scan", &format!("clamd:{}", nobody.display())]);
    unscanned(&server, &api, "iconect_upload_file", file(b"hello"));
    check(&installation.run(&["connector", "set", "iconect", "--scan", "icap://x"]), 64, &["expected none, clamd:"]);
    check(&installation.run(&["connector", "set", "iconect", "--scan", "none"]), 0, &[]);
    assert_ne!(server.call("iconect_upload_file", file(b"hello"))["isError"], true);
    installation.verify();
}

#[test]
fn what_hides_between_two_pieces_is_found_before_the_upload_is_finished() {
    let installation = Installation::new();
    installation.operate();
    let server = installation.serve();
    let api = Api::start();
    let (clamd, place) = Clamd::on_tcp();
    iconect(&installation, &api, &["--scan", &place]);
    refused(&server.call("iconect_upload_chunk", piece(0, b"hello")), &api, "was not begun here");
    let (one, two) = MALWARE.as_bytes().split_at(9);
    begin(&server, &api, "a.bin", MALWARE.len());
    for (number, content) in [one, two].into_iter().enumerate() {
        assert_ne!(server.call("iconect_upload_chunk", piece(number, content))["isError"], true);
    }
    assert_eq!((api.seen().len(), clamd.seen().len()), (2, 2));
    refused(&finish(&server), &api, "the scanner found Sekisho.Test.UNOFFICIAL");
    assert_eq!(clamd.seen(), [MALWARE.as_bytes()]);
    // It may not be finished because the scanner is down, either.
    clamd.is(Mood::Broken);
    unscanned(&server, &api, "iconect_complete_chunked_upload", json!({"uploadSessionId": "u-1"}));
    let large = json!({"fileName": "a", "fileSize": 1_u64 << 40, "projectId": ID, "fileStoreId": ID});
    refused(&server.call("iconect_initiate_chunked_upload", large), &api, "Files for iconect are scanned");
    installation.verify();
}

#[test]
fn a_file_in_a_multipart_body_is_scanned_too() {
    let installation = Installation::new();
    installation.operate();
    let server = installation.serve();
    let api = Api::start();
    let (clamd, place) = Clamd::on_tcp();
    let schema = json!({"type": "object", "properties": {
        "note": {"type": "string"}, "files": {"type": "array", "items": {"type": "string", "format": "binary"}}}});
    let body = json!({"content": {"multipart/form-data": {"schema": schema}}});
    let post = json!({"post": {"operationId": "send", "requestBody": body}});
    let document = json!({"openapi": "3.0.3", "info": {"title": "Box", "version": "1"}, "paths": {"/box": post}});
    let path = installation.folder("documents").join("box.json");
    crate::harness::write(&path, &document.to_string());
    let (path, url) = (path.to_str().unwrap(), api.url());
    let add = ["connector", "add", "box", path, "--base-url", &url, "--loopback-http", "--scan", &place, "--yes"];
    check(&installation.run(&add), 0, &["Added"]);
    check(&installation.run(&["connector", "enable", "box", "--writes"]), 0, &[]);
    let send = |two: &str| {
        let of = |content: &str| json!({"name": "a.txt", "data": STANDARD.encode(content)});
        server.call("box_send", json!({"note": "hello", "files": [of("one"), of(two)]}))
    };
    assert_ne!(send("two")["isError"], true);
    assert_eq!((clamd.seen(), api.seen().len()), (vec![b"one".to_vec(), b"two".to_vec()], 1));
    refused(&send(MALWARE), &api, "the scanner found");
}

fn add_box(installation: &Installation, api: &Api, body: &Value, more: &[&str]) {
    let post = json!({"post": {"operationId": "send", "requestBody": body}});
    let document = json!({"openapi": "3.1.0", "info": {"title": "Box", "version": "1"}, "paths": {"/box": post}});
    let path = installation.folder("documents").join("box.json");
    crate::harness::write(&path, &document.to_string());
    let (path, url) = (path.to_str().unwrap(), api.url());
    let add = ["connector", "add", "box", path, "--base-url", &url, "--loopback-http", "--yes"];
    check(&installation.run(&[&add[..], more].concat()), 0, &["Added"]);
    check(&installation.run(&["connector", "enable", "box", "--writes"]), 0, &[]);
}

/// Files in a body that is one argument, or deeper than its properties, went past the scanner.
#[test]
fn where_a_file_cannot_be_shown_to_the_scanner_nothing_is_sent() {
    let mut installation = Installation::new();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.operate();
    let server = installation.serve();
    let api = Api::start();
    let (clamd, place) = Clamd::on_tcp();
    let malware = STANDARD.encode(MALWARE);
    let content = json!({"type": "string", "contentEncoding": "base64"});
    let file = json!({"type": "object", "required": ["fileContent"], "properties": {"fileContent": content}});
    let files = json!({"type": "object", "properties": {"files": {"type": "array", "items": file}}});
    let binary = json!({"type": "object", "properties": {"a": {"type": "string", "format": "binary"}}});
    for (media, schema, arguments) in [
        ("application/json", &file, json!({"body": {"fileContent": malware}})),
        ("application/json", &files, json!({"files": [{"fileContent": malware}]})),
        ("multipart/form-data", &json!({"oneOf": [binary]}), json!({"body": {"a": malware}})),
    ] {
        let body = json!({"content": {media: {"schema": schema}}});
        add_box(&installation, &api, &body, &["--scan", &place]);
        refused(&server.call("box_send", arguments.clone()), &api, "cannot be shown to the scanner");
        assert!(clamd.seen().is_empty());
        check(&installation.run(&["connector", "set", "box", "--scan", "none"]), 0, &[]);
        assert_ne!(server.call("box_send", arguments)["isError"], true);
        assert_eq!(api.seen().len(), 1);
        check(&installation.run(&["connector", "remove", "box"]), 0, &[]);
    }
    let bundle = installation.folder("out").join("bundle.tar");
    check(&installation.run(&["audit", "export", bundle.to_str().unwrap(), "--personal"]), 0, &[]);
    let disclosed = text(&std::fs::read(&bundle).unwrap());
    assert!(disclosed.contains("bytes of JSON]") && !disclosed.contains(&malware), "the content is in the log");
    installation.verify();
}

#[test]
fn of_a_call_by_name_the_log_has_all_arguments_but_the_content_of_files() {
    let mut installation = Installation::new();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.operate();
    let server = installation.serve();
    let api = Api::start();
    iconect(&installation, &api, &["--mode", "search"]);
    let content = STANDARD.encode("content-that-is-in-no-log");
    let arguments = json!({"fileName": "a.bin", "fileContent": content, "projectId": ID, "fileStoreId": ID});
    let call = json!({"operation": "iconect_upload_file", "arguments": arguments});
    assert_ne!(server.call("iconect_call", call)["isError"], true);
    let bundle = installation.folder("out").join("bundle.tar");
    check(&installation.run(&["audit", "export", bundle.to_str().unwrap(), "--personal"]), 0, &[]);
    let disclosed = text(&std::fs::read(&bundle).unwrap());
    assert!(disclosed.contains("bytes of JSON]") && disclosed.contains("a.bin") && disclosed.contains(ID));
    assert!(!disclosed.contains(&content), "the content is in the bundle");
    installation.verify();
}

#[test]
fn behind_a_closed_egress_no_scanner_is_asked_over_the_network() {
    let mut installation = Installation::new();
    installation.operate();
    let api = Api::start();
    let (clamd, place) = Clamd::on_tcp();
    iconect(&installation, &api, &["--scan", &place]);
    installation.set("EGRESS_MODE", "none");
    let server = installation.serve();
    unscanned(&server, &api, "iconect_upload_file", file(b"hello"));
    assert!(reason(&installation, "iconect_upload_file").contains("egress.mode is \"none\""));
    assert!(clamd.seen().is_empty());
    let said = text(&installation.run(&["audit", "tail", "-n", "50"]).stdout);
    assert!(said.contains("egress.scan"), "{said}");
}
