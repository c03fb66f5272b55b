//! The operations `vault.status`, `.unseal`, `.seal` and `key.status`, `.rotate`, `.passphrase`, `.recovery`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroize as _;

use super::request::{Nothing, Request, about, done, parse};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::crypto::password::Iterations;
use crate::custody::{Custody, NewSecret, With};
use crate::library::bundle::KEY_LABEL;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;
use crate::vault::RecoveryKey;
use crate::vault::purpose::Purpose;

pub(super) fn register(catalog: &Catalog, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let keeper = Arc::clone(custody);
    let mut status = about::<Nothing>("vault.status", "Say whether the vault is open", Effect::ReadOnly)
        .in_group(ActionGroup::Operate);
    // Without an open vault the log is not signed, and says nothing of persons.
    status.in_freeze = true;
    catalog.add(Arc::new(Request::new(status, move |_, _| {
        let status = keeper.vault_status();
        Box::pin(async { Ok(status) })
    })))?;
    let mut unseal = about::<Unseal>("vault.unseal", "Open the vault", Effect::Changes);
    (unseal.secret_arguments, unseal.in_freeze) = (true, true);
    let keeper = Arc::clone(custody);
    catalog.add(Arc::new(Request::new(unseal, move |_, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Unseal { with, mut value } = parse(arguments)?;
            let secret = Secret::new(value.as_bytes());
            value.zeroize();
            let with = match with {
                Kind::Passphrase => With::Secret(secret),
                Kind::Recovery => With::Recovery(
                    RecoveryKey::parse(&secret)
                        .map_err(|error| Refusal::new(Code::Invalid, format!("This is no recovery key: {error}.")))?,
                ),
            };
            custody.unseal(with, "an operator").await?;
            Ok(custody.vault_status())
        })
    })))?;
    let keeper = Arc::clone(custody);
    let seal = about::<Nothing>("vault.seal", "Forget the vault's keys", Effect::Changes);
    catalog.add(Arc::new(Request::new(seal, move |_, _| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            custody.seal().await?;
            Ok(custody.vault_status())
        })
    })))?;
    keys(catalog, custody)
}

fn keys(catalog: &Catalog, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let keeper = Arc::clone(custody);
    let status = about::<Nothing>("key.status", "Show the keys' versions, ages and uses", Effect::ReadOnly)
        .in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(status, move |_, _| {
        let status = keeper.key_status().and_then(|mut status| {
            status["bundle_key"] = keeper.signing_key(KEY_LABEL)?.verifying_key().to_string().into();
            Ok(status)
        });
        let status = status.map_err(Refusal::from);
        Box::pin(async { status })
    })))?;
    let keeper = Arc::clone(custody);
    let rotate = about::<Rotate>("key.rotate", "Make new data keys", Effect::Changes);
    catalog.add(Arc::new(Request::new(rotate, move |_, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Rotate { purposes } = parse(arguments)?;
            let purposes = purposes.iter().map(|name| purpose(name)).collect::<Result<Vec<_>, _>>()?;
            let rotated = custody.rotate(&purposes).await?;
            Ok(json!({"rotated": rotated.iter().map(|purpose| purpose.name()).collect::<Vec<_>>()}))
        })
    })))?;
    let mut passphrase =
        about::<Passphrase>("key.passphrase", "Change the secret that opens the vault", Effect::Changes);
    passphrase.secret_arguments = true;
    let keeper = Arc::clone(custody);
    catalog.add(Arc::new(Request::new(passphrase, move |_, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Passphrase { mut value, iterations, allow_weak } = parse(arguments)?;
            let iterations = Iterations::new(iterations, allow_weak)
                .map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))?;
            let new = value.as_deref().map_or(NewSecret::KeyFile, |value| NewSecret::Typed(Secret::new(value)));
            value.zeroize();
            let note = custody.change_secret(new, iterations).await?;
            let mut result = done();
            result["note"] = note.into();
            Ok(result)
        })
    })))?;
    let keeper = Arc::clone(custody);
    let recovery = about::<Nothing>("key.recovery", "Make a new recovery key", Effect::Changes);
    catalog.add(Arc::new(Request::new(recovery, move |_, _| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let key = custody.new_recovery().await?;
            Ok(json!({"recovery": String::from_utf8_lossy(key.text().expose_secret())}))
        })
    })))
}

fn purpose(name: &str) -> Result<Purpose, Refusal> {
    Purpose::named(name).ok_or_else(|| {
        let names: Vec<&str> = Purpose::ALL.iter().map(|purpose| purpose.name()).collect();
        Refusal::new(Code::Invalid, format!("There is no purpose {name:?}; there are: {}.", names.join(", ")))
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unseal {
    with: Kind,
    #[schemars(length(max = 4096))]
    value: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Passphrase,
    Recovery,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// All of them, where none is named.
    #[serde(default)]
    #[schemars(length(max = 16))]
    purposes: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Passphrase {
    /// Nothing: a new random secret is put into the key file.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    value: Option<String>,
    iterations: u32,
    #[serde(default)]
    allow_weak: bool,
}
