//! `/connect`: people follow their agent's invitation to log in to an API, and show first that it is theirs.
//!
//! **Invariant:** the browser that goes on to the authorization server, and that comes back, is one in which the invited
//! principal's own credential was shown; its cookie is good for this one login, and for nothing else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::connection::Peer;
use crate::auth::Evidence;
use crate::auth::session::Handle;
use crate::auth::standing::Standing;
use crate::base::bound;
use crate::base::id::{NoEntropy, hex, random_bytes};
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::connector::oauth::invite::{ACCEPT, CALLBACK, CONNECT, FINISH};
use crate::crypto::digest::{Hash, sha256};
use crate::mcp::http::{read, user_agent};
use crate::pipeline::identify::Known;
use crate::pipeline::request::Via;
use crate::web::connect as page;
use crate::web::rest;
use crate::web::{Answer, Web};

/// Browsers that are on their way.
#[derive(Default)]
pub(super) struct Connect {
    /// By the digest of the browser's cookie. Held for a look-up, never across an await.
    visits: Mutex<HashMap<Hash, Visit>>,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connect")
    }
}

/// One browser between its person's credential and the authorization server's answer.
struct Visit {
    known: Known,
    ticket: String,
    login: String,
    until: Instant,
}

/// Whether `path` belongs to logins.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with(CONNECT)
}

/// What was typed into the form.
#[derive(Default)]
struct Typed {
    proof: Zeroizing<String>,
    name: String,
    password: Zeroizing<String>,
    key: Zeroizing<String>,
}

impl Connect {
    /// `client` is who asks: another than `peer` where a trusted proxy is between.
    pub(super) async fn handle<B>(
        &self,
        web: &Web,
        request: Request<B>,
        peer: &Peer,
        client: SocketAddr,
    ) -> Response<Answer>
    where
        B: ::http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let via = peer.via(client, user_agent(&parts.headers));
        let is_private = peer.is_tls || client.ip().is_loopback();
        let patience = web.config().http.body_timeout;
        let read = read(body, bound::HTTP_BODY_BYTES_UNKNOWN_MAX, patience).await;
        let answered = if is_private {
            let ticket = parts.uri.path().strip_prefix(CONNECT).unwrap_or_default();
            let is_ticket = ticket.len() == 64 && ticket.bytes().all(|byte| byte.is_ascii_hexdigit());
            match (&parts.method, is_ticket) {
                (&Method::GET, _) if parts.uri.path() == CALLBACK => {
                    self.back(web, &parts.headers, peer.is_tls, parts.uri.query().unwrap_or_default()).await
                }
                (&Method::GET, true) => {
                    web.pipeline.metrics().passed();
                    return invite(ticket, peer.is_tls)
                        .unwrap_or_else(|error| page::refused(&Refusal::internal(error)));
                }
                (&Method::POST, true) => {
                    let evidence = Evidence::Http {
                        peer: client,
                        is_private,
                        authorization: None,
                        certificate: peer.certificate.clone(),
                    };
                    let body = match read {
                        Ok(body) => body,
                        Err(refusal) => return page::refused(&refusal),
                    };
                    self.typed(web, (&parts.headers, &body), (evidence, &via), ticket, peer.is_tls).await
                }
                _ => Err((Refusal::new(Code::NotFound, "There is nothing here."), None)),
            }
        } else {
            Err((rest::not_private(), None))
        };
        match answered {
            Ok(response) => response,
            Err((refusal, known)) => {
                if known.as_ref().is_none_or(|known| !known.is_settled()) {
                    let reason = format!("{}: {}", refusal.code.as_str(), refusal.private);
                    let operation = Some("connect".to_owned());
                    web.pipeline.record_foreign_refusal(known.as_ref(), &via, operation, &reason).await;
                }
                page::refused(&refusal)
            }
        }
    }

    /// The form came: whose credential it shows must be the one who was invited.
    async fn typed(
        &self,
        web: &Web,
        (headers, body): (&HeaderMap, &Bytes),
        (evidence, via): (Evidence, &Via),
        ticket: &str,
        is_tls: bool,
    ) -> Result<Response<Answer>, (Refusal, Option<Known>)> {
        let plain = |refusal| (refusal, None);
        let typed = Typed::read(body);
        // Another site's page can neither read nor set what stands in both (and the guard has looked at the Origin).
        let is_own = cookie(headers, is_tls).is_some_and(|cookie| proof(&cookie) == *typed.proof);
        let is_foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
        if !is_own || is_foreign {
            let public =
                "This form was not sent by the page that belongs to it; open the link again, with cookies allowed.";
            return Err(plain(Refusal::new(Code::Forbidden, public)));
        }
        let evidence = match evidence {
            Evidence::Http { peer, is_private, certificate, .. } => {
                Evidence::Http { peer, is_private, authorization: typed.authorization(), certificate }
            }
            other => other,
        };
        // These write their own entries.
        let known = match web.pipeline.identify(&evidence, via).await {
            Ok(known) => known,
            Err(refusal) => return Ok(page::refused(&refusal)),
        };
        let known = match web.pipeline.meter(known, &Handle::Credential).await {
            Ok(known) => known,
            Err(refusal) => return Ok(page::refused(&refusal)),
        };
        let answer = run(web, &known, ACCEPT, json!({"ticket": ticket})).await?;
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        // Another value than the form had: who put a cookie into this browser before does not have that one.
        let fresh = random_bytes::<32>().map_err(|error| plain(Refusal::internal(error)))?;
        let fresh = hex(&fresh);
        let until = Instant::now() + Duration::from_secs(bound::oauth::OAUTH_LOGIN_SECONDS);
        let visit = Visit { known: known.again(), ticket: ticket.to_owned(), login: text("login"), until };
        {
            let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever follows the link again begins again.
            visits.retain(|_, visit| Instant::now() < visit.until && visit.ticket != ticket);
            if visits.len() >= bound::oauth::OAUTH_LOGINS_MAX {
                let public = "Too many people are logging in; come back in a few minutes.";
                return Err((Refusal::new(Code::Busy, public), Some(known)));
            }
            visits.insert(sha256(&[fresh.as_bytes()]), visit);
        }
        let mut response = page::onward(&text("name"), &text("url"));
        set_cookie(&mut response, &fresh, is_tls);
        Ok(response)
    }

    /// The browser came back from the authorization server.
    async fn back(
        &self,
        web: &Web,
        headers: &HeaderMap,
        is_tls: bool,
        query: &str,
    ) -> Result<Response<Answer>, (Refusal, Option<Known>)> {
        // It stays: any page can send the browser here with nothing in hand. An answer is taken once all the same, and
        // the login says which is one.
        let found = cookie(headers, is_tls).map(|cookie| sha256(&[cookie.as_bytes()])).and_then(|key| {
            let visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
            let visit = visits.get(&key).filter(|visit| Instant::now() < visit.until)?;
            Some((key, visit.known.again(), json!({"ticket": visit.ticket, "login": visit.login, "answer": query})))
        });
        let Some((key, known, arguments)) = found else {
            let public =
                "No login was begun in this browser, or it is too old. Begin again with the link that you were given.";
            return Err((Refusal::new(Code::Forbidden, public), None));
        };
        if !web.pipeline.holds(&known, &mut Standing::default()) {
            let public =
                "The credential that was shown here holds no more: it was revoked, or its account disabled or removed.";
            return Err((Refusal::new(Code::Forbidden, public), Some(known)));
        }
        let answer = run(web, &known, FINISH, arguments).await?;
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let mut response = page::done(answer["name"].as_str().unwrap_or_default());
        set_cookie(&mut response, "", is_tls);
        Ok(response)
    }
}

