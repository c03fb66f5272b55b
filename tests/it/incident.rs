//! Incidents over the real binary: the record, containment in one commit, evidence that verifies elsewhere, contacts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::api::Api;
use crate::client::Client;
use crate::harness::{Installation, MODERN, PATIENCE, Server, base_headers, text};
use crate::strongroom::{check, told};

/// The holder of a token that the running server issued.
fn issued(installation: &Installation, name: &str) -> Client {
    Client::with(installation.json(&["token", "issue", name])["token"].as_str().unwrap())
}

fn open(installation: &Installation, severity: &str) -> u64 {
    let opened = installation.json(&[
        "incident",
        "open",
        "A token was found in public",
        "--severity",
        severity,
        "--type",
        "credential_leak",
        "--affected",
        "token:thief",
        "--affected",
        "connector crm",
        "--description",
        "on a pastebin",
    ]);
    opened["id"].as_u64().unwrap()
}

#[test]
fn an_incident_is_on_record_from_its_opening_to_its_lessons() {
    let installation = Installation::new();
    let id = open(&installation, "medium").to_string();
    installation.json(&["incident", "note", &id, "first misused on Tuesday", "--phase", "investigation"]);
    let shown = installation.json(&["incident", "show", &id]);
    assert_eq!(shown["phase"], "investigation");
    assert_eq!(shown["affected_systems"], json!(["token:thief", "connector crm"]));
    assert_eq!(shown["notes"][0]["text"], "first misused on Tuesday");
    assert!(shown["notes"][0]["by"].as_str().unwrap().starts_with("local:"));

    // Where nobody sits nothing is asked, and nothing is closed without its lessons.
    check(&installation.run(&["incident", "close", &id, "--nobody-notified"]), 64, &["--lessons"]);
    check(&installation.run(&["incident", "close", &id, "--lessons", "x"]), 64, &["--notified"]);
    let closed = installation.json(&[
        "incident",
        "close",
        &id,
        "--lessons",
        "tokens expire",
        "--notified",
        "the authority",
        "--notified",
        "ann",
    ]);
    assert_eq!((&closed["phase"], &closed["notified"]), (&json!("post-incident"), &json!(["the authority", "ann"])));
    check(&installation.run(&["incident", "note", &id, "too late"]), 73, &["was closed"]);
    check(&installation.run(&["incident", "show", "99"]), 66, &["no incident 99"]);
    // What would make up lines of the list, or begins with nothing that there is.
    let open = |title: &str, rest: &[&str]| {
        installation.run(&[&["incident", "open", title, "--severity", "low"], rest].concat())
    };
    check(&open("a\n   2 forged", &[]), 64, &["one line"]);
    check(&open("a", &["--alert", "99"]), 66, &["no alert 99"]);
    check(&installation.run(&["contain"]), 64, &["--principal, --session, --address, --connector"]);
    let listed = installation.json(&["incident", "list"]);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["older"]), (1, &json!(0)));
    assert_eq!(installation.json(&["incident", "list", "--before", &id])["items"], json!([]));
    let operations: Vec<Value> =
        installation.entries().iter().filter(|it| it["outcome"] == "done").map(|it| it["operation"].clone()).collect();
    for operation in ["incident.open", "incident.note", "incident.close"] {
        assert!(operations.contains(&json!(operation)), "{operation}: {operations:?}");
    }
}

/// The command at a terminal, where somebody types these lines. `None` where there is no script(1).
fn typed(installation: &Installation, arguments: &[&str], lines: &str) -> Option<Output> {
    let inner = installation.command(arguments);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &line.join(" "), "/dev/null"]);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = script.spawn().ok()?;
    running.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    Some(running.wait_with_output().unwrap())
}

