//! The pages of `/connect`: a form for a principal's own credential, the way on to an authorization server, and how it
//! went. Plain HTML: no script, no style, nothing from elsewhere.

use ::http::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::{Answer, Web, api, tell_when};
use crate::auth::session::Handle;
use crate::base::refusal::Refusal;
use crate::connector::oauth::invite::CONNECT;
use crate::operation::Kind;
use crate::pipeline::identify::Known;
use crate::pipeline::request::Asked;

/// Forms go to us only; nobody shows this page within another.
const POLICY: &str = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Runs an operation for a browser, to its end.
pub async fn run(web: &Web, known: Known, name: &str, arguments: Value) -> Result<Value, Refusal> {
    api::finished(&web.pipeline, known, Asked::new(Kind::Protocol, name, arguments, Handle::Credential)).await
}

/// Asks for the credential of whoever was invited.
pub fn form(ticket: &str, proof: &str) -> Response<Answer> {
    let (action, proof) = (escaped(&format!("{CONNECT}{ticket}")), escaped(proof));
    page(
        StatusCode::OK,
        "Log in",
        &format!(
            "<p>An agent asked you to log in to an API. Say first who you are here, so that nobody else's agent gets \
             your login. If no agent of yours asked, close this page.</p>\
             <form method=post action=\"{action}\"><input type=hidden name=proof value=\"{proof}\">\
             <p><label>Account <input name=name autocomplete=username></label>\
             <p><label>Password <input name=password type=password autocomplete=current-password></label>\
             <p>or\
             <p><label>API key or JWT <input name=key type=password autocomplete=off></label>\
             <p><button>Go on</button></form>"
        ),
    )
}

/// A link, not a redirect: the person sees where it leads.
pub fn onward(connector: &str, url: &str) -> Response<Answer> {
    let host = Url::parse(url).ok().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let (connector, host, url) = (escaped(connector), escaped(&host), escaped(url));
    page(
        StatusCode::OK,
        "Go on",
        &format!("<p>{connector} lets you log in at <b>{host}</b>.</p><p><a href=\"{url}\">Go on to {host}</a></p>"),
    )
}

/// The end.
pub fn done(connector: &str) -> Response<Answer> {
    let text =
        format!("<p>You are logged in to {}. Close this page and go back to your agent.</p>", escaped(connector));
    page(StatusCode::OK, "Logged in", &text)
}

/// A no, and why.
pub fn refused(refusal: &Refusal) -> Response<Answer> {
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = page(status, "Not logged in", &format!("<p>{}</p>", escaped(&refusal.public)));
    tell_when(&mut response, refusal);
    response
}

fn page(status: StatusCode, title: &str, body: &str) -> Response<Answer> {
    let text = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}: Sekisho</title><h1>{title}</h1>{body}"
    );
    super::page(status, text, POLICY)
}

/// For a text and for an attribute in quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_becomes_markup() {
        assert_eq!(escaped("a<b>\"'&c"), "a&lt;b&gt;&quot;&#39;&amp;c");
    }
}
