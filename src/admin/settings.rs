//! The operation `connector.set`: how a connector's calls go out, beyond where they go.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::connector_facts::{facts, seen};
use super::request::{Request, about, parse};
use crate::auth::policy::ask::Resource;
use crate::base::bound::connector as bound;
use crate::base::refusal::{Code, Refusal};
use crate::config::raw::TlsVersion;
use crate::connector::registry::Connectors;
use crate::connector::settings::Changes;
use crate::custody::Custody;
use crate::operation::{Catalog, Cx, Effect};
use crate::schema::NotASchema;

pub(super) fn register(
    catalog: &Catalog,
    connectors: &Arc<Connectors>,
    custody: &Arc<Custody>,
) -> Result<(), NotASchema> {
    let (keeper, vault) = (Arc::clone(connectors), Arc::clone(custody));
    let mut set = about::<Set>("connector.set", "Say how a connector's calls go out", Effect::Changes);
    set.idempotent = true;
    set.argument_bytes_max = 2 * bound::AUTHORITIES_BYTES_MAX;
    catalog.add(Arc::new(Request::new(set, move |cx, arguments| {
        let (keeper, vault) = (Arc::clone(&keeper), Arc::clone(&vault));
        Box::pin(async move {
            let Set { name, networks, client_certificate, settings } = parse(arguments)?;
            seen(cx, &keeper, &name)?;
            if let Some(certificate) = client_certificate.as_deref().filter(|name| *name != "none") {
                may_show(cx, &vault, certificate)?;
            }
            let changes = Changes { networks, identity: client_certificate, ..settings.changes()? };
            if changes == Changes::default() {
                return Err(Refusal::new(Code::Invalid, "Say what is to be set."));
            }
            Ok(json!({"connector": facts(&keeper.set(&name, &changes).await?)}))
        })
    })))
}

/// Whoever may not touch a credential must not send it anywhere.
fn may_show(cx: &Cx, vault: &Custody, name: &str) -> Result<(), Refusal> {
    let resource = Resource::credential(name, vault.credential(name)?.classification);
    let verdict = cx.access.decide(&resource);
    if !verdict.is_allowed {
        return Err(Refusal::new(Code::Forbidden, cx.access.denial(&resource)).with_private(verdict.reason()));
    }
    cx.access.touch(resource.classification);
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Set {
    #[schemars(length(max = 64))]
    name: String,
    /// As in `connector.add`, in the place of those that there are.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-sekisho-field" = "other"))]
    networks: Option<Vec<String>>,
    /// The name of a credential that holds PEM with our certificate, those above it, and its key; `none` for none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    client_certificate: Option<String>,
    #[serde(default)]
    settings: Wished,
}

/// What is to be otherwise than it is.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wished {
    /// PEM with the authorities that are trusted, in the place of all others; `none` for the usual ones.
    #[schemars(length(max = 65536), extend("x-sekisho-field" = "free_text"))]
    authorities: Option<String>,
    /// `1.2` or `1.3`.
    #[schemars(length(max = 3))]
    tls_min: Option<String>,
    /// `http://HOST:PORT`, `direct`, or `none` for what `egress.proxy` says.
    #[schemars(length(max = 512), extend("x-sekisho-field" = "other"))]
    proxy: Option<String>,
    /// `clamd:/PATH` or `clamd:tcp://HOST:PORT`, which files pass first; `none` for none.
    #[schemars(length(max = 512), extend("x-sekisho-field" = "other"))]
    scan: Option<String>,
}

impl Wished {
    pub(super) fn changes(self) -> Result<Changes, Refusal> {
        let Self { authorities, tls_min, proxy, scan } = self;
        let tls_min = tls_min.as_deref().map(|text| match text {
            "1.2" => Ok(TlsVersion::Tls12),
            "1.3" => Ok(TlsVersion::Tls13),
            _ => Err(Refusal::new(Code::Invalid, "The least version of TLS is 1.2 or 1.3.")),
        });
        Ok(Changes { networks: None, authorities, identity: None, tls_min: tls_min.transpose()?, proxy, scan })
    }
}
