//! The operations `connector.preview`, `.add`, `.list`, `.show`, `.find`, `.lock`, `.update`, `.diff`, `.approve`, `.reject`,
//! `.enable`, `.disable`, `.remove`. Looking is for operators; what agents may reach, administrators say.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connector_facts::{breaker, facts, left_out, previewed, rows, seen, waiting};
use super::document::{From, one_of, unpacked};
use super::request::{Named, Nothing, Request, about, parse};
use super::settings::Wished;
use crate::auth::policy::ask::{ActionGroup, Resource};
use crate::base::bound::connector as bound;
use crate::base::classification::Classification;
use crate::base::refusal::{Code, Refusal};
use crate::connector::error::ConnectorError;
use crate::connector::find::Finder;
use crate::connector::oauth::desk::Desk;
use crate::connector::pick::Picks;
use crate::connector::record::{ConnectorRecord, Mode};
use crate::connector::registry::{Connectors, Switch, Updated, Wanted};
use crate::connector::tool::{Class, Tool};
use crate::openapi::Method;
use crate::operation::{Catalog, Cx, Effect, Kind};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    look(catalog, connectors)?;
    make(catalog, connectors)?;
    change(catalog, connectors, desk)
}

fn look(catalog: &Catalog, connectors: &Arc<Connectors>) -> Result<(), NotASchema> {
    let keeper = Arc::clone(connectors);
    let list = about::<Nothing>("connector.list", "List the connectors", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(list.in_group(ActionGroup::Operate), move |cx, _| {
        let records = keeper.list().map_err(Refusal::from);
        let seen = records.map(|records| records.iter().filter(|it| may(cx, it)).map(facts).collect::<Vec<_>>());
        Box::pin(async { Ok(json!({"connectors": seen?})) })
    })))?;
    let keeper = Arc::clone(connectors);
    let show = about::<Named>("connector.show", "Show a connector and its operations", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(show.in_group(ActionGroup::Operate), move |cx, arguments| {
        let shown = named(arguments).and_then(|name| {
            let record = seen(cx, &keeper, &name)?;
            let tools = keeper.tools(&name)?;
            let breaker = keeper.standing(&name).map(breaker);
            Ok(json!({"connector": facts(&record), "breaker": breaker, "operations": rows(&tools, &record.switches)}))
        });
        Box::pin(async { shown })
    })))?;
    let keeper = Arc::clone(connectors);
    let find = about::<Find>("connector.find", "Find operations of a connector by words", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(find.in_group(ActionGroup::Operate), move |cx, arguments| {
        let found = parse(arguments).and_then(|Find { name, query, limit }| {
            let record = seen(cx, &keeper, &name)?;
            let tools = keeper.tools(&name)?;
            let places = Finder::new(&tools).find(&query, limit);
            let found: Vec<Tool> = places.into_iter().filter_map(|place| tools.get(place).cloned()).collect();
            Ok(json!({"operations": rows(&found, &record.switches)}))
        });
        Box::pin(async { found })
    })))?;
    let keeper = Arc::clone(connectors);
    let lock = about::<Named>("connector.lock", "Show the digests of a connector's operations", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(lock.in_group(ActionGroup::Operate), move |cx, arguments| {
        let shown = named(arguments).and_then(|name| {
            seen(cx, &keeper, &name)?;
            let (text, digest) = keeper.lock(&name)?;
            Ok(json!({"lock": text, "digest": digest}))
        });
        Box::pin(async { shown })
    })))?;
    let keeper = Arc::clone(connectors);
    let diff = about::<Named>("connector.diff", "Show the change of a connector that waits", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(diff.in_group(ActionGroup::Operate), move |cx, arguments| {
        let shown = named(arguments).and_then(|name| {
            seen(cx, &keeper, &name)?;
            match keeper.waiting(&name) {
                Err(ConnectorError::NothingPending(_)) => Ok(json!({"waits": false})),
                found => Ok(waiting(&found?)),
            }
        });
        Box::pin(async { shown })
    })))
}