#[test]
fn at_a_terminal_closing_asks_for_what_was_left_out_until_it_is_said() {
    let installation = Installation::new();
    let id = open(&installation, "low").to_string();
    // The first answer is empty, and asked for again.
    let Some(output) = typed(&installation, &["incident", "close", &id], "\nshorter lives\nann, the authority\n")
    else {
        eprintln!("there is no script(1) here: what a terminal asks was not tried");
        return;
    };
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("What is done otherwise").count(), 2, "{said}");
    let shown = installation.json(&["incident", "show", &id]);
    assert_eq!((&shown["lessons"], &shown["notified"]), (&json!("shorter lives"), &json!(["ann", "the authority"])));
    assert!(!shown["closed"].is_null(), "{shown}");
}

#[test]
fn containing_a_principal_ends_revokes_and_bans_with_one_entry() {
    let installation = Installation::new();
    let server = installation.serve();
    let thief = issued(&installation, "thief");
    assert_eq!(thief.call(&server, "list_libraries").status, 200);
    let id = open(&installation, "medium").to_string();
    let contained =
        installation.json(&["contain", "--principal", "token:thief", "--incident", &id, "--reason", "stolen"]);
    assert_eq!(contained["ended"].as_array().unwrap().len(), 1, "{contained}");
    assert_eq!(contained["revoked"].as_array().unwrap().len(), 1, "{contained}");
    assert_eq!(contained["banned"], json!(["principal token:thief"]));
    // The token is refused from the very next call on, and the owner's is not.
    assert!([401, 403].contains(&thief.call(&server, "list_libraries").status));
    server.call("list_libraries", json!({}));

    let tokens = installation.json(&["token", "list"]);
    let token = tokens["items"].as_array().unwrap().iter().find(|token| token["name"] == "thief").unwrap().clone();
    assert_eq!(token["revoked"], true);
    let bans = installation.json(&["ban", "list"]);
    assert_eq!((&bans["items"][0]["name"], &bans["items"][0]["reason"]), (&json!("token:thief"), &json!("stolen")));
    let shown = installation.json(&["incident", "show", &id]);
    assert_eq!(shown["phase"], "containment");
    assert!(shown["notes"][0]["text"].as_str().unwrap().contains("token:thief"), "{shown}");

    let sequence = contained["audit_entry"].as_u64().unwrap();
    let entries = installation.entries();
    let entry = entries.iter().find(|entry| entry["sequence"] == sequence).unwrap();
    assert_eq!((&entry["operation"], &entry["principal"]), (&json!("contained"), &json!("token:thief")));
    assert!(entry["reason"].as_str().unwrap().contains("1 tokens revoked, 1 bans"), "{entry}");
    assert_eq!(entries.iter().filter(|entry| entry["operation"] == "contained").count(), 1);
    // It holds over a restart.
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    assert!([401, 403].contains(&thief.call(&server, "list_libraries").status));
    installation.verify();
}

/// The session of a principal, as the operator reads it off the list.
fn session_of(installation: &Installation, principal: &str) -> String {
    let listed = installation.json(&["session", "list"]);
    let items = listed["items"].as_array().unwrap();
    let found = items.iter().find(|item| item["principal"] == principal).unwrap_or_else(|| panic!("{listed}"));
    found["session"].as_str().unwrap().to_owned()
}

#[test]
fn whoever_is_contained_by_its_session_does_not_come_back_in_another() {
    let installation = Installation::new();
    let server = installation.serve();
    // An older client: a connection, which it would open again.
    let thief = issued(&installation, "thief");
    let connection = thief.begin(&server);
    assert_eq!(thief.list(&server, &connection).status, 200);
    let contained = installation.json(&["contain", "--session", &session_of(&installation, "token:thief")]);
    assert_eq!(contained["banned"].as_array().unwrap().len(), 2, "{contained}");
    assert!(contained["banned"].to_string().contains("credential token:thief"), "{contained}");
    assert_ne!(thief.list(&server, &connection).status, 200);
    assert!([401, 403].contains(&thief.initialize(&server).status));
    assert!([401, 403].contains(&thief.call(&server, "list_libraries").status));
    // A newer one: its credential is its session.
    let other = issued(&installation, "other");
    assert_eq!(other.call(&server, "list_libraries").status, 200);
    installation.json(&["contain", "--session", &session_of(&installation, "token:other")]);
    assert!([401, 403].contains(&other.call(&server, "list_libraries").status));
    server.call("list_libraries", json!({}));
}

