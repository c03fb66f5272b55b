//! Connectors log in by OAuth 2.0: every grant against a real server, tokens that are refreshed once, kept over a crash,
//! and seen by nobody.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStderr, Output, Stdio};

use serde_json::{Value, json};

use crate::client::Client;
use crate::harness::{Installation, Server, request, text, write};
use crate::identify::issue;
use crate::strongroom::{check, database, files_below, rows, said, told, until};
use crate::upstream::Upstream;

pub(crate) const CLIENT_SECRET: &str = "canary-client-secret-1234567890";
pub(crate) const PASSWORD: &str = "canary-password-of-ann";

/// Loud, so that what could be said is said.
pub(crate) fn installation() -> Installation {
    let mut installation = Installation::new();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.set("AUDIT_LEVEL", "all");
    installation.set("LOG_LEVEL", "debug");
    installation.set("METRICS_LISTEN", "127.0.0.1:0");
    installation
}

fn document(installation: &Installation) -> String {
    let answers = json!({"200": {"description": "", "content": {"application/json": {}}}});
    let get = |id: &str| json!({"get": {"operationId": id, "summary": "Ask for it", "responses": answers}});
    let flows = json!({
        "authorizationCode": {
            "authorizationUrl": "{instance}/oauth/authorize", "tokenUrl": "{instance}/oauth/token", "scopes": {}},
        "password": {"tokenUrl": "{instance}/oauth/token", "scopes": {}},
        "clientCredentials": {"tokenUrl": "{instance}/oauth/token", "scopes": {}}});
    let mut paths = json!({
        "/slow": get("get_slow"), "/busy": get("get_busy"), "/broken": get("get_broken"), "/away": get("get_away"),
        "/always-401": get("get_refused"), "/echo": get("get_echo")});
    paths["/echo"]["post"] = json!({
        "operationId": "make_echo", "summary": "Make it", "responses": answers,
        "requestBody": {"content": {"application/json": {"schema": {
            "type": "object", "properties": {"name": {"type": "string"}}}}}}});
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Echo", "version": "1"}, "servers": [{"url": "https://echo.example.com/api"}],
        "components": {"securitySchemes": {"oauth": {"type": "oauth2", "flows": flows}}},
        "security": [{"oauth": []}], "paths": paths});
    let file = installation.folder("documents").join("echo.json");
    write(&file, &document.to_string());
    file.to_str().unwrap().to_owned()
}

pub(crate) fn add(installation: &Installation, upstream: &Upstream) {
    let file = document(installation);
    let add = ["connector", "add", "echo", &file, "--base-url", &upstream.url, "--loopback-http", "--yes"];
    check(&installation.run(&add), 0, &["Added echo"]);
    check(&installation.run(&["connector", "enable", "echo", "--writes"]), 0, &["7 of 7"]);
}

pub(crate) fn bind(installation: &Installation, more: &[&str]) -> Output {
    let bind = ["connector", "bind", "echo", "--as", "oauth", "--client", "sekisho"];
    installation.run(&[&bind[..], more].concat())
}

/// A connector that people log in to, and a running server.
pub(crate) fn echo(more: &[&str]) -> (Installation, Server, Upstream) {
    started(installation(), more)
}

fn started(installation: Installation, more: &[&str]) -> (Installation, Server, Upstream) {
    let upstream = Upstream::start();
    let server = installation.serve();
    add(&installation, &upstream);
    check(&bind(&installation, more), 0, &["calls http://127.0.0.1", "/oauth/token"]);
    (installation, server, upstream)
}

/// A login that waits for the browser, and the address that it told to open.
struct Login {
    child: Child,
    errors: BufReader<ChildStderr>,
    url: String,
}

impl Login {
    fn begin(installation: &Installation, more: &[&str]) -> Self {
        Self::begin_at(installation, "echo", more)
    }