/// An operation, the one way that all go; what it refuses it has recorded.
async fn run(web: &Web, known: &Known, name: &str, arguments: Value) -> Result<Value, (Refusal, Option<Known>)> {
    page::run(web, known.clone(), name, arguments).await.map_err(|refusal| (refusal, Some(known.clone())))
}

/// The form, in which nothing of the invitation is told: whoever has the link is not yet known.
fn invite(ticket: &str, is_tls: bool) -> Result<Response<Answer>, NoEntropy> {
    let cookie = hex(&random_bytes::<32>()?);
    let mut response = page::form(ticket, &proof(&cookie));
    set_cookie(&mut response, &cookie, is_tls);
    Ok(response)
}

/// What the form repeats of the cookie, without giving it away.
fn proof(cookie: &str) -> String {
    hex(&sha256(&[b"connect form", cookie.as_bytes()]))
}

/// With the prefix no other host and no cleartext page can set it (RFC 6265bis, section 4.1.3).
fn cookie_name(is_tls: bool) -> &'static str {
    if is_tls { "__Host-sekisho-connect" } else { "sekisho-connect" }
}

fn cookie(headers: &HeaderMap, is_tls: bool) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = found.find(|(name, _)| *name == cookie_name(is_tls))?;
    (value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| value.to_owned())
}

/// Lax: it has to come along when the authorization server sends the browser back. Empty: it is over.
fn set_cookie(response: &mut Response<Answer>, value: &str, is_tls: bool) {
    let name = cookie_name(is_tls);
    let secure = if is_tls { "; Secure" } else { "" };
    let age = if value.is_empty() { 0 } else { bound::oauth::OAUTH_LOGIN_SECONDS };
    let cookie = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

impl Typed {
    fn read(body: &[u8]) -> Self {
        let mut typed = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match &*name {
                "proof" => typed.proof = Zeroizing::new(value),
                "name" => typed.name = value,
                "password" => typed.password = Zeroizing::new(value),
                "key" => typed.key = Zeroizing::new(value),
                _ => {}
            }
        }
        typed
    }

    /// As a client would have sent it; none, where a certificate speaks for the browser.
    fn authorization(&self) -> Option<Secret> {
        if !self.key.is_empty() {
            return Some(Secret::new(format!("Bearer {}", self.key.trim())));
        }
        if self.name.is_empty() && self.password.is_empty() {
            return None;
        }
        let pair = Zeroizing::new(format!("{}:{}", self.name, *self.password));
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        Some(Secret::new(format!("Basic {}", *encoded)))
    }
}
