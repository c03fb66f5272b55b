//! A site that is mirrored: what is followed, what is asked again, what is dropped, and how it goes on.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::crawl::{Outcome, mirror};
use super::pace::Pace;
use super::*;
use crate::base::bound;
use crate::base::clock::{Clock as _, ManualClock, Timestamp};

/// An entity tag and a body, or a status.
type Page = Result<(String, String), u16>;

/// The body of what is no document.
const PICTURE: &str = "picture";

fn type_of(body: &str) -> &'static str {
    match body {
        PICTURE => "image/png",
        map if map.starts_with("<urlset>") => "application/xml",
        list if list.starts_with("# ") => "text/plain; charset=utf-8",
        _ => "text/html",
    }
}

fn packed(body: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Pages by URL.
struct Server {
    /// Waiting is what makes time pass.
    clock: ManualClock,
    pages: Mutex<HashMap<String, Page>>,
    asked: Mutex<Vec<String>>,
    /// Asked so often, somebody interrupts.
    cancel_after: Mutex<Option<(usize, CancellationToken)>>,
}

impl Server {
    fn put(&self, path: &str, etag: &str, body: &str) {
        let page = Ok((etag.to_owned(), body.to_owned()));
        self.pages.lock().unwrap().insert(format!("https://docs.example{path}"), page);
    }

    fn status(&self, path: &str, status: u16) {
        self.pages.lock().unwrap().insert(format!("https://docs.example{path}"), Err(status));
    }

    fn remove(&self, path: &str) {
        self.pages.lock().unwrap().remove(&format!("https://docs.example{path}"));
    }

    fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.into_iter().map(|url| url.trim_start_matches("https://docs.example").to_owned()).collect()
    }
}

impl Fetch for Server {
    fn get<'a>(&'a self, _: &'a Site, asked: Asked) -> BoxFuture<'a, Result<Got, String>> {
        let mut log = self.asked.lock().unwrap();
        log.push(asked.url.clone());
        if let Some((count, cancel)) = &*self.cancel_after.lock().unwrap()
            && log.len() >= *count
        {
            cancel.cancel();
        }
        let got = match self.pages.lock().unwrap().get(&asked.url) {
            None => Ok(Got { status: 404, ..Got::default() }),
            Some(Err(0)) => Err("no connection".to_owned()),
            Some(Err(status)) => {
                let to = match status {
                    302 => "/docs/login",
                    303 => "/docs/new/",
                    307 => "/elsewhere",
                    308 => "/rules.txt",
                    _ => "/docs/",
                };
                Ok(Got { status: *status, location: Some(to.into()), ..Got::default() })
            }
            Some(Ok((etag, _))) if asked.etag.as_deref() == Some(etag) => Ok(Got { status: 304, ..Got::default() }),
            Some(Ok((etag, body))) => Ok(Got {
                status: 200,
                content_type: type_of(body).into(),
                etag: Some(etag.clone()),
                body: if asked.url.rsplit('.').next() == Some("gz") || etag == "packed" {
                    packed(body)
                } else {
                    body.clone().into_bytes()
                },
                ..Got::default()
            }),
        };
        Box::pin(async { got })
    }

    fn wait(&self, span: Duration) -> BoxFuture<'_, ()> {
        self.clock.advance(span);
        Box::pin(async {})
    }
}

struct World {
    server: Server,
    pace: Mutex<Pace>,
    site: Site,
    directory: tempfile::TempDir,
    /// What the store has of it.
    known: Mutex<HashMap<String, String>>,
}

impl World {
    fn new() -> Self {
        let site = Site { start: "https://docs.example/docs/".into(), ..Site::default() }.checked().unwrap();
        let server = Server {
            clock: ManualClock::at(Timestamp(0)),
            pages: Mutex::default(),
            asked: Mutex::default(),
            cancel_after: Mutex::default(),
        };
        server.put(
            "/docs/",
            "1",
            "<a href=a>a</a> <a href=/other>o</a> <a href=b#x>b</a> <a href=https://evil.example/>e</a>",
        );
        server.put("/docs/a", "1", "<a href=c>c</a>");
        server.put("/docs/b", "1", "b");
        server.put("/docs/c", "1", "c");
        let directory = tempfile::tempdir().unwrap();
        Self { server, pace: Mutex::default(), site, directory, known: Mutex::default() }
    }

