//! Where a crawl begins: the start, the site maps, and what robots.txt says of a host.

use url::Url;

use super::crawl::Mirror;
use super::robots::Robots;
use super::state::Crawl;
use super::{Asked, WebError, name};
use crate::base::bound;
use crate::base::bound::web as limits;
use crate::library::parse::links::locations;

/// A site map to be read.
#[derive(Clone, PartialEq, Eq)]
struct Map {
    url: Url,
    /// The host's robots.txt names it, which is leave enough to read it.
    is_invited: bool,
    /// Another one led to it: if it is not there, that one is broken, and not gone.
    is_moved: bool,
}

impl Mirror<'_> {
    /// The first pages: the start, or what the site map at the start says, and what the host's own site maps say.
    pub(super) async fn begin(&mut self, start: &Url) -> Result<Crawl, WebError> {
        let mut crawl = Crawl::default();
        let mut maps = Vec::new();
        if name::is_map(start) {
            maps.push(Map { url: start.clone(), is_invited: false, is_moved: false });
        } else {
            crawl.add(start, 0);
        }
        let robots = self.robots(start).await;
        crawl.is_partial |= robots.unknown.is_some();
        let named = robots.sitemaps.iter().filter_map(|map| Url::parse(map).ok());
        maps.extend(named.map(|url| Map { url, is_invited: true, is_moved: false }));
        let mut at = 0;
        while let Some(map) = maps.get(at).cloned() {
            at += 1;
            // A site map may stand anywhere on the site's hosts, but nowhere else.
            if !self.site.hosts.contains(&name::authority(&map.url)) {
                continue;
            }
            for inner in self.site_map(&map, &mut crawl).await {
                if maps.len() < limits::WEB_SITEMAPS_MAX && !maps.iter().any(|known| known.url == inner.url) {
                    maps.push(inner);
                }
            }
        }
        if crawl.queue.is_empty() {
            let reason = self.outcome.failed.pop().map_or_else(|| "it names no page".to_owned(), |(_, reason)| reason);
            return Err(WebError::Unreachable { url: start.to_string(), reason });
        }
        Ok(crawl)
    }

    /// Takes the pages that a site map names; gives the maps that it leads to. One that fails is not an empty one.
    async fn site_map(&mut self, map: &Map, crawl: &mut Crawl) -> Vec<Map> {
        let url = map.url.to_string();
        let robots = self.robots(&map.url).await;
        if let Some(reason) = robots.unknown {
            crawl.is_partial = true;
            self.fail(url, format!("the robots.txt of its host cannot be read: {reason}"));
            return Vec::new();
        }
        if !map.is_invited && !robots.allows(map.url.path()) {
            self.fail(url, "robots.txt of its host does not allow it".to_owned());
            return Vec::new();
        }
        let asked = Asked { url: url.clone(), bytes_max: bound::DOCUMENT_BYTES_MAX, ..Asked::default() };
        let got = match self.ask(&map.url, asked).await {
            Ok(got) => got,
            Err(reason) => {
                crawl.is_partial = true;
                self.fail(url, reason);
                return Vec::new();
            }
        };
        if got.is_redirect()
            && let Some(to) = got.location.as_deref().and_then(|to| name::of_hosts(self.site, &map.url, to))
        {
            return vec![Map { url: to, is_invited: map.is_invited, is_moved: true }];
        }
        if got.status != 200 {
            crawl.is_partial |= map.is_moved || !matches!(got.status, 404 | 410);
            self.fail(url, format!("status {}", got.status));
            return Vec::new();
        }
        let found = locations(&String::from_utf8_lossy(&got.body), limits::WEB_QUEUE_MAX);
        if found.is_empty() && got.content_type.to_ascii_lowercase().starts_with("text/html") {
            crawl.is_partial = true;
            self.fail(url, "expected a site map, found a page".to_owned());
        }
        let mut inner = Vec::new();
        for location in found {
            match Url::parse(&location) {
                Ok(url) if name::is_map(&url) => {
                    if inner.len() < limits::WEB_SITEMAPS_MAX {
                        inner.push(Map { url, is_invited: false, is_moved: false });
                    }
                }
                _ => {
                    if let Some(url) = name::within(self.site, &map.url, &location) {
                        crawl.add(&url, 1);
                    }
                }
            }
        }
        inner
    }

    /// The rules of a URL's host, asked for once in a crawl. Redirects are followed as far as the site's own hosts go
    /// (RFC 9309, section 2.3.1.2); what lies elsewhere is not this host's word, and no rule is all allowed.
    pub(super) async fn robots(&mut self, url: &Url) -> Robots {
        let host = name::authority(url);
        if let Some(robots) = self.robots.get(&host) {
            return robots.clone();
        }
        let mut at = url.clone();
        at.set_path("/robots.txt");
        at.set_query(None);
        let mut robots = Robots::default();
        for _ in 0..=limits::ROBOTS_REDIRECTS_MAX {
            let asked = Asked { url: at.to_string(), bytes_max: bound::DOCUMENT_BYTES_MAX, ..Asked::default() };
            robots = match self.ask(&at, asked).await {
                Ok(got) if got.status == 200 => Robots::parse(&String::from_utf8_lossy(&got.body)),
                Ok(got) if got.is_redirect() => {
                    if let Some(to) = got.location.as_deref().and_then(|to| name::of_hosts(self.site, &at, to)) {
                        at = to;
                        continue;
                    }
                    Robots::default()
                }
                Ok(got) if got.status < 500 => Robots::default(),
                Ok(got) => Robots::closed(format!("status {}", got.status)),
                Err(reason) => Robots::closed(reason),
            };
            break;
        }
        self.robots.insert(host, robots.clone());
        robots
    }
}
