//! The operation `connector.bind`: which credential of the vault a connector's calls carry, and how.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::connector::{facts, seen};
use super::request::{Request, about, parse};
use crate::auth::policy::ask::Resource;
use crate::base::refusal::{Code, Refusal};
use crate::connector::binding::Scheme;
use crate::connector::registry::Connectors;
use crate::custody::Custody;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(
    catalog: &Catalog,
    connectors: &Arc<Connectors>,
    custody: &Arc<Custody>,
) -> Result<(), NotASchema> {
    let (keeper, vault) = (Arc::clone(connectors), Arc::clone(custody));
    let mut bind = about::<Bind>("connector.bind", "Say with which credential a connector calls", Effect::Changes);
    bind.idempotent = true;
    catalog.add(Arc::new(Request::new(bind, move |cx, arguments| {
        let (keeper, vault) = (Arc::clone(&keeper), Arc::clone(&vault));
        Box::pin(async move {
            let Bind { name, credential, way } = parse(arguments)?;
            seen(cx, &keeper, &name)?;
            let scheme = Scheme::parse(&way).map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))?;
            let bound = match (scheme, credential) {
                (None, None) => None,
                (Some(scheme), Some(credential)) => {
                    // Whoever may not touch a credential must not send it anywhere.
                    let resource = Resource::credential(&credential, vault.credential(&credential)?.classification);
                    let verdict = cx.access.decide(&resource);
                    if !verdict.is_allowed {
                        let refusal = Refusal::new(Code::Forbidden, cx.access.denial(&resource));
                        return Err(refusal.with_private(verdict.reason()));
                    }
                    cx.access.touch(resource.classification);
                    Some((credential, scheme))
                }
                (None, Some(_)) => {
                    return Err(Refusal::new(Code::Invalid, "To bind nothing, leave the credential out."));
                }
                (Some(_), None) => return Err(Refusal::new(Code::Invalid, "Say which credential is to be bound.")),
            };
            Ok(json!({"connector": facts(&keeper.bind(&name, bound).await?)}))
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bind {
    #[schemars(length(max = 64))]
    name: String,
    /// The credential's name; none with `none`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    credential: Option<String>,
    /// `none`, `basic`, `bearer`, `header:NAME` or `query:NAME`.
    #[serde(rename = "as")]
    #[schemars(length(max = 80))]
    way: String,
}
