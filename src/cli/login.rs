//! `connector bind|login|logout|status`: with what a connector calls its API, and people who log in to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use url::Url;

use super::connector::show::{items, text};
use super::exit::{Failure, NO};
use super::print::tell;
use super::reach::Reach;
use super::{Context, print, secret};
use crate::base::bound::oauth as bound;
use crate::base::secret::Secret;

#[derive(Debug, Args)]
pub(crate) struct Bind {
    name: String,
    /// The credential's name in the vault; with --as oauth that of the client's secret, where it has one
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// How it is shown: none, basic (the credential is name:password), bearer, header:NAME, query:NAME or oauth
    #[arg(long = "as", value_name = "WAY")]
    way: String,
    /// OAuth: our id at the authorization server
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// OAuth: authorization-code, device-code, password or client-credentials
    #[arg(long, value_name = "GRANT", requires = "client")]
    grant: Option<String>,
    /// OAuth: ask for this scope (may be given again)
    #[arg(long, value_name = "SCOPE", requires = "client")]
    scope: Vec<String>,
    /// OAuth: one login for all callers (service), or each principal's own (each)
    #[arg(long, value_name = "WHOSE", requires = "client")]
    whose: Option<String>,
    /// OAuth: keep tokens sealed in the database, or in memory only
    #[arg(long, value_name = "WHERE", requires = "client")]
    tokens: Option<String>,
    /// OAuth: show the client's secret in the header (basic) or in the body (post)
    #[arg(long, value_name = "WAY", requires = "client")]
    client_auth: Option<String>,
    /// OAuth: look the endpoints up in this authorization server's metadata (RFC 8414)
    #[arg(long, value_name = "URL", requires = "client")]
    issuer: Option<String>,
    /// OAuth: where people log in [default: what the API's document says]
    #[arg(long, value_name = "URL", requires = "client")]
    authorize_url: Option<String>,
    /// OAuth: where tokens are given [default: what the API's document says]
    #[arg(long, value_name = "URL", requires = "client")]
    token_url: Option<String>,
    /// OAuth: where a login on another machine begins (RFC 8628)
    #[arg(long, value_name = "URL", requires = "client")]
    device_url: Option<String>,
    /// OAuth: where a logout is told (RFC 7009)
    #[arg(long, value_name = "URL", requires = "client")]
    revoke_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    name: String,
    /// Where each logs in alone: for whom [default: agents that you start over stdio]
    #[arg(long = "for", value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Without a browser on this machine: paste the address that a browser elsewhere was sent back to
    #[arg(long)]
    paste: bool,
    /// Without a browser on this machine: type a code into a browser elsewhere
    #[arg(long, conflicts_with = "paste")]
    device: bool,
    /// The port of 127.0.0.1 to which the browser comes back, where the authorization server wants it to be known
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// With --paste: the address to which the authorization server sends the browser back
    #[arg(long, value_name = "URL", requires = "paste", conflicts_with = "port")]
    redirect_uri: Option<String>,
    /// With the grant password: your name there
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    name: String,
    /// Where each logs in alone: who [default: agents that you start over stdio]
    #[arg(long = "for", value_name = "PRINCIPAL", conflicts_with = "all")]
    principal: Option<String>,
    /// Everybody
    #[arg(long)]
    all: bool,
}

pub(super) async fn bind(context: &Context, reach: &Reach, bind: Bind) -> Result<u8, Failure> {
    let name = bind.name.clone();
    let mut arguments = json!({"name": bind.name, "credential": bind.credential, "as": bind.way});
    if let Some(client) = bind.client {
        let mut oauth = json!({"client": client, "scopes": bind.scope});
        for (key, value) in [
            ("grant", bind.grant),
            ("whose", bind.whose),
            ("kept", bind.tokens),
            ("client_auth", bind.client_auth),
            ("issuer", bind.issuer),
            ("authorize_url", bind.authorize_url),
            ("endpoint", bind.token_url),
            ("device_url", bind.device_url),
            ("revoke_url", bind.revoke_url),
        ] {
            if let Some(value) = value {
                oauth[key] = value.into();
            }
        }
        arguments["oauth"] = oauth;
    }
    let result = reach.ask("connector.bind", arguments).await?;
    tell(context, &result, || {
        let binding = &result["connector"]["binding"];
        let (origin, oauth) = (text(binding, "origin"), &binding["oauth"]);
        if oauth.is_object() {
            let tokens = (text(oauth, "endpoint"), text(oauth, "kept"));
            print::line(&format!("{name} calls {origin} with tokens from {}, kept {}.", tokens.0, tokens.1))?;
            return match text(oauth, "grant") {
                "client-credentials" => Ok(()),
                _ => print::line(&format!("Log in: sekisho connector login {name}")),
            };
        }
        print::line(&match binding["name"].as_str() {
            Some(bound) => format!("{name} calls {origin} with the credential {bound}, as {}.", text(binding, "as")),
            None => format!("{name} calls its API without a credential."),
        })
    })
}

