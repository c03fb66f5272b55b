//! The operations `token.issue`, `.list`, `.revoke`, `.rotate`: API keys, and JWTs that are signed here.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::ROLE_NAMES;
use super::namesake::Namesakes;
use super::request::{Nothing, Request, answering, parse, written};
use crate::auth::Authenticator;
use crate::auth::gate::Gate;
use crate::auth::issue::{Issued, Listed, Wanted};
use crate::base::clock::Timestamp;
use crate::base::principal::{Principal, Role};
use crate::base::refusal::Refusal;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

/// Puts them into the catalogue.
pub(super) fn register(
    catalog: &Catalog,
    authenticator: &Arc<Authenticator>,
    gate: &Gate,
    namesakes: &Namesakes,
) -> Result<(), NotASchema> {
    let keeper = Arc::clone(authenticator);
    let issue = answering::<Issue, Shown>("token.issue", "Issue an API key or a JWT", Effect::Changes);
    let (gate, names) = (gate.clone(), namesakes.clone());
    catalog.add(Arc::new(Request::new(issue, move |cx, arguments| {
        let (authenticator, gate, names) = (Arc::clone(&keeper), gate.clone(), names.clone());
        Box::pin(async move {
            let Issue { name, role, scopes, expires_days: days, jwt } = parse(arguments)?;
            let Principal { id, credential, .. } = Principal::token(&name, Role::Reader);
            let wanted = Wanted { name, role, scopes, days };
            let issued = if jwt {
                authenticator.issue_jwt(wanted).await?
            } else {
                let issued = authenticator.issue_key(wanted).await?;
                names.begin_without_logins(cx, &id).await?;
                // Also if an administrator had ended the session of an earlier key of this name.
                gate.allow_again(&credential).await.map_err(Refusal::internal)?;
                issued
            };
            written(&shown(&issued, if jwt { '.' } else { '_' }))
        })
    })))?;
    let keeper = Arc::clone(authenticator);
    let list = answering::<Nothing, Tokens>("token.list", "List API keys and JWTs", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(list, move |_, _| {
        let items = keeper.tokens().map_err(Refusal::from).and_then(|items| written(&Tokens { items }));
        Box::pin(async { items })
    })))?;
    let keeper = Arc::clone(authenticator);
    let mut revoke = answering::<Revoke, Revoked>("token.revoke", "Revoke an API key or a JWT", Effect::Destroys);
    revoke.idempotent = true;
    let names = namesakes.clone();
    catalog.add(Arc::new(Request::new(revoke, move |cx, arguments| {
        let (authenticator, names) = (Arc::clone(&keeper), names.clone());
        Box::pin(async move {
            let Revoke { id } = parse(arguments)?;
            let (kind, name) = authenticator.revoke(&id).await?;
            if let Some(name) = name {
                names.begin_without_logins(cx, &Principal::token(&name, Role::Reader).id).await?;
            }
            written(&Revoked { revoked: id, kind: kind.to_owned() })
        })
    })))?;
    let keeper = Arc::clone(authenticator);
    let title = "Sign JWTs with another secret from now on";
    let rotate = answering::<Rotate, Rotated>("token.rotate", title, Effect::Changes);
    catalog.add(Arc::new(Request::new(rotate, move |_, arguments| {
        let authenticator = Arc::clone(&keeper);
        Box::pin(async move {
            let Rotate { at_once } = parse(arguments)?;
            written(&Rotated { kid: authenticator.rotate_jwt_key(at_once).await? })
        })
    })))
}

/// The token in its parts: a whole one is masked wherever it turns up, and this one is for whoever asked. It is shown
/// this once.
#[derive(Serialize, JsonSchema)]
struct Shown {
    /// What it is revoked by.
    id: String,
    #[schemars(with = "String", extend("enum" = ROLE_NAMES))]
    role: Role,
    /// RFC 3339; without it the token does not expire.
    expires: Option<String>,
    /// What stands between its parts.
    joint: char,
    parts: Vec<String>,
}

fn shown(issued: &Issued, joint: char) -> Shown {
    let text = String::from_utf8_lossy(issued.token.expose_secret());
    Shown {
        id: issued.id.clone(),
        role: issued.role,
        expires: issued.expires.map(Timestamp::rfc3339),
        joint,
        parts: text.split(joint).map(str::to_owned).collect(),
    }
}

#[derive(Serialize, JsonSchema)]
struct Tokens {
    // Not "tokens": what has that name is masked on its way out.
    items: Vec<Listed>,
}

#[derive(Serialize, JsonSchema)]
struct Revoked {
    /// As it was named.
    revoked: String,
    /// `api_key` or `jwt`.
    kind: String,
}

#[derive(Serialize, JsonSchema)]
struct Rotated {
    /// The id of the new secret.
    kid: String,
}

fn role_names_or_none() -> Vec<Option<&'static str>> {
    ROLE_NAMES.into_iter().map(Some).chain([None]).collect()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Issue {
    /// The API key's name, or the JWT's subject.
    #[schemars(length(max = 64))]
    name: String,
    /// Left out: that of the account of this name, for a JWT; reader, for an API key.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("enum" = role_names_or_none()))]
    role: Option<Role>,
    #[serde(default)]
    #[schemars(length(max = 32))]
    scopes: Vec<String>,
    #[serde(default)]
    expires_days: Option<u64>,
    #[serde(default)]
    jwt: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// An API key's name or beginning, or a JWT's id.
    #[schemars(length(max = 132))]
    id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// Tokens of the old secrets are refused from now on, not only once they expire.
    #[serde(default)]
    at_once: bool,
}
