//! Which URLs belong to a site, and under which name a page of it is kept.

use std::net::IpAddr;

use url::{Host, Url};

use super::Site;
use crate::base::bound::web as bound;

/// A URL of the site as it is asked for: without a fragment; `None` where it does not belong to the site.
pub(super) fn within(site: &Site, base: &Url, link: &str) -> Option<Url> {
    of_hosts(site, base, link).filter(|url| url.query().is_none() && url.path().starts_with(&site.prefix))
}

/// A URL on one of the site's hosts, whatever its path: site maps and robots.txt stand anywhere.
pub(super) fn of_hosts(site: &Site, base: &Url, link: &str) -> Option<Url> {
    if link.len() > bound::WEB_URL_BYTES_MAX {
        return None;
    }
    let mut url = base.join(link.trim()).ok()?;
    url.set_fragment(None);
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_secure = url.scheme() == "https" || url.scheme() == "http" && site.loopback_http && is_loopback(&url);
    let is_ours = site.hosts.contains(&authority(&url));
    (is_plain && is_secure && is_ours && url.as_str().len() <= bound::WEB_URL_BYTES_MAX).then_some(url)
}

/// The host, and the port where it is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

/// Whether the path ends in `.` and this, in upper or lower case.
pub(super) fn has_ending(url: &Url, ending: &str) -> bool {
    url.path().rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending))
}

/// Whether the URL is one of a site map, packed or not.
pub(super) fn is_map(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    [".xml", ".xml.gz"].iter().any(|ending| path.ends_with(ending))
}

/// The ending for what a server says that a page is; `None` for what is no document.
pub(super) fn ending(content_type: &str, url: &Url) -> Option<&'static str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match essence.as_str() {
        "text/html" | "application/xhtml+xml" => "html",
        "text/markdown" | "text/x-markdown" => "md",
        "application/pdf" => "pdf",
        // Many servers know no better word for Markdown.
        "text/plain" if has_ending(url, "md") || has_ending(url, "mdx") => "md",
        "text/plain" => "txt",
        _ => return None,
    })
}

/// Endings that a page's own name may have, by what the server says that it is: the file is read by its ending.
const ENDINGS: [(&str, &[&str]); 4] =
    [("html", &["html", "htm", "xhtml"]), ("md", &["md", "mdx"]), ("txt", &["txt"]), ("pdf", &["pdf"])];

/// A path below the mirror's folder: the URL's path, with an ending that says what it is. Files have an ending of
/// [`ENDINGS`] and folders have none, so that no page needs a folder where another is a file.
pub(super) fn file_of(site: &Site, url: &Url, ending: &str) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if site.hosts.len() > 1 {
        parts.push(authority(url).replace(':', "-"));
    }
    for segment in url.path_segments()? {
        // Hidden names would not be listed, and no segment is a way up.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.~%+,@!()".contains(c) { c } else { '-' };
        let name: String = segment.chars().map(plain).collect();
        parts.push(if name.starts_with('.') { format!("_{name}") } else { name });
    }
    let ends_in = |name: &str, ending: &str| name.rsplit_once('.').is_some_and(|(_, found)| found == ending);
    if let Some((_, folders)) = parts.split_last_mut() {
        let is_file = |name: &str| ENDINGS.iter().flat_map(|(_, own)| *own).any(|own| ends_in(name, own));
        // A host is no page, whatever its name ends in.
        let below = folders.iter_mut().skip(usize::from(site.hosts.len() > 1));
        below.filter(|name| is_file(name)).for_each(|name| name.push('_'));
    }
    match parts.last_mut() {
        Some(last) if last.is_empty() => *last = format!("index.{ending}"),
        Some(last) => {
            let own = ENDINGS.iter().find(|(of, _)| *of == ending).map_or(&[][..], |(_, own)| own);
            if !own.iter().any(|own| ends_in(last, own)) {
                last.push('.');
                last.push_str(ending);
            }
        }
        None => parts.push(format!("index.{ending}")),
    }
    parts.retain(|part| !part.is_empty());
    let is_short = parts.iter().all(|part| part.len() <= 200);
    let path = parts.join("/");
    (is_short && path.len() <= crate::base::bound::DOCUMENT_PATH_BYTES_MAX).then_some(path)
}

/// Names under which a page with this URL may be kept, with a slash at its end or without, whatever its site has of hosts
/// and whatever its server says that it is.
pub(super) fn files_of(url: &Url) -> Vec<String> {
    let mut found = Vec::new();
    for url in [Some(url.clone()), other_of(url)].into_iter().flatten() {
        for hosts in [1, 2] {
            let site = Site { hosts: vec![String::new(); hosts], ..Site::default() };
            found.extend(ENDINGS.iter().filter_map(|(ending, _)| file_of(&site, &url, ending)));
        }
    }
    found
}

