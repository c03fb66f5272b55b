//! Alerts over the real binary: to receivers on loopback, signed, tried again, folded, and over a kill.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;

use sekisho::base::id::hex;
use sekisho::base::secret::Secret;
use sekisho::crypto::digest::hmac_sha256_keyed;
use serde_json::{Value, json};

use crate::client::{Client, issue};
use crate::harness::{Installation, MODERN, PATIENCE, Server, base_headers, text, write};
use crate::strongroom::{check, told, until};
use crate::timed::{Timed, clock};

const SECRET: &str = "kumquat-webhook-secret-of-some-length";

/// One wrong credential alerts.
fn installation() -> Installation {
    let mut installation = Installation::new();
    installation.set("WATCH_AUTHENTICATION_FAILURES", "1");
    installation
}

fn fail_to_authenticate(server: &Server) {
    let reply = server.raw("POST", "/mcp", &base_headers("Bearer wrong"), "{}");
    assert_eq!(reply.status, 401);
}

/// A post as it came.
struct Post {
    head: String,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    /// The alert, once its signature was checked as the manual says.
    fn alert(&self) -> Value {
        let (time, signature) = self.header("Sekisho-Signature").split_once(",v1=").unwrap();
        let signed = format!("{}.{}", time.strip_prefix("t=").unwrap(), self.body);
        assert_eq!(signature, hex(&hmac_sha256_keyed(&Secret::new(SECRET), signed.as_bytes())));
        let message: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(message["type"], "sekisho.alert");
        message["alert"].clone()
    }
}

/// Answers posts with the statuses in turn, the last one for ever.
fn webhook(statuses: &'static [u16]) -> (String, mpsc::Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?site=1", listener.local_addr().unwrap());
    let (send, posts) = mpsc::channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter().chain(std::iter::repeat(statuses.last().unwrap()));
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            // A client that was killed in between sends no more.
            while stream.read_line(&mut head).is_ok_and(|length| length > 0) && !head.ends_with("\r\n\r\n") {}
            let mut post = Post { head, body: String::new() };
            if !post.head.ends_with("\r\n\r\n") {
                continue;
            }
            let mut body = vec![0; post.header("content-length").parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            post.body = text(&body);
            let status = statuses.next().unwrap();
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // Told first: a test that kills the server now must not be answered before.
            if send.send(post).is_err() {
                return;
            }
            stream.get_mut().write_all(answer.as_bytes()).ok();
        }
    });
    (url, posts)
}

#[test]
fn an_alert_is_signed_and_tried_again_and_survives_a_kill_in_between() {
    let (url, posts) = webhook(&[500, 500, 200]);
    let mut installation = installation();
    check(&told(&installation, &["credential", "set", "hook"], SECRET), 0, &["version 1"]);
    installation.set("WATCH_WEBHOOK_URL", &url);
    installation.set("WATCH_WEBHOOK_CREDENTIAL", "hook");
    let server = installation.serve();
    fail_to_authenticate(&server);
    let first = posts.recv_timeout(PATIENCE).unwrap();
    assert!(first.head.starts_with("POST /hook?site=1 HTTP/1.1"), "{}", first.head);
    assert_eq!(first.header("content-type"), "application/json");
    let alert = first.alert();
    assert_eq!((&alert["event"], &alert["severity"]), (&"authentication_failures".into(), &"medium".into()));
    assert!(alert["subject"].as_str().unwrap().starts_with('p'), "{alert}");
    assert!(!first.body.contains("127.0.0.1"), "an alert names nobody: {}", first.body);
    server.kill();

    let server = installation.serve();
    let second = posts.recv_timeout(PATIENCE).unwrap().alert();
    let third = posts.recv_timeout(PATIENCE).unwrap().alert();
    assert_eq!((&second, &third), (&alert, &alert));
    let listed = installation.json(&["alert", "list"]);
    assert_eq!(listed["alerts"][0]["id"], alert["id"]);
    let entries = installation.entries();
    let entry = entries.iter().find(|entry| entry["event"] == "alert").unwrap();
    assert_eq!(entry["subject"], alert["subject"]);
    assert!(entries.iter().any(|entry| entry["event"] == "egress" && entry["outcome"] == "done"), "{entries:?}");
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn a_place_that_is_dead_holds_up_no_other() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mail, mails) = mail_server();
    let syslog = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut installation = installation();
    for name in ["hook", "mail"] {
        check(&told(&installation, &["credential", "set", name], SECRET), 0, &["version 1"]);
    }
    installation.set("WATCH_WEBHOOK_URL", &format!("http://{gone}/"));
    installation.set("WATCH_WEBHOOK_CREDENTIAL", "hook");
    installation.set("WATCH_SMTP_SERVER", "127.0.0.1");
    installation.set("WATCH_SMTP_PORT", &mail.to_string());
    installation.set("WATCH_SMTP_SECURITY", "none");
    installation.set("WATCH_SMTP_FROM", "sekisho@a.example");
    installation.set("WATCH_SMTP_TO", "[\"ops@b.example\"]");
    installation.set("WATCH_SMTP_USER", "porter");
    installation.set("WATCH_SMTP_CREDENTIAL", "mail");
    installation.set("WATCH_SYSLOG", &format!("tcp://{}", syslog.local_addr().unwrap()));
    let server = installation.serve();
    fail_to_authenticate(&server);

    let mail = mails.recv_timeout(PATIENCE).unwrap();
    assert!(mail.contains("MAIL FROM:<sekisho@a.example>") && mail.contains("RCPT TO:<ops@b.example>"), "{mail}");
    assert!(mail.contains("Subject: [sekisho] medium: authentication_failures"), "{mail}");
    // Two NULs around the name, before the password (RFC 4616).
    assert!(mail.contains("AUTH PLAIN AHBvcnRlcgBrdW1xdWF0"), "{mail}");

    let frame = accepted(&syslog);
    let (length, message) = frame.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), message.len());
    assert!(
        message.starts_with("<84>1 ") && message.contains(" authentication_failures [alert@32473 id=\"1\""),
        "{message}"
    );

    let tested = installation.run(&["alert", "test"]);
    check(&tested, 1, &["webhook  FAILED", "log      delivered"]);
    server.kill();
}