#[test]
fn where_nobody_shows_a_credential_a_contained_session_stays_shut() {
    let mut installation = Installation::new();
    installation.set("HTTP_AUTHENTICATION", "none");
    // Nobody's header is none.
    let call = |server: &Server| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "list_libraries", "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}}});
        let mut headers = base_headers("");
        headers.retain(|(name, _)| *name != "Authorization");
        let of_call = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", "list_libraries")];
        headers.extend(of_call);
        server.raw("POST", "/mcp", &headers, &body.to_string())
    };
    let server = installation.serve();
    assert_eq!(call(&server).status, 200);
    let session = session_of(&installation, "anonymous");
    let contained = installation.json(&["contain", "--session", &session]);
    assert_eq!(contained["ended"], json!([session]), "{contained}");
    let refused = call(&server);
    assert!(refused.body.contains("banned") && refused.status != 200, "{} {}", refused.status, refused.body);
    // Over a restart, too.
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    assert!(call(&server).body.contains("banned"));
    installation.json(&["ban", "lift", "session", &session]);
    assert_eq!(call(&server).status, 200);
}

#[test]
fn what_cannot_be_contained_changes_nothing() {
    let installation = Installation::new();
    let server = installation.serve();
    let caller = issued(&installation, "caller");
    assert_eq!(caller.call(&server, "list_libraries").status, 200);
    // Loopback is never banned, so nothing that stands beside it is done either.
    let refused = installation.run(&["contain", "--principal", "token:caller", "--address", "127.0.0.1"]);
    check(&refused, 77, &["never banned"]);
    check(
        &installation.run(&["contain", "--principal", "token:caller", "--connector", "nothing"]),
        66,
        &["no connector"],
    );
    check(&installation.run(&["contain", "--principal", "token:caller", "--incident", "7"]), 66, &["no incident 7"]);
    check(&installation.run(&["contain", "--reason", "x"]), 64, &["--principal"]);
    assert_eq!(caller.call(&server, "list_libraries").status, 200);
    assert_eq!(installation.json(&["ban", "list"])["all"], 0);
    assert!(!installation.entries().iter().any(|entry| entry["operation"] == "contained"));
}

#[test]
fn whom_nobody_knows_is_contained_only_if_that_is_what_is_meant() {
    let installation = Installation::new();
    let server = installation.serve();
    let caller = issued(&installation, "caller");
    let refused = installation.run(&["contain", "--principal", "caller"]);
    check(&refused, 66, &["nothing was contained", "did you mean token:caller?", "--anyway"]);
    for arguments in [["--principal", "token:nosuch"], ["--principal", "account:nosuch"], ["--session", "zzz"]] {
        check(&installation.run(&[&["contain"], &arguments[..]].concat()), 66, &["nothing was contained"]);
    }
    assert_eq!(caller.call(&server, "list_libraries").status, 200);
    assert_eq!(installation.json(&["ban", "list"])["all"], 0);
    let contained = installation.json(&["contain", "--principal", "jwt:of-another-issuer", "--anyway"]);
    assert_eq!(contained["banned"], json!(["principal jwt:of-another-issuer"]));
    // One whose token was revoked is known still.
    installation.json(&["token", "revoke", "caller"]);
    installation.json(&["contain", "--principal", "token:caller"]);
}

