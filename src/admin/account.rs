//! The operations `account.add`, `.passwd`, `.role`, `.disable`, `.enable`, `.remove`, `.review`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::request::{Named, Nothing, Request, about, done, parse};
use crate::auth::Authenticator;
use crate::auth::gate::Gate;
use crate::base::bound;
use crate::base::principal::{Principal, Role};
use crate::base::refusal::Refusal;
use crate::base::secret::Secret;
use crate::operation::{Catalog, Effect};
use crate::schema::NotASchema;

/// The names of roles, for a schema: the type itself is made of no crate but serde.
pub(super) const ROLE_NAMES: [&str; 4] = ["reader", "auditor", "operator", "admin"];

/// Puts them into the catalogue.
pub fn register(catalog: &Catalog, authenticator: &Arc<Authenticator>, gate: &Gate) -> Result<(), NotASchema> {
    let keeper = Arc::clone(authenticator);
    let mut add = about::<Add>("account.add", "Make an account", Effect::Changes);
    add.secret_arguments = true;
    add.argument_bytes_max = 6 * bound::PASSWORD_BYTES_MAX + bound::ARGUMENT_BYTES_MAX;
    let mut passwd = about::<Passwd>("account.passwd", "Set an account's password", Effect::Changes);
    passwd.secret_arguments = true;
    passwd.argument_bytes_max = add.argument_bytes_max;
    let of_add = gate.clone();
    catalog.add(Arc::new(Request::new(add, move |_, arguments| {
        let (authenticator, gate) = (Arc::clone(&keeper), of_add.clone());
        Box::pin(async move {
            let Add { name, role, mut value } = parse(arguments)?;
            let password = Secret::new(value.as_bytes());
            value.zeroize();
            authenticator.add_account(&name, role, &password).await?;
            allow_again(&gate, &name).await?;
            Ok(json!({"name": name, "role": role}))
        })
    })))?;
    let (keeper, of_passwd) = (Arc::clone(authenticator), gate.clone());
    catalog.add(Arc::new(Request::new(passwd, move |_, arguments| {
        let (authenticator, gate) = (Arc::clone(&keeper), of_passwd.clone());
        Box::pin(async move {
            let Passwd { name, mut value } = parse(arguments)?;
            let password = Secret::new(value.as_bytes());
            value.zeroize();
            authenticator.set_password(&name, &password).await?;
            allow_again(&gate, &name).await?;
            Ok(done())
        })
    })))?;
    for (name, title, disabled) in
        [("account.disable", "Disable an account", true), ("account.enable", "Enable an account", false)]
    {
        let keeper = Arc::clone(authenticator);
        let mut about = about::<Named>(name, title, Effect::Changes);
        about.idempotent = true;
        catalog.add(Arc::new(Request::new(about, move |_, arguments| {
            let authenticator = Arc::clone(&keeper);
            Box::pin(async move {
                let Named { name } = parse(arguments)?;
                authenticator.set_disabled(&name, disabled).await?;
                Ok(done())
            })
        })))?;
    }
    let keeper = Arc::clone(authenticator);
    let mut role = about::<Become>("account.role", "Give an account another role", Effect::Changes);
    role.idempotent = true;
    catalog.add(Arc::new(Request::new(role, move |_, arguments| {
        let authenticator = Arc::clone(&keeper);
        Box::pin(async move {
            let Become { name, role } = parse(arguments)?;
            authenticator.set_role(&name, role).await?;
            Ok(json!({"name": name, "role": role}))
        })
    })))?;
    let keeper = Arc::clone(authenticator);
    let remove = about::<Named>("account.remove", "Remove an account and revoke its JWTs", Effect::Destroys);
    catalog.add(Arc::new(Request::new(remove, move |_, arguments| {
        let authenticator = Arc::clone(&keeper);
        Box::pin(async move {
            let Named { name } = parse(arguments)?;
            authenticator.remove_account(&name).await?;
            Ok(done())
        })
    })))?;
    let keeper = Arc::clone(authenticator);
    let review =
        about::<Nothing>("account.review", "Show who has an account, and whether it is used", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(review, move |_, _| {
        let accounts: Result<Value, Refusal> =
            keeper.review().map_err(Refusal::from).map(|accounts| json!({"accounts": accounts}));
        Box::pin(async { accounts })
    })))
}

/// Whoever has a new password may come in again, also if an administrator had ended the session.
async fn allow_again(gate: &Gate, name: &str) -> Result<(), Refusal> {
    gate.allow_again(&Principal::basic_credential(name)).await.map_err(Refusal::internal)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    #[schemars(length(max = 64))]
    name: String,
    #[schemars(with = "String", extend("enum" = ROLE_NAMES))]
    role: Role,
    /// The password.
    value: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Become {
    #[schemars(length(max = 64))]
    name: String,
    #[schemars(with = "String", extend("enum" = ROLE_NAMES))]
    role: Role,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Passwd {
    #[schemars(length(max = 64))]
    name: String,
    /// The new password.
    value: String,
}
