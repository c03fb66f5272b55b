//! The operations `ban.add`, `ban.list` and `ban.lift`.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{Done, Nothing, Request, answering, done, parse, written};
use crate::auth::ban::{BanError, BanRecord, Target};
use crate::auth::gate::Gate;
use crate::auth::policy::ask::ActionGroup;
use crate::base::clock::Timestamp;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;
use crate::store::Batch;

pub(super) fn register(catalog: &Catalog, gate: &Gate) -> Result<(), NotASchema> {
    let own = gate.clone();
    let title = "Ban an address, a principal, a session or a credential";
    let add = answering::<Add, Ban>("ban.add", title, Effect::Changes).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(add, move |cx, arguments| {
        let (gate, by) = (own.clone(), Arc::clone(&cx.principal.id));
        Box::pin(async move {
            let Add { kind, name, minutes, reason } = parse(arguments)?;
            let target = Target::parse(&kind, &name).map_err(refused)?;
            let length = minutes.map(|minutes| Duration::from_secs(60 * minutes));
            let (record, row) = gate.bans.add(&target, &reason, length, &by).map_err(refused)?;
            gate.store.commit(Batch::puts(vec![row])).await.map_err(Refusal::internal)?;
            let answer = written(&facts(&target, &record));
            gate.bans.added(target, record);
            answer
        })
    })))?;
    let bans = Arc::clone(&gate.bans);
    let list = answering::<Nothing, AllBans>("ban.list", "List the bans", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(list.in_group(ActionGroup::Operate), move |_, _| {
        let (listed, all) = bans.list();
        let items = listed.iter().map(|(target, record)| facts(target, record)).collect();
        let answer = written(&AllBans { items, all });
        Box::pin(async { answer })
    })))?;
    let gate = gate.clone();
    let lift = answering::<Lift, Done>("ban.lift", "Lift a ban", Effect::Changes);
    catalog.add(Arc::new(Request::new(lift.in_group(ActionGroup::Operate), move |_, arguments| {
        let gate = gate.clone();
        Box::pin(async move {
            let Lift { kind, name } = parse(arguments)?;
            let target = Target::parse(&kind, &name).map_err(refused)?;
            let Some(row) = gate.bans.lift(&target) else {
                let public = format!("No {kind} {} is banned. `sekisho ban list` lists the bans.", target.name());
                return Err(Refusal::new(Code::NotFound, public));
            };
            gate.store.commit(Batch::puts(vec![row])).await.map_err(Refusal::internal)?;
            gate.bans.lifted(&target);
            Ok(done())
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    /// address, principal, session or credential.
    #[schemars(length(max = 16))]
    kind: String,
    #[schemars(length(max = 256))]
    name: String,
    /// How long; without it until the ban is lifted.
    #[serde(default)]
    #[schemars(range(min = 1, max = 5_256_000))]
    minutes: Option<u64>,
    #[serde(default)]
    #[schemars(length(max = 256))]
    reason: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lift {
    #[schemars(length(max = 16))]
    kind: String,
    #[schemars(length(max = 256))]
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct AllBans {
    items: Vec<Ban>,
    /// How many there are; the list has the newest 1000.
    all: usize,
}

#[derive(Serialize, JsonSchema)]
struct Ban {
    /// address, principal, session or credential.
    kind: String,
    name: String,
    reason: String,
    /// RFC 3339.
    made: String,
    /// Without it until the ban is lifted.
    until: Option<String>,
    /// The principal that made it, or "sekisho".
    by: String,
}

fn facts(target: &Target, record: &BanRecord) -> Ban {
    Ban {
        kind: target.kind().to_owned(),
        name: target.name(),
        reason: record.reason.clone(),
        made: record.made.rfc3339(),
        until: record.until.map(Timestamp::rfc3339),
        by: record.by.as_deref().unwrap_or("sekisho").to_owned(),
    }
}

pub(super) fn refused(error: BanError) -> Refusal {
    let code = match &error {
        BanError::Store(_) => return Refusal::internal(error),
        BanError::TooMany(_) => Code::Conflict,
        BanError::ThisMachine => Code::Forbidden,
        BanError::Kind(_) | BanError::Name(_) | BanError::Address(_) | BanError::TooWide(_) => Code::Invalid,
    };
    Refusal::new(code, format!("{error}."))
}