#[test]
fn containing_a_connector_switches_it_off() {
    let api = Api::start();
    let installation = Installation::new();
    let document = json!({
        "openapi": "3.0.3", "info": {"title": "Crm", "version": "1"}, "servers": [{"url": api.url()}],
        "paths": {"/things": {"get": {"operationId": "listThings", "responses": {"200": {"description": "ok"}}}}}
    });
    let file = installation.folder("documents").join("crm.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let (file, url) = (file.to_str().unwrap(), api.url());
    installation.json(&["connector", "add", "crm", file, "--base-url", &url, "--loopback-http", "--yes"]);
    installation.json(&["connector", "enable", "crm"]);
    let enabled = || installation.json(&["connector", "show", "crm"])["connector"]["enabled"].clone();
    assert_eq!(enabled(), true);
    let server = installation.serve();
    let contained = installation.json(&["contain", "--connector", "crm", "--reason", "its API is taken over"]);
    assert_eq!(contained["disabled"], "crm");
    assert_eq!(enabled(), false);
    drop(server);
}

fn header(name: &str, kind: tar::EntryType, bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes);
    header.set_cksum();
    header
}

/// A block of 512 bytes that begins with these.
fn block(content: &[u8]) -> Vec<u8> {
    let mut block = content.to_vec();
    block.resize(512, 0);
    block
}

/// Another record after the last member, which would overwrite the first one.
fn appended(evidence: &[u8]) -> Vec<u8> {
    let content = b"{\"title\": \"nothing happened\"}";
    let header = header("incident.json", tar::EntryType::Regular, content.len() as u64);
    let end = evidence.len() - 1024;
    [&evidence[..end], header.as_bytes(), &block(content), &[0; 1024]].concat()
}

/// Where a member begins.
fn place(evidence: &[u8], name: &str) -> usize {
    let begins = |block: &[u8]| block.starts_with(name.as_bytes()) && block[name.len()] == 0;
    512 * evidence.chunks(512).position(begins).unwrap()
}

/// The record as a link to elsewhere, with its content as before.
fn relinked(evidence: &[u8]) -> Vec<u8> {
    let mut forged = evidence.to_vec();
    let at = place(evidence, "incident.json");
    let mut header = tar::Header::from_byte_slice(&evidence[at..at + 512]).clone();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_link_name("/etc/passwd").unwrap();
    header.set_cksum();
    forged[at..at + 512].copy_from_slice(header.as_bytes());
    forged
}

/// The record under a long name, which says that it is called something else.
fn renamed(evidence: &[u8]) -> Vec<u8> {
    let at = place(evidence, "incident.json");
    let name = b"elsewhere/incident.json\0";
    let header = header("././@LongLink", tar::EntryType::GNULongName, name.len() as u64);
    [&evidence[..at], header.as_bytes(), &block(name), &evidence[at..]].concat()
}