    async fn mirror(&self, cancel: &CancellationToken) -> Result<Outcome, WebError> {
        let clock = &self.server.clock;
        let kept = Kept { folder: self.directory.path(), known: &|| self.known.lock().unwrap().clone() };
        mirror(&self.site, kept, &self.server, clock, &self.pace, cancel, &|_, _, _| {}).await
    }

    async fn sync(&self) -> Outcome {
        self.mirror(&CancellationToken::new()).await.unwrap()
    }

    fn files(&self) -> Vec<String> {
        let walk = walkdir::WalkDir::new(self.directory.path()).sort_by_file_name();
        let files = walk.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
        let names = files.map(|entry| entry.path().strip_prefix(self.directory.path()).unwrap().display().to_string());
        names.filter(|name| !name.starts_with('.')).collect()
    }
}

#[tokio::test]
async fn an_llms_txt_leads_to_the_pages_that_it_names() {
    let mut world = World::new();
    world.site = Site { start: "https://docs.example/llms.txt".into(), ..Site::default() }.checked().unwrap();
    let list = "# Docs\n> What they are.\n\n- [A](https://docs.example/docs/a): one\n- [B](docs/b.md)\n- [E](https://evil.example/)\n";
    world.server.put("/llms.txt", "1", list);
    world.server.put("/docs/b.md", "1", "# B\n\nSee [deeper](deep/c.md).\n");
    world.server.put("/docs/deep/c.md", "1", "# C\n");
    world.mirror(&CancellationToken::new()).await.unwrap();
    let asked = world.server.asked();
    for path in ["/llms.txt", "/docs/a", "/docs/b.md", "/docs/deep/c.md", "/docs/c"] {
        assert!(asked.iter().any(|it| it == path), "{path} in {asked:?}");
    }
    assert!(asked.iter().all(|it| !it.contains("evil")), "{asked:?}");
    for file in ["llms.txt", "docs/a.html", "docs/b.md", "docs/deep/c.md"] {
        assert!(world.directory.path().join(file).is_file(), "{file}");
    }
}

#[tokio::test]
async fn a_site_is_mirrored_and_asked_only_for_what_changed() {
    let world = World::new();
    assert_eq!(world.sync().await, Outcome::default());
    assert_eq!(world.files(), ["docs/a.html", "docs/b.html", "docs/c.html", "docs/index.html"]);
    // Five requests, a third of a second apart.
    assert_eq!(world.server.clock.now(), Timestamp(4 * limits::WEB_BETWEEN_MS));
    assert_eq!(world.server.asked(), ["/robots.txt", "/docs/", "/docs/a", "/docs/b", "/docs/c"]);
    world.server.put("/docs/", "2", "<a href=a>a</a>");
    world.server.put("/docs/c", "2", "new");
    world.sync().await;
    assert_eq!(world.files(), ["docs/a.html", "docs/c.html", "docs/index.html"], "b is linked no more");
    assert_eq!(std::fs::read_to_string(world.directory.path().join("docs/c.html")).unwrap(), "new");
    assert_eq!(
        world.server.asked(),
        ["/robots.txt", "/docs/", "/docs/a", "/docs/c"],
        "a led on, though it was not sent"
    );
    // Another crawl, perhaps of another library: to the host it is the same visitor.
    assert_eq!(world.server.clock.now(), Timestamp(8 * limits::WEB_BETWEEN_MS));
}

#[tokio::test]
async fn what_is_gone_is_dropped_and_what_fails_is_kept() {
    let world = World::new();
    world.sync().await;
    world.server.remove("/docs/b");
    world.server.status("/docs/a", 503);
    world.server.status("/docs/c", 0);
    let outcome = world.sync().await;
    assert_eq!(outcome.failed.len(), 2, "{outcome:?}");
    assert!(outcome.noted[0].1.contains("it is gone: status 404"), "{outcome:?}");
    let kept = ["docs/a.html", "docs/c.html", "docs/index.html"];
    assert_eq!(world.files(), kept, "b is gone, a and c only cannot be read");
    world.server.status("/docs/", 500);
    world.sync().await;
    assert_eq!(world.files(), kept, "the start says nothing of the rest");
    world.server.status("/robots.txt", 0);
    world.mirror(&CancellationToken::new()).await.unwrap_err();
    assert_eq!(world.files(), kept, "whoever cannot be asked has not said no");
    let fresh = World { directory: tempfile::tempdir().unwrap(), ..world };
    let error = fresh.mirror(&CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("robots.txt"), "{error}");
}

