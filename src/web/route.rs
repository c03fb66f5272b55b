//! The table of `/admin`: each method and path, the operation that it stands for, and where its arguments are.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A method and a path that stand for an operation. Everything else is the operation's: who may, its schemas, its entry.
#[derive(Debug)]
pub struct Route {
    /// In upper case.
    pub method: &'static str,
    /// With `{ARGUMENT}` for a segment that is an argument of the operation.
    pub path: &'static str,
    pub operation: &'static str,
    /// Arguments of the operation that are in the query, by the same names.
    pub query: &'static [&'static str],
    pub body: Body,
    /// The status of success. With 204 there is no body.
    pub status: u16,
}

/// Where the arguments are that stand neither in the path nor in the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There are none.
    None,
    /// A JSON object, which may be left out.
    Json,
}

const fn reads(path: &'static str, operation: &'static str, query: &'static [&'static str]) -> Route {
    Route { method: "GET", path, operation, query, body: Body::None, status: 200 }
}

const fn posts(path: &'static str, operation: &'static str, status: u16) -> Route {
    Route { method: "POST", path, operation, query: &[], body: Body::Json, status }
}

const fn puts(path: &'static str, operation: &'static str, status: u16) -> Route {
    Route { method: "PUT", path, operation, query: &[], body: Body::Json, status }
}

const fn deletes(path: &'static str, operation: &'static str, query: &'static [&'static str], status: u16) -> Route {
    Route { method: "DELETE", path, operation, query, body: Body::None, status }
}

/// All of them. `POST /admin/operations/{operation}` stands beside them, for every operation there is.
pub const ROUTES: &[Route] = &[
    reads("/admin/status", "status", &[]),
    reads("/admin/config", "config.show", &[]),
    reads("/admin/sessions", "session.list", &["principal", "limit"]),
    deletes("/admin/sessions", "session.end", &["principal"], 200),
    deletes("/admin/sessions/{session}", "session.end", &[], 200),
    reads("/admin/bans", "ban.list", &[]),
    posts("/admin/bans", "ban.add", 201),
    deletes("/admin/bans/{kind}/{name}", "ban.lift", &[], 204),
    reads("/admin/accounts", "account.review", &[]),
    posts("/admin/accounts", "account.add", 201),
    puts("/admin/accounts/{name}/password", "account.passwd", 204),
    puts("/admin/accounts/{name}/role", "account.role", 200),
    posts("/admin/accounts/{name}/disable", "account.disable", 204),
    posts("/admin/accounts/{name}/enable", "account.enable", 204),
    deletes("/admin/accounts/{name}", "account.remove", &[], 204),
    reads("/admin/tokens", "token.list", &[]),
    posts("/admin/tokens", "token.issue", 201),
    posts("/admin/tokens/rotate", "token.rotate", 200),
    deletes("/admin/tokens/{id}", "token.revoke", &[], 200),
    reads("/admin/policies", "policy.list", &[]),
    reads("/admin/policies/matrix", "policy.matrix", &[]),
    reads(
        "/admin/policies/explain",
        "policy.explain",
        &["principal", "action", "resource", "role", "scopes", "classification"],
    ),
    posts("/admin/policies/check", "policy.check", 200),
    posts("/admin/policies/reload", "policy.reload", 200),
    reads("/admin/events", "event.list", &["since", "kind", "severity", "before", "limit"]),
    reads("/admin/reports", "report.make", &["from", "to"]),
    posts("/admin/drain", "drain", 202),
    reads("/admin/openapi.json", "admin.openapi", &[]),
];

/// What stands before the name of any operation.
pub const OPERATIONS: &str = "/admin/operations/";

