//! Paths: a template such as `/pets/{id}` taken apart, and the path of a server.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clean;
use crate::base::bound::connector as bound;

/// A path by its segments, each made of literals and parameters. Literals are as they go over the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathTemplate {
    pub segments: Vec<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Literal(String),
    Parameter(String),
}

impl PathTemplate {
    /// An empty segment may stand at the end only: `/pets/` is another path than `/pets`.
    pub fn parse(path: &str) -> Result<Self, String> {
        if path.len() > bound::OPENAPI_PATH_BYTES_MAX {
            return Err(format!("the path has more than {} bytes", bound::OPENAPI_PATH_BYTES_MAX));
        }
        let Some(rest) = path.strip_prefix('/') else { return Err("the path does not begin with `/`".into()) };
        let mut segments = Vec::new();
        let mut texts = rest.split('/').peekable();
        while let Some(text) = texts.next() {
            if text.is_empty() && texts.peek().is_some() {
                return Err("the path has an empty segment".into());
            }
            segments.push(segment(text)?);
        }
        let template = Self { segments };
        let mut seen = Vec::new();
        for name in template.parameters() {
            if seen.contains(&name) {
                return Err(format!("the path has the parameter {name:?} twice"));
            }
            seen.push(name);
        }
        Ok(template)
    }

    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flatten().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }
}

fn segment(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { return Err("the path has a `{` without `}`".into()) };
        if name.is_empty() || name.contains('{') || name.len() > bound::OPENAPI_NAME_BYTES_MAX {
            return Err("the path has a parameter without a usable name".into());
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        parts.push(Part::Parameter(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    for part in &parts {
        if let Part::Literal(literal) = part {
            is_literal(literal)?;
        }
    }
    let alone = parts.len() == 1;
    match parts.first() {
        Some(Part::Literal(literal)) if alone && is_dots(literal) => Err("the path climbs with `.` or `..`".into()),
        _ => Ok(parts),
    }
}

/// What may stand in a segment (RFC 3986, section 3.3), and no encoded slash.
fn is_literal(text: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte);
    if let Some(found) = text.chars().find(|char| !u8::try_from(*char).is_ok_and(plain)) {
        return Err(format!("the path has the character {found:?}, which no path has"));
    }
    let mut triplets = text.split('%').skip(1);
    if triplets.any(|after| !after.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))) {
        return Err("the path has a `%` that encodes nothing".into());
    }
    let decoded = percent_encoding::percent_decode_str(text);
    if decoded.into_iter().any(|byte| matches!(byte, b'/' | b'\\' | b'%' | 0..0x20 | 0x7f)) {
        return Err("the path has an encoded slash, percent sign or control character".into());
    }
    Ok(())
}

/// `.` and `..`, encoded or not.
fn is_dots(text: &str) -> bool {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    decoded == b"." || decoded == b".."
}

/// A server of a document: its authority, if it has one, and its path without a slash at the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) authority: Option<String>,
    pub(super) path: String,
}

/// Takes a server object apart; variables take their defaults.
pub(super) fn server(object: &Value) -> Result<Server, String> {
    let Some(url) = object.get("url").and_then(Value::as_str) else { return Err("the server has no url".into()) };
    if url.len() > bound::OPENAPI_PATH_BYTES_MAX {
        return Err(format!("the server's url has more than {} bytes", bound::OPENAPI_PATH_BYTES_MAX));
    }
    let mut url = url.to_owned();
    for (name, variable) in object.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
        if url.len() > bound::OPENAPI_PATH_BYTES_MAX {
            return Err("the server's variables make its url too long".into());
        }
    }
    let (authority, path) = match url.split_once("://") {
        None if url.starts_with("//") => return Err("the server's url has no scheme".into()),
        None => (None, url.as_str()),
        Some((_, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (Some(authority.to_ascii_lowercase()), path)
        }
    };
    let path = path.trim_end_matches('/');
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        return Ok(Server { authority, path: String::new() });
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let template = PathTemplate::parse(&path)?;
    if template.parameters().next().is_some() {
        return Err(format!("the server's path {} has a variable without a default", clean::line(&path, 80)));
    }
    Ok(Server { authority, path })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_taken_apart() {
        let literal = |text: &str| Part::Literal(text.into());
        let parameter = |text: &str| Part::Parameter(text.into());
        let segments = |path: &str| PathTemplate::parse(path).unwrap().segments;
        assert_eq!(segments("/"), vec![vec![]]);
        assert_eq!(segments("/a/{b}"), vec![vec![literal("a")], vec![parameter("b")]]);
        assert_eq!(segments("/a/"), vec![vec![literal("a")], vec![]]);
        assert_eq!(segments("/{a}.{b}:c"), vec![vec![parameter("a"), literal("."), parameter("b"), literal(":c")]]);
    }

    #[test]
    fn a_path_that_leaves_its_place_is_refused() {
        for path in [
            "",
            "a",
            "//a",
            "/a//b",
            "/a?b=c",
            "/a#b",
            "/a/../b",
            "/./a",
            "/%2e%2e/a",
            "/a%2fb",
            "/a%5Cb",
            "/a\\b",
            "/a b",
            "/a%0d",
            "/%zz",
            "/a%",
            "/{a",
            "/{}",
            "/{a}/{a}",
            "/%252e",
            "/日本",
            &format!("/{}", "a".repeat(2000)),
        ] {
            assert!(PathTemplate::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_server_gives_its_path() {
        let check = |object: Value, authority: Option<&str>, path: &str| {
            let expected = Server { authority: authority.map(str::to_owned), path: path.into() };
            assert_eq!(server(&object).unwrap(), expected, "{object}");
        };
        check(json!({"url": "https://api.example.com/v1/"}), Some("api.example.com"), "/v1");
        check(json!({"url": "https://API.example.com"}), Some("api.example.com"), "");
        check(json!({"url": "/"}), None, "");
        check(json!({"url": "/v1"}), None, "/v1");
        check(json!({"url": "v1"}), None, "/v1");
        check(
            json!({"url": "{scheme}://h/{base}", "variables": {"scheme": {"default": "http"}, "base": {"default": "v2"}}}),
            Some("h"),
            "/v2",
        );
        for url in ["https://h/{x}", "//h/a", "https://h/a/../b", "https://h/a?b=c"] {
            assert!(server(&json!({"url": url})).is_err(), "{url}");
        }
        assert!(server(&json!({})).is_err());
    }
}
