//! The tools, prompts and resources of profiles: each is there as long as a library is read by its profile.

mod command;
mod diagnosis;
mod example;
mod find;
mod module;
mod prompt;
mod read;
mod recommend;
mod resource;
mod search;
mod template;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Map, Value, json};

use super::shelf::Shelves;
use crate::base::bound::profile as bound;
use crate::base::refusal::Refusal;
use crate::library::Libraries;
use crate::library::view::View;
use crate::operation::{About, Catalog, Change, Cx, Kind, Operation};
use crate::profile::manifest::ToolText;
use crate::profile::synonym::Synonym;
use crate::profile::{Profile, Profiles, page};
use crate::search::Synonyms;

/// Keeps the catalogue as the libraries are.
pub struct ProfileTools {
    /// Weak, both: the catalogue holds operations, which hold the libraries, which hold us.
    catalog: Weak<Catalog>,
    libraries: Weak<Libraries>,
    profiles: Arc<Profiles>,
    shelves: Weak<Shelves>,
    /// Held while it changes, never across an await.
    published: Mutex<Published>,
}

/// What was put in front of agents, each with the profile that it is of: another one of the same name, which a bundle
/// brought, has other tools.
#[derive(Default)]
struct Published {
    /// By kind and name, as in the catalogue.
    operations: BTreeMap<(Kind, String), Arc<Profile>>,
    /// By the profile's name.
    shelves: BTreeMap<String, Arc<Profile>>,
}

impl std::fmt::Debug for ProfileTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfileTools")
    }
}

impl ProfileTools {
    /// Puts into the catalogue what there is to be now, and the resources of all profiles onto their shelves.
    pub fn register(
        catalog: &Arc<Catalog>,
        libraries: &Arc<Libraries>,
        profiles: &Arc<Profiles>,
        shelves: &Arc<Shelves>,
    ) -> Arc<Self> {
        let this = Arc::new(Self {
            catalog: Arc::downgrade(catalog),
            libraries: Arc::downgrade(libraries),
            profiles: Arc::clone(profiles),
            shelves: Arc::downgrade(shelves),
            published: Mutex::default(),
        });
        this.keep();
        this
    }

    /// Puts into the catalogue what libraries have a profile for, and takes out the rest.
    pub fn keep(&self) {
        let (Some(catalog), Some(libraries)) = (self.catalog.upgrade(), self.libraries.upgrade()) else { return };
        let known = match libraries.list() {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(%error, "the tools of profiles cannot be listed");
                return;
            }
        };
        for library in &known {
            let profile = library.profile.as_deref().and_then(|name| self.profiles.get(name));
            let groups = profile.iter().flat_map(|profile| profile.manifest.synonyms.iter().filter_map(Synonym::group));
            libraries.set_synonyms(&library.name, Synonyms::new(groups));
        }
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = BTreeMap::new();
        let mut is_other = false;
        for profile in self.profiles.all() {
            let desk = Desk { profile: Arc::clone(&profile), libraries: Arc::clone(&libraries) };
            self.shelve(&mut published.shelves, &desk);
            if !known.iter().any(|library| library.profile.as_deref() == Some(profile.manifest.name.as_str())) {
                continue;
            }
            for operation in operations(&desk) {
                let key = (operation.about().kind, operation.about().name.clone());
                match published.operations.get(&key) {
                    Some(known) if Arc::ptr_eq(known, &profile) => {
                        wanted.insert(key, Arc::clone(&profile));
                        continue;
                    }
                    Some(_) => {
                        catalog.remove(key.0, &key.1);
                    }
                    None => {}
                }
                if catalog.get(key.0, &key.1).is_some() {
                    tracing::error!(
                        tool = key.1,
                        "there is a tool of this name already; that of the profile is left out"
                    );
                    continue;
                }
                match catalog.add(operation) {
                    Ok(()) => {
                        is_other = true;
                        wanted.insert(key, Arc::clone(&profile));
                    }
                    Err(error) => tracing::error!(tool = key.1, %error, "a tool of a profile cannot be listed"),
                }
            }
        }
        for (kind, name) in published.operations.keys().filter(|key| !wanted.contains_key(*key)) {
            is_other = true;
            catalog.remove(*kind, name);
        }
        published.operations = wanted;
        if is_other {
            catalog.announce(Change::Tools);
            catalog.announce(Change::Prompts);
        }
    }

    /// Puts the resources of a profile where agents find them; they are empty while no library is read by it.
    fn shelve(&self, shelved: &mut BTreeMap<String, Arc<Profile>>, desk: &Desk) {
        let name = &desk.profile.manifest.name;
        let Some(shelves) = self.shelves.upgrade() else { return };
        if !shelved.get(name).is_some_and(|known| Arc::ptr_eq(known, &desk.profile)) {
            shelves.put(name, Arc::new(resource::ProfileShelf::new(desk.clone())));
            shelved.insert(name.clone(), Arc::clone(&desk.profile));
        }
    }
}

