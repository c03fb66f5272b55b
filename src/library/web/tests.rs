//! A site that is mirrored: what is followed, what is asked again, what is dropped, and how it goes on.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::base::clock::{Clock as _, ManualClock, Timestamp};

/// An entity tag and a body, or a status.
type Page = Result<(String, String), u16>;

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
            Some(Err(status)) => Ok(Got { status: *status, location: Some("/docs/".into()), ..Got::default() }),
            Some(Ok((etag, _))) if asked.etag.as_deref() == Some(etag) => Ok(Got { status: 304, ..Got::default() }),
            Some(Ok((etag, body))) => Ok(Got {
                status: 200,
                content_type: "text/html".into(),
                etag: Some(etag.clone()),
                body: body.clone().into_bytes(),
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
    site: Site,
    directory: tempfile::TempDir,
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
        Self { server, site, directory: tempfile::tempdir().unwrap() }
    }

    async fn mirror(&self, cancel: &CancellationToken) -> Result<Outcome, WebError> {
        let clock = &self.server.clock;
        mirror(&self.site, self.directory.path(), &self.server, clock, cancel, &|_, _, _| {}).await
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
}

#[tokio::test]
async fn what_is_gone_is_dropped_and_what_fails_is_kept() {
    let world = World::new();
    world.sync().await;
    world.server.remove("/docs/b");
    world.server.status("/docs/a", 503);
    world.server.status("/docs/c", 0);
    let outcome = world.sync().await;
    assert_eq!(outcome.failed.len(), 3, "{outcome:?}");
    let kept = ["docs/a.html", "docs/c.html", "docs/index.html"];
    assert_eq!(world.files(), kept, "b is gone, a and c only cannot be read");
    world.server.status("/docs/", 500);
    world.sync().await;
    assert_eq!(world.files(), kept, "the start says nothing of the rest");
    world.server.status("/robots.txt", 0);
    world.sync().await;
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
    assert!(outcome.failed[0].1.contains("more than 2 pages"), "{outcome:?}");
    assert_eq!(world.files().len(), 2);
    world.site.pages_max = 100;
    world.site.depth_max = 1;
    world.server.put("/docs/a", "2", "<a href=/docs/>home</a><a href=deep>d</a>");
    world.server.put("/docs/deep", "1", "deep");
    world.server.status("/docs/b", 301);
    assert_eq!(world.sync().await, Outcome::default());
    assert_eq!(world.files(), ["docs/a.html", "docs/index.html"]);
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
