//! Where each setting in force comes from: the file, the environment, the command line, or nowhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// Of all settings that are not the default.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    file: PathBuf,
    by_key: BTreeMap<String, Origin>,
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
