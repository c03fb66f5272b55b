//! The operations `freeze` and `unfreeze`: nothing but health and the log is served, until somebody at this machine says
//! otherwise.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lifecycle::Lifecycle;
use super::request::{Nothing, Request, answering, parse, written};
use crate::auth::policy::ask::ActionGroup;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, lifecycle: &Arc<dyn Lifecycle>) -> Result<(), NotASchema> {
    let life = Arc::clone(lifecycle);
    let title = "Serve nothing but health and the audit log";
    let mut freeze = answering::<Freeze, Frost>("freeze", title, Effect::Changes).in_group(ActionGroup::Operate);
    (freeze.idempotent, freeze.in_freeze, freeze.urgent) = (true, true, true);
    catalog.add(Arc::new(Request::new(freeze, move |cx, arguments| {
        let (life, by) = (Arc::clone(&life), Arc::clone(&cx.principal.id));
        Box::pin(async move {
            let Freeze { reason } = parse(arguments)?;
            let (since, reason) = life.freeze(&by, &reason).await?;
            written(&Frost { frozen: true, since: Some(since), reason: Some(reason) })
        })
    })))?;
    let life = Arc::clone(lifecycle);
    let title = "Serve everything again, after a freeze";
    let mut thaw = answering::<Nothing, Frost>("unfreeze", title, Effect::Changes).in_group(ActionGroup::Operate);
    // Whoever has stolen a credential must not thaw what was frozen for it.
    (thaw.idempotent, thaw.in_freeze, thaw.at_machine, thaw.urgent) = (true, true, true, true);
    catalog.add(Arc::new(Request::new(thaw, move |_, _| {
        let life = Arc::clone(&life);
        Box::pin(async move {
            let held = life.unfreeze().await?;
            let (since, reason) = held.map_or((None, None), |(since, reason)| (Some(since), Some(reason)));
            written(&Frost { frozen: false, since, reason })
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Freeze {
    /// Why, for whoever meets it, and for the audit log.
    #[serde(default)]
    #[schemars(length(max = 256))]
    reason: String,
}

#[derive(Serialize, JsonSchema)]
struct Frost {
    frozen: bool,
    /// RFC 3339: since when it is, or was.
    since: Option<String>,
    reason: Option<String>,
}