/// What one client sends until it closes.
fn accepted(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut sent = String::new();
    stream.read_to_string(&mut sent).unwrap();
    sent
}

/// A mail server; gives what each client said.
fn mail_server() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, mails) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if send.send(take_mail(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    (port, mails)
}

fn take_mail(mut stream: TcpStream) -> String {
    let mut said = String::new();
    stream.write_all(b"220 test ESMTP\r\n").unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut in_data = false;
    for line in lines.map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        let answer = match line.split([' ', ':']).next().unwrap() {
            "." if in_data => "250 taken",
            _ if in_data => continue,
            "EHLO" => "250-test\r\n250 AUTH PLAIN",
            "AUTH" => "235 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 yes",
        };
        in_data = line == "DATA";
        stream.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
        if line == "QUIT" {
            break;
        }
    }
    said
}

#[test]
fn a_storm_is_one_alert_with_a_count() {
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut installation = Installation::new();
    installation.set("WATCH_SYSLOG", &format!("udp://{}", syslog.local_addr().unwrap()));
    installation.set("WATCH_SYSLOG_FORMAT", "cef");
    let server = installation.serve();
    check(&installation.run(&["vault", "seal"]), 0, &[]);
    for _ in 0..3 {
        // Wrong, or too soon after a wrong one.
        assert!(!told(&installation, &["vault", "unseal"], "a wrong passphrase").status.success());
    }
    let hear = || {
        let mut bytes = [0; 4096];
        let length = syslog.recv(&mut bytes).unwrap();
        text(&bytes[..length])
    };
    let first = hear();
    assert!(
        first.contains("|vault_unseal_failed|") && first.contains(" cnt=1 ") && first.contains(" externalId=1"),
        "{first}"
    );
    assert_eq!(server.terminate(), Some(0));
    // What was only counted is written at the end, and sent at the next start.
    let server = installation.serve();
    let again = hear();
    // The third one may have been folded into the second: they came too soon after the first.
    let count = if again.contains(" cnt=2 ") { 2 } else { 3 };
    assert!(again.contains(&format!(" cnt={count} ")) && again.contains(" externalId=1"), "{again}");
    let listed = installation.json(&["alert", "list", "--severity", "high"]);
    let alerts = listed["alerts"].as_array().unwrap();
    assert_eq!((alerts.len(), &alerts[0]["count"]), (1, &count.into()), "{alerts:?}");
    check(&installation.run(&["alert", "acknowledge", "1"]), 0, &["was looked at"]);
    check(&installation.run(&["alert", "acknowledge", "77"]), 66, &["no alert 77"]);
    assert!(installation.json(&["alert", "list"])["alerts"][0]["acknowledged"].is_string());
    server.kill();
}

