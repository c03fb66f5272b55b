//! What a profile makes of a document's path and front matter; who knows profiles is above.

use std::collections::BTreeMap;

use crate::crypto::digest::Hash;

/// Derives facets of documents. The room above injects it; a library knows its profile by name only.
pub trait Shape: Send + Sync {
    /// What tells the rules of `profile` from others; `None` if there is no such profile.
    fn mark(&self, profile: &str) -> Option<Hash>;

    /// Facets of a document by name, each with its values; `front` is what its front matter says.
    fn facets(&self, profile: &str, path: &str, front: &BTreeMap<String, Vec<String>>) -> Vec<(String, Vec<String>)>;
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
