//! The operations `backup.make`, `backup.list`, `backup.now` and `backup.verify`.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Nothing, Request, about, absolute, parse};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::{Code, Refusal};
use crate::custody::Custody;
use crate::custody::backup::{Listed, Made};
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let keeper = Arc::clone(custody);
    let mut make = about::<Make>("backup.make", "Back the database up into a file", Effect::Changes)
        .in_group(ActionGroup::Operate);
    make.argument_bytes_max *= 4;
    make.at_machine = true;
    catalog.add(Arc::new(Request::new(make, move |_, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Make { path } = parse(arguments)?;
            Ok(shown(&custody.backup(absolute(&path)?).await?))
        })
    })))?;
    let keeper = Arc::clone(custody);
    let list = about::<Nothing>("backup.list", "List the backups in backup.directory", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(list.in_group(ActionGroup::Operate), move |_, _| {
        let listed = keeper.backups().map_err(Refusal::from).map(|listed| {
            let item = |it: &Listed| json!({"file": it.name, "made": it.made.rfc3339(), "bytes": it.bytes});
            json!({
                "directory": listed.directory.map(|directory| directory.display().to_string()),
                "every_hours": listed.every.as_secs() / 3600,
                "keep": listed.keep,
                "verified": listed.verified.map(|it| {
                    let file = Path::new(&it.what).file_name().unwrap_or_default().to_string_lossy().into_owned();
                    json!({"at": it.at.rfc3339(), "file": file, "fault": it.fault})
                }),
                "items": listed.items.iter().map(item).collect::<Vec<_>>(),
            })
        });
        Box::pin(async { listed })
    })))?;
    let keeper = Arc::clone(custody);
    let title = "Back the database up into backup.directory now";
    let now = about::<Nothing>("backup.now", title, Effect::Changes).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(now, move |_, _| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let made = custody.backup_now().await?;
            made.as_ref().map(shown).ok_or_else(|| {
                let public =
                    "No folder is set for backups: set backup.directory, or name a file with `sekisho backup`.";
                Refusal::new(Code::Conflict, public)
            })
        })
    })))?;
    let keeper = Arc::clone(custody);
    let title = "Open a backup and check all that is in it";
    let mut verify = about::<Make>("backup.verify", title, Effect::Changes).in_group(ActionGroup::Operate);
    verify.argument_bytes_max *= 4;
    (verify.at_machine, verify.idempotent) = (true, true);
    catalog.add(Arc::new(Request::new(verify, move |_, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Make { path } = parse(arguments)?;
            let checked = custody.verify_backup_and_note(absolute(&path)?).await?;
            Ok(json!({
                "path": path,
                "made": checked.made,
                "audit_entries": checked.audit_entries,
                "database_bytes": checked.database_bytes,
            }))
        })
    })))
}

/// What was made, and of what.
fn shown(made: &Made) -> Value {
    json!({
        "path": made.path.display().to_string(),
        "bytes": made.bytes,
        "paused_ms": u64::try_from(made.paused.as_millis()).unwrap_or(u64::MAX),
        "audit_entries": made.header.audit_entries,
        "audit_root": made.header.audit_root,
        "made": made.header.made.rfc3339(),
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Make {
    /// An absolute path on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
}
