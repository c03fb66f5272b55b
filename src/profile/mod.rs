//! Profiles: what is special about one set of documents, as data. Pure: documents are elsewhere.
//!
//! **Invariant:** no subject of a profile is named in the program; a test looks for that.

pub mod check;
pub mod code;
pub mod command;
pub mod diagnosis;
pub mod facet;
pub mod file;
pub mod manifest;
pub mod module;
pub mod page;
pub mod pattern;
pub mod synonym;
pub mod template;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::base::bound::profile::PROFILES_MAX;
use crate::crypto::digest::{Hash, sha256};
use crate::schema::Schema;
use command::Commands;
use diagnosis::Errors;
use file::{Files, Mistake};
use manifest::{Manifest, Prompts};
use module::ModuleFacts;
use template::{TemplateEntry, TemplateFile, Values};

/// The files of a profile, by what is in them.
const MANIFEST: &str = "profile.toml";
const MODULES: &str = "modules.toml";
const TEMPLATES: &str = "templates.toml";
const COMMANDS: &str = "commands.toml";
const ERRORS: &str = "errors.toml";
const PROMPTS: &str = "prompts.toml";

/// A profile whose files were read and checked.
#[derive(Debug)]
pub struct Profile {
    pub manifest: Manifest,
    pub modules: ModuleFacts,
    pub templates: Option<Templates>,
    pub commands: Option<Commands>,
    pub errors: Option<Errors>,
    pub prompts: Prompts,
    /// Of what decides the facets of documents: with another one they are derived anew.
    pub mark: Hash,
}

/// Templates with their bodies and schemas.
#[derive(Debug)]
pub struct Templates {
    pub file: TemplateFile,
    bodies: BTreeMap<String, Body>,
    schemas: BTreeMap<String, Schema>,
}

#[derive(Debug)]
enum Body {
    Tree(Value),
    Text(String),
}

impl Templates {
    pub fn entry(&self, name: &str) -> Option<&TemplateEntry> {
        self.file.templates.iter().find(|entry| entry.file == name)
    }

    /// The file as text, filled in, and as JSON where it is.
    pub fn make(&self, entry: &TemplateEntry, values: &Values) -> (String, Option<Value>) {
        match self.bodies.get(&entry.body) {
            Some(Body::Tree(template)) => {
                let tree = values.tree(template);
                let text = serde_json::to_string_pretty(&tree).unwrap_or_default();
                (format!("{text}\n"), Some(tree))
            }
            Some(Body::Text(template)) => (values.text(template), None),
            None => (String::new(), None),
        }
    }

    pub fn schema(&self, entry: &TemplateEntry) -> Option<&Schema> {
        self.schemas.get(entry.schema.as_ref()?)
    }
}

impl Profile {
    /// Reads the files of a profile and checks that they fit together.
    pub fn read(files: &Files) -> Result<Self, Vec<Mistake>> {
        let one = |mistake: Mistake| vec![mistake];
        let manifest: Option<Manifest> = files.toml(MANIFEST).map_err(one)?;
        let manifest = manifest.ok_or_else(|| {
            one(Mistake { file: MANIFEST.into(), line: 1, reason: "there is no such file in the folder".into() })
        })?;
        let templates: Option<TemplateFile> = files.toml(TEMPLATES).map_err(one)?;
        let profile = Self {
            modules: files.toml(MODULES).map_err(one)?.unwrap_or_default(),
            templates: templates.map(|file| read_templates(files, file)).transpose().map_err(one)?,
            commands: files.toml(COMMANDS).map_err(one)?,
            errors: files.toml(ERRORS).map_err(one)?,
            prompts: files.toml(PROMPTS).map_err(one)?.unwrap_or_default(),
            mark: sha256(&[files.get(MANIFEST).unwrap_or_default().as_bytes()]),
            manifest,
        };
        let mistakes = check::mistakes(&profile, files);
        if mistakes.is_empty() { Ok(profile) } else { Err(mistakes) }
    }

    /// The name of a tool or prompt of this profile.
    pub fn named(&self, name: &str) -> String {
        format!("{}_{name}", self.manifest.name)
    }
}