    fn begin_at(installation: &Installation, connector: &str, more: &[&str]) -> Self {
        let mut command = installation.command(&[&["connector", "login", connector], more].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut heard = String::new();
        let url = loop {
            let mut line = String::new();
            assert!(errors.read_line(&mut line).unwrap() > 0, "no address was told: {heard}");
            heard.push_str(&line);
            if line.starts_with("http") {
                break line.trim().to_owned();
            }
        };
        Self { child, errors, url }
    }

    fn paste(mut self, back: &str) -> Output {
        self.child.stdin.take().unwrap().write_all(back.as_bytes()).unwrap();
        self.end()
    }

    fn end(mut self) -> Output {
        let mut errors = Vec::new();
        std::io::Read::read_to_end(&mut self.errors, &mut errors).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = errors;
        output
    }
}

pub(crate) fn log_in(installation: &Installation, upstream: &Upstream, more: &[&str]) {
    log_in_at(installation, upstream, "echo", more);
}

pub(crate) fn log_in_at(installation: &Installation, upstream: &Upstream, connector: &str, more: &[&str]) {
    let login = Login::begin_at(installation, connector, &[&["--paste"], more].concat());
    let back = upstream.browse(&login.url);
    check(&login.paste(&back), 0, &[&format!("Logged in to {connector}")]);
}

fn call(server: &Server, tool: &str) -> Value {
    server.call(tool, json!({}))
}

/// What the API saw of a call that it answered.
fn carried(server: &Server, upstream: &Upstream) -> String {
    upstream.seen();
    let result = call(server, "echo_get_echo");
    assert_ne!(result["isError"], true, "{result}");
    let seen = upstream.seen();
    let header = seen.last().unwrap()["headers"]["authorization"].as_str().unwrap().to_owned();
    header.strip_prefix("Bearer ").unwrap().to_owned()
}

pub(crate) fn count(upstream: &Upstream, what: &str) -> u64 {
    upstream.look()["counts"][what].as_u64().unwrap_or(0)
}

/// The secret canary: nothing that was secret between us and the authorization server is in a log, an audit entry, the
/// database, a metric, an export, or in what anybody was told.
pub(crate) fn nowhere(installation: &Installation, server: Server, upstream: &Upstream, told: &[String]) {
    nowhere_at(installation, server, (upstream, "echo"), told);
}

pub(crate) fn nowhere_at(
    installation: &Installation,
    server: Server,
    (upstream, connector): (&Upstream, &str),
    told: &[String],
) {
    let mut secrets = upstream.secrets();
    secrets.extend([CLIENT_SECRET.to_owned(), PASSWORD.to_owned()]);
    let address = server.said.iter().find_map(|line| line.strip_prefix("Metrics at http://")).unwrap();
    let address = address.trim_end_matches("/metrics").parse().unwrap();
    let metrics = request(address, "GET", "/metrics", &[("Host", "localhost")], "").body;
    let entries = text(&installation.run(&["--json", "audit", "tail", "-n", "1000"]).stdout);
    let shown = said(&installation.run(&["--json", "connector", "show", connector]));
    let status = said(&installation.run(&["--json", "connector", "status", connector]));
    let log = said(&installation.run(&["log", "cat"]));
    let bundle = installation.folder("out").join("bundle.tar");
    check(&installation.run(&["audit", "export", bundle.to_str().unwrap(), "--personal"]), 0, &[]);
    let errors = server.stop();
    let files = files_below(&installation.data()).into_iter().chain(files_below(&installation.folder("out")));
    let files: Vec<Vec<u8>> = files.map(|file| std::fs::read(file).unwrap()).collect();
    for secret in &secrets {
        for text in told.iter().chain([&metrics, &entries, &shown, &status, &log, &errors]) {
            assert!(!text.contains(secret), "{secret:?} was told: {text}");
        }
        for bytes in &files {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret:?} is in a file");
        }
    }
    assert!(entries.contains(connector), "the entries are there");
    installation.verify();
}