#[test]
fn evidence_verifies_elsewhere_and_tells_when_it_was_changed() {
    let installation = Installation::new();
    let server = installation.serve();
    server.call("list_libraries", json!({}));
    let id = open(&installation, "medium").to_string();
    installation.json(&["incident", "note", &id, "looked at"]);
    let file = installation.folder("given").join("1.evidence");
    let path = file.to_str().unwrap();
    let exported = installation.json(&["incident", "export", &id, path]);
    assert!(exported["entries"].as_u64().unwrap() > 3, "{exported}");
    let key = exported["verifying_keys"][0].as_str().unwrap().to_owned();
    check(&installation.run(&["incident", "export", &id, path]), 73, &["exists already"]);
    let left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing beside the evidence is left: {left:?}");
    drop(server);

    // On another machine there is no installation, only the file and a key.
    let elsewhere = Installation::bare();
    let verify = |file: &std::path::Path, key: &str| {
        elsewhere.run(&["incident", "verify", file.to_str().unwrap(), "--vkey", key])
    };
    let pinned = verify(&file, &key);
    check(&pinned, 0, &["sound"]);
    assert!(!text(&pinned.stdout).contains("--vkey"), "{}", text(&pinned.stdout));
    // Sound by its own keys only is another answer.
    let unpinned = ["incident", "verify", path];
    check(&elsewhere.run(&unpinned), 0, &["sound", "the keys that it names itself", "--vkey"]);
    assert_eq!(elsewhere.json(&unpinned)["pinned"], false);
    assert_eq!(elsewhere.json(&[&unpinned[..], &["--vkey", key.as_str()]].concat())["pinned"], true);
    let other = Installation::new();
    let stranger = other.json(&["audit", "checkpoint"])["verifying_keys"][0].as_str().unwrap().to_owned();
    assert_ne!(verify(&file, &stranger).status.code(), Some(0), "another log's key vouches for nothing");

    let whole = std::fs::read(&file).unwrap();
    let changed = file.with_file_name("changed.evidence");
    // The record, the settings, the manifest, and an entry of the log: each change is found.
    for (old, new) in [
        ("looked at", "lookedxat"),
        ("\"http.listen\"", "\"http.listed\""),
        ("sekisho-incident-evidence", "sekisho-incident-evidencf"),
        ("\"sequence\":1,", "\"sequence\":2,"),
    ] {
        let mut bytes = whole.clone();
        let at =
            bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap_or_else(|| panic!("{old}"));
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
        std::fs::write(&changed, &bytes).unwrap();
        check(&verify(&changed, &key), 1, &["tampered"]);
    }
    // What tar would unpack beside or over what was checked.
    for forged in [appended(&whole), relinked(&whole), renamed(&whole)] {
        std::fs::write(&changed, &forged).unwrap();
        check(&verify(&changed, &key), 1, &["tampered"]);
    }
    std::fs::write(&changed, &whole[..whole.len() / 2]).unwrap();
    assert_ne!(verify(&changed, &key).status.code(), Some(0));
    std::fs::write(&changed, b"nothing of the kind").unwrap();
    check(&verify(&changed, &key), 2, &["incomplete"]);
}

#[test]
fn evidence_holds_no_secret() {
    let mut installation = Installation::new();
    installation.set("HTTP_PUBLIC_URL", "https://mcp.example.org");
    check(&told(&installation, &["credential", "set", "crm"], "kumquat-secret-of-the-crm\n"), 0, &[]);
    let id = open(&installation, "low").to_string();
    let file = installation.folder("given").join("1.evidence");
    installation.json(&["incident", "export", &id, file.to_str().unwrap()]);
    let bytes = std::fs::read(&file).unwrap();
    let key = std::fs::read_to_string(installation.data().join("vault-key")).unwrap();
    for secret in ["kumquat-secret-of-the-crm", installation.token().as_str(), key.trim()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a secret is in the evidence");
    }
    assert!(text(&bytes).contains("https://mcp.example.org"), "the settings are there");
}

/// One mail as a server of loopback took it: its recipients and its text.
struct Mail {
    to: Vec<String>,
    text: String,
}

fn mail_server() -> (u16, mpsc::Receiver<Mail>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, mails) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let say = |stream: &mut BufReader<std::net::TcpStream>, line: &str| {
                stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).is_ok()
            };
            say(&mut stream, "220 mail.test");
            let mut mail = Mail { to: Vec::new(), text: String::new() };
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
                let command = line.trim_end().to_owned();
                line.clear();
                let answer = match command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
                    "RCPT" => {
                        mail.to.push(command.split(['<', '>']).nth(1).unwrap_or_default().to_owned());
                        "250 ok"
                    }
                    "DATA" => {
                        say(&mut stream, "354 go on");
                        while stream.read_line(&mut line).is_ok_and(|length| length > 0) && line != ".\r\n" {
                            mail.text.push_str(&line);
                            line.clear();
                        }
                        line.clear();
                        let taken = Mail { to: std::mem::take(&mut mail.to), text: std::mem::take(&mut mail.text) };
                        if send.send(taken).is_err() {
                            return;
                        }
                        "250 taken"
                    }
                    "QUIT" => "221 bye",
                    _ => "250 ok",
                };
                if !say(&mut stream, answer) || command == "QUIT" {
                    break;
                }
            }
        }
    });
    (port, mails)
}

