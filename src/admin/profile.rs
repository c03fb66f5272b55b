//! The operations `profile.list` and `profile.show`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::request::{Named, Nothing, Request, about, answering, parse, written};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::{Code, Refusal};
use crate::library::Libraries;
use crate::operation::{Catalog, Effect};
use crate::profile::{Profile, Profiles};
use crate::schema::NotASchema;

pub(super) fn register(
    catalog: &Catalog,
    libraries: &Arc<Libraries>,
    profiles: &Arc<Profiles>,
) -> Result<(), NotASchema> {
    let known = (Arc::clone(libraries), Arc::clone(profiles));
    let list =
        answering::<Nothing, Listed>("profile.list", "List profiles", Effect::ReadOnly).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(list, move |cx, _| {
        let (libraries, profiles) = (known.0.seen_by(&cx.access), Arc::clone(&known.1));
        Box::pin(async move {
            let mut listed = Vec::new();
            for profile in &profiles.all() {
                let read = libraries.of_profile(&profile.manifest.name)?;
                listed.push(told(profile, read.into_iter().map(|library| library.name).collect()));
            }
            written(&Listed { profiles: listed })
        })
    })))?;
    let profiles = Arc::clone(profiles);
    let show = about::<Named>("profile.show", "Show a profile", Effect::ReadOnly).in_group(ActionGroup::Operate);
    catalog.add(Arc::new(Request::new(show, move |_, arguments| {
        let profiles = Arc::clone(&profiles);
        Box::pin(async move {
            let Named { name } = parse(arguments)?;
            let missing = || Refusal::new(Code::NotFound, format!("There is no profile {name:?}."));
            let profile = profiles.get(&name).ok_or_else(missing)?;
            let manifest = &profile.manifest;
            let facets: Vec<_> = manifest.facets.iter().map(|facet| json!({"name": facet.name, "about": facet.about, "values": facet.values})).collect();
            Ok(json!({
                "profile": told(&profile, Vec::new()),
                "about": manifest.about,
                "hosts": manifest.sources.hosts,
                "start": manifest.sources.start,
                "facets": facets,
                "tools": tools(&profile),
                "prompts": profile.prompts.prompts.iter().map(|prompt| profile.named(&prompt.name)).collect::<Vec<_>>(),
                "resources": manifest.resources.iter().map(|entry| format!("{}://{}", manifest.name, entry.template)).collect::<Vec<_>>(),
            }))
        })
    })))
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    profiles: Vec<Told>,
}

#[derive(Serialize, JsonSchema)]
struct Told {
    name: String,
    title: String,
    languages: Vec<String>,
    /// How many tools it has.
    tools: usize,
    /// Libraries that are read by it.
    libraries: Vec<String>,
}

fn told(profile: &Profile, libraries: Vec<String>) -> Told {
    let manifest = &profile.manifest;
    Told {
        name: manifest.name.clone(),
        title: manifest.title.clone(),
        languages: manifest.languages.clone(),
        tools: tools(profile).len(),
        libraries,
    }
}

fn tools(profile: &Profile) -> Vec<String> {
    let tools = &profile.manifest.tools;
    let texts = [
        &tools.search,
        &tools.read,
        &tools.recommend,
        &tools.module,
        &tools.template,
        &tools.command,
        &tools.examples,
        &tools.diagnosis,
    ];
    texts.into_iter().flatten().map(|text| profile.named(&text.name)).collect()
}