#[tokio::test]
async fn a_crawl_that_was_interrupted_goes_on() {
    let world = World::new();
    let cancel = CancellationToken::new();
    *world.server.cancel_after.lock().unwrap() = Some((3, cancel.clone()));
    assert!(matches!(world.mirror(&cancel).await, Err(WebError::Cancelled)));
    assert_eq!(world.server.asked(), ["/robots.txt", "/docs/", "/docs/a"]);
    *world.server.cancel_after.lock().unwrap() = None;
    world.sync().await;
    assert_eq!(world.server.asked(), ["/robots.txt", "/docs/b", "/docs/c"]);
    assert_eq!(world.files().len(), 4);
}

#[tokio::test]
async fn robots_and_site_maps_are_heeded() {
    let world = World::new();
    let robots = "User-agent: sekisho\nDisallow: /docs/a\nSitemap: https://docs.example/map.xml\nSitemap: https://evil.example/map.xml\n";
    world.server.put("/robots.txt", "1", robots);
    world.server.put(
        "/map.xml",
        "1",
        "<urlset><loc>https://docs.example/docs/d</loc><loc>https://evil.example/docs/e</loc></urlset>",
    );
    world.server.put("/docs/d", "1", "d");
    let outcome = world.sync().await;
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    assert!(outcome.failed[0].1.contains("robots.txt"));
    assert_eq!(world.files(), ["docs/b.html", "docs/d.html", "docs/index.html"]);
    assert!(!world.server.asked().iter().any(|url| url == "/docs/a" || url.contains("evil")));
}

#[tokio::test]
async fn pages_depth_and_circles_are_bounded() {
    let mut world = World::new();
    world.site.pages_max = 2;
    let outcome = world.sync().await;
    assert!(outcome.noted[0].1.contains("more than 2 pages"), "{outcome:?}");
    assert_eq!(world.files().len(), 2);
    world.site.pages_max = 100;
    world.site.depth_max = 1;
    world.server.put("/docs/a", "2", "<a href=/docs/>home</a><a href=deep>d</a>");
    world.server.put("/docs/deep", "1", "deep");
    world.server.status("/docs/b", 301);
    assert_eq!(world.sync().await, Outcome::default());
    assert_eq!(world.files(), ["docs/a.html", "docs/index.html"]);
}

/// One answer 404, a redirect or a picture at the start deleted all pages.
#[tokio::test]
async fn a_start_that_is_gone_takes_nothing_with_it() {
    let world = World::new();
    world.sync().await;
    let all = world.files();
    assert_eq!(all.len(), 4);
    for status in [404, 410, 307] {
        world.server.status("/docs/", status);
        let error = world.mirror(&CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, WebError::Unreachable { .. }), "{status}: {error}");
        assert_eq!(world.files(), all, "{status}");
    }
    world.server.put("/docs/", "2", PICTURE);
    assert!(world.sync().await.failed[0].1.contains("image/png"));
    assert_eq!(world.files(), all);
    // A page that a site map names lives, and says nothing of those that it does not.
    world.server.put("/robots.txt", "1", "Sitemap: https://docs.example/map.xml\n");
    world.server.put("/map.xml", "1", "<urlset><loc>https://docs.example/docs/b</loc></urlset>");
    world.server.status("/docs/", 404);
    world.sync().await;
    assert_eq!(world.files(), all);
}

/// Each page was told as not read, and the library as synced.
#[tokio::test]
async fn a_site_that_does_not_answer_is_unreachable() {
    let world = World::new();
    world.sync().await;
    let all = world.files();
    for status in [0, 503, 429] {
        for path in ["/robots.txt", "/docs/", "/docs/a", "/docs/b", "/docs/c"] {
            world.server.status(path, status);
            // Whether already its rules cannot be read, or only its pages.
            let error = if path == "/docs/c" || path == "/robots.txt" && status != 429 {
                Some(world.mirror(&CancellationToken::new()).await.unwrap_err())
            } else {
                None
            };
            assert!(error.is_none_or(|error| matches!(error, WebError::Unreachable { .. })), "{status} {path}");
            assert_eq!(world.files(), all, "{status} {path}");
        }
    }
}