/// What every tool of a profile works with.
#[derive(Clone, Debug)]
struct Desk {
    profile: Arc<Profile>,
    libraries: Arc<Libraries>,
}

impl Desk {
    fn view(&self, cx: &Cx) -> View {
        self.libraries.seen_by(&cx.access)
    }

    /// Names of the libraries that this caller may see through the profile.
    fn library_names(&self, cx: &Cx) -> Result<Vec<String>, Refusal> {
        let libraries = self.view(cx).of_profile(&self.profile.manifest.name)?;
        Ok(libraries.into_iter().map(|library| library.name).collect())
    }

    /// What is known of a tool. Its results quote documents.
    fn about(&self, text: &ToolText, input: Value, output: Value) -> About {
        let name = self.profile.named(&text.name);
        let mut about = About::reading(Kind::Tool, &name, &text.title, &text.about, input);
        about.output = Some(output);
        about.quotes = true;
        about.argument_bytes_max = crate::base::bound::SEARCH_ARGUMENT_BYTES_MAX;
        about
    }

    /// The address of a document on the web: where it was fetched from, or else what the profile says of its path.
    fn address(&self, url: Option<&str>, path: &str) -> Option<String> {
        url.map(str::to_owned).or_else(|| page::address(&self.profile.manifest.sites, path))
    }

    /// Values that `platform` of a tool can have.
    fn platforms(&self) -> &[String] {
        let manifest = &self.profile.manifest;
        let facet = manifest.facets.iter().find(|facet| Some(&facet.name) == manifest.platform_facet.as_ref());
        facet.map(|facet| facet.values.as_slice()).unwrap_or_default()
    }

    /// The schema of `platform`, where the profile has platforms.
    fn with_platform(&self, properties: &mut Map<String, Value>, about: &str) {
        if !self.platforms().is_empty() {
            properties.insert("platform".into(), json!({"enum": self.platforms(), "description": about}));
        }
    }
}

/// All operations of a profile: a tool is there if its text is, which `check` holds against its data.
fn operations(desk: &Desk) -> Vec<Arc<dyn Operation>> {
    let tools = &desk.profile.manifest.tools;
    let mut found: Vec<Arc<dyn Operation>> = Vec::new();
    let mut add = |operation: Option<Arc<dyn Operation>>| found.extend(operation);
    add(tools.search.as_ref().map(|text| Arc::new(search::Search::new(desk, text)) as _));
    add(tools.read.as_ref().map(|text| Arc::new(read::Read::new(desk, text)) as _));
    add(tools.recommend.as_ref().map(|text| Arc::new(recommend::Recommend::new(desk, text)) as _));
    add(tools.module.as_ref().and_then(|text| Some(Arc::new(module::GetModule::new(desk, text)?) as _)));
    add(tools.template.as_ref().and_then(|text| Some(Arc::new(template::Make::new(desk, text)?) as _)));
    add(tools.command.as_ref().and_then(|text| Some(Arc::new(command::Build::new(desk, text)?) as _)));
    add(tools.examples.as_ref().and_then(|text| Some(Arc::new(example::Show::new(desk, text)?) as _)));
    add(tools.diagnosis.as_ref().and_then(|text| Some(Arc::new(diagnosis::Diagnose::new(desk, text)?) as _)));
    for entry in &desk.profile.prompts.prompts {
        found.push(Arc::new(prompt::Ask::new(desk, entry)));
    }
    found
}

/// The schema of arguments that holds nothing else.
fn input(properties: Map<String, Value>, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A JSON object's fields, of a literal that is one.
fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The schema of a version that is asked for, where the profile has versions.
fn version_schema(pattern: &str, default: &str) -> Value {
    json!({"type": "string", "maxLength": 64, "pattern": pattern, "default": default})
}

impl Desk {
    /// Pages that data names by their paths, as they stand in the libraries; what is not there is left out.
    async fn linked(&self, cx: &Cx, paths: &[String]) -> Result<Vec<Linked>, Refusal> {
        let mut found: Vec<Linked> = Vec::new();
        for path in paths.iter().take(bound::PROFILE_PAGES_MAX) {
            let Some((_, path)) = self.first_of(cx, self.candidates(cx, path)?).await? else { continue };
            if !found.iter().any(|known| known.path == path) {
                found.push(Linked { url: self.address(None, &path), path });
            }
        }
        Ok(found)
    }
}

/// A page, by path and address.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
struct Linked {
    /// Path of the document in its library.
    path: String,
    /// Its address on the web.
    url: Option<String>,
}
