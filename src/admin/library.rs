//! The operations `library.add`, `.list`, `.show`, `.sync`, `.classify`, `.profile`, `.remove`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::request::{Classify, level, parse};
use crate::auth::policy::ask::{ActionGroup, Resource};
use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::id::hex;
use crate::base::network::Network;
use crate::base::refusal::{Code, Refusal};
use crate::library::record::{LibraryRecord, Source};
use crate::library::report::{SyncProgress, SyncReport};
use crate::library::web::Site;
use crate::library::{Libraries, LibraryError};
use crate::operation::{About, Catalog, Cx, Effect, Kind, Operation, Outcome, Output};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, libraries: &Arc<Libraries>) -> Result<(), NotASchema> {
    let named = schemars::schema_for!(Named).to_value();
    let classify = schemars::schema_for!(Classify).to_value();
    let use_profile = schemars::schema_for!(UseProfile).to_value();
    let nothing = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let requests = [
        (Request::Add, "library.add", "Add a library", schemars::schema_for!(Add).to_value(), Effect::Changes, false),
        (Request::List, "library.list", "List libraries", nothing, Effect::ReadOnly, true),
        (Request::Show, "library.show", "Show a library", named.clone(), Effect::ReadOnly, true),
        (Request::Sync, "library.sync", "Bring a library up to date", named.clone(), Effect::Changes, true),
        (Request::Classify, "library.classify", "Say how confidential a library is", classify, Effect::Changes, true),
        (
            Request::Profile,
            "library.profile",
            "Say by which profile a library is read",
            use_profile,
            Effect::Changes,
            true,
        ),
        (Request::Remove, "library.remove", "Remove a library", named, Effect::Destroys, false),
    ];
    for (request, name, title, input, effect, idempotent) in requests {
        let mut about = About::reading(Kind::Admin, name, title, title, input);
        about.effect = effect;
        // Whoever lowers a classification opens a library to others: that is policy.
        if !matches!(request, Request::Classify) {
            about.action_group = ActionGroup::Operate;
        }
        about.idempotent = idempotent;
        about.at_machine = matches!(request, Request::Add);
        about.argument_bytes_max = 8 * bound::ARGUMENT_BYTES_MAX;
        about.budget = Some(Duration::from_secs(bound::ADMIN_BUDGET_SECONDS));
        catalog.add(Arc::new(LibraryRequest { about, request, libraries: Arc::clone(libraries) }))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Add,
    List,
    Show,
    Sync,
    Classify,
    Profile,
    Remove,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    #[schemars(length(max = 64))]
    name: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    #[schemars(length(max = 64))]
    name: String,
    /// The URL of a web site, or an absolute path of a folder, an archive or a document on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
    #[serde(default)]
    #[schemars(length(max = 64))]
    include: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = 64))]
    exclude: Vec<String>,
    /// How confidential its documents are: public, internal, confidential or restricted.
    #[serde(default)]
    #[schemars(length(max = 16))]
    classification: Option<String>,
    /// The profile by which it is read.
    #[serde(default)]
    #[schemars(length(max = 32))]
    profile: Option<String>,
    /// What belongs to the web site that begins at `path`.
    #[serde(default)]
    web: Option<Web>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UseProfile {
    #[schemars(length(max = 64))]
    name: String,
    /// The profile by which the library is read from now on; none, if it is left out.
    #[serde(default)]
    #[schemars(length(max = 32))]
    profile: Option<String>,
}

/// Limits of a web site.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Web {
    /// Other hosts that its pages may be on.
    #[schemars(length(max = 16), extend("x-sekisho-field" = "other"))]
    hosts: Vec<String>,
    /// What the paths of its pages begin with; by default, the folder of the first page.
    #[schemars(length(max = 1024), extend("x-sekisho-field" = "other"))]
    prefix: String,
    loopback_http: bool,
    /// Networks that are not on the internet and that its hosts may be in, such as `10.0.0.0/8`.
    #[schemars(length(max = 16), extend("x-sekisho-field" = "other"))]
    networks: Vec<String>,
    /// 0: 2,000.
    pages_max: u32,
    /// 0: 8.
    depth_max: u32,
    /// 0: only when somebody asks for it.
    refresh_hours: u32,
}

/// Where the documents are: an URL of a web site, or an absolute path.
fn source(path: String, include: Vec<String>, exclude: Vec<String>, web: Option<Web>) -> Result<Source, Refusal> {
    let is_web = path.starts_with("https://") || path.starts_with("http://");
    if is_web {
        let Web { hosts, prefix, loopback_http, networks, pages_max, depth_max, refresh_hours } =
            web.unwrap_or_default();
        if let Some(wrong) = networks.iter().find(|network| Network::parse(network).is_none()) {
            let public = format!("Expected an address or a network such as 10.0.0.0/8, found {wrong:?}.");
            return Err(Refusal::new(Code::Invalid, public));
        }
        if !include.is_empty() || !exclude.is_empty() {
            let public = "A web site has no globs: narrow it with a prefix of its paths.";
            return Err(Refusal::new(Code::Invalid, public));
        }
        let site = Site { start: path, hosts, prefix, loopback_http, networks, pages_max, depth_max, refresh_hours };
        return Ok(Source::Web(site.checked().map_err(LibraryError::from)?));
    }
    if web.is_some() {
        return Err(Refusal::new(Code::Invalid, "Hosts, pages and the like are of web sites; this is a path."));
    }
    if !Path::new(&path).is_absolute() {
        return Err(Refusal::new(Code::Invalid, format!("The path must be absolute; found {path:?}.")));
    }
    Ok(Source::at(path, include, exclude))
}

