//! The operations `session.list` and `session.end`. No answer holds a whole session id.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Nothing, Request, about, parse};
use crate::audit::Audit;
use crate::auth::gate::Gate;
use crate::auth::policy::ask::ActionGroup;
use crate::auth::session::{Listed, SessionError, Which};
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, gate: &Gate, audit: &Audit) -> Result<(), NotASchema> {
    let sessions = Arc::clone(&gate.sessions);
    let list = about::<Nothing>("session.list", "List the sessions", Effect::ReadOnly).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(list, move |_, _| {
        let (listed, all) = sessions.list();
        let items: Vec<Value> = listed.iter().map(facts).collect();
        Box::pin(async move { Ok(json!({"items": items, "all": all})) })
    })))?;
    let (gate, audit) = (gate.clone(), audit.clone());
    let end = about::<End>("session.end", "End sessions", Effect::Destroys).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(end, move |_, arguments| {
        let (gate, audit) = (gate.clone(), audit.clone());
        Box::pin(async move {
            let which = which(parse(arguments)?)?;
            let ended = gate.sessions.end(&which).map_err(|error| match error {
                SessionError::TooManyDenials => Refusal::new(Code::Conflict, format!("{error}.")),
                error => Refusal::internal(error),
            })?;
            if ended.is_empty() {
                return Err(Refusal::new(
                    Code::NotFound,
                    "There is no such session. `sekisho session list` lists them.",
                ));
            }
            let mut denied: Vec<&str> =
                ended.iter().filter(|ended| ended.denied).map(|ended| &*ended.credential).collect();
            denied.dedup();
            let answer = json!({
                "ended": ended.iter().map(|ended| ended.id.short()).collect::<Vec<_>>(),
                // Not "credentials": what has that name is masked on its way out.
                "denied": denied,
            });
            for ended in ended {
                gate.write_end(&audit, ended).await.map_err(Refusal::internal)?;
            }
            Ok(answer)
        })
    })))
}

/// Arguments of `session.end`: one of the two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct End {
    /// The short id that `session.list` shows.
    #[schemars(length(max = 64))]
    session: Option<String>,
    /// Ends all sessions of this principal.
    #[schemars(length(max = 256))]
    principal: Option<String>,
}

fn which(end: End) -> Result<Which, Refusal> {
    match (end.session, end.principal) {
        (Some(short), None) => Ok(Which::Short(short.to_ascii_lowercase())),
        (None, Some(principal)) => Ok(Which::Principal(principal)),
        _ => Err(Refusal::new(Code::Invalid, "Name a session or a principal, one of the two.")),
    }
}

fn facts(session: &Listed) -> Value {
    json!({
        "session": session.short,
        "principal": session.principal,
        "shown": session.credential,
        "scheme": session.scheme,
        "transport": session.transport,
        "began": session.began.rfc3339(),
        "seen": session.seen.rfc3339(),
        "calls": session.calls,
        "in_flight": session.in_flight,
    })
}
