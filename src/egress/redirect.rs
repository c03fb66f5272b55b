//! Where an answer sends us on to, and what of a request may come along (RFC 9110, section 15.4).

use ::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use percent_encoding::percent_decode_str;

use super::exchange::{Answer, Credential, Exchange};
use super::url;
use crate::base::bound::egress::EGRESS_SECRET_BYTES_MIN;
use crate::config::target::Url;

/// A request after a redirect.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) keeps_body: bool,
    pub(super) is_same_origin: bool,
}

/// Headers that come along to another origin: they say nothing of who asks.
const HARMLESS: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::USER_AGENT];
/// Headers that describe a body, and go with it.
const OF_A_BODY: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    HeaderName::from_static("digest"),
];

/// `None`: the answer leads nowhere. Otherwise where it leads, or why nobody goes there.
pub(super) fn next(exchange: &Exchange, from: &Url, method: &Method, answer: &Answer) -> Option<Result<Next, String>> {
    let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let mut locations = answer.headers.get_all(header::LOCATION).into_iter();
    let location = locations.next().filter(|_| is_redirect)?;
    if locations.next().is_some() {
        return Some(Err("it names more than one place".into()));
    }
    let Ok(location) = location.to_str() else { return Some(Err("its Location is no URL".into())) };
    Some(step(exchange, from, method, answer.status, location))
}

fn step(exchange: &Exchange, from: &Url, method: &Method, status: StatusCode, location: &str) -> Result<Next, String> {
    let url = resolved(from, location, exchange.route.cleartext_loopback)?;
    if from.is_tls && !url.is_tls {
        return Err("it leads from https:// to http://".into());
    }
    let is_same_origin = url.is_tls == from.is_tls && url.endpoint == from.endpoint;
    let becomes_get = match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD,
        // As all clients do; a 307 or 308 says the other thing.
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    };
    let next = Next {
        method: if becomes_get { Method::GET } else { method.clone() },
        keeps_body: !becomes_get && status != StatusCode::SEE_OTHER,
        is_same_origin,
        url,
    };
    if is_same_origin {
        return Ok(next);
    }
    if !next.method.is_safe() || (next.keeps_body && !exchange.body.is_empty()) {
        return Err("it would hand what was sent to another origin".into());
    }
    if exchange.credential.as_ref().is_some_and(|credential| credential.occurs_in(&next.url.path)) {
        return Err("it would hand a credential to another origin".into());
    }
    Ok(next)
}

/// What a Location means where it was said, read as strictly as any other URL.
fn resolved(from: &Url, location: &str, cleartext_loopback: bool) -> Result<Url, String> {
    if location.chars().any(|char| char.is_control() || char.is_whitespace() || char == '\\') {
        return Err("its Location is no URL".into());
    }
    let scheme = if from.is_tls { "https" } else { "http" };
    if location.starts_with("//") {
        return url::parse(&format!("{scheme}:{location}"), cleartext_loopback);
    }
    // A scheme ends at the first colon, which stands before any slash, question mark or fragment (RFC 3986, section 4.2).
    let first = location.find([':', '/', '?', '#']).filter(|at| location[*at..].starts_with(':'));
    if first.is_some() {
        return url::parse(location, cleartext_loopback);
    }
    let base = format!("{scheme}://{}{}", from.host_header(), from.path);
    let base = ::url::Url::parse(&base).map_err(|error| error.to_string())?;
    let joined = base.join(location).map_err(|error| error.to_string())?;
    let url = url::parse(joined.as_str(), cleartext_loopback)?;
    if url.endpoint == from.endpoint { Ok(url) } else { Err("its Location is no URL".into()) }
}

/// The headers of a request after a redirect. `has_left`: some redirect before led to another origin.
pub(super) fn headers(before: &HeaderMap, keeps_body: bool, has_left: bool) -> HeaderMap {
    let mut headers = before.clone();
    if !keeps_body {
        for name in OF_A_BODY {
            headers.remove(name);
        }
    }
    if has_left {
        let mut few = HeaderMap::new();
        for name in HARMLESS {
            if let Some(value) = headers.remove(&name) {
                few.insert(name, value);
            }
        }
        return few;
    }
    headers
}

