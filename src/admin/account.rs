//! The operations `account.add`, `.passwd`, `.role`, `.disable`, `.enable`, `.remove`, `.review`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::namesake::Namesakes;
use super::request::{Done, Named, Nothing, Request, answering, done, parse, written};
use crate::auth::Authenticator;
use crate::auth::change::Reviewed;
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
pub(super) fn register(
    catalog: &Catalog,
    authenticator: &Arc<Authenticator>,
    gate: &Gate,
    namesakes: &Namesakes,
) -> Result<(), NotASchema> {
    let keeper = Arc::clone(authenticator);
    let mut add = answering::<Add, Standing>("account.add", "Make an account", Effect::Changes);
    add.secret_arguments = true;
    add.argument_bytes_max = 6 * bound::PASSWORD_BYTES_MAX + bound::ARGUMENT_BYTES_MAX;
    let mut passwd = answering::<Passwd, Done>("account.passwd", "Set an account's password", Effect::Changes);
    passwd.secret_arguments = true;
    passwd.argument_bytes_max = add.argument_bytes_max;
    let (of_add, names) = (gate.clone(), namesakes.clone());
    catalog.add(Arc::new(Request::new(add, move |cx, arguments| {
        let (authenticator, gate, names) = (Arc::clone(&keeper), of_add.clone(), names.clone());
        Box::pin(async move {
            let Add { name, role, mut value } = parse(arguments)?;
            let password = Secret::new(value.as_bytes());
            value.zeroize();
            authenticator.add_account(&name, role, &password).await?;
            names.begin_without_logins(cx, &Principal::account(&name, role).id).await?;
            allow_again(&gate, &name).await?;
            written(&Standing { name, role })
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
        let mut about = answering::<Named, Done>(name, title, Effect::Changes);
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
    let mut role = answering::<Promote, Promoted>("account.role", "Give an account another role", Effect::Changes);
    role.idempotent = true;
    catalog.add(Arc::new(Request::new(role, move |_, arguments| {
        let authenticator = Arc::clone(&keeper);
        Box::pin(async move {
            let Promote { name, role } = parse(arguments)?;
            authenticator.set_role(&name, role).await?;
            written(&Promoted { name, role })
        })
    })))?;
    let (keeper, names) = (Arc::clone(authenticator), namesakes.clone());
    let title = "Remove an account and revoke its JWTs";
    let remove = answering::<Named, Done>("account.remove", title, Effect::Destroys);
    catalog.add(Arc::new(Request::new(remove, move |cx, arguments| {
        let (authenticator, names) = (Arc::clone(&keeper), names.clone());
        Box::pin(async move {
            let Named { name } = parse(arguments)?;
            authenticator.remove_account(&name).await?;
            names.begin_without_logins(cx, &Principal::account(&name, Role::Reader).id).await?;
            Ok(done())
        })
    })))?;
    let keeper = Arc::clone(authenticator);
    let title = "Show who has an account, and whether it is used";
    let review = answering::<Nothing, Accounts>("account.review", title, Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(review, move |_, _| {
        let accounts = keeper.review().map_err(Refusal::from).and_then(|accounts| written(&Accounts { accounts }));
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
struct Passwd {
    #[schemars(length(max = 64))]
    name: String,
    /// The new password.
    value: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Promote {
    #[schemars(length(max = 64))]
    name: String,
    #[schemars(with = "String", extend("enum" = ROLE_NAMES))]
    role: Role,
}

#[derive(Serialize, JsonSchema)]
struct Standing {
    name: String,
    #[schemars(with = "String", extend("enum" = ROLE_NAMES))]
    role: Role,
}

#[derive(Serialize, JsonSchema)]
struct Promoted {
    name: String,
    #[schemars(with = "String", extend("enum" = ROLE_NAMES))]
    role: Role,
}

#[derive(Serialize, JsonSchema)]
struct Accounts {
    accounts: Vec<Reviewed>,
}