pub(super) async fn login(context: &Context, reach: &Reach, login: Login) -> Result<u8, Failure> {
    let shown = reach.ask("connector.show", json!({"name": login.name})).await?;
    let grant = text(&shown["connector"]["binding"]["oauth"], "grant").to_owned();
    let standing = match grant.as_str() {
        "password" if !login.device && !login.paste => by_password(reach, &login).await?,
        "device-code" if !login.paste => by_device(context, reach, &login).await?,
        _ if login.device => by_device(context, reach, &login).await?,
        _ => by_browser(reach, &login).await?,
    };
    tell(context, &standing, || print::line(&format!("Logged in to {}: {}.", login.name, said(&standing))))
}

async fn by_password(reach: &Reach, login: &Login) -> Result<Value, Failure> {
    let Some(username) = &login.username else {
        return Err(Failure::usage("say under which name: --username NAME"));
    };
    let password = secret::read(&format!("Password of {username} at {}: ", login.name))?;
    let arguments = json!({
        "name": login.name, "principal": login.principal, "username": username, "password": secret::text(&password)?,
    });
    reach.ask("connector.login.password", arguments).await
}

async fn by_device(context: &Context, reach: &Reach, login: &Login) -> Result<Value, Failure> {
    let arguments = json!({"name": login.name, "principal": login.principal});
    let begun = reach.ask("connector.login.device", arguments).await?;
    let harmless = |key: &str| print::harmless(text(&begun, key));
    if context.json {
        print::error_line(&begun.to_string());
    } else {
        print::error_line(&format!("In any browser, open {} and type {}", harmless("url"), harmless("user_code")));
        if begun["url_with_code"].is_string() {
            print::error_line(&format!("or open {}", harmless("url_with_code")));
        }
    }
    let deadline = Instant::now() + Duration::from_secs(begun["seconds_left"].as_u64().unwrap_or_default());
    let mut wait = begun["wait_seconds"].as_u64().unwrap_or(bound::OAUTH_POLL_SECONDS);
    loop {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let ask = json!({"name": login.name, "ticket": begun["ticket"]});
        let polled = reach.ask("connector.login.poll", ask).await?;
        if polled["waits"] != true {
            return Ok(polled);
        }
        if Instant::now() >= deadline {
            return Err(Failure::unavailable("nobody logged in in time; begin again"));
        }
        wait = polled["wait_seconds"].as_u64().unwrap_or(wait);
    }
}

async fn by_browser(reach: &Reach, login: &Login) -> Result<Value, Failure> {
    let listener =
        if login.paste {
            None
        } else {
            let port = login.port.unwrap_or_default();
            let bound = TcpListener::bind(("127.0.0.1", port)).await;
            Some(bound.map_err(|error| {
                Failure::unavailable(format!("no browser can come back to 127.0.0.1:{port}: {error}"))
            })?)
        };
    let redirect_uri = match (&listener, &login.redirect_uri) {
        (Some(listener), _) => {
            let port = listener.local_addr().map_err(Failure::internal)?.port();
            format!("http://127.0.0.1:{port}{CALLBACK}")
        }
        (None, Some(uri)) => uri.clone(),
        // Nobody listens there, so the browser shows an error, and the address is in its address bar.
        (None, None) => format!("http://127.0.0.1:{}{CALLBACK}", login.port.unwrap_or(bound::OAUTH_PASTE_PORT)),
    };
    let arguments = json!({"name": login.name, "principal": login.principal, "redirect_uri": redirect_uri});
    let begun = reach.ask("connector.login.begin", arguments).await?;
    let url = text(&begun, "url");
    print::error_line("Open this address in a browser and log in:");
    print::error_line(&print::harmless(url));
    let back = if let Some(listener) = listener {
        wait(listener, state_of(url)).await?
    } else {
        print::error_line("The browser then shows an address that it cannot open. Copy it.");
        secret::read("The address: ")?
    };
    let arguments = json!({"name": login.name, "ticket": begun["ticket"], "answer": secret::text(&back)?});
    reach.ask("connector.login.finish", arguments).await
}

