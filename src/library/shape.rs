//! What a profile makes of a document's path and front matter; who knows profiles is above.

use std::collections::BTreeMap;

use crate::crypto::digest::Hash;

/// Derives facets of documents. The room above injects it; a library knows its profile by name only.
pub trait Shape: Send + Sync {
    /// What tells the rules of `profile` from others; `None` if there is no such profile.
    fn mark(&self, profile: &str) -> Option<Hash>;

    /// Facets of a document by name, each with its values; `front` is what its front matter says.
    fn facets(&self, profile: &str, path: &str, front: &BTreeMap<String, Vec<String>>) -> Vec<(String, Vec<String>)>;

    /// Whether `profile` was shipped, or put here by an operator: no bundle takes its place.
    fn is_own(&self, _profile: &str) -> bool {
        true
    }

    /// The files of `profile`, unless it is one that every Sekisho has.
    fn files(&self, _profile: &str) -> Option<ProfileFiles> {
        None
    }

    /// Checks the files of a profile from elsewhere; or says what is wrong with them.
    fn weigh(&self, _files: &ProfileFiles) -> Result<Weighed, Vec<String>> {
        Err(vec!["no profiles are read here".to_owned()])
    }

    /// Puts a profile in force that was weighed and found good.
    fn install(&self, _files: &ProfileFiles) {}
}

/// The files of a profile by path below its folder.
pub type ProfileFiles = BTreeMap<String, String>;

/// A profile from elsewhere that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    pub name: String,
    /// As [`Shape::mark`] would say.
    pub mark: Hash,
}

/// No profiles: documents have the facets that their front matter gives.
#[derive(Debug)]
pub struct Plain;

impl Shape for Plain {
    fn mark(&self, _profile: &str) -> Option<Hash> {
        None
    }

    fn facets(
        &self,
        _profile: &str,
        _path: &str,
        _front: &BTreeMap<String, Vec<String>>,
    ) -> Vec<(String, Vec<String>)> {
        Vec::new()
    }
}
