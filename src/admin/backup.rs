//! The operations `backup.make` and `backup.verify`.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::request::{Request, about, parse};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::{Code, Refusal};
use crate::custody::Custody;
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
            let made = custody.backup(absolute(&path)?).await?;
            Ok(json!({
                "path": made.path.display().to_string(),
                "bytes": made.bytes,
                "paused_ms": u64::try_from(made.paused.as_millis()).unwrap_or(u64::MAX),
                "audit_entries": made.header.audit_entries,
                "audit_root": made.header.audit_root,
                "made": made.header.made.rfc3339(),
            }))
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

fn absolute(path: &str) -> Result<&Path, Refusal> {
    let found = Path::new(path);
    let wrong = || Refusal::new(Code::Invalid, format!("The path must be absolute; found {path}."));
    if found.is_absolute() { Ok(found) } else { Err(wrong()) }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Make {
    /// An absolute path on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
}
