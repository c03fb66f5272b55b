//! The operations `alert.list`, `.acknowledge`, `.test`.

use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Nothing, Request, about, parse};
use crate::auth::policy::ask::ActionGroup;
use crate::base::clock::Timestamp;
use crate::base::refusal::{Code, Refusal};
use crate::base::severity::Severity;
use crate::operation::{Catalog, Effect};
use crate::report::gather::ACKNOWLEDGED;
use crate::schema::NotASchema;

/// An incident that others should hear of.
#[derive(Clone, Debug)]
pub struct Announced {
    pub severity: Severity,
    /// Its type.
    pub kind: String,
    /// What it concerns.
    pub systems: Vec<String>,
    /// Its number and its title.
    pub title: String,
    /// What is known; may be empty.
    pub description: String,
}

/// The alerts that there are; the watch implements it, and `app` injects it.
pub trait Alerts: Send + Sync {
    /// Newest first. `since` is a time as people type it.
    fn list(&self, since: Option<&str>, severity: Severity) -> Result<Vec<Value>, Refusal>;
    /// All that came between two times, newest first, each with when it came first; one that began before and went on
    /// counts where it began or went on.
    fn between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, Value)>, Refusal>;
    /// The alert; `None` where there is none of this id.
    fn acknowledge(&self, id: u64) -> BoxFuture<'_, Result<Option<Value>, Refusal>>;
    /// Tells the places, and the contacts, of an incident.
    fn announce(&self, incident: Announced) -> BoxFuture<'_, ()>;
    /// What each place answered to a test.
    fn test(&self) -> BoxFuture<'_, Value>;
}

pub(super) fn register(catalog: &Catalog, alerts: &Arc<dyn Alerts>) -> Result<(), NotASchema> {
    let kept = Arc::clone(alerts);
    let mut list = about::<List>("alert.list", "List the alerts", Effect::ReadOnly).in_group(ActionGroup::Operate);
    list.in_freeze = true;
    catalog.add(Arc::new(Request::new(list, move |_, arguments| {
        let found = parse(arguments).and_then(|List { since, severity }| kept.list(since.as_deref(), severity));
        Box::pin(async { Ok(json!({"alerts": found?})) })
    })))?;
    let kept = Arc::clone(alerts);
    let mut acknowledge = about::<One>("alert.acknowledge", "Note that an alert was looked at", Effect::Changes)
        .in_group(ActionGroup::Operate);
    acknowledge.in_freeze = true;
    catalog.add(Arc::new(Request::new(acknowledge, move |cx, arguments| {
        let alerts = Arc::clone(&kept);
        Box::pin(async move {
            let One { id } = parse(arguments)?;
            let found = alerts.acknowledge(id).await?;
            // So that the log says which one: reports name who looked at an alert.
            cx.meter.note(format!("{ACKNOWLEDGED}{id}"));
            found.ok_or_else(|| {
                Refusal::new(
                    Code::NotFound,
                    format!("There is no alert {id}; `sekisho alert list` shows those there are."),
                )
            })
        })
    })))?;
    let kept = Arc::clone(alerts);
    let test =
        about::<Nothing>("alert.test", "Send a test alert everywhere", Effect::Changes).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(test, move |_, _| {
        let alerts = Arc::clone(&kept);
        Box::pin(async move { Ok(json!({"places": alerts.test().await})) })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// An RFC 3339 time, a date, or a span before now such as 2h.
    #[serde(default)]
    #[schemars(length(max = 64))]
    since: Option<String>,
    /// The least that is shown.
    #[serde(default)]
    severity: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct One {
    id: u64,
}
