//! The pages of the dashboard. Each shows what operations answer, and each of its forms asks for one: there is no other way
//! in here than the pipeline.

pub mod form;
pub mod live;
pub mod look;
mod action;
mod asset;
mod chart;
mod fact;
mod page;
mod room;
mod show;
mod words;

use std::sync::Arc;

use ::http::{HeaderValue, Response, StatusCode, header};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Answer, Web, api, tell_when};
use crate::auth::policy::ask::Resource;
use crate::auth::session::Handle;
use crate::base::bound::ui as bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::Kind;
use crate::pipeline::identify::Known;
use crate::pipeline::request::Asked;
use asset::Assets;
use fact::Part;
use form::Form;
use look::Look;
use page::{Login, On, Page, Place, Refused, Who, html};
use words::Words;

/// Nothing from elsewhere, nothing written into the page: style and script are files of ours.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What all pages are made with. Built once.
#[derive(Debug)]
pub struct Dashboard {
    words: Words,
    assets: Assets,
}

impl Dashboard {
    pub(super) fn embedded() -> Self {
        Self { words: Words::embedded(), assets: Assets::embedded() }
    }
}

/// One request of somebody who is logged in.
pub struct Visit {
    pub web: Arc<Web>,
    pub known: Known,
    pub account: String,
    /// What our forms repeat.
    pub proof: String,
    pub look: Look,
    pub is_post: bool,
    /// Below `/ui/`.
    pub path: String,
    pub query: String,
    /// Whether the page's script asks, and reads an operation's progress line by line.
    pub accepts_lines: bool,
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit").field("account", &self.account).field("path", &self.path).finish_non_exhaustive()
    }
}

/// The places of the navigation, and the operation without which a place has nothing to show.
const PLACES: [(&str, &str); 12] = [
    ("overview", "status"),
    ("live", "audit.tail"),
    ("sessions", "session.list"),
    ("bans", "ban.list"),
    ("audit", "audit.search"),
    ("libraries", "library.list"),
    ("connectors", "connector.list"),
    ("credentials", "credential.list"),
    ("accounts", "account.review"),
    ("policy", "policy.list"),
    ("configuration", "config.show"),
    ("backups", "backup.list"),
];

/// Answers one request.
pub async fn answer(visit: Visit, form: &Form) -> Response<Answer> {
    if visit.is_post { action::run(visit, form).await } else { show::page(&visit).await }
}

impl Visit {
    /// Asks for an operation of administration.
    async fn read(&self, operation: &str, arguments: Value) -> Result<Value, Refusal> {
        self.ask(Kind::Admin, operation, arguments).await
    }

    async fn ask(&self, kind: Kind, operation: &str, arguments: Value) -> Result<Value, Refusal> {
        let asked = Asked::new(kind, operation, arguments, Handle::Credential);
        api::finished(&self.web.pipeline, self.known.clone(), asked).await
    }

    /// An answer beside others.
    async fn part(&self, operation: &str, arguments: Value) -> Part {
        Part::of(self.read(operation, arguments).await)
    }

    /// What an operation tells while it runs, and its result.
    async fn lines(&self, operation: &str, arguments: Value) -> Result<(Vec<Value>, Value), Refusal> {
        let (web, known) = (Arc::clone(&self.web.pipeline), self.known.clone());
        let mut lines = Box::pin(api::run_as(Kind::Admin, web, known, operation.to_owned(), arguments));
        let mut events = Vec::new();
        while let Some(mut line) = lines.next().await {
            if line.get("event").is_some() && events.len() < bound::UI_LINES_MAX {
                events.push(line["event"].take());
            } else if line.get("result").is_some() {
                return Ok((events, line["result"].take()));
            } else if let Some(refusal) = line.get("refusal") {
                let text = refusal["message"].as_str().unwrap_or_default();
                let code = Code::named(refusal["code"].as_str().unwrap_or_default()).unwrap_or(Code::Internal);
                return Err(Refusal::new(code, text));
            }
        }
        Err(Refusal::internal("an operation ended without a result"))
    }

    /// Whether this one may ask for an operation at all.
    fn may(&self, operation: &str) -> bool {
        self.web.pipeline.may(&self.known, Kind::Admin, operation, &Resource::appliance())
    }

