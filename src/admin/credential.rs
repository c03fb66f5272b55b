//! The operations `credential.set`, `.list`, `.show`, `.classify`, `.history`, `.remove`. No answer holds a value.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::request::{Classify, Named, Nothing, Request, about, done, level, parse};
use crate::auth::policy::ask::Resource;
use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::custody::{Custody, CustodyError};
use crate::operation::{Catalog, Cx, Effect};
use crate::schema::NotASchema;
use crate::vault::credential::{CredentialError, CredentialName, CredentialRecord, CredentialSource, HistoryRecord};

pub(super) fn register(catalog: &Catalog, custody: &Arc<Custody>) -> Result<(), NotASchema> {
    let mut set = about::<Set>("credential.set", "Keep a credential in the vault", Effect::Changes);
    set.secret_arguments = true;
    set.argument_bytes_max = 6 * bound::CREDENTIAL_VALUE_BYTES_MAX + bound::ARGUMENT_BYTES_MAX;
    let keeper = Arc::clone(custody);
    catalog.add(Arc::new(Request::new(set, move |cx, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Set { name, mut value, note, source, replace, classification } = parse(arguments)?;
            let secret = Secret::new(value.as_bytes());
            value.zeroize();
            cx.used.note(&secret)?;
            let wanted = classification.as_deref().map(level).transpose()?;
            let now = classification_of(&custody, &name)?;
            for level in [Some(now), wanted].into_iter().flatten() {
                allowed(cx, &Resource::credential(&name, level))?;
            }
            let version = custody.set_credential(&name, &secret, note, source, replace, wanted).await?;
            Ok(json!({"name": name, "version": version}))
        })
    })))?;
    let keeper = Arc::clone(custody);
    let list = about::<Nothing>("credential.list", "List the credentials", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(list, move |cx, _| {
        let items: Result<Vec<Value>, Refusal> = keeper
            .credentials()
            .map_err(Refusal::from)
            .map(|items| items.iter().filter(|item| may_see(cx, item)).map(facts).collect());
        // Not "credentials": what has that name is masked on its way out.
        Box::pin(async { Ok(json!({"items": items?})) })
    })))?;
    let keeper = Arc::clone(custody);
    let show = about::<Named>("credential.show", "Show what is known of a credential", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(show, move |cx, arguments| {
        let shown = parse(arguments).and_then(|Named { name }| {
            seen(cx, &keeper, &name)?;
            Ok(facts(&keeper.credential(&name)?))
        });
        Box::pin(async { shown })
    })))?;
    let keeper = Arc::clone(custody);
    let history = about::<Named>("credential.history", "Show a credential's versions", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(history, move |cx, arguments| {
        let versions = parse(arguments).and_then(|Named { name }| {
            seen(cx, &keeper, &name)?;
            Ok(keeper.credential_history(&name)?)
        });
        Box::pin(async { Ok(json!({"versions": versions?.iter().map(version).collect::<Vec<_>>()})) })
    })))?;
    let keeper = Arc::clone(custody);
    let remove = about::<Named>("credential.remove", "Destroy a credential", Effect::Destroys);
    catalog.add(Arc::new(Request::new(remove, move |cx, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Named { name } = parse(arguments)?;
            seen(cx, &custody, &name)?;
            custody.remove_credential(&name).await?;
            Ok(done())
        })
    })))?;
    let keeper = Arc::clone(custody);
    let mut classify =
        about::<Classify>("credential.classify", "Say how confidential a credential is", Effect::Changes);
    classify.idempotent = true;
    catalog.add(Arc::new(Request::new(classify, move |cx, arguments| {
        let custody = Arc::clone(&keeper);
        Box::pin(async move {
            let Classify { name, classification } = parse(arguments)?;
            let wanted = level(&classification)?;
            seen(cx, &custody, &name)?;
            allowed(cx, &Resource::credential(&name, wanted))?;
            let before = custody.classify_credential(&name, wanted).await?;
            Ok(json!({"name": name, "classification": wanted, "before": before}))
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Set {
    #[schemars(length(max = 64))]
    name: String,
    value: String,
    #[serde(default)]
    #[schemars(length(max = 500))]
    note: Option<String>,
    /// How the value came in.
    #[serde(default = "api")]
    source: CredentialSource,
    /// Whether one of this name may be replaced.
    #[serde(default = "yes")]
    replace: bool,
    /// public, internal, confidential or restricted; left out: as it was, or internal.
    #[serde(default)]
    #[schemars(length(max = 16))]
    classification: Option<String>,
}

fn api() -> CredentialSource {
    CredentialSource::Api
}

fn yes() -> bool {
    true
}

/// Its level; of a name that has no value (any more) that of what nobody classified.
fn classification_of(custody: &Custody, name: &str) -> Result<Classification, Refusal> {
    match custody.credential(name) {
        Ok(record) => Ok(record.classification),
        Err(CustodyError::Credential(CredentialError::Unknown(_))) => Ok(Classification::default()),
        Err(error) => Err(error.into()),
    }
}

fn allowed(cx: &Cx, credential: &Resource) -> Result<(), Refusal> {
    let verdict = cx.access.decide(credential);
    if !verdict.is_allowed {
        let refusal = Refusal::new(Code::Forbidden, cx.access.denial(credential));
        return Err(refusal.with_private(verdict.reason()));
    }
    cx.access.touch(credential.classification);
    Ok(())
}

fn may_see(cx: &Cx, record: &CredentialRecord) -> bool {
    let may = cx.access.may(&Resource::credential(&record.name, record.classification));
    if may {
        cx.access.touch(record.classification);
    }
    may
}

/// A credential that the policy hides is as if it were not there.
fn seen(cx: &Cx, custody: &Custody, name: &str) -> Result<(), Refusal> {
    let classification = classification_of(custody, name)?;
    let verdict = cx.access.decide(&Resource::credential(name, classification));
    if verdict.is_allowed {
        cx.access.touch(classification);
        return Ok(());
    }
    let name = CredentialName::parse(name).map_err(CustodyError::from)?;
    let refusal = Refusal::from(CustodyError::from(CredentialError::Unknown(name)));
    Err(refusal.with_private(verdict.reason()))
}

fn facts(facts: &CredentialRecord) -> Value {
    json!({
        "name": facts.name,
        "version": facts.version,
        "note": facts.note,
        "source": facts.source,
        "classification": facts.classification,
        "created": facts.created.rfc3339(),
        "updated": facts.updated.rfc3339(),
    })
}

fn version(old: &HistoryRecord) -> Value {
    json!({
        "version": old.version,
        "at": old.updated.rfc3339(),
        "ended": old.ended.rfc3339(),
        "state": if old.sealed.is_some() { "kept" } else { "destroyed" },
        "note": old.note,
    })
}