#[test]
fn somebody_elses_session_alerts() {
    let mut installation = Installation::new();
    installation.set("HTTP_AUTHENTICATION", "none");
    let server = installation.serve();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
    let session = server.legacy(None, &hello).header("mcp-session-id").unwrap().to_owned();
    server.legacy(Some(&session), &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    assert_eq!(server.legacy(Some(&session), &list).status, 200);
    assert_eq!(installation.json(&["alert", "list"])["alerts"], json!([]), "one's own session is no theft");
    // Without the token it is "anonymous" who shows the session.
    let headers = [
        ("Host", "localhost"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Session-Id", &session),
        ("MCP-Protocol-Version", "2025-06-18"),
    ];
    assert_eq!(server.raw("POST", "/mcp", &headers, &list.to_string()).status, 404);
    let alert = until("an alert", || installation.json(&["alert", "list"])["alerts"].as_array()?.first().cloned());
    assert_eq!((&alert["event"], &alert["severity"]), (&"session_hijack".into(), &"critical".into()));
    server.kill();
}

/// The caller is shut out; the watch acts a moment after the call that was too much.
fn check_blocked(client: &Client, server: &Server, what: &str) {
    until("a block", || {
        let reply = client.call(server, "list_libraries");
        reply.message()["error"]["message"].as_str()?.contains(&format!("This {what} is banned")).then_some(())
    });
}

#[test]
fn whoever_attacks_again_and_again_is_blocked_for_a_time_and_a_restart_does_not_help() {
    let mut installation = Installation::new();
    installation.set("WATCH_SUSPICIOUS_PATTERNS", "2");
    let (ann, bob) = (Client::with(&installation.token()), issue(&installation, "bob"));
    let server = installation.serve();
    let attack = json!({"name": "read_document", "arguments": {"library": "manual", "path": "../../etc/passwd"}});
    let refused = ann.modern(&server, "tools/call", attack.clone());
    assert_eq!(refused.message()["result"]["isError"], true, "{}", refused.body);
    assert_eq!(ann.call(&server, "list_libraries").status, 200, "one is not enough");
    ann.modern(&server, "tools/call", attack);
    check_blocked(&ann, &server, "session");
    assert_eq!(bob.call(&server, "list_libraries").status, 200, "others are not concerned");

    let alert = until("an alert", || installation.json(&["alert", "list"])["alerts"].as_array()?.first().cloned());
    assert_eq!((&alert["event"], &alert["severity"]), (&"suspicious_patterns".into(), &"high".into()));
    let action = alert["action"].as_str().unwrap();
    assert!(action.starts_with("the session is blocked until "), "{action}");
    let bans = installation.json(&["ban", "list"])["items"].clone();
    assert_eq!((&bans[0]["kind"], &bans[0]["by"]), (&"session".into(), &"watch".into()), "{bans}");
    assert!(bans[0]["until"].is_string(), "{bans}");
    let entries = installation.entries();
    let entry = entries.iter().find(|entry| entry["operation"] == "watch.block").unwrap();
    assert_eq!((&entry["outcome"], &entry["session"]), (&"done".into(), &bans[0]["name"]), "{entry}");

    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    check_blocked(&ann, &server, "session");
    let session = bans[0]["name"].as_str().unwrap();
    check(&installation.run(&["ban", "lift", "session", session]), 0, &[]);
    assert_eq!(ann.call(&server, "list_libraries").status, 200);
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn whoever_tries_more_than_the_rate_is_blocked_also_where_the_tries_were_refused() {
    let mut installation = Installation::new();
    installation.set("WATCH_RATE_LIMIT_ATTEMPTS", "4");
    installation.set("RATE_PER_SESSION", "4");
    let ann = Client::with(&installation.token());
    let server = installation.serve();
    for _ in 0..4 {
        assert_eq!(ann.call(&server, "list_libraries").status, 200);
    }
    assert_eq!(installation.json(&["ban", "list"])["all"], 0, "whoever keeps to the rate is not blocked");
    assert_eq!(ann.call(&server, "list_libraries").status, 429);
    check_blocked(&ann, &server, "session");
    let alert = until("an alert", || installation.json(&["alert", "list"])["alerts"].as_array()?.first().cloned());
    assert_eq!(alert["event"], "rate_limit_exceeded", "{alert}");
    server.kill();
}

#[test]
fn one_without_a_credential_does_not_shut_out_the_others() {
    let mut installation = Installation::new();
    installation.set("HTTP_AUTHENTICATION", "none");
    installation.set("WATCH_SUSPICIOUS_PATTERNS", "1");
    let server = installation.serve();
    let ask = |name: &str, arguments: Value| {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"name": name, "arguments": arguments, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let headers = [
            ("Host", "localhost"),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", MODERN),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", name),
        ];
        server.raw("POST", "/mcp", &headers, &body)
    };
    let refused = ask("read_document", json!({"library": "manual", "path": "../../etc/passwd"}));
    assert_eq!(refused.message()["result"]["isError"], true, "{}", refused.body);
    let alert = until("an alert", || installation.json(&["alert", "list"])["alerts"].as_array()?.first().cloned());
    assert_eq!(alert["event"], "suspicious_patterns", "{alert}");
    assert!(alert["action"].as_str().unwrap().contains("not blocked: it is this machine"), "{alert}");
    assert!(ask("list_libraries", json!({})).message()["result"].is_object());
    assert_eq!(installation.json(&["ban", "list"])["all"], 0);
    server.kill();
}

/// Alerts of one event, as listed.
fn alerts(installation: &Installation, event: &str) -> Vec<Value> {
    let listed = installation.json(&["alert", "list"]);
    listed["alerts"].as_array().unwrap().iter().filter(|alert| alert["event"] == event).cloned().collect()
}

#[test]
fn a_host_that_becomes_blocked_is_asked_no_more_and_alerts() {
    let site = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", site.local_addr().unwrap());
    let mut installation = Installation::new();
    let server = installation.serve();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = site.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        stream.write_all(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        site
    });
    let add = ["library", "add", "site", &url, "--loopback-http"];
    installation.run(&add);
    let site = asked.join().unwrap();
    assert!(alerts(&installation, "egress_refused").is_empty(), "what is allowed alerts nobody");
    assert_eq!(server.terminate(), Some(0));

    installation.set("EGRESS_BLOCKED_HOSTS", "[\"127.0.0.1\"]");
    site.set_nonblocking(true).unwrap();
    // What waited there since.
    while site.accept().is_ok() {}
    let server = installation.serve();
    let refused = installation.run(&add);
    assert!(!refused.status.success(), "{}", text(&refused.stdout));
    let alert = until("an alert", || alerts(&installation, "egress_refused").pop());
    assert_eq!(alert["severity"], "high", "{alert}");
    let entries = installation.entries();
    let entry = entries.iter().find(|entry| entry["operation"] == "egress.library" && entry["outcome"] == "refused");
    assert!(entry.unwrap()["reason"].as_str().unwrap().contains("egress.blocked_hosts"), "{entry:?}");
    assert!(site.accept().is_err(), "nobody came");
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn whoever_asks_again_and_again_for_what_the_policy_denies_alerts_and_a_few_do_not() {
    let installation = Installation::new();
    write(
        &installation.data().join("policies/closed.cedar"),
        "forbid (principal, action == Sekisho::Action::\"read_document\", resource);",
    );
    let server = installation.serve();
    let manual = json!({"name": "read_document", "arguments": {"library": "manual", "path": "index.md"}});
    let ask = || assert!(server.modern("tools/call", manual.clone()).body.contains("does not allow"));
    (0..10).for_each(|_| ask());
    assert!(alerts(&installation, "policy_denials").is_empty());
    (0..11).for_each(|_| ask());
    let alert = until("an alert", || alerts(&installation, "policy_denials").pop());
    assert_eq!((&alert["severity"], &alert["action"]), (&"medium".into(), &Value::Null), "it blocks nobody: {alert}");
    assert_ne!(server.call("list_libraries", json!({}))["isError"], true);
    server.kill();
}

#[test]
fn so_many_wrong_credentials_alert_and_fewer_do_not() {
    let mut installation = Installation::new();
    installation.set("WATCH_AUTHENTICATION_FAILURES", "5");
    let server = installation.serve();
    (0..4).for_each(|_| fail_to_authenticate(&server));
    server.call("list_libraries", json!({}));
    assert!(alerts(&installation, "authentication_failures").is_empty());
    // Those of one second are one entry with a count, which the next one carries.
    until("an alert", || {
        fail_to_authenticate(&server);
        alerts(&installation, "authentication_failures").pop()
    });
    server.kill();
}

#[test]
fn what_a_caller_never_did_before_alerts_once_its_habits_are_known() {
    let mut installation = Installation::new();
    installation.set("WATCH_BASELINE_LEARNING_HOURS", "1");
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    timed.server.call("list_libraries", json!({}));
    timed.server.call("search_documents", json!({"query": "audit"}));
    assert!(alerts(&installation, "baseline_operation").is_empty(), "all is new at first");
    timed.pass(std::time::Duration::from_hours(2));
    timed.server.call("list_libraries", json!({}));
    timed.server.call("read_document", json!({"library": "manual", "path": "index.md"}));
    let alert = until("an alert", || alerts(&installation, "baseline_operation").pop());
    assert_eq!(alert["severity"], "low", "{alert}");
    let found = alerts(&installation, "baseline_operation");
    assert!(
        found.len() == 1 && alert.to_string().contains("read_document"),
        "what it does daily is no news: {found:?}"
    );
    timed.stop();
}