fn make(catalog: &Catalog, connectors: &Arc<Connectors>) -> Result<(), NotASchema> {
    let keeper = Arc::clone(connectors);
    let mut preview = about::<Add>("connector.preview", "Say what a connector would expose", Effect::ReadOnly);
    preview.argument_bytes_max = bound::DOCUMENT_ARGUMENT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(preview, move |cx, arguments| {
        let keeper = Arc::clone(&keeper);
        Box::pin(async move {
            let wanted = wanted(cx, &keeper, parse(arguments)?).await?;
            Ok(previewed(&keeper.preview(wanted).await?))
        })
    })))?;
    let keeper = Arc::clone(connectors);
    let mut add = about::<Add>("connector.add", "Add a connector", Effect::Changes);
    add.argument_bytes_max = bound::DOCUMENT_ARGUMENT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(add, move |cx, arguments| {
        let keeper = Arc::clone(&keeper);
        Box::pin(async move {
            let wanted = wanted(cx, &keeper, parse(arguments)?).await?;
            cx.access.touch(wanted.classification);
            Ok(previewed(&keeper.add(wanted).await?))
        })
    })))?;
    let keeper = Arc::clone(connectors);
    let mut update = about::<Update>("connector.update", "Give a connector a new document", Effect::Changes);
    update.argument_bytes_max = bound::DOCUMENT_ARGUMENT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(update, move |cx, arguments| {
        let keeper = Arc::clone(&keeper);
        Box::pin(async move {
            let Update { name, packed, from_url } = parse(arguments)?;
            let record = seen(cx, &keeper, &name)?;
            let document = match one_of(packed.as_deref(), from_url.as_deref())? {
                From::Url(url) => keeper.fetch(&record, url).await?,
                From::Packed(packed) => unpacked(&name, packed)?,
            };
            let (updated, import) = keeper.update(&name, document).await?;
            let mut result = match updated {
                Updated::Same => json!({"waits": false}),
                Updated::Quarantined(change) => waiting(&change),
            };
            result["left_out"] = left_out(&import);
            Ok(result)
        })
    })))
}

