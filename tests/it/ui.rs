//! The dashboard in a browser's hands: who gets in, what their pages show, and that no other page can act for them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::harness::{Installation, PATIENCE, Reply, Server};
use crate::identify::{self, PASSWORD};
use crate::strongroom::check;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A browser that keeps cookies and sends what browsers send.
pub(crate) struct Browser {
    cookies: Vec<(String, String)>,
    /// The body of the last page.
    pub(crate) page: String,
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const OWN: [(&str, &str); 3] = [FORM, ("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")];

impl Browser {
    pub(crate) fn new() -> Self {
        Self { cookies: Vec::new(), page: String::new() }
    }

    pub(crate) fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// As a browser that was given these.
    pub(crate) fn keep(&mut self, cookie: &str) {
        let (name, value) = cookie.split_once('=').unwrap();
        self.cookies.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn go(&mut self, server: &Server, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let cookie = self.cookie();
        let mut headers = vec![("Host", "localhost"), ("Cookie", cookie.as_str())];
        headers.extend(more);
        let reply = server.raw(method, path, &headers, body);
        if !path.starts_with("/ui/assets/") {
            assert_eq!(reply.header("content-security-policy"), Some(POLICY), "{path}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(reply.header("referrer-policy"), Some("same-origin"), "{path}");
        }
        for (name, value) in &reply.headers {
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            assert!(value.contains("; HttpOnly") && value.contains("; SameSite=Strict"), "{value}");
            let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(own, _)| own != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        self.page.clone_from(&reply.body);
        reply
    }

    pub(crate) fn get(&mut self, server: &Server, path: &str) -> Reply {
        self.go(server, "GET", path, &[], "")
    }

    /// Sends a form as the page that was opened last would.
    pub(crate) fn post(&mut self, server: &Server, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = self.form(fields);
        self.go(server, "POST", path, &OWN, &body)
    }

    fn form(&self, fields: &[(&str, &str)]) -> String {
        Serializer::new(String::new()).append_pair("proof", &self.proof()).extend_pairs(fields).finish()
    }

    fn proof(&self) -> String {
        let rest = self.page.split_once("name=\"proof\" value=\"").map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    /// Logs in, and shows the first page.
    pub(crate) fn log_in(&mut self, server: &Server, name: &str) {
        self.get(server, "/ui/login");
        let reply = self.post(server, "/ui/login", &[("name", name), ("password", PASSWORD)]);
        assert_eq!((reply.status, reply.header("location")), (303, Some("/ui/")), "{reply:?}");
        assert_eq!(self.get(server, "/ui/").status, 200);
    }
}

pub(crate) fn house(roles: &[&str]) -> (Installation, Server) {
    let installation = Installation::new();
    for role in roles {
        // Each has the name of its role.
        identify::add(&installation, role, role);
    }
    let server = installation.serve();
    (installation, server)
}

const PAGES: [&str; 12] = [
    "",
    "live",
    "sessions",
    "bans",
    "audit",
    "libraries",
    "connectors",
    "credentials",
    "accounts",
    "policy",
    "configuration",
    "backups",
];

#[test]
fn a_person_logs_in_sees_every_page_and_logs_out() {
    let (installation, server) = house(&["admin"]);
    let mut browser = Browser::new();
    assert_eq!(browser.get(&server, "/ui").header("location"), Some("/ui/"));
    for page in PAGES {
        let reply = browser.get(&server, &format!("/ui/{page}"));
        assert_eq!((reply.status, reply.header("location")), (303, Some("/ui/login")), "{page}");
    }
    let login = browser.get(&server, "/ui/login");
    assert!(login.status == 200 && login.body.contains("<html lang=\"en\""), "{login:?}");
    let before = browser.cookie();
    browser.log_in(&server, "admin");
    assert_ne!(browser.cookie(), before, "the cookie of before the login is worth nothing");
    for page in PAGES {
        let reply = browser.get(&server, &format!("/ui/{page}"));
        assert_eq!(reply.status, 200, "{page}: {reply:?}");
        assert!(reply.body.contains("aria-current=\"page\"") && !reply.body.contains(PASSWORD), "{page}");
        assert!(
            !reply.body.contains("style=") && !reply.body.contains("onclick"),
            "{page} has what the policy forbids"
        );
    }
    let mut other = Browser::new();
    other.cookies = vec![("sekisho-ui".into(), before.split_once('=').unwrap().1.into())];
    assert_eq!(other.get(&server, "/ui/").status, 303, "fixing somebody's cookie gives no session");

    let kept = browser.cookie();
    let reply = browser.post(&server, "/ui/logout", &[]);
    assert_eq!(reply.header("location"), Some("/ui/login"), "{reply:?}");
    other.cookies = vec![("sekisho-ui".into(), kept.split_once('=').unwrap().1.into())];
    assert_eq!(other.get(&server, "/ui/").status, 303, "what was kept of the cookie opens nothing");
    let entries = installation.entries();
    let of = |operation: &str| entries.iter().filter(|entry| entry["operation"] == operation).count();
    assert_eq!((of("ui.login"), of("ui.logout")), (1, 1));
    assert!(of("session.list") >= 1 && of("account.review") >= 1, "what pages show is asked for like anything else");
    installation.verify();
}

#[test]
fn a_wrong_password_gives_no_session_and_one_too_many_shuts_the_address_out() {
    let (installation, server) = house(&["operator"]);
    let mut browser = Browser::new();
    browser.get(&server, "/ui/login");
    for name in ["operator", "nobody"] {
        let reply = browser.post(&server, "/ui/login", &[("name", name), ("password", "wrong horse battery")]);
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(reply.body.contains("do not belong together"), "one text for every reason");
        assert_eq!(browser.get(&server, "/ui/sessions").status, 303);
        browser.get(&server, "/ui/login");
    }
    let entries = installation.entries();
    let refused = entries.iter().filter(|entry| entry["event"] == "authentication" && entry["outcome"] == "refused");
    assert!(refused.count() >= 1, "it is in the log");
    browser.log_in(&server, "operator");
}

#[test]
fn no_other_page_can_act_for_whoever_is_logged_in() {
    let (installation, server) = house(&["operator"]);
    let mut browser = Browser::new();
    browser.log_in(&server, "operator");
    let fields = [("kind", "address"), ("name", "203.0.113.7"), ("minutes", "5"), ("reason", "x")];
    let good = browser.form(&fields);
    let mut refused = |headers: &[(&str, &str)], body: &str, what: &str| {
        let reply = browser.go(&server, "POST", "/ui/bans/add", headers, body);
        assert_eq!(reply.status, 403, "{what}: {reply:?}");
        browser.get(&server, "/ui/bans");
    };
    refused(&OWN, "kind=address&name=203.0.113.7", "no token");
    refused(&OWN, &good.replacen("proof=", "proof=0", 1), "a wrong token");
    refused(&[FORM, ("Origin", "http://localhost:9")], &good, "the page of another port");
    refused(&[FORM, OWN[1], ("Sec-Fetch-Site", "same-site")], &good, "a neighbour");
    refused(&[FORM], &good, "a browser that says nothing of the page");
    refused(&[("Content-Type", "text/plain"), OWN[1], OWN[2]], &good, "no form");
    let cookie = browser.cookie();
    let hidden = [("Host", "localhost"), ("Cookie", cookie.as_str()), FORM, ("Origin", "null")];
    assert_eq!(server.raw("POST", "/ui/bans/add", &hidden, &good).status, 403, "a page that hides itself");
    assert!(installation.json(&["ban", "list"])["items"].as_array().unwrap().is_empty());

    // The token of somebody else's session is no token of this one.
    let mut other = Browser::new();
    other.log_in(&server, "operator");
    let body = other.form(&fields);
    assert_eq!(browser.go(&server, "POST", "/ui/bans/add", &OWN, &body).status, 403);

    browser.get(&server, "/ui/bans");
    let reply = browser.post(&server, "/ui/bans/add", &fields);
    assert_eq!(reply.header("location"), Some("/ui/bans?said=banned"), "{reply:?}");
    assert!(browser.get(&server, "/ui/bans?said=banned").body.contains("203.0.113.7"));
    let reply = browser.post(&server, "/ui/bans/lift", &[("kind", "address"), ("name", "203.0.113.7")]);
    assert_eq!(reply.status, 303, "{reply:?}");
    assert!(installation.json(&["ban", "list"])["items"].as_array().unwrap().is_empty());
}

#[test]
fn each_role_sees_and_does_what_it_may_and_no_more() {
    let (_installation, server) = house(&["reader", "auditor", "operator"]);
    let look = |role: &str, open: &[&str]| {
        let mut browser = Browser::new();
        browser.log_in(&server, role);
        let first = browser.page.clone();
        for page in &PAGES[1..] {
            let expect = if open.contains(page) { 200 } else { 403 };
            assert_eq!(browser.get(&server, &format!("/ui/{page}")).status, expect, "{role} {page}");
            assert_eq!(first.contains(&format!("href=\"/ui/{page}\"")), open.contains(page), "{role} {page}");
        }
        browser
    };
    look("reader", &[]);
    let mut auditor = look("auditor", &["live", "audit", "policy", "configuration"]);
    auditor.get(&server, "/ui/audit");
    let add = [("kind", "address"), ("name", "203.0.113.7"), ("reason", "")];
    assert_eq!(auditor.post(&server, "/ui/bans/add", &add).status, 403);
    let mut operator = look("operator", &["sessions", "bans", "libraries", "connectors", "configuration", "backups"]);
    operator.get(&server, "/ui/sessions");
    let make = [("name", "eve"), ("role", "admin"), ("value", PASSWORD)];
    assert_eq!(operator.post(&server, "/ui/accounts/add", &make).status, 403);
    operator.get(&server, "/ui/sessions");
    assert_eq!(operator.post(&server, "/ui/accounts/issue", &[("name", "eve")]).status, 403);
}

#[test]
fn an_account_that_is_changed_is_out_at_the_next_request() {
    let (installation, server) = house(&["operator", "auditor"]);
    let fresh = |name: &str| {
        let mut browser = Browser::new();
        browser.log_in(&server, name);
        browser
    };
    let is_out = |browser: &mut Browser| {
        let reply = browser.get(&server, "/ui/");
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(reply.body.contains("since you logged in"), "{reply:?}");
        assert_eq!(browser.get(&server, "/ui/").status, 303);
    };
    let mut browser = fresh("operator");
    check(&installation.run(&["account", "role", "operator", "admin"]), 0, &[]);
    is_out(&mut browser);
    check(&installation.run(&["account", "role", "operator", "operator"]), 0, &[]);

    let mut browser = fresh("operator");
    let mut bystander = fresh("auditor");
    check(&installation.run(&["account", "disable", "operator"]), 0, &[]);
    is_out(&mut browser);
    check(&installation.run(&["account", "enable", "operator"]), 0, &[]);
    assert_eq!(bystander.get(&server, "/ui/").status, 200, "it was somebody else's account");

    let mut browser = fresh("operator");
    let output = crate::strongroom::told(&installation, &["account", "passwd", "operator"], "another long password\n");
    check(&output, 0, &[]);
    is_out(&mut browser);

    let mut browser = fresh("auditor");
    check(&installation.run(&["session", "end", "--principal", "account:auditor"]), 0, &[]);
    is_out(&mut browser);
    browser.get(&server, "/ui/login");
    let again = browser.post(&server, "/ui/login", &[("name", "auditor"), ("password", PASSWORD)]);
    assert_eq!(again.status, 403, "an administrator ended it: {again:?}");
}

#[test]
fn what_others_wrote_is_text_on_every_page() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";
    let (installation, server) = house(&["admin"]);
    let mut browser = Browser::new();
    browser.log_in(&server, "admin");
    // What calls itself so is in the log.
    browser.go(&server, "GET", "/ui/configuration", &[("User-Agent", HOSTILE)], "");
    installation.add_library("hostile", &[("a.md", "# Zebras\n\nzebra `<script>alert(2)</script>` in code\n")]);
    let found = browser.get(&server, "/ui/audit?operation=config.show").body;
    let number = found.split_once("/ui/audit/entry?number=").unwrap().1.split('"').next().unwrap().to_owned();
    let hostile = Serializer::new(String::new()).append_pair("x", HOSTILE).finish();
    let value = hostile.split_once('=').unwrap().1.to_owned();
    let mut pages: Vec<String> = PAGES.iter().map(|page| format!("/ui/{page}")).collect();
    pages.extend([
        format!("/ui/audit?text={value}&from={value}"),
        format!("/ui/audit?operation=ban.add&subject={value}"),
        format!("/ui/libraries?q=zebra&library={value}"),
        "/ui/libraries?q=zebra".into(),
        format!("/ui/connectors?name={value}"),
        format!("/ui/policy?principal={value}&action={value}&resource={value}"),
        format!("/ui/bans?kind={value}&name={value}&said={value}"),
        format!("/ui/?span={value}&said={value}"),
        format!("/ui/audit/entry?number={value}"),
        format!("/ui/{value}"),
        format!("/ui/audit/entry?number={number}"),
    ]);
    for path in pages {
        let reply = browser.get(&server, &path);
        for markup in ["<img src=x", "<script>", "\"'&\""] {
            assert!(!reply.body.contains(markup), "{path}: {markup}: {}", reply.body);
        }
    }
    let entry = browser.get(&server, &format!("/ui/audit/entry?number={number}")).body;
    assert!(entry.contains("onerror"), "it is shown all the same: {entry}");
    assert!(browser.get(&server, "/ui/libraries?q=zebra").body.contains("<mark>zebra</mark>"));
}

#[test]
fn an_entry_is_found_with_its_proof_and_the_whole_log_verifies() {
    let (installation, server) = house(&["admin"]);
    let mut browser = Browser::new();
    browser.log_in(&server, "admin");
    installation.json(&["audit", "checkpoint"]);
    let found = browser.get(&server, "/ui/audit?operation=ui.login");
    let number = found.body.split_once("/ui/audit/entry?number=").unwrap().1.split('"').next().unwrap().to_owned();
    let entry = browser.get(&server, &format!("/ui/audit/entry?number={number}"));
    assert_eq!(entry.status, 200, "{entry:?}");
    let proof = installation.json(&["audit", "prove", &number]);
    assert!(entry.body.contains(proof["leaf_hash"].as_str().unwrap()), "{}", entry.body);
    assert_eq!(browser.get(&server, "/ui/audit/entry?number=99999999").status, 404);
    browser.get(&server, "/ui/audit");
    let verified = browser.post(&server, "/ui/audit/verify", &[]);
    assert!(verified.status == 200 && verified.body.contains("The log is sound."), "{verified:?}");
    let saved = browser.get(&server, "/ui/audit/export?operation=ui.login");
    assert_eq!(saved.header("content-type"), Some("application/x-ndjson"));
    let line: serde_json::Value = serde_json::from_str(saved.body.lines().next().unwrap()).unwrap();
    assert_eq!(line["operation"], "ui.login");
}

#[test]
fn a_session_of_an_agent_is_ended_and_a_token_is_shown_once() {
    let (installation, server) = house(&["admin"]);
    let mut browser = Browser::new();
    browser.log_in(&server, "admin");
    let reply =
        browser.post(&server, "/ui/accounts/issue", &[("name", "agent"), ("role", "reader"), ("expires_days", "7")]);
    assert_eq!(reply.status, 200, "{reply:?}");
    let token = format!("sks_{}", reply.body.split_once("value=\"sks_").unwrap().1.split('"').next().unwrap());
    assert!(identify::is_known(&server, &identify::bearer(&token)));
    assert!(!browser.get(&server, "/ui/accounts").body.contains(&token));

    server.call("list_libraries", json!({}));
    let agent = identify::bearer(&installation.token());
    assert!(identify::is_known(&server, &agent));
    let page = browser.get(&server, "/ui/sessions").body;
    let row = page.split("<tr>").find(|row| row.contains("token:quickstart")).unwrap();
    let short = row.split_once("name=\"session\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    assert_eq!(browser.post(&server, "/ui/sessions/end", &[("session", &short)]).status, 303);
    assert!(!identify::is_known(&server, &agent), "it was ended");
    for entry in installation.entries() {
        assert!(!entry.to_string().contains(&token), "{entry}");
    }
}

#[test]
fn a_library_is_synced_with_its_progress_told_line_by_line() {
    let (installation, server) = house(&["operator"]);
    let folder = installation.add_library("notes", &[("a.md", "# One\n\ntext\n")]);
    crate::harness::write(&folder.join("b.md"), "# Two\n\nmore\n");
    let mut browser = Browser::new();
    browser.log_in(&server, "operator");
    let body = browser.form(&[("name", "notes")]);
    let lines = [FORM, OWN[1], OWN[2], ("Accept", "application/x-ndjson")];
    let reply = browser.go(&server, "POST", "/ui/libraries/sync", &lines, &body);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"), "{reply:?}");
    let last: serde_json::Value = serde_json::from_str(reply.body.lines().last().unwrap()).unwrap();
    assert_eq!(last["result"]["report"]["added"], json!(1), "{last}");
    browser.get(&server, "/ui/libraries");
    assert_eq!(browser.post(&server, "/ui/libraries/sync", &[("name", "notes")]).status, 303);
    assert_eq!(browser.post(&server, "/ui/libraries/sync", &[("name", "gone")]).status, 403, "not told from forbidden");
}

#[test]
fn events_come_as_they_are_written_until_the_session_ends() {
    let (installation, server) = house(&["auditor"]);
    let mut browser = Browser::new();
    browser.log_in(&server, "auditor");
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    let cookie = browser.cookie();
    write!(stream, "GET /ui/live/feed HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    let begun = std::time::Instant::now();
    let mut hear = |what: &str, stir: &mut dyn FnMut()| {
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&heard).contains(what) {
            assert!(begun.elapsed() < 2 * PATIENCE, "{what} did not come: {}", String::from_utf8_lossy(&heard));
            stir();
            match stream.read(&mut piece) {
                Ok(count) => {
                    assert!(count > 0, "it ended before {what}");
                    heard.extend(&piece[..count]);
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
            }
        }
    };
    hear("text/event-stream", &mut || {});
    // The head comes before the feed is listened to: what happens in between is not told.
    hear("config.show", &mut || drop(browser.get(&server, "/ui/configuration")));
    check(&installation.run(&["account", "disable", "auditor"]), 0, &[]);
    // The last chunk: the server ended the stream by itself.
    hear("\r\n0\r\n\r\n", &mut || {});
}

#[test]
fn the_first_page_is_small_and_its_files_never_change_under_their_address() {
    let (_installation, server) = house(&["operator"]);
    let mut browser = Browser::new();
    let mut bytes = browser.get(&server, "/ui/login").body.len();
    let page = browser.page.clone();
    for piece in page.split('"').filter(|piece| piece.starts_with("/ui/assets/")) {
        let reply = browser.get(&server, piece);
        assert_eq!(reply.status, 200, "{piece}");
        assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
        bytes += reply.body.len();
        let other = piece.replace("/ui/assets/", "/ui/assets/0");
        assert_eq!(browser.get(&server, &other).status, 404, "another content has another address");
    }
    browser.log_in(&server, "operator");
    bytes += browser.page.len();
    assert!((10_000..150_000).contains(&bytes), "{bytes} bytes");
    for path in
        ["/ui/assets/", "/ui/assets/x", "/ui/assets/../en.toml", "/ui/assets/0/en.toml", "/ui/assets/0/base.html"]
    {
        assert_eq!(browser.get(&server, path).status, 404, "{path}");
    }
}

#[test]
fn the_language_and_the_colours_are_the_ones_that_were_chosen() {
    let (_installation, server) = house(&["operator"]);
    let mut browser = Browser::new();
    let page = browser.go(&server, "GET", "/ui/login", &[("Accept-Language", "ja,en;q=0.5")], "").body;
    assert!(page.contains("<html lang=\"ja\"") && page.contains("パスワード"), "{page}");
    browser.log_in(&server, "operator");
    let reply = browser.post(&server, "/ui/look", &[("language", "ja"), ("back", "/ui/bans?said=banned")]);
    assert_eq!(reply.header("location"), Some("/ui/bans?said=banned"), "{reply:?}");
    assert!(browser.get(&server, "/ui/bans?said=banned").body.contains("遮断しました"));
    browser.post(&server, "/ui/look", &[("theme", "dark"), ("back", "//evil.example/")]);
    let page = browser.get(&server, "/ui/").body;
    assert!(page.contains("<html lang=\"ja\" data-theme=\"dark\""), "{page}");
    for back in ["//evil.example", "https://evil.example", "/ui/\r\nX: y", "/admin/status", "/ui/\\evil"] {
        let reply = browser.post(&server, "/ui/look", &[("theme", "light"), ("back", back)]);
        assert_eq!(reply.header("location"), Some("/ui/"), "{back:?}");
        browser.get(&server, "/ui/");
    }
}

#[test]
fn there_is_no_dashboard_where_it_or_administration_over_http_is_switched_off() {
    for name in ["ADMIN_UI", "ADMIN_HTTP"] {
        let mut installation = Installation::new();
        installation.set(name, "false");
        let server = installation.serve();
        for path in ["/ui", "/ui/", "/ui/login", "/ui/assets/0/style.css"] {
            assert_eq!(server.raw("GET", path, &[("Host", "localhost")], "").status, 404, "{name} {path}");
        }
    }
}
