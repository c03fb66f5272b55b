//! An agent's person logs in with a browser: the page asks who they are, and nobody's account gets into another's agent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::client::Client;
use crate::harness::{Installation, MODERN, PATIENCE, Reply, Server, base_headers, request};
use crate::identify::{self, PASSWORD};
use crate::oauth::{count, echo, nowhere};
use crate::strongroom::check;
use crate::transport::{self, secured};
use crate::upstream::Upstream;

/// A browser that keeps one cookie.
struct Browser {
    cookie: String,
    told: Vec<String>,
}

impl Browser {
    fn new() -> Self {
        Self { cookie: String::new(), told: Vec::new() }
    }

    fn go(&mut self, server: &Server, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let cookie = self.cookie.clone();
        let mut headers = vec![("Host", "localhost"), ("Cookie", cookie.as_str())];
        headers.extend(more);
        let reply = server.raw(method, path, &headers, body);
        assert!(reply.header("content-security-policy").unwrap().contains("form-action 'self'"), "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        if let Some(set) = reply.header("set-cookie") {
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
            set.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        self.told.push(reply.body.clone());
        reply
    }

    fn open(&mut self, server: &Server, url: &str) -> String {
        let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap());
        let page = self.go(server, "GET", &path, &[], "");
        assert_eq!(page.status, 200, "{page:?}");
        path
    }

    /// Sends the form of the page that was opened last.
    fn send(&mut self, server: &Server, path: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.told.last().unwrap();
        let proof = between(page, "name=proof value=\"", "\"").to_owned();
        let body = Serializer::new(String::new()).append_pair("proof", &proof).extend_pairs(fields).finish();
        self.go(server, "POST", path, &FORM, &body)
    }
}

const FORM: [(&str, &str); 3] = [
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Origin", "http://localhost"),
    ("Sec-Fetch-Site", "same-origin"),
];

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap().0
}

/// Calls the login tool as a client that can show addresses.
fn login(server: &Server, authorization: &str, more: &Value) -> Value {
    let mut params = json!({"name": "echo_login", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}});
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let mut headers = base_headers(authorization);
    headers.extend([("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo_login")]);
    let reply = server.raw("POST", "/mcp", &headers, &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.message()["result"].clone()
}

fn invited(server: &Server, authorization: &str) -> String {
    let asked = login(server, authorization, &json!({}));
    let question = &asked["inputRequests"]["login"];
    assert_eq!(
        (&question["method"], &question["params"]["mode"]),
        (&json!("elicitation/create"), &json!("url")),
        "{asked}"
    );
    question["params"]["url"].as_str().unwrap().to_owned()
}

fn agents() -> (Installation, Server, Upstream, String) {
    let (installation, server, upstream) = echo(&["--whose", "each"]);
    identify::add(&installation, "ann", "reader");
    identify::add(&installation, "bob", "reader");
    let ann = identify::basic("ann", PASSWORD);
    (installation, server, upstream, ann)
}

#[test]
fn an_agents_person_logs_in_with_a_browser_and_the_agent_sees_that_they_have() {
    let (installation, server, upstream, ann) = agents();
    let url = invited(&server, &ann);
    assert!(url.starts_with(&format!("http://{}/connect/", server.address)), "{url}");
    let mut browser = Browser::new();
    let path = browser.open(&server, &url);
    assert!(!browser.told[0].contains("ann") && !browser.told[0].contains("echo"), "it is told to nobody yet");
    let onward = browser.send(&server, &path, &[("name", "ann"), ("password", PASSWORD)]);
    assert_eq!(onward.status, 200, "{onward:?}");
    let away = between(&onward.body, "href=\"", "\"").replace("&amp;", "&");
    assert!(away.starts_with(&format!("{}/oauth/authorize?", upstream.url)), "{away}");
    let back = upstream.browse(&away);
    let back = format!("/{}", back.splitn(4, '/').nth(3).unwrap());
    assert!(back.starts_with("/connect/callback?code="));
    // In another browser the answer is worth nothing, and the login stays open for the right one.
    assert_eq!(Browser::new().go(&server, "GET", &back, &[], "").status, 403);
    let done = browser.go(&server, "GET", &back, &[], "");
    assert!(done.status == 200 && done.body.contains("You are logged in to echo"), "{done:?}");
    assert_eq!(browser.go(&server, "GET", &back, &[], "").status, 403, "once");

    let told = login(&server, &ann, &json!({"inputResponses": {"login": {"action": "accept"}}}));
    assert_eq!(told["structuredContent"]["logged_in"], true, "{told}");
    let result = Client::with_header(&ann).call(&server, "echo_get_echo").message()["result"].clone();
    assert_eq!(result["structuredContent"]["path"], "/api/echo", "{result}");
    let status = Client::with_header(&ann).call(&server, "echo_auth_status").body;
    assert!(status.contains("\"logged_in\":true"), "{status}");
    check(&installation.run(&["connector", "status", "echo"]), 0, &["account:ann"]);
    let out = Client::with_header(&ann).call(&server, "echo_logout").body;
    assert!(out.contains("\"logged_in\":false") && out.contains("echo_login"), "{out}");
    let mut heard = browser.told;
    // The person's own browser has to carry the code once; what is shown never repeats it.
    heard.extend([told.to_string(), status, out]);
    nowhere(&installation, server, &upstream, &heard);
}

