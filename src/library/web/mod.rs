//! A web site as a source: mirrored page by page into a folder, politely, from where it is read like any other.
//!
//! A crawl begins at one URL and stays within the site's hosts and prefix. It asks only whether known pages changed, goes
//! on where it was interrupted, and ends by dropping what the site has no more. The network is injected ([`Fetch`]).

mod begin;
mod name;
pub(super) mod pace;
mod robots;
mod state;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::parse::links::{links, markdown_links};
use crate::base::bound;
use crate::base::bound::web as limits;
use crate::base::clock::Clock;
use pace::Pace;
use robots::Robots;
use state::{Crawl, Folder, Known, Page, State};

/// What an operator allows of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// A page, an `llms.txt`, or a site map whose name ends in `.xml`.
    pub start: String,
    /// With their ports, where these are not their schemes' own.
    pub hosts: Vec<String>,
    /// What the paths of its pages begin with.
    pub prefix: String,
    /// `http://` is taken, for this machine only.
    pub loopback_http: bool,
    /// Networks that are not on the internet and that its hosts may be in.
    pub networks: Vec<String>,
    pub pages_max: u32,
    pub depth_max: u32,
    /// It is synced by itself so often; 0: only when somebody asks for it.
    pub refresh_hours: u32,
}

/// Why a site cannot be mirrored.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("{found:?} is no start of a site: {reason}")]
    Start { found: String, reason: String },
    #[error("{url} cannot be read: {reason}; the library keeps what it has")]
    Unreachable { url: String, reason: String },
    #[error("no way out to the web was opened in this process")]
    NoWay,
    #[error("the mirror of the site cannot be written: {0}")]
    Folder(#[from] io::Error),
    #[error("the mirror was interrupted; the next sync goes on from there")]
    Cancelled,
}

impl Site {
    /// Checked, with what was not given filled in.
    pub fn checked(mut self) -> Result<Self, WebError> {
        let wrong = |reason: &str| WebError::Start { found: self.start.clone(), reason: reason.to_owned() };
        let start = Url::parse(&self.start).map_err(|error| wrong(&error.to_string()))?;
        if start.scheme() != "https" && !(start.scheme() == "http" && self.loopback_http && name::is_loopback(&start)) {
            return Err(wrong("write https:// (http:// is for this machine only, with --loopback-http)"));
        }
        if !self.prefix.is_empty() && !self.prefix.starts_with('/') {
            return Err(wrong("a prefix of paths begins with /"));
        }
        if self.hosts.len() >= limits::WEB_HOSTS_MAX {
            return Err(wrong("it has too many hosts"));
        }
        let is_map = name::has_ending(&start, "xml");
        if self.prefix.is_empty() {
            let folder = start.path().rfind('/').and_then(|at| start.path().get(..=at)).unwrap_or("/");
            folder.clone_into(&mut self.prefix);
        }
        let own = name::authority(&start);
        if !self.hosts.contains(&own) {
            self.hosts.insert(0, own);
        }
        self.start = start.to_string();
        if !is_map && name::within(&self, &start, start.as_str()).is_none() {
            return Err(WebError::Start {
                found: self.start,
                reason: "it has a query or a password in it, or does not begin with its own prefix".to_owned(),
            });
        }
        let within = |value: u32, default: u32, most: u32| if value == 0 { default } else { value.min(most) };
        self.pages_max = within(self.pages_max, limits::WEB_PAGES_DEFAULT, limits::WEB_PAGES_MAX);
        self.depth_max = within(self.depth_max, limits::WEB_DEPTH_DEFAULT, limits::WEB_DEPTH_MAX);
        self.refresh_hours = self.refresh_hours.min(limits::WEB_REFRESH_HOURS_MAX);
        Ok(self)
    }

    /// Whether the same pages belong to both: how many and how often is another matter.
    fn is_like(&self, other: &Self) -> bool {
        let of = |site: &Self| Self { pages_max: 0, refresh_hours: 0, ..site.clone() };
        of(self) == of(other)
    }
}

/// What is asked of a web server: one page, and no redirect is followed.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub url: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub bytes_max: usize,
}

/// What it answered.
#[derive(Clone, Debug, Default)]
pub struct Got {
    pub status: u16,
    pub location: Option<String>,
    pub content_type: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub body: Vec<u8>,
}

impl Got {
    /// Whether the answer lies elsewhere.
    fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }
}

/// The way out to web servers; injected, for nothing here opens a connection.
pub trait Fetch: Send + Sync {
    /// The error says why there is no answer.
    fn get<'a>(&'a self, site: &'a Site, asked: Asked) -> BoxFuture<'a, Result<Got, String>>;

