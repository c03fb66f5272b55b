//! The front of the dashboard at `/ui/`: in private, from its own pages, in a browser where an account's password was shown.
//!
//! **Invariant:** nothing is done for a POST whose page is not ours: its `Origin`, what the browser says of the page that
//! sent it, and a token that only our pages have must all agree.
//!
//! **Invariant:** a session stands for no more than its account does now: with every request the account is looked up,
//! and whoever is banned, disabled, or has another password or role is somebody else or nobody.

mod cookie;
mod table;

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::request::Parts;
use ::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;

use super::connection::Peer;
use super::guard::host_of;
use crate::auth::Evidence;
use crate::auth::session::Handle;
use crate::auth::standing::Standing;
use crate::base::bound;
use crate::base::clock::Clock;
use crate::base::id::{hex, random_bytes};
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::config::Session;
use crate::config::raw::AuthScheme;
use crate::mcp::http::{read, user_agent};
use crate::operation::Kind;
use crate::pipeline::identify::Known;
use crate::pipeline::request::Via;
use crate::web::rest;
use crate::web::ui::form::Form;
use crate::web::ui::look::Look;
use crate::web::ui::{self as pages, Visit};
use crate::web::{Answer, Web};
use cookie::{For, cookie, proof_of, set_cookie, set_look};
use table::{Table, Whose};

/// The dashboard's sessions.
#[derive(Debug)]
pub(super) struct Ui {
    table: Arc<Table>,
}

/// Whether `path` belongs to the dashboard.
pub(super) fn is_ours(path: &str) -> bool {
    path == "/ui" || path.starts_with("/ui/")
}

/// One request, as far as it was looked at.
struct Came<'a> {
    web: &'a Arc<Web>,
    parts: Parts,
    peer: &'a Peer,
    client: SocketAddr,
    via: Via,
    look: Look,
    own_origin: Option<String>,
}

/// Why a request ends here, and whose it was.
type Stopped = (Refusal, Option<Known>);

impl Ui {
    pub(super) fn new(clock: Arc<dyn Clock>, session: &Session) -> Self {
        Self { table: Arc::new(Table::new(clock, session)) }
    }