fn change(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    let keeper = Arc::clone(connectors);
    let approve = about::<Approve>("connector.approve", "Put a connector's change in force", Effect::Changes);
    catalog.add(Arc::new(Request::new(approve, move |cx, arguments| {
        let keeper = Arc::clone(&keeper);
        Box::pin(async move {
            let Approve { name, digest, accept } = parse(arguments)?;
            seen(cx, &keeper, &name)?;
            let change = keeper.approve(&name, &digest, &accept).await?;
            Ok(json!({"connector": facts(&change.record)}))
        })
    })))?;
    let keeper = Arc::clone(connectors);
    let reject = about::<Reject>("connector.reject", "Give a connector's change up", Effect::Changes);
    catalog.add(Arc::new(Request::new(reject, move |cx, arguments| {
        let keeper = Arc::clone(&keeper);
        Box::pin(async move {
            let Reject { name, digest } = parse(arguments)?;
            seen(cx, &keeper, &name)?;
            Ok(json!({"connector": facts(&keeper.reject(&name, digest.as_deref()).await?)}))
        })
    })))?;
    for (name, title, on) in [
        ("connector.enable", "Switch a connector or operations of it on", true),
        ("connector.disable", "Switch a connector or operations of it off", false),
    ] {
        let keeper = Arc::clone(connectors);
        let mut switch = about::<Switched>(name, title, Effect::Changes);
        switch.idempotent = true;
        switch.argument_bytes_max = 32 * crate::base::bound::ARGUMENT_BYTES_MAX;
        catalog.add(Arc::new(Request::new(switch, move |cx, arguments| {
            let keeper = Arc::clone(&keeper);
            Box::pin(async move {
                let Switched { name, classes, operations } = parse(arguments)?;
                let mut record = seen(cx, &keeper, &name)?;
                let both = [
                    (!classes.is_empty()).then_some(Switch::Classes(classes)),
                    (!operations.is_empty()).then_some(Switch::Operations(operations)),
                ];
                let mut wanted: Vec<Switch> = both.into_iter().flatten().collect();
                if wanted.is_empty() {
                    wanted.push(Switch::Connector);
                }
                for switch in wanted {
                    record = keeper.switch(&name, switch, on).await?;
                }
                Ok(json!({"connector": facts(&record), "on": keeper.exposed(&record)?.len()}))
            })
        })))?;
    }
    let (keeper, desk) = (Arc::clone(connectors), desk.clone());
    let remove = about::<Named>("connector.remove", "Remove a connector", Effect::Destroys);
    catalog.add(Arc::new(Request::new(remove, move |cx, arguments| {
        let (keeper, desk) = (Arc::clone(&keeper), desk.clone());
        Box::pin(async move {
            let name = named(arguments)?;
            seen(cx, &keeper, &name)?;
            let removed = keeper.remove(&name).await?;
            desk.forget(&name).await?;
            Ok(json!({"removed": facts(&removed)}))
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    #[schemars(length(max = 64))]
    name: String,
    /// The instance, such as `https://api.example.com`; the document's own path comes behind it.
    #[schemars(length(max = 512), extend("x-sekisho-field" = "other"))]
    base_url: String,
    /// Whether `http://` is taken, for this machine only.
    #[serde(default)]
    loopback_http: bool,
    /// Networks that are not on the internet and that its host may be in, such as `10.0.0.0/8`.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-sekisho-field" = "other"))]
    networks: Vec<String>,
    /// The `OpenAPI` document: its size (u32, little endian) and one LZ4 block, in base64. None takes the shipped one of
    /// this name.
    #[serde(default)]
    packed: Option<String>,
    /// Where the document is fetched from, in the place of `packed`.
    #[serde(default)]
    #[schemars(length(max = bound::DOCUMENT_URL_BYTES_MAX), extend("x-sekisho-field" = "other"))]
    from_url: Option<String>,
    #[serde(default)]
    picks: Picked,
    /// `tools` or `search`.
    #[serde(default)]
    #[schemars(with = "String")]
    mode: Mode,
    #[serde(default)]
    #[schemars(with = "String")]
    classification: Classification,
    #[serde(default)]
    settings: Wished,
    /// Names of tools whose words look like an attack and are taken all the same.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-sekisho-field" = "other"))]
    accept: Vec<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Picked {
    #[schemars(length(max = 256), extend("x-sekisho-field" = "other"))]
    tags: Vec<String>,
    #[schemars(length(max = 256), with = "Vec<String>")]
    methods: Vec<Method>,
    #[schemars(length(max = 256), extend("x-sekisho-field" = "other"))]
    paths: Vec<String>,
    #[schemars(length(max = 256), extend("x-sekisho-field" = "other"))]
    ids: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Update {
    #[schemars(length(max = 64))]
    name: String,
    /// As in `connector.add`.
    #[serde(default)]
    packed: Option<String>,
    /// As in `connector.add`.
    #[serde(default)]
    #[schemars(length(max = bound::DOCUMENT_URL_BYTES_MAX), extend("x-sekisho-field" = "other"))]
    from_url: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Find {
    #[schemars(length(max = 64))]
    name: String,
    #[schemars(length(max = 500))]
    query: String,
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 50))]
    limit: usize,
}

fn ten() -> usize {
    10
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Approve {
    #[schemars(length(max = 64))]
    name: String,
    /// As `connector.diff` tells it: what was looked at is what comes into force.
    #[schemars(length(max = 64))]
    digest: String,
    /// As in `connector.add`.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-sekisho-field" = "other"))]
    accept: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reject {
    #[schemars(length(max = 64))]
    name: String,
    /// As in `connector.approve`. None gives up whatever waits.
    #[serde(default)]
    #[schemars(length(max = 64))]
    digest: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Switched {
    #[schemars(length(max = 64))]
    name: String,
    /// `read`, `write`, `delete`. Neither classes nor operations: the connector as a whole.
    #[serde(default)]
    #[schemars(length(max = 3), with = "Vec<String>")]
    classes: Vec<Class>,
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-sekisho-field" = "other"))]
    operations: Vec<String>,
}

fn named(arguments: Value) -> Result<String, Refusal> {
    parse(arguments).map(|Named { name }| name)
}

fn may(cx: &Cx, record: &ConnectorRecord) -> bool {
    cx.access.decide(&record.resource()).is_allowed
}

async fn wanted(cx: &Cx, connectors: &Connectors, add: Add) -> Result<Wanted, Refusal> {
    let Add {
        name,
        base_url,
        loopback_http,
        networks,
        packed,
        from_url,
        picks,
        mode,
        classification,
        settings,
        accept,
    } = add;
    let resource = Resource::connector(&name, classification);
    let verdict = cx.access.decide(&resource);
    if !verdict.is_allowed {
        return Err(Refusal::new(Code::Forbidden, cx.access.denial(&resource)).with_private(verdict.reason()));
    }
    // Tools of connectors begin with their names: none may stand in for one that is there.
    let begins = format!("{name}_");
    let known = connectors.get(&name).is_ok();
    let taken =
        cx.catalog.all().into_iter().find(|it| it.about.kind == Kind::Tool && it.about.name.starts_with(&begins));
    if let Some(taken) = taken.filter(|_| !known) {
        let public = format!("The tool {} is there already; choose another name than {name}.", taken.about.name);
        return Err(Refusal::new(Code::Conflict, public));
    }
    let from = one_of(packed.as_deref(), from_url.as_deref())?;
    let Picked { tags, methods, paths, ids } = picks;
    let picks = Picks { tags, methods, paths, ids };
    let (settings, accepted) = (settings.changes()?, accept);
    let document = Vec::new();
    let mut wanted =
        Wanted { name, base_url, loopback_http, networks, document, picks, mode, classification, settings, accepted };
    wanted.document = match from {
        From::Url(url) => connectors.fetch_new(&wanted, url).await?,
        From::Packed(packed) => unpacked(&wanted.name, packed)?,
    };
    Ok(wanted)
}
