//! The operations `session.list` and `session.end`. No answer holds a whole session id.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{Request, answering, parse, written};
use crate::audit::Audit;
use crate::auth::gate::Gate;
use crate::auth::policy::ask::ActionGroup;
use crate::auth::session::{Listed, SessionError, Which};
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, gate: &Gate, audit: &Audit) -> Result<(), NotASchema> {
    let sessions = Arc::clone(&gate.sessions);
    let list = answering::<List, Sessions>("session.list", "List the sessions", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(list.in_group(ActionGroup::Operate), move |_, arguments| {
        let answer = parse(arguments).and_then(|List { principal, limit }| {
            let (listed, all) = sessions.list();
            let wanted = |session: &&Listed| principal.as_deref().is_none_or(|wanted| *session.principal == *wanted);
            let items = listed.iter().filter(wanted).take(limit).map(facts).collect();
            written(&Sessions { items, all })
        });
        Box::pin(async { answer })
    })))?;
    let (gate, audit) = (gate.clone(), audit.clone());
    let end = answering::<End, EndedSessions>("session.end", "End sessions", Effect::Destroys);
    catalog.add(Arc::new(Request::new(end.in_group(ActionGroup::Operate), move |_, arguments| {
        let (gate, audit) = (gate.clone(), audit.clone());
        Box::pin(async move {
            let which = which(parse(arguments)?)?;
            let over = gate.sessions.end(&which).map_err(|error| match error {
                SessionError::TooManyDenials => Refusal::new(Code::Conflict, format!("{error}.")),
                error => Refusal::internal(error),
            })?;
            if over.is_empty() {
                return Err(Refusal::new(
                    Code::NotFound,
                    "There is no such session. `sekisho session list` lists them.",
                ));
            }
            let ended = over.iter().map(|over| over.id.short().to_owned()).collect();
            let mut denied: Vec<String> =
                over.iter().filter(|over| over.denied).map(|over| over.credential.to_string()).collect();
            denied.dedup();
            for over in over {
                gate.write_end(&audit, over).await.map_err(Refusal::internal)?;
            }
            written(&EndedSessions { ended, denied })
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// Only the sessions of this principal.
    #[serde(default)]
    #[schemars(length(max = 256))]
    principal: Option<String>,
    /// At most so many, those that were used last.
    #[serde(default = "rows_max")]
    #[schemars(range(min = 1, max = bound::GATE_LIST_ROWS_MAX))]
    limit: usize,
}

fn rows_max() -> usize {
    bound::GATE_LIST_ROWS_MAX
}

#[derive(Serialize, JsonSchema)]
struct Sessions {
    items: Vec<Fact>,
    /// How many sessions there are, of all principals.
    all: usize,
}

#[derive(Serialize, JsonSchema)]
struct Fact {
    /// The beginning of its id, by which it is named.
    session: String,
    principal: String,
    /// The credential that was shown, by its name.
    shown: String,
    scheme: String,
    transport: String,
    /// RFC 3339.
    began: String,
    /// When it was last used, RFC 3339.
    seen: String,
    calls: u64,
    /// Calls under way.
    in_flight: usize,
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

#[derive(Serialize, JsonSchema)]
struct EndedSessions {
    /// Short ids.
    ended: Vec<String>,
    /// Credentials that hold no more until they are issued again. Not "credentials": what has that name is masked.
    denied: Vec<String>,
}

fn which(end: End) -> Result<Which, Refusal> {
    match (end.session, end.principal) {
        (Some(short), None) => Ok(Which::Short(short.to_ascii_lowercase())),
        (None, Some(principal)) => Ok(Which::Principal(principal)),
        _ => Err(Refusal::new(Code::Invalid, "Name a session or a principal, one of the two.")),
    }
}

fn facts(session: &Listed) -> Fact {
    Fact {
        session: session.short.clone(),
        principal: session.principal.to_string(),
        shown: session.credential.to_string(),
        scheme: session.scheme.to_string(),
        transport: session.transport.to_string(),
        began: session.began.rfc3339(),
        seen: session.seen.rfc3339(),
        calls: session.calls,
        in_flight: session.in_flight,
    }
}
