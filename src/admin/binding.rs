//! The operation `connector.bind`: with which credential of the vault, or by which login, a connector calls its API.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::connector_facts::{facts, seen};
use super::request::{Request, about, parse};
use crate::auth::policy::ask::Resource;
use crate::base::refusal::{Code, Refusal};
use crate::connector::binding::Scheme;
use crate::connector::oauth::desk::Desk;
use crate::connector::oauth::document;
use crate::connector::oauth::setup::{ClientAuth, Endpoints, Grant, Keep, OAuth, SetupError, Whose};
use crate::connector::record::ConnectorRecord;
use crate::connector::registry::Connectors;
use crate::custody::Custody;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

pub(super) fn register(
    catalog: &Catalog,
    connectors: &Arc<Connectors>,
    custody: &Arc<Custody>,
    desk: &Desk,
) -> Result<(), NotASchema> {
    let (keeper, vault, desk) = (Arc::clone(connectors), Arc::clone(custody), desk.clone());
    let mut bind = about::<Bind>("connector.bind", "Say with which credential a connector calls", Effect::Changes);
    bind.idempotent = true;
    catalog.add(Arc::new(Request::new(bind, move |cx, arguments| {
        let (keeper, vault, desk) = (Arc::clone(&keeper), Arc::clone(&vault), desk.clone());
        Box::pin(async move {
            let Bind { name, credential, way, oauth } = parse(arguments)?;
            let record = seen(cx, &keeper, &name)?;
            if let Some(credential) = &credential {
                // Whoever may not touch a credential must not send it anywhere.
                let resource = Resource::credential(credential, vault.credential(credential)?.classification);
                let verdict = cx.access.decide(&resource);
                if !verdict.is_allowed {
                    let refusal = Refusal::new(Code::Forbidden, cx.access.denial(&resource));
                    return Err(refusal.with_private(verdict.reason()));
                }
                cx.access.touch(resource.classification);
            }
            let bound = match (way.as_str(), oauth) {
                ("oauth", Some(wanted)) => {
                    let setup = wanted.setup(&desk, &record, credential.is_some()).await?;
                    Some((credential.unwrap_or_default(), Scheme::OAuth(Box::new(setup))))
                }
                ("oauth", None) => return Err(invalid("Say as which client: `oauth` is missing.")),
                (_, Some(_)) => return Err(invalid("`oauth` belongs to the way oauth.")),
                (way, None) => {
                    let scheme = Scheme::parse(way).map_err(|error| invalid(format!("{error}.")))?;
                    match (scheme, credential) {
                        (None, None) => None,
                        (Some(scheme), Some(credential)) => Some((credential, scheme)),
                        (None, Some(_)) => return Err(invalid("To bind nothing, leave the credential out.")),
                        (Some(_), None) => return Err(invalid("Say which credential is to be bound.")),
                    }
                }
            };
            let bound = keeper.bind(&name, bound).await?;
            if bound.binding != record.binding {
                // They were given to another client, or for another origin.
                desk.forget(&name).await?;
            }
            Ok(json!({"connector": facts(&bound)}))
        })
    })))
}

fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::new(Code::Invalid, text)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bind {
    #[schemars(length(max = 64))]
    name: String,
    /// The credential's name; none with `none`. With `oauth` that of the client's secret, where it has one.
    #[serde(default)]
    #[schemars(length(max = 64))]
    credential: Option<String>,
    /// `none`, `basic`, `bearer`, `header:NAME`, `query:NAME` or `oauth`.
    #[serde(rename = "as")]
    #[schemars(length(max = 80))]
    way: String,
    #[serde(default)]
    oauth: Option<Wanted>,
}

/// A login by OAuth 2.0. Where no URL is given, they are those of the API's document.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Our id at the authorization server.
    #[schemars(length(max = 256), extend("x-sekisho-field" = "other"))]
    client: String,
    /// `authorization-code`, `device-code`, `password` or `client-credentials`.
    #[serde(default = "authorization_code")]
    #[schemars(length(max = 32))]
    grant: String,
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-sekisho-field" = "other"))]
    scopes: Vec<String>,
    /// `service`: one login for all; `each`: every principal's own.
    #[serde(default = "service")]
    #[schemars(length(max = 16))]
    whose: String,
    /// `sealed` in the database, or in `memory` only.
    #[serde(default = "sealed")]
    #[schemars(length(max = 16))]
    kept: String,
    /// How the client shows its secret: `basic` or `post`.
    #[serde(default = "basic")]
    #[schemars(length(max = 16))]
    client_auth: String,
    /// The authorization server's metadata (RFC 8414) are looked up here.
    #[serde(default)]
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    issuer: Option<String>,
    #[serde(default)]
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    authorize_url: Option<String>,
    /// The token endpoint.
    #[serde(default)]
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    endpoint: Option<String>,
    #[serde(default)]
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    device_url: Option<String>,
    #[serde(default)]
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    revoke_url: Option<String>,
}

fn authorization_code() -> String {
    "authorization-code".into()
}

fn service() -> String {
    "service".into()
}

fn sealed() -> String {
    "sealed".into()
}

fn basic() -> String {
    "basic".into()
}

impl Wanted {
    /// Named endpoints come before those that the issuer names; where neither is said, the API's document names them.
    async fn setup(self, desk: &Desk, record: &ConnectorRecord, has_secret: bool) -> Result<OAuth, Refusal> {
        let wrong = |error: SetupError| invalid(format!("{error}."));
        let grant = Grant::parse(&self.grant).map_err(wrong)?;
        let found = match (&self.issuer, &self.endpoint) {
            (Some(issuer), None) => desk.discover(record, issuer, grant).await?,
            (issuer, Some(token)) => Endpoints { issuer: issuer.clone(), token: token.clone(), ..Endpoints::default() },
            (None, None) => {
                document::endpoints(&record.document.schemes(), &record.base_url, grant).ok_or_else(|| {
                    invalid(format!(
                        "The document of {} does not say where tokens are given; name the endpoints, or the issuer.",
                        record.name
                    ))
                })?
            }
        };
        let setup = OAuth {
            grant,
            client_id: self.client,
            client_auth: ClientAuth::parse(&self.client_auth).map_err(wrong)?,
            scopes: self.scopes,
            whose: Whose::parse(&self.whose).map_err(wrong)?,
            keep: Keep::parse(&self.kept).map_err(wrong)?,
            endpoints: Endpoints {
                authorize: self.authorize_url.or(found.authorize),
                device: self.device_url.or(found.device),
                revoke: self.revoke_url.or(found.revoke),
                ..found
            },
        };
        setup.check(has_secret, record.loopback_http).map_err(wrong)?;
        Ok(setup)
    }
}