pub(super) async fn logout(context: &Context, reach: &Reach, logout: Logout) -> Result<u8, Failure> {
    let Logout { name, principal, all } = logout;
    let result = reach.ask("connector.logout", json!({"name": name, "principal": principal, "all": all})).await?;
    tell(context, &result, || {
        let was = result["all"] == true || result["was_logged_in"] == true;
        print::line(&if was { format!("Logged out of {name}.") } else { format!("Nobody was logged in to {name}.") })
    })
}

pub(super) async fn status(context: &Context, reach: &Reach, name: &str) -> Result<u8, Failure> {
    let result = reach.ask("connector.auth", json!({"name": name})).await?;
    let standings = items(&result["items"]);
    tell(context, &result, || {
        if standings.is_empty() {
            return print::line(&format!("Nobody is logged in. Log in: sekisho connector login {name}"));
        }
        standings.iter().try_for_each(|standing| {
            print::line(&format!("{:<24} {}", print::harmless(text(standing, "whose")), said(standing)))
        })
    })?;
    Ok(if standings.iter().any(|standing| standing["logged_in"] == true) { 0 } else { NO })
}

/// A standing in words.
fn said(standing: &Value) -> String {
    if standing["logged_in"] != true {
        let ended = standing["ended"].as_str().unwrap_or("nobody is logged in");
        return format!("not logged in: {ended}");
    }
    let until = standing["expires"].as_str().map(|at| format!(", the access token ends {at}")).unwrap_or_default();
    let refreshed = if standing["refreshed"] == true { "refreshed without a person" } else { "not refreshed" };
    format!("logged in, {refreshed}{until}")
}

const CALLBACK: &str = "/callback";

const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Sekisho</title>\
<p>The login came back to Sekisho. The terminal says how it went; this window can be closed.";

/// What the authorization server is to give back; the server checks it, and so do we, lest another page of this machine's
/// browser use our one listener up.
fn state_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned())
}

/// Waits for the browser: on one path, for one answer, within the time of a login.
async fn wait(listener: TcpListener, state: Option<String>) -> Result<Secret, Failure> {
    let deadline = Instant::now() + Duration::from_secs(bound::OAUTH_LOGIN_SECONDS);
    let late = || Failure::unavailable("no browser came back in time; begin again");
    let found = Arc::new(Mutex::new(None));
    for _ in 0..bound::OAUTH_LISTENER_REQUESTS_MAX {
        let accepted = tokio::time::timeout_at(deadline, listener.accept()).await.map_err(|_| late())?;
        let (stream, _) = accepted.map_err(Failure::unavailable)?;
        let service = service_fn(|request| {
            let response = answer(&request, state.as_deref(), &found);
            async { response }
        });
        let mut server = http1::Builder::new();
        server.keep_alive(false).max_buf_size(bound::OAUTH_LISTENER_BYTES_MAX);
        let served = server.serve_connection(TokioIo::new(stream), service);
        // What comes to nothing is not what we wait for.
        tokio::time::timeout(Duration::from_millis(bound::OAUTH_LISTENER_READ_MS), served).await.ok();
        if let Some(back) = found.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(back);
        }
    }
    Err(late())
}

fn answer(
    request: &Request<Incoming>,
    state: Option<&str>,
    found: &Mutex<Option<Secret>>,
) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    let query = request.uri().query().unwrap_or_default();
    let back = Url::parse(&format!("http://127.0.0.1/?{query}")).ok();
    let is_ours =
        back.is_some_and(|back| back.query_pairs().any(|(name, value)| name == "state" && Some(&*value) == state));
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // Another name for this machine would be another site's.
    let is_called_right = host.split(':').next() == Some("127.0.0.1");
    let good = request.method() == Method::GET && request.uri().path() == CALLBACK && is_called_right && is_ours;
    let page = if good {
        found.lock().unwrap_or_else(PoisonError::into_inner).replace(Secret::new(query.as_bytes()));
        PAGE
    } else {
        ""
    };
    Response::builder()
        .status(if good { StatusCode::OK } else { StatusCode::NOT_FOUND })
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(Full::new(Bytes::from_static(page.as_bytes())))
}