#[test]
fn a_person_logs_in_by_browser_and_calls_carry_their_token() {
    let (installation, server, upstream) = echo(&["--scope", "read", "--scope", "write"]);
    let nobody = call_refused(&server);
    assert!(
        nobody.contains("Nobody is logged in to echo") && nobody.contains("sekisho connector login echo"),
        "{nobody}"
    );
    check(&installation.run(&["connector", "status", "echo"]), 1, &["Nobody is logged in"]);
    assert!(upstream.seen().is_empty(), "nothing was sent");

    let login = Login::begin(&installation, &[]);
    assert!(login.url.starts_with(&format!("{}/oauth/authorize?response_type=code", upstream.url)), "{}", login.url);
    assert!(login.url.contains("scope=read+write") && login.url.contains("code_challenge_method=S256"));
    let back = upstream.browse(&login.url);
    let port: std::net::SocketAddr = back[7..].split('/').next().unwrap().parse().unwrap();
    let path = &back[back.find("/callback").unwrap()..];
    // What is not the answer does not end the wait.
    for (method, path, host) in [
        ("GET", "/favicon.ico", "127.0.0.1"),
        ("GET", "/callback?code=x&state=y", "127.0.0.1"),
        ("POST", path, "127.0.0.1"),
        ("GET", path, "evil.example"),
    ] {
        assert_eq!(request(port, method, path, &[("Host", host)], "").status, 404, "{method} {path} {host}");
    }
    let page = request(port, "GET", path, &[("Host", "127.0.0.1")], "");
    assert_eq!((page.status, page.header("content-security-policy").is_some()), (200, true));
    let output = login.end();
    check(&output, 0, &["Logged in to echo: logged in, refreshed without a person"]);
    check(&installation.run(&["connector", "status", "echo"]), 0, &["service", "logged in"]);

    let token = carried(&server, &upstream);
    assert!(token.starts_with("canary-access-"), "{token}");
    assert_eq!(carried(&server, &upstream), token, "it is used as long as it is good");
    let told = vec![nobody, said(&output), page.body, call(&server, "echo_get_broken").to_string()];
    assert_eq!((count(&upstream, "authorization_code"), count(&upstream, "refresh_token")), (1, 0));
    check(&installation.run(&["connector", "logout", "echo"]), 0, &["Logged out of echo"]);
    assert!(call_refused(&server).contains("Nobody is logged in"));
    assert!(
        rows_of_tokens(&installation, server, |server| nowhere(&installation, server, &upstream, &told)).is_empty()
    );
}

pub(crate) fn works(server: &Server) -> bool {
    let reply = server.modern("tools/call", json!({"name": "echo_get_echo", "arguments": {}}));
    reply.message()["result"]["structuredContent"]["path"] == "/api/echo"
}

fn call_refused(server: &Server) -> String {
    let reply = server.modern("tools/call", json!({"name": "echo_get_echo", "arguments": {}}));
    assert!(reply.message().get("result").is_none_or(|result| result["isError"] == true), "{}", reply.body);
    reply.body
}

/// The rows of the table of tokens, once the server has ended.
fn rows_of_tokens(installation: &Installation, server: Server, end: impl FnOnce(Server)) -> Vec<Vec<u8>> {
    end(server);
    rows(&database(installation), "connector_tokens").into_values().collect()
}

#[test]
fn a_token_that_the_api_refuses_is_renewed_once_for_all_that_wait() {
    let writers = installation();
    writers.operate();
    let (installation, server, upstream) = started(writers, &[]);
    log_in(&installation, &upstream, &[]);
    let first = carried(&server, &upstream);
    upstream.tell(json!({"revoke_access": true, "token_delay_ms": 500}));
    upstream.seen();
    let results: Vec<Value> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| call(&server, "echo_make_echo"))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(results.iter().all(|result| result["isError"] == false), "{results:?}");
    assert_eq!((count(&upstream, "refresh_token"), count(&upstream, "reused")), (1, 0));
    let seen = upstream.seen();
    let good = seen.iter().filter(|it| !it["headers"]["authorization"].as_str().unwrap().contains(&first)).count();
    assert_eq!(good, 8, "each was repeated at most once");
    // An API that refuses whatever it is shown is believed, and the authorization server is not stormed.
    for _ in 0..5 {
        let result = call(&server, "echo_get_refused");
        assert!(result.to_string().contains("401"), "{result}");
    }
    assert!(count(&upstream, "refresh_token") <= 3);
    let told: Vec<String> = results.iter().map(Value::to_string).collect();
    nowhere(&installation, server, &upstream, &told);
}