    /// `client` is who asks: another than `peer` where a trusted proxy is between.
    pub(super) async fn handle<B>(
        &self,
        web: &Arc<Web>,
        request: Request<B>,
        peer: &Peer,
        client: SocketAddr,
    ) -> Response<Answer>
    where
        B: ::http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let own_origin = own_origin(&request, peer.is_tls);
        let (parts, body) = request.into_parts();
        if let Some(asset) = asset(web, &parts) {
            web.pipeline.metrics().passed();
            return asset;
        }
        let via = peer.via(client, user_agent(&parts.headers));
        let look = Look::of(&parts.headers);
        let came = Came { web, parts, peer, client, via, look, own_origin };
        let body = read(body, bound::ui::UI_FORM_BYTES_MAX, web.config().http.body_timeout).await;
        let answered = match body {
            Ok(body) => self.answer(&came, &body).await,
            Err(refusal) => Err((refusal, None)),
        };
        match answered {
            Ok(response) => response,
            Err((refusal, known)) => {
                if known.as_ref().is_none_or(|known| !known.is_settled()) {
                    let reason = format!("{}: {}", refusal.code.as_str(), refusal.private);
                    web.pipeline.record_foreign_refusal(known.as_ref(), &came.via, Some("ui".into()), &reason).await;
                }
                pages::refused(web, came.look, &refusal)
            }
        }
    }

    async fn answer(&self, came: &Came<'_>, body: &Bytes) -> Result<Response<Answer>, Stopped> {
        if !came.is_private() {
            return Err((rest::not_private(), None));
        }
        let is_post = came.parts.method == Method::POST;
        if is_post {
            came.check_page().map_err(|refusal| (refusal, None))?;
        } else if came.parts.method != Method::GET {
            return Err((Refusal::new(Code::Invalid, "The dashboard is asked with GET and POST."), None));
        }
        let path = came.parts.uri.path().strip_prefix("/ui/").unwrap_or_default().to_owned();
        let form = if is_post { Form::read(body) } else { Form::default() };
        match (is_post, path.as_str()) {
            (false, _) if came.parts.uri.path() == "/ui" => Ok(pages::redirect("/ui/")),
            (false, "login") => self.login_page(came),
            (true, "login") => self.login(came, &form).await,
            // Before a login too: whoever cannot read a page should not have to log in to change its language.
            (true, "look") => came.change_look(&form).map_err(|refusal| (refusal, None)),
            _ => self.inside(came, path, form).await,
        }
    }

    /// The form, with a cookie that is good for sending it and for nothing else.
    fn login_page(&self, came: &Came<'_>) -> Result<Response<Answer>, Stopped> {
        came.web.pipeline.metrics().passed();
        if came.cookie(For::Session).is_some_and(|cookie| self.table.find(&cookie, false).is_some()) {
            return Ok(pages::redirect("/ui/"));
        }
        came.login_form(StatusCode::OK, None, "")
    }

    async fn login(&self, came: &Came<'_>, form: &Form) -> Result<Response<Answer>, Stopped> {
        let plain = |refusal| (refusal, None);
        came.check_proof(For::Form, form).map_err(plain)?;
        let name = form.text("name").trim().to_owned();
        if !came.has_passwords() {
            // No try at a password: none is taken.
            came.web.pipeline.metrics().passed();
            return came.login_form(StatusCode::FORBIDDEN, None, &name);
        }
        // Before the password is looked at: what is changed meanwhile ends the session.
        let stamp = came.web.pipeline.stamp_of(&name).map_err(plain)?;
        let evidence = Evidence::Http {
            peer: came.client,
            is_private: true,
            authorization: Some(form.basic(&name)),
            certificate: None,
        };
        let known = match came.web.pipeline.identify(&evidence, &came.via).await {
            Ok(known) => known,
            // These write their own entries.
            Err(refusal) if refusal.code == Code::Unauthenticated => {
                return came.login_form(StatusCode::FORBIDDEN, Some("login.wrong"), &name);
            }
            Err(refusal) => return Ok(pages::refused(came.web, came.look, &refusal)),
        };
        let known = match came.web.pipeline.meter(known, &Handle::Credential).await {
            Ok(known) => known,
            Err(refusal) => return Ok(pages::refused(came.web, came.look, &refusal)),
        };
        let Some(stamp) = stamp else {
            return Err((Refusal::internal("an account came while its password was checked"), Some(known)));
        };
        came.web.pipeline.record_browser(&known, "ui.login", "a browser logged in").await.map_err(plain)?;
        // What stood in this browser before is worth nothing any more, whoever put it there.
        if let Some(before) = came.cookie(For::Session) {
            self.table.end(&before);
        }
        let whose = Whose { account: name.into(), stamp };
        let fresh = self.table.begin(whose).map_err(|error| plain(Refusal::internal(error)))?;
        let mut response = pages::redirect("/ui/");
        set_cookie(&mut response, For::Session, &fresh, came.peer.is_tls);
        set_cookie(&mut response, For::Form, "", came.peer.is_tls);
        Ok(response)
    }

    /// For whoever is logged in.
    async fn inside(&self, came: &Came<'_>, path: String, form: Form) -> Result<Response<Answer>, Stopped> {
        let is_post = came.parts.method == Method::POST;
        let is_feed = path == "live/feed";
        let cookie = came.cookie(For::Session);
        let found = cookie.as_ref().and_then(|cookie| Some((cookie, self.table.find(cookie, !is_feed)?)));
        let Some((cookie, whose)) = found else {
            came.web.pipeline.metrics().passed();
            return Ok(match &came.parts.uri.path_and_query() {
                _ if is_feed => pages::gone(),
                // The browser was told to show no session to links of other sites. Our own page's link it does.
                Some(here) if !is_post && came.is_led_here() => pages::on(came.web, came.look, here.as_str()),
                _ => pages::redirect("/ui/login"),
            });
        };
        let evidence = Evidence::Browser { account: Arc::clone(&whose.account), stamp: whose.stamp };
        let known = match came.web.pipeline.identify(&evidence, &came.via).await {
            Ok(known) => known,
            Err(refusal) if refusal.code == Code::Unauthenticated => {
                self.table.end(cookie);
                return if is_feed {
                    Ok(pages::gone())
                } else {
                    let mut response = came.login_form(StatusCode::FORBIDDEN, Some("login.changed"), "")?;
                    set_cookie(&mut response, For::Session, "", came.peer.is_tls);
                    Ok(response)
                };
            }
            Err(refusal) => return Ok(pages::refused(came.web, came.look, &refusal)),
        };
        if is_post && let Err(refusal) = came.check_proof(For::Session, &form) {
            return Err((refusal, Some(known)));
        }
        if is_post && path == "logout" {
            // Also where the rate is used up: whoever leaves may leave.
            came.web
                .pipeline
                .record_browser(&known, "ui.logout", "a browser logged out")
                .await
                .map_err(|refusal| (refusal, None))?;
            self.table.end(cookie);
            let mut response = pages::redirect("/ui/login");
            set_cookie(&mut response, For::Session, "", came.peer.is_tls);
            return Ok(response);
        }
        let known = match came.web.pipeline.meter(known, &Handle::Credential).await {
            Ok(known) => known,
            Err(refusal) => return Ok(pages::refused(came.web, came.look, &refusal)),
        };
        if is_feed {
            return Ok(self.feed(came, cookie, &whose, known));
        }
        let visit = Visit {
            web: Arc::clone(came.web),
            known: known.clone(),
            account: whose.account.to_string(),
            proof: proof_of(cookie),
            look: came.look,
            is_post,
            path,
            query: came.parts.uri.query().unwrap_or_default().to_owned(),
            accepts_lines: came.header("accept") == Some("application/x-ndjson"),
        };
        let answered = pages::answer(visit, &form).await;
        if answered.status().as_u16() >= 400 && !known.is_settled() {
            let reason = format!("http status {}", answered.status().as_u16());
            came.web.pipeline.record_foreign_refusal(Some(&known), &came.via, Some("ui".into()), &reason).await;
        }
        Ok(answered)
    }

    /// Entries as they come, as long as the session holds.
    fn feed(&self, came: &Came<'_>, cookie: &str, whose: &Whose, known: Known) -> Response<Answer> {
        let Some(place) = self.table.stream(cookie) else { return pages::too_many() };
        let (table, web, own) = (Arc::clone(&self.table), Arc::clone(came.web), known.clone());
        let (cookie, whose) = (cookie.to_owned(), whose.clone());
        let mut standing = Standing::default();
        let after = pages::live::after(came.header("last-event-id"), came.parts.uri.query());
        pages::live::feed(Arc::clone(came.web), known, after, move || {
            let _place = &place;
            let is_same = || web.pipeline.stamp_of(&whose.account).is_ok_and(|stamp| stamp == Some(whose.stamp));
            let mut holds = || web.pipeline.holds_for(&own, Kind::Admin, pages::live::OPERATION, &mut standing);
            table.find(&cookie, false).is_some() && is_same() && holds()
        })
    }
}

