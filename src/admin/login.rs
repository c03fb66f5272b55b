//! The operations `connector.login.begin`, `.finish`, `.device`, `.poll`, `.password`, `connector.logout` and
//! `connector.auth`: people log in to the APIs of connectors, and operators look who is.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::connector_facts::seen;
use super::request::{Request, about, parse};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound::oauth as bound;
use crate::base::refusal::{Code, Refusal, whole_seconds};
use crate::base::secret::Secret;
use crate::connector::oauth::case;
use crate::connector::oauth::desk::{Desk, Standing};
use crate::connector::oauth::login::{For, Polled};
use crate::connector::record::ConnectorRecord;
use crate::connector::registry::Connectors;
use crate::operation::{Catalog, Cx, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    browser(catalog, connectors, desk)?;
    device(catalog, connectors, desk)?;
    password(catalog, connectors, desk)?;
    standing(catalog, connectors, desk)
}

fn browser(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    let (keeper, at) = (Arc::clone(connectors), desk.clone());
    let begin = about::<Begin>("connector.login.begin", "Begin a person's login to a connector", Effect::Changes);
    catalog.add(Arc::new(Request::new(begin, move |cx, arguments| {
        let begun = parse(arguments).and_then(|Begin { name, principal, redirect_uri }| {
            let record = seen(cx, &keeper, &name)?;
            let whose = whose(cx, &record, principal)?;
            let begun = at.begin(&record, For { whose: &whose, by: &cx.principal.id }, redirect_uri)?;
            Ok(json!({"url": begun.url, "ticket": begun.ticket, "whose": whose}))
        });
        Box::pin(async { begun })
    })))?;
    let (keeper, at) = (Arc::clone(connectors), desk.clone());
    let mut finish = about::<Finish>(
        "connector.login.finish",
        "Finish a person's login with what the browser brought",
        Effect::Changes,
    );
    finish.secret_arguments = true;
    finish.argument_bytes_max = bound::OAUTH_CALLBACK_BYTES_MAX + crate::base::bound::ARGUMENT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(finish, move |cx, arguments| {
        let (keeper, at) = (Arc::clone(&keeper), at.clone());
        Box::pin(async move {
            let Finish { name, ticket, mut answer } = parse(arguments)?;
            let back = Secret::new(answer.as_bytes());
            answer.zeroize();
            let record = seen(cx, &keeper, &name)?;
            Ok(shown(&at.finish(&record, &ticket, &cx.principal.id, &back).await?))
        })
    })))
}

fn device(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    let (keeper, at) = (Arc::clone(connectors), desk.clone());
    let begin = about::<Device>("connector.login.device", "Begin a person's login on another machine", Effect::Changes);
    catalog.add(Arc::new(Request::new(begin, move |cx, arguments| {
        let (keeper, at) = (Arc::clone(&keeper), at.clone());
        Box::pin(async move {
            let Device { name, principal } = parse(arguments)?;
            let record = seen(cx, &keeper, &name)?;
            let whose = whose(cx, &record, principal)?;
            let begun = at.begin_device(&record, For { whose: &whose, by: &cx.principal.id }).await?;
            Ok(json!({
                "ticket": begun.ticket,
                "whose": whose,
                "user_code": begun.user_code,
                "url": begun.uri,
                "url_with_code": begun.uri_complete,
                "seconds_left": begun.life.as_secs(),
                "wait_seconds": whole_seconds(begun.interval),
            }))
        })
    })))?;
    let (keeper, at) = (Arc::clone(connectors), desk.clone());
    let poll =
        about::<Poll>("connector.login.poll", "Ask whether a person logged in on another machine", Effect::Changes);
    catalog.add(Arc::new(Request::new(poll, move |cx, arguments| {
        let (keeper, at) = (Arc::clone(&keeper), at.clone());
        Box::pin(async move {
            let Poll { name, ticket } = parse(arguments)?;
            let record = seen(cx, &keeper, &name)?;
            Ok(match at.poll(&record, &ticket, &cx.principal.id).await? {
                Polled::Waits(wait) => json!({"waits": true, "wait_seconds": whole_seconds(wait)}),
                Polled::Done(standing) => shown(&standing),
            })
        })
    })))
}