/// A session of protocol 2025-11-25 asks within the call, on the call's own stream, and waits for what the client says.
#[test]
fn in_a_session_the_address_comes_while_the_call_waits() {
    let (installation, server, upstream, ann) = agents();
    let post = |session: Option<&str>, message: &Value| {
        let mut headers = base_headers(&ann);
        headers.extend(session.iter().flat_map(|id| [("Mcp-Session-Id", *id), ("MCP-Protocol-Version", "2025-11-25")]));
        server.raw("POST", "/mcp", &headers, &message.to_string())
    };
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"url": {}}},
        "clientInfo": {"name": "t", "version": "1"}});
    let begun = post(None, &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}));
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    post(Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));

    let mut news = TcpStream::connect(server.address).unwrap();
    news.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        news,
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {ann}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n"
    )
    .unwrap();

    let params = json!({"name": "echo_login", "arguments": {}});
    let body = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}).to_string();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {ann}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let events = |stream: TcpStream| {
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        lines.filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok())
    };
    let (mut events, mut news) = (events(stream), events(news));
    let asked = events.find(|event| event["method"] == "elicitation/create").unwrap();
    assert_eq!(asked["params"]["mode"], "url", "{asked}");
    assert!(asked["params"]["elicitationId"].as_str().is_some_and(|id| !id.is_empty()), "{asked}");

    let url = asked["params"]["url"].as_str().unwrap();
    let mut browser = Browser::new();
    let path = browser.open(&server, url);
    let onward = browser.send(&server, &path, &[("name", "ann"), ("password", PASSWORD)]);
    let back = upstream.browse(&between(&onward.body, "href=\"", "\"").replace("&amp;", "&"));
    let back = format!("/{}", back.splitn(4, '/').nth(3).unwrap());
    assert_eq!(browser.go(&server, "GET", &back, &[], "").status, 200);
    // The client hears that its person is done, whenever that is.
    let done = news.find(|event| event["method"] == "notifications/elicitation/complete").unwrap();
    assert_eq!(done["params"], json!({"elicitationId": asked["params"]["elicitationId"]}), "{done}");
    let accepted = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept"}});
    assert_eq!(post(Some(&session), &accepted).status, 202);
    let told = events.find(|event| event["id"] == 2).unwrap();
    assert_eq!(told["result"]["structuredContent"]["logged_in"], true, "{told}");
    browser.told.push(told.to_string());
    nowhere(&installation, server, &upstream, &browser.told);
}

/// Over TLS no other host, no path and no cleartext page can set or overwrite the cookie (RFC 6265bis, section 4.1.3.2).
#[test]
fn over_tls_the_cookie_is_bound_to_this_host() {
    let (installation, directory) = secured();
    let server = installation.serve();
    let client = transport::Client::of(&directory);
    let page = client.fetch(&server, &format!("GET /connect/{} HTTP/1.1\r\nHost: localhost", "0".repeat(64))).unwrap();
    assert_eq!(page.status, 200, "{page:?}");
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-sekisho-connect="), "{cookie}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.split("; ").any(|it| it == attribute), "{attribute} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
}

