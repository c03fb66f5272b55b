//! What operators are told of a connector: its facts, its operations, a change of it that waits.

use serde_json::{Value, json};

use crate::base::bound::connector as bound;
use crate::base::id::hex;
use crate::base::refusal::{Refusal, whole_seconds};
use crate::connector::breaker::Standing;
use crate::connector::error::ConnectorError;
use crate::connector::lock::{self, Pinned};
use crate::connector::oauth::setup::OAuth;
use crate::connector::pick::Switches;
use crate::connector::reading::Finding;
use crate::connector::record::{ConnectorRecord, DocumentFacts};
use crate::connector::registry::{Change, Connectors, Preview};
use crate::connector::tool::{Import, Tool};
use crate::crypto::digest::sha256;
use crate::crypto::trust;
use crate::operation::Cx;

/// A connector that the policy hides is as if it were not there.
pub(super) fn seen(cx: &Cx, connectors: &Connectors, name: &str) -> Result<ConnectorRecord, Refusal> {
    let record = connectors.get(name)?;
    let verdict = cx.access.decide(&record.resource());
    if !verdict.is_allowed {
        return Err(Refusal::from(ConnectorError::Unknown(name.to_owned())).with_private(verdict.reason()));
    }
    cx.access.touch(record.classification);
    Ok(record)
}

pub(super) fn previewed(preview: &Preview) -> Value {
    let Preview { record, import, findings } = preview;
    json!({
        "connector": facts(record),
        "server": import.server,
        "operations": rows(&import.tools, &record.switches),
        "left_out": left_out(import),
        "security": import.security,
        "findings": some(findings),
        "digest": lock::digest(&record.name, Pinned { tools: &import.tools, security: &import.security }),
    })
}

/// What was left out: operations first.
pub(super) fn left_out(import: &Import) -> Value {
    let mut rows: Vec<&crate::openapi::LeftOut> = import.left_out.iter().collect();
    rows.sort_by_key(|it| !it.operation);
    json!({"items": rows, "more": import.left_out_more})
}

/// How the connector's API stands: after failures in a row calls are refused for a while.
pub(super) fn breaker(standing: Standing) -> Value {
    let mut shown = json!({"state": standing.as_str()});
    match standing {
        Standing::Closed { failures } => shown["failures"] = failures.into(),
        Standing::Open { left } => shown["seconds_left"] = whole_seconds(left).into(),
        Standing::Trial => {}
    }
    shown
}

pub(super) fn facts(record: &ConnectorRecord) -> Value {
    let document = |facts: &DocumentFacts| {
        json!({
            "title": facts.title,
            "version": facts.version,
            "bytes": facts.bytes,
            "sha256": hex(&facts.sha256),
            "operations": facts.operations,
            "left_out": facts.left_out,
        })
    };
    let pending = record.pending.as_ref();
    // Not "credential": what has that name is masked on its way out.
    let binding = record.binding.as_ref().map(|it| {
        let mut bound = json!({"name": it.credential, "as": it.scheme.to_string(), "origin": it.origin});
        if let Some(setup) = it.oauth() {
            bound["oauth"] = oauth(setup);
        }
        bound
    });
    json!({
        "name": record.name,
        "base_url": record.base_url,
        "loopback_http": record.loopback_http,
        "networks": record.networks,
        "enabled": record.enabled,
        "mode": record.mode,
        "classification": record.classification,
        "picks": record.picks,
        "switches": record.switches,
        "binding": binding,
        "settings": settings(record),
        "document": document(&record.document),
        "waits": pending.map(|it| json!({"received": it.received.rfc3339(), "document": document(&it.document)})),
        "added": record.added.rfc3339(),
        "changed": record.changed.rfc3339(),
    })
}

/// For people: an authority by its digest, a credential by its name.
fn settings(record: &ConnectorRecord) -> Value {
    let set = &record.settings;
    let authorities = set.authorities.as_ref().map(|pem| {
        let count = trust::count_authorities(pem.as_bytes());
        json!({"count": count, "sha256": hex(&sha256(&[pem.as_bytes()]))})
    });
    let identity = set.identity.as_ref().map(|it| json!({"name": it.credential, "origin": it.origin}));
    json!({
        "authorities": authorities,
        "client_certificate": identity,
        "tls_min": set.tls_min,
        "proxy": set.proxy,
        "scan": set.scan,
    })
}

/// None of it is secret, and no name of it is masked on its way out.
fn oauth(setup: &OAuth) -> Value {
    let OAuth { grant, client_id, scopes, whose, keep, endpoints, .. } = setup;
    json!({
        "grant": grant.as_str(),
        "client": client_id,
        "scopes": scopes,
        "whose": whose.as_str(),
        "kept": keep.as_str(),
        "issuer": endpoints.issuer,
        "authorize_url": endpoints.authorize,
        "endpoint": endpoints.token,
        "device_url": endpoints.device,
        "revoke_url": endpoints.revoke,
    })
}

pub(super) fn rows(tools: &[Tool], switches: &Switches) -> Vec<Value> {
    let row = |tool: &Tool| {
        json!({
            "name": tool.name,
            "class": tool.class(),
            "method": tool.method,
            "path": tool.path,
            "title": tool.title,
            "deprecated": tool.deprecated,
            "on": switches.is_on(&tool.name, tool.class()),
        })
    };
    tools.iter().map(row).collect()
}

/// As many as people read; each tool has its first.
fn some(findings: &[Finding]) -> Value {
    let more = findings.len().saturating_sub(bound::DIFF_CHANGES_MAX);
    json!({"items": findings.iter().take(bound::DIFF_CHANGES_MAX).collect::<Vec<_>>(), "more": more})
}

pub(super) fn waiting(change: &Change) -> Value {
    let Change { diff, digest, newly_on, findings, .. } = change;
    json!({"waits": true, "digest": digest, "diff": diff, "would_be_on": newly_on, "findings": some(findings)})
}
