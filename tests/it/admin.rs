//! Administration over HTTP: each route, who may take it, what it leaves in the audit log, and how it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho::schema::Schema;
use sekisho::web::route::{ROUTES, Route};
use serde_json::{Value, json};

use crate::client::{Client, behind_a_proxy};
use crate::harness::{Installation, PATIENCE, Reply, Server, text};
use crate::strongroom::{check, files_below, told, until};

const PASSWORD: &str = "correct horse battery staple";

/// Somebody who administers, and the document that says how.
struct Operator<'a> {
    server: &'a Server,
    authorization: String,
}

impl<'a> Operator<'a> {
    /// The holder of an account that [`add`] made.
    fn named(server: &'a Server, name: &str) -> Self {
        Self { server, authorization: format!("Basic {}", STANDARD.encode(format!("{name}:{PASSWORD}"))) }
    }

    fn bearing(server: &'a Server, token: &str) -> Self {
        Self { server, authorization: format!("Bearer {token}") }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let mut headers = vec![("Host", "localhost"), ("Authorization", self.authorization.as_str())];
        if matches!(method, "POST" | "PUT") {
            headers.push(("Content-Type", "application/json"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let reply = self.server.raw(method, path, &headers, &body);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
        if reply.status >= 400 {
            check_problem(&reply);
        }
        reply
    }

    fn get(&self, path: &str) -> Value {
        let reply = self.ask("GET", path, None);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let reply = self.ask("POST", path, Some(&body));
        assert!(reply.status < 300, "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }
}

/// One shape for all errors, with no more than the public text.
fn check_problem(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    let problem: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(problem["status"], reply.status, "{problem}");
    for field in ["type", "title", "detail", "code"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
    }
    problem
}

fn add(installation: &Installation, name: &str, role: &str) {
    check(&told(installation, &["account", "add", name, "--role", role], &format!("{PASSWORD}\n")), 0, &[role]);
}

/// A server with an administrator, an operator, an auditor and a reader.
fn served(installation: &Installation) -> Server {
    let server = installation.serve();
    for (name, role) in [("root", "admin"), ("olga", "operator"), ("aude", "auditor"), ("ruth", "reader")] {
        add(installation, name, role);
    }
    server
}

/// A request that its route takes, with what has to be there first.
struct Sample {
    method: &'static str,
    template: &'static str,
    path: String,
    body: Option<Value>,
}

fn sample(method: &'static str, template: &'static str, path: &str, body: Option<Value>) -> Sample {
    Sample { method, template, path: path.to_owned(), body }
}

/// One of each route, in an order in which each finds what it needs. `session` is a short id.
fn samples(session: &str) -> Vec<Sample> {
    let same = |method, path: &'static str, body| sample(method, path, path, body);
    let ban = json!({"kind": "address", "name": "203.0.113.0/24", "minutes": 5, "reason": "it misbehaves"});
    let explain = "/admin/policies/explain?principal=role%3Areader&action=read_document&resource=library%3Amanual&scopes=library%3Amanual&scopes=library%3Aother";
    let account = json!({"name": "new", "role": "reader", "value": PASSWORD});
    vec![
        same("GET", "/admin/status", None),
        same("GET", "/admin/config", None),
        sample("GET", "/admin/sessions", "/admin/sessions?principal=token%3Aquickstart&limit=5", None),
        sample("DELETE", "/admin/sessions/{session}", &format!("/admin/sessions/{session}"), None),
        sample("DELETE", "/admin/sessions", "/admin/sessions?principal=token:other", None),
        same("POST", "/admin/bans", Some(ban)),
        same("GET", "/admin/bans", None),
        sample("DELETE", "/admin/bans/{kind}/{name}", "/admin/bans/address/203.0.113.0%2F24", None),
        same("POST", "/admin/accounts", Some(account)),
        same("GET", "/admin/accounts", None),
        sample(
            "PUT",
            "/admin/accounts/{name}/password",
            "/admin/accounts/new/password",
            Some(json!({"value": "another long password"})),
        ),
        sample("PUT", "/admin/accounts/{name}/role", "/admin/accounts/new/role", Some(json!({"role": "auditor"}))),
        sample("POST", "/admin/accounts/{name}/disable", "/admin/accounts/new/disable", Some(json!({}))),
        sample("POST", "/admin/accounts/{name}/enable", "/admin/accounts/new/enable", None),
        sample("DELETE", "/admin/accounts/{name}", "/admin/accounts/new", None),
        same("POST", "/admin/tokens", Some(json!({"name": "ci", "scopes": ["library:manual"], "expires_days": 3}))),
        same("GET", "/admin/tokens", None),
        same("POST", "/admin/tokens/rotate", Some(json!({"at_once": false}))),
        sample("DELETE", "/admin/tokens/{id}", "/admin/tokens/ci", None),
        same("GET", "/admin/policies", None),
        same("GET", "/admin/policies/matrix", None),
        sample("GET", "/admin/policies/explain", explain, None),
        same("POST", "/admin/policies/check", Some(json!({"text": "permit (principal, action, nothing);"}))),
        same("POST", "/admin/policies/reload", Some(json!({}))),
        sample("GET", "/admin/events", "/admin/events?since=1h&severity=low&limit=5", None),
        sample("GET", "/admin/reports", "/admin/reports?from=1h", None),
        same("GET", "/admin/openapi.json", None),
        same("POST", "/admin/drain", Some(json!({"timeout_seconds": 0}))),
    ]
}

fn route_of(sample: &Sample) -> &'static Route {
    let found = ROUTES.iter().find(|route| (route.method, route.path) == (sample.method, sample.template));
    found.unwrap_or_else(|| panic!("{} {} is no route", sample.method, sample.template))
}

/// Sessions of two tokens; gives the short id of that of `init`'s.
fn sessions_of_agents(installation: &Installation, server: &Server) -> String {
    let token = installation.json(&["token", "issue", "other"])["token"].as_str().unwrap().to_owned();
    for agent in [Client::with(&token), Client::with(&installation.token())] {
        assert_eq!(agent.call(server, "list_libraries").status, 200);
    }
    let sessions = installation.json(&["session", "list"]);
    let mut items = sessions["items"].as_array().unwrap().iter();
    items.find(|item| item["principal"] == "token:quickstart").unwrap()["session"].as_str().unwrap().to_owned()
}

/// The schema in `document` of what a route answers, with the definitions that it refers to.
fn schema_of(document: &Value, route: &Route) -> Option<Value> {
    let response = &document["paths"][route.path][route.method.to_lowercase()]["responses"][route.status.to_string()];
    assert!(response.is_object(), "{} {}", route.method, route.path);
    let mut schema = response["content"]["application/json"]["schema"].as_object().cloned()?;
    schema.insert("components".into(), document["components"].clone());
    Some(Value::Object(schema))
}

#[test]
fn every_route_does_what_its_operation_does_as_the_document_says_and_is_recorded() {
    let installation = Installation::new();
    let server = served(&installation);
    let session = sessions_of_agents(&installation, &server);
    let root = Operator::named(&server, "root");
    let document = root.get("/admin/openapi.json");
    let samples = samples(&session);
    let mut taken = BTreeSet::new();
    for sample in &samples {
        let route = route_of(sample);
        taken.insert((route.method, route.path));
        let reply = root.ask(sample.method, &sample.path, sample.body.as_ref());
        let what = format!("{} {}: {}", sample.method, sample.path, reply.body);
        assert_eq!(reply.status, route.status, "{what}");
        match schema_of(&document, route) {
            None => assert!(reply.status == 204 && reply.body.is_empty(), "{what}"),
            Some(schema) => {
                let answer: Value = serde_json::from_str(&reply.body).unwrap();
                let fits = Schema::compile(&schema).unwrap().check(&answer);
                assert!(fits.is_ok(), "{fits:?} {what}");
                assert_eq!(reply.header("content-type"), Some("application/json"));
            }
        }
    }
    let all: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
    assert_eq!(taken, all, "each route has a sample");
    // The last of them was the drain.
    assert_eq!(server.ended(), Some(0));
    let entries = installation.entries();
    for sample in &samples {
        let operation = route_of(sample).operation;
        let of_it = entries.iter().filter(|entry| entry["operation"] == operation && entry["outcome"] == "done");
        let by_root: Vec<_> = of_it.filter(|entry| entry["principal"] == "account:root").collect();
        assert!(!by_root.is_empty(), "{operation} has no entry");
        for entry in by_root {
            assert_eq!((&entry["event"], &entry["transport"]), (&json!("administration"), &json!("http")), "{entry}");
        }
    }
    installation.verify();
}

#[test]
fn whoever_has_no_account_or_not_the_role_is_refused_with_an_entry() {
    let installation = Installation::new();
    let server = served(&installation);
    let issue = |name: &str, role: &str| {
        let issued = installation.json(&["token", "issue", name, "--role", role]);
        issued["token"].as_str().unwrap().to_owned()
    };
    // An administrator's token that no account stands behind, and one whose account has another role.
    let (alone, other) = (issue("alone", "admin"), issue("ruth", "admin"));
    let matrix = installation.json(&["policy", "matrix"])["operations"].clone();
    let may = |role: &str, operation: &str| {
        let mut rows = matrix.as_array().unwrap().iter();
        rows.find(|row| row["action"] == operation).unwrap()[role]["allowed"] == true
    };
    let quickstart = installation.token();
    let callers = [
        (Operator::named(&server, "olga"), Some("operator"), "account:olga"),
        (Operator::named(&server, "aude"), Some("auditor"), "account:aude"),
        (Operator::named(&server, "ruth"), Some("reader"), "account:ruth"),
        (Operator::bearing(&server, &quickstart), None, "token:quickstart"),
        (Operator::bearing(&server, &alone), None, "token:alone"),
        (Operator::bearing(&server, &other), None, "token:ruth"),
    ];
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for (caller, role, principal) in &callers {
        for sample in samples("00000000") {
            let operation = route_of(&sample).operation;
            let allowed = role.is_some_and(|role| may(role, operation));
            if allowed && sample.method != "GET" {
                // What it does is another test's.
                continue;
            }
            let reply = caller.ask(sample.method, &sample.path, sample.body.as_ref());
            let what = format!("{principal} {} {}: {}", sample.method, sample.path, reply.body);
            assert_eq!(reply.status, if allowed { 200 } else { 403 }, "{what}");
            *refused.entry(principal).or_default() += usize::from(!allowed);
        }
    }
    assert_eq!((refused["account:ruth"], refused["token:quickstart"]), (ROUTES.len(), ROUTES.len()));
    let entries = installation.entries();
    for (principal, count) in refused {
        let of_it = |entry: &&Value| {
            let denied = entry["reason"].as_str().is_some_and(|reason| reason.starts_with("forbidden: "));
            entry["principal"] == principal && entry["outcome"] == "refused" && denied
        };
        assert_eq!(entries.iter().filter(of_it).count(), count, "{principal}");
    }
    // An agent over stdio has no way there at all, and nothing was changed.
    assert_eq!(installation.json(&["account", "review"])["accounts"].as_array().unwrap().len(), 4);
    assert_eq!(installation.json(&["ban", "list"])["all"], 0);
}

#[test]
fn without_a_credential_that_holds_there_is_a_challenge_and_no_more() {
    let installation = Installation::new();
    let server = served(&installation);
    for (authorization, expects_error) in [("", false), ("Bearer nonsense", true), ("Basic !!!", false)] {
        let mut headers = vec![("Host", "localhost")];
        if !authorization.is_empty() {
            headers.push(("Authorization", authorization));
        }
        for path in ["/admin/status", "/admin/openapi.json", "/admin/nothing"] {
            let reply = server.raw("GET", path, &headers, "");
            assert_eq!(reply.status, 401, "{path}");
            check_problem(&reply);
            let challenges: Vec<&str> = reply
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"))
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(challenges.len(), 2, "{challenges:?}");
            assert!(challenges[1].starts_with("Basic realm=\"sekisho\""), "{challenges:?}");
            assert_eq!(challenges[0].contains("invalid_token"), expects_error, "{challenges:?}");
        }
    }
    assert_eq!(server.terminate(), Some(0));
    assert!(installation.entries().iter().any(|entry| entry["event"] == "authentication"));
}

#[test]
fn tokens_of_an_account_administer_until_its_role_changes_or_it_is_disabled() {
    let installation = Installation::new();
    let server = served(&installation);
    let issue = |arguments: &[&str]| {
        let issued = installation.json(&[&["token", "issue"], arguments].concat());
        issued["token"].as_str().unwrap().to_owned()
    };
    let (key, jwt) = (issue(&["olga", "--role", "operator"]), issue(&["olga", "--jwt"]));
    let (key, jwt) = (Operator::bearing(&server, &key), Operator::bearing(&server, &jwt));
    let status = |who: &Operator<'_>| who.ask("GET", "/admin/sessions", None).status;
    assert_eq!((status(&key), status(&jwt)), (200, 200));
    let disable = |word: &str| check(&installation.run(&["account", word, "olga"]), 0, &[]);
    disable("disable");
    assert_eq!((status(&key), status(&jwt)), (403, 401));
    disable("enable");
    assert_eq!((status(&key), status(&jwt)), (200, 200));
    check(&installation.run(&["account", "role", "olga", "auditor"]), 0, &["olga is auditor."]);
    assert_eq!((status(&key), status(&jwt)), (403, 403), "nobody does more than the account");
    let olga = Operator::named(&server, "olga");
    assert_eq!(status(&olga), 403);
    assert_eq!(olga.ask("GET", "/admin/policies", None).status, 200, "an auditor now, by password too");
    check(&installation.run(&["account", "role", "nobody", "auditor"]), 66, &["no account nobody"]);
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let installation = Installation::new();
    let server = served(&installation);
    let root = Operator::named(&server, "root");
    let body = json!({"kind": "address", "name": "203.0.113.9"}).to_string();
    // What a browser sends by itself: the password that it remembers, and a body of the types that need no question.
    let send = |more: &[(&str, &str)]| {
        let mut headers = vec![("Authorization", root.authorization.as_str())];
        headers.extend(more);
        server.raw("POST", "/admin/bans", &headers, &body)
    };
    let ours = ("Host", "localhost");
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""] {
        let reply = send(&[ours, ("Content-Type", kind)]);
        assert_eq!((reply.status, check_problem(&reply)["code"].as_str()), (415, Some("unsupported_media_type")));
    }
    assert_eq!(send(&[ours]).status, 415, "a body without a type is sent without a question too");
    let json = ("Content-Type", "application/json");
    assert_eq!(send(&[ours, json, ("Origin", "https://evil.example")]).status, 403);
    assert_eq!(send(&[ours, json, ("Origin", "null")]).status, 403);
    assert_eq!(send(&[("Host", "evil.example"), json]).status, 403);
    // The question that a browser asks before a DELETE gets no leave.
    let asked = [ours, ("Origin", "https://evil.example"), ("Access-Control-Request-Method", "DELETE")];
    let preflight = server.raw("OPTIONS", "/admin/bans/address/203.0.113.9", &asked, "");
    assert!(preflight.status == 403 && preflight.header("access-control-allow-origin").is_none());
    assert_eq!(installation.json(&["ban", "list"])["all"], 0);
    assert_eq!(send(&[ours, ("Content-Type", "application/json; charset=utf-8")]).status, 201);
    let reasons: Vec<Value> = installation.entries().into_iter().map(|entry| entry["reason"].clone()).collect();
    assert!(reasons.contains(&json!("http status 415")), "{reasons:?}");
}

#[test]
fn nobody_administers_in_the_clear_from_another_machine() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    let server = served(&installation);
    let token = installation.json(&["token", "issue", "root", "--role", "admin"])["token"].clone();
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let root = Operator::named(&server, "root");
    for authorization in [root.authorization.as_str(), bearer.as_str(), "Basic !!!"] {
        let from = |address: &str| {
            let headers = [("Host", "localhost"), ("Authorization", authorization), ("X-Forwarded-For", address)];
            server.raw("GET", "/admin/status", &headers, "")
        };
        let refused = from("203.0.113.9");
        assert_eq!(refused.status, 403);
        let problem = check_problem(&refused);
        assert!(problem["detail"].as_str().unwrap().contains("unencrypted"), "{problem}");
        assert!(refused.header("www-authenticate").is_none(), "nobody is asked for a password there");
        assert_ne!(from("127.0.0.1").status, 403);
    }
    assert_eq!(server.terminate(), Some(0));
    let entries = installation.entries();
    assert!(entries.iter().any(|entry| entry["reason"].as_str().is_some_and(|reason| reason.contains("cleartext"))));
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let installation = Installation::new();
    let server = served(&installation);
    let root = Operator::named(&server, "root");
    let wrong = |method: &str, path: &str, body: Value, status: u16, pointer: Option<&str>| {
        let reply = root.ask(method, path, Some(&body).filter(|body| !body.is_null()));
        assert_eq!(reply.status, status, "{method} {path} {}", reply.body);
        assert_eq!(check_problem(&reply)["pointer"].as_str(), pointer, "{}", reply.body);
        reply
    };
    wrong(
        "POST",
        "/admin/bans",
        json!({"kind": "address", "name": "203.0.113.9", "minutes": 0}),
        400,
        Some("/minutes"),
    );
    wrong("POST", "/admin/bans", json!({"kind": "address"}), 400, Some(""));
    wrong("POST", "/admin/bans", json!(["address"]), 400, Some(""));
    wrong("PUT", "/admin/accounts/ruth/role", json!({"role": "king"}), 400, Some("/role"));
    wrong("PUT", "/admin/accounts/ruth/role", json!({"role": "reader", "name": "root"}), 400, Some("/name"));
    wrong("GET", "/admin/events?limit=0", Value::Null, 400, Some("/limit"));
    wrong("GET", "/admin/events?limit=many", Value::Null, 400, Some("/limit"));
    wrong("GET", "/admin/events?limit=1&limit=2", Value::Null, 400, Some("/limit"));
    wrong("GET", "/admin/events?kind=weather", Value::Null, 400, Some("/kind"));
    wrong("GET", "/admin/events?since=yesteryear", Value::Null, 400, Some("/since"));
    wrong("GET", "/admin/status?verbose=1", Value::Null, 400, Some("/verbose"));
    wrong("GET", "/admin/status?a=%FF", Value::Null, 400, None);
    wrong("GET", "/admin/status", json!({}), 400, None);
    wrong("DELETE", "/admin/sessions", Value::Null, 400, None);
    wrong("DELETE", "/admin/sessions/nothing", Value::Null, 404, None);
    wrong("DELETE", "/admin/accounts/nobody", Value::Null, 404, None);
    wrong("POST", "/admin/accounts", json!({"name": "ann", "role": "reader", "value": "short"}), 400, None);
    wrong("POST", "/admin/accounts", json!({"name": "root", "role": "reader", "value": PASSWORD}), 409, None);
    wrong("GET", "/admin", Value::Null, 404, None);
    wrong("GET", "/admin/nothing", Value::Null, 404, None);
    wrong("GET", "/admin/sessions/", Value::Null, 404, None);
    assert_eq!(wrong("PATCH", "/admin/sessions", Value::Null, 405, None).header("allow"), Some("DELETE, GET"));
    assert_eq!(wrong("GET", "/admin/operations/status", Value::Null, 405, None).header("allow"), Some("POST"));
    // A secret that stands where it does not fit comes back to nobody.
    let secret = "a secret that is not a role";
    let reply =
        wrong("POST", "/admin/accounts", json!({"name": "ann", "role": secret, "value": PASSWORD}), 400, Some("/role"));
    assert!(!reply.body.contains(secret));
    let headers = [("Host", "localhost"), ("Authorization", &root.authorization), ("Content-Type", "application/json")];
    let reply = server.raw("POST", "/admin/accounts", &headers, "{\"value\": \"a secret");
    assert!(reply.status == 400 && !reply.body.contains("a secret"), "{}", reply.body);
    let huge = format!("{{\"reason\": \"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(server.raw("POST", "/admin/bans", &headers, &huge).status, 413);
}

#[test]
fn administration_over_http_can_be_switched_off() {
    let mut installation = Installation::new();
    installation.set("ADMIN_HTTP", "false");
    let server = served(&installation);
    let authorization = Operator::named(&server, "root").authorization;
    let headers = [("Host", "localhost"), ("Authorization", authorization.as_str())];
    for path in ["/admin/status", "/admin/openapi.json", "/admin/operations/status"] {
        assert_eq!(server.raw("GET", path, &headers, "").status, 404, "{path}");
    }
    // By command it goes on.
    let settings = installation.json(&["config", "show", "--live"]);
    let mut settings = settings["settings"].as_array().unwrap().iter();
    assert_eq!(settings.find(|setting| setting["setting"] == "admin.http").unwrap()["value"], false);
}

#[test]
fn any_operation_can_be_asked_for_but_not_those_of_the_machine_or_of_agents() {
    let installation = Installation::new();
    let server = served(&installation);
    let (root, aude) = (Operator::named(&server, "root"), Operator::named(&server, "aude"));
    let any = |who: &Operator<'_>, name: &str, arguments: Value| {
        who.ask("POST", &format!("/admin/operations/{name}"), Some(&arguments))
    };
    let lines = |reply: &Reply| -> Vec<Value> {
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-ndjson")), "{}", reply.body);
        reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let listed = lines(&any(&root, "library.list", json!({})));
    assert!(listed.last().unwrap()["result"].to_string().contains("manual"), "{listed:?}");
    let tail = lines(&any(&aude, "audit.tail", json!({"entries": 3})));
    assert_eq!(tail.iter().filter(|line| line.get("event").is_some()).count(), 3);
    assert_eq!(any(&aude, "library.list", json!({})).status, 403);
    assert_eq!(any(&Operator::named(&server, "ruth"), "status", json!({})).status, 403);
    assert_eq!(any(&root, "status", json!({"x": 1})).status, 400);
    assert_eq!(any(&root, "nothing", json!({})).status, 404);
    // Agents' operations are at /mcp, where agents' bounds hold.
    assert_eq!(any(&root, "list_libraries", json!({})).status, 404);
    let folder = installation.folder("plans");
    let place = folder.join("file");
    let (folder, place) = (folder.to_str().unwrap(), place.to_str().unwrap());
    for (name, arguments) in [
        ("library.add", json!({"name": "plans", "path": folder})),
        ("backup.make", json!({"path": place})),
        ("audit.export", json!({"format": "jsonl", "path": place})),
        ("server.yield", json!({})),
    ] {
        let reply = any(&root, name, arguments);
        assert_eq!(reply.status, 403, "{name}: {}", reply.body);
        assert!(reply.body.contains("done there"), "{name}: {}", reply.body);
    }
    assert!(!std::path::Path::new(place).exists());
}

#[test]
fn a_new_token_is_shown_once_and_is_nowhere_else() {
    let mut installation = Installation::new();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.set("LOG_LEVEL", "debug");
    let server = served(&installation);
    let root = Operator::named(&server, "root");
    let key = root.post("/admin/tokens", json!({"name": "ci"}))["token"].as_str().unwrap().to_owned();
    let jwt = root.post("/admin/tokens", json!({"name": "ruth", "jwt": true}))["token"].as_str().unwrap().to_owned();
    for token in [&key, &jwt] {
        assert_eq!(Client::with(token).call(&server, "list_libraries").status, 200, "it holds");
    }
    let mut heard = String::new();
    for path in ["/admin/tokens", "/admin/accounts", "/admin/events", "/admin/config", "/admin/status"] {
        heard.push_str(&root.get(path).to_string());
    }
    heard.push_str(&text(&installation.run(&["--json", "audit", "tail", "-n", "1000"]).stdout));
    assert_eq!(server.terminate(), Some(0));
    let mut places = vec![("what was said".to_owned(), heard.into_bytes())];
    for file in files_below(&installation.data()) {
        places.push((file.display().to_string(), std::fs::read(&file).unwrap()));
    }
    let signature = jwt.rsplit_once('.').unwrap().1;
    for (name, bytes) in &places {
        for secret in [&key[12..], signature, PASSWORD] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret is in {name}");
        }
    }
}

#[test]
fn rates_and_bans_hold_for_whoever_administers() {
    let mut installation = Installation::new();
    behind_a_proxy(&mut installation);
    installation.set("RATE_PER_MINUTE", "5");
    let server = served(&installation);
    let olga = Operator::named(&server, "olga");
    for _ in 0..5 {
        olga.get("/admin/bans");
    }
    let over = olga.ask("GET", "/admin/bans", None);
    assert_eq!((over.status, over.header("ratelimit-policy")), (429, Some("\"rate.per_minute\";q=5;w=60")));
    let seconds: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(check_problem(&over)["retry_after_seconds"], seconds);
    installation.json(&["ban", "add", "principal", "account:root", "--minutes", "5"]);
    let root = Operator::named(&server, "root").ask("GET", "/admin/bans", None);
    assert!(root.status == 403 && root.body.contains("banned"), "{}", root.body);
}

#[test]
fn security_events_are_listed_newest_first_by_kind_and_severity_and_page_by_page() {
    let installation = Installation::new();
    let server = served(&installation);
    let aude = Operator::named(&server, "aude");
    let ruth = Operator::named(&server, "ruth");
    for _ in 0..3 {
        assert_eq!(ruth.ask("GET", "/admin/status", None).status, 403);
    }
    assert_eq!(server.raw("GET", "/health", &[("Host", "evil.example")], "").status, 403);
    installation.json(&["ban", "add", "address", "203.0.113.9", "--reason", "scans"]);
    installation.json(&["ban", "lift", "address", "203.0.113.9"]);
    let list = |query: &str| aude.get(&format!("/admin/events?{query}"));
    let all = list("since=1h");
    // The watch tells of the ban a moment later.
    let kinds_of = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned());
        items.filter(|kind| kind != "alert").collect()
    };
    assert_eq!(
        kinds_of(&all),
        ["ban_lifted", "ban", "foreign_origin", "access_denied", "access_denied", "access_denied"],
        "{all}"
    );
    assert!(all["next"].is_null(), "{all}");
    let denied = list("kind=access_denied&limit=2");
    let items = denied["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["principal"]), (2, &json!("account:ruth")), "{denied}");
    let rest = list(&format!("kind=access_denied&before={}", denied["next"]));
    assert_eq!(rest["items"].as_array().unwrap().len(), 1, "{rest}");
    assert!(rest["items"][0]["sequence"].as_u64() < items[1]["sequence"].as_u64());
    let severe = list("severity=high");
    assert_eq!(kinds_of(&severe), ["ban"]);
    let alert = until("an alert", || list("kind=alert")["items"].as_array()?.first().cloned());
    assert_eq!((&alert["operation"], &alert["severity"]), (&json!("alert.ban"), &json!("medium")), "{alert}");
    assert_eq!(list("since=2999-01-01")["items"], json!([]));
    let told = installation.run(&["events", "--kind", "access_denied", "-n", "1"]);
    check(&told, 0, &["access_denied", "account:ruth", "there may be older ones"]);
}

#[test]
fn settings_in_force_are_shown_with_where_each_comes_from() {
    let mut installation = Installation::new();
    std::fs::write(installation.data().join("sekisho.toml"), "[log]\nkeep_days = 3\n").unwrap();
    installation.set("LOG_LEVEL", "debug");
    let server = Server::start(&installation, &["serve", "--listen", "127.0.0.1:0"]);
    add(&installation, "olga", "operator");
    // What is in force is older than what is written now.
    std::fs::write(installation.data().join("sekisho.toml"), "[log]\nkeep_days = 4\n").unwrap();
    let shown = Operator::named(&server, "olga").get("/admin/config");
    assert_eq!(shown, installation.json(&["config", "show", "--live"]));
    let of = |name: &str| {
        let mut settings = shown["settings"].as_array().unwrap().iter();
        let setting = settings.find(|setting| setting["setting"] == name).unwrap();
        (setting["source"].as_str().unwrap().to_owned(), setting["value"].clone(), setting["variable"].clone())
    };
    assert_eq!(of("log.keep_days"), ("file".into(), json!(3), Value::Null));
    assert_eq!(of("log.level"), ("environment".into(), json!("debug"), json!("SEKISHO_LOG_LEVEL")));
    assert_eq!(of("http.listen"), ("command_line".into(), json!("127.0.0.1:0"), Value::Null));
    assert_eq!(of("admin.http"), ("default".into(), json!(true), Value::Null));
}

#[test]
fn a_draft_of_a_policy_is_checked_beside_those_that_are_there_and_changes_nothing() {
    let installation = Installation::new();
    let server = served(&installation);
    let aude = Operator::named(&server, "aude");
    let good = "forbid (principal, action == Sekisho::Action::\"read_document\", resource);";
    let checked = aude.post("/admin/policies/check", json!({"name": "10-closed.cedar", "text": good}));
    assert_eq!((&checked["valid"], &checked["state"]["files"]), (&json!(true), &json!(1)), "{checked}");
    let wrong = aude.post("/admin/policies/check", json!({"text": "forbid (principal,\n action, nothing);"}));
    assert_eq!((&wrong["valid"], &wrong["problems"][0]["file"]), (&json!(false), &json!("draft.cedar")), "{wrong}");
    assert_eq!(wrong["problems"][0]["line"], 2, "{wrong}");
    assert_eq!(aude.get("/admin/policies")["state"]["files"], 0);
    assert_eq!(aude.ask("POST", "/admin/policies/check", Some(&json!({"name": "../x.cedar"}))).status, 400);
    assert_eq!(Client::with(&installation.token()).call(&server, "list_libraries").status, 200);
}

/// A call that is under way until its client leaves.
struct Following {
    lines: BufReader<TcpStream>,
}

impl Following {
    fn begin(operator: &Operator<'_>) -> Self {
        let mut stream = TcpStream::connect(operator.server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = json!({"entries": 1, "follow": true}).to_string();
        let head = format!(
            "POST /admin/operations/audit.tail HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            operator.authorization,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut following = Self { lines: BufReader::new(stream) };
        following.hear("\"event\"");
        following
    }

    /// Reads on until a line has this in it.
    fn hear(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the stream ended");
        }
    }
}

fn ready(server: &Server) -> (u16, Value) {
    let reply = server.raw("GET", "/ready", &[("Host", "localhost")], "");
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

#[test]
fn a_drained_server_begins_nothing_finishes_what_is_under_way_and_ends() {
    let installation = Installation::new();
    let server = served(&installation);
    let agent = Client::with(&installation.token());
    let session = agent.begin(&server);
    let mut stdio = installation.stdio();
    let mut following = Following::begin(&Operator::named(&server, "aude"));
    assert_eq!(ready(&server).0, 200);
    let drained = Operator::named(&server, "olga").post("/admin/drain", json!({"timeout_seconds": 600}));
    assert_eq!((&drained["draining"], &drained["process"]), (&json!(true), &json!(server.id())), "{drained}");
    assert!(drained["in_flight"].as_u64().unwrap() >= 1, "{drained}");

    assert_eq!(ready(&server), (503, json!({"ready": false, "missing": ["draining"]})));
    let refused = [agent.call(&server, "list_libraries"), agent.list(&server, &session), agent.initialize(&server)];
    for reply in refused {
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")), "{}", reply.body);
        let error = reply.message()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("drained"), "{error}");
        assert_eq!((&error["data"]["code"], &error["data"]["retryAfterMs"]), (&json!("busy"), &json!(5000)));
    }
    let refused = stdio.call("list_libraries", json!({}));
    assert_eq!(refused["error"]["data"]["retryAfterMs"], 5000, "{refused}");
    let refused = Operator::named(&server, "root").ask("GET", "/admin/status", None);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    // Whoever is at the machine sees to the end, and the call that is under way still hears of it.
    let sessions = installation.json(&["session", "list"]);
    assert!(sessions.to_string().contains("account:aude"), "{sessions}");
    following.hear("session.list");
    let waiting = installation.command(&["drain", "--timeout", "600"]).spawn().unwrap();
    following.hear("\"drain\"");
    assert_eq!(ready(&server).0, 503, "it waits for the call");
    drop(following);
    assert_eq!(server.ended(), Some(0));
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "the command waited for the end");
    drop(stdio);
    let entries = installation.entries();
    let of = |operation: &str, by: &str| {
        let mut found = entries.iter().filter(|entry| entry["operation"] == operation && entry["principal"] == by);
        found.any(|entry| entry["outcome"] == "done")
    };
    assert!(of("drain", "account:olga"), "{entries:?}");
    installation.verify();
}

#[test]
fn a_drain_waits_no_longer_than_it_was_told_and_only_a_server_is_drained() {
    let mut installation = Installation::new();
    installation.set("HTTP_SHUTDOWN_TIMEOUT_MS", "200");
    check(&installation.run(&["drain"]), 69, &["no server runs"]);
    {
        let _stdio = installation.stdio();
        check(&installation.run(&["drain"]), 73, &["is no server"]);
    }
    let server = served(&installation);
    let following = Following::begin(&Operator::named(&server, "aude"));
    check(&installation.run(&["drain", "--timeout", "0"]), 0, &["The server has ended"]);
    assert_eq!(server.ended(), Some(0));
    drop(following);
    check(&installation.run(&["drain", "--timeout", "100000"]), 64, &["3600"]);
}

#[test]
fn what_is_drained_by_hand_is_not_drained_for_ever() {
    let installation = Installation::new();
    let server = served(&installation);
    check(&installation.run(&["drain"]), 0, &["The server has ended"]);
    assert_eq!(server.ended(), Some(0));
    let server = installation.serve();
    assert_eq!(Client::with(&installation.token()).call(&server, "list_libraries").status, 200);
    assert_eq!(ready(&server).0, 200);
}

fn document(installation: &Installation) -> Value {
    let server = served(installation);
    Operator::named(&server, "aude").get("/admin/openapi.json")
}

/// Every reference in it, and whether there is something at its end.
fn dangling(document: &Value) -> Vec<String> {
    let (mut stack, mut wrong) = (vec![document], Vec::new());
    while let Some(value) = stack.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            wrong.extend(target.is_none().then(|| reference.to_owned()));
        }
        match value {
            Value::Object(fields) => stack.extend(fields.values()),
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
    wrong
}

/// What is wrong with an OpenAPI document of ours.
fn faults(document: &Value) -> Vec<String> {
    let official: Value =
        serde_json::from_str(include_str!("../fixtures/openapi-3.1.json")).expect("the schema of OpenAPI itself");
    let mut faults: Vec<String> =
        dangling(document).iter().map(|reference| format!("{reference} leads nowhere")).collect();
    if let Err(mismatch) = Schema::compile(&official).unwrap().check(document) {
        faults.push(format!("{mismatch:?}"));
    }
    let mut ids = BTreeSet::new();
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        if operation["x-sekisho-operation"] != route.operation {
            faults.push(format!("{} {} is missing", route.method, route.path));
            continue;
        }
        if !ids.insert(operation["operationId"].to_string()) {
            faults.push(format!("{} is there twice", operation["operationId"]));
        }
        let declared = |place: &str| -> BTreeSet<&str> {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.filter(|it| it["in"] == place).filter_map(|it| it["name"].as_str()).collect()
        };
        let in_path: BTreeSet<&str> =
            route.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect();
        if declared("path") != in_path || declared("query") != route.query.iter().copied().collect() {
            faults.push(format!("{} {}: {:?}", route.method, route.path, declared("path")));
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["schema"].as_object().is_none_or(serde_json::Map::is_empty) {
                faults.push(format!("{} {}: {parameter} says nothing", route.method, route.path));
            }
        }
        if let Some(schema) = schema_of(document, route) {
            faults.extend(Schema::compile(&schema).err().map(|error| error.to_string()));
        }
    }
    faults
}