#[test]
fn an_invitation_is_good_for_the_one_who_was_invited_and_for_their_own_browser() {
    let (installation, server, upstream, ann) = agents();
    let url = invited(&server, &ann);
    let mut browser = Browser::new();
    let path = browser.open(&server, &url);
    // Somebody else who follows the link would bind their account to Ann's agent.
    let bob = browser.send(&server, &path, &[("name", "bob"), ("password", PASSWORD)]);
    assert!(bob.status == 403 && bob.body.contains("somebody else&#39;s"), "{bob:?}");
    browser.open(&server, &url);
    let wrong = browser.send(&server, &path, &[("name", "ann"), ("password", "a wrong password here")]);
    assert_eq!(wrong.status, 401, "{wrong:?}");
    browser.open(&server, &url);
    let nobody = browser.send(&server, &path, &[]);
    assert_eq!(nobody.status, 401, "{nobody:?}");
    // A form that another site sends, or that has no cookie, or another page's proof.
    browser.open(&server, &url);
    let fields = "name=ann&password=correct+horse+battery+staple";
    for (headers, body) in [
        (&FORM[..], fields.to_owned()),
        (&FORM[..], format!("{fields}&proof={}", "0".repeat(64))),
        (&[FORM[0], ("Origin", "https://evil.example")], fields.to_owned()),
        (&[FORM[0], FORM[1], ("Sec-Fetch-Site", "cross-site")], fields.to_owned()),
    ] {
        let cookie = browser.cookie.clone();
        let all = [&[("Host", "localhost"), ("Cookie", cookie.as_str())], headers].concat();
        assert_eq!(request(server.address, "POST", &path, &all, &body).status, 403, "{headers:?}");
    }
    let other = format!("/connect/{}", "0".repeat(64));
    browser.open(&server, &format!("http://localhost{other}"));
    let unknown = browser.send(&server, &other, &[("name", "ann"), ("password", PASSWORD)]);
    assert!(unknown.status == 404 && unknown.body.contains("not open"), "{unknown:?}");
    assert_eq!(count(&upstream, "authorization_code"), 0);

    // Whoever has the link and their own right credential gets no further than the consent of their own browser.
    let told = login(&server, &ann, &json!({"inputResponses": {"login": {"action": "accept"}}}));
    assert_eq!(told["structuredContent"]["logged_in"], false, "a yes is no login: {told}");
    let told = login(&server, &ann, &json!({"inputResponses": {"login": {"action": "decline"}}}));
    assert!(told.to_string().contains("did not want"), "{told}");
    let entries = installation.entries();
    let refused: Vec<&Value> =
        entries.iter().filter(|entry| entry["operation"] == "connector/invitation/accept").collect();
    assert!(
        refused
            .iter()
            .any(|entry| entry["reason"].as_str().is_some_and(|it| it.contains("followed by another principal")))
    );
    nowhere(&installation, server, &upstream, &browser.told);
}