fn password(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    let (keeper, at) = (Arc::clone(connectors), desk.clone());
    let mut login =
        about::<ByPassword>("connector.login.password", "Log a person in to a connector by password", Effect::Changes);
    login.secret_arguments = true;
    catalog.add(Arc::new(Request::new(login, move |cx, arguments| {
        let (keeper, at) = (Arc::clone(&keeper), at.clone());
        Box::pin(async move {
            let ByPassword { name, principal, username, mut password } = parse(arguments)?;
            let secret = Secret::new(password.as_bytes());
            password.zeroize();
            cx.used.note(&secret)?;
            let record = seen(cx, &keeper, &name)?;
            let whose = whose(cx, &record, principal)?;
            Ok(shown(&at.password(&record, &whose, &username, secret).await?))
        })
    })))
}

fn standing(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    let (keeper, at) = (Arc::clone(connectors), desk.clone());
    let mut logout = about::<Logout>("connector.logout", "Forget the tokens of a connector", Effect::Destroys);
    logout.idempotent = true;
    catalog.add(Arc::new(Request::new(logout, move |cx, arguments| {
        let (keeper, at) = (Arc::clone(&keeper), at.clone());
        Box::pin(async move {
            let Logout { name, principal, all } = parse(arguments)?;
            let record = seen(cx, &keeper, &name)?;
            if !all {
                let whose = whose(cx, &record, principal)?;
                let was = at.logout(&record, &whose).await?;
                return Ok(json!({"whose": whose, "was_logged_in": was}));
            }
            at.logout_all(&record).await?;
            Ok(json!({"all": true}))
        })
    })))?;
    let (keeper, at) = (Arc::clone(connectors), desk.clone());
    let look = about::<Named>("connector.auth", "Say who is logged in to a connector", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(look.in_group(ActionGroup::Operate), move |cx, arguments| {
        let (keeper, at) = (Arc::clone(&keeper), at.clone());
        Box::pin(async move {
            let Named { name } = parse(arguments)?;
            let record = seen(cx, &keeper, &name)?;
            let items: Vec<Value> = at.standings(&record).await?.iter().map(shown).collect();
            Ok(json!({"items": items}))
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Begin {
    #[schemars(length(max = 64))]
    name: String,
    /// Who is to be logged in, where each logs in alone: a principal's id, such as `account:ann`. None: whoever asks; at
    /// this machine the agents that they start over stdio.
    #[serde(default)]
    #[schemars(length(max = 256))]
    principal: Option<String>,
    /// Where the authorization server sends the browser back to.
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    redirect_uri: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Finish {
    #[schemars(length(max = 64))]
    name: String,
    #[schemars(length(max = 64))]
    ticket: String,
    /// The URL that the browser was sent back to, or its query.
    #[schemars(length(max = 16384), extend("x-sekisho-field" = "other"))]
    answer: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Device {
    #[schemars(length(max = 64))]
    name: String,
    /// As in `connector.login.begin`.
    #[serde(default)]
    #[schemars(length(max = 256))]
    principal: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Poll {
    #[schemars(length(max = 64))]
    name: String,
    #[schemars(length(max = 64))]
    ticket: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ByPassword {
    #[schemars(length(max = 64))]
    name: String,
    /// As in `connector.login.begin`.
    #[serde(default)]
    #[schemars(length(max = 256))]
    principal: Option<String>,
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    username: String,
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Logout {
    #[schemars(length(max = 64))]
    name: String,
    /// As in `connector.login.begin`.
    #[serde(default)]
    #[schemars(length(max = 256))]
    principal: Option<String>,
    /// Everybody, tokens that cannot be read any more included.
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    #[schemars(length(max = 64))]
    name: String,
}

/// The person at this machine logs in for the agents that they start here: these are who calls.
fn whose(cx: &Cx, record: &ConnectorRecord, principal: Option<String>) -> Result<String, Refusal> {
    let own = cx.principal.id.strip_prefix("local:").map(|uid| format!("stdio:{uid}"));
    let is_named = principal.is_some();
    let principal = principal.or(own).unwrap_or_else(|| cx.principal.id.to_string());
    let whose = case::whose(record, &principal)?;
    if is_named && whose != principal {
        let public = format!("{} has one login for all; nobody logs in alone.", record.name);
        return Err(Refusal::new(Code::Invalid, public));
    }
    Ok(whose)
}

/// "token" in a name would mask what stands there on its way out.
fn shown(standing: &Standing) -> Value {
    let Standing { whose, is_logged_in, since, expires, is_refreshed, scope, ended } = standing;
    json!({
        "whose": whose,
        "logged_in": is_logged_in,
        "since": since.map(crate::base::clock::Timestamp::rfc3339),
        "expires": expires.map(crate::base::clock::Timestamp::rfc3339),
        "refreshed": is_refreshed,
        "scope": scope,
        "ended": ended,
    })
}
