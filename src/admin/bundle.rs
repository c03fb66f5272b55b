//! The operations `library.export`, `.import` and `.rollback`: libraries in bundles.

use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::library::{record_json, shown, watched};
use super::request::{Named, Request, about, absolute, level, parse};
use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::auth::policy::ask::{ActionGroup, Resource};
use crate::base::bound;
use crate::base::id::hex;
use crate::base::refusal::{Code, Refusal};
use crate::config::Config;
use crate::crypto::digest::Hash;
use crate::crypto::sign::VerifyingKey;
use crate::custody::{Custody, CustodyError};
use crate::library::bundle::{BundleError, How, KEY_LABEL};
use crate::library::record::{LibraryRecord, Source};
use crate::library::{Libraries, LibraryError};
use crate::operation::{Catalog, Cx, Effect};
use crate::schema::NotASchema;

pub(super) fn register(
    catalog: &Catalog,
    libraries: &Arc<Libraries>,
    custody: &Arc<Custody>,
    audit: &Audit,
    config: &Arc<Config>,
) -> Result<(), NotASchema> {
    let desk = Arc::new(Desk {
        libraries: Arc::clone(libraries),
        custody: Arc::clone(custody),
        audit: audit.clone(),
        config: Arc::clone(config),
    });
    let export = about::<Export>("library.export", "Write a library into a bundle", Effect::Changes);
    add(catalog, &desk, export, |desk, cx, arguments| Box::pin(desk.export(cx, arguments)))?;
    let import = about::<Import>("library.import", "Take a library in from a bundle", Effect::Changes);
    add(catalog, &desk, import, |desk, cx, arguments| Box::pin(desk.import(cx, arguments)))?;
    let back = about::<Named>("library.rollback", "Take the last import of a library back", Effect::Changes);
    add(catalog, &desk, back, |desk, cx, arguments| Box::pin(desk.roll_back(cx, arguments)))
}

type Answer = for<'a> fn(&'a Desk, &'a Cx, Value) -> BoxFuture<'a, Result<Value, Refusal>>;

