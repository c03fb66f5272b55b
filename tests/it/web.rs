//! Libraries of web sites: mirrored from a real server, politely, and only from where an operator allowed it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Installation, text, write};

type Pages = Arc<Mutex<HashMap<String, String>>>;

/// A site on loopback. A page's entity tag is its content's length.
struct WebServer {
    address: SocketAddr,
    pages: Pages,
    /// The paths that were asked for, and whether the answer was "not modified".
    asked: Arc<Mutex<Vec<(String, bool)>>>,
}

impl WebServer {
    fn start(pages: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pages = pages.iter().map(|(path, body)| ((*path).to_owned(), (*body).to_owned())).collect();
        let (pages, asked): (Pages, _) = (Arc::new(Mutex::new(pages)), Arc::new(Mutex::new(Vec::new())));
        let server = Self { address, pages: Arc::clone(&pages), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
                let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let page = pages.lock().unwrap().get(&path).cloned();
                let (status, body) = match page {
                    None => ("404 Not Found", String::new()),
                    Some(body) => {
                        let tag = format!("\"{}\"", body.len());
                        let known = headers.iter().any(|line| line.to_lowercase() == format!("if-none-match: {tag}"));
                        if known { ("304 Not Modified", String::new()) } else { ("200 OK", body) }
                    }
                };
                asked.lock().unwrap().push((path, status.starts_with("304")));
                let tag = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nETag: \"{tag}\"\r\nContent-Length: {tag}\r\nConnection: close\r\n\r\n{body}"
                );
                (&stream).write_all(answer.as_bytes()).ok();
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn put(&self, path: &str, body: &str) {
        self.pages.lock().unwrap().insert(path.to_owned(), body.to_owned());
    }

    fn remove(&self, path: &str) {
        self.pages.lock().unwrap().remove(path);
    }

    fn asked(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn paths(installation: &Installation, query: &str) -> Vec<String> {
    let output = installation.run(&["--json", "search", query, "--library", "site"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    found["hits"].as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_site_is_mirrored_asked_for_changes_and_what_is_gone_goes() {
    let server = WebServer::start(&[
        (
            "/docs/",
            "<nav>menu zebra</nav><main><h1>Start</h1><a href=a>a</a> <a href=b.html>b</a> <a href=/private>p</a> <a href=secret/>s</a></main>",
        ),
        ("/docs/a", "<main><h1>Numbat</h1>termites</main>"),
        ("/docs/b.html", "<main><h1>Quokka</h1>smiles</main>"),
        ("/docs/secret/", "<main>hidden wombat</main>"),
        ("/private", "<main>private wombat</main>"),
        ("/robots.txt", "User-agent: *\nDisallow: /docs/secret\n"),
    ]);
    let installation = Installation::new();
    let report = installation.json(&["library", "add", "site", &server.url("/docs/"), "--loopback-http"]);
    assert_eq!(report["report"]["added"], 3, "{report}");
    assert!(report["report"]["failed"][0]["reason"].as_str().unwrap().contains("robots.txt"), "{report}");
    assert_eq!(paths(&installation, "numbat"), ["docs/a.html"]);
    assert!(paths(&installation, "wombat").is_empty());
    assert!(paths(&installation, "zebra").is_empty(), "navigation is no content");
    let first = server.asked();
    assert_eq!(
        first.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        ["/robots.txt", "/docs/", "/docs/a", "/docs/b.html"]
    );
    server.put("/docs/a", "<main><h1>Numbat</h1>many more termites</main>");
    server.remove("/docs/b.html");
    let report = installation.json(&["library", "sync", "site"])["report"].clone();
    assert_eq!(
        (&report["changed"], &report["removed"], &report["unchanged"]),
        (&1.into(), &1.into(), &1.into()),
        "{report}"
    );
    assert!(server.asked().contains(&("/docs/".to_owned(), true)), "what did not change is not sent");
    assert!(paths(&installation, "quokka").is_empty());
    let connected = installation.entries();
    assert!(connected.iter().any(|entry| entry["operation"] == "egress.library"), "{connected:?}");
    installation.json(&["library", "remove", "site"]);
    assert!(!installation.data().join("web/site").exists());
}

/// Each page was told as not read, the exit code was 0, and the library counted as synced.
#[test]
fn a_site_that_cannot_be_reached_is_not_synced() {
    let server = WebServer::start(&[("/docs/", "<main><h1>Start</h1><a href=a>a</a></main>"), ("/docs/a", "numbat")]);
    let installation = Installation::new();
    installation.json(&["library", "add", "site", &server.url("/docs/"), "--loopback-http"]);
    let before = installation.json(&["library", "show", "site"])["library"].clone();
    let refused = installation.run(&["--offline", "library", "sync", "site"]);
    assert_eq!(refused.status.code(), Some(69), "{}", text(&refused.stderr));
    assert_eq!(installation.json(&["library", "show", "site"])["library"], before);
    assert_eq!(paths(&installation, "numbat"), ["docs/a.html"]);
    // What is gone is told as that, and not as what could not be read.
    server.remove("/docs/a");
    let synced = installation.run(&["library", "sync", "site"]);
    let told = text(&synced.stdout);
    assert!(told.contains("1 removed") && told.contains("/docs/a: it is gone: status 404"), "{told}");
    assert!(told.contains("  note http") && !told.contains("not read"), "{told}");
}

/// A profile knew the paths of a checkout only: over a mirror of its own site it found no module and no address.
#[test]
fn a_profile_reads_a_mirror_of_its_site_and_every_hit_has_the_address_of_its_page() {
    let kettle = "<main><h1>Kettle</h1><p>A kettle boils water.</p><pre><code class=language-sh>npx expo install expo-kettle</code></pre>\
        <pre><code class=language-tsx>import { boil } from 'expo-kettle';</code></pre></main>";
    let server = WebServer::start(&[
        ("/", "<main><h1>Home</h1><a href=guides/brewing/>b</a> <a href=versions/latest/sdk/kettle/>k</a></main>"),
        (
            "/guides/brewing/",
            "<main><h1>Brewing</h1><p>Warm the pot.</p><h2 id=steeping>Steeping</h2><p>Steep the oolong.</p></main>",
        ),
        ("/versions/latest/sdk/kettle/", kettle),
    ]);
    let installation = Installation::new();
    let add = ["library", "add", "site", &server.url("/"), "--loopback-http", "--profile", "expo"];
    assert_eq!(installation.json(&add)["report"]["added"], 3);
    let agent = installation.serve();
    let good = |tool: &str, arguments: Value| {
        let result = agent.call(tool, arguments);
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"].clone()
    };
    let brewing = server.url("/guides/brewing/");
    let hit = good("search_documents", json!({"query": "oolong"}))["hits"][0].clone();
    assert_eq!(hit["url"], format!("{brewing}#steeping"), "{hit}");
    let hit = good("expo_search_documents", json!({"query": "oolong"}))["hits"][0].clone();
    assert_eq!(hit["url"], format!("{brewing}#steeping"), "{hit}");
    // By the address of the hit, by that without the last slash, and by that of the site that the profile is for.
    for address in [
        format!("{brewing}#steeping"),
        brewing.trim_end_matches('/').to_owned(),
        "https://docs.expo.dev/guides/brewing/".into(),
    ] {
        let page = good("expo_read_document", json!({"url": address}));
        assert_eq!(
            (&page["path"], &page["canonical_url"]),
            (&json!("guides/brewing/index.html"), &json!(brewing)),
            "{page}"
        );
    }
    let page = good("read_document", json!({"library": "site", "path": format!("{brewing}#steeping")}));
    assert_eq!((&page["path"], &page["url"]), (&json!("guides/brewing/index.html"), &json!(brewing)), "{page}");
    let missing = agent.modern(
        "tools/call",
        json!({"name": "read_document", "arguments": {"library": "site", "path": server.url("/x")}}),
    );
    assert!(missing.body.contains("has no document"), "{}", missing.body);
    let module = good("expo_get_sdk_module", json!({"module_name": "kettle"}));
    assert_eq!(module["url"], server.url("/versions/latest/sdk/kettle/"), "{module}");
    assert_eq!(
        (&module["package"], &module["install_command"]),
        (&json!("expo-kettle"), &json!("npx expo install expo-kettle"))
    );
    assert_eq!(module["examples"].as_array().unwrap().len(), 1, "{module}");
    // A page that did not change keeps its address.
    server.put("/", "<main><h1>Home</h1><a href=guides/brewing/>brewing</a></main>");
    installation.json(&["library", "sync", "site"]);
    let hit = good("search_documents", json!({"query": "oolong"}))["hits"][0].clone();
    assert_eq!(hit["url"], format!("{brewing}#steeping"), "{hit}");
    let told = text(&installation.run(&["search", "oolong", "--library", "site"]).stdout);
    assert!(told.contains(&format!("{brewing}#steeping")), "{told}");
    let read = installation.run(&["read", "site", &brewing]);
    assert!(text(&read.stdout).contains("Warm the pot"), "{}", text(&read.stderr));
    assert_eq!(agent.terminate(), Some(0));
    installation.verify();
}

#[test]
fn only_what_an_operator_allowed_is_asked() {
    let server = WebServer::start(&[("/", "x")]);
    let mut installation = Installation::new();
    let url = server.url("/");
    // In the clear not even to this machine, unless that is said.
    assert_eq!(installation.run(&["library", "add", "site", &url]).status.code(), Some(64));
    let private = installation.run(&["library", "add", "site", "https://127.0.0.1:1/"]);
    assert!(text(&private.stderr).contains("not on the internet"), "{}", text(&private.stderr));
    let globs = installation.run(&["library", "add", "site", &url, "--loopback-http", "--include", "*.md"]);
    assert_eq!(globs.status.code(), Some(64));
    installation.set("EGRESS_MODE", "none");
    let closed = installation.run(&["library", "add", "site", &url, "--loopback-http"]);
    assert!(text(&closed.stderr).contains("egress.mode"), "{}", text(&closed.stderr));
    assert!(server.asked().is_empty());
}

#[test]
fn a_profile_says_where_its_site_begins() {
    let mut installation = Installation::new();
    let server = WebServer::start(&[("/llms.txt", "<a href=/tea/>t</a>"), ("/tea/", "<main><h1>Tea</h1>zebra</main>")]);
    let folder = installation.folder("profiles").join("tea");
    let start = server.url("/llms.txt");
    let host = server.address;
    let manifest = format!(
        "name = \"tea\"\ntitle = \"Tea\"\nabout = \"Tea.\"\nlanguages = [\"en\"]\n[sources]\nhosts = [\"{host}\", \"github.com/tea\"]\nstart = [\"{start}\"]\n\
        [[sites]]\npath = '^(.*)\\.html$'\naddress = \"https://tea.example/$1\"\nread = '^([^:]*)$'\nfiles = [\"{{}}.html\"]\n\
        [tools.search]\nname = \"find\"\ntitle = \"Find\"\nabout = \"Finds.\"\n"
    );
    write(&folder.join("profile.toml"), &manifest);
    installation.set("PROFILE_DIRECTORY", folder.parent().unwrap().to_str().unwrap());
    let add = installation.run(&["library", "add", "site", "--profile", "tea", "--web", "--loopback-http"]);
    assert!(add.status.success(), "{}", text(&add.stderr));
    assert!(text(&add.stderr).contains("github.com/tea is a part of a host only"), "{}", text(&add.stderr));
    assert_eq!(paths(&installation, "zebra"), ["tea/index.html"]);
    for wrong in [&["--web"][..], &["--profile", "tea"], &["--profile", "tea", "--web", "/tmp"]] {
        let refused = installation.run(&[&["library", "add", "other"], wrong].concat());
        assert_eq!(refused.status.code(), Some(64), "{wrong:?}: {}", text(&refused.stderr));
    }
}