/// A page to sign in at, without a link, was taken for the whole site.
#[tokio::test]
async fn a_start_that_leads_to_where_one_signs_in_takes_nothing_with_it() {
    let world = World::new();
    world.sync().await;
    let all = world.files();
    world.server.status("/docs/", 302);
    world.server.put("/docs/login", "1", "Who are you?");
    for _ in 0..2 {
        let outcome = world.sync().await;
        assert!(outcome.noted[0].1.contains("leads to https://docs.example/docs/login now"), "{outcome:?}");
        assert!(all.iter().all(|file| world.files().contains(file)), "{:?}", world.files());
    }
    // One that moved has its pages where it is now, and may then lead there for good.
    world.server.status("/docs/", 303);
    let page = |name: &str| format!("<a href={name}>{name}</a> ");
    world.server.put("/docs/new/", "1", &["d", "e", "f", "g"].map(page).concat());
    for name in ["d", "e", "f", "g"] {
        world.server.put(&format!("/docs/new/{name}"), "1", name);
    }
    assert_eq!(world.sync().await, Outcome::default());
    assert_eq!(world.files().len(), 5, "{:?}", world.files());
    world.server.put("/docs/new/", "2", "no links");
    assert_eq!(world.sync().await, Outcome::default());
    assert_eq!(world.files(), ["docs/new/index.html"]);
}

/// A site map that failed once was taken for an empty one, and what only it names was deleted.
#[tokio::test]
async fn a_site_map_that_fails_is_not_an_empty_one() {
    let world = World::new();
    world.server.put("/robots.txt", "1", "Sitemap: https://docs.example/map.xml\n");
    let map = "<urlset><loc>https://docs.example/docs/d</loc></urlset>";
    world.server.put("/map.xml", "1", map);
    world.server.put("/docs/d", "1", "d");
    world.sync().await;
    let all = world.files();
    assert!(all.contains(&"docs/d.html".to_owned()));
    for status in [503, 0, 403, 307] {
        world.server.status("/map.xml", status);
        assert_eq!(world.sync().await.failed.len(), 1, "{status}");
        assert_eq!(world.files(), all, "{status}");
    }
    world.server.put("/map.xml", "1", "<h1>We are at work here</h1>");
    world.sync().await;
    assert_eq!(world.files(), all);
    world.server.put("/map.xml", "1", map);
    for status in [500, 0] {
        world.server.status("/robots.txt", status);
        world.mirror(&CancellationToken::new()).await.unwrap_err();
        assert_eq!(world.files(), all, "{status}");
    }
    world.server.put("/robots.txt", "1", "Sitemap: https://docs.example/map.xml\n");
    world.server.put("/map.xml", "1", "<urlset></urlset>");
    world.sync().await;
    assert!(!world.files().contains(&"docs/d.html".to_owned()), "an empty one says that there is nothing");
}

#[tokio::test]
async fn a_page_that_cannot_be_kept_any_more_stays_as_it_was() {
    let world = World::new();
    world.sync().await;
    world.server.put("/docs/a", "2", PICTURE);
    let outcome = world.sync().await;
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    assert_eq!(world.files(), ["docs/a.html", "docs/b.html", "docs/c.html", "docs/index.html"], "c is behind a");
}

#[tokio::test]
async fn site_maps_and_pages_that_are_packed_are_unpacked_within_bounds() {
    let mut world = World::new();
    world.site = Site { start: "https://docs.example/maps.xml".into(), prefix: "/docs/".into(), ..Site::default() };
    world.site = world.site.clone().checked().unwrap();
    world.server.put("/maps.xml", "1", "<urlset><loc>https://docs.example/sm.xml.gz</loc></urlset>");
    let map = "<urlset><loc>https://docs.example/docs/b</loc><loc>https://docs.example/docs/c</loc></urlset>";
    world.server.put("/sm.xml.gz", "1", map);
    world.server.put("/docs/b", "packed", "some tea");
    world.server.put("/docs/c", "packed", &" ".repeat(bound::DOCUMENT_BYTES_MAX + 1));
    let outcome = world.sync().await;
    assert!(outcome.failed.len() == 1 && outcome.failed[0].1.contains("bomb"), "{outcome:?}");
    assert_eq!(world.files(), ["docs/b.html"]);
    assert_eq!(std::fs::read_to_string(world.directory.path().join("docs/b.html")).unwrap(), "some tea");
}

/// `a.html` and `a.html/` need a file and a folder of one name: each sync failed there, for good.
#[tokio::test]
async fn a_page_below_another_page_is_kept_beside_it() {
    let world = World::new();
    world.server.put("/docs/", "1", "<a href=a.html>a</a> <a href=a.html/>a</a> <a href=b>b</a>");
    world.server.put("/docs/a.html", "1", "a");
    world.server.put("/docs/a.html/", "1", "below");
    std::fs::create_dir_all(world.directory.path().join("docs/b.html/in-the-way")).unwrap();
    let outcome = world.sync().await;
    assert_eq!(world.files(), ["docs/a.html", "docs/a.html_/index.html", "docs/index.html"]);
    assert!(outcome.failed.len() == 1 && outcome.failed[0].0.ends_with("/docs/b"), "{outcome:?}");
    assert_eq!(world.sync().await, Outcome::default(), "what was in the way of b and of no page is gone");
}