    /// Lets so much time pass, for a host not to be asked too often.
    fn wait(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

/// URLs by the files that their pages are kept in, below the folder of a mirror.
pub(super) fn addresses(folder: &Path) -> io::Result<HashMap<String, String>> {
    Folder::open(folder)?.addresses()
}

/// Where a mirror is kept.
pub(super) struct Kept<'a> {
    pub(super) folder: &'a Path,
    /// The pages that there are, should the mirror itself not know them any more.
    pub(super) known: &'a Known<'a>,
}

/// What an address of a page on the web, as it is asked for, may be kept as: the URLs that it can mean, and files below a
/// mirror's folder. `None` if it is no such address.
pub(super) fn kept_as(asked: &str) -> Option<(Vec<String>, Vec<String>)> {
    if !is_address(asked) {
        return None;
    }
    let mut url = Url::parse(asked).ok()?;
    url.set_fragment(None);
    url.set_query(None);
    let urls = [Some(url.to_string()), name::other_of(&url).map(String::from)];
    Some((urls.into_iter().flatten().collect(), name::files_of(&url)))
}

/// Whether this is an address of a page on the web, as a mirror asks for one.
pub(super) fn is_address(text: &str) -> bool {
    let is_page = |url: Url| {
        let is_web = matches!(url.scheme(), "https" | "http") && url.has_host();
        is_web && url.username().is_empty() && url.password().is_none()
    };
    text.len() <= limits::WEB_URL_BYTES_MAX && !text.contains(char::is_control) && Url::parse(text).is_ok_and(is_page)
}

/// What a crawl left aside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// URLs with the reason. What is kept of them stays.
    pub(super) failed: Vec<(String, String)>,
}

/// Brings the folder of a mirror up to date. `pace` is of all mirrors of this process; `progress` is told pages done,
/// pages known, and the page.
pub(super) async fn mirror(
    site: &Site,
    kept: Kept<'_>,
    fetch: &dyn Fetch,
    clock: &dyn Clock,
    pace: &Mutex<Pace>,
    cancel: &CancellationToken,
    progress: &(dyn Fn(usize, usize, String) + Sync),
) -> Result<Outcome, WebError> {
    let folder = Folder::open(kept.folder)?;
    let state = folder.state(site, kept.known)?;
    let mut mirror = Mirror {
        site,
        folder,
        fetch,
        clock,
        state,
        pace,
        robots: HashMap::new(),
        outcome: Outcome::default(),
        failures: 0,
    };
    mirror.run(cancel, progress).await
}

struct Mirror<'a> {
    site: &'a Site,
    folder: Folder,
    fetch: &'a dyn Fetch,
    clock: &'a dyn Clock,
    state: State,
    /// Held for a look-up, never across an await.
    pace: &'a Mutex<Pace>,
    /// By host.
    robots: HashMap<String, Robots>,
    outcome: Outcome,
    /// In a row.
    failures: u32,
}