#[test]
fn where_no_browser_can_be_sent_the_tool_names_the_command() {
    let (installation, server, upstream, ann) = agents();
    let told = Client::with_header(&ann).call(&server, "echo_login").body;
    assert!(told.contains("sekisho connector login echo --for account:ann"), "{told}");
    let mut client = installation.stdio();
    let told = client.ask("tools/call", json!({"name": "echo_login", "arguments": {}})).to_string();
    assert!(told.contains("sekisho connector login echo --for stdio:"), "{told}");
    drop(client);
    // Not even where the client could show an address: no page can recognise whom the kernel names.
    let params = json!({"name": "echo_login", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let told = crate::strongroom::told(&installation, &["stdio"], &format!("{message}\n"));
    assert!(crate::harness::text(&told.stdout).contains("connector login echo --for stdio:"), "{told:?}");
    // Of one login for all, operators only dispose.
    check(&crate::oauth::bind(&installation, &["--whose", "service"]), 0, &[]);
    let told = Client::with_header(&ann).call(&server, "echo_login").body;
    assert!(told.contains("one login for all callers") && !told.contains("--for"), "{told}");
    crate::oauth::log_in(&installation, &upstream, &[]);
    let told = Client::with_header(&ann).call(&server, "echo_logout").body;
    assert!(told.contains("\"logged_in\":true") && told.contains("an operator can"), "{told}");
    assert!(crate::oauth::works(&server));
    nowhere(&installation, server, &upstream, &[told]);
}

/// Ann, who was invited to log in for herself, would have logged her account in for all callers.
#[test]
fn an_invitation_does_not_outlive_what_it_was_for() {
    let (installation, server, upstream, ann) = agents();
    let fields = [("name", "ann"), ("password", PASSWORD)];
    let anew: [&dyn Fn(); 3] = [
        &|| check(&crate::oauth::bind(&installation, &["--whose", "service"]), 0, &[]),
        &|| check(&crate::oauth::bind(&installation, &["--whose", "each", "--scope", "other"]), 0, &[]),
        &|| {
            check(&installation.run(&["connector", "remove", "echo"]), 0, &[]);
            crate::oauth::add(&installation, &upstream);
            check(&crate::oauth::bind(&installation, &["--whose", "each"]), 0, &[]);
        },
    ];
    let mut told = Vec::new();
    for anew in anew {
        check(&crate::oauth::bind(&installation, &["--whose", "each"]), 0, &[]);
        let url = invited(&server, &ann);
        let mut browser = Browser::new();
        let path = browser.open(&server, &url);
        anew();
        let page = browser.send(&server, &path, &fields);
        assert!(page.status == 404 && page.body.contains("is not open"), "{page:?}");
        told.extend(browser.told);
    }
    assert_eq!(count(&upstream, "authorization_code"), 0);
    nowhere(&installation, server, &upstream, &told);
}

#[test]
fn whoever_follows_a_link_twice_goes_on_in_the_browser_that_came_last() {
    let (installation, server, upstream, ann) = agents();
    let fields = [("name", "ann"), ("password", PASSWORD)];
    let url = invited(&server, &ann);
    let mut browsers = [Browser::new(), Browser::new()];
    let backs: Vec<String> = browsers
        .iter_mut()
        .map(|browser| {
            let path = browser.open(&server, &url);
            let onward = browser.send(&server, &path, &fields);
            let back = upstream.browse(&between(&onward.body, "href=\"", "\"").replace("&amp;", "&"));
            format!("/{}", back.splitn(4, '/').nth(3).unwrap())
        })
        .collect();
    let [first, last] = &mut browsers;
    assert_eq!(first.go(&server, "GET", &backs[0], &[], "").status, 403);
    // Any page may send the browser here with nothing in hand; that ends no login.
    for nothing in ["/connect/callback", "/connect/callback?x", "/connect/callback?code=a&state=b", backs[0].as_str()] {
        let page = last.go(&server, "GET", nothing, &[], "");
        assert!(page.status == 400 && page.body.contains("is not taken"), "{nothing}: {page:?}");
    }
    assert_eq!(last.go(&server, "GET", &backs[1], &[], "").status, 200);
    let [first, last] = browsers;
    nowhere(&installation, server, &upstream, &[first.told, last.told].concat());
}

#[test]
fn who_was_shut_out_on_the_way_does_not_finish_a_login() {
    let (installation, server, upstream, ann) = agents();
    let url = invited(&server, &ann);
    let mut browser = Browser::new();
    let path = browser.open(&server, &url);
    let onward = browser.send(&server, &path, &[("name", "ann"), ("password", PASSWORD)]);
    let back = upstream.browse(&between(&onward.body, "href=\"", "\"").replace("&amp;", "&"));
    let back = format!("/{}", back.splitn(4, '/').nth(3).unwrap());
    check(&installation.run(&["account", "disable", "ann"]), 0, &[]);
    let page = browser.go(&server, "GET", &back, &[], "");
    assert!(page.status == 403 && page.body.contains("holds no more"), "{page:?}");
    assert_eq!(count(&upstream, "authorization_code"), 0);
    check(&installation.run(&["connector", "status", "echo"]), 1, &[]);
    nowhere(&installation, server, &upstream, &browser.told);
}