/// The dashboard's own files are for anybody: there is nothing of the installation in them.
fn asset(web: &Web, parts: &Parts) -> Option<Response<Answer>> {
    let path = parts.uri.path().strip_prefix("/ui/assets/")?;
    (parts.method == Method::GET).then(|| pages::asset(web, path))
}

impl Came<'_> {
    fn is_private(&self) -> bool {
        self.peer.is_tls || self.client.ip().is_loopback()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    fn cookie(&self, what: For) -> Option<String> {
        cookie(&self.parts.headers, what, self.peer.is_tls)
    }

    /// Whether a link of another site led a person here.
    fn is_led_here(&self) -> bool {
        self.header("sec-fetch-site") == Some("cross-site") && self.header("sec-fetch-mode") == Some("navigate")
    }

    /// Whether the gate takes names and passwords at all: without them nobody can log in here.
    fn has_passwords(&self) -> bool {
        self.web.config().auth.schemes.contains(&AuthScheme::Basic)
    }

    /// Whether one of our pages sent this, as the browser says. One that says neither is too old to be trusted with it.
    fn check_page(&self) -> Result<(), Refusal> {
        let origin = self.header("origin");
        let site = self.header("sec-fetch-site");
        let is_own = origin.is_none_or(|origin| self.is_own_origin(origin))
            && site.is_none_or(|site| site == "same-origin")
            && (origin.is_some() || site.is_some())
            && is_one(&self.parts.headers, "origin");
        let is_form = self
            .header("content-type")
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        if is_own && is_form {
            return Ok(());
        }
        Err(Refusal::new(Code::Forbidden, "This was not sent by a page of the dashboard.")
            .with_private("a form of another page, by its Origin, Sec-Fetch-Site or type"))
    }

    fn is_own_origin(&self, origin: &str) -> bool {
        let public = self.web.config().http.public_url.as_deref();
        [self.own_origin.as_deref(), public].into_iter().flatten().any(|own| own.eq_ignore_ascii_case(origin))
    }

    /// Another site's page can neither read nor set what stands in both the cookie and the form.
    fn check_proof(&self, what: For, form: &Form) -> Result<(), Refusal> {
        let expected = self.cookie(what).map(|cookie| Secret::new(proof_of(&cookie)));
        if expected.is_some_and(|expected| expected == Secret::new(form.text("proof"))) {
            return Ok(());
        }
        let public = "This form is too old, or cookies are not allowed. Open the page again and send it once more.";
        Err(Refusal::new(Code::Forbidden, public).with_private("a form without the token of its session"))
    }

    /// The form of a login, with the name that was typed into it before.
    fn login_form(
        &self,
        status: StatusCode,
        problem: Option<&'static str>,
        name: &str,
    ) -> Result<Response<Answer>, Stopped> {
        // One that is open in another tab stays good. It is no session's cookie, so nothing hangs on who made it.
        let cookie = match self.cookie(For::Form) {
            Some(cookie) => cookie,
            None => hex(&random_bytes::<32>().map_err(|error| (Refusal::internal(error), None))?),
        };
        let problem = if self.has_passwords() { problem } else { Some("login.no_passwords") };
        let asks = pages::Asks { problem, name, is_closed: !self.has_passwords() };
        let mut response = pages::login(self.web, self.look, status, &proof_of(&cookie), &asks);
        set_cookie(&mut response, For::Form, &cookie, self.peer.is_tls);
        Ok(response)
    }

    fn change_look(&self, form: &Form) -> Result<Response<Answer>, Refusal> {
        self.check_proof(For::Session, form).or_else(|_| self.check_proof(For::Form, form))?;
        self.web.pipeline.metrics().passed();
        let back = form.text("back");
        // Nowhere else than to a page of ours.
        let is_page = back.starts_with("/ui/") && back.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let mut response = pages::redirect(if is_page { back } else { "/ui/" });
        set_look(&mut response, self.look.changed(form), self.peer.is_tls);
        Ok(response)
    }
}

/// The origin of this request's own pages.
fn own_origin<B>(request: &Request<B>, is_tls: bool) -> Option<String> {
    let scheme = if is_tls { "https" } else { "http" };
    Some(format!("{scheme}://{}", host_of(request)?))
}

fn is_one(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).iter().count() <= 1
}