/// `library add` after an interrupted one went on with the pages of the site that it was to be then.
#[tokio::test]
async fn a_crawl_of_another_site_is_not_gone_on_with() {
    let mut world = World::new();
    let cancel = CancellationToken::new();
    *world.server.cancel_after.lock().unwrap() = Some((3, cancel.clone()));
    assert!(matches!(world.mirror(&cancel).await, Err(WebError::Cancelled)));
    *world.server.cancel_after.lock().unwrap() = None;
    world.server.asked();
    world.site = Site { start: "https://docs.example/docs/x/".into(), ..Site::default() }.checked().unwrap();
    world.server.put("/docs/x/", "1", "x");
    world.sync().await;
    assert_eq!(world.server.asked(), ["/robots.txt", "/docs/x/"]);
    assert_eq!(world.files(), ["docs/x/index.html"]);
}

#[tokio::test]
async fn a_robots_txt_that_lies_elsewhere_is_found_and_asked_of_site_maps() {
    let mut world = World::new();
    world.server.status("/robots.txt", 308);
    world.server.put("/rules.txt", "1", "User-agent: *\nDisallow: /docs/a\nDisallow: /maps/\n");
    assert_eq!(world.sync().await.failed.len(), 1);
    assert_eq!(world.files(), ["docs/b.html", "docs/index.html"]);
    world.site = Site { start: "https://docs.example/maps/all.xml".into(), prefix: "/docs/".into(), ..Site::default() };
    world.site = world.site.clone().checked().unwrap();
    world.server.put("/maps/all.xml", "1", "<urlset><loc>https://docs.example/docs/b</loc></urlset>");
    let error = world.mirror(&CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("does not allow"), "{error}");
    // One that robots.txt itself names is meant to be read.
    world.server.put(
        "/rules.txt",
        "2",
        "User-agent: *\nDisallow: /maps/\nSitemap: https://docs.example/maps/all.xml\n",
    );
    world.site.start = "https://docs.example/docs/".into();
    world.server.put("/docs/", "3", "no links");
    assert_eq!(world.sync().await, Outcome::default());
    assert_eq!(world.files(), ["docs/b.html", "docs/index.html"]);
}

#[test]
fn a_start_is_checked() {
    let checked = |start: &str| Site { start: start.into(), ..Site::default() }.checked();
    let site = checked("https://Docs.Example/a/b.html").unwrap();
    assert_eq!((site.prefix.as_str(), site.hosts), ("/a/", vec!["docs.example".to_owned()]));
    for wrong in
        ["http://docs.example/", "file:///etc/", "docs", "https://u:p@docs.example/", "https://docs.example/?a=b"]
    {
        checked(wrong).unwrap_err();
    }
    let prefixed = Site { start: "https://docs.example/a/".into(), prefix: "/b/".into(), ..Site::default() };
    prefixed.checked().unwrap_err();
}

/// The page that was down just then was deleted, and its document with it; nothing but the log said why.
#[tokio::test]
async fn a_mirror_that_forgot_its_pages_keeps_those_that_the_store_knows_and_says_so_once() {
    let world = World::new();
    world.sync().await;
    let files = world.files();
    let state = world.directory.path().join(".state.json");
    let known = addresses(world.directory.path()).unwrap();
    world.server.asked();
    std::fs::write(&state, "{").unwrap();
    addresses(world.directory.path()).unwrap_err();
    *world.known.lock().unwrap() = known.clone();
    world.server.status("/docs/a", 0);
    let outcome = world.sync().await;
    let told: Vec<&str> = outcome.failed.iter().map(|(url, _)| url.as_str()).collect();
    assert_eq!(told, ["https://docs.example/docs/a", "https://docs.example/docs/"]);
    assert!(outcome.failed[1].1.starts_with("what was known of the site could not be read"), "{outcome:?}");
    assert_eq!((world.files(), addresses(world.directory.path()).unwrap()), (files.clone(), known));
    world.server.put("/docs/a", "1", "<a href=c>c</a>");
    assert_eq!(world.sync().await, Outcome::default(), "once");
    assert_eq!(world.files(), files);
}