impl Mirror<'_> {
    async fn run(
        &mut self,
        cancel: &CancellationToken,
        progress: &(dyn Fn(usize, usize, String) + Sync),
    ) -> Result<Outcome, WebError> {
        let start = Url::parse(&self.site.start)
            .map_err(|error| WebError::Start { found: self.site.start.clone(), reason: error.to_string() })?;
        let mut crawl = match self.state.crawl.take() {
            Some(crawl) => crawl,
            None => self.begin(&start).await?,
        };
        let ended = loop {
            let Some((url, depth)) = crawl.queue.pop_front() else { break Ok(()) };
            if cancel.is_cancelled() || self.failures >= limits::WEB_FAILURES_MAX {
                crawl.queue.push_front((url.clone(), depth));
                if cancel.is_cancelled() {
                    break Err(WebError::Cancelled);
                }
                let reason = format!("{} requests in a row failed", self.failures);
                break Err(WebError::Unreachable { url, reason });
            }
            if crawl.looked_at >= self.site.pages_max {
                let more = crawl.queue.len() + 1;
                let reason = format!("the site has more than {} pages; {more} were not read", self.site.pages_max);
                self.fail(self.site.start.clone(), reason);
                break Ok(());
            }
            crawl.looked_at += 1;
            // What the state says is asked like any link: it may be of a site that was larger.
            let Some(parsed) = name::within(self.site, &start, &url) else { continue };
            if let Err(error) = self.page(&parsed, depth, &mut crawl).await {
                crawl.queue.push_front((url, depth));
                // The disk may be what failed; then the next sync goes on from further back.
                self.save(&mut crawl).ok();
                return Err(error);
            }
            progress(crawl.looked_at as usize, crawl.known.len(), url.clone());
            let is_first = crawl.looked_at == 1;
            if is_first && crawl.queue.is_empty() && !self.state.pages.contains_key(&url) {
                // Nothing at all: rather the site is broken than empty.
                let reason = self.outcome.failed.pop().map_or_else(|| "it is no page".to_owned(), |(_, reason)| reason);
                return Err(WebError::Unreachable { url, reason });
            }
            if crawl.looked_at.is_multiple_of(limits::WEB_SAVE_PAGES) {
                self.save(&mut crawl)?;
            }
        };
        if let Err(error) = ended {
            self.save(&mut crawl)?;
            return Err(error);
        }
        if let Some(lost) = self.state.lost.take() {
            self.fail(self.site.start.clone(), lost);
        }
        self.end(&crawl)?;
        Ok(std::mem::take(&mut self.outcome))
    }

    async fn page(&mut self, url: &Url, depth: u32, crawl: &mut Crawl) -> Result<(), WebError> {
        let key = url.to_string();
        let known = self.state.pages.get(&key).cloned();
        let robots = self.robots(url).await;
        if let Some(reason) = robots.unknown {
            // It may name site maps, by which alone some pages are found.
            crawl.is_partial = true;
            self.spare(url, known, depth, crawl, format!("the robots.txt of its host cannot be read: {reason}"));
            return Ok(());
        }
        if !robots.allows(url.path()) {
            self.fail(key, "robots.txt of its host does not allow it".to_owned());
            return Ok(());
        }
        let asked = Asked {
            url: key.clone(),
            etag: known.as_ref().and_then(|page| page.etag.clone()),
            last_modified: known.as_ref().and_then(|page| page.last_modified.clone()),
            bytes_max: bound::DOCUMENT_BYTES_MAX,
        };
        let got = match self.ask(url, asked).await {
            Ok(got) => got,
            Err(reason) => {
                self.failures += 1;
                self.spare(url, known, depth, crawl, reason);
                return Ok(());
            }
        };
        self.failures = 0;
        match got.status {
            200 => self.keep(url, got, known, depth, crawl)?,
            304 => {
                self.follow_known(url, known, depth, crawl);
                crawl.alive.insert(key);
            }
            301 | 302 | 303 | 307 | 308 => {
                let to = got.location.unwrap_or_default();
                // No level deeper; whoever leads in a circle meets what is known.
                if !self.follow(url, &to, depth, crawl) && depth == 0 {
                    crawl.is_partial |= known.is_some();
                    self.fail(key, format!("it leads to {to}, which is not of the site"));
                }
            }
            404 | 410 => {
                // Without the page that all others are found from, the site is rather broken than empty.
                crawl.is_partial |= known.is_some() && depth == 0;
                if known.is_some() || depth == 0 {
                    self.fail(key, format!("status {}", got.status));
                }
            }
            status => self.spare(url, known, depth, crawl, format!("status {status}")),
        }
        Ok(())
    }

    /// What cannot be read today is not gone, and neither is what it leads to.
    fn spare(&mut self, url: &Url, known: Option<Page>, depth: u32, crawl: &mut Crawl, reason: String) {
        self.follow_known(url, known, depth, crawl);
        crawl.alive.insert(url.to_string());
        self.fail(url.to_string(), reason);
    }

    fn follow_known(&self, url: &Url, known: Option<Page>, depth: u32, crawl: &mut Crawl) {
        crawl.is_partial |= known.as_ref().is_some_and(|page| page.is_cut);
        for link in known.into_iter().flat_map(|page| page.links) {
            self.follow(url, &link, depth + 1, crawl);
        }
    }

    /// A page that is there and cannot be kept: what is kept of it stays.
    fn leave(&mut self, url: &Url, known: Option<Page>, depth: u32, crawl: &mut Crawl, reason: String) {
        match known {
            Some(known) => self.spare(url, Some(known), depth, crawl, reason),
            None => self.fail(url.to_string(), reason),
        }
    }

    fn keep(
        &mut self,
        url: &Url,
        got: Got,
        known: Option<Page>,
        depth: u32,
        crawl: &mut Crawl,
    ) -> Result<(), WebError> {
        let key = url.to_string();
        let Some(ending) = name::ending(&got.content_type, url) else {
            if known.is_some() {
                let reason = format!("it is {:?} now, which is no document", got.content_type);
                self.leave(url, known, depth, crawl, reason);
            }
            return Ok(());
        };
        let Some(file) = name::file_of(self.site, url, ending) else {
            self.leave(url, known, depth, crawl, "its path is too long".to_owned());
            return Ok(());
        };
        let of_others = |(other, page): (&String, &Page)| *other != key && page.file == file;
        if self.state.pages.iter().any(of_others) {
            self.leave(url, known, depth, crawl, format!("another page is kept as {file}"));
            return Ok(());
        }
        let bytes = got.body.len() as u64;
        let all: u64 = self.state.pages.iter().filter(|(other, _)| **other != key).map(|(_, page)| page.bytes).sum();
        if all.saturating_add(bytes) > limits::WEB_BYTES_MAX {
            let reason = format!("the site has more than {} bytes", limits::WEB_BYTES_MAX);
            self.leave(url, known, depth, crawl, reason);
            return Ok(());
        }
        let mut leads: Vec<String> = Vec::new();
        let text = String::from_utf8_lossy(&got.body);
        let named = match ending {
            "html" => links(&text, limits::WEB_LINKS_MAX),
            // An llms.txt is a list of links, as Markdown.
            "md" | "txt" => markdown_links(&text, limits::WEB_LINKS_MAX),
            _ => Vec::new(),
        };
        leads.extend(named.iter().filter_map(|link| name::within(self.site, url, link)).map(String::from));
        leads.sort_unstable();
        leads.dedup();
        for link in &leads {
            self.follow(url, link, depth + 1, crawl);
        }
        let page = Page { file, bytes, etag: got.etag, last_modified: got.last_modified, links: leads, is_cut: false };
        let Some(page) = self.state.fit(&key, page, self.site) else {
            self.leave(url, known, depth, crawl, "there is no room to remember more pages".to_owned());
            return Ok(());
        };
        match self.folder.write(&page.file, &got.body) {
            Err(error) if state::is_of_the_name(&error) => {
                let reason = format!("it cannot be kept as {}: {error}", page.file);
                self.leave(url, known, depth, crawl, reason);
                return Ok(());
            }
            written => written?,
        }
        if let Some(other) = known.filter(|other| other.file != page.file) {
            self.folder.remove(&other.file)?;
        }
        self.state.put(key.clone(), page);
        crawl.alive.insert(key);
        Ok(())
    }

    /// Whether the link is of the site, and not too deep.
    fn follow(&self, base: &Url, link: &str, depth: u32, crawl: &mut Crawl) -> bool {
        match name::within(self.site, base, link) {
            Some(url) if depth <= self.site.depth_max => {
                crawl.add(&url, depth);
                true
            }
            _ => false,
        }
    }

    async fn ask(&mut self, url: &Url, asked: Asked) -> Result<Got, String> {
        let host = name::authority(url);
        let delay = self.robots.get(&host).and_then(|robots| robots.delay);
        let wait = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.wait(&host, delay, self.clock.monotonic())
        };
        if !wait.is_zero() {
            self.fetch.wait(wait).await;
        }
        self.fetch.get(self.site, asked).await
    }

    fn fail(&mut self, url: String, reason: String) {
        if self.outcome.failed.len() < limits::WEB_PAGES_MAX as usize {
            self.outcome.failed.push((url, reason));
        }
    }

    fn save(&mut self, crawl: &mut Crawl) -> Result<(), WebError> {
        self.state.crawl = Some(std::mem::take(crawl));
        let saved = self.folder.save(&self.state);
        *crawl = self.state.crawl.take().unwrap_or_default();
        Ok(saved?)
    }

    /// What the crawl did not meet is no more, if it could meet all there is.
    fn end(&mut self, crawl: &Crawl) -> Result<(), WebError> {
        if !self.state.pages.is_empty() && !self.state.pages.keys().any(|url| crawl.alive.contains(url)) {
            // The next one begins anew.
            self.folder.save(&self.state)?;
            let first = self.outcome.failed.first().map(|(_, reason)| reason.clone());
            let reason =
                format!("none of its pages is there ({})", first.unwrap_or_else(|| "it names no other".into()));
            return Err(WebError::Unreachable { url: self.site.start.clone(), reason });
        }
        if crawl.is_partial {
            return Ok(self.folder.save(&self.state)?);
        }
        let dead: Vec<String> = self.state.pages.keys().filter(|url| !crawl.alive.contains(*url)).cloned().collect();
        for url in dead {
            self.state.remove(&url);
        }
        self.folder.save(&self.state)?;
        Ok(self.folder.sweep(&self.state)?)
    }
}
