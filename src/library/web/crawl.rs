//! A crawl: from page to page within a site, politely, into the folder of its mirror.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::pace::Pace;
use super::robots::Robots;
use super::state::{self, Crawl, Folder, Page, State};
use super::{Asked, Fetch, Got, Kept, Site, WebError, name};
use crate::base::bound;
use crate::base::bound::web as limits;
use crate::base::clock::Clock;
use crate::library::parse::links::{links, markdown_links};

/// What begins gzip with deflate (RFC 1952, section 2.3.1), and no document.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// What a crawl left aside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::library) struct Outcome {
    /// URLs with the reason. What is kept of them stays.
    pub(in crate::library) failed: Vec<(String, String)>,
    /// URLs with what there is to say of them, though they were read, or are gone.
    pub(in crate::library) noted: Vec<(String, String)>,
}

/// Brings the folder of a mirror up to date. `pace` is of all mirrors of this process; `progress` is told pages done,
/// pages known, and the page.
pub(in crate::library) async fn mirror(
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
        is_heard: false,
    };
    mirror.run(cancel, progress).await
}

pub(super) struct Mirror<'a> {
    pub(super) site: &'a Site,
    folder: Folder,
    fetch: &'a dyn Fetch,
    clock: &'a dyn Clock,
    state: State,
    /// Held for a look-up, never across an await.
    pace: &'a Mutex<Pace>,
    /// By host.
    pub(super) robots: HashMap<String, Robots>,
    pub(super) outcome: Outcome,
    /// In a row.
    failures: u32,
    /// A request for a page was answered, or a robots.txt that forbids it: the site can be reached.
    is_heard: bool,
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
                self.note(self.site.start.clone(), reason);
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
        if !self.is_heard && !self.outcome.failed.is_empty() {
            // Whoever was not heard has said nothing. The next one begins anew.
            self.folder.save(&self.state)?;
            let first = self.outcome.failed.first().map(|(_, reason)| reason.clone());
            let reason = first.unwrap_or_else(|| "no page was answered".to_owned());
            return Err(WebError::Unreachable { url: self.site.start.clone(), reason });
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
            self.is_heard = true;
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
        self.is_heard |= matches!(got.status, 200 | 304 | 404 | 410) || got.is_redirect();
        match got.status {
            200 => self.keep(url, got, known, depth, crawl)?,
            304 => {
                self.follow_known(url, known, depth, crawl);
                crawl.alive.insert(key);
            }
            301 | 302 | 303 | 307 | 308 => {
                let to = got.location.unwrap_or_default();
                // No level deeper; whoever leads in a circle meets what is known.
                if self.follow(url, &to, depth, crawl) {
                    // Perhaps to where one signs in: see `end`.
                    if depth == 0 {
                        crawl.led_to = name::within(self.site, url, &to).map(String::from);
                    }
                } else if depth == 0 {
                    crawl.is_partial |= known.is_some();
                    self.fail(key, format!("it leads to {to}, which is not of the site"));
                }
            }
            404 | 410 => {
                // Without the page that all others are found from, the site is rather broken than empty.
                crawl.is_partial |= known.is_some() && depth == 0;
                if depth == 0 {
                    self.fail(key, format!("status {}", got.status));
                } else if known.is_some() {
                    self.note(key, format!("it is gone: status {}", got.status));
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

    pub(super) async fn ask(&mut self, url: &Url, asked: Asked) -> Result<Got, String> {
        let host = name::authority(url);
        let delay = self.robots.get(&host).and_then(|robots| robots.delay);
        let wait = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.wait(&host, delay, self.clock.monotonic())
        };
        if !wait.is_zero() {
            self.fetch.wait(wait).await;
        }
        let most = asked.bytes_max;
        let mut got = self.fetch.get(self.site, asked).await?;
        if got.body.starts_with(&GZIP) {
            // A site map that is packed, or a page whose server packs although nobody asked it to.
            let mut body = Vec::new();
            let unpack = MultiGzDecoder::new(got.body.as_slice()).take(most as u64 + 1).read_to_end(&mut body);
            unpack.map_err(|error| format!("it is packed with gzip and does not unpack: {error}"))?;
            if body.len() > most {
                return Err(format!("it unpacks to more than {most} bytes, and may be a bomb"));
            }
            got.body = body;
        }
        Ok(got)
    }

    pub(super) fn fail(&mut self, url: String, reason: String) {
        if self.outcome.failed.len() < limits::WEB_PAGES_MAX as usize {
            self.outcome.failed.push((url, reason));
        }
    }

    /// Whether the start leads elsewhere than it did, and from there most pages are not met: rather one is to sign in, or
    /// to come again later, than that the site is gone. A site that moved has as many pages where it is now.
    fn is_led_astray(&self, crawl: &Crawl) -> bool {
        let (alive, all) = (crawl.alive.len(), self.state.pages.len());
        let is_elsewhere = crawl.led_to.is_some() && crawl.led_to != self.state.led_to;
        is_elsewhere && alive < all && (alive <= 1 || 2 * alive < all)
    }

    fn note(&mut self, url: String, what: String) {
        if self.outcome.noted.len() < bound::SYNC_FAILURES_LISTED_MAX {
            self.outcome.noted.push((url, what));
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
        if self.is_led_astray(crawl) {
            let to = crawl.led_to.as_deref().unwrap_or_default();
            let reason = format!("it leads to {to} now, from where few of the site's pages are met; the others stay");
            self.note(self.site.start.clone(), reason);
            return Ok(self.folder.save(&self.state)?);
        }
        if crawl.is_partial {
            return Ok(self.folder.save(&self.state)?);
        }
        self.state.led_to.clone_from(&crawl.led_to);
        let dead: Vec<String> = self.state.pages.keys().filter(|url| !crawl.alive.contains(*url)).cloned().collect();
        for url in dead {
            self.state.remove(&url);
        }
        self.folder.save(&self.state)?;
        Ok(self.folder.sweep(&self.state)?)
    }
}