#[test]
fn contacts_are_told_of_what_is_high_and_of_nothing_less() {
    let (port, mails) = mail_server();
    let mut installation = Installation::new();
    installation.set("WATCH_SMTP_SERVER", "127.0.0.1");
    installation.set("WATCH_SMTP_PORT", &port.to_string());
    installation.set("WATCH_SMTP_SECURITY", "none");
    installation.set("WATCH_SMTP_FROM", "sekisho@example.org");
    installation.set("WATCH_SMTP_TO", "[\"ops@example.org\"]");
    installation.set("WATCH_SEVERITY", "critical");
    installation.set("CONTACTS_SECURITY_TEAM", "security@example.org");
    installation.set("CONTACTS_CISO", "ciso@example.org");
    let server = installation.serve();
    open(&installation, "medium");
    open(&installation, "high");
    open(&installation, "critical");
    let high = mails.recv_timeout(PATIENCE).unwrap();
    assert_eq!(high.to, ["security@example.org", "ciso@example.org"], "{}", high.text);
    for part in [
        "on a pastebin",
        "Severity high",
        "Type",
        "credential_leak",
        "Affected",
        "token:thief, connector crm",
        "incident 2",
    ] {
        assert!(high.text.contains(part), "{part}: {}", high.text);
    }
    let critical = mails.recv_timeout(PATIENCE).unwrap();
    assert_eq!(critical.to, ["ops@example.org", "security@example.org", "ciso@example.org"]);
    drop(server);
}