/// The URL with a slash at its end if it has none, or without.
pub(super) fn other_of(url: &Url) -> Option<Url> {
    let mut other = url.clone();
    match url.path().strip_suffix('/') {
        Some("") => return None,
        Some(bare) => other.set_path(bare),
        None => other.set_path(&format!("{}/", url.path())),
    }
    Some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(hosts: &[&str]) -> Site {
        Site {
            start: "https://docs.example/guide/".into(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            prefix: "/guide/".into(),
            ..Site::default()
        }
    }

    #[test]
    fn only_urls_of_the_site_are_followed() {
        let base = Url::parse("https://docs.example/guide/a/b").unwrap();
        let check = |link: &str, expect: Option<&str>| {
            let found = within(&site(&["docs.example"]), &base, link);
            assert_eq!(found.as_ref().map(Url::as_str), expect, "{link}");
        };
        check("c#frag", Some("https://docs.example/guide/a/c"));
        check("/guide/", Some("https://docs.example/guide/"));
        check("//docs.example/guide/x", Some("https://docs.example/guide/x"));
        for outside in [
            "/other/",
            "../../x",
            "/guide/../secret",
            "/guide/%2e%2e/secret",
            "http://docs.example/guide/",
            "https://docs.example:444/guide/",
            "https://docs.example@evil.example/guide/",
            "https://user@docs.example/guide/",
            "https://evil.example/guide/",
            "?page=2",
            "javascript:alert(1)",
            "mailto:a@b",
            "file:///guide/x",
        ] {
            check(outside, None);
        }
    }

    #[test]
    fn pages_are_named_by_their_paths() {
        let check = |url: &str, hosts: &[&str], expect: &str| {
            let url = Url::parse(url).unwrap();
            assert_eq!(file_of(&site(hosts), &url, "html").as_deref(), Some(expect));
        };
        check("https://docs.example/guide/", &["docs.example"], "guide/index.html");
        check("https://docs.example/guide/a", &["docs.example"], "guide/a.html");
        check("https://docs.example/guide/a.html", &["docs.example"], "guide/a.html");
        check("https://docs.example/guide/v1.2", &["docs.example"], "guide/v1.2.html");
        check("https://docs.example/guide/.git/x", &["docs.example"], "guide/_.git/x.html");
        check("https://b.example/", &["docs.example", "b.example"], "b.example/index.html");
        check("https://docs.example/%E3%82%AB//a", &["docs.example"], "%E3%82%AB/a.html");
        check("https://docs.example/guide/a.html/", &["docs.example"], "guide/a.html_/index.html");
        check("https://docs.example/guide/a.md//b", &["docs.example"], "guide/a.md_/b.html");
        // What a server says is HTML is read as such: by the name it would be kept with its hidden text and scripts.
        check("https://docs.example/guide/a.md", &["docs.example"], "guide/a.md.html");
        check("https://docs.example/guide/a.txt", &["docs.example"], "guide/a.txt.html");
        let named = |url: &str, ending| file_of(&site(&["docs.example"]), &Url::parse(url).unwrap(), ending).unwrap();
        assert_eq!(named("https://docs.example/guide/a.mdx", "md"), "guide/a.mdx");
        assert_eq!(named("https://docs.example/llms.txt", "txt"), "llms.txt");
        assert_eq!(named("https://docs.example/guide/a.html", "txt"), "guide/a.html.txt");
        let url = Url::parse(&format!("https://docs.example/{}", "x".repeat(300))).unwrap();
        assert_eq!(file_of(&site(&["docs.example"]), &url, "html"), None);
    }

    #[test]
    fn a_page_is_found_by_its_address_with_and_without_a_slash() {
        let of = |url: &str| files_of(&Url::parse(url).unwrap());
        for (asked, kept) in [
            ("https://docs.example/guide/a", "guide/a.html"),
            ("https://docs.example/guide/a", "guide/a/index.html"),
            ("https://docs.example/guide/a/", "guide/a.html"),
            ("https://docs.example/guide/a/", "docs.example/guide/a/index.md"),
            ("https://docs.example:444/llms.txt", "docs.example-444/llms.txt"),
            ("https://docs.example/", "index.html"),
        ] {
            assert!(of(asked).iter().any(|file| file == kept), "{asked} {kept}: {:?}", of(asked));
        }
    }

    #[test]
    fn what_is_no_document_has_no_ending() {
        let url = Url::parse("https://docs.example/a.md").unwrap();
        assert_eq!(ending("Text/HTML; charset=utf-8", &url), Some("html"));
        assert_eq!(ending("text/plain", &url), Some("md"));
        assert_eq!(ending("image/png", &url), None);
        assert_eq!(ending("", &url), None);
    }
}