    /// The frame of a page of `place`.
    fn frame(&self, place: &str) -> Page<'_> {
        let open = PLACES.iter().filter(|(name, operation)| *name == "overview" || self.may(operation));
        let places = open.map(|(name, _)| Place {
            name,
            path: if *name == "overview" { "/ui/".into() } else { format!("/ui/{name}") },
            is_here: *name == place,
        });
        let query = Form::read(self.query.as_bytes());
        let said = query.text("said");
        let said = self.web.dashboard.words.find(self.look.language, &format!("said.{said}")).map(str::to_owned);
        let here = if self.is_post || self.query.is_empty() {
            format!("/ui/{}", if self.is_post { place } else { &self.path })
        } else {
            format!("/ui/{}?{}", self.path, self.query)
        };
        Page {
            dashboard: &self.web.dashboard,
            look: self.look,
            now: self.web.pipeline.clock().now(),
            proof: self.proof.clone(),
            who: Some(Who { name: self.account.clone(), role: self.known.principal().role.as_str() }),
            places: places.collect(),
            here,
            said,
            frozen: self.web.pipeline.frozen().map(|frozen| frozen.since.rfc3339()),
        }
    }

    /// A no, within the frame of the page that asked.
    fn refused(&self, place: &str, refusal: &Refusal) -> Response<Answer> {
        let place_path = if place == "overview" { "/ui/".to_owned() } else { format!("/ui/{place}") };
        // Not to itself: the place without what was asked of it, and from there to the first page.
        let is_itself = !self.is_post && self.query.is_empty() && self.path == place;
        self.refused_from(place, if is_itself { "/ui/" } else { &place_path }, refusal)
    }

    /// The same, with the page that leads back to.
    fn refused_from(&self, place: &str, back: &str, refusal: &Refusal) -> Response<Answer> {
        let page = self.frame(place);
        let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let shown = html(&Refused { page: &page, status: status.as_u16(), why: &refusal.public, back });
        let mut response = written(status, shown);
        tell_when(&mut response, refusal);
        response
    }
}

/// What the form of a login says.
#[derive(Debug)]
pub struct Asks<'a> {
    /// The key of what went wrong before.
    pub problem: Option<&'static str>,
    pub name: &'a str,
    /// No password is taken: there is nothing to fill in.
    pub is_closed: bool,
}

/// The form of whoever is not logged in.
pub fn login(web: &Web, look: Look, status: StatusCode, proof: &str, asks: &Asks<'_>) -> Response<Answer> {
    let page = outside(web, look, proof.to_owned());
    written(status, html(&Login { page: &page, asks }))
}

/// For whoever a link of another site led here: a link of ours to the same page.
pub fn on(web: &Web, look: Look, path: &str) -> Response<Answer> {
    let page = outside(web, look, String::new());
    written(StatusCode::OK, html(&On { page: &page, path }))
}

/// A no for whoever is not logged in, or is not let in now.
pub fn refused(web: &Web, look: Look, refusal: &Refusal) -> Response<Answer> {
    let page = outside(web, look, String::new());
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = written(
        status,
        html(&Refused { page: &page, status: status.as_u16(), why: &refusal.public, back: "/ui/login" }),
    );
    tell_when(&mut response, refusal);
    response
}

fn outside(web: &Web, look: Look, proof: String) -> Page<'_> {
    Page {
        dashboard: &web.dashboard,
        look,
        now: web.pipeline.clock().now(),
        proof,
        who: None,
        places: Vec::new(),
        here: "/ui/login".into(),
        said: None,
        frozen: None,
    }
}

/// A file of `assets/ui`, by what stands behind `/ui/assets/`.
pub fn asset(web: &Web, path: &str) -> Response<Answer> {
    web.dashboard.assets.answer(path)
}

/// On to another page of ours, with GET.
pub fn redirect(path: &str) -> Response<Answer> {
    let mut response = framed(StatusCode::SEE_OTHER, String::new());
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// To a stream whose session is over: the browser stops asking.
pub fn gone() -> Response<Answer> {
    framed(StatusCode::NO_CONTENT, String::new())
}

/// To one stream too many.
pub fn too_many() -> Response<Answer> {
    framed(StatusCode::TOO_MANY_REQUESTS, String::new())
}

fn written(status: StatusCode, html: Result<String, Refusal>) -> Response<Answer> {
    match html {
        Ok(html) => framed(status, html),
        Err(refusal) => {
            tracing::error!(reason = refusal.private, "a page of the dashboard could not be made");
            framed(StatusCode::INTERNAL_SERVER_ERROR, refusal.public)
        }
    }
}

/// With the headers that every page has.
fn framed(status: StatusCode, html: String) -> Response<Answer> {
    super::page(status, html, POLICY)
}

/// Arguments of an operation that takes none.
fn nothing() -> Value {
    json!({})
}
