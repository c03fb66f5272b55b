//! Resources of a profile: `{profile}://{word}/{variable}`, as its data says; none while no library is read by it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::Desk;
use super::example;
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Body, Content, Cx, ResourceItem};
use crate::profile::manifest::{ResourceEntry, ResourceKind};
use crate::profile::page;
use crate::profile::template::{self, Project};
use crate::tool::shelf::{Shelf, ShelfPage};

const MARKDOWN: &str = "text/markdown";

/// The resources of one profile.
#[derive(Debug)]
pub(super) struct ProfileShelf {
    desk: Desk,
}

impl ProfileShelf {
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk }
    }

    fn scheme(&self) -> String {
        format!("{}://", self.desk.profile.manifest.name)
    }

    /// Whether a library is read by this profile; who may see it is asked where it is read.
    fn is_used(&self) -> bool {
        let name = self.desk.profile.manifest.name.as_str();
        let known = self.desk.libraries.list().unwrap_or_default();
        known.iter().any(|library| library.profile.as_deref() == Some(name))
    }

    fn entries(&self) -> &[ResourceEntry] {
        &self.desk.profile.manifest.resources
    }

    /// The entry of a URI, and the value of its variable.
    fn entry_of(&self, uri: &str) -> Option<(&ResourceEntry, String)> {
        let below = uri.strip_prefix(&self.scheme())?;
        let (word, value) = below.split_once('/')?;
        let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
        let entry = self.entries().iter().find(|entry| entry.parts().is_some_and(|(known, _)| known == word))?;
        (!value.is_empty()).then_some((entry, value))
    }

    /// All values of a variable, where they are known without looking at documents.
    fn fixed(&self, kind: ResourceKind) -> Vec<String> {
        let profile = &self.desk.profile;
        match kind {
            ResourceKind::Document | ResourceKind::Module => Vec::new(),
            ResourceKind::Examples => {
                let examples = profile.manifest.examples.iter().flat_map(|examples| &examples.categories);
                examples.map(|category| category.name.clone()).collect()
            }
            ResourceKind::Template => {
                let templates = profile.templates.iter().flat_map(|templates| &templates.file.templates);
                templates.map(|entry| entry.file.clone()).collect()
            }
            ResourceKind::Command => {
                let commands = profile.commands.iter().flat_map(|commands| &commands.operations);
                commands.map(|entry| entry.name.clone()).collect()
            }
        }
    }

    async fn content(&self, cx: &Cx, entry: &ResourceEntry, value: &str) -> Result<(String, &'static str), Refusal> {
        let profile = &self.desk.profile;
        match entry.kind {
            ResourceKind::Document => Ok((self.desk.open(cx, value).await?.markdown, MARKDOWN)),
            ResourceKind::Module => Ok((self.desk.module(cx, value, None).await?.in_words(), MARKDOWN)),
            ResourceKind::Examples => {
                let examples = profile.manifest.examples.as_ref();
                let category = examples.and_then(|it| it.categories.iter().find(|category| category.name == value));
                let (Some(examples), Some(category)) = (examples, category) else {
                    return Err(Refusal::new(Code::NotFound, format!("There are no examples of {value:?}.")));
                };
                let fences = example::fences(examples, None);
                let found = self.desk.examples(cx, &category.query, &fences, None).await?;
                Ok((example::in_words(&found), MARKDOWN))
            }
            ResourceKind::Template => {
                let made = self.desk.make(value, &Project::default())?;
                let media_type = if template::is_json(value) { "application/json" } else { "text/plain" };
                Ok((made.content.unwrap_or_default(), media_type))
            }
            ResourceKind::Command => {
                let platform = profile.commands.as_ref().and_then(|it| it.platforms.last()).cloned();
                let answer = self.desk.command(cx, value, &platform.unwrap_or_default(), None).await?;
                Ok((answer.in_words(), MARKDOWN))
            }
        }
    }
}

impl Shelf for ProfileShelf {
    fn owns(&self, uri: &str) -> bool {
        uri.starts_with(&self.scheme())
    }