/// What a path is.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A route, and what stands in its path.
    Route(&'static Route, Vec<(&'static str, String)>),
    /// Any operation, by its name.
    Operation(&'a str),
    /// The path is there, for these methods.
    OtherMethod(Vec<&'static str>),
    Nothing,
}

/// Finds what `method` and `path` stand for. Segments are compared as they are sent and decoded then, so a `%2F` in a
/// name is part of the name.
pub(super) fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    if let Some(name) = path.strip_prefix(OPERATIONS).filter(|name| !name.is_empty() && !name.contains('/')) {
        return if method == "POST" { Found::Operation(name) } else { Found::OtherMethod(vec!["POST"]) };
    }
    let mut methods = Vec::new();
    // A path that is written out comes before one with an argument in the same place.
    let mut best: Option<(&'static Route, Vec<(&'static str, String)>)> = None;
    for route in ROUTES {
        let Some(arguments) = fits(route.path, path) else { continue };
        if route.method != method {
            methods.push(route.method);
        } else if best.as_ref().is_none_or(|(_, others)| arguments.len() < others.len()) {
            best = Some((route, arguments));
        }
    }
    match best {
        Some((route, arguments)) => Found::Route(route, arguments),
        None if methods.is_empty() => Found::Nothing,
        None => {
            methods.sort_unstable();
            methods.dedup();
            Found::OtherMethod(methods)
        }
    }
}

fn fits(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut arguments = Vec::new();
    let mut segments = path.split('/');
    for expected in template.split('/') {
        let found = segments.next()?;
        match argument_of(expected) {
            None if expected == found => {}
            None => return None,
            Some(_) if found.is_empty() => return None,
            Some(name) => arguments.push((name, decoded(found)?)),
        }
    }
    segments.next().is_none().then_some(arguments)
}

/// The argument that a segment of a template stands for.
pub(super) fn argument_of(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Percent-decoded; `None` where that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// Names and values of a query (WHATWG URL, `application/x-www-form-urlencoded`); `None` where it is not UTF-8.
pub(super) fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let plain = |text: &str| decoded(&text.replace('+', " "));
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            Some((plain(name)?, plain(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(method: &str, path: &str, expect: &str) {
        let found = match find(method, path) {
            Found::Route(route, arguments) => format!("{} {arguments:?}", route.operation),
            Found::Operation(name) => format!("any {name}"),
            Found::OtherMethod(methods) => methods.join(", "),
            Found::Nothing => "nothing".into(),
        };
        assert_eq!(found, expect, "{method} {path}");
    }

    #[test]
    fn a_path_stands_for_one_operation() {
        check("GET", "/admin/sessions", "session.list []");
        check("DELETE", "/admin/sessions/ab12", r#"session.end [("session", "ab12")]"#);
        check(
            "DELETE",
            "/admin/bans/address/203.0.113.0%2F24",
            r#"ban.lift [("kind", "address"), ("name", "203.0.113.0/24")]"#,
        );
        check("DELETE", "/admin/tokens/rotate", r#"token.revoke [("id", "rotate")]"#);
        check("POST", "/admin/tokens/rotate", "token.rotate []");
        check("POST", "/admin/operations/backup.make", "any backup.make");
        check("GET", "/admin/operations/backup.make", "POST");
        check("PATCH", "/admin/sessions", "DELETE, GET");
        for nothing in
            ["/admin", "/admin/", "/admin/operations/", "/admin/sessions/", "/admin/sessions/a/b", "/admin/bans/x//"]
        {
            check("GET", nothing, "nothing");
        }
        check("DELETE", "/admin/sessions/%FF", "nothing");
    }

    #[test]
    fn a_query_is_read_with_its_escapes() {
        assert_eq!(
            pairs("a=b%20c&d=e+f&g&a=1"),
            Some(
                [("a", "b c"), ("d", "e f"), ("g", ""), ("a", "1")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec()
            )
        );
        assert_eq!(pairs("a=%FF"), None);
    }

    proptest! {
        #[test]
        fn hostile_paths_and_queries_are_no_panic(path: String, query: String) {
            drop(find("GET", &path));
            drop(pairs(&query));
        }
    }
}