#[test]
fn a_token_is_refreshed_before_it_ends() {
    let (installation, server, upstream) = echo(&[]);
    upstream.tell(json!({"access_seconds": 2}));
    log_in(&installation, &upstream, &[]);
    let calls = until("three refreshes", || {
        carried(&server, &upstream);
        (count(&upstream, "refresh_token") >= 3).then(|| count(&upstream, "reused"))
    });
    assert_eq!(calls, 0, "each refresh token was used once");
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn tokens_outlast_a_kill_and_a_refused_refresh_clears_them_and_says_what_to_do() {
    let (installation, server, upstream) = echo(&[]);
    log_in(&installation, &upstream, &[]);
    let token = carried(&server, &upstream);
    server.kill();
    let server = installation.serve();
    assert_eq!(carried(&server, &upstream), token, "the same one after a kill");
    upstream.tell(json!({"revoke_access": true}));
    let renewed = carried(&server, &upstream);
    assert_ne!(renewed, token);
    server.kill();
    let server = installation.serve();
    assert_eq!(carried(&server, &upstream), renewed, "the new one was durable before it was used");

    // A server that fails for a moment costs nobody their login.
    upstream.tell(json!({"revoke_access": true, "token_fault": "busy"}));
    let told = call_refused(&server);
    assert!(told.contains("cannot be asked at the moment"), "{told}");
    check(&installation.run(&["connector", "status", "echo"]), 0, &["logged in"]);
    until("it is asked again", || works(&server).then_some(()));

    upstream.tell(json!({"revoke_access": true, "revoke_refresh": true}));
    let told = call_refused(&server);
    assert!(told.contains("Nobody is logged in to echo") && told.contains("echo_login"), "{told}");
    check(
        &installation.run(&["connector", "status", "echo"]),
        1,
        &["refused to refresh the tokens, and they were cleared"],
    );
    log_in(&installation, &upstream, &[]);
    carried(&server, &upstream);
    nowhere(&installation, server, &upstream, &[told]);
}

#[test]
fn an_authorization_server_is_left_alone_as_long_as_it_says() {
    let (installation, server, upstream) = echo(&[]);
    log_in(&installation, &upstream, &[]);
    carried(&server, &upstream);
    upstream.tell(json!({"revoke_access": true, "token_fault": "busy", "token_retry_after": 600}));
    let told = call_refused(&server);
    assert!(told.contains("try again in 600 s"), "{told}");
    let again = call_refused(&server);
    assert!(again.contains("try again in ") && !again.contains("in a minute"), "{again}");
    assert_eq!(count(&upstream, "refresh_token"), 1, "it was not asked again");
    nowhere(&installation, server, &upstream, &[told, again]);
}

#[test]
fn a_kill_between_the_use_of_a_refresh_token_and_its_replacement_is_never_silent() {
    for (delay_ms, fault) in [(0, ""), (400, ""), (400, "drop")] {
        let (installation, server, upstream) = echo(&[]);
        log_in(&installation, &upstream, &[]);
        upstream.tell(json!({"revoke_access": true, "token_delay_ms": delay_ms, "token_fault": fault}));
        std::thread::scope(|scope| {
            let calling = scope.spawn(|| {
                let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
                // Its connection breaks with the server.
                std::panic::catch_unwind(|| drop(call(&server, "echo_get_echo"))).ok();
                body
            });
            until("the refresh token was used", || (count(&upstream, "refresh_token") == 1).then_some(()));
            crate::harness::signal(server.id(), "KILL");
            calling.join().unwrap();
        });
        drop(server);
        upstream.tell(json!({"token_delay_ms": 0}));
        let server = installation.serve();
        let reply = server.modern("tools/call", json!({"name": "echo_get_echo", "arguments": {}})).body;
        let works = reply.contains("\\\"path\\\":\\\"/api/echo\\\"") || reply.contains("\"path\":\"/api/echo\"");
        assert!(works || reply.contains("Nobody is logged in to echo"), "{delay_ms} {fault}: {reply}");
        if !works {
            check(&installation.run(&["connector", "status", "echo"]), 1, &["cleared"]);
            log_in(&installation, &upstream, &[]);
        }
        carried(&server, &upstream);
        nowhere(&installation, server, &upstream, &[reply]);
    }
}

#[test]
fn an_answer_that_is_lost_or_of_another_kind_is_no_token() {
    for (fault, word) in [("drop", "cannot be asked"), ("html", "no token"), ("dpop", "no token")] {
        let (installation, server, upstream) = echo(&[]);
        let login = Login::begin(&installation, &["--paste"]);
        let back = upstream.browse(&login.url);
        upstream.tell(json!({"token_fault": fault}));
        let output = login.paste(&back);
        check(&output, 69, &[word]);
        check(&installation.run(&["connector", "status", "echo"]), 1, &[]);
        nowhere(&installation, server, &upstream, &[said(&output)]);
    }
}

#[test]
fn only_the_answer_to_ones_own_login_is_taken_and_once() {
    let (installation, server, upstream) = echo(&[]);
    let finish = |back: &str| {
        let login = Login::begin(&installation, &["--paste"]);
        let own = upstream.browse(&login.url);
        let back = back.replace("OWN", own.split_once('?').unwrap().1);
        login.paste(&back)
    };
    let other = Login::begin(&installation, &["--paste"]);
    let of_other = upstream.browse(&other.url);
    check(&finish(&of_other), 64, &["it is not of this login"]);
    check(&finish("code=abc"), 64, &["it is not of this login"]);
    check(&finish("http://127.0.0.1/callback?OWN&state=again"), 64, &["it is not the address"]);
    check(&finish("OWN"), 0, &["Logged in"]);
    check(&other.paste(&of_other), 0, &["Logged in"]);
    // RFC 9207: where metadata promise it, each answer names its issuer, and it is the right one.
    check(&bind(&installation, &["--issuer", &upstream.url]), 0, &["/oauth/token"]);
    check(&finish("OWN"), 0, &["Logged in"]);
    upstream.tell(json!({"iss": "https://evil.example"}));
    check(&finish("OWN"), 64, &["another authorization server"]);
    upstream.tell(json!({"iss": null}));
    check(&finish("OWN"), 64, &["another authorization server"]);
    check(&bind(&installation, &["--issuer", "https://127.0.0.1:1"]), 69, &["cannot be had"]);
    check(&bind(&installation, &["--issuer", &format!("{}/", upstream.url)]), 64, &["name another issuer"]);
    check(&bind(&installation, &["--token-url", "http://login.example.com/token"]), 64, &["in the clear"]);
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn a_password_is_sent_once_and_kept_nowhere() {
    let (installation, server, upstream) = echo(&["--grant", "password"]);
    let login = ["connector", "login", "echo", "--username", "ann"];
    check(&told(&installation, &["connector", "login", "echo"], PASSWORD), 64, &["--username"]);
    check(&told(&installation, &login, "wrong-canary-password"), 77, &["refused this login"]);
    check(&told(&installation, &login, PASSWORD), 0, &["Logged in to echo"]);
    carried(&server, &upstream);
    upstream.tell(json!({"revoke_access": true}));
    carried(&server, &upstream);
    assert_eq!((count(&upstream, "password"), count(&upstream, "refresh_token")), (2, 1));
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn a_client_logs_in_on_its_own_account_with_a_secret_of_the_vault() {
    let (installation, upstream) = (installation(), Upstream::start());
    let server = installation.serve();
    add(&installation, &upstream);
    let own =
        ["connector", "bind", "echo", "--as", "oauth", "--client", "confidential", "--grant", "client-credentials"];
    check(&installation.run(&own), 64, &["needs the client's secret"]);
    check(&told(&installation, &["credential", "set", "client"], CLIENT_SECRET), 0, &["version 1"]);
    for way in ["basic", "post"] {
        let more = ["--credential", "client", "--client-auth", way];
        check(&installation.run(&[&own[..], &more].concat()), 0, &["tokens from"]);
        carried(&server, &upstream);
    }
    let first = count(&upstream, "client_credentials");
    upstream.tell(json!({"revoke_access": true}));
    carried(&server, &upstream);
    assert_eq!((first, count(&upstream, "client_credentials")), (2, 3), "another binding asks anew");
    check(&told(&installation, &["credential", "set", "client"], "another-canary-secret"), 0, &["version 2"]);
    upstream.tell(json!({"revoke_access": true}));
    let refused = call_refused(&server);
    assert!(refused.contains("does not accept Sekisho as its client (invalid_client)"), "{refused}");
    check(&installation.run(&["connector", "login", "echo"]), 73, &["on its own account"]);
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn a_person_logs_in_on_another_machine() {
    let (installation, server, upstream) = echo(&["--scope", "read"]);
    let device = format!("{}/oauth/device", upstream.url);
    check(&bind(&installation, &["--device-url", &device]), 0, &["tokens from"]);
    let mut command = installation.command(&["connector", "login", "echo", "--device"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    errors.read_line(&mut line).unwrap();
    assert!(line.contains("WDJB-MJHT") && line.contains("/activate"), "{line}");
    until("it was asked", || (count(&upstream, "urn:ietf:params:oauth:grant-type:device_code") > 0).then_some(()));
    upstream.tell(json!({"approve_devices": true}));
    check(&child.wait_with_output().unwrap(), 0, &["Logged in to echo"]);
    assert_eq!(count(&upstream, "asked_too_often"), 0);
    carried(&server, &upstream);
    nowhere(&installation, server, &upstream, &[line]);
}

#[test]
fn each_principal_has_a_login_of_its_own() {
    let (installation, server, upstream) = echo(&["--whose", "each"]);
    let clients = ["ann", "bob"].map(|name| Client::with(&issue(&installation, &[name]).0));
    let body = |client: &Client| client.call(&server, "echo_get_echo").body;
    assert!(body(&clients[0]).contains("--for token:ann"));
    log_in(&installation, &upstream, &["--for", "token:ann"]);
    upstream.seen();
    assert!(body(&clients[0]).contains("/api/echo"));
    assert!(body(&clients[1]).contains("--for token:bob"), "another's login is nobody else's");
    assert_eq!(upstream.seen().len(), 1);
    log_in(&installation, &upstream, &["--for", "token:bob"]);
    assert!(body(&clients[1]).contains("/api/echo"));
    let seen = upstream.seen();
    check(&installation.run(&["connector", "status", "echo"]), 0, &["token:ann", "token:bob"]);
    check(&installation.run(&["connector", "logout", "echo", "--for", "token:ann"]), 0, &["Logged out"]);
    assert_eq!(count(&upstream, "revoked"), 0, "no revocation endpoint was named");
    assert!(body(&clients[0]).contains("Nobody is logged in") && body(&clients[1]).contains("/api/echo"));
    assert_eq!(seen.len(), 1);
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn tokens_in_memory_are_gone_with_the_process_and_never_in_the_file() {
    let (installation, server, upstream) = echo(&["--tokens", "memory"]);
    log_in(&installation, &upstream, &[]);
    carried(&server, &upstream);
    assert_eq!(server.terminate(), Some(0));
    assert!(rows(&database(&installation), "connector_tokens").is_empty());
    let server = installation.serve();
    assert!(call_refused(&server).contains("Nobody is logged in"));
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn sealed_tokens_outlast_rotation_rekeying_and_a_restored_backup_and_a_sealed_vault_hides_them() {
    let (installation, server, upstream) = echo(&["--revoke-url", "http://127.0.0.1:1/revoke"]);
    log_in(&installation, &upstream, &[]);
    let token = carried(&server, &upstream);
    check(&installation.run(&["key", "rotate"]), 0, &[]);
    until("sealed anew", || {
        let entries = installation.entries();
        entries.iter().any(|entry| entry["operation"] == "key.reseal" && entry["outcome"] == "done").then_some(())
    });
    check(&installation.run(&["vault", "seal"]), 0, &[]);
    assert!(call_refused(&server).contains("the vault, which is sealed"));
    let key = std::fs::read_to_string(installation.data().join("vault-key")).unwrap();
    check(&told(&installation, &["vault", "unseal"], key.trim()), 0, &[]);
    assert_eq!(carried(&server, &upstream), token);
    let backup = installation.folder("backups").join("one.sekisho-backup");
    check(&installation.run(&["backup", backup.to_str().unwrap()]), 0, &[]);
    assert_eq!(server.terminate(), Some(0));
    check(&installation.run(&["key", "rekey", "--full"]), 0, &[]);
    let server = installation.serve();
    assert_eq!(carried(&server, &upstream), token, "after rekeying");
    assert_eq!(server.terminate(), Some(0));
    check(&installation.run(&["restore", backup.to_str().unwrap(), "--overwrite"]), 0, &[]);
    let server = installation.serve();
    assert_eq!(carried(&server, &upstream), token, "after restoring");
    // Of a connector that is bound anew or removed, nothing is left.
    check(&bind(&installation, &["--scope", "other"]), 0, &[]);
    assert!(call_refused(&server).contains("Nobody is logged in"));
    log_in(&installation, &upstream, &[]);
    check(&installation.run(&["connector", "remove", "echo"]), 0, &[]);
    add(&installation, &upstream);
    check(&bind(&installation, &["--scope", "other"]), 0, &[]);
    assert!(call_refused(&server).contains("Nobody is logged in"));
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn a_private_authority_is_trusted_where_it_was_named_and_nowhere_else() {
    let mut installation = installation();
    let ca = installation.folder("trust").join("ca.pem");
    let upstream = Upstream::start_tls(&ca);
    let file = document(&installation);
    let add = ["connector", "add", "echo", &file, "--base-url", &upstream.url, "--network", "127.0.0.0/8", "--yes"];
    let server = installation.serve();
    check(&installation.run(&add), 0, &["Added echo"]);
    check(&bind(&installation, &[]), 0, &["tokens from https://127.0.0.1"]);
    let login = Login::begin(&installation, &["--paste"]);
    let back = upstream.browse(&login.url);
    check(&login.paste(&back), 69, &["cannot be asked"]);
    assert_eq!(count(&upstream, "authorization_code"), 0, "no code was shown to who could not prove itself");
    assert_eq!(server.terminate(), Some(0));
    installation.set("EGRESS_CA_FILE", ca.to_str().unwrap());
    let server = installation.serve();
    log_in(&installation, &upstream, &[]);
    carried(&server, &upstream);
    for tool in ["echo_get_busy", "echo_get_broken", "echo_get_away"] {
        assert_eq!(call(&server, tool)["isError"], true, "{tool}");
    }
    nowhere(&installation, server, &upstream, &[]);
}

/// One operation that was not for everybody logged everybody out.
#[test]
fn an_operation_that_answers_401_logs_nobody_out() {
    let (installation, server, upstream) = echo(&[]);
    upstream.tell(json!({"gives_refresh": false}));
    log_in(&installation, &upstream, &[]);
    let token = carried(&server, &upstream);
    let refused = call(&server, "echo_get_refused").to_string();
    assert!(refused.contains("Not for you") && refused.contains("sekisho connector login echo"), "{refused}");
    assert_eq!(carried(&server, &upstream), token);
    // With one to refresh, and an authorization server that fails.
    upstream.tell(json!({"gives_refresh": true}));
    log_in(&installation, &upstream, &[]);
    let token = carried(&server, &upstream);
    upstream.tell(json!({"token_fault": "busy"}));
    let failed = server.modern("tools/call", json!({"name": "echo_get_refused", "arguments": {}})).body;
    assert!(failed.contains("cannot be asked at the moment"), "{failed}");
    assert_eq!(carried(&server, &upstream), token);
    nowhere(&installation, server, &upstream, &[refused, failed]);
}

/// Whoever got the name of somebody who had left got their logins too.
#[test]
fn a_login_does_not_pass_to_a_namesake() {
    let (installation, server, upstream) = echo(&["--whose", "each"]);
    check(&bind(&installation, &["--whose", "each", "--issuer", &upstream.url]), 0, &["/oauth/token"]);
    crate::identify::add(&installation, "ann", "reader");
    crate::identify::add(&installation, "bob", "reader");
    let account = |name: &str| Client::with_header(&crate::identify::basic(name, crate::identify::PASSWORD));
    let body = |client: &Client| client.call(&server, "echo_get_echo").body;
    for whose in ["account:ann", "account:bob"] {
        log_in(&installation, &upstream, &["--for", whose]);
    }
    assert!(body(&account("ann")).contains("/api/echo"));
    check(&installation.run(&["account", "remove", "ann"]), 0, &[]);
    assert_eq!(count(&upstream, "revoked"), 1, "the authorization server heard of it");
    crate::identify::add(&installation, "ann", "reader");
    assert!(body(&account("ann")).contains("Nobody is logged in"));
    assert!(body(&account("bob")).contains("/api/echo"), "another's login is left alone");

    let (first, _) = issue(&installation, &["ci"]);
    log_in(&installation, &upstream, &["--for", "token:ci"]);
    assert!(body(&Client::with(&first)).contains("/api/echo"));
    // What cannot be read cannot be told to anybody, and goes all the same.
    check(&installation.run(&["vault", "seal"]), 0, &[]);
    check(&installation.run(&["token", "revoke", "ci"]), 0, &[]);
    let key = std::fs::read_to_string(installation.data().join("vault-key")).unwrap();
    check(&told(&installation, &["vault", "unseal"], key.trim()), 0, &[]);
    let (second, _) = issue(&installation, &["ci"]);
    assert!(body(&Client::with(&second)).contains("Nobody is logged in"));
    let entries = installation.entries();
    for operation in ["account.remove", "token.revoke"] {
        let of = |entry: &&Value| entry["operation"] == operation && entry["outcome"] == "done";
        let entry = entries.iter().rfind(of).unwrap();
        assert!(entry["reason"].as_str().is_some_and(|it| it.contains("its logins to 1 APIs were ended")), "{entry}");
    }
    nowhere(&installation, server, &upstream, &[]);
}

#[test]
fn a_logout_has_the_time_that_the_authorization_server_takes_for_it() {
    let mut installation = installation();
    installation.set("LIMITS_CALL_TIMEOUT_MS", "1000");
    let (installation, server, upstream) = started(installation, &["--whose", "each"]);
    check(&bind(&installation, &["--whose", "each", "--issuer", &upstream.url]), 0, &["/oauth/token"]);
    let ann = Client::with(&issue(&installation, &["ann"]).0);
    log_in(&installation, &upstream, &["--for", "token:ann"]);
    upstream.tell(json!({"revoke_delay_ms": 2000}));
    let out = ann.call(&server, "echo_logout").body;
    assert!(out.contains("\"logged_in\":false"), "{out}");
    assert_eq!(count(&upstream, "revoked"), 1);
    nowhere(&installation, server, &upstream, &[out]);
}