    fn list<'a>(&'a self, cx: &'a Cx, _cursor: Option<String>) -> BoxFuture<'a, Result<ShelfPage, Refusal>> {
        Box::pin(async move {
            let mut items = Vec::new();
            if self.desk.library_names(cx)?.is_empty() {
                return Ok((items, None));
            }
            // Documents are on the libraries' own shelf.
            for entry in self.entries() {
                let Some((word, _)) = entry.parts() else { continue };
                for value in self.fixed(entry.kind) {
                    items.push(ResourceItem {
                        uri: format!("{}{word}/{value}", self.scheme()),
                        name: value.clone(),
                        title: format!("{}: {value}", entry.title),
                        description: Some(entry.about.clone()),
                        media_type: None,
                        bytes: None,
                    });
                }
            }
            Ok((items, None))
        })
    }

    fn templates(&self) -> Vec<ResourceItem> {
        if !self.is_used() {
            return Vec::new();
        }
        let template = |entry: &ResourceEntry| ResourceItem {
            uri: format!("{}{}", self.scheme(), entry.template),
            name: entry.template.split('/').next().unwrap_or_default().to_owned(),
            title: entry.title.clone(),
            description: Some(entry.about.clone()),
            media_type: None,
            bytes: None,
        };
        self.entries().iter().map(template).collect()
    }

    fn read<'a>(&'a self, cx: &'a Cx, uri: &'a str) -> BoxFuture<'a, Result<Vec<Content>, Refusal>> {
        Box::pin(async move {
            let missing = || {
                let shown: String = uri.chars().take(bound::AUDIT_NAME_CHARS_MAX).collect();
                Refusal::new(Code::NotFound, format!("There is no resource {shown}."))
            };
            if self.desk.library_names(cx)?.is_empty() {
                return Err(missing().with_data(json!({"uri": uri})));
            }
            let (entry, value) = self.entry_of(uri).ok_or_else(|| missing().with_data(json!({"uri": uri})))?;
            let (text, media_type) = self.content(cx, entry, &value).await.map_err(|refusal| {
                if refusal.code == Code::NotFound { refusal.with_data(json!({"uri": uri})) } else { refusal }
            })?;
            Ok(vec![Content { uri: uri.to_owned(), media_type: media_type.into(), body: Body::Text(text) }])
        })
    }

    fn complete<'a>(
        &'a self,
        cx: &'a Cx,
        variable: &'a str,
        start: &'a str,
        _context: &'a Value,
    ) -> BoxFuture<'a, Result<Vec<String>, Refusal>> {
        Box::pin(async move {
            let known = |entry: &&ResourceEntry| entry.parts().is_some_and(|(_, name)| name == variable);
            let Some(entry) = self.entries().iter().find(known) else { return Ok(Vec::new()) };
            let libraries = self.desk.library_names(cx)?;
            if libraries.is_empty() {
                return Ok(Vec::new());
            }
            match entry.kind {
                ResourceKind::Module => self.desk.module_names(cx, start).await,
                ResourceKind::Document => {
                    let (view, start, profile) = (self.desk.view(cx), start.to_owned(), Arc::clone(&self.desk.profile));
                    let look = move || {
                        let sites = &profile.manifest.sites;
                        // As the page's address has it; what has no address is named by its path, and goes last.
                        let (mut slugs, mut paths) = (BTreeSet::new(), BTreeSet::new());
                        for library in libraries {
                            for start_of_path in page::starts(sites, &start) {
                                let most = bound::COMPLETION_VALUES_MAX + 1;
                                for (path, _) in view.documents(&library, &start_of_path, None, most)? {
                                    match page::slug(sites, &path) {
                                        Some(slug) if slug.starts_with(&start) => drop(slugs.insert(slug)),
                                        None if path.starts_with(&start) => drop(paths.insert(path)),
                                        _ => {}
                                    }
                                }
                            }
                        }
                        Ok::<_, Refusal>(
                            slugs.into_iter().chain(paths).take(bound::COMPLETION_VALUES_MAX + 1).collect(),
                        )
                    };
                    tokio::task::spawn_blocking(look).await.map_err(Refusal::internal)?
                }
                kind => Ok(self.fixed(kind).into_iter().filter(|value| value.starts_with(start)).collect()),
            }
        })
    }
}
