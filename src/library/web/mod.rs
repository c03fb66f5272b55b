//! A web site as a source: mirrored page by page into a folder, politely, from where it is read like any other.
//!
//! A crawl begins at one URL and stays within the site's hosts and prefix. It asks only whether known pages changed, goes
//! on where it was interrupted, and ends by dropping what the site has no more. The network is injected ([`Fetch`]).

mod begin;
pub(super) mod crawl;
mod name;
pub(super) mod pace;
mod robots;
mod state;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::base::bound::web as limits;
use state::{Folder, Known};

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
        let is_map = name::is_map(&start);
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