fn read_templates(files: &Files, file: TemplateFile) -> Result<Templates, Mistake> {
    let mut bodies = BTreeMap::new();
    let mut schemas = BTreeMap::new();
    for entry in &file.templates {
        let missing = |path: &str| files.mistake_at(TEMPLATES, path, format!("the profile has no file {path:?}"));
        let body = if template::is_json(&entry.body) {
            Body::Tree(files.json(&entry.body)?.ok_or_else(|| missing(&entry.body))?)
        } else {
            Body::Text(files.get(&entry.body).ok_or_else(|| missing(&entry.body))?.to_owned())
        };
        bodies.insert(entry.body.clone(), body);
        if let Some(path) = &entry.schema {
            let schema = files.json(path)?.ok_or_else(|| missing(path))?;
            let schema = Schema::compile(&schema).map_err(|error| files.mistake(path, 0, error.to_string()))?;
            schemas.insert(path.clone(), schema);
        }
    }
    Ok(Templates { file, bodies, schemas })
}

/// All profiles of this installation, by name.
#[derive(Debug, Default)]
pub struct Profiles {
    /// Held for a look-up, never across an await.
    profiles: RwLock<BTreeMap<String, Known>>,
}

/// A profile that is in force.
#[derive(Debug)]
struct Known {
    profile: Arc<Profile>,
    files: Files,
    from: Place,
}

/// Where a profile comes from; what stands earlier is not replaced by what stands later, but for a shipped one by a
/// folder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Shipped,
    Folder,
    /// A library that came in a bundle.
    Bundle,
}

impl Profiles {
    /// The shipped profiles and those in the folders of `directory`, which may take the place of a shipped one. What is
    /// wrong is told and left out: documents are served without it.
    pub fn open(directory: Option<&Path>) -> (Self, Vec<String>) {
        let mut profiles = BTreeMap::new();
        let mut told = Vec::new();
        let mut take = |at: &str, files: Result<Files, Mistake>, from: Place| {
            let read = files.map_err(|mistake| vec![mistake]);
            match read.and_then(|files| Ok((Profile::read(&files)?, files))) {
                Ok((profile, files)) => {
                    let name = profile.manifest.name.clone();
                    drop(profiles.insert(name, Known { profile: Arc::new(profile), files, from }));
                }
                Err(mistakes) => told.extend(mistakes.iter().map(|mistake| format!("{at}/{mistake}"))),
            }
        };
        for name in Files::shipped() {
            take(&name, Ok(Files::of_shipped(&name)), Place::Shipped);
        }
        if let Some(directory) = directory {
            match std::fs::read_dir(directory) {
                Ok(entries) => {
                    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
                    let mut folders: Vec<_> = folders.collect();
                    folders.sort_unstable();
                    for folder in folders.iter().take(PROFILES_MAX) {
                        take(&folder.display().to_string(), Files::of_folder(folder), Place::Folder);
                    }
                }
                Err(error) => told.push(format!("{} cannot be read: {error}", directory.display())),
            }
        }
        (Self { profiles: RwLock::new(profiles) }, told)
    }

    pub fn get(&self, name: &str) -> Option<Arc<Profile>> {
        self.with(|profiles| profiles.get(name).map(|known| Arc::clone(&known.profile)))
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<Profile>> {
        self.with(|profiles| profiles.values().map(|known| Arc::clone(&known.profile)).collect())
    }

    /// Whether it was shipped, or put here by an operator.
    pub fn is_own(&self, name: &str) -> bool {
        self.with(|profiles| profiles.get(name).is_some_and(|known| known.from != Place::Bundle))
    }

    /// The files of one that was not shipped.
    pub fn files(&self, name: &str) -> Option<Files> {
        self.with(|profiles| profiles.get(name).filter(|known| known.from != Place::Shipped).map(|it| it.files.clone()))
    }

    /// Puts a profile in force that a bundle brought. One of this site's own of the same name stays in its place.
    pub fn install(&self, profile: Profile, files: Files) {
        let name = profile.manifest.name.clone();
        let mut profiles = self.profiles.write().unwrap_or_else(PoisonError::into_inner);
        let stays = |known: &Known| known.from != Place::Bundle || known.files == files;
        if !profiles.get(&name).is_some_and(stays) {
            drop(profiles.insert(name, Known { profile: Arc::new(profile), files, from: Place::Bundle }));
        }
    }

    fn with<T>(&self, look: impl FnOnce(&BTreeMap<String, Known>) -> T) -> T {
        look(&self.profiles.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