/// Answers posts with 200, and gives their bodies.
fn webhook() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (send, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while stream.read_line(&mut head).is_ok_and(|length| length > 0) && !head.ends_with("\r\n\r\n") {}
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
            if send.send(serde_json::from_slice(&body).unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    (url, bodies)
}

#[test]
fn a_notification_has_severity_type_timestamp_affected_systems_and_description() {
    let (url, bodies) = webhook();
    let mut installation = Installation::new();
    check(&told(&installation, &["credential", "set", "hook"], "a-webhook-secret-of-some-length\n"), 0, &[]);
    installation.set("WATCH_WEBHOOK_URL", &url);
    installation.set("WATCH_WEBHOOK_CREDENTIAL", "hook");
    installation.set("WATCH_SEVERITY", "medium");
    installation.set("WATCH_AUTHENTICATION_FAILURES", "1");
    let server = installation.serve();
    open(&installation, "critical");
    let body = bodies.recv_timeout(PATIENCE).unwrap();
    let told = &body["notification"];
    assert_eq!((&told["severity"], &told["type"]), (&json!("critical"), &json!("credential_leak")), "{body}");
    assert_eq!(told["affected_systems"], json!(["token:thief", "connector crm"]));
    let description = told["description"].as_str().unwrap();
    assert!(description.contains("A token was found in public") && description.contains("on a pastebin"), "{body}");
    assert!(told["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(server.raw("POST", "/mcp", &base_headers("Bearer wrong"), "{}").status, 401);
    let body = bodies.recv_timeout(PATIENCE).unwrap();
    let told = &body["notification"];
    assert_eq!(told["type"], "authentication_failures");
    assert_eq!((&told["severity"], &told["affected_systems"]), (&json!("medium"), &json!(["authentication"])));
    drop(server);
}

#[test]
fn an_incident_that_is_high_goes_to_a_place_that_wants_only_what_is_critical() {
    let (url, bodies) = webhook();
    let mut installation = Installation::new();
    check(&told(&installation, &["credential", "set", "hook"], "a-webhook-secret-of-some-length\n"), 0, &[]);
    installation.set("WATCH_WEBHOOK_URL", &url);
    installation.set("WATCH_WEBHOOK_CREDENTIAL", "hook");
    installation.set("WATCH_SEVERITY", "critical");
    let server = installation.serve();
    open(&installation, "medium");
    open(&installation, "high");
    let body = bodies.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body["notification"]["severity"], "high", "{body}");
    drop(server);
}

#[test]
fn security_txt_names_the_contacts_and_is_there_only_if_there_are_some() {
    let mut installation = Installation::new();
    let headers = [("Host", "localhost")];
    let server = installation.serve();
    assert_eq!(server.raw("GET", "/.well-known/security.txt", &headers, "").status, 404);
    assert_eq!(server.terminate(), Some(0));
    installation.set("CONTACTS_SECURITY_TEAM", "security@example.org");
    installation.set("CONTACTS_CISO", "ciso@example.org");
    let server = installation.serve();
    let reply = server.raw("GET", "/.well-known/security.txt", &headers, "");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(reply.body.starts_with("Contact: mailto:security@example.org\nExpires: 20"), "{}", reply.body);
    assert!(!reply.body.contains("ciso"), "{}", reply.body);
    drop(server);
}

#[test]
fn a_contact_that_is_none_is_refused_at_the_start() {
    let mut installation = Installation::new();
    installation.set("CONTACTS_CISO", "the chief");
    check(&installation.run(&["config", "check"]), 78, &["contacts.ciso", "security@example.org"]);
}

#[test]
fn contacts_that_no_mail_can_reach_are_said_to_be_so() {
    let mut installation = Installation::new();
    let warnings = |installation: &Installation| installation.json(&["config", "check"])["warnings"].clone();
    assert_eq!(warnings(&installation), json!([]));
    installation.set("CONTACTS_CISO", "ciso@example.org");
    assert!(warnings(&installation)[0].as_str().unwrap().contains("watch.smtp_server"));
    let doctor = installation.run(&["doctor"]);
    assert!(text(&doctor.stdout).contains("watch.smtp_server"), "{}", text(&doctor.stdout));
    installation.set("WATCH_SMTP_SERVER", "mail.example.org");
    installation.set("WATCH_SMTP_FROM", "sekisho@example.org");
    installation.set("WATCH_SMTP_TO", "[\"ops@example.org\"]");
    assert_eq!(warnings(&installation), json!([]));
}

#[test]
fn a_drill_where_everything_is_frozen_is_not_begun() {
    let installation = Installation::new();
    installation.json(&["freeze"]);
    check(&installation.run(&["incident", "drill", "--freeze"]), 69, &["unfreeze"]);
    assert_eq!(installation.json(&["incident", "list"])["items"], json!([]), "nothing of it is on record");
}

#[test]
fn a_drill_goes_through_the_six_phases_and_leaves_only_its_record() {
    let installation = Installation::new();
    let server = installation.serve();
    let drill = installation.json(&["incident", "drill", "--freeze"]);
    assert_eq!(drill["failed"], 0, "{drill}");
    let phases: std::collections::BTreeSet<&str> =
        drill["steps"].as_array().unwrap().iter().map(|step| step["phase"].as_str().unwrap()).collect();
    assert_eq!(phases.len(), 6, "{phases:?}");
    assert_eq!(installation.json(&["ban", "list"])["all"], 0);
    let tokens = installation.json(&["token", "list"]);
    let live = |token: &&Value| token["revoked"] == false && token["name"].as_str().unwrap().starts_with("drill-");
    assert_eq!(tokens["items"].as_array().unwrap().iter().filter(live).count(), 0);
    let left = std::fs::read_dir(installation.data())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("drill-"));
    assert_eq!(left.count(), 0);
    let shown = installation.json(&["incident", "show", &drill["incident"].to_string()]);
    assert_eq!(shown["drill"], true);
    assert!(shown["lessons"].as_str().unwrap().contains("steps of the drill worked"), "{shown}");
    server.call("list_libraries", json!({}));
    // Nobody is told of a drill, and no report counts it.
    let report = installation.json(&["report", "--format", "json"]);
    assert!(!report["alerts"].to_string().contains("\"incident\""), "{}", report["alerts"]);
    installation.verify();
}
