//! The operations `audit.verify`, `audit.tail` and `audit.entry`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;

use super::request::{Request, about, parse};
use crate::audit::verify::Against;
use crate::audit::{Audit, AuditError, Disclosed, Numbered};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::crypto::sign::VerifyingKey;
use crate::custody::Custody;
use crate::operation::{About, Catalog, Cx, Effect, Kind, Operation, Outcome, Output};
use crate::report::gather::VERDICT;
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, audit: &Audit, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let (log, keeper, alone) = (audit.clone(), Arc::clone(custody), Arc::new(Semaphore::new(1)));
    let mut verify = about::<VerifyArguments>("audit.verify", "Verify the audit log", Effect::ReadOnly)
        .in_group(ActionGroup::AuditRead);
    verify.urgent = true;
    verify.argument_bytes_max = bound::VERIFY_ARGUMENT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(verify, move |cx, arguments| {
        let (audit, custody, cancel) = (log.clone(), Arc::clone(&keeper), cx.cancel.clone());
        // It reads the whole log: whoever asks again and again must not make the disk read it as often at once.
        let place = Arc::clone(&alone).try_acquire_owned();
        Box::pin(async move {
            let place = place.map_err(|_| {
                let public = "The log is being verified for somebody else. Ask again when that is done.";
                Refusal::new(Code::Busy, public).with_retry_after(Duration::from_secs(bound::ui::VERIFY_RETRY_SECONDS))
            })?;
            let VerifyArguments { keys, mut checkpoints } = parse(arguments)?;
            let keys = keys.iter().map(|key| VerifyingKey::parse(key)).collect::<Result<Vec<_>, _>>();
            let keys = keys.map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))?;
            if checkpoints.is_empty() {
                checkpoints = custody.keeper().outside();
            }
            let against = Against { keys, checkpoints };
            let work = move || {
                // Held until it ends: that is not when its caller leaves.
                let _place = place;
                audit.verify_until(&against, &|| cancel.is_cancelled())
            };
            let verdict = tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?.map_err(refused)?;
            let verdict = verdict.to_json();
            // So that the log says what was found, not only that somebody looked: reports count the sound ones.
            cx.meter.note(format!("{VERDICT}{}", verdict["verdict"].as_str().unwrap_or_default()));
            Ok(verdict)
        })
    })))?;
    let log = audit.clone();
    let mut entry = about::<One>("audit.entry", "Show one entry", Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    entry.urgent = true;
    catalog.add(Arc::new(Request::new(entry, move |_, arguments| {
        let shown = parse(arguments).and_then(|One { sequence }| {
            let found = log.read(sequence, 1).map_err(refused)?;
            let found = found.first().filter(|found| found.sequence == sequence);
            found.map(to_json).ok_or_else(|| {
                let public = format!("There is no entry {sequence}: the log has fewer, or it was pruned.");
                Refusal::new(Code::NotFound, public)
            })
        });
        Box::pin(async { shown })
    })))?;
    let input = schemars::schema_for!(TailArguments).to_value();
    let mut tail = About::reading(
        Kind::Admin,
        "audit.tail",
        "Show the last entries",
        "The last entries, and with follow those to come.",
        input,
    );
    tail.action_group = ActionGroup::AuditRead;
    (tail.tells, tail.urgent) = (true, true);
    tail.budget = Some(Duration::from_secs(bound::ADMIN_BUDGET_SECONDS));
    catalog.add(Arc::new(Tail { about: tail, audit: audit.clone() }))
}

fn refused(error: AuditError) -> Refusal {
    Refusal::internal(error)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VerifyArguments {
    /// Verifying keys whose signatures count; those that the log names itself, where none is given.
    #[serde(default)]
    #[schemars(length(max = 64))]
    keys: Vec<String>,
    /// Signed checkpoints; those that were exported, where none is given.
    #[serde(default)]
    checkpoints: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct One {
    /// Its number in the log.
    sequence: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TailArguments {
    /// How many of the last entries to begin with.
    #[serde(default = "ten")]
    #[schemars(range(max = 1000))]
    entries: usize,
    /// Of these only what came behind the entry of this number.
    #[serde(default)]
    after: Option<u64>,
    /// Go on with entries as they come, until the caller leaves.
    #[serde(default)]
    follow: bool,
}

fn ten() -> usize {
    10
}

struct Tail {
    about: About,
    audit: Audit,
}

impl Tail {
    async fn follow(&self, cx: &Cx, mut next: u64) -> Result<(), Refusal> {
        let mut feed = self.audit.subscribe();
        loop {
            // What was written between the look back and the subscription, or was missed for slowness.
            loop {
                let page = self.audit.read(next, bound::AUDIT_PAGE_ENTRIES_MAX).map_err(refused)?;
                if page.is_empty() {
                    break;
                }
                next += page.len() as u64;
                self.tell(cx, page).await;
            }
            let heard = tokio::select! {
                () = cx.cancel.cancelled() => return Err(Refusal::new(Code::Cancelled, "The caller left.")),
                heard = feed.recv() => heard,
            };
            match heard {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn tell(&self, cx: &Cx, entries: Vec<Numbered>) {
        for entry in entries {
            cx.caller.log(to_json(&entry)).await;
        }
    }
}

impl Operation for Tail {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let TailArguments { entries, after, follow } =
                serde_json::from_value(arguments).map_err(Refusal::internal)?;
            let size = self.audit.size().map_err(refused)?;
            let first =
                size.saturating_sub(entries as u64).max(after.map_or(0, |after| after.saturating_add(1))).min(size);
            let last = self.audit.read(first, entries).map_err(refused)?;
            let shown = last.len();
            self.tell(cx, last).await;
            if follow {
                self.follow(cx, first + shown as u64).await?;
            }
            Ok(Outcome::Done(Output::structured(json!({"entries": size, "shown": shown}), String::new())))
        })
    }
}

/// An entry as operators see it: with what is personal, as far as it can be had.
pub(super) fn to_json(numbered: &Numbered) -> Value {
    let mut value = serde_json::to_value(&*numbered.entry).unwrap_or_default();
    let Some(fields) = value.as_object_mut() else { return value };
    fields.remove("sealed");
    match &numbered.personal {
        Disclosed::Open(personal) => {
            if let Ok(Value::Object(personal)) = serde_json::to_value(&**personal) {
                fields.extend(personal);
            }
        }
        Disclosed::Sealed => drop(fields.insert("personal".into(), "sealed".into())),
        Disclosed::Erased => drop(fields.insert("personal".into(), "erased".into())),
        Disclosed::Damaged => drop(fields.insert("personal".into(), "damaged".into())),
    }
    if entry_is_nameless(&numbered.entry) && fields.get("principal").is_none_or(Value::is_null) {
        fields.insert("personal".into(), "withheld: the vault was sealed".into());
    }
    fields.retain(|_, field| !field.is_null());
    fields.insert("at".into(), numbered.entry.at.rfc3339().into());
    fields.insert("sequence".into(), numbered.sequence.into());
    value
}

/// Somebody was recognised, and nothing of them was written down.
fn entry_is_nameless(entry: &crate::audit::entry::Entry) -> bool {
    entry.scheme.is_some() && entry.subject.is_none()
}
