//! The operations `server.yield`, by which a process that only happens to own the data directory gives it to a server,
//! and `drain`, by which a server finishes what is under way and ends.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::request::{Nothing, Request, about, answering, parse, written};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::refusal::Refusal;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

/// What an operator may do to the running process; injected by `app`.
pub trait Lifecycle: Send + Sync {
    /// Begins to give the data directory up, if this process is one that does.
    fn yield_directory(&self) -> Result<(), Refusal>;

    /// Lets no new call begin, and ends this process when none is under way any more, at the latest after `patience`.
    /// Gives how many are under way. Only a server can be drained.
    fn drain(&self, patience: Duration) -> Result<usize, Refusal>;

    /// Serves nothing but health and the log from now on; gives since when (RFC 3339), and why.
    fn freeze<'a>(&'a self, by: &'a str, reason: &'a str) -> BoxFuture<'a, Result<(String, String), Refusal>>;

    /// Serves everything again; gives since when it was frozen, and why, if it was.
    fn unfreeze(&self) -> BoxFuture<'_, Result<Option<(String, String)>, Refusal>>;
}

pub(super) fn register(catalog: &Catalog, lifecycle: &Arc<dyn Lifecycle>) -> Result<(), NotASchema> {
    let life = Arc::clone(lifecycle);
    let title = "Give the data directory to a server that starts";
    let mut yields = about::<Nothing>("server.yield", title, Effect::Changes).in_group(ActionGroup::Operate);
    (yields.at_machine, yields.in_freeze) = (true, true);
    catalog.add(Arc::new(Request::new(yields, move |_, _| {
        let answer = life.yield_directory().map(|()| json!({"yielding": true}));
        Box::pin(async { answer })
    })))?;
    let life = Arc::clone(lifecycle);
    let title = "Let no new call begin, finish those under way, and end the server";
    let mut drain = answering::<Drain, Leaving>("drain", title, Effect::Changes).in_group(ActionGroup::Operate);
    (drain.idempotent, drain.urgent, drain.in_freeze) = (true, true, true);
    catalog.add(Arc::new(Request::new(drain, move |_, arguments| {
        let answer = parse(arguments).and_then(|Drain { timeout_seconds }| {
            let in_flight = life.drain(Duration::from_secs(timeout_seconds))?;
            written(&Leaving { draining: true, in_flight, timeout_seconds, process: std::process::id() })
        });
        Box::pin(async { answer })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Drain {
    /// How long calls under way may take; then the server ends without them.
    #[serde(default = "usual_seconds")]
    #[schemars(range(min = 0, max = bound::DRAIN_SECONDS_MAX))]
    timeout_seconds: u64,
}

fn usual_seconds() -> u64 {
    bound::DRAIN_SECONDS
}

#[derive(Serialize, JsonSchema)]
struct Leaving {
    draining: bool,
    /// Calls that are under way now.
    in_flight: usize,
    timeout_seconds: u64,
    /// The process that ends.
    process: u32,
}