fn add(
    catalog: &Catalog,
    desk: &Arc<Desk>,
    mut about: crate::operation::About,
    answer: Answer,
) -> Result<(), NotASchema> {
    about.action_group = ActionGroup::Operate;
    // Files are named, of the machine on which the server runs.
    about.at_machine = about.name != "library.rollback";
    about.argument_bytes_max = 8 * bound::ARGUMENT_BYTES_MAX;
    let desk = Arc::clone(desk);
    catalog.add(Arc::new(Request::new(about, move |cx, arguments| {
        let desk = Arc::clone(&desk);
        Box::pin(async move { answer(&desk, cx, arguments).await })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Export {
    #[schemars(length(max = 64))]
    name: String,
    /// An absolute path of a new file on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// An absolute path of a bundle on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
    /// What the library is called here; by default as where it comes from.
    #[serde(default)]
    #[schemars(length(max = 64))]
    name: Option<String>,
    /// Keys that may have signed it, beside those of the configuration.
    #[serde(default)]
    #[schemars(length(max = 32), extend("x-sekisho-field" = "other"))]
    keys: Vec<String>,
    /// Take a bundle that is not newer than what is there.
    #[serde(default)]
    allow_older: bool,
    /// At least this confidential: public, internal, confidential or restricted.
    #[serde(default)]
    #[schemars(length(max = 16))]
    classification: Option<String>,
    /// Read the library by this profile in the place of the bundle's.
    #[serde(default)]
    #[schemars(length(max = 32))]
    profile: Option<String>,
}

struct Desk {
    libraries: Arc<Libraries>,
    custody: Arc<Custody>,
    audit: Audit,
    config: Arc<Config>,
}

impl Desk {
    async fn export(&self, cx: &Cx, arguments: Value) -> Result<Value, Refusal> {
        let Export { name, path } = parse(arguments)?;
        let path = absolute(&path)?.to_owned();
        self.libraries.seen_by(&cx.access).get(&name)?;
        let key = self.custody.signing_key(KEY_LABEL)?;
        let (tell, told) = watched();
        let export = self.libraries.export(&name, path, key, cx.cancel.clone(), tell);
        let exported = shown(cx, told, export).await?;
        let (signer, serial) = (exported.signer.to_string(), exported.manifest.serial);
        self.record("library.export", &name, &exported.digest, serial, &exported.signer).await?;
        Ok(json!({
            "library": name,
            "path": exported.path.display().to_string(),
            "bytes": exported.bytes,
            "sha256": hex(&exported.digest),
            "serial": serial,
            "documents": exported.manifest.documents,
            "sections": exported.manifest.sections,
            "profile": exported.manifest.profile.map(|rules| rules.name),
            "verifying_key": signer,
        }))
    }

    async fn import(&self, cx: &Cx, arguments: Value) -> Result<Value, Refusal> {
        let Import { path, name, keys, allow_older, classification, profile } = parse(arguments)?;
        let path = absolute(&path)?.to_owned();
        let classification = classification.as_deref().map(level).transpose()?;
        let trusted = self.trusted(&keys)?;
        let checked = self.libraries.check_bundle(&path, name, trusted, cx.cancel.clone()).await?;
        let name = checked.name().to_owned();
        let known = self.libraries.get(&name).ok().map(|library| library.classification);
        let carried = checked.manifest().classification;
        let least = classification.map_or(carried, |asked| asked.max(carried));
        let least = known.map_or(least, |known| known.max(least));
        // As it is, and as it will be: who may not see the one has no business with the other.
        for level in known.into_iter().chain([least]) {
            let library = Resource::library(&name, level);
            let verdict = cx.access.decide(&library);
            if !verdict.is_allowed {
                return Err(Refusal::new(Code::Forbidden, cx.access.denial(&library)).with_private(verdict.reason()));
            }
        }
        cx.access.touch(least);
        let how = How { allow_older, classification, profile };
        let (tell, told) = watched();
        let imported = shown(cx, told, self.libraries.import(checked, how, cx.cancel.clone(), tell)).await?;
        let serial = imported.manifest.serial;
        self.record("library.import", &name, &imported.digest, serial, &imported.signer).await?;
        Ok(json!({
            "library": record_json(&self.libraries.get(&name)?),
            "report": imported.report,
            "serial": serial,
            "before": imported.before,
            "sha256": hex(&imported.digest),
            "signer": imported.signer.to_string(),
        }))
    }

    async fn roll_back(&self, cx: &Cx, arguments: Value) -> Result<Value, Refusal> {
        let Named { name } = parse(arguments)?;
        let before = serial(&self.libraries.seen_by(&cx.access).get(&name)?);
        let (library, report) = self.libraries.roll_back(&name).await?;
        if let Source::Bundle(origin) = &library.source {
            let note = format!("the bundle with serial {} and SHA-256 {}", origin.serial, hex(&origin.digest));
            self.note("library.rollback", &name, note).await?;
        }
        Ok(json!({
            "library": record_json(&library),
            "report": report,
            "serial": serial(&library),
            "before": before,
        }))
    }

    /// The keys that may have signed: those of the configuration and those that are given.
    fn trusted(&self, given: &[String]) -> Result<Vec<VerifyingKey>, Refusal> {
        let keys = self.config.raw.library.trusted_keys.iter().chain(given).map(|given| {
            VerifyingKey::parse(given)
                .map_err(|error| BundleError::Key { given: given.chars().take(200).collect(), error })
        });
        Ok(keys.collect::<Result<_, _>>().map_err(LibraryError::from)?)
    }

    /// What an auditor asks of a bundle: which one it was, and whose.
    async fn record(
        &self,
        operation: &str,
        library: &str,
        digest: &Hash,
        serial: u64,
        signer: &VerifyingKey,
    ) -> Result<(), Refusal> {
        let note = format!("the bundle with serial {serial} and SHA-256 {}, signed by {signer}", hex(digest));
        self.note(operation, library, note).await
    }

    async fn note(&self, operation: &str, library: &str, note: String) -> Result<(), Refusal> {
        let mut draft = Draft::new(Event::Administration, "internal", self.audit.now());
        draft.operation = Some(operation.to_owned());
        draft.target = Some(library.to_owned());
        self.audit.append(draft, Outcome::Done, Some(note)).await.map_err(CustodyError::from)?;
        Ok(())
    }
}

fn serial(library: &LibraryRecord) -> Option<u64> {
    match &library.source {
        Source::Bundle(origin) => Some(origin.serial),
        _ => None,
    }
}