#[test]
fn the_openapi_document_is_one_and_has_all_routes() {
    let installation = Installation::new();
    let document = document(&installation);
    assert_eq!(faults(&document), Vec::<String>::new());
    let operations = &document["paths"]["/admin/operations/{operation}"]["post"]["parameters"][0]["schema"]["enum"];
    assert!(operations.as_array().unwrap().contains(&json!("backup.make")), "{operations}");
    // The check finds what is wrong.
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut broken = document.clone();
        change(&mut broken);
        assert!(!faults(&broken).is_empty());
    };
    broken(&|document| drop(document["paths"].as_object_mut().unwrap().remove("/admin/bans")));
    broken(&|document| drop(document["components"]["schemas"].as_object_mut().unwrap().remove("Problem")));
    broken(&|document| document["openapi"] = json!("2.0"));
    broken(&|document| document["paths"]["/admin/tokens/{id}"]["delete"]["parameters"] = json!([]));
    broken(&|document| document["paths"]["/admin/status"]["get"]["responses"] = json!({"200": {}}));
}

#[test]
fn the_openapi_document_of_administration() {
    let installation = Installation::new();
    insta::assert_snapshot!(serde_json::to_string_pretty(&document(&installation)).unwrap());
}

#[test]
fn the_control_socket_takes_the_same_paths() {
    use std::os::unix::net::UnixStream;
    let installation = Installation::new();
    let server = installation.serve();
    let ask = |method: &str, path: &str, headers: &str, body: &str| {
        let mut stream = UnixStream::connect(installation.data().join("control.sock")).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
        crate::harness::parse(&bytes)
    };
    let json = "Content-Type: application/json\r\n";
    let made = ask("POST", "/admin/bans", json, "{\"kind\": \"address\", \"name\": \"203.0.113.9\"}");
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(ask("GET", "/admin/bans", "", "").body.contains("203.0.113.9"));
    assert_eq!(ask("DELETE", "/admin/bans/address/203.0.113.9", "", "").status, 204);
    assert_eq!(ask("POST", "/admin/bans", "", "{}").status, 415);
    assert_eq!(ask("GET", "/admin/nothing", "", "").status, 404);
    assert_eq!(ask("GET", "/health", "", "").status, 200);
    drop(server);
    let by = installation.entries().into_iter().rfind(|entry| entry["operation"] == "ban.lift").unwrap();
    assert_eq!(by["transport"], "control");
}
