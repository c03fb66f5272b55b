//! The operations `audit.prune`, `.erase`, `.checkpoint`, `.prove`: what becomes of entries, and what vouches for them.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::{Nothing, Request, about, parse};
use crate::audit::entry::{Draft, Event};
use crate::audit::{Audit, AuditError, export, keep, log, proof, tree};
use crate::auth::policy::ask::ActionGroup;
use crate::base::clock::Timestamp;
use crate::base::id::hex;
use crate::base::refusal::{Code, Refusal};
use crate::config::Retention;
use crate::custody::{Custody, CustodyError};
use crate::operation::{Catalog, Cx, Effect};
use crate::schema::NotASchema;
use crate::store::Snapshot;

pub(super) fn register(catalog: &Catalog, audit: &Audit, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let (log, keeper) = (audit.clone(), Arc::clone(custody));
    let mut prune = about::<Prune>("audit.prune", "Remove old entries, in whole tiles", Effect::Destroys);
    prune.urgent = true;
    catalog.add(Arc::new(Request::new(prune, move |cx, arguments| {
        let (audit, custody) = (log.clone(), Arc::clone(&keeper));
        Box::pin(async move { prune_now(cx, &audit, &custody, parse(arguments)?).await })
    })))?;
    let (log, keeper) = (audit.clone(), Arc::clone(custody));
    let mut erase = about::<Erase>("audit.erase", "Destroy a subject's keys", Effect::Destroys);
    // Who is to be forgotten should not stay in the log as what somebody typed.
    erase.secret_arguments = true;
    catalog.add(Arc::new(Request::new(erase, move |cx, arguments| {
        let (audit, custody) = (log.clone(), Arc::clone(&keeper));
        Box::pin(async move {
            let Erase { subject } = parse(arguments)?;
            let erased = audit.erase(&subject, draft_of(cx, &audit)).await.map_err(CustodyError::from)?;
            let file = custody.keeper().erasures();
            export::put_erasures(file, audit.now().0, &erased).map_err(|error| {
                Refusal::new(
                    Code::Unavailable,
                    format!("The keys are destroyed, but {} could not be told, so a restored backup would know them again: {error}.", file.display()),
                )
            })?;
            custody.keeper().checkpoint().await.map_err(CustodyError::from)?;
            Ok(json!({"erased": erased}))
        })
    })))?;
    let keeper = Arc::clone(custody);
    let checkpoint =
        about::<Nothing>("audit.checkpoint", "Sign the log as it is", Effect::Changes).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(checkpoint, move |_, _| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let note = custody.keeper().checkpoint_now().await.map_err(CustodyError::from)?;
            let keys: Vec<String> =
                custody.keeper().keys().map_err(CustodyError::from)?.iter().map(ToString::to_string).collect();
            Ok(json!({"note": note, "verifying_keys": keys}))
        })
    })))?;
    let log = audit.clone();
    let prove = about::<Prove>("audit.prove", "Prove that an entry is in the log", Effect::ReadOnly)
        .in_group(ActionGroup::AuditRead);
    catalog.add(Arc::new(Request::new(prove, move |_, arguments| {
        let proved = parse(arguments).and_then(|prove: Prove| {
            log.store().read(|snapshot| proofs(snapshot, &prove)).map_err(|error: CustodyError| error.into())
        });
        Box::pin(async { proved })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Prune {
    /// Entries before this time, in milliseconds since 1970.
    #[serde(default)]
    before_ms: Option<u64>,
    /// Entries older than so many days.
    #[serde(default)]
    keep_days: Option<u64>,
    /// The oldest entries, until so many bytes are left.
    #[serde(default)]
    keep_bytes: Option<u64>,
}

async fn prune_now(cx: &Cx, audit: &Audit, custody: &Custody, prune: Prune) -> Result<Value, Refusal> {
    if prune.before_ms.is_none() && prune.keep_days.is_none() && prune.keep_bytes.is_none() {
        return Err(Refusal::new(
            Code::Invalid,
            "Say what goes: before a time, or older than so many days, or all but so many bytes.",
        ));
    }
    // All until now is signed, so that what goes stays vouched for.
    custody.keeper().checkpoint().await.map_err(CustodyError::from)?;
    let failed = CustodyError::from;
    let mut entries = 0;
    if let Some(before) = prune.before_ms {
        let sequence = audit.first_since(Timestamp(before)).map_err(failed)?;
        entries += audit.prune_before(sequence, draft_of(cx, audit)).await.map_err(failed)?.entries;
    }
    let retention = Retention {
        age_max: prune.keep_days.map(|days| Duration::from_secs(days.saturating_mul(86_400))),
        bytes_max: prune.keep_bytes,
    };
    if retention.age_max.is_some() || retention.bytes_max.is_some() {
        entries += audit.prune(retention, draft_of(cx, audit)).await.map_err(failed)?.entries;
    }
    custody.keeper().checkpoint().await.map_err(failed)?;
    Ok(json!({"pruned": entries, "first": audit.first().map_err(failed)?, "entries": audit.size().map_err(failed)?}))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Erase {
    /// A principal such as `token:quickstart`, an address as `peer:192.0.2.7`, or a pseudonym.
    #[schemars(length(max = 256))]
    subject: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Prove {
    /// The entry.
    sequence: u64,
    /// Also that the log of this size is the beginning of the log of today.
    #[serde(default)]
    old_size: Option<u64>,
}

fn draft_of(cx: &Cx, audit: &Audit) -> Draft {
    let mut draft = Draft::new(Event::Audit, "internal", audit.now());
    draft.personal.principal = Some(cx.principal.id.to_string());
    draft
}

/// As `audit.prove` answers for the entry `sequence`.
pub(super) fn proof_of(snapshot: &Snapshot, sequence: u64) -> Result<Value, CustodyError> {
    proofs(snapshot, &Prove { sequence, old_size: None })
}

fn proofs(snapshot: &Snapshot, prove: &Prove) -> Result<Value, CustodyError> {
    let nodes = keep::nodes(snapshot);
    let refused = |error: proof::ProofError<_>| CustodyError::from(AuditError::Refused(error.to_string()));
    // Against the newest signed size that covers the entry, where there is one: that is what an auditor holds.
    let size = log::frontier(snapshot)?.size();
    let signed = snapshot.last(crate::store::table::Table::Checkpoints, &[], &[u8::MAX; 9])?;
    let signed = signed.and_then(|(key, note)| Some((u64::from_be_bytes(key.try_into().ok()?), note)));
    let (size, note) = match signed {
        Some((signed, note)) if signed > prove.sequence => (signed, Some(String::from_utf8_lossy(&note).into_owned())),
        _ => (size, None),
    };
    let hashes = proof::inclusion(&nodes, prove.sequence, size).map_err(refused)?;
    let leaf = snapshot.get(crate::store::table::Table::AuditEntries, &prove.sequence.to_be_bytes())?;
    let mut result = json!({
        "sequence": prove.sequence,
        "leaf_hash": leaf.map(|leaf| hex(&tree::leaf_hash(&leaf))),
        "size": size,
        "root": hex(&proof::root(&nodes, size).map_err(refused)?),
        "inclusion": hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
        "checkpoint": note,
    });
    if let Some(old) = prove.old_size {
        let hashes = proof::consistency(&nodes, old, size).map_err(refused)?;
        result["old_size"] = old.into();
        result["old_root"] = hex(&proof::root(&nodes, old).map_err(refused)?).into();
        result["consistency"] = hashes.iter().map(|hash| hex(hash)).collect::<Vec<_>>().into();
    }
    Ok(result)
}
