//! Where each setting in force comes from: the file, the environment, the command line, or nowhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where a setting comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    #[default]
    Default,
    File,
    /// The variable of this name.
    Environment(String),
    /// An option with this value, which is in force in the place of what is written.
    CommandLine(String),
}

/// A setting that the file has and that a variable sets to something else, which is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Overridden {
    /// Dotted, such as `http.listen`.
    pub key: String,
    pub variable: String,
    pub written: Value,
    pub in_force: Value,
}

impl Overridden {
    /// In one sentence without its full stop; `place` says where the variable is set, unless that is the environment of
    /// whoever asks.
    pub fn told(&self, file: &Path, place: Option<&Path>) -> String {
        let Self { key, variable, written, in_force } = self;
        let place = place.map_or_else(String::new, |place| format!(" of {}", place.display()));
        format!("{key} is {written} in {} and {in_force} in {variable}{place}: the variable counts", file.display())
    }
}

/// Of all settings that are not the default.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    file: PathBuf,
    by_key: BTreeMap<String, Origin>,
    overridden: Vec<Overridden>,
    exposed: Vec<String>,
}

impl Origins {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    /// `key` is dotted, such as `http.listen`. What is noted last is in force.
    pub fn note(&mut self, key: &str, origin: Origin) {
        self.by_key.insert(key.to_owned(), origin);
    }

    pub fn of(&self, key: &str) -> &Origin {
        self.by_key.get(key).unwrap_or(&Origin::Default)
    }

    /// `written` is what the file came to, `in_force` the same with the environment on top, both by table and key;
    /// `twice` are the keys that both set.
    pub(super) fn note_overridden(&mut self, twice: &[(&str, &str)], written: &Value, in_force: &Value) {
        for (table, key) in twice {
            let dotted = format!("{table}.{key}");
            let (written, in_force) = (&written[table][key], &in_force[table][key]);
            if let Origin::Environment(variable) = self.of(&dotted)
                && written != in_force
            {
                let (written, in_force) = (written.clone(), in_force.clone());
                self.overridden.push(Overridden { key: dotted, variable: variable.clone(), written, in_force });
            }
        }
    }

    /// What stands in the file to no effect.
    pub fn overridden(&self) -> &[Overridden] {
        &self.overridden
    }

    pub(super) fn note_exposed(&mut self, variables: &[String]) {
        variables.clone_into(&mut self.exposed);
    }

    /// Names of the variables of the environment whose values are, or look like, secrets.
    pub fn exposed(&self) -> &[String] {
        &self.exposed
    }

    /// The configuration file; it need not exist.
    pub fn file(&self) -> &Path {
        &self.file
    }
}