impl Credential {
    /// Whether a URL's path and query hold one of the secrets, or a parameter that is one.
    fn occurs_in(&self, path: &str) -> bool {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let named = |name: &str| self.query.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        if ::url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| named(&name)) {
            return true;
        }
        let of_headers = self.headers.values().filter_map(|value| value.to_str().ok()).flat_map(|value| {
            // "Bearer TOKEN", "a=1; b=2"
            value.split([' ', ';']).map(|part| part.split_once('=').map_or(part, |(_, value)| value))
        });
        let of_query = self.query.iter().filter_map(|(_, value)| std::str::from_utf8(value.expose_secret()).ok());
        of_headers.chain(of_query).any(|secret| {
            secret.len() >= EGRESS_SECRET_BYTES_MIN && (decoded.contains(secret) || path.contains(secret))
        })
    }

    /// A URL's path and query with the secret parameters behind it, and nowhere else.
    pub(super) fn put_into(&self, path: &str) -> String {
        if self.query.is_empty() {
            return path.to_owned();
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let name = |pair: &str| {
            let pair = ::url::form_urlencoded::parse(pair.as_bytes()).next();
            pair.map(|(name, _)| name.into_owned()).unwrap_or_default()
        };
        // A redirect may repeat them.
        let others = query.split('&').filter(|pair| !pair.is_empty());
        let others = others.filter(|pair| !self.query.iter().any(|(own, _)| *own == name(pair)));
        let secrets = self.query.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.expose_secret());
            ::url::form_urlencoded::Serializer::new(String::new()).append_pair(name, &value).finish()
        });
        let pairs: Vec<String> = others.map(str::to_owned).chain(secrets).collect();
        format!("{path}?{}", pairs.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    fn from() -> Url {
        url::parse("https://api.example.org/v1/a?b=c", false).unwrap()
    }

    fn to(location: &str) -> Result<String, String> {
        let url = resolved(&from(), location, true)?;
        Ok(format!("{}{}{}", if url.is_tls { "" } else { "http " }, url.endpoint, url.path))
    }

    #[test]
    fn a_location_is_read_where_it_was_said() {
        for (location, expected) in [
            ("x", "api.example.org:443/v1/x"),
            ("/x?y", "api.example.org:443/x?y"),
            ("?y", "api.example.org:443/v1/a?y"),
            ("../..//x:y/z", "api.example.org:443//x:y/z"),
            ("//b.example/x", "b.example:443/x"),
            ("https://b.example:8443", "b.example:8443/"),
            ("http://127.0.0.1:1/x", "http 127.0.0.1:1/x"),
        ] {
            assert_eq!(to(location).unwrap(), expected, "{location}");
        }
        for location in [
            "http://b.example/",
            "\\\\b.example",
            "/\\b.example",
            "javascript:alert(1)",
            "https:b.example",
            "//",
            "https://a@b.example/",
            "https://2130706433/",
            "https:\\b.example",
            "file:///etc/passwd",
            "//127.1/",
            "gopher://b.example/",
            "data:,x",
            "https://",
            "https:///x",
            "x y",
            "https://0x7f.1/",
        ] {
            assert!(to(location).is_err(), "{location} {:?}", to(location));
        }
    }

    #[test]
    fn to_another_origin_come_only_headers_that_say_nothing() {
        let mut before = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-key", "accept", "content-type", "referer", "origin"] {
            before.insert(HeaderName::from_static(name), "v".parse().unwrap());
        }
        let names = |keeps_body, has_left| {
            let headers = headers(&before, keeps_body, has_left);
            let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(names(true, true), "accept");
        assert_eq!(names(false, false), "accept authorization cookie origin referer x-api-key");
    }

    #[test]
    fn a_credential_is_recognised_and_put_into_a_query_once() {
        let mut credential =
            Credential { query: vec![("key".into(), Secret::new("s&cret 12"))], ..Credential::default() };
        credential.headers.insert(header::AUTHORIZATION, "Bearer abcdefgh1".parse().unwrap());
        credential.headers.insert(header::COOKIE, "sid=zyxwvuts; b=1".parse().unwrap());
        for path in ["/?t=abcdefgh1", "/s%26cret%2012", "/?KEY=x", "/a/zyxwvuts", "/%61bcdefgh1"] {
            assert!(credential.occurs_in(path), "{path}");
        }
        assert!(!credential.occurs_in("/a?b=1&c=Bearer"));
        assert_eq!(credential.put_into("/a"), "/a?key=s%26cret+12");
        assert_eq!(credential.put_into("/a?x=1&key=old&y"), "/a?x=1&y&key=s%26cret+12");
    }
}
