//! The operations `audit.verify` and `audit.tail`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::audit::entry::Entry;
use crate::audit::{Audit, AuditError, Numbered};
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Catalog, Cx, Kind, Operation, Outcome, Output};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, audit: &Audit) -> Result<(), NotASchema> {
    let nothing = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let mut verify = About::reading(
        Kind::Admin,
        "audit.verify",
        "Verify the audit log",
        "Checks every entry against the Merkle tree.",
        nothing,
    );
    verify.budget = Some(Duration::from_secs(bound::ADMIN_BUDGET_SECONDS));
    catalog.add(Arc::new(Verify { about: verify, audit: audit.clone() }))?;
    let input = schemars::schema_for!(TailArguments).to_value();
    let mut tail = About::reading(
        Kind::Admin,
        "audit.tail",
        "Show the last entries",
        "The last entries, and with follow those to come.",
        input,
    );
    tail.budget = Some(Duration::from_secs(bound::ADMIN_BUDGET_SECONDS));
    catalog.add(Arc::new(Tail { about: tail, audit: audit.clone() }))
}

fn refused(error: AuditError) -> Refusal {
    Refusal::internal(error)
}

struct Verify {
    about: About,
    audit: Audit,
}

impl Operation for Verify {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, _cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let audit = self.audit.clone();
            let verdict = tokio::task::spawn_blocking(move || audit.verify())
                .await
                .map_err(Refusal::internal)?
                .map_err(refused)?;
            Ok(Outcome::Done(Output::structured(verdict.to_json(), String::new())))
        })
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TailArguments {
    /// How many of the last entries to begin with.
    #[serde(default = "ten")]
    #[schemars(range(max = 1000))]
    entries: usize,
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
        for Numbered { sequence, entry } in entries {
            cx.caller.log(to_json(sequence, &entry)).await;
        }
    }
}

impl Operation for Tail {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let TailArguments { entries, follow } = serde_json::from_value(arguments).map_err(Refusal::internal)?;
            let size = self.audit.size().map_err(refused)?;
            let first = size.saturating_sub(entries as u64);
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

fn to_json(sequence: u64, entry: &Entry) -> Value {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
        fields.insert("at".into(), entry.at.rfc3339().into());
        fields.insert("sequence".into(), sequence.into());
    }
    value
}
