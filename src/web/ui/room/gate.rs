//! The pages of sessions and of bans.

use askama::Template;
use serde_json::json;

use super::super::fact::Fact;
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Visit, nothing};
use crate::base::bound::ui as bound;
use crate::base::refusal::Refusal;

#[derive(Template)]
#[template(path = "ui/sessions.html", config = "assets/askama.toml")]
struct Sessions<'a> {
    page: &'a Page<'a>,
    sessions: Fact<'a>,
    may_end: bool,
    may_search: bool,
    /// The credential of whoever looks: ending its session shuts them out themselves.
    own: String,
}

pub(in super::super) async fn sessions(visit: &Visit) -> Result<String, Refusal> {
    let sessions = visit.read("session.list", json!({"limit": bound::UI_ROWS_MAX})).await?;
    let page = visit.frame("sessions");
    let own = visit.known.principal().credential.to_string();
    html(&Sessions {
        page: &page,
        sessions: Fact(&sessions),
        may_end: visit.may("session.end"),
        may_search: visit.may("audit.search"),
        own,
    })
}

#[derive(Template)]
#[template(path = "ui/bans.html", config = "assets/askama.toml")]
struct Bans<'a> {
    page: &'a Page<'a>,
    bans: Fact<'a>,
    may_add: bool,
    may_lift: bool,
    /// What another page wants banned, or a form that was refused.
    kind: &'a str,
    name: &'a str,
    minutes: &'a str,
    reason: &'a str,
}

pub(in super::super) async fn bans(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let bans = visit.read("ban.list", nothing()).await?;
    let page = visit.frame("bans");
    html(&Bans {
        page: &page,
        bans: Fact(&bans),
        may_add: visit.may("ban.add"),
        may_lift: visit.may("ban.lift"),
        kind: query.text("kind"),
        name: query.text("name"),
        minutes: query.text("minutes"),
        reason: query.text("reason"),
    })
}