struct LibraryRequest {
    about: About,
    request: Request,
    libraries: Arc<Libraries>,
}

impl LibraryRequest {
    async fn add(&self, cx: &Cx, add: Add) -> Result<Value, Refusal> {
        let classification = add.classification.as_deref().map_or(Ok(Classification::default()), level)?;
        let library = Resource::library(&add.name, classification);
        let verdict = cx.access.decide(&library);
        if !verdict.is_allowed {
            return Err(Refusal::new(Code::Forbidden, cx.access.denial(&library)).with_private(verdict.reason()));
        }
        cx.access.touch(classification);
        let source = source(add.path, add.include, add.exclude, add.web)?;
        self.libraries.add(&add.name, source, classification, add.profile).await?;
        match self.sync(cx, &add.name).await {
            Ok(report) => Ok(json!({"library": record_json(&self.libraries.get(&add.name)?), "report": report})),
            Err(refusal) => {
                // A library that never had a document helps nobody; the name is free again.
                if let Err(error) = self.libraries.remove(&add.name).await {
                    tracing::warn!(%error, library = add.name, "a library that could not be synced stays");
                }
                Err(refusal)
            }
        }
    }

    async fn sync(&self, cx: &Cx, name: &str) -> Result<SyncReport, Refusal> {
        let (tell, told) = watched();
        Ok(shown(cx, told, self.libraries.sync(name, cx.cancel.clone(), tell)).await?)
    }

    async fn answer(&self, cx: &Cx, arguments: Value) -> Result<Value, Refusal> {
        let seen = self.libraries.seen_by(&cx.access);
        match self.request {
            Request::Add => self.add(cx, parse(arguments)?).await,
            Request::List => {
                let libraries: Vec<Value> = seen.list()?.iter().map(record_json).collect();
                Ok(json!({"libraries": libraries}))
            }
            Request::Show => {
                let Named { name } = parse(arguments)?;
                let record = seen.get(&name)?;
                let first = seen.documents(&name, "", None, 20)?;
                let documents: Vec<Value> =
                    first.iter().map(|(path, document)| json!({"path": path, "title": document.title})).collect();
                let mut library = record_json(&record);
                library["revision"] = self.libraries.revision(&name)?.into();
                Ok(json!({"library": library, "documents": documents}))
            }
            Request::Sync => {
                let Named { name } = parse(arguments)?;
                seen.get(&name)?;
                Ok(json!({"report": self.sync(cx, &name).await?}))
            }
            Request::Classify => {
                let Classify { name, classification } = parse(arguments)?;
                let classification = level(&classification)?;
                seen.get(&name)?;
                let before = self.libraries.get(&name)?.classification;
                let record = self.libraries.classify(&name, classification).await?;
                cx.access.touch(classification);
                Ok(json!({"library": record_json(&record), "before": before}))
            }
            Request::Profile => {
                let UseProfile { name, profile } = parse(arguments)?;
                let before = seen.get(&name)?.profile;
                self.libraries.use_profile(&name, profile).await?;
                // Facets are derived anew, so that its tools find what they filter by.
                let report = self.sync(cx, &name).await?;
                Ok(json!({"library": record_json(&self.libraries.get(&name)?), "before": before, "report": report}))
            }
            Request::Remove => {
                let Named { name } = parse(arguments)?;
                seen.get(&name)?;
                Ok(json!({"removed": record_json(&self.libraries.remove(&name).await?)}))
            }
        }
    }
}

impl Operation for LibraryRequest {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move { Ok(Outcome::Done(Output::structured(self.answer(cx, arguments).await?, String::new()))) })
    }
}

pub(super) fn record_json(record: &LibraryRecord) -> Value {
    let (include, exclude) = record.source.globs();
    json!({
        "name": record.name,
        "source": record.source.describe(),
        "include": include,
        "exclude": exclude,
        "added": record.added.rfc3339(),
        "synced": record.synced.map(crate::base::clock::Timestamp::rfc3339),
        "documents": record.documents,
        "sections": record.sections,
        "bytes": record.bytes,
        "classification": record.classification,
        "profile": record.profile,
        "bundle": bundle_json(&record.source),
    })
}

/// Where progress is put, and where it is looked at: only the newest counts, and whoever is slow misses the steps
/// between.
pub(super) fn watched() -> (impl Fn(SyncProgress) + Send + Sync + 'static, watch::Receiver<SyncProgress>) {
    let (tell, told) = watch::channel(SyncProgress { done: 0, total: 0, path: String::new() });
    (move |progress| drop(tell.send_replace(progress)), told)
}

/// Does the work, and says now and then how far it is.
pub(super) async fn shown<T, E>(
    cx: &Cx,
    mut told: watch::Receiver<SyncProgress>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => {
                let SyncProgress { done, total, path } = told.borrow_and_update().clone();
                #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^53 files")]
                if total > 0 {
                    cx.progress(done as f64, Some(total as f64), Some(path)).await;
                }
            }
        }
    }
}

/// Of which bundle a library is.
fn bundle_json(source: &Source) -> Value {
    let Source::Bundle(origin) = source else { return Value::Null };
    json!({
        "library": origin.library,
        "serial": origin.serial,
        "made": origin.made.rfc3339(),
        "sha256": hex(&origin.digest),
        "signer": origin.signer,
    })
}
